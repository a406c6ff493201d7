// SPDX-License-Identifier: Apache-2.0
// Seeded schedules of everything that can go wrong: no hang, nothing lost, nothing counted twice.
//
// The number of seeds comes from TRIBUTARY_FAULT_SEEDS (default 2000); TRIBUTARY_FAULT_SEED runs one seed alone.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>
#include <string>

#include "support/fake_trainer.hpp"
#include "support/simulate.hpp"
#include "support/state_halves.hpp"

namespace tributary::testing {
namespace {

std::uint64_t number_from(const char* variable, std::uint64_t otherwise) {
  const char* const text = std::getenv(variable);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

std::pair<std::uint64_t, std::uint64_t> seeds() {
  if (const std::uint64_t one = number_from("TRIBUTARY_FAULT_SEED", 0); one != 0) { return {one, one + 1}; }
  return {1, 1 + number_from("TRIBUTARY_FAULT_SEEDS", 2000)};
}

// A tree of up to four tiers with clients beside aggregators at every height, and about 12 clients.
Tree random_tree(Rng& rng) {
  std::vector<std::uint32_t> counts;
  std::uint32_t width = 1;
  const auto height = static_cast<std::uint32_t>(1 + rng.below(4));
  for (std::uint32_t tier = 0; tier <= height; ++tier) {
    std::uint32_t next = 0;
    for (std::uint32_t i = 0; i < width; ++i) {
      const bool leaf = tier == height || (tier > 0 && i > 0 && rng.chance(0.5));
      const auto children = leaf ? 0U : static_cast<std::uint32_t>(1 + rng.below(tier == 0 ? 4 : 3));
      counts.push_back(children);
      next += children;
    }
    width = next;
    if (width == 0) { break; }
  }
  return make_tree(std::move(counts));
}

SimulationConfig::Faults random_faults(Rng& rng, std::uint64_t seed) {
  SimulationConfig::Faults faults;
  faults.drop = rng.chance(0.7) ? 0.3 * rng.uniform() : 0.0;
  faults.duplicate = rng.chance(0.7) ? 0.4 * rng.uniform() : 0.0;
  faults.delay = rng.chance(0.7) ? 0.5 * rng.uniform() : 0.0;
  faults.delay_s = 3.0 * rng.uniform();
  faults.kill = rng.chance(0.7) ? 0.3 * rng.uniform() : 0.0;
  faults.down_s = 5.0 * rng.uniform();
  faults.seed = seed;
  return faults;
}

SimulationSettings bounded(Rng& rng) {
  const double scale = rng.chance(0.5) ? 2.0 : 0.0;
  return {.threads = 1,
          .compute_time =
              [scale](ClientIndex client) {
                return std::chrono::nanoseconds(static_cast<std::int64_t>(scale * 1e9 * (1 + client.value % 3)));
              },
          .largest_events = 2'000'000};
}

class FaultSchedules : public ::testing::Test {
 protected:
  // Says how to run the failing schedule again.
  static std::string again(std::uint64_t seed) {
    return fmt::format("TRIBUTARY_FAULT_SEED={} simulation_tests --gtest_filter=FaultSchedules.*", seed);
  }
};

TEST_F(FaultSchedules, AFullCohortEndsInTheFaultFreeModelBitForBit) {
  const FunctionTrainerFactory factory = noisy_pull(40);
  const auto [first, end] = seeds();
  int roots_killed = 0;
  std::uint64_t compared = 0;
  for (std::uint64_t seed = first; seed < end; ++seed) {
    SCOPED_TRACE(again(seed));
    Rng rng(stream_seed(seed, Purpose::kTest));
    const Tree tree = random_tree(rng);
    Configuration configuration;
    configuration.seed = seed;
    configuration.rounds = 3;
    configuration.checkpoint.every = 1 + rng.below(2);
    // Roots may fall back behind local rounds too.
    configuration.default_tier.local_rounds = rng.chance(0.25) ? 2 : 1;
    Rng parts(stream_seed(seed, Purpose::kTest, 1));
    if (parts.chance(0.3)) { configuration.default_tier.codec_down = "fp16"; }
    if (parts.chance(0.3)) { configuration.default_tier.codec_up = "fp16"; }
    if (parts.chance(0.2)) { configuration.default_tier.rule = "median"; }
    const Simulated calm = simulate(configuration, tree, factory);
    ASSERT_TRUE(calm.status.ok()) << calm.status.to_string();

    configuration.simulation.faults = random_faults(rng, seed);
    const FunctionTrainerFactory flaky =
        noisy_pull(40, [seed = seed](auto f) { return failing_at_first(std::move(f), seed); });
    const Simulated stormy = simulate(configuration, tree, seed % 2 == 0 ? flaky : factory, bounded(rng));

    ASSERT_NE(stormy.status.code(), Code::kInternal) << stormy.status.to_string();
    roots_killed += stormy.observer.starts - 1;
    // A round that was given up because somebody was away for too long has another result, and says so; so has a local
    // round that was, of which only the note tells.
    const bool gave_up =
        configuration.default_tier.local_rounds > 1 && stormy.observer.notes.contains(NodeEvent::Kind::kAbandoned);
    const bool all_committed =
        stormy.status.ok() && std::all_of(stormy.observer.reports.begin(), stormy.observer.reports.end(),
                                          [](const auto& report) { return report.second.committed; });
    if (stormy.status.ok()) { ASSERT_EQ(stormy.observer.reports.size(), configuration.rounds); }
    if (all_committed && !gave_up) {
      ++compared;
      EXPECT_EQ(stormy.observer.model(), calm.observer.model());
      for (const auto& [round, report] : stormy.observer.reports) {
        EXPECT_EQ(report.contributors, tree.clients()) << "round " << round;
        EXPECT_EQ(report.weight, calm.observer.reports.at(round).weight) << "round " << round;
      }
    }
    if (HasFailure()) { FAIL() << "seed " << seed; }
  }
  if (end - first >= 100) {
    EXPECT_GT(roots_killed, 10) << "the schedules hardly ever kill a root";
    EXPECT_GT(compared, (end - first) * 9 / 10) << "too few schedules in which every task succeeded in the end";
  }
}

// A policy of any kind for a tier, and how its aggregators work.
TierConfig random_tier(Rng& rng, std::uint32_t least_children, bool root) {
  TierConfig tier;
  switch (rng.below(4)) {
    case 0:
      tier.policy = "asynchronous";
      break;
    case 1:
      tier.policy = "buffered";
      tier.buffer = 1 + static_cast<std::uint32_t>(rng.below(std::min(least_children, 3U)));
      break;
    case 2:
      tier.cohort_fraction = 0.4 + 0.6 * rng.uniform();
      tier.quorum = 0.5;
      tier.deadline_s = 5.0 + 20.0 * rng.uniform();
      break;
    default:
      break;
  }
  const bool continuous = tier.policy != "synchronous";
  if (continuous && !root && rng.chance(0.5)) { tier.edge_model = TierConfig::EdgeModel::kForward; }
  if (!root && tier.edge_model == TierConfig::EdgeModel::kOwn && rng.chance(0.3)) { tier.local_rounds = 2; }
  return tier;
}

// Of the committing nodes at that distance from the root.
std::uint32_t least_children(const Tree& tree, std::uint32_t distance) {
  std::uint32_t least = UINT32_MAX;
  for (std::uint32_t n = 0; n < tree.size(); ++n) {
    if (tree.is_client(NodeId{n}) || tree.tier(NodeId{n}) != distance) { continue; }
    least = std::min(least, tree.children(NodeId{n}).size());
  }
  return least;
}

// Pulls with noise, and the drift that it is asked for.
FunctionTrainerFactory drifting_pull(std::size_t parameters, std::function<double(ClientIndex)> weight) {
  constexpr double kRate = 0.125;
  FunctionTrainerFactory factory(
      parameters,
      [weight](const TrainTask& task) -> Result<TrainOutcome> {
        auto model = std::make_shared<std::vector<float>>(*task.base);
        Rng rng(task.seed);
        const std::uint64_t steps = 1 + task.client.value % 3;
        for (std::size_t i = 0; i < model->size(); ++i) {
          const double target = static_cast<double>((task.client.value * 31 + i * 17) % 101) * 0.01;
          auto x = static_cast<double>((*model)[i]);
          for (std::uint64_t step = 0; step < steps; ++step) {
            const double drift = task.drift.constant ? static_cast<double>((*task.drift.constant)[i]) : 0.0;
            x -= kRate * (x - target + drift + 0.1 * (rng.uniform() - 0.5));
          }
          (*model)[i] = static_cast<float>(x);
        }
        return TrainOutcome{.model = std::move(model),
                            .weight = weight(task.client),
                            .samples = 1,
                            .steps = steps,
                            .learning_rate = kRate,
                            .metrics = {{"base_loss", 1.0 + task.client.value % 3}}};
      },
      weight);
  factory.set_honours_drift();
  return factory;
}

// A method for tiers that are chosen already; plain averaging where the plan refuses it with them.
void choose_method(Rng& rng, Configuration& configuration, const Tree& tree, const TrainerFactory& factory) {
  using Kind = AlgorithmConfig::Kind;
  constexpr std::array kKinds{Kind::kFedAvg, Kind::kFedAvg,  Kind::kFedProx, Kind::kScaffold, Kind::kScaffold,
                              Kind::kMtgc,   Kind::kFedNova, Kind::kQFedAvg, Kind::kFedDyn};
  configuration.algorithm.kind = kKinds.at(rng.below(kKinds.size()));
  if (configuration.algorithm.kind == Kind::kMtgc) {
    for (auto& [tier, parts] : configuration.tiers) {
      if (parts.policy == "synchronous") { continue; }
      parts.policy = "synchronous";
      parts.adoption = TierConfig::Adoption::kRebase;
      parts.edge_model = TierConfig::EdgeModel::kOwn;
    }
  }
  if (!make_plan(configuration, tree, factory).ok()) { configuration.algorithm.kind = Kind::kFedAvg; }
}

// Models are mixed at one of the tiers where the plan allows it.
void mix_somewhere(Rng& rng, Configuration& configuration, const Tree& tree, const TrainerFactory& factory) {
  for (auto& [tier, parts] : configuration.tiers) {
    if (parts.policy != "asynchronous" || parts.edge_model != TierConfig::EdgeModel::kOwn || rng.chance(0.5)) {
      continue;
    }
    parts.form = TierConfig::Form::kMix;
    if (!make_plan(configuration, tree, factory).ok()) { parts.form = TierConfig::Form::kDelta; }
  }
}

// Whatever is lost, repeated or killed, at any tier and with any policy: an increment is in both halves or in neither.
TEST_F(FaultSchedules, BothHalvesOfAStateHaveCountedTheSame) {
  const auto weight = [](ClientIndex client) { return 1.0 + client.value % 5; };
  const FunctionTrainerFactory factory = drifting_pull(8, weight);
  const auto [first, end] = seeds();
  std::uint64_t finished = 0;
  int roots_killed = 0;
  for (std::uint64_t seed = first; seed < end; ++seed) {
    SCOPED_TRACE(again(seed));
    Rng rng(stream_seed(seed, Purpose::kTest, 2));
    const Tree tree = random_tree(rng);
    Configuration configuration;
    configuration.seed = seed;
    configuration.rounds = 6;
    configuration.checkpoint.every = 1 + rng.below(3);
    configuration.algorithm.kind = AlgorithmConfig::Kind::kScaffold;
    for (std::uint32_t tier = 0; tier < tree.height(); ++tier) {
      configuration.tiers[tier] = random_tier(rng, least_children(tree, tier), tier == 0);
    }
    configuration.simulation.faults = random_faults(rng, seed);
    MemoryStates states;
    SimulationSettings settings = bounded(rng);
    settings.client_states = &states;

    const Simulated run = simulate(configuration, tree, factory, settings);

    ASSERT_NE(run.status.code(), Code::kInternal) << run.status.to_string();
    ASSERT_NE(run.status.code(), Code::kConfiguration) << run.status.to_string();
    finished += run.status.ok() ? 1U : 0U;
    roots_killed += run.observer.starts - 1;
    expect_both_halves_agree(run.observer.snapshot(), "method/control", states, tree, weight);
    for (const NodeEvent& note : run.observer.heard) {
      EXPECT_EQ(note.detail.find("is not the one that has been counted"), std::string::npos) << note.detail;
    }
    if (HasFailure()) { FAIL() << "seed " << seed; }
  }
  if (end - first >= 100) {
    EXPECT_GT(roots_killed, 10) << "the schedules hardly ever kill a root";
    EXPECT_GT(finished, (end - first) * 7 / 10) << "too few schedules came to their end";
  }
}

// The same schedule three times: whole, cut off at some event, and gone on with from what the second had saved last.
TEST_F(FaultSchedules, ARunThatIsCutOffAnywhereGoesOnToTheSameBits) {
  const auto weight = [](ClientIndex client) { return 1.0 + client.value % 5; };
  FunctionTrainerFactory factory = drifting_pull(8, weight);
  // Where all tiers go by rounds, clients evaluate the model too.
  factory.set_holdout([](ClientIndex client) { return 1 + client.value % 3; },
                      [](const EvaluateTask& task) -> Result<Evaluation> {
                        const double loss = static_cast<double>(task.model->front()) * (1.0 + task.client.value);
                        return Evaluation{.samples = 1 + task.client.value % 3, .metrics = {{"loss", loss}}};
                      });
  const auto [first, end] = seeds();
  std::uint64_t compared = 0;
  std::uint64_t evaluations = 0;
  int roots_killed = 0;
  for (std::uint64_t seed = first; seed < end; ++seed) {
    SCOPED_TRACE(again(seed));
    Rng rng(stream_seed(seed, Purpose::kTest, 3));
    const Tree tree = random_tree(rng);
    Configuration configuration;
    configuration.seed = seed;
    configuration.rounds = 6;
    configuration.checkpoint.every = 1 + rng.below(3);
    if (rng.chance(0.3)) { configuration.server_optimizer.kind = "fedyogi"; }
    for (std::uint32_t tier = 0; tier < tree.height(); ++tier) {
      configuration.tiers[tier] = random_tier(rng, least_children(tree, tier), tier == 0);
    }
    Rng evaluation(stream_seed(seed, Purpose::kTest, 4));
    configuration.evaluation.clients.every = 1 + evaluation.below(3);
    configuration.evaluation.clients.fraction = 0.5 + 0.5 * evaluation.uniform();
    for (auto& [tier, parts] : configuration.tiers) {
      const bool moves_own = parts.policy != "synchronous" && parts.edge_model == TierConfig::EdgeModel::kOwn;
      if (!moves_own) { continue; }
      if (evaluation.chance(0.3)) { parts.rate_correction = 4.0; }
      if (tier > 0) { parts.adoption = static_cast<TierConfig::Adoption>(evaluation.below(3)); }
    }
    choose_method(rng, configuration, tree, factory);
    mix_somewhere(rng, configuration, tree, factory);
    const bool plain = configuration.algorithm.kind == AlgorithmConfig::Kind::kFedAvg;
    for (auto& [tier, parts] : configuration.tiers) {
      if (!plain || parts.edge_model == TierConfig::EdgeModel::kForward) { continue; }
      if (rng.chance(0.3)) { parts.codec_down = "fp16"; }
      if (rng.chance(0.2)) {
        parts.rule = "median";
        parts.discount = TierConfig::Discount::kConstant;
        parts.rate_correction = 1.0;
      }
    }
    configuration.simulation.faults = random_faults(rng, seed);
    const SimulationSettings settings = bounded(rng);
    MemoryStates kept_states;  // with the world that was saved last
    const auto run = [&](MemoryStates& states, std::uint64_t events, const MemoryObserver* from) {
      SimulationSettings here = settings;
      here.client_states = &states;
      here.largest_events = events;
      return simulate(configuration, tree, factory, here, [from, &states, &kept_states](MemoryObserver& observer) {
        observer.keeps_worlds = true;
        if (from != nullptr) { observer.start_from(*from); }
        observer.on_published = [&](const RoundReport& report, const auto&, auto&, const auto&) -> Result<bool> {
          if (report.world) { kept_states.states = states.states; }
          return false;
        };
      });
    };
    MemoryStates states_of_whole;
    const Simulated whole = run(states_of_whole, settings.largest_events, nullptr);
    ASSERT_NE(whole.status.code(), Code::kInternal) << whole.status.to_string();
    if (whole.status.code() == Code::kConfiguration) { continue; }
    MemoryStates states;
    const Simulated cut = run(states, 1 + rng.below(whole.statistics.events), nullptr);
    if (cut.observer.world() == nullptr) { continue; }
    ++compared;

    MemoryStates states_then = kept_states;
    const Simulated resumed = run(states_then, settings.largest_events, &cut.observer);

    EXPECT_EQ(resumed.status.to_string(), whole.status.to_string());
    EXPECT_EQ(resumed.observer.model(), whole.observer.model());
    roots_killed += resumed.observer.starts - 1;
    const std::uint64_t begin = cut.observer.saved_round().value;
    for (const auto& [round, report] : resumed.observer.reports) {
      const RoundReport& wanted = whole.observer.reports.at(round);
      EXPECT_EQ(report.contributors, wanted.contributors) << "round " << round;
      EXPECT_EQ(report.state.reported, wanted.state.reported) << "round " << round;
      EXPECT_EQ(report.staleness, wanted.staleness) << "round " << round;
      EXPECT_EQ(report.refused, wanted.refused) << "round " << round;
      ASSERT_EQ(report.evaluation.has_value(), wanted.evaluation.has_value()) << "round " << round;
      if (!report.evaluation) { continue; }
      ++evaluations;
      EXPECT_EQ(report.evaluation->scalars, wanted.evaluation->scalars) << "round " << round;
    }
    if (resumed.observer.starts == 1 && whole.observer.starts == 1) {
      for (const auto& [round, clock] : resumed.observer.clocks) {
        EXPECT_EQ(clock, whole.observer.clocks.at(round) - whole.observer.clocks.at(begin)) << "round " << round;
      }
    }
    if (HasFailure()) { FAIL() << "seed " << seed << ", cut off after " << cut.statistics.events << " events"; }
  }
  if (end - first >= 100) {
    EXPECT_GT(roots_killed, 10) << "the schedules hardly ever kill a root";
    EXPECT_GT(compared, (end - first) / 2) << "too few schedules were cut off after they had saved something";
    EXPECT_GT(evaluations, (end - first) / 10) << "clients hardly ever evaluate a model";
  }
}

// Files may be damaged, and digests made by hand.
TEST_F(FaultSchedules, AWorldThatIsDamagedIsAnErrorOrAnotherWorld) {
  const FunctionTrainerFactory factory = noisy_pull(40);
  Configuration configuration = rounds(4);
  configuration.default_tier.policy = "buffered";
  configuration.default_tier.buffer = 2;
  const Tree tree = make_tree(balanced_counts(3, 2));
  const auto run = [&](const MemoryObserver* from, std::vector<std::byte> world) {
    return simulate(configuration, tree, factory,
                    {.threads = 1,
                     .compute_time = [](ClientIndex client) { return std::chrono::seconds(1 + client.value % 3); },
                     .largest_events = 5000},
                    [&](MemoryObserver& observer) {
                      observer.keeps_worlds = true;
                      if (from == nullptr) {
                        observer.on_published = [](const RoundReport& report, const auto&, auto&, const auto&) {
                          return report.round.value == 2 ? Result<bool>(cancelled("enough")) : Result<bool>(false);
                        };
                        return;
                      }
                      observer.start_from(*from);
                      observer.set_world(std::move(world));
                    });
  };
  const Simulated cut = run(nullptr, {});
  ASSERT_EQ(cut.status.code(), Code::kCancelled);
  const std::vector<std::byte> world = *cut.observer.world();
  ASSERT_TRUE(run(&cut.observer, world).status.ok());

  for (std::size_t size = 0; size + 8 < world.size(); size += 1 + world.size() / 300) {
    const Status status = run(&cut.observer, {world.begin(), world.begin() + static_cast<std::ptrdiff_t>(size)}).status;
    EXPECT_EQ(status.code(), Code::kBadData) << size << ": " << status.to_string();
    EXPECT_NE(status.message().find("the state of the simulation in the checkpoint"), std::string::npos);
  }
  std::vector<std::byte> longer = world;
  longer.resize(world.size() + 8);
  EXPECT_EQ(run(&cut.observer, longer).status.code(), Code::kBadData);
  std::vector<std::byte> of_a_later_layout = world;
  of_a_later_layout[0] = std::byte{200};
  EXPECT_EQ(run(&cut.observer, of_a_later_layout).status.code(), Code::kUnsupported);
  // Whatever it is then, it comes to an end.
  Rng rng(7);
  int refused = 0;
  for (int times = 0; times < 1000; ++times) {
    std::vector<std::byte> damaged = world;
    damaged[rng.below(damaged.size())] ^= static_cast<std::byte>(1U << rng.below(8));
    refused += run(&cut.observer, damaged).status.ok() ? 0 : 1;
  }
  EXPECT_GT(refused, 20);
}

TEST_F(FaultSchedules, AMessageThatIsRepeatedArrivesTwiceAndCountsOnce) {
  const FunctionTrainerFactory factory = noisy_pull(40);
  const Tree tree = make_tree(balanced_counts(3, 2));
  Configuration configuration = rounds(3);
  // Long enough for what is repeated to arrive before the next message of its edge.
  const SimulationSettings options{
      .threads = 1, .simulation = {}, .compute_time = [](ClientIndex) { return std::chrono::seconds(5); }};
  const Simulated calm = simulate(configuration, tree, factory, options);
  configuration.simulation.faults.duplicate = 1.0;
  configuration.simulation.faults.delay_s = 1.0;

  const Simulated repeated = simulate(configuration, tree, factory, options);

  ASSERT_TRUE(repeated.status.ok()) << repeated.status.to_string();
  EXPECT_EQ(repeated.observer.model(), calm.observer.model());
  // Tasks and updates of every edge, at least.
  EXPECT_GE(repeated.statistics.events, calm.statistics.events + 2 * 3 * (tree.size() - 1));
}

TEST_F(FaultSchedules, EveryClientIsCountedAtMostOnceAndExactlyAsReported) {
  const auto [first, end] = seeds();
  int partial_rounds = 0;
  for (std::uint64_t seed = first; seed < end; ++seed) {
    SCOPED_TRACE(again(seed));
    Rng rng(stream_seed(seed, Purpose::kTest, 1));
    const Tree tree = random_tree(rng);
    const FunctionTrainerFactory factory = roll_call(tree.clients());
    Configuration configuration;
    configuration.seed = seed;
    configuration.rounds = 4;
    configuration.default_tier.deadline_s = 10.0 + 60.0 * rng.uniform();
    configuration.default_tier.quorum = 0.3 + 0.7 * rng.uniform();
    if (rng.chance(0.5)) { configuration.default_tier.cohort_fraction = 0.4 + 0.6 * rng.uniform(); }
    if (rng.chance(0.5)) { configuration.default_tier.over_selection = 1.5; }
    configuration.simulation.faults = random_faults(rng, seed);

    const Simulated run = simulate(configuration, tree, factory, bounded(rng));

    ASSERT_TRUE(run.status.ok() || run.status.code() == Code::kUnavailable) << run.status.to_string();
    if (run.status.ok()) { ASSERT_EQ(run.observer.reports.size(), configuration.rounds); }
    std::vector<float> before(tree.clients(), 0.0F);
    for (const auto& [round, report] : run.observer.reports) {
      const std::vector<float>& after = run.observer.models.at(round);
      double counted = 0.0;
      for (std::size_t client = 0; client < after.size(); ++client) {
        const double share =
            (static_cast<double>(after[client]) - static_cast<double>(before[client])) * report.weight.value();
        EXPECT_NEAR(share, std::round(share), 1e-4) << "round " << round << " client " << client;
        EXPECT_LE(std::round(share), 1.0) << "client " << client << " was counted twice in round " << round;
        counted += std::round(share);
      }
      EXPECT_EQ(counted, report.committed ? static_cast<double>(report.contributors) : 0.0) << "round " << round;
      EXPECT_EQ(report.weight.value(), report.committed ? counted : 0.0);
      if (report.committed && report.contributors < tree.clients()) { ++partial_rounds; }
      before = after;
    }
    if (HasFailure()) { FAIL() << "seed " << seed; }
  }
  if (end - first >= 100) { EXPECT_GT(partial_rounds, 50) << "the schedules hardly ever leave anybody out"; }
}

}  // namespace
}  // namespace tributary::testing
