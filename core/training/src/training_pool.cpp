// SPDX-License-Identifier: Apache-2.0
#include "tributary/training/training_pool.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <exception>

namespace tributary {
namespace {

// No exception of a trainer crosses into the driver.
template <typename Call>
auto guarded(Call&& call) -> decltype(call()) {
  try {
    return call();
  } catch (const std::bad_alloc&) {
    return resource_exhausted("the trainer ran out of memory");
  } catch (const std::exception& error) {
    return internal_error(fmt::format("the trainer threw: {}", error.what()));
  } catch (...) { return internal_error("the trainer threw an exception of another type"); }
}

Status with_task(const TrainTask& task, const Status& status) {
  return status.with_context(fmt::format("client {}, round {}", task.client.value, task.global_round.value));
}

// Measures the base of `task` on what its client holds out.
Result<ClientUpdate> measure_at_client(Trainer& trainer, const TrainTask& task) {
  Result<Evaluation> measured = trainer.evaluate_client(
      {.client = task.client, .global_round = task.global_round, .model = task.base, .cancel = task.cancel});
  if (!measured.ok()) { return measured.status(); }
  Result<ClientUpdate> made = make_evaluation_update(std::move(measured).value());
  return made.ok() ? std::move(made) : with_task(task, made.status());
}

// A measurement of all samples from measurements of its parts.
Result<Evaluation> merge(const std::vector<Result<Evaluation>>& parts) {
  constexpr std::uint64_t kMostSamples = std::uint64_t{1}
                                         << 53U;  // the largest count that means are divided by exactly
  Evaluation whole;
  for (const Result<Evaluation>& part : parts) {
    if (!part.ok()) { return part.status(); }
    if (part->samples > kMostSamples - whole.samples) {
      return bad_data(
          fmt::format("the trainer says that one of {} parts of the evaluation has {} samples; all of them "
                      "together may have at most {}",
                      parts.size(), part->samples, kMostSamples));
    }
    for (const auto& [name, value] : part->metrics) {
      whole.metrics[name] += value * static_cast<double>(part->samples);
    }
    whole.samples += part->samples;
  }
  if (whole.samples == 0) { return unsupported("the trainer holds no samples out to measure on"); }
  for (auto& [name, value] : whole.metrics) { value /= static_cast<double>(whole.samples); }
  return whole;
}

// The number of parts is fixed: with it changing, the rounding of a mean would change with the number of threads.
constexpr std::uint32_t kEvaluationParts = 8;

// Of results that nobody has taken yet.
constexpr std::size_t kResultBytes = std::size_t{64} << 20U;

}  // namespace

class TrainingPool::PooledEvaluation final : public RunningEvaluation {
 public:
  // `model` keeps `values`; null if the caller does.
  PooledEvaluation(std::span<const float> values, ModelValues model)
      : values_(values), model_(std::move(model)), parts_(kEvaluationParts, internal_error("not run")) {}

  [[nodiscard]] bool done() const noexcept override { return finished_ == kEvaluationParts; }
  [[nodiscard]] std::chrono::nanoseconds thread_time() const noexcept override {
    return std::chrono::nanoseconds(busy_ns_.load());
  }
  [[nodiscard]] Result<Evaluation> result() override {
    model_.reset();
    return merge(parts_);
  }

 private:
  friend class TrainingPool;

