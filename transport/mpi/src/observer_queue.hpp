// SPDX-License-Identifier: Apache-2.0
// Where the thread that called run() waits for what its observer is to be told, while another thread moves messages:
// evaluating a model or writing a checkpoint may take longer than peers would wait for a sign of life.
//
// Threads: put() and close() from any thread, work() from one.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <utility>

namespace tributary::internal {

class ObserverQueue {
 public:
  void put(std::function<void()> job) {
    {
      const std::lock_guard lock(mutex_);
      jobs_.push_back(std::move(job));
    }
    ready_.notify_one();
  }

  // Nothing follows what has been put.
  void close() {
    {
      const std::lock_guard lock(mutex_);
      closed_ = true;
    }
    ready_.notify_one();
  }

  // Does the jobs in their order, until the observer_queue is closed and empty.
  void work() {
    std::unique_lock lock(mutex_);
    for (;;) {
      ready_.wait(lock, [this] { return closed_ || !jobs_.empty(); });
      if (jobs_.empty()) { return; }
      const std::function<void()> job = std::move(jobs_.front());
      jobs_.pop_front();
      lock.unlock();
      job();
      lock.lock();
    }
  }

 private:
  std::mutex mutex_;
  std::condition_variable ready_;
  std::deque<std::function<void()>> jobs_;
  bool closed_ = false;
};

}  // namespace tributary::internal
