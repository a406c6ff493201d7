// SPDX-License-Identifier: Apache-2.0
// Methods whose clients have a state, on quadratics whose optimum is known, in trees, with partial participation, with
// every policy and with faults.
//
// Clients minimize F_i(x) = 1/2 x'K_i x + b_i'x. The weighted sum of all b_i is zero, so that the optimum of all is 0,
// which floats hold as exactly as one likes; and the b_i, which the states of clients end at, have few digits.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <numeric>
#include <string>
#include <vector>

#include "support/fake_trainer.hpp"
#include "support/memory_states.hpp"
#include "support/simulate.hpp"
#include "support/state_halves.hpp"
#include "tributary/base/random.hpp"

namespace tributary {
namespace {

using testing::MemoryStates;
using testing::Simulated;

constexpr std::size_t kSize = 3;
constexpr std::uint32_t kClients = 6;
using Vector = std::array<double, kSize>;
using Matrix = std::array<Vector, kSize>;

constexpr std::array<double, kClients> kWeights{2.0, 3.0, 1.0, 3.0, 2.0, 1.0};

struct Objective {
  Matrix curvature{};
  Vector slope{};
};

// Eigenvalues between about 0.3 and 3.
std::vector<Objective> objectives(const std::array<double, kClients>& weights) {
  std::vector<Objective> all(kClients);
  Rng rng(stream_seed(7, Purpose::kTest));
  for (Objective& each : all) {
    for (std::size_t i = 0; i < kSize; ++i) {
      for (std::size_t j = 0; j < i; ++j) {
        each.curvature[i][j] = each.curvature[j][i] = static_cast<double>(rng.below(5)) / 16.0 - 0.125;
      }
      each.curvature[i][i] = 0.5 + static_cast<double>(rng.below(8)) / 4.0;
      each.slope[i] = static_cast<double>(rng.below(65)) / 16.0 - 2.0;
    }
  }
  for (std::size_t i = 0; i < kSize; ++i) {
    double sum = 0.0;
    for (std::uint32_t client = 0; client + 1 < kClients; ++client) { sum += weights[client] * all[client].slope[i]; }
    all.back().slope[i] = -sum / weights.back();
  }
  return all;
}

constexpr double kRate = 0.0625;

// What counts is the drift, a vector of floats beside slopes of up to 2: they leave 1e-7 of those, and less where a
// method converges so far that nothing but whole numbers of the grid is left.
constexpr double kExact = 1e-9;
constexpr double kFloats = 1e-7;

// Plain gradient steps with the drift that the task asks for: 3 to 8 of them, by client.
testing::FunctionTrainerFactory quadratic(const std::array<double, kClients>& weights) {
  const auto weight = [weights](ClientIndex client) { return weights.at(client.value); };
  testing::FunctionTrainerFactory factory(
      kSize,
      [all = objectives(weights), weight](const TrainTask& task) -> Result<TrainOutcome> {
        const Objective& mine = all.at(task.client.value);
        Vector x{};
        for (std::size_t i = 0; i < kSize; ++i) { x[i] = static_cast<double>((*task.base)[i]); }
        const Vector base = x;
        const std::uint64_t steps = 3 + task.client.value;
        for (std::uint64_t step = 0; step < steps; ++step) {
          Vector gradient{};
          for (std::size_t i = 0; i < kSize; ++i) {
            gradient[i] = mine.slope[i] + task.drift.pull * (x[i] - base[i]);
            if (task.drift.constant) { gradient[i] += static_cast<double>((*task.drift.constant)[i]); }
            for (std::size_t j = 0; j < kSize; ++j) { gradient[i] += mine.curvature[i][j] * x[j]; }
          }
          for (std::size_t i = 0; i < kSize; ++i) { x[i] -= kRate * gradient[i]; }
        }
        auto model = std::make_shared<std::vector<float>>(kSize);
        for (std::size_t i = 0; i < kSize; ++i) { (*model)[i] = static_cast<float>(x[i]); }
        return TrainOutcome{.model = std::move(model),
                            .weight = weight(task.client),
                            .samples = 1,
                            .steps = steps,
                            .learning_rate = kRate,
                            .metrics = {}};
      },
      weight);
  factory.set_honours_drift();
  return factory;
}

constexpr std::array<double, kClients> kEqual{1.0, 1.0, 1.0, 1.0, 1.0, 1.0};
// Groups whose weights are powers of two: their mean gradients have few digits, too.
constexpr std::array<double, kClients> kGroups{2.0, 1.0, 1.0, 2.0, 1.0, 1.0};

struct Outcome {
  Simulated run;
  MemoryStates states;
  double distance = 0.0;  // from the optimum
};

const std::array<double, kClients>& weights_of(AlgorithmConfig::Kind kind) {
  return kind == AlgorithmConfig::Kind::kFedDyn ? kEqual : kind == AlgorithmConfig::Kind::kMtgc ? kGroups : kWeights;
}

Configuration configuration(AlgorithmConfig::Kind kind, std::uint64_t rounds) {
  Configuration made = testing::rounds(rounds);
  made.algorithm.kind = kind;
  made.algorithm.alpha = 2.0;
  made.algorithm.precision = AlgorithmConfig::Precision::kFull;
  if (kind == AlgorithmConfig::Kind::kFedDyn) { made.algorithm.weighting = AlgorithmConfig::Weighting::kUniform; }
  return made;
}

Outcome run(const Configuration& configuration, const Tree& tree, const std::array<double, kClients>& weights,
            const std::function<std::chrono::nanoseconds(ClientIndex)>& compute_time = nullptr) {
  MemoryStates states;
  const auto factory = quadratic(weights);
  Simulated simulated =
      testing::simulate(configuration, tree, factory, {.compute_time = compute_time, .client_states = &states});
  Outcome outcome{.run = std::move(simulated), .states = std::move(states)};
  for (const float value : outcome.run.observer.model()) {
    outcome.distance = std::max(outcome.distance, static_cast<double>(std::fabs(value)));
  }
  return outcome;
}

Outcome run(const Configuration& configuration, const Tree& tree,
            const std::function<std::chrono::nanoseconds(ClientIndex)>& compute_time = nullptr) {
  return run(configuration, tree, weights_of(configuration.algorithm.kind), compute_time);
}

Tree star() {
  return testing::make_tree({6, 0, 0, 0, 0, 0, 0});
}
// Two aggregators with three clients each.
Tree two_tiers() {
  return testing::make_tree({2, 3, 3, 0, 0, 0, 0, 0, 0});
}

void expect_both_halves_agree(const Outcome& outcome, AlgorithmConfig::Kind kind, const Tree& tree) {
  const std::string name = kind == AlgorithmConfig::Kind::kScaffold ? "method/control" : "method/change";
  ASSERT_NE(outcome.run.observer.snapshot().find(name), nullptr);
  testing::expect_both_halves_agree(outcome.run.observer.snapshot(), name, outcome.states, tree,
                                    [kind](ClientIndex client) { return weights_of(kind).at(client.value); });
}

TierConfig half_of_the_clients() {
  TierConfig tier;
  tier.cohort_fraction = 0.5;
  return tier;
}

class StatefulMethod : public ::testing::TestWithParam<AlgorithmConfig::Kind> {};

TEST(StatefulMethods, PlainAveragingStaysAwayFromTheOptimum) {
  Configuration plain = configuration(AlgorithmConfig::Kind::kFedAvg, 2000);
  plain.default_tier = half_of_the_clients();
  EXPECT_GT(run(plain, star()).distance, 1e-2);
}

TEST_P(StatefulMethod, ReachesTheOptimumWithHalfOfTheClients) {
  Configuration half = configuration(GetParam(), 2000);
  half.default_tier = half_of_the_clients();
  Outcome outcome = run(half, star());
  ASSERT_TRUE(outcome.run.status.ok()) << outcome.run.status.message();
  EXPECT_LT(outcome.distance, kExact);
  expect_both_halves_agree(outcome, GetParam(), star());
}

TEST_P(StatefulMethod, ReachesItInATree) {
  Configuration half = configuration(GetParam(), 3000);
  half.default_tier = half_of_the_clients();
  half.tiers[0] = TierConfig{};
  Outcome outcome = run(half, two_tiers());
  ASSERT_TRUE(outcome.run.status.ok()) << outcome.run.status.message();
  EXPECT_LT(outcome.distance, kExact);
  expect_both_halves_agree(outcome, GetParam(), two_tiers());
}

TEST_P(StatefulMethod, SurvivesLossDuplicatesDelaysAndDeaths) {
  for (std::uint64_t seed = 1; seed <= 10; ++seed) {
    SCOPED_TRACE(seed);
    Configuration faulty = configuration(GetParam(), 2000);
    faulty.default_tier = half_of_the_clients();
    faulty.default_tier.quorum = 0.3;
    faulty.default_tier.deadline_s = 20.0;
    faulty.simulation.faults = {
        .drop = 0.05, .duplicate = 0.05, .delay = 0.1, .delay_s = 2.0, .kill = 0.01, .down_s = 3.0, .seed = seed};
    faulty.checkpoint.every = 1 + seed % 3;
    const bool tree = seed % 2 == 0;
    Outcome outcome = run(faulty, tree ? two_tiers() : star());
    ASSERT_TRUE(outcome.run.status.ok()) << outcome.run.status.message();
    EXPECT_LT(outcome.distance, kExact);
    expect_both_halves_agree(outcome, GetParam(), tree ? two_tiers() : star());
  }
}

// Speeds from 1 to 5.
std::chrono::nanoseconds slow(ClientIndex client) {
  return std::chrono::milliseconds(1000 + 800 * client.value);
}

TierConfig buffered(std::uint32_t buffer) {
  TierConfig tier;
  tier.policy = "buffered";
  tier.buffer = buffer;
  return tier;
}

TEST_P(StatefulMethod, ReachesItBuffered) {
  Configuration continuous = configuration(GetParam(), 6000);
  continuous.default_tier = buffered(3);
  Outcome outcome = run(continuous, star(), slow);
  ASSERT_TRUE(outcome.run.status.ok()) << outcome.run.status.message();
  EXPECT_LT(outcome.distance, kFloats);
  expect_both_halves_agree(outcome, GetParam(), star());
}

TEST_P(StatefulMethod, ReachesItBufferedInAllTiers) {
  for (const auto edge : {TierConfig::EdgeModel::kOwn, TierConfig::EdgeModel::kForward}) {
    Configuration continuous = configuration(GetParam(), 6000);
    continuous.default_tier = buffered(2);
    continuous.tiers[1] = buffered(2);
    continuous.tiers[1].edge_model = edge;
    Outcome outcome = run(continuous, two_tiers(), slow);
    ASSERT_TRUE(outcome.run.status.ok()) << outcome.run.status.message();
    EXPECT_LT(outcome.distance, kFloats);
    expect_both_halves_agree(outcome, GetParam(), two_tiers());
  }
}

TEST(StatefulMethods, ScaffoldReachesItAsynchronously) {
  Configuration continuous = configuration(AlgorithmConfig::Kind::kScaffold, 20000);
  continuous.default_tier.policy = "asynchronous";
  Outcome outcome = run(continuous, star(), slow);
  ASSERT_TRUE(outcome.run.status.ok()) << outcome.run.status.message();
  EXPECT_LT(outcome.distance, kFloats);
  expect_both_halves_agree(outcome, AlgorithmConfig::Kind::kScaffold, star());
}

TEST(StatefulMethods, ScaffoldReachesItWhereModelsAreMixed) {
  Configuration mixing = configuration(AlgorithmConfig::Kind::kScaffold, 20000);
  mixing.default_tier.policy = "asynchronous";
  mixing.default_tier.form = TierConfig::Form::kMix;
  Outcome outcome = run(mixing, star(), slow);
  ASSERT_TRUE(outcome.run.status.ok()) << outcome.run.status.message();
  EXPECT_LT(outcome.distance, kFloats);
  expect_both_halves_agree(outcome, AlgorithmConfig::Kind::kScaffold, star());
}

// Aggregators below aggregators merge far more between two answers than one round has: there is room for it, and what
// there is no room for is dropped on both sides.
TEST(StatefulMethods, ScaffoldKeepsItsHalvesEqualWhereMuchComesTogether) {
  Configuration continuous = configuration(AlgorithmConfig::Kind::kScaffold, 300);
  continuous.default_tier.policy = "asynchronous";
  continuous.tiers[0] = continuous.default_tier;
  continuous.tiers[0].concurrency = 1;
  continuous.tiers[1] = continuous.tiers[0];
  continuous.tiers[2] = continuous.default_tier;
  const Tree deep = testing::make_tree({2, 1, 1, 3, 3, 0, 0, 0, 0, 0, 0});

  const Outcome outcome = run(
      continuous, deep, [](ClientIndex client) { return std::chrono::milliseconds(client.value == 0 ? 100000 : 10); });

  ASSERT_TRUE(outcome.run.status.ok()) << outcome.run.status.message();
  expect_both_halves_agree(outcome, AlgorithmConfig::Kind::kScaffold, deep);
}

TEST(StatefulMethods, ScaffoldReachesItWithLocalRounds) {
  Configuration local = configuration(AlgorithmConfig::Kind::kScaffold, 3000);
  local.tiers[1].local_rounds = 3;
  local.tiers[1].cohort_fraction = 0.67;
  Outcome outcome = run(local, two_tiers());
  ASSERT_TRUE(outcome.run.status.ok()) << outcome.run.status.message();
  EXPECT_LT(outcome.distance, kFloats);
  expect_both_halves_agree(outcome, AlgorithmConfig::Kind::kScaffold, two_tiers());
}

// MTGC: each node owns its children's states, so that a local round knows its group.

// Groups of three clients and of one and two, in three tiers of inner nodes.
Tree four_tiers() {
  return testing::make_tree({2, 1, 2, 3, 1, 2, 0, 0, 0, 0, 0, 0});
}

Configuration multi_timescale(std::uint64_t rounds) {
  Configuration made = configuration(AlgorithmConfig::Kind::kMtgc, rounds);
  made.default_tier.cohort_fraction = 0.67;
  made.tiers[0] = TierConfig{};
  return made;
}

TEST(Mtgc, IsScaffoldInATreeOfOneTier) {
  Configuration half = configuration(AlgorithmConfig::Kind::kScaffold, 50);
  half.default_tier = half_of_the_clients();
  const Outcome one = run(half, star(), kWeights);
  half.algorithm.kind = AlgorithmConfig::Kind::kMtgc;
  const Outcome other = run(half, star(), kWeights);
  ASSERT_TRUE(one.run.status.ok() && other.run.status.ok()) << other.run.status.message();
  EXPECT_GT(one.distance, 0.0);
  EXPECT_EQ(one.run.observer.model(), other.run.observer.model());
  for (const auto& [client, state] : other.states.states) {
    EXPECT_LE(state->undecided().size(), 1U) << "what its parent has counted is settled with the next task";
  }
}

TEST(Mtgc, ReachesTheOptimumWithLocalRoundsWhereAveragingStaysAway) {
  for (const std::uint32_t rounds : {1U, 3U}) {
    for (const Tree& tree : {two_tiers(), four_tiers()}) {
      SCOPED_TRACE(rounds);
      Configuration half = multi_timescale(1500);
      for (std::uint32_t tier = 1; tier < tree.height(); ++tier) {
        half.tiers[tier] = half.default_tier;
        half.tiers[tier].local_rounds = rounds;
      }
      const Outcome outcome = run(half, tree);
      ASSERT_TRUE(outcome.run.status.ok()) << outcome.run.status.message();
      EXPECT_LT(outcome.distance, kExact);
      EXPECT_LT(run(half, tree, kWeights).distance, kFloats);
      half.algorithm.kind = AlgorithmConfig::Kind::kFedAvg;
      half.rounds = 200;
      EXPECT_GT(run(half, tree, kGroups).distance, 1e-2);
    }
  }
}

// One of two aggregators in each round, and one of its clients.
TEST(Mtgc, ReachesItWhereEachNodeCountsOneChild) {
  Configuration one = multi_timescale(4000);
  one.default_tier.cohort_fraction.reset();
  one.default_tier.cohort_count = 1;
  one.tiers[0] = one.default_tier;
  const Outcome outcome = run(one, two_tiers());
  ASSERT_TRUE(outcome.run.status.ok()) << outcome.run.status.message();
  EXPECT_LT(outcome.distance, kExact);
}

// Clients keep their states when they die. An aggregator does not, and its parent's other children begin anew with it.
TEST(Mtgc, SurvivesLossDuplicatesDelaysAndDeaths) {
  std::uint64_t lost = 0;
  for (std::uint64_t seed = 1; seed <= 10; ++seed) {
    SCOPED_TRACE(seed);
    Configuration faulty = multi_timescale(1500);
    faulty.default_tier.quorum = 0.3;
    faulty.default_tier.deadline_s = 20.0;
    faulty.default_tier.local_rounds = 1 + seed % 2;
    faulty.tiers[0] = faulty.default_tier;
    faulty.tiers[0].local_rounds = 1;
    faulty.tiers[0].deadline_s = 60.0;
    faulty.simulation.faults = {
        .drop = 0.05, .duplicate = 0.05, .delay = 0.1, .delay_s = 2.0, .kill = 0.01, .down_s = 3.0, .seed = seed};
    const Outcome outcome = run(faulty, seed % 2 == 0 ? two_tiers() : four_tiers());
    ASSERT_TRUE(outcome.run.status.ok()) << outcome.run.status.message();
    EXPECT_LT(outcome.distance, kExact);
    for (const NodeEvent& note : outcome.run.observer.heard) {
      lost += note.detail.find("has lost the state") != std::string::npos ? 1U : 0U;
    }
  }
  EXPECT_GT(lost, 10U) << "aggregators hardly ever die between two of their rounds";
}

INSTANTIATE_TEST_SUITE_P(Methods, StatefulMethod,
                         ::testing::Values(AlgorithmConfig::Kind::kScaffold, AlgorithmConfig::Kind::kFedDyn),
                         [](const auto& method) {
                           return method.param == AlgorithmConfig::Kind::kScaffold ? "Scaffold" : "FedDyn";
                         });

}  // namespace
}  // namespace tributary
