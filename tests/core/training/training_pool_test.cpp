// SPDX-License-Identifier: Apache-2.0
#include "tributary/training/training_pool.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <stdexcept>
#include <thread>

#include "support/fake_trainer.hpp"

namespace tributary {
namespace {

using testing::FunctionTrainerFactory;
using testing::noisy_pull;

TrainTask task_of(std::uint32_t client, const ModelValues& base) {
  TrainTask task;
  task.client = ClientIndex{client};
  task.round = Round{1};
  task.base = base;
  task.seed = client;
  return task;
}

TEST(TrainingPool, GivesTheSameResultsForAnyNumberOfWorkers) {
  const FunctionTrainerFactory factory = noisy_pull(50);
  const auto base = std::make_shared<const std::vector<float>>(50, 0.25F);
  std::vector<std::vector<float>> expected;
  for (const std::uint32_t workers : {0U, 1U, 3U}) {
    const auto pool = TrainingPool::create(factory, workers).value();
    std::vector<TrainingPool::JobId> jobs;
    for (std::uint32_t client = 0; client < 40; ++client) { jobs.push_back(pool->submit(task_of(client, base))); }

    std::vector<std::vector<float>> results;
    for (const TrainingPool::JobId job : jobs) {
      const ClientUpdate contribution = pool->take(job).value();
      results.emplace_back(contribution.delta.values().begin(), contribution.delta.values().end());
    }

    if (expected.empty()) { expected = results; }
    EXPECT_EQ(results, expected) << workers << " workers";
    EXPECT_EQ(pool->jobs_done(), 40U);
  }
}

TEST(TrainingPool, FinishesWhenJobsAreCancelledAtAnyMoment) {
  const FunctionTrainerFactory factory = noisy_pull(2000);
  const auto base = std::make_shared<const std::vector<float>>(2000, 0.0F);
  const auto pool = TrainingPool::create(factory, 2).value();
  for (std::uint32_t repeat = 0; repeat < 20; ++repeat) {
    std::vector<TrainingPool::JobId> jobs;
    for (std::uint32_t client = 0; client < 20; ++client) { jobs.push_back(pool->submit(task_of(client, base))); }
    for (std::size_t i = 0; i < jobs.size(); i += 2) { pool->cancel(jobs[i]); }

    for (std::size_t i = 1; i < jobs.size(); i += 2) { EXPECT_TRUE(pool->take(jobs[i]).ok()); }
    EXPECT_EQ(pool->take(jobs[0]).status().code(), Code::kInternal);
  }
}

TEST(TrainingPool, AJobThatIsCancelledWhileItTrainsIsNotReported) {
  std::atomic<bool> started{false};
  std::atomic<bool> reported{false};
  const FunctionTrainerFactory factory(2, [&started](const TrainTask& task) -> Result<TrainOutcome> {
    started = true;
    EXPECT_TRUE(testing::busy_until_cancelled(task, std::chrono::seconds(20)));
    return TrainOutcome{.model = task.base, .weight = 1.0, .metrics = {}};
  });
  auto pool = TrainingPool::create(factory, 2).value();
  const auto job =
      pool->submit(task_of(0, std::make_shared<const std::vector<float>>(2, 0.0F)), [&reported] { reported = true; });
  const auto patience = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (!started && std::chrono::steady_clock::now() < patience) { std::this_thread::yield(); }
  ASSERT_TRUE(started);

  pool->cancel(job);
  pool.reset();

  EXPECT_FALSE(reported);
}

TEST(TrainingPool, TurnsExceptionsIntoAStatus) {
  const FunctionTrainerFactory factory(
      3, [](const TrainTask&) -> Result<TrainOutcome> { throw std::runtime_error("no such layer"); });
  const auto pool = TrainingPool::create(factory, 1).value();

  const auto job = pool->submit(task_of(0, std::make_shared<const std::vector<float>>(3, 0.0F)));

  EXPECT_EQ(pool->take(job).status().message(), "the trainer threw: no such layer");
}

TEST(TrainingPool, RefusesAnEvaluationOfMoreSamplesThanCanBeCounted) {
  for (const std::uint64_t samples : {~std::uint64_t{0}, std::uint64_t{1} << 62U, std::uint64_t{1} << 51U}) {
    FunctionTrainerFactory factory = noisy_pull(10);
    factory.set_measure([samples](std::span<const float>, std::uint32_t) {
      return Evaluation{.samples = samples, .metrics = {{"accuracy", 0.5}}};
    });
    const auto pool = TrainingPool::create(factory, 1).value();

    const Result<Evaluation> evaluation = pool->evaluate(std::vector<float>(10, 0.0F));

    ASSERT_FALSE(evaluation.ok()) << samples;
    EXPECT_EQ(evaluation.status().code(), Code::kBadData);
    EXPECT_NE(evaluation.status().message().find(std::to_string(samples) + " samples"), std::string::npos)
        << evaluation.status().message();
  }
}

// Or it would be an accuracy of 0 %.
TEST(TrainingPool, AnEvaluationOfNoSamplesMeasuresNothing) {
  FunctionTrainerFactory factory = noisy_pull(10);
  factory.set_measure(
      [](std::span<const float>, std::uint32_t) { return Evaluation{.samples = 0, .metrics = {{"accuracy", 0.5}}}; });

  const Result<Evaluation> evaluation =
      TrainingPool::create(factory, 1).value()->evaluate(std::vector<float>(10, 0.0F));

  EXPECT_EQ(evaluation.status().code(), Code::kUnsupported);
}

TEST(TrainingPool, ReturningTheBaseIsAZeroChange) {
  const FunctionTrainerFactory factory(3, [](const TrainTask& task) -> Result<TrainOutcome> {
    return TrainOutcome{.model = task.base, .weight = 2.0, .samples = 1, .steps = 0, .metrics = {}};
  });
  const auto pool = TrainingPool::create(factory, 0).value();

  const auto job = pool->submit(task_of(0, std::make_shared<const std::vector<float>>(3, 7.0F)));
  const ClientUpdate contribution = pool->take(job).value();

  ASSERT_EQ(contribution.delta.values().size(), 3U);
  for (const float value : contribution.delta.values()) { EXPECT_EQ(value, 0.0F); }
  EXPECT_EQ(contribution.weight.value(), 2.0);
}

TEST(TrainingPool, RefusesAModelOfAnotherSizeAndAnImpossibleWeight) {
  const auto base = std::make_shared<const std::vector<float>>(3, 0.0F);
  const FunctionTrainerFactory wrong_size(3, [](const TrainTask&) -> Result<TrainOutcome> {
    return TrainOutcome{.model = std::make_shared<const std::vector<float>>(2, 0.0F), .weight = 1.0, .metrics = {}};
  });
  const FunctionTrainerFactory no_weight(3, [](const TrainTask& task) -> Result<TrainOutcome> {
    return TrainOutcome{.model = task.base, .weight = 0.0, .metrics = {}};
  });
  const auto first = TrainingPool::create(wrong_size, 0).value();
  const auto second = TrainingPool::create(no_weight, 0).value();

  EXPECT_EQ(first->take(first->submit(task_of(0, base))).status().message(),
            "client 0, round 0: the trainer returned a model of 2 values, not of 3");
  EXPECT_EQ(second->take(second->submit(task_of(0, base))).status().message(),
            "client 0, round 0: a weight must be a number from 2^-16 (0.0000153) to 2^38, got 0");
}

// Counts what has been begun; waits for it.
class Begun {
 public:
  void count() {
    {
      const std::lock_guard lock(mutex_);
      ++number_;
    }
    changed_.notify_all();
  }
  [[nodiscard]] int number() const {
    const std::lock_guard lock(mutex_);
    return number_;
  }
  // False: not within a time that is long enough on any machine.
  [[nodiscard]] bool reaches(int number) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::seconds(20), [&] { return number_ >= number; });
  }

