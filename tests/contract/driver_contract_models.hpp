// SPDX-License-Identifier: Apache-2.0
// Part of driver_contract.hpp: without faults every tree, payload and setting gives the reference's model, bit for bit,
// every task is carried out once, and tasks say what they should.
#pragma once

#include <atomic>
#include <cmath>
#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "contract/driver_under_test.hpp"

namespace tributary::testing {

// A tree with clients beside aggregators at every height: six clients in four tiers.
inline Tree irregular_tree() {
  return make_tree({3, 0, 2, 2, 0, 0, 0, 2, 0, 0});
}

// ---- Shapes ----

TEST_P(DriverContract, AStarGivesTheReferenceModel) {
  expect_reference({rounds(3), make_tree(balanced_counts(12, 1)), noisy_pull(500)});
}

TEST_P(DriverContract, ThreeTiersGiveTheReferenceModel) {
  expect_reference({rounds(3), make_tree(balanced_counts(3, 3)), noisy_pull(500)});
}

TEST_P(DriverContract, FiveTiersGiveTheReferenceModel) {
  expect_reference({rounds(2), make_tree(balanced_counts(2, 5)), noisy_pull(100)});
}

TEST_P(DriverContract, AnIrregularTreeGivesTheReferenceModel) {
  expect_reference({rounds(3), irregular_tree(), noisy_pull(300)});
}

TEST_P(DriverContract, AChainGivesTheReferenceModel) {
  expect_reference({rounds(3), make_tree({1, 1, 1, 1, 1, 0}), noisy_pull(300)});
}

TEST_P(DriverContract, OneClientIsAFederation) {
  expect_reference({rounds(3), make_tree({1, 0}), noisy_pull(300)});
}

TEST_P(DriverContract, EveryTreeOverTheSameClientsGivesTheSameModel) {
  const FunctionTrainerFactory factory = noisy_pull(300);
  const Scenario star{rounds(3), make_tree(balanced_counts(256, 1)), factory};
  const Simulated flat = reference(star);
  for (const auto& [branching, height] : {std::pair{256U, 1U}, {16U, 2U}, {4U, 4U}, {2U, 8U}}) {
    SCOPED_TRACE("height " + std::to_string(height));

    const DriverRun tree = run({rounds(3), make_tree(balanced_counts(branching, height)), factory});

    EXPECT_TRUE(tree.status.ok()) << tree.status.to_string();
    if (tree.holds_root) { EXPECT_TRUE(same_bits(tree.observer.model(), flat.observer.model())); }
  }
}

TEST_P(DriverContract, ThousandsOfSmallClientsGiveTheReferenceModel) {
  std::vector<std::uint32_t> counts{20};
  counts.insert(counts.end(), 20, 100);
  counts.insert(counts.end(), 2000, 0);

  expect_reference({rounds(3), make_tree(std::move(counts)), noisy_pull(100)});
}

// ---- Settings ----

TEST_P(DriverContract, CohortsFollowTheSeed) {
  Configuration configuration = rounds(5);
  configuration.default_tier.cohort_count = 7;
  const Tree tree = make_tree(balanced_counts(50, 1));
  std::vector<std::vector<float>> models;
  for (const std::uint64_t seed : {1U, 2U}) {
    configuration.seed = seed;
    const Scenario scenario{configuration, tree, noisy_pull(30)};

    const DriverRun seeded = run(scenario);

    EXPECT_TRUE(seeded.status.ok()) << seeded.status.to_string();
    if (!seeded.holds_root) { continue; }
    expect_same_rounds(seeded, reference(scenario));
    EXPECT_EQ(seeded.report(5).contributors, 7U);
    models.push_back(seeded.observer.model());
  }
  if (!models.empty()) { EXPECT_NE(models.front(), models.back()); }
}

TEST_P(DriverContract, CohortsMayDifferByTier) {
  Configuration configuration = rounds(4);
  configuration.default_tier.cohort_fraction = 0.5;
  configuration.tiers[0].cohort_count = 2;
  configuration.tiers[1].cohort_fraction = 0.7;

  expect_reference({configuration, make_tree(balanced_counts(4, 3)), noisy_pull(200)});
}

TEST_P(DriverContract, LocalRoundsGiveTheReferenceModel) {
  Configuration configuration = rounds(4);
  configuration.default_tier.local_rounds = 3;
  const Scenario scenario{configuration, make_tree(balanced_counts(3, 3)), noisy_pull(100)};

  const DriverRun local = run(scenario);

  EXPECT_TRUE(local.status.ok()) << local.status.to_string();
  if (local.holds_root) {
    expect_same_rounds(local, reference(scenario));
    expect_quiet(local);
    EXPECT_EQ(local.statistics.tasks_trained, 4U * 27U * 9U);
  }
}

TEST_P(DriverContract, LocalRoundsOfCohortsAtOneTierGiveTheReferenceModel) {
  Configuration configuration = rounds(3);
  configuration.tiers[2].local_rounds = 2;
  configuration.tiers[2].cohort_count = 2;
  configuration.tiers[1].local_rounds = 2;

  expect_reference({configuration, make_tree(balanced_counts(3, 3)), noisy_pull(100)});
}

TEST_P(DriverContract, AServerRateScalesTheMean) {
  Configuration configuration = rounds(4);
  configuration.server_optimizer.lr = 0.25;

  expect_reference({configuration, irregular_tree(), noisy_pull(100)});
}

TEST_P(DriverContract, ClientsMayMeasureWhatTheyReceive) {
  Configuration configuration = rounds(3);
  configuration.evaluation.at_clients = true;
  const FunctionTrainerFactory measuring = noisy_pull(20, [](FunctionTrainerFactory::Function pull) {
    return [pull = std::move(pull)](const TrainTask& task) -> Result<TrainOutcome> {
      Result<TrainOutcome> outcome = pull(task);
      if (task.evaluate_first) { outcome->metrics["base_loss"] = static_cast<double>(task.base->front()); }
      return outcome;
    };
  });
  const Scenario scenario{configuration, make_tree(balanced_counts(3, 2)), measuring};

  const DriverRun measured = run(scenario);

  EXPECT_TRUE(measured.status.ok()) << measured.status.to_string();
  if (measured.holds_root) {
    expect_same_rounds(measured, reference(scenario));
    EXPECT_TRUE(measured.report(3).scalars.contains("base_loss"));
  }
}

// Of over-selected clients the first to report count, and which those are is up to the clock.
TEST_P(DriverContract, OverSelectionTakesNoMoreThanTheCohort) {
  Configuration configuration = rounds(4);
  configuration.default_tier.cohort_count = 5;
  configuration.default_tier.over_selection = 2.0;

  const DriverRun selected = run({configuration, make_tree(balanced_counts(10, 1)), roll_call(10)});

  ASSERT_TRUE(selected.status.ok()) << selected.status.to_string();
  expect_rounds(selected, 4);
  std::vector<float> before(10, 0.0F);
  for (const auto& [round, report] : selected.observer.reports) {
    EXPECT_TRUE(report.committed);
    EXPECT_EQ(report.state.asked, 10U);
    EXPECT_EQ(report.contributors, 5U);
    EXPECT_EQ(report.late, 5U);
    int sum = 0;
    for (const int times : counted(before, selected.model(round), report.weight)) {
      EXPECT_GE(times, 0);
      EXPECT_LE(times, 1);
      sum += times;
    }
    EXPECT_EQ(sum, 5) << "round " << round;
    before = selected.model(round);
  }
}

// Which updates make a commit is up to the clock, and rounds that end while one is published are published together.
TEST_P(DriverContract, ABufferedRootCountsEachUpdateOnce) {
  Configuration configuration = rounds(20);
  configuration.tiers[0] = {
      .policy = "buffered", .buffer = 4, .concurrency = 5, .discount = TierConfig::Discount::kConstant};
  for (const Tree& tree :
       {make_tree(balanced_counts(10, 1)), make_tree({5, 2, 2, 2, 2, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0})}) {
    const DriverRun buffered = run({configuration, tree, roll_call(10)});

    ASSERT_TRUE(buffered.status.ok()) << buffered.status.to_string();
    if (!buffered.holds_root) { continue; }
    EXPECT_EQ(buffered.observer.order.back(), 20U);
    std::uint64_t commits = 0;
    std::uint64_t updates = 0;
    for (const auto& [round, report] : buffered.observer.reports) {
      EXPECT_TRUE(report.committed);
      commits += report.commits;
      updates += report.staleness.updates;
    }
    EXPECT_EQ(commits, 20U);
    EXPECT_EQ(updates, tree.tier_size(1) == 10 ? 80U : 160U) << "of clients, two of whom make one of a group";
    double total = 0.0;
    for (const float value : buffered.observer.model()) { total += static_cast<double>(value); }
    EXPECT_NEAR(total, 20.0, 1e-4) << "each commit adds 1 in all";
  }
}

TEST_P(DriverContract, AsynchronousTiersCountEachUpdateOnce) {
  Configuration configuration = rounds(30);
  configuration.tiers[0] = {.policy = "asynchronous", .discount = TierConfig::Discount::kConstant};
  configuration.tiers[1] = configuration.tiers[0];
  configuration.tiers[1].local_rounds = 2;
  const DriverRun run_of_two =
      run({configuration, make_tree({5, 2, 2, 2, 2, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}), roll_call(10)});

  ASSERT_TRUE(run_of_two.status.ok()) << run_of_two.status.to_string();
  if (!run_of_two.holds_root) { return; }
  std::uint64_t updates = 0;
  for (const auto& [round, report] : run_of_two.observer.reports) { updates += report.staleness.updates; }
  EXPECT_GE(updates, 60U);
  double total = 0.0;
  for (const float value : run_of_two.observer.model()) { total += static_cast<double>(value); }
  EXPECT_EQ(total, static_cast<double>(updates)) << "each update of a client adds 1";
}

// ---- Payloads ----

TEST_P(DriverContract, PayloadsOfAnySizeGiveTheReferenceModel) {
  for (const std::size_t parameters : {1U, 2U, 1000U, 4096U, 4097U, 62006U}) {
    SCOPED_TRACE(std::to_string(parameters) + " parameters");
    expect_reference({rounds(2), make_tree({2, 2, 3, 0, 0, 0, 0, 0}), noisy_pull(parameters)});
  }
}

TEST_P(DriverContract, ALargePayloadGivesTheReferenceModel) {
  const FunctionTrainerFactory quick(5'000'000, [](const TrainTask& task) -> Result<TrainOutcome> {
    auto model = std::make_shared<std::vector<float>>(*task.base);
    std::uint32_t state = task.client.value + 1;
    for (float& value : *model) {
      state = state * 1664525U + 1013904223U;
      value += static_cast<float>(state >> 8U) * 0x1p-26F;
    }
    return TrainOutcome{.model = std::move(model), .weight = 1.0, .metrics = {}};
  });

  expect_reference({rounds(1), make_tree({2, 2, 0, 0, 0}), quick});
}

// Sums that do not fit 4 bytes travel as 5, 6 or 8, block by block: here in the second of three blocks.
TEST_P(DriverContract, WideBlocksGiveTheReferenceModel) {
  constexpr std::size_t kParameters = 2 * Payload::kBlock + 5;
  const FunctionTrainerFactory steep(kParameters, [](const TrainTask& task) -> Result<TrainOutcome> {
    auto model = std::make_shared<std::vector<float>>(*task.base);
    Rng rng(task.seed);
    for (std::size_t i = 0; i < model->size(); ++i) {
      const double size = i / Payload::kBlock == 1 ? 1e5 : 1e-2;
      (*model)[i] += static_cast<float>(size * (rng.uniform() - 0.5));
    }
    return TrainOutcome{.model = std::move(model), .weight = 1.0, .metrics = {}};
  });
  const Scenario scenario{rounds(2), make_tree(balanced_counts(3, 2)), steep};

  const DriverRun wide = run(scenario);

  EXPECT_TRUE(wide.status.ok()) << wide.status.to_string();
  if (wide.holds_root) {
    expect_same_rounds(wide, reference(scenario));
    const std::uint64_t up_one_edge = wide.statistics.traffic.tiers.at(1).bytes_up / 3 / 2;
    EXPECT_GT(up_one_edge, 4 * kParameters + 4 * Payload::kBlock);
    EXPECT_LT(up_one_edge, 4 * kParameters + 5 * Payload::kBlock);
  }
}

TEST_P(DriverContract, FullPrecisionGivesTheReferenceModel) {
  Configuration configuration = rounds(2);
  configuration.algorithm.precision = AlgorithmConfig::Precision::kFull;

  expect_reference({configuration, make_tree(balanced_counts(3, 2)), noisy_pull(10'000)});
}

TEST_P(DriverContract, HeavyAndLightClientsGiveTheReferenceModel) {
  const auto weight = [](ClientIndex client) { return std::ldexp(1.0, static_cast<int>(client.value) * 4 - 16); };
  const FunctionTrainerFactory uneven(
      50,
      [weight](const TrainTask& task) -> Result<TrainOutcome> {
        auto model = std::make_shared<std::vector<float>>(*task.base);
        for (float& value : *model) { value += static_cast<float>(task.client.value); }
        return TrainOutcome{.model = std::move(model), .weight = weight(task.client), .metrics = {}};
      },
      weight);

  expect_reference({rounds(2), make_tree({3, 3, 3, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0}), uneven});
}

// Values whose bits a detour over text or arithmetic would change.
TEST_P(DriverContract, AModelTravelsBitForBitAndComesBackUnchanged) {
  using Limits = std::numeric_limits<float>;
  const std::vector<float> start{-0.0F,         Limits::denorm_min(), -Limits::denorm_min(),
                                 Limits::min(), Limits::max(),        Limits::lowest(),
                                 0.1F,          16777217.0F};
  const FunctionTrainerFactory idle(start.size(), [start](const TrainTask& task) -> Result<TrainOutcome> {
    EXPECT_TRUE(same_bits(*task.base, start)) << "at client " << task.client.value;
    return TrainOutcome{.model = task.base, .weight = 1.0, .metrics = {}};
  });

  const DriverRun unmoved =
      run({rounds(2), irregular_tree(), idle}, [&](MemoryObserver& observer) { observer.start_from({}, {}, start); });

  ASSERT_TRUE(unmoved.status.ok()) << unmoved.status.to_string();
  if (unmoved.holds_root) { EXPECT_TRUE(same_bits(unmoved.observer.model(), start)); }
}

// ---- Nothing lost, nothing doubled ----

TEST_P(DriverContract, EveryClientIsCountedOnceInEveryRound) {
  const DriverRun called = run({rounds(3), irregular_tree(), roll_call(6)});

  ASSERT_TRUE(called.status.ok()) << called.status.to_string();
  expect_rounds(called, 3);
  std::vector<float> before(6, 0.0F);
  for (const auto& [round, report] : called.observer.reports) {
    EXPECT_EQ(report.contributors, 6U);
    EXPECT_EQ(report.weight, Weight::from(6.0).value());
    EXPECT_EQ(counted(before, called.model(round), report.weight), std::vector<int>(6, 1));
    before = called.model(round);
  }
  expect_quiet(called);
}

// All pull the model up by one: in round r every task must start from r - 1, and come to its client once.
TEST_P(DriverContract, EveryTaskIsCarriedOutOnceFromTheModelCommittedLast) {
  constexpr std::uint64_t kRounds = 5;
  auto seen = std::make_shared<TaskSet>();
  auto here = std::make_shared<std::atomic<std::uint64_t>>(0);
  const FunctionTrainerFactory climbing(100, [seen, here](const TrainTask& task) -> Result<TrainOutcome> {
    EXPECT_TRUE(seen->insert(task)) << "client " << task.client.value << " trains twice in round " << task.round.value;
    EXPECT_EQ(task.round, task.global_round);
    EXPECT_NE(task.cancel, nullptr);
    EXPECT_TRUE(same_bits(*task.base, std::vector<float>(100, static_cast<float>(task.round.value - 1))));
    ++*here;
    auto model = std::make_shared<std::vector<float>>(*task.base);
    for (float& value : *model) { value += 1.0F; }
    return TrainOutcome{.model = std::move(model), .weight = 1.0, .metrics = {}};
  });
  const Tree tree = make_tree(balanced_counts(3, 3));

  const DriverRun climbed = run({rounds(kRounds), tree, climbing});

  ASSERT_TRUE(climbed.status.ok()) << climbed.status.to_string();
  EXPECT_LE(here->load(), kRounds * tree.clients());
  if (climbed.holds_root) {
    EXPECT_TRUE(same_bits(climbed.observer.model(), std::vector<float>(100, static_cast<float>(kRounds))));
    EXPECT_EQ(climbed.statistics.tasks_trained, kRounds * tree.clients());
  }
}

TEST_P(DriverContract, TasksOfLocalRoundsSayTheirOwnAndTheRootsRound) {
  Configuration configuration = rounds(3);
  configuration.tiers[1].local_rounds = 2;
  const FunctionTrainerFactory telling(5, [](const TrainTask& task) -> Result<TrainOutcome> {
    EXPECT_EQ((task.round.value + 1) / 2, task.global_round.value);
    return TrainOutcome{.model = task.base,
                        .weight = 1.0,
                        .metrics = {{"round", static_cast<double>(task.round.value)},
                                    {"global_round", static_cast<double>(task.global_round.value)}}};
  });
  const Scenario scenario{configuration, make_tree(balanced_counts(2, 2)), telling};

  const DriverRun told = run(scenario);

  EXPECT_TRUE(told.status.ok()) << told.status.to_string();
  if (told.holds_root) {
    expect_same_rounds(told, reference(scenario));
    EXPECT_EQ(told.observer.reports.at(3).scalars.at("global_round").mean(), 3.0);
    EXPECT_EQ(told.observer.reports.at(3).scalars.at("round").mean(), 6.0);
  }
}

// After round r, of two local rounds, all values are 2 r; client c holds out 1 + c samples and finds a loss of 2 r + c
// on them.
TEST_P(DriverContract, ClientsMeasureEachModelBeforeItIsPublished) {
  const auto make = [](bool holds_out) {
    FunctionTrainerFactory climbing(100, [](const TrainTask& task) -> Result<TrainOutcome> {
      auto model = std::make_shared<std::vector<float>>(*task.base);
      for (float& value : *model) { value += 1.0F; }
      return TrainOutcome{.model = std::move(model), .weight = 1.0, .metrics = {}};
    });
    if (!holds_out) { return climbing; }
    climbing.set_holdout(
        [](ClientIndex client) { return 1 + client.value; },
        [](const EvaluateTask& task) -> Result<Evaluation> {
          EXPECT_TRUE(
              same_bits(*task.model, std::vector<float>(100, 2.0F * static_cast<float>(task.global_round.value))));
          EXPECT_NE(task.cancel, nullptr);
          const double loss = static_cast<double>(task.model->front()) + task.client.value;
          return Evaluation{.samples = 1 + std::uint64_t{task.client.value}, .metrics = {{"loss", loss}}};
        });
    return climbing;
  };
  Configuration configuration = rounds(4);
  configuration.evaluation.clients.every = 3;
  configuration.tiers[1].local_rounds = 2;
  const Tree tree = make_tree(balanced_counts(2, 3));

  const DriverRun measured = run({configuration, tree, make(true)});

  ASSERT_TRUE(measured.status.ok()) << measured.status.to_string();
  expect_rounds(measured, 4);
  expect_quiet(measured);
  if (!measured.holds_root) { return; }
  for (const auto& [round, report] : measured.observer.reports) {
    EXPECT_EQ(report.evaluation.has_value(), round >= 3) << "round " << round;
    if (!report.evaluation) { continue; }
    EXPECT_EQ(report.evaluation->contributors, 8U);
    EXPECT_EQ(report.evaluation->samples, Weight::from(36).value());
    // The sum of c (1 + c) over 8 clients is 168.
    EXPECT_DOUBLE_EQ(report.evaluation->scalars.at("loss").mean(), 2.0 * static_cast<double>(round) + 168.0 / 36.0);
  }
  EXPECT_EQ(measured.statistics.tasks_trained, 4U * 8U * 2U);
}

// Longer than nodes wait before they ask: the client must answer while it trains, and is not given the task again.
TEST_P(DriverContract, ALongTrainingIsAskedAboutAndNotRepeated) {
  static constexpr auto kLong = std::chrono::milliseconds(1300);
  auto seen = std::make_shared<TaskSet>();
  const auto long_first_round = [seen](FunctionTrainerFactory::Function pull) {
    return [seen, pull = std::move(pull)](const TrainTask& task) -> Result<TrainOutcome> {
      EXPECT_TRUE(seen->insert(task)) << "client " << task.client.value << " trains twice";
      if (real_time() && task.client.value == 0 && task.round.value == 1) {
        EXPECT_FALSE(busy_until_cancelled(task, kLong)) << "cancelled while the round waits for it";
      }
      return pull(task);
    };
  };
  Scenario scenario{rounds(2), make_tree(balanced_counts(2, 2)), noisy_pull(50, long_first_round)};
  scenario.compute_time = [](ClientIndex client) { return std::chrono::hours(client.value == 0 ? 1 : 0); };

  const DriverRun waited = run(scenario);

  EXPECT_TRUE(waited.status.ok()) << waited.status.to_string();
  if (waited.holds_root) {
    const Simulated calm = reference({scenario.configuration, scenario.tree, noisy_pull(50)});
    expect_same_rounds(waited, calm);
    EXPECT_TRUE(waited.observer.notes.empty());
    EXPECT_EQ(waited.statistics.tasks_trained, 8U);
    EXPECT_GT(waited.statistics.traffic.total().messages, calm.statistics.traffic.total().messages);
  }
}

// ---- One run and the next ----

TEST_P(DriverContract, RunAfterRunInOneProcessGivesTheSameModel) {
  const Scenario scenario{rounds(2), irregular_tree(), noisy_pull(1000)};
  for (int repeat = 0; repeat < 5; ++repeat) { expect_reference(scenario); }
}

TEST_P(DriverContract, ARunThatGoesOnFromRoundTwoEndsInTheSameModel) {
  const Scenario scenario{rounds(4), make_tree(balanced_counts(3, 2)), noisy_pull(200)};
  const Simulated whole = reference(scenario);

  const DriverRun resumed = run(scenario, [&](MemoryObserver& observer) {
    observer.start_from(Round{2}, whole.observer.reports.at(2).version, whole.observer.models.at(2));
  });

  ASSERT_TRUE(resumed.status.ok()) << resumed.status.to_string();
  if (resumed.holds_root) {
    EXPECT_EQ(resumed.observer.order, (std::vector<std::uint64_t>{3, 4}));
    EXPECT_EQ(resumed.report(4).version, Version{4});
    EXPECT_TRUE(same_bits(resumed.observer.model(), whole.observer.model()));
  }
}

TEST_P(DriverContract, ARunThatHasReachedItsEndBeforeTrainsNothing) {
  const Scenario scenario{rounds(4), make_tree(balanced_counts(2, 2)), noisy_pull(10)};
  const std::vector<float> model(10, 1.5F);
  for (const auto& [round, done] : {std::pair{4U, false}, {2U, true}}) {
    const DriverRun over = run(scenario, [&, round = round, done = done](MemoryObserver& observer) {
      observer.start_from(Round{round}, Version{round}, model, done);
    });

    EXPECT_TRUE(over.status.ok()) << over.status.to_string();
    if (over.holds_root) {
      EXPECT_EQ(over.observer.starts, 1);
      EXPECT_TRUE(over.observer.order.empty());
      EXPECT_EQ(over.statistics.tasks_trained, 0U);
    }
  }
}

}  // namespace tributary::testing
