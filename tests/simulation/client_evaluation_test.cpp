// SPDX-License-Identifier: Apache-2.0
// Models that clients measure on samples which they hold out: whole federations in the simulation.
#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "support/fake_trainer.hpp"
#include "support/federation.hpp"
#include "support/simulate.hpp"
#include "tributary/base/random.hpp"

namespace tributary::testing {
namespace {

// Client c holds out 1 + c % 5 samples; what it finds on them depends on it and on the model. "client_C" says that it
// was counted: once for each of its samples.
FunctionTrainerFactory measuring(const std::function<Result<Evaluation>(const EvaluateTask&, Evaluation)>& twist =
                                     [](const EvaluateTask& /*task*/, Evaluation made) {
                                       return Result<Evaluation>(std::move(made));
                                     }) {
  FunctionTrainerFactory factory = noisy_pull(40);
  const auto samples = [](ClientIndex client) { return std::uint64_t{1} + client.value % 5; };
  factory.set_holdout(samples, [samples, twist](const EvaluateTask& task) {
    double sum = 0.0;
    for (const float value : *task.model) { sum += static_cast<double>(value); }
    const double loss = sum / (1.0 + task.client.value);
    return twist(task, {.samples = samples(task.client),
                        .metrics = {{"loss", loss}, {"client_" + std::to_string(task.client.value), 1.0}}});
  });
  return factory;
}

const EvaluationReport& evaluation_of(const Simulated& run, std::uint64_t round) {
  static const EvaluationReport kNone;
  const auto found = run.observer.reports.find(round);
  const bool measured = found != run.observer.reports.end() && found->second.evaluation;
  EXPECT_TRUE(measured) << "round " << round;
  return measured ? *found->second.evaluation : kNone;
}

TEST(ClientEvaluation, EveryTreeGivesTheSumsOfTheStarAndTheModelOfARunWithoutIt) {
  const Simulated plain = simulate(rounds(3), make_tree(balanced_counts(8, 1)), noisy_pull(40));
  const Simulated star = simulate(rounds(3), make_tree(balanced_counts(8, 1)), measuring());
  const Simulated tree = simulate(rounds(3), make_tree(balanced_counts(2, 3)), measuring());

  ASSERT_TRUE(star.status.ok()) << star.status.to_string();
  ASSERT_TRUE(tree.status.ok()) << tree.status.to_string();
  EXPECT_EQ(star.observer.model(), plain.observer.model());
  EXPECT_EQ(tree.observer.model(), plain.observer.model());
  for (std::uint64_t round = 1; round <= 3; ++round) {
    EXPECT_EQ(evaluation_of(star, round).contributors, 8U);
    EXPECT_EQ(evaluation_of(star, round).samples, Weight::from(1 + 2 + 3 + 4 + 5 + 1 + 2 + 3).value());
    EXPECT_EQ(evaluation_of(tree, round).samples, evaluation_of(star, round).samples);
    EXPECT_EQ(evaluation_of(tree, round).scalars, evaluation_of(star, round).scalars) << "exact sums";
  }
}

TEST(ClientEvaluation, SubsetsOfTheClientsAreAskedBelowEachNode) {
  Configuration configuration = rounds(4);
  configuration.evaluation.clients.fraction = 0.5;
  const Simulated run = simulate(configuration, make_tree(balanced_counts(4, 2)), measuring());

  ASSERT_TRUE(run.status.ok()) << run.status.to_string();
  std::set<std::string> asked;
  for (std::uint64_t round = 1; round <= 4; ++round) {
    const EvaluationReport& evaluation = evaluation_of(run, round);
    EXPECT_EQ(evaluation.contributors, 8U) << "two below each of four aggregators";
    EXPECT_EQ(evaluation.state.asked, 4U) << "all aggregators";
    for (const auto& [name, sum] : evaluation.scalars) { asked.insert(name); }
  }
  EXPECT_GT(asked.size(), 10U) << "not the same in each round";
}

TEST(ClientEvaluation, WhoFailsToMeasureIsLeftOutAndTheModelIsTheSame) {
  const auto broken = [](const EvaluateTask& task, Evaluation made) -> Result<Evaluation> {
    if (task.client.value == 2) { return unavailable("no time"); }
    if (task.client.value == 3) { return Evaluation{.samples = 1000, .metrics = {}}; }
    return made;
  };
  const Simulated run = simulate(rounds(2), make_tree(balanced_counts(2, 2)), measuring(broken));

  ASSERT_TRUE(run.status.ok()) << run.status.to_string();
  EXPECT_EQ(evaluation_of(run, 2).contributors, 2U);
  EXPECT_EQ(evaluation_of(run, 2).state.failed, 1U) << "the aggregator without anybody";
  EXPECT_EQ(run.observer.model(),
            simulate(rounds(2), make_tree(balanced_counts(2, 2)), noisy_pull(40)).observer.model());
  bool told = false;
  for (const NodeEvent& note : run.observer.heard) {
    told = told || note.detail.find("on 1000 samples, and 4 at most are held out there") != std::string::npos;
  }
  EXPECT_TRUE(told);
}

TEST(ClientEvaluation, NobodyWaitsLongerThanTheDeadlineForThoseWhoAreLate) {
  Configuration configuration = rounds(2);
  configuration.default_tier.deadline_s = 10.0;
  SimulationSettings settings;
  settings.evaluation_time = [](ClientIndex client) { return std::chrono::seconds(client.value == 0 ? 3600 : 1); };
  const Simulated run = simulate(configuration, make_tree(balanced_counts(2, 2)), measuring(), settings);

  ASSERT_TRUE(run.status.ok()) << run.status.to_string();
  EXPECT_EQ(evaluation_of(run, 2).contributors, 3U);
  EXPECT_LE(run.statistics.clock, std::chrono::seconds(40));
}

TEST(ClientEvaluation, ItsTimeAndItsBytesAreCharged) {
  SimulationSettings settings;
  settings.compute_time = [](ClientIndex) { return std::chrono::seconds(5); };
  settings.evaluation_time = [](ClientIndex) { return std::chrono::seconds(2); };
  const Tree tree = make_tree(balanced_counts(2, 2));
  const Simulated plain = simulate(rounds(3), tree, noisy_pull(40), settings);
  const Simulated measured = simulate(rounds(3), tree, measuring(), settings);

  EXPECT_EQ(plain.statistics.clock, std::chrono::seconds(15));
  EXPECT_EQ(measured.statistics.clock, std::chrono::seconds(21));
  const std::uint64_t model_down = 3U * 6U * 40U * sizeof(float);
  const auto down = [](const Simulated& run) { return run.statistics.traffic.total().bytes_down; };
  EXPECT_GT(down(measured), down(plain) + model_down);
  EXPECT_LT(down(measured), down(plain) + model_down + 3U * 6U * 200U) << "each model once, and its letters";
  EXPECT_EQ(measured.statistics.tasks_trained, plain.statistics.tasks_trained);
}

// Whatever is lost, repeated or killed: a client is counted once in an evaluation or not at all, and all metrics of it.
TEST(ClientEvaluation, UnderFaultsEachClientIsCountedOnceOrNotAtAll) {
  std::uint64_t whole = 0;
  std::uint64_t partial = 0;
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    Rng rng(stream_seed(seed, Purpose::kTest, 11));
    const Tree tree = make_tree(balanced_counts(2 + static_cast<std::uint32_t>(rng.below(2)), 2));
    Configuration configuration = rounds(3);
    configuration.seed = seed;
    configuration.evaluation.clients.fraction = rng.chance(0.5) ? 1.0 : 0.6;
    if (rng.chance(0.5)) { configuration.default_tier.deadline_s = 8.0 + 10.0 * rng.uniform(); }
    configuration.simulation.faults = {
        .drop = 0.4 * rng.uniform(), .duplicate = 0.2 * rng.uniform(), .kill = 0.1 * rng.uniform(), .seed = seed};
    SimulationSettings settings{.largest_events = 1'000'000};
    settings.evaluation_time = [](ClientIndex client) { return std::chrono::seconds(client.value % 3); };

    const Simulated run = simulate(configuration, tree, measuring(), settings);

    ASSERT_NE(run.status.code(), Code::kInternal) << seed << ": " << run.status.to_string();
    for (const auto& [round, report] : run.observer.reports) {
      ASSERT_EQ(report.evaluation.has_value(), report.committed) << "seed " << seed << ", round " << round;
      if (!report.evaluation) { continue; }
      std::uint64_t units = 0;
      std::uint32_t counted = 0;
      for (const auto& [name, sum] : report.evaluation->scalars) {
        if (!name.starts_with("client_")) { continue; }
        const std::uint64_t samples = 1 + std::stoul(name.substr(7)) % 5;
        EXPECT_EQ(sum.weight(), Weight::from(static_cast<double>(samples)).value()) << "seed " << seed << ", " << name;
        units += sum.weight().units();
        ++counted;
      }
      EXPECT_EQ(report.evaluation->contributors, counted) << "seed " << seed;
      EXPECT_EQ(report.evaluation->samples.units(), units) << "seed " << seed;
      const bool all = report.evaluation->state.reported == report.evaluation->state.asked;
      (all ? whole : partial) += 1;
    }
    if (HasFailure()) { FAIL() << "seed " << seed; }
  }
  EXPECT_GT(whole, 300U);
  EXPECT_GT(partial, 20U) << "the schedules hardly ever lose anybody";
}

TEST(ClientEvaluation, ContinuousTiersDoNotUseWhatALibraryHoldsOutAndSayWhy) {
  Configuration configuration = rounds(3);
  configuration.tiers[0].policy = "asynchronous";
  const Tree tree = make_tree(balanced_counts(4, 1));
  const FunctionTrainerFactory factory = measuring();
  const Result<Plan> plan = make_plan(configuration, tree, factory);
  ASSERT_TRUE(plan.ok()) << plan.status().to_string();
  EXPECT_FALSE(plan->clients_evaluate());
  EXPECT_NE(plan->evaluation_obstacle().find("tiers.0.policy is asynchronous"), std::string::npos);

  configuration.evaluation.clients.holdout = 0.2;
  EXPECT_EQ(make_plan(configuration, tree, factory).status().code(), Code::kConfiguration);
}

TEST(ClientEvaluation, KeysWithoutAnythingHeldOutAreRefused) {
  Configuration configuration = rounds(3);
  configuration.evaluation.clients.fraction = 0.5;
  const Status refused = make_plan(configuration, make_tree(balanced_counts(4, 1)), noisy_pull(4)).status();
  EXPECT_EQ(refused.code(), Code::kConfiguration);
  EXPECT_NE(refused.message().find("TrainerFactory::holdout_samples()"), std::string::npos) << refused.to_string();
}

}  // namespace
}  // namespace tributary::testing