 private:
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  int number_ = 0;
};

TrainOutcome nothing_changed(const TrainTask& task) {
  return TrainOutcome{.model = task.base, .weight = 1.0, .samples = 1, .steps = 1, .metrics = {}};
}

// While the caller trains client 2, the one worker finishes client 1 and 3 and goes on with 4.
TEST(TrainingPool, AWorkerGoesOnWhileTheCallerTrains) {
  Begun begun;
  std::atomic<bool> worker_went_on{false};
  const auto caller = std::this_thread::get_id();
  const FunctionTrainerFactory factory(3, [&](const TrainTask& task) -> Result<TrainOutcome> {
    begun.count();
    if (std::this_thread::get_id() == caller) {
      if (!worker_went_on) { worker_went_on = begun.reaches(4); }
    } else if (task.client.value == 1) {
      static_cast<void>(begun.reaches(2));
    }
    return nothing_changed(task);
  });
  const auto pool = TrainingPool::create(factory, 1).value();
  const auto base = std::make_shared<const std::vector<float>>(3, 0.0F);
  std::vector<TrainingPool::JobId> jobs{pool->submit(task_of(1, base))};
  ASSERT_TRUE(begun.reaches(1));
  for (std::uint32_t client = 2; client < 8; ++client) { jobs.push_back(pool->submit(task_of(client, base))); }

  for (const TrainingPool::JobId job : jobs) { EXPECT_TRUE(pool->take(job).ok()); }

  EXPECT_TRUE(worker_went_on);
}

