// SPDX-License-Identifier: Apache-2.0
// What training threads have finished, where training takes as long as it takes.
//
// Threads: push() from any thread, wait() from one.
#pragma once

#include <chrono>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <utility>

namespace tributary::internal {

template <typename Job>
class CompletionList {
 public:
  void push(Job job) {
    {
      const std::lock_guard lock(mutex_);
      done_.push_back(std::move(job));
    }
    ready_.notify_one();
  }
  // Waits for at most `patience` for the first.
  std::deque<Job> wait(std::chrono::nanoseconds patience) {
    std::unique_lock lock(mutex_);
    if (patience.count() > 0) {
      ready_.wait_for(lock, patience, [this] { return !done_.empty(); });
    }
    return std::exchange(done_, {});
  }

 private:
  std::mutex mutex_;
  std::condition_variable ready_;
  std::deque<Job> done_;
};

}  // namespace tributary::internal
