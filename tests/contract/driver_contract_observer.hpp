// SPDX-License-Identifier: Apache-2.0
// Part of driver_contract.hpp: what the observer is told and may do, and what is measured.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <span>
#include <thread>
#include <vector>

#include "contract/driver_under_test.hpp"

namespace tributary::testing {

TEST_P(DriverContract, TheObserverIsAskedOnceAndToldOfEachRoundInOrder) {
  const Scenario scenario{rounds(5), make_tree(balanced_counts(3, 2)), noisy_pull(100)};

  const DriverRun told = run(scenario);

  ASSERT_TRUE(told.status.ok()) << told.status.to_string();
  if (!told.holds_root) { return; }
  EXPECT_EQ(told.observer.starts, 1);
  expect_rounds(told, 5);
  for (const auto& [round, report] : told.observer.reports) {
    EXPECT_EQ(report.version, Version{round});
    EXPECT_TRUE(report.committed);
  }
  EXPECT_EQ(told.observer.tasks, 5U * 9U);
}

TEST_P(DriverContract, APublishedModelIsNotChangedWhileTheObserverHoldsIt) {
  std::vector<ModelValues> held;

  const DriverRun holding =
      run({rounds(4), make_tree(balanced_counts(3, 2)), noisy_pull(100)}, [&](MemoryObserver& observer) {
        observer.on_published = [&](const auto&, const ModelValues& model, auto&, const auto&) {
          held.push_back(model);
          return Result<bool>(false);
        };
      });

  ASSERT_TRUE(holding.status.ok()) << holding.status.to_string();
  if (!holding.holds_root) { return; }
  ASSERT_EQ(held.size(), 4U);
  for (std::size_t i = 0; i < held.size(); ++i) {
    EXPECT_TRUE(same_bits(*held[i], holding.observer.models.at(i + 1))) << "round " << i + 1;
  }
}

TEST_P(DriverContract, TheObserverMayMeasureTheModelWithTheTrainersOfItsProcess) {
  struct Parts {
    std::mutex mutex;
    std::multiset<std::uint32_t> measured;
  };
  auto parts = std::make_shared<Parts>();
  FunctionTrainerFactory factory = noisy_pull(10);
  factory.set_measure([parts](std::span<const float> model, std::uint32_t part) -> Result<Evaluation> {
    const std::lock_guard lock(parts->mutex);
    parts->measured.insert(part);
    return Evaluation{.samples = 1, .metrics = {{"first", static_cast<double>(model.front())}}};
  });

  const DriverRun measured = run({rounds(3), make_tree(balanced_counts(3, 2)), factory}, [](MemoryObserver& observer) {
    observer.on_published = [](const auto&, const ModelValues& model, ModelEvaluator& evaluator,
                               const auto&) -> Result<bool> {
      TRIBUTARY_ASSIGN_OR_RETURN(const Evaluation found, evaluator.evaluate(*model));
      EXPECT_EQ(found.metrics.at("first"), static_cast<double>(model->front()));
      return false;
    };
  });

  ASSERT_TRUE(measured.status.ok()) << measured.status.to_string();
  if (measured.holds_root) {
    ASSERT_FALSE(parts->measured.empty());
    for (std::uint32_t part = 0; part <= *parts->measured.rbegin(); ++part) {
      EXPECT_EQ(parts->measured.count(part), 3U) << "part " << part;
    }
  }
}

// ---- Ending a run ----

TEST_P(DriverContract, TheObserverMayStopTheRunAfterAnyRound) {
  const Scenario scenario{rounds(10), make_tree(balanced_counts(3, 2)), noisy_pull(100)};

  const DriverRun stopped = run(scenario, [](MemoryObserver& observer) {
    observer.on_published = [](const RoundReport& report, const auto&, auto&, const auto&) {
      return Result<bool>(report.round == Round{2});
    };
  });

  ASSERT_TRUE(stopped.status.ok()) << stopped.status.to_string();
  if (!stopped.holds_root) { return; }
  EXPECT_EQ(stopped.observer.order, (std::vector<std::uint64_t>{1, 2}));
  EXPECT_TRUE(same_bits(stopped.observer.model(), reference(scenario).observer.models.at(2)));
  EXPECT_FALSE(stopped.observer.halted_once) << "the observer itself asked for the end, and has kept what it wants";
  EXPECT_EQ(stopped.statistics.tasks_trained, 2U * 9U);
}

TEST_P(DriverContract, AnErrorOfTheObserverInARoundEndsTheRunAsItIs) {
  const Status full = io_error("run/checkpoint-2: no space left");

  const DriverRun failed =
      run({rounds(5), make_tree(balanced_counts(3, 2)), noisy_pull(100)}, [&](MemoryObserver& observer) {
        observer.on_published = [&](const RoundReport& report, const auto&, auto&, const auto&) {
          return report.round == Round{2} ? Result<bool>(full) : Result<bool>(false);
        };
      });

  EXPECT_FALSE(failed.status.ok());
  if (failed.holds_root) {
    EXPECT_EQ(failed.status, full);
    EXPECT_EQ(failed.observer.order, (std::vector<std::uint64_t>{1, 2}));
  }
}

TEST_P(DriverContract, AnErrorOfTheObserverAtTheStartEndsTheRunAsItIs) {
  const Status damaged = bad_data("run/checkpoint-7: digest differs");

  const DriverRun failed = run({rounds(5), make_tree(balanced_counts(3, 2)), noisy_pull(100)},
                               [&](MemoryObserver& observer) { observer.restore_error = damaged; });

  EXPECT_FALSE(failed.status.ok());
  EXPECT_TRUE(failed.observer.order.empty());
  if (failed.holds_root) { EXPECT_EQ(failed.status, damaged); }
}

// ---- Statistics ----

TEST_P(DriverContract, TheWaitForASlowChildIsCountedOnItsEdge) {
  static constexpr auto kSlow = std::chrono::milliseconds(200);
  const auto slow_first = [](FunctionTrainerFactory::Function pull) {
    return [pull = std::move(pull)](const TrainTask& task) -> Result<TrainOutcome> {
      if (real_time() && task.client.value == 0) { std::this_thread::sleep_for(kSlow); }
      return pull(task);
    };
  };
  Scenario scenario{rounds(2), make_tree(balanced_counts(2, 1)), noisy_pull(10, slow_first)};
  scenario.compute_time = [](ClientIndex client) { return client.value == 0 ? kSlow : std::chrono::nanoseconds{0}; };

  const DriverRun waited = run(scenario);

  ASSERT_TRUE(waited.status.ok()) << waited.status.to_string();
  if (!waited.holds_root) { return; }
  const Traffic& traffic = waited.statistics.traffic;
  EXPECT_GE(traffic.edges.at(NodeId{1}).wait_time, 2 * kSlow);
  EXPECT_EQ(traffic.tiers.at(1).wait_time,
            traffic.edges.at(NodeId{1}).wait_time + traffic.edges.at(NodeId{2}).wait_time);
}

TEST_P(DriverContract, TrafficIsTheReferencesOnEveryEdgeAndTier) {
  Configuration configuration = rounds(3);
  configuration.tiers[2].cohort_count = 2;
  const Scenario scenario{configuration, make_tree(balanced_counts(3, 3)), noisy_pull(1000)};

  const DriverRun counted_run = run(scenario);

  ASSERT_TRUE(counted_run.status.ok()) << counted_run.status.to_string();
  if (!counted_run.holds_root) { return; }
  const Simulated expected = reference(scenario);
  const bool exact = counted_run.never_stalled();
  const auto expect_traffic = [exact](const EdgeTraffic& actual, const EdgeTraffic& wanted) {
    EXPECT_GE(actual.messages, wanted.messages);
    EXPECT_GE(actual.bytes_down, wanted.bytes_down);
    EXPECT_GE(actual.bytes_up, wanted.bytes_up);
    if (!exact) { return; }
    EXPECT_EQ(actual.messages, wanted.messages);
    EXPECT_EQ(actual.bytes_down, wanted.bytes_down);
    EXPECT_EQ(actual.bytes_up, wanted.bytes_up);
  };
  const Traffic& traffic = counted_run.statistics.traffic;
  EXPECT_GT(expected.statistics.traffic.edges.size(), scenario.tree.size() / 2);  // not every client is asked
  EXPECT_EQ(expected.statistics.traffic.tiers.size(), scenario.tree.height());
  EXPECT_EQ(traffic.edges.size(), expected.statistics.traffic.edges.size());
  for (const auto& [child, wanted] : expected.statistics.traffic.edges) {
    SCOPED_TRACE("edge above node " + std::to_string(child.value));
    ASSERT_TRUE(traffic.edges.contains(child));
    expect_traffic(traffic.edges.at(child), wanted);
  }
  EXPECT_EQ(traffic.tiers.size(), expected.statistics.traffic.tiers.size());
  for (const auto& [tier, wanted] : expected.statistics.traffic.tiers) {
    SCOPED_TRACE("tier " + std::to_string(tier));
    ASSERT_TRUE(traffic.tiers.contains(tier));
    expect_traffic(traffic.tiers.at(tier), wanted);
  }
}

TEST_P(DriverContract, WorkIsMeasuredWhereverItIsDone) {
  const Scenario scenario{rounds(3), make_tree(balanced_counts(3, 3)), noisy_pull(1000)};

  const DriverRun worked = run(scenario);

  ASSERT_TRUE(worked.status.ok()) << worked.status.to_string();
  if (!worked.holds_root) { return; }
  EXPECT_EQ(worked.statistics.tasks_trained, 3U * 27U);
  EXPECT_EQ(worked.observer.tasks, 3U * 27U);
  EXPECT_GT(worked.statistics.train_time.count(), 0);
  EXPECT_GT(worked.statistics.merge_time.count(), 0);
  std::chrono::nanoseconds merged{0};
  for (std::uint32_t tier = 0; tier < scenario.tree.height(); ++tier) {
    ASSERT_TRUE(worked.statistics.merge_by_tier.contains(tier)) << "tier " << tier;
    EXPECT_GT(worked.statistics.merge_by_tier.at(tier).count(), 0) << "tier " << tier;
    merged += worked.statistics.merge_by_tier.at(tier);
  }
  EXPECT_EQ(worked.statistics.merge_by_tier.size(), scenario.tree.height());
  EXPECT_EQ(merged, worked.statistics.merge_time);
  if (real_time()) { EXPECT_GT(worked.statistics.clock.count(), 0); }
}

TEST_P(DriverContract, TheNumbersOfProcessesAddUpToTheWhole) {
  const Scenario scenario{rounds(3), make_tree(balanced_counts(3, 3)), noisy_pull(1000)};

  const DriverRun worked = run(scenario);

  ASSERT_TRUE(worked.status.ok()) << worked.status.to_string();
  if (!worked.holds_root || worked.statistics.processes.empty()) { return; }
  ProcessStatistics sum;
  std::set<std::uint32_t> ranks;
  for (const ProcessStatistics& process : worked.statistics.processes) {
    EXPECT_FALSE(process.lost) << "rank " << process.rank;
    EXPECT_FALSE(process.host.empty()) << "rank " << process.rank;
    ranks.insert(process.rank);
    sum.nodes += process.nodes;
    sum.tasks_trained += process.tasks_trained;
    sum.train_time += process.train_time;
    sum.merge_time += process.merge_time;
  }
  EXPECT_EQ(ranks.size(), worked.statistics.processes.size());
  EXPECT_EQ(sum.nodes, scenario.tree.size());
  EXPECT_EQ(sum.tasks_trained, worked.statistics.tasks_trained);
  EXPECT_EQ(sum.train_time, worked.statistics.train_time);
  EXPECT_EQ(sum.merge_time, worked.statistics.merge_time);
}

TEST_P(DriverContract, StatisticsNeverRunBackwards) {
  DriverStatistics before;

  const DriverRun watched =
      run({rounds(4), make_tree(balanced_counts(3, 2)), noisy_pull(100)}, [&](MemoryObserver& observer) {
        observer.on_published = [&](const auto&, const auto&, auto&, const DriverStatistics& now) {
          EXPECT_GE(now.traffic.total().messages, before.traffic.total().messages);
          EXPECT_GE(now.tasks_trained, before.tasks_trained);
          EXPECT_GE(now.train_time, before.train_time);
          EXPECT_GE(now.merge_time, before.merge_time);
          EXPECT_GE(now.clock, before.clock);
          before = now;
          return Result<bool>(false);
        };
      });

  ASSERT_TRUE(watched.status.ok()) << watched.status.to_string();
  if (watched.holds_root) {
    EXPECT_GE(watched.statistics.tasks_trained, before.tasks_trained);
    EXPECT_GE(watched.statistics.traffic.total().messages, before.traffic.total().messages);
  }
}

// What happens below an aggregator is told to the root's observer too.
TEST_P(DriverContract, NotesOfAnyNodeReachTheObserver) {
  const Tree tree = make_tree(balanced_counts(2, 3));
  const FunctionTrainerFactory factory = noisy_pull(10, [](auto pull) -> FunctionTrainerFactory::Function {
    auto seen = std::make_shared<TaskSet>();
    return [seen, pull](const TrainTask& task) -> Result<TrainOutcome> {
      if (task.round.value == 1 && seen->insert(task)) { return unavailable("not yet"); }
      return pull(task);
    };
  });

  const DriverRun noted = run({rounds(2), tree, factory});

  ASSERT_TRUE(noted.status.ok()) << noted.status.to_string();
  if (!noted.holds_root) { return; }
  std::map<NodeId, int> by_node;
  for (const NodeEvent& note : noted.observer.heard) {
    if (note.kind != NodeEvent::Kind::kTaskFailed) { continue; }
    EXPECT_EQ(note.detail, "not yet");
    EXPECT_EQ(note.round, Round{1});
    ++by_node[note.node];
  }
  std::map<NodeId, int> every_client_once;
  for (std::uint32_t client = 0; client < tree.clients(); ++client) {
    every_client_once[tree.client_node(ClientIndex{client})] = 1;
  }
  EXPECT_EQ(by_node, every_client_once);
}

}  // namespace tributary::testing