  std::span<const float> values_;
  ModelValues model_;
  std::vector<Result<Evaluation>> parts_;
  std::atomic<std::uint32_t> next_{0};
  std::atomic<std::uint32_t> finished_{0};
  std::atomic<std::int64_t> busy_ns_{0};
};

TrainingPool::TrainingPool(const TrainerFactory& factory, const LocalMethod* method)
    : factory_(factory), method_(method) {}

Result<std::unique_ptr<TrainingPool>> TrainingPool::create(const TrainerFactory& factory, std::uint32_t workers,
                                                           const LocalMethod* method) {
  std::unique_ptr<TrainingPool> pool(new TrainingPool(factory, method));
  TRIBUTARY_ASSIGN_OR_RETURN(pool->own_trainer_, factory.create());
  for (std::uint32_t i = 0; i < workers; ++i) {
    TRIBUTARY_ASSIGN_OR_RETURN(std::unique_ptr<Trainer> trainer, factory.create());
    pool->trainers_.push_back(std::move(trainer));
  }
  // While the caller trains one job, each worker finishes one and begins the next. With less room than that a worker
  // would stand still until the caller comes back to take what is finished.
  const std::size_t threads = workers + std::size_t{1};
  const std::size_t result_bytes = std::max<std::size_t>(1, factory.spec().parameters() * sizeof(float));
  pool->most_untaken_ = std::max(2 * threads, kResultBytes / result_bytes);
  // Results of one window may all have to wait for the first that is asked for.
  pool->window_ = pool->most_untaken_ - threads;
  for (const auto& trainer : pool->trainers_) {
    pool->workers_.emplace_back([raw = pool.get(), &trainer] { raw->work(*trainer); });
  }
  return pool;
}

TrainingPool::~TrainingPool() {
  {
    std::unique_lock lock(mutex_);
    stopping_ = true;
    for (const auto& [id, job] : jobs_) { job->cancelled = true; }
    to_workers_.notify_all();
    while (may_measure()) { measure_part(*own_trainer_, lock); }
  }
  for (std::thread& worker : workers_) { worker.join(); }
}

void TrainingPool::release(ModelValues model) {
  const std::lock_guard lock(mutex_);
  spent_.push_back(std::move(model));
}

void TrainingPool::drop_released() {
  std::vector<ModelValues> spent;
  const std::lock_guard lock(mutex_);
  spent.swap(spent_);
}

TrainingPool::JobId TrainingPool::submit(Work work, JobOrder order, std::function<void()> done) {
  drop_released();
  auto job = std::make_shared<Job>();
  const double size = order.longest_first ? factory_.weight_bound(work.task.client) : 0.0;
  job->task = std::move(work.task);
  job->method = std::move(work.method);
  job->codec = work.codec;
  job->kind = work.kind;
  job->task.cancel = &job->cancelled;
  job->on_done = std::move(done);
  JobId id = 0;
  {
    const std::lock_guard lock(mutex_);
    id = next_++;
    job->place = {order.due, id / window_, -size, id};
    jobs_.emplace(id, job);
    waiting_.emplace(job->place, std::move(job));
  }
  if (!workers_.empty()) { to_workers_.notify_one(); }
  return id;
}

Result<ClientUpdate> TrainingPool::work_on(Trainer& trainer, Job& job) {
  const auto start = std::chrono::steady_clock::now();
  Result<ClientUpdate> result = guarded(
      [&] { return job.kind == TaskKind::kEvaluate ? measure_at_client(trainer, job.task) : train(trainer, job); });
  train_ns_ += std::chrono::nanoseconds(std::chrono::steady_clock::now() - start).count();
  if (job.kind == TaskKind::kTrain) { ++jobs_done_; }
  return result;
}

Result<ClientUpdate> TrainingPool::train(Trainer& trainer, Job& job) {
  const auto about = [&job](const Status& status) { return with_task(job.task, status); };
  const std::vector<double> state = job.method.state ? job.method.state->current() : std::vector<double>();
  const MethodTask method{
      .spec = factory_.spec(),
      .broadcast = job.method.broadcast ? std::span<const Segment>(*job.method.broadcast) : std::span<const Segment>(),
      .state = state};
  if (!state.empty() && state.size() != factory_.spec().parameters()) {
    return about(bad_data("the state of the client has another size than the model"));
  }
  if (method_ != nullptr) {
    Result<Drift> drift = method_->drift(method);
    if (!drift.ok()) { return about(drift.status()); }
    job.task.drift = std::move(drift).value();
    job.task.evaluate_first = job.task.evaluate_first || method_->needs_base_loss();
  }
  Result<TrainOutcome> outcome = trainer.train(job.task);
  job.task.drift = {};
  if (!outcome.ok()) { return outcome.status(); }
  const TrainingFacts facts{.steps = outcome->steps, .learning_rate = outcome->learning_rate};
  Result<ClientUpdate> made = make_client_update(factory_.spec(), job.task.base, std::move(outcome).value());
  if (!made.ok()) { return about(made.status()); }
  if (method_ != nullptr) {
    if (const Status prepared = method_->prepare(method, facts, *made); !prepared.ok()) { return about(prepared); }
  }
  if (job.codec != nullptr) { made->delta = encoded(*job.codec, factory_.spec(), made->delta.values()); }
  return made;
}

bool TrainingPool::may_start() const {
  return !waiting_.empty() && untaken_ < most_untaken_;
}

// Forgets evaluations of which every part is begun.
bool TrainingPool::may_measure() {
  while (!evaluations_.empty() && evaluations_.front()->next_ >= kEvaluationParts) { evaluations_.pop_front(); }
  return !evaluations_.empty();
}

// Requires may_measure().
void TrainingPool::measure_part(Trainer& trainer, std::unique_lock<std::mutex>& lock) {
  const std::shared_ptr<PooledEvaluation> evaluation = evaluations_.front();
  const std::uint32_t part = evaluation->next_++;
  lock.unlock();
  const auto start = std::chrono::steady_clock::now();
  Result<Evaluation> measured = guarded([&] { return trainer.evaluate(evaluation->values_, part, kEvaluationParts); });
  evaluation->busy_ns_ += std::chrono::nanoseconds(std::chrono::steady_clock::now() - start).count();
  evaluation->parts_[part] = std::move(measured);
  lock.lock();
  if (++evaluation->finished_ == kEvaluationParts) { to_caller_.notify_all(); }
}

// Holds the job itself: where it waits is given up at once.
// NOLINTNEXTLINE(performance-unnecessary-value-param): the caller's own may be the one that waits
void TrainingPool::run(std::shared_ptr<Job> job, Trainer& trainer, std::unique_lock<std::mutex>& lock) {
  waiting_.erase(job->place);
  job->started = true;
  ++untaken_;
  lock.unlock();
  Result<ClientUpdate> result = work_on(trainer, *job);
  lock.lock();
  job->result = std::move(result);
  job->done = true;
  // The owner of the base changes it in place once nobody else holds it. Only the lock orders that after our reading,
  // so the reference is dropped by the driver's thread.
  spent_.push_back(std::move(job->task.base));
  if (job->cancelled) { --untaken_; }
  to_caller_.notify_all();
  if (job->on_done && !job->cancelled) {
    lock.unlock();
    job->on_done();
    lock.lock();
  }
}

void TrainingPool::work(Trainer& trainer) {
  std::unique_lock lock(mutex_);
  for (;;) {
    to_workers_.wait(lock, [&] { return stopping_ || may_measure() || may_start(); });
    if (may_measure()) {
      measure_part(trainer, lock);
    } else if (stopping_) {
      return;
    } else {
      run(waiting_.begin()->second, trainer, lock);
    }
  }
}

Result<ClientUpdate> TrainingPool::take(JobId id) {
  Result<ClientUpdate> result = wait_for(id);
  drop_released();
  return result;
}

Result<ClientUpdate> TrainingPool::wait_for(JobId id) {
  std::unique_lock lock(mutex_);
  const auto found = jobs_.find(id);
  if (found == jobs_.end()) { return internal_error(fmt::format("there is no job {}", id)); }
  const std::shared_ptr<Job> job = found->second;
  jobs_.erase(found);
  while (!job->done) {
    if (may_measure()) {
      measure_part(*own_trainer_, lock);
    } else if (may_start()) {
      run(waiting_.begin()->second, *own_trainer_, lock);
    } else if (!job->started) {
      run(job, *own_trainer_, lock);
    } else {
      to_caller_.wait(lock);
    }
  }
  --untaken_;
  lock.unlock();
  to_workers_.notify_one();
  return std::move(job->result);
}

void TrainingPool::cancel(JobId id) {
  const std::lock_guard lock(mutex_);
  const auto found = jobs_.find(id);
  if (found == jobs_.end()) { return; }
  const std::shared_ptr<Job> job = found->second;
  jobs_.erase(found);
  job->cancelled = true;
  if (!job->started) {
    waiting_.erase(job->place);
  } else if (job->done) {
    --untaken_;
    to_workers_.notify_one();
  }
}

std::shared_ptr<RunningEvaluation> TrainingPool::begin_evaluation(ModelValues model) {
  const std::span<const float> values(*model);
  auto evaluation = std::make_shared<PooledEvaluation>(values, std::move(model));
  {
    const std::lock_guard lock(mutex_);
    evaluations_.push_back(evaluation);
  }
  to_workers_.notify_all();
  return evaluation;
}

void TrainingPool::finish(RunningEvaluation& evaluation) {
  std::unique_lock lock(mutex_);
  while (!evaluation.done()) {
    if (may_measure()) {
      measure_part(*own_trainer_, lock);
    } else {
      to_caller_.wait(lock);
    }
  }
}

Result<Evaluation> TrainingPool::evaluate(std::span<const float> model) {
  const auto evaluation = std::make_shared<PooledEvaluation>(model, nullptr);
  {
    const std::lock_guard lock(mutex_);
    evaluations_.push_back(evaluation);
  }
  to_workers_.notify_all();
  finish(*evaluation);
  return evaluation->result();
}

}  // namespace tributary
