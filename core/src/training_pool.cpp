// SPDX-License-Identifier: Apache-2.0
#include "tributary/core/training_pool.hpp"

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
  } catch (...) { return internal_error("the trainer threw what is no std::exception"); }
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
  if (whole.samples > 0) {
    for (auto& [name, value] : whole.metrics) { value /= static_cast<double>(whole.samples); }
  }
  return whole;
}

// The number of parts is fixed: with it changing, the rounding of a mean would change with the number of threads.
constexpr std::uint32_t kEvaluationParts = 8;

}  // namespace

Result<std::unique_ptr<TrainingPool>> TrainingPool::create(const TrainerFactory& factory, std::uint32_t workers) {
  std::unique_ptr<TrainingPool> pool(new TrainingPool(factory));
  TRIBUTARY_ASSIGN_OR_RETURN(pool->own_trainer_, factory.create());
  for (std::uint32_t i = 0; i < workers; ++i) {
    TRIBUTARY_ASSIGN_OR_RETURN(std::unique_ptr<Trainer> trainer, factory.create());
    pool->trainers_.push_back(std::move(trainer));
  }
  for (const auto& trainer : pool->trainers_) {
    pool->workers_.emplace_back([raw = pool.get(), &trainer] { raw->work(*trainer); });
  }
  return pool;
}

TrainingPool::~TrainingPool() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    for (const auto& [id, job] : jobs_) { job->cancelled = true; }
  }
  to_workers_.notify_all();
  for (std::thread& worker : workers_) { worker.join(); }
}

void TrainingPool::drop_spent() {
  std::vector<ModelValues> spent;
  const std::lock_guard lock(mutex_);
  spent.swap(spent_);
}

TrainingPool::JobId TrainingPool::submit(TrainTask task, std::function<void()> done) {
  drop_spent();
  auto job = std::make_shared<Job>();
  job->task = std::move(task);
  job->task.cancel = &job->cancelled;
  job->on_done = std::move(done);
  JobId id = 0;
  {
    const std::lock_guard lock(mutex_);
    id = next_++;
    jobs_.emplace(id, job);
    waiting_.push_back(std::move(job));
  }
  if (!workers_.empty()) { to_workers_.notify_one(); }
  return id;
}

Result<Contribution> TrainingPool::run(Trainer& trainer, Job& job) {
  const auto start = std::chrono::steady_clock::now();
  Result<Contribution> result = guarded([&]() -> Result<Contribution> {
    Result<TrainOutcome> outcome = trainer.train(job.task);
    if (!outcome.ok()) { return outcome.status(); }
    return make_contribution(factory_.spec(), job.task.base, std::move(outcome).value());
  });
  train_ns_ += std::chrono::nanoseconds(std::chrono::steady_clock::now() - start).count();
  ++jobs_done_;
  return result;
}

bool TrainingPool::may_start() const {
  return !waiting_.empty() && untaken_ < 2 * workers_.size();
}

// Called and left with the lock held.
void TrainingPool::run_oldest(Trainer& trainer, std::unique_lock<std::mutex>& lock) {
  const std::shared_ptr<Job> job = std::move(waiting_.front());
  waiting_.pop_front();
  job->started = true;
  ++untaken_;
  lock.unlock();
  Result<Contribution> result = run(trainer, *job);
  lock.lock();
  job->result = std::move(result);
  job->done = true;
  // The owner of the base changes it in place once nobody else holds it. Only the lock orders that after our reading,
  // so the reference is dropped by the driver's thread.
  spent_.push_back(std::move(job->task.base));
  if (job->cancelled) { --untaken_; }
  to_caller_.notify_one();
  if (job->on_done && !job->cancelled) {
    lock.unlock();
    job->on_done();
    lock.lock();
  }
}

void TrainingPool::work(Trainer& trainer) {
  std::unique_lock lock(mutex_);
  for (;;) {
    to_workers_.wait(lock, [&] { return stopping_ || !calls_.empty() || may_start(); });
    if (stopping_) { return; }
    if (calls_.empty()) {
      run_oldest(trainer, lock);
      continue;
    }
    const auto call = std::move(calls_.front());
    calls_.pop_front();
    lock.unlock();
    call(trainer);
    lock.lock();
  }
}

Result<Contribution> TrainingPool::take(JobId id) {
  Result<Contribution> result = wait_for(id);
  drop_spent();
  return result;
}

Result<Contribution> TrainingPool::wait_for(JobId id) {
  std::unique_lock lock(mutex_);
  const auto found = jobs_.find(id);
  if (found == jobs_.end()) { return internal_error(fmt::format("there is no job {}", id)); }
  const std::shared_ptr<Job> job = found->second;
  jobs_.erase(found);
  if (!job->started) {
    job->started = true;
    std::erase(waiting_, job);
    lock.unlock();
    Result<Contribution> result = run(*own_trainer_, *job);
    job->task.base.reset();
    return result;
  }
  // A worker has it. Meanwhile this thread does what will be asked for next.
  while (!job->done) {
    if (may_start()) {
      run_oldest(*own_trainer_, lock);
    } else {
      to_caller_.wait(lock, [&] { return job->done; });
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
  const std::shared_ptr<Job>& job = found->second;
  job->cancelled = true;
  if (!job->started) {
    std::erase(waiting_, job);
  } else if (job->done) {
    --untaken_;
    to_workers_.notify_one();
  }
  jobs_.erase(found);
}

Result<Evaluation> TrainingPool::evaluate(std::span<const float> model) {
  std::vector<Result<Evaluation>> results(kEvaluationParts, internal_error("not run"));
  std::atomic<std::uint32_t> next{0};
  std::size_t helpers = workers_.size();
  const auto measure = [&](Trainer& trainer) {
    for (std::uint32_t part = next++; part < kEvaluationParts; part = next++) {
      results[part] = guarded([&] { return trainer.evaluate(model, part, kEvaluationParts); });
    }
  };
  {
    const std::lock_guard lock(mutex_);
    for (std::size_t i = 0; i < workers_.size(); ++i) {
      calls_.emplace_back([&](Trainer& trainer) {
        measure(trainer);
        const std::lock_guard done(mutex_);
        --helpers;
        to_caller_.notify_one();
      });
    }
  }
  to_workers_.notify_all();
  measure(*own_trainer_);
  std::unique_lock lock(mutex_);
  // Calls that no worker has begun have nothing left to do.
  helpers -= calls_.size();
  calls_.clear();
  to_caller_.wait(lock, [&] { return helpers == 0; });
  return merge(results);
}

}  // namespace tributary
