// SPDX-License-Identifier: Apache-2.0
#include "tributary/core/training_pool.hpp"

#include <gtest/gtest.h>

#include <stdexcept>

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
      const Contribution contribution = pool->take(job).value();
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

TEST(TrainingPool, ReturningTheBaseIsAZeroChange) {
  const FunctionTrainerFactory factory(3, [](const TrainTask& task) -> Result<TrainOutcome> {
    return TrainOutcome{.model = task.base, .weight = 2.0, .samples = 1, .steps = 0, .metrics = {}};
  });
  const auto pool = TrainingPool::create(factory, 0).value();

  const auto job = pool->submit(task_of(0, std::make_shared<const std::vector<float>>(3, 7.0F)));
  const Contribution contribution = pool->take(job).value();

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
            "the trainer returned a model of 2 values, not of 3");
  EXPECT_EQ(second->take(second->submit(task_of(0, base))).status().message(),
            "a weight must be a number from 2^-16 (0.0000153) to 2^38, got 0");
}

}  // namespace
}  // namespace tributary
