// SPDX-License-Identifier: Apache-2.0
// Threads that train: each has one Trainer and takes the oldest waiting job. The thread that waits for a job works
// meanwhile.
//
// Threads:  submit(), take() and cancel() belong to one thread, the driver's; evaluate() too. The callback of submit()
//           runs on a worker.
// Memory:   finished jobs that nobody has taken are bounded by twice the number of workers; then workers pause.
// Order:    results do not depend on which thread runs a job, or when: that is the Trainer's promise.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <unordered_map>
#include <vector>

#include "tributary/core/contribution.hpp"
#include "tributary/core/trainer.hpp"

namespace tributary {

class TrainingPool {
 public:
  using JobId = std::uint64_t;

  // `workers` threads besides the caller's own. `factory` must outlive the pool.
  static Result<std::unique_ptr<TrainingPool>> create(const TrainerFactory& factory, std::uint32_t workers);
  ~TrainingPool();
  TrainingPool(const TrainingPool&) = delete;
  TrainingPool& operator=(const TrainingPool&) = delete;

  // `done`, if given, is called on a worker once take() will not wait.
  JobId submit(TrainTask task, std::function<void()> done = nullptr);
  // The job's result, once. Runs the job on the caller's thread if no worker has begun it.
  Result<Contribution> take(JobId job);
  // The job is not wanted any more; its result is dropped.
  void cancel(JobId job);

  // Measures `model` on all held-out data, shared by all threads.
  Result<Evaluation> evaluate(std::span<const float> model);

  // Thread time spent in trainers since the pool was made.
  [[nodiscard]] std::chrono::nanoseconds train_time() const noexcept {
    return std::chrono::nanoseconds(train_ns_.load());
  }
  [[nodiscard]] std::uint64_t jobs_done() const noexcept { return jobs_done_.load(); }
  [[nodiscard]] std::uint32_t threads() const noexcept { return static_cast<std::uint32_t>(workers_.size()) + 1; }

 private:
  struct Job {
    TrainTask task;
    std::atomic<bool> cancelled{false};
    bool started = false;
    bool done = false;
    Result<Contribution> result = internal_error("not run");
    std::function<void()> on_done;
  };

  explicit TrainingPool(const TrainerFactory& factory) : factory_(factory) {}
  void work(Trainer& trainer);
  [[nodiscard]] bool may_start() const;
  void drop_spent();
  Result<Contribution> wait_for(JobId job);
  void run_oldest(Trainer& trainer, std::unique_lock<std::mutex>& lock);
  Result<Contribution> run(Trainer& trainer, Job& job);

  const TrainerFactory& factory_;
  std::unique_ptr<Trainer> own_trainer_;
  std::vector<std::unique_ptr<Trainer>> trainers_;
  std::vector<std::thread> workers_;

  std::mutex mutex_;
  std::condition_variable to_workers_;
  std::condition_variable to_caller_;
  std::unordered_map<JobId, std::shared_ptr<Job>> jobs_;
  std::deque<std::shared_ptr<Job>> waiting_;
  std::deque<std::function<void(Trainer&)>> calls_;  // parts of an evaluation
  std::vector<ModelValues> spent_;                   // bases of finished jobs, yet to be dropped
  std::size_t untaken_ = 0;
  JobId next_ = 1;
  bool stopping_ = false;
  std::atomic<std::int64_t> train_ns_{0};
  std::atomic<std::uint64_t> jobs_done_{0};
};

}  // namespace tributary