TEST(TrainingPool, WorkersPauseWhenLargeResultsAreNotTaken) {
  constexpr std::size_t kParameters = 4'500'000;  // more than a quarter of the 64 MiB of results
  Begun begun;
  const FunctionTrainerFactory factory(kParameters, [&](const TrainTask& task) -> Result<TrainOutcome> {
    begun.count();
    return nothing_changed(task);
  });
  const auto pool = TrainingPool::create(factory, 1).value();
  const auto base = std::make_shared<const std::vector<float>>(kParameters, 0.0F);
  std::vector<TrainingPool::JobId> jobs;
  for (std::uint32_t client = 0; client < 12; ++client) { jobs.push_back(pool->submit(task_of(client, base))); }

  ASSERT_TRUE(begun.reaches(4));
  std::this_thread::sleep_for(std::chrono::milliseconds(50));

  EXPECT_EQ(begun.number(), 4);
  for (const TrainingPool::JobId job : jobs) { EXPECT_TRUE(pool->take(job).ok()); }
}

TEST(TrainingPool, BeginsWithWhatIsDueFirstAndThenWithTheLongest) {
  std::vector<std::uint32_t> order;
  const FunctionTrainerFactory factory(
      3,
      [&](const TrainTask& task) -> Result<TrainOutcome> {
        order.push_back(task.client.value);
        return nothing_changed(task);
      },
      [](ClientIndex client) { return static_cast<double>((client.value * 7) % 10 + 1); });
  const auto pool = TrainingPool::create(factory, 0).value();
  const auto base = std::make_shared<const std::vector<float>>(3, 0.0F);
  const auto submit = [&](std::uint32_t client, std::int64_t due, bool longest_first) {
    return pool->submit(task_of(client, base), {.due = std::chrono::nanoseconds(due), .longest_first = longest_first});
  };
  static_cast<void>(submit(0, 5, true));                      // size 1
  static_cast<void>(submit(1, 5, true));                      // size 8
  const TrainingPool::JobId last = submit(10, 5, true);       // size 1
  static_cast<void>(submit(2, 5, true));                      // size 5
  static_cast<void>(submit(3, 4, true));                      // size 2
  const TrainingPool::JobId unordered = submit(4, 6, false);  // size 9
  static_cast<void>(submit(6, 5, true));                      // size 3

  EXPECT_TRUE(pool->take(last).ok());
  EXPECT_EQ(order, (std::vector<std::uint32_t>{3, 1, 2, 6, 0, 10}));
  EXPECT_TRUE(pool->take(unordered).ok());
}

FunctionTrainerFactory measured_by_part() {
  FunctionTrainerFactory factory(3,
                                 [](const TrainTask& task) -> Result<TrainOutcome> { return nothing_changed(task); });
  factory.set_measure([](std::span<const float> model, std::uint32_t part) -> Result<Evaluation> {
    return Evaluation{.samples = part + 1, .metrics = {{"loss", static_cast<double>(model[0]) / (part + 3.0)}}};
  });
  return factory;
}

TEST(TrainingPool, AnEvaluationBesideTrainingMeasuresTheSame) {
  const FunctionTrainerFactory factory = measured_by_part();
  const auto model = std::make_shared<const std::vector<float>>(3, 7.0F);
  for (const std::uint32_t workers : {0U, 1U, 3U}) {
    const auto pool = TrainingPool::create(factory, workers).value();
    const Evaluation alone = pool->evaluate(*model).value();

    const auto beside = pool->begin_evaluation(model);
    const TrainingPool::JobId job = pool->submit(task_of(0, model));
    EXPECT_TRUE(pool->take(job).ok());
    pool->finish(*beside);

    ASSERT_TRUE(beside->done());
    const Evaluation measured = beside->result().value();
    EXPECT_EQ(measured.samples, 36U);
    EXPECT_EQ(measured.metrics, alone.metrics) << workers << " workers";
  }
  EXPECT_EQ(model.use_count(), 1);
}

// The last reference must not vanish on another thread, where nothing orders its readings before a change in place.
TEST(TrainingPool, AModelThatIsReleasedElsewhereIsDroppedByTheDriver) {
  const FunctionTrainerFactory factory = noisy_pull(10);
  const auto pool = TrainingPool::create(factory, 1).value();
  const auto own = std::make_shared<std::vector<float>>(10, 0.0F);
  const auto release_elsewhere = [&] { std::thread([&, model = ModelValues(own)] { pool->release(model); }).join(); };

  release_elsewhere();
  EXPECT_EQ(own.use_count(), 2);
  pool->drop_released();
  EXPECT_EQ(own.use_count(), 1);

  release_elsewhere();
  EXPECT_TRUE(pool->take(pool->submit(task_of(0, std::make_shared<const std::vector<float>>(10, 0.0F)))).ok());
  EXPECT_EQ(own.use_count(), 1);
}

TEST(TrainingPool, AnEvaluationThatWasBegunIsFinishedWhenThePoolEnds) {
  const FunctionTrainerFactory factory = measured_by_part();
  for (const std::uint32_t workers : {0U, 2U}) {
    auto pool = TrainingPool::create(factory, workers).value();
    const auto evaluation = pool->begin_evaluation(std::make_shared<const std::vector<float>>(3, 7.0F));

    pool.reset();

    ASSERT_TRUE(evaluation->done());
    EXPECT_TRUE(evaluation->result().ok());
  }
}

}  // namespace
}  // namespace tributary
