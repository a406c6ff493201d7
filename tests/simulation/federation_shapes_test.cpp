// SPDX-License-Identifier: Apache-2.0
// What trees, links and the virtual clock cost and decide: what only the simulation can tell. That it gives the same
// model as every other driver is the contract's business (driver_contract_test.cpp).
#include <gtest/gtest.h>

#include "support/fake_trainer.hpp"
#include "support/simulate.hpp"

namespace tributary::testing {
namespace {

TEST(FederationShapes, CountedBytesOfOneRoundAreTwoPayloadsPerEdge) {
  constexpr std::size_t kParameters = 20000;
  const FunctionTrainerFactory factory = noisy_pull(kParameters);
  struct Expected {
    std::uint32_t branching;
    std::uint32_t height;
    double payloads;
  };
  constexpr double kClientPayloads = 512;
  for (const auto& [branching, height, payloads] :
       {Expected{256, 1, 512}, Expected{16, 2, 544}, Expected{4, 4, 680}, Expected{2, 8, 1020}}) {
    const Simulated run = simulate(rounds(1), make_tree(balanced_counts(branching, height)), factory);

    const EdgeTraffic total = run.statistics.traffic.total();
    const double counted = static_cast<double>(total.bytes_down + total.bytes_up) / (kParameters * 4.0);
    // Above the clients one of each two payloads is a sum, which may take 5 bytes a value.
    const double most = kClientPayloads + 1.125 * (payloads - kClientPayloads);
    EXPECT_GE(counted, payloads) << "height " << height;
    EXPECT_LE(counted, 1.01 * most) << "height " << height;
  }
}

// One edge that does k local rounds is FedAvg with k rounds (arXiv 1905.06641).
TEST(FederationShapes, OneEdgeWithLocalRoundsIsThatManyRounds) {
  const FunctionTrainerFactory pull(20, [](const TrainTask& task) -> Result<TrainOutcome> {
    auto model = std::make_shared<std::vector<float>>(*task.base);
    for (std::size_t i = 0; i < model->size(); ++i) {
      (*model)[i] += 0.25F * (static_cast<float>(task.client.value) - (*model)[i]);
    }
    return TrainOutcome{.model = std::move(model), .weight = 1.0, .metrics = {}};
  });
  Configuration local = rounds(2);
  local.tiers[1].local_rounds = 3;

  const Simulated edge = simulate(local, make_tree({1, 4, 0, 0, 0, 0}), pull);
  const Simulated flat = simulate(rounds(6), make_tree({4, 0, 0, 0, 0}), pull);

  ASSERT_TRUE(edge.status.ok()) << edge.status.to_string();
  for (std::size_t i = 0; i < 20; ++i) { EXPECT_NEAR(edge.observer.model()[i], flat.observer.model()[i], 1e-6); }
}

// A grid for the heaviest possible cohort would not see the changes of the others.
TEST(FederationShapes, AHeavyClientCostsOnlyTheRoundsThatItIsIn) {
  constexpr double kHeavy = 1e8;
  const auto weight = [](ClientIndex client) { return client.value == 0 ? kHeavy : 1.0; };
  const FunctionTrainerFactory factory(
      20,
      [&weight](const TrainTask& task) -> Result<TrainOutcome> {
        auto model = std::make_shared<std::vector<float>>(*task.base);
        for (float& value : *model) { value += 1e-7F; }
        return TrainOutcome{.model = std::move(model), .weight = weight(task.client), .metrics = {}};
      },
      weight);
  Configuration configuration = rounds(5);
  configuration.default_tier.cohort_count = 10;

  const Simulated run = simulate(configuration, make_tree(balanced_counts(200, 1)), factory);

  ASSERT_TRUE(run.status.ok()) << run.status.to_string();
  for (const float value : run.observer.model()) { EXPECT_NEAR(value, 5e-7F, 5e-10F); }
}

TEST(FederationShapes, BytesAboveTheFirstTierFallByTheNumberOfLocalRounds) {
  const FunctionTrainerFactory factory = noisy_pull(5000);
  const Tree tree = make_tree(balanced_counts(4, 2));
  Configuration local = rounds(1);
  local.default_tier.local_rounds = 4;

  const Simulated few = simulate(local, tree, factory);
  const Simulated many = simulate(rounds(4), tree, factory);

  const auto above = [](const Simulated& run) {
    return static_cast<double>(run.statistics.traffic.tiers.at(1).bytes_up);
  };
  // Local rounds send differences of 4 bytes a value, the others sums of 4 or 5.
  EXPECT_GE(above(many) / above(few), 4.0 - 0.02);
  EXPECT_LE(above(many) / above(few), 1.25 * 4.0 + 0.02);
  EXPECT_EQ(few.statistics.tasks_trained, many.statistics.tasks_trained);
}

TEST(FederationShapes, OverSelectionAndDeadlinesDoNotDependOnThreads) {
  const FunctionTrainerFactory factory = noisy_pull(500);
  Configuration configuration = rounds(6);
  configuration.default_tier.cohort_count = 6;
  configuration.default_tier.over_selection = 1.5;
  configuration.default_tier.deadline_s = 5.0;
  configuration.default_tier.quorum = 0.5;
  const Tree tree = make_tree(balanced_counts(12, 2));
  SimulationSettings settings;
  settings.compute_time = [](ClientIndex client) { return std::chrono::milliseconds(300 * (1 + client.value % 31)); };
  settings.threads = 1;
  const Simulated one = simulate(configuration, tree, factory, settings);
  settings.threads = 3;

  const Simulated three = simulate(configuration, tree, factory, settings);

  ASSERT_TRUE(one.status.ok()) << one.status.to_string();
  EXPECT_EQ(one.observer.model(), three.observer.model());
}

TEST(FederationShapes, AMillionClientsCostWhatTheirCohortCosts) {
  const FunctionTrainerFactory factory = noisy_pull(10);
  Configuration configuration = rounds(2);
  configuration.default_tier.cohort_count = 100;
  std::vector<std::uint32_t> counts(1'000'001, 0);
  counts[0] = 1'000'000;

  const Simulated run = simulate(configuration, make_tree(std::move(counts)), factory);

  ASSERT_TRUE(run.status.ok()) << run.status.to_string();
  EXPECT_EQ(run.statistics.tasks_trained, 200U);
  EXPECT_LE(run.statistics.traffic.edges.size(), 200U);
}

// At the deadline of 10 s seven of ten clients have answered; the three slow ones are late and are not waited for.
TEST(FederationShapes, ADeadlineWithAQuorumLeavesTheSlowOnesOut) {
  const FunctionTrainerFactory factory = roll_call(10);
  Configuration configuration = rounds(1);
  configuration.default_tier.deadline_s = 10.0;
  configuration.default_tier.quorum = 0.5;
  const auto compute_time = [](ClientIndex client) { return std::chrono::seconds(client.value < 7 ? 4 : 60); };

  const Simulated run =
      simulate(configuration, make_tree(balanced_counts(10, 1)), factory, {.compute_time = compute_time});

  ASSERT_TRUE(run.status.ok()) << run.status.to_string();
  EXPECT_EQ(run.observer.reports.at(1).contributors, 7U);
  EXPECT_EQ(run.observer.reports.at(1).late, 3U);
  EXPECT_EQ(run.statistics.clock, std::chrono::seconds(10));
}

TEST(FederationShapes, OverSelectionTakesTheFirstReports) {
  const FunctionTrainerFactory factory = roll_call(10);
  Configuration configuration = rounds(1);
  configuration.default_tier.cohort_count = 5;
  configuration.default_tier.over_selection = 2.0;
  const auto compute_time = [](ClientIndex client) { return std::chrono::seconds(1 + client.value); };

  const Simulated run =
      simulate(configuration, make_tree(balanced_counts(10, 1)), factory, {.compute_time = compute_time});

  ASSERT_TRUE(run.status.ok()) << run.status.to_string();
  for (std::size_t client = 0; client < 10; ++client) {
    EXPECT_NEAR(run.observer.model()[client], client < 5 ? 0.2 : 0.0, 1e-6) << client;
  }
}

// A model takes ten seconds over each link, far longer than the first questions wait: nothing is sent twice for that.
TEST(FederationShapes, WhatIsStillOnItsWayIsNotSentAgain) {
  constexpr std::size_t kParameters = 250'000;
  const FunctionTrainerFactory factory = noisy_pull(kParameters);
  Tree::Builder builder{.child_counts = {2, 0, 0}, .attributes = {}};
  for (const std::uint32_t node : {1U, 2U}) { builder.attributes[node].link = {.bytes_per_second = 1e5}; }

  const Simulated run = simulate(rounds(2), Tree::create(std::move(builder)).value(), factory);

  ASSERT_TRUE(run.status.ok()) << run.status.to_string();
  const EdgeTraffic total = run.statistics.traffic.total();
  EXPECT_NEAR(static_cast<double>(total.bytes_down + total.bytes_up) / (kParameters * 4.0), 8.0, 0.08);
  EXPECT_TRUE(run.observer.notes.empty());
}

TEST(FederationShapes, SlowLinksCountOnTheVirtualClock) {
  const FunctionTrainerFactory factory = noisy_pull(250'000);  // 1 MB
  Tree::Builder builder{.child_counts = {1, 0}, .attributes = {}};
  builder.attributes[1].link = {.bytes_per_second = 1e6, .latency = std::chrono::milliseconds(500)};
  const Tree tree = Tree::create(std::move(builder)).value();

  const Simulated run = simulate(rounds(1), tree, factory);

  EXPECT_NEAR(std::chrono::duration<double>(run.statistics.clock).count(), 3.0, 0.01);
}

}  // namespace
}  // namespace tributary::testing
