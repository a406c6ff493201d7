// SPDX-License-Identifier: Apache-2.0
// A root whose tasks outlive its commits: FedBuff and FedAsync, their discounts, and what faults may not change.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "support/fake_trainer.hpp"
#include "support/simulate.hpp"

namespace tributary::testing {
namespace {

using std::chrono::milliseconds;
using std::chrono::nanoseconds;
using std::chrono::seconds;
using Discount = TierConfig::Discount;

Configuration continuous(std::uint64_t commits, const std::string& policy, TierConfig tier = {}) {
  Configuration configuration = rounds(commits);
  tier.policy = policy;
  configuration.tiers[0] = tier;
  return configuration;
}

// Whatever it is given, a client ends at 1.
FunctionTrainerFactory to_one() {
  return FunctionTrainerFactory(1, [](const TrainTask& /*task*/) -> Result<TrainOutcome> {
    return TrainOutcome{.model = std::make_shared<std::vector<float>>(1, 1.0F), .weight = 1.0, .samples = 1};
  });
}

double total(const std::vector<float>& model) {
  return std::accumulate(model.begin(), model.end(), 0.0);
}

// Both train from 0 to 1. The second update is one commit old and counts 2^-1/2; taken against the model of its
// arrival instead of its own base it would change nothing, and the result would be 1.
TEST(Continuous, AnUpdateIsTakenAgainstTheModelItWasTrainedFrom) {
  const Simulated run = simulate(continuous(2, "buffered", {.buffer = 1}), make_tree({2, 0, 0}), to_one());

  ASSERT_TRUE(run.status.ok()) << run.status.to_string();
  EXPECT_NEAR(run.observer.model()[0], 1.0 + 1.0 / std::sqrt(2.0), 0x1p-12);
  EXPECT_EQ(run.observer.model()[0], 1.0F + 2896.0F / 4096.0F) << "discounts are multiples of 2^-12";
  EXPECT_EQ(run.observer.reports.at(2).staleness.most, 1U);
}

// w = 0, x = 1, server rate 0.6, staleness 3, a = 0.5: the fourth update moves the model by 0.3.
TEST(Continuous, FedAsyncInDeltaForm) {
  Configuration configuration = continuous(4, "asynchronous", {.discount = Discount::kPolynomial, .discount_a = 0.5});
  configuration.server_optimizer.lr = 0.6;
  const Simulated run = simulate(configuration, make_tree({4, 0, 0, 0, 0}), to_one());

  ASSERT_TRUE(run.status.ok()) << run.status.to_string();
  EXPECT_EQ(run.observer.reports.at(4).staleness.least, 3U);
  EXPECT_NEAR(run.observer.models.at(4)[0] - run.observer.models.at(3)[0], 0.3, 1e-6);
}

TEST(Continuous, StalenessIsCountedByPowersOfTwo) {
  StalenessCounts counts;
  for (const double staleness : {0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 8.0, 9.0, 16.0, 17.0}) { counts.add(staleness, 1); }
  counts.add(1e9, 7);
  const auto& places = counts.counts();
  EXPECT_EQ(std::vector<std::uint64_t>(places.begin(), places.begin() + 7),
            (std::vector<std::uint64_t>{1, 1, 1, 2, 2, 2, 1}));
  EXPECT_EQ(places.back(), 7U);

  // Four clients of one speed: each later update of a wave is one commit staler.
  const Simulated run = simulate(continuous(8, "asynchronous", {}), make_tree({4, 0, 0, 0, 0}), to_one());
  ASSERT_TRUE(run.status.ok()) << run.status.to_string();
  std::uint64_t updates = 0;
  for (const auto& [round, report] : run.observer.reports) {
    for (const std::uint64_t count : report.staleness_counts.counts()) { updates += count; }
    EXPECT_EQ(report.staleness_counts.counts()[std::min<std::uint64_t>(report.staleness.most, 3)], 1U) << round;
  }
  EXPECT_EQ(updates, 8U);
}

TEST(Continuous, AFullBufferOfEquallyFastClientsIsARoundOfFedAvg) {
  const FunctionTrainerFactory factory(
      3,
      [](const TrainTask& task) -> Result<TrainOutcome> {
        auto model = std::make_shared<std::vector<float>>(*task.base);
        for (float& value : *model) { value += 0.3F * (static_cast<float>(task.client.value) - value); }
        return TrainOutcome{.model = std::move(model), .weight = 1.0 + task.client.value, .samples = 1};
      },
      [](ClientIndex client) { return 1.0 + client.value; });
  const Tree tree = make_tree(balanced_counts(5, 1));
  const SimulationSettings same_speed{.compute_time = [](ClientIndex) { return seconds(1); }};

  const Simulated synchronous = simulate(rounds(6), tree, factory, same_speed);
  const Simulated buffered =
      simulate(continuous(6, "buffered", {.buffer = 5, .discount = Discount::kConstant}), tree, factory, same_speed);

  ASSERT_TRUE(buffered.status.ok()) << buffered.status.to_string();
  EXPECT_EQ(buffered.observer.model(), synchronous.observer.model());
  EXPECT_EQ(buffered.observer.reports.at(6).staleness.most, 0U);
  EXPECT_EQ(buffered.statistics.clock, synchronous.statistics.clock);
}

// Clients of even numbers draw the model to 0 and answer five times for each time that those of odd numbers draw it
// to 1. Where it comes to rest says for how much each of the two sides counts.
TEST(Continuous, WithRatesCorrectedTheFastDoNotDecideWhereTheModelEnds) {
  const auto rest = [](const std::string& policy, const TierConfig& settings, double weight_of_odd) {
    const auto weight = [weight_of_odd](ClientIndex client) { return client.value % 2 == 0 ? 1.0 : weight_of_odd; };
    const FunctionTrainerFactory factory(
        1,
        [weight](const TrainTask& task) -> Result<TrainOutcome> {
          const float target = task.client.value % 2 == 0 ? 0.0F : 1.0F;
          const float x = task.base->front();
          auto model = std::make_shared<std::vector<float>>(1, x + 0.01F * (target - x));
          return TrainOutcome{.model = std::move(model), .weight = weight(task.client), .samples = 1};
        },
        weight);
    SimulationSettings speeds;
    speeds.compute_time = [](ClientIndex client) { return milliseconds(client.value % 2 == 0 ? 1000 : 5003); };
    const Simulated run =
        simulate(continuous(6000, policy, settings), make_tree(balanced_counts(6, 1)), factory, speeds);
    EXPECT_TRUE(run.status.ok()) << run.status.to_string();
    return static_cast<double>(run.observer.model().front());
  };
  const TierConfig plain{.buffer = 2, .discount = Discount::kConstant};
  TierConfig corrected = plain;
  corrected.rate_correction = 10.0;
  EXPECT_NEAR(rest("asynchronous", plain, 1.0), 1.0 / 6.0, 0.03);
  EXPECT_NEAR(rest("asynchronous", corrected, 1.0), 0.5, 0.03);
  EXPECT_NEAR(rest("asynchronous", plain, 3.0), 1.0 / 6.0, 0.03) << "weights do not show in single updates";
  EXPECT_NEAR(rest("asynchronous", corrected, 3.0), 0.75, 0.03);
  EXPECT_NEAR(rest("buffered", plain, 1.0), 1.0 / 6.0, 0.06) << "the fast wait for a buffer now and then";
  EXPECT_NEAR(rest("buffered", corrected, 1.0), 0.5, 0.03);
}

// The same by a loop of a few lines: who is ready first commits, and starts again from the new model.
TEST(Continuous, EqualsAReplayOfItsUpdatesInTheOrderOfTheirArrival) {
  const std::vector<nanoseconds> speeds{milliseconds(1000), milliseconds(1710), milliseconds(5303)};
  constexpr std::uint64_t kCommits = 60;
  struct Client {
    nanoseconds ready;
    std::uint64_t version = 0;
  };
  std::vector<Client> clients;
  for (const nanoseconds speed : speeds) { clients.push_back({speed}); }
  std::vector<double> expected(3, 0.0);
  std::uint64_t oldest = 0;
  for (std::uint64_t version = 0; version < kCommits; ++version) {
    const auto first = std::ranges::min_element(clients, {}, &Client::ready);
    const auto client = static_cast<std::size_t>(first - clients.begin());
    const std::uint64_t staleness = version - first->version;
    expected[client] += std::rint(4096.0 / std::sqrt(1.0 + static_cast<double>(staleness))) / 4096.0;
    oldest = std::max(oldest, staleness);
    *first = {first->ready + speeds[client], version + 1};
  }

  const Simulated run = simulate(continuous(kCommits, "asynchronous"), make_tree({3, 0, 0, 0}), roll_call(3),
                                 {.compute_time = [&](ClientIndex client) { return speeds[client.value]; }});

  ASSERT_TRUE(run.status.ok()) << run.status.to_string();
  for (std::size_t client = 0; client < 3; ++client) {
    EXPECT_NEAR(run.observer.model()[client], expected[client], 1e-4) << client;
  }
  std::uint64_t most = 0;
  for (const auto& [round, report] : run.observer.reports) { most = std::max(most, report.staleness.most); }
  EXPECT_EQ(most, oldest);
  EXPECT_GE(oldest, 5U);
}

TEST(Continuous, AnyNumberOfThreadsGivesTheSameBits) {
  const FunctionTrainerFactory factory = noisy_pull(200);
  const Tree tree = make_tree(balanced_counts(20, 1));
  const Configuration configuration = continuous(40, "buffered", {.buffer = 4, .concurrency = 9});
  const auto speed = [](ClientIndex client) { return milliseconds(100 + 37 * (client.value % 11)); };
  const Simulated one = simulate(configuration, tree, factory, {.threads = 1, .compute_time = speed});

  const Simulated three = simulate(configuration, tree, factory, {.threads = 3, .compute_time = speed});

  ASSERT_TRUE(one.status.ok()) << one.status.to_string();
  EXPECT_EQ(one.observer.model(), three.observer.model());
  EXPECT_EQ(one.statistics.events, three.statistics.events);
}

TEST(Continuous, NobodyWaitsForASlowClient) {
  const Tree tree = make_tree(balanced_counts(12, 1));
  const auto speed = [](ClientIndex client) { return seconds(client.value == 0 ? 50 : 1 + client.value % 3); };
  Configuration synchronous = rounds(10);
  const Simulated waits = simulate(synchronous, tree, roll_call(12), {.compute_time = speed});
  const Simulated goes_on =
      simulate(continuous(10, "buffered", {.buffer = 12 - 1}), tree, roll_call(12), {.compute_time = speed});

  ASSERT_TRUE(goes_on.status.ok()) << goes_on.status.to_string();
  EXPECT_EQ(waits.statistics.clock, seconds(500));
  EXPECT_LT(goes_on.statistics.clock, seconds(40));
}

TEST(Continuous, ABufferIsCommittedAfterItsLongestWait) {
  const auto speed = [](ClientIndex client) { return seconds(client.value == 0 ? 1 : 1000); };
  const Simulated run = simulate(continuous(3, "buffered", {.deadline_s = 10.0, .buffer = 2}), make_tree({2, 0, 0}),
                                 roll_call(2), {.compute_time = speed});

  ASSERT_TRUE(run.status.ok()) << run.status.to_string();
  EXPECT_EQ(run.statistics.clock, seconds(30));
  EXPECT_EQ(run.observer.model(), (std::vector<float>{1.5F, 0.0F})) << "half a step for half a buffer";
}

TEST(Continuous, WhatIsTooOldIsRefusedAndSaid) {
  const auto speed = [](ClientIndex client) { return seconds(client.value == 0 ? 1 : 10); };
  const Simulated run = simulate(continuous(25, "asynchronous", {.discount = Discount::kConstant, .max_staleness = 3}),
                                 make_tree({2, 0, 0}), roll_call(2), {.compute_time = speed});

  ASSERT_TRUE(run.status.ok()) << run.status.to_string();
  EXPECT_EQ(run.observer.model(), (std::vector<float>{25.0F, 0.0F}));
  EXPECT_EQ(run.observer.notes.at(NodeEvent::Kind::kRefused), 2);
}

// Aggregators run rounds of their own; what they send is a sum of their clients, on the root's grid.
TEST(Continuous, SynchronousAggregatorsUnderAnAsynchronousRoot) {
  const Tree tree = make_tree(balanced_counts(3, 2));
  const auto speed = [](ClientIndex client) { return seconds(1 + client.value / 3); };
  const Simulated run = simulate(continuous(24, "asynchronous", {.discount = Discount::kConstant}), tree, roll_call(9),
                                 {.compute_time = speed});

  ASSERT_TRUE(run.status.ok()) << run.status.to_string();
  EXPECT_NEAR(total(run.observer.model()), 24.0, 1e-4) << "a third of each of three clients with every commit";
  for (const auto& [round, report] : run.observer.reports) { EXPECT_EQ(report.contributors, 3U); }
  EXPECT_GT(run.observer.model()[0], run.observer.model()[8]);
}

TEST(Continuous, WhenNobodyCanTrainTheRunEnds) {
  const FunctionTrainerFactory factory(
      1, [](const TrainTask& /*task*/) -> Result<TrainOutcome> { return unavailable("no power"); });
  const Simulated run = simulate(continuous(5, "buffered", {.buffer = 2}), make_tree({3, 0, 0, 0}), factory);

  EXPECT_EQ(run.status.code(), Code::kUnavailable);
  EXPECT_NE(run.status.message().find("no power"), std::string::npos) << run.status.to_string();
}

// Everything that was counted is in the model, once: each commit of a full buffer adds 1 in all.
class ContinuousFaults : public ::testing::TestWithParam<std::string> {};

TEST_P(ContinuousFaults, NothingIsLostOrDoubled) {
  int kills = 0;
  int duplicates = 0;
  for (std::uint64_t seed = 1; seed <= 150; ++seed) {
    Configuration configuration =
        continuous(12, GetParam(), {.buffer = 4, .concurrency = 6, .discount = Discount::kConstant, .retries = 100});
    if (GetParam() == "asynchronous") { configuration.tiers[0].buffer = 10; }
    configuration.seed = seed;
    configuration.simulation.faults = {
        .drop = 0.1, .duplicate = 0.1, .delay = 0.2, .delay_s = 2.0, .kill = 0.1, .down_s = 3.0, .seed = seed};
    const bool flat = seed % 2 == 0;
    const std::uint32_t clients = flat ? 8 : 16;
    const Tree tree = make_tree(flat ? balanced_counts(8, 1)
                                     : std::vector<std::uint32_t>(std::vector<std::uint32_t>{
                                           8, 2, 2, 2, 2, 2, 2, 2, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}));
    const FunctionTrainerFactory factory = roll_call(clients, [seed](auto f) { return failing_at_first(f, seed); });

    Simulated run =
        simulate(configuration, tree, factory,
                 {.compute_time = [](ClientIndex client) { return milliseconds(500 + 300 * (client.value % 5)); },
                  .largest_events = 200'000});

    ASSERT_TRUE(run.status.ok()) << "seed " << seed << ": " << run.status.to_string();
    double expected = 0.0;
    const double buffer = GetParam() == "asynchronous" ? 1.0 : 4.0;
    for (const auto& [round, report] : run.observer.reports) {
      if (report.committed) { expected += report.state.reported / buffer; }
    }
    EXPECT_NEAR(total(run.observer.model()), expected, 1e-5) << "seed " << seed;
    kills += run.observer.notes[NodeEvent::Kind::kKilled];
    duplicates += run.observer.notes[NodeEvent::Kind::kDuplicate];
  }
  EXPECT_GT(kills, 50);
  EXPECT_GT(duplicates, 10);
}

INSTANTIATE_TEST_SUITE_P(Policies, ContinuousFaults, ::testing::Values("buffered", "asynchronous"));

}  // namespace
}  // namespace tributary::testing
