// SPDX-License-Identifier: Apache-2.0
// Threads that train and measure: each has one Trainer and takes the first waiting piece of work. The thread that waits
// for a job works meanwhile.
//
// Threads:  submit(), take() and cancel() belong to one thread, the driver's. evaluate(), begin_evaluation() and
//           finish() belong to one thread too, which may be another one while no take() has to wait. release() may be
//           called on any thread, drop_released() on the driver's. The callback of submit() runs on a worker.
// Memory:   results that nobody has taken are bounded: by two for each thread, or by 64 MiB of models if that is more.
//           Then workers pause.
// Order:    parts of an evaluation come first, then jobs in the order of their `due`. Of jobs that are due together the
//           longest come first, so that no thread is left alone with a long one at the end. Results do not depend on
//           which thread runs a job, or when: that is the Trainer's promise.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <thread>
#include <tuple>
#include <unordered_map>
#include <vector>

#include "tributary/nodes/client_update.hpp"
#include "tributary/nodes/codec.hpp"
#include "tributary/nodes/local_method.hpp"
#include "tributary/nodes/model_evaluator.hpp"
#include "tributary/nodes/trainer.hpp"

namespace tributary {

class TrainingPool final : public ModelEvaluator {
 public:
  using JobId = std::uint64_t;

  struct JobOrder {
    std::chrono::nanoseconds due{0};  // earlier ones first; in which order take() will ask, if known
    // Of equal `due`: by size, not by number. For jobs of which none will be cancelled, as far as one can know:
    // otherwise the longest would be done in vain.
    bool longest_first = false;
  };

  // A task, what the method of its federation is given with it, and how the change travels: null: as floats. The codec
  // must outlive the job. A task to evaluate measures its base, and makes nothing of the rest.
  struct Work {
    // NOLINTNEXTLINE(google-explicit-constructor,hicpp-explicit-conversions): most methods are given nothing
    Work(TrainTask of, MethodInput input = {}, const Codec* up = nullptr, TaskKind as = TaskKind::kTrain)
        : task(std::move(of)), method(std::move(input)), codec(up), kind(as) {}
    TrainTask task;
    MethodInput method;
    const Codec* codec;
    TaskKind kind;
  };

  // `workers` threads besides the caller's own. `method`: what it makes of outcomes; null: nothing. Both must outlive
  // the pool.
  static Result<std::unique_ptr<TrainingPool>> create(const TrainerFactory& factory, std::uint32_t workers,
                                                      const LocalMethod* method = nullptr);
  // Finishes evaluations that were begun; no other work.
  ~TrainingPool() override;
  TrainingPool(const TrainingPool&) = delete;
  TrainingPool& operator=(const TrainingPool&) = delete;

  // `done`, if given, is called on a worker once take() will not wait.
  JobId submit(Work work, std::function<void()> done = nullptr) { return submit(std::move(work), {}, std::move(done)); }
  JobId submit(Work work, JobOrder order, std::function<void()> done = nullptr);
  // The job's result, once. Works on the caller's thread until it is there.
  Result<ClientUpdate> take(JobId job);
  // The job is not wanted any more; its result is dropped.
  void cancel(JobId job);

  Result<Evaluation> evaluate(std::span<const float> model) override;
  std::shared_ptr<RunningEvaluation> begin_evaluation(ModelValues model) override;
  void finish(RunningEvaluation& evaluation) override;
  // What is released is dropped at the next submit(), take() or drop_released().
  void release(ModelValues model) override;
  void drop_released();

  // Thread time spent in trainers since the pool was made, measuring not included.
  [[nodiscard]] std::chrono::nanoseconds train_time() const noexcept {
    return std::chrono::nanoseconds(train_ns_.load());
  }
  // Likewise: tasks to train.
  [[nodiscard]] std::uint64_t jobs_done() const noexcept { return jobs_done_.load(); }
  [[nodiscard]] std::uint32_t threads() const noexcept override {
    return static_cast<std::uint32_t>(workers_.size()) + 1;
  }

 private:
  // due, window, size (negative), number: see submit().
  using Place = std::tuple<std::chrono::nanoseconds, std::uint64_t, double, JobId>;
  struct Job {
    TrainTask task;
    MethodInput method;
    const Codec* codec = nullptr;
    TaskKind kind = TaskKind::kTrain;
    Place place;
    std::atomic<bool> cancelled{false};
    bool started = false;
    bool done = false;
    Result<ClientUpdate> result = internal_error("not run");
    std::function<void()> on_done;
  };

  class PooledEvaluation;

  TrainingPool(const TrainerFactory& factory, const LocalMethod* method);
  void work(Trainer& trainer);
  [[nodiscard]] bool may_start() const;
  [[nodiscard]] bool may_measure();
  Result<ClientUpdate> wait_for(JobId job);
  // Called and left with the lock held.
  void measure_part(Trainer& trainer, std::unique_lock<std::mutex>& lock);
  void run(std::shared_ptr<Job> job, Trainer& trainer, std::unique_lock<std::mutex>& lock);
  Result<ClientUpdate> work_on(Trainer& trainer, Job& job);
  Result<ClientUpdate> train(Trainer& trainer, Job& job);

  const TrainerFactory& factory_;
  const LocalMethod* method_;
  std::unique_ptr<Trainer> own_trainer_;
  std::vector<std::unique_ptr<Trainer>> trainers_;
  std::vector<std::thread> workers_;
  std::size_t most_untaken_ = 1;
  std::uint64_t window_ = 1;  // jobs that are put in the order of their size together

  std::mutex mutex_;
  std::condition_variable to_workers_;
  std::condition_variable to_caller_;
  std::unordered_map<JobId, std::shared_ptr<Job>> jobs_;
  std::map<Place, std::shared_ptr<Job>> waiting_;
  std::deque<std::shared_ptr<PooledEvaluation>> evaluations_;  // with parts that nobody has begun
  std::vector<ModelValues> spent_;                             // of finished jobs and release(), yet to be dropped
  std::size_t untaken_ = 0;                                    // jobs begun and not taken
  JobId next_ = 1;
  bool stopping_ = false;
  std::atomic<std::int64_t> train_ns_{0};
  std::atomic<std::uint64_t> jobs_done_{0};
};

}  // namespace tributary
