// SPDX-License-Identifier: Apache-2.0
// Part of driver_contract.hpp: what a client does wrong is its own loss, and deadlines are kept.
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <iterator>
#include <limits>
#include <map>
#include <memory>
#include <new>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "contract/driver_under_test.hpp"

namespace tributary::testing {

// A round that waits for three quarters of a cohort; its deadline is never reached.
inline Configuration with_quorum(std::uint64_t count) {
  Configuration configuration = rounds(count);
  configuration.default_tier.quorum = 0.75;
  configuration.default_tier.deadline_s = 100.0;
  return configuration;
}

// Everybody pulls the model up by one; `wrong` does the work of client 2 instead.
inline FunctionTrainerFactory with_wrong_client(std::size_t parameters, FunctionTrainerFactory::Function wrong) {
  return FunctionTrainerFactory(parameters, [wrong = std::move(wrong)](const TrainTask& task) -> Result<TrainOutcome> {
    if (task.client.value == 2) { return wrong(task); }
    auto model = std::make_shared<std::vector<float>>(*task.base);
    for (float& value : *model) { value += 1.0F; }
    return TrainOutcome{.model = std::move(model), .weight = 1.0, .metrics = {}};
  });
}

inline std::vector<NodeEvent> notes_of(const MemoryObserver& observer, NodeEvent::Kind kind) {
  std::vector<NodeEvent> notes;
  std::copy_if(observer.heard.begin(), observer.heard.end(), std::back_inserter(notes),
               [kind](const NodeEvent& note) { return note.kind == kind; });
  return notes;
}

// ---- Tasks that fail ----

TEST_P(DriverContract, TasksThatFailOnceAreAskedAgainAndCounted) {
  constexpr std::uint64_t kSeed = 3;
  const Tree tree = make_tree(balanced_counts(3, 3));
  const FunctionTrainerFactory flaky = noisy_pull(100, [](auto pull) { return failing_at_first(pull, kSeed); });

  const DriverRun stormy = run({rounds(4), tree, flaky});

  EXPECT_TRUE(stormy.status.ok()) << stormy.status.to_string();
  if (!stormy.holds_root) { return; }
  expect_same_rounds(stormy, reference({rounds(4), tree, noisy_pull(100)}));
  std::size_t failures = 0;
  for (std::uint32_t client = 0; client < tree.clients(); ++client) {
    for (std::uint64_t round = 1; round <= 4; ++round) {
      failures += fails_at_first(kSeed, ClientIndex{client}, Round{round}) ? 1 : 0;
    }
  }
  EXPECT_EQ(notes_of(stormy.observer, NodeEvent::Kind::kTaskFailed).size(), failures);
  EXPECT_EQ(stormy.statistics.tasks_trained, 4 * tree.clients() + failures);
}

TEST_P(DriverContract, ATaskThatFailsTwiceSucceedsAndOneThatAlwaysFailsIsGivenUp) {
  auto failures = std::make_shared<std::map<std::uint32_t, std::atomic<int>>>();
  for (std::uint32_t client = 0; client < 4; ++client) { (*failures)[client] = 0; }
  const FunctionTrainerFactory flaky = roll_call(4, [failures](auto call) -> FunctionTrainerFactory::Function {
    return [failures, call](const TrainTask& task) -> Result<TrainOutcome> {
      const int so_far = failures->at(task.client.value)++;
      if ((task.client.value == 1 && so_far < 2) || task.client.value == 2) { return internal_error("out of luck"); }
      return call(task);
    };
  });
  const Tree tree = make_tree(balanced_counts(4, 1));

  const DriverRun given_up = run({with_quorum(1), tree, flaky});

  ASSERT_TRUE(given_up.status.ok()) << given_up.status.to_string();
  if (!given_up.holds_root) { return; }
  const RoundReport report = given_up.report(1);
  EXPECT_EQ(report.contributors, 3U);
  EXPECT_EQ(report.state.failed, 1U);
  EXPECT_EQ(report.refused, 0U);
  EXPECT_EQ(counted({0, 0, 0, 0}, given_up.observer.model(), report.weight), (std::vector<int>{1, 1, 0, 1}));
  EXPECT_EQ(given_up.statistics.tasks_trained, 1U + 3U + 3U + 1U);
  std::map<NodeId, int> by_node;
  for (const NodeEvent& note : notes_of(given_up.observer, NodeEvent::Kind::kTaskFailed)) {
    EXPECT_EQ(note.detail, "out of luck");
    EXPECT_EQ(note.round, Round{1});
    ++by_node[note.node];
  }
  EXPECT_EQ(by_node,
            (std::map<NodeId, int>{{tree.client_node(ClientIndex{1}), 2}, {tree.client_node(ClientIndex{2}), 3}}));
}

TEST_P(DriverContract, WhateverATrainerDoesWrongFailsItsOwnTaskAlone) {
  struct Wrong {
    std::string why;
    FunctionTrainerFactory::Function train;
    std::size_t attempts = 1;  // in each round: what would go wrong again is not tried again
  };
  const std::vector<Wrong> kinds{
      {"no more disk", [](const TrainTask&) -> Result<TrainOutcome> { return io_error("no more disk"); }, 3},
      {"the trainer threw: a tantrum",
       [](const TrainTask&) -> Result<TrainOutcome> { throw std::runtime_error("a tantrum"); }, 3},
      {"the trainer ran out of memory", [](const TrainTask&) -> Result<TrainOutcome> { throw std::bad_alloc(); }, 3},
      {"the trainer returned a model of 3 values, not of 4",
       [](const TrainTask&) -> Result<TrainOutcome> {
         return TrainOutcome{
             .model = std::make_shared<const std::vector<float>>(3, 0.0F), .weight = 1.0, .metrics = {}};
       }},
      {"the trainer returned a model of 0 values, not of 4",
       [](const TrainTask&) -> Result<TrainOutcome> {
         return TrainOutcome{.model = nullptr, .weight = 1.0, .metrics = {}};
       }},
      {"training diverged: the change of tensor weight is nan; a lower learning rate helps",
       [](const TrainTask&) -> Result<TrainOutcome> {
         return TrainOutcome{
             .model = std::make_shared<const std::vector<float>>(4, std::nanf("")), .weight = 1.0, .metrics = {}};
       }},
      {"a weight must be a number from 2^-16 (0.0000153) to 2^38, got -1",
       [](const TrainTask& task) -> Result<TrainOutcome> {
         return TrainOutcome{.model = task.base, .weight = -1.0, .metrics = {}};
       }},
  };
  const Tree tree = make_tree(balanced_counts(4, 1));
  for (const Wrong& wrong : kinds) {
    SCOPED_TRACE(wrong.why);

    const DriverRun failed = run({with_quorum(2), tree, with_wrong_client(4, wrong.train)});

    EXPECT_TRUE(failed.status.ok()) << failed.status.to_string();
    if (!failed.holds_root) { continue; }
    EXPECT_EQ(failed.observer.model(), std::vector<float>(4, 2.0F));
    const std::vector<NodeEvent> notes = notes_of(failed.observer, NodeEvent::Kind::kTaskFailed);
    EXPECT_EQ(notes.size(), 2 * wrong.attempts);
    for (const NodeEvent& note : notes) {
      EXPECT_EQ(note.node, tree.client_node(ClientIndex{2}));
      EXPECT_NE(note.detail.find(wrong.why), std::string::npos) << note.detail;
    }
    expect_rounds(failed, 2);
    for (const auto& [round, report] : failed.observer.reports) {
      EXPECT_EQ(report.contributors, 3U) << "round " << round;
      EXPECT_EQ(report.state.failed, 1U) << "round " << round;
    }
  }
}

TEST_P(DriverContract, AnUpdateThatCannotBeAddedIsRefusedByNameAndTheRoundGoesOn) {
  struct Bad {
    std::string why;
    float value;
    double weight;
  };
  const std::vector<Bad> kinds{
      {"the change of tensor weight holds 8589934592, and the sums of this tree take at most", 0x1p33F, 1.0},
      {"the update weighs 1000000, and 1 was announced as the most of this child", 1.0F, 1e6},
  };
  // The bad client is below an aggregator: that one refuses it, and the root hears of it.
  const Tree tree = make_tree({2, 4, 4, 0, 0, 0, 0, 0, 0, 0, 0});
  for (const Bad& bad : kinds) {
    SCOPED_TRACE(bad.why);
    const FunctionTrainerFactory poisoned = with_wrong_client(4, [bad](const TrainTask& task) -> Result<TrainOutcome> {
      auto model = std::make_shared<std::vector<float>>(*task.base);
      (*model)[1] = bad.value;
      return TrainOutcome{.model = std::move(model), .weight = bad.weight, .metrics = {}};
    });

    const DriverRun refused = run({with_quorum(2), tree, poisoned});

    EXPECT_TRUE(refused.status.ok()) << refused.status.to_string();
    if (!refused.holds_root) { continue; }
    EXPECT_EQ(refused.observer.model(), std::vector<float>(4, 2.0F));
    EXPECT_EQ(refused.report(2).contributors, 7U);
    const std::vector<NodeEvent> notes = notes_of(refused.observer, NodeEvent::Kind::kRefused);
    EXPECT_EQ(notes.size(), 2U);
    for (const NodeEvent& note : notes) {
      EXPECT_EQ(note.node, tree.client_node(ClientIndex{2}));
      EXPECT_NE(note.detail.find(bad.why), std::string::npos) << note.detail;
    }
  }
}

TEST_P(DriverContract, RefusedUpdatesAreCountedInTheReport) {
  const FunctionTrainerFactory poisoned = with_wrong_client(4, [](const TrainTask&) -> Result<TrainOutcome> {
    return TrainOutcome{.model = std::make_shared<const std::vector<float>>(4, 0x1p33F), .weight = 1.0, .metrics = {}};
  });

  const DriverRun refused = run({with_quorum(2), make_tree(balanced_counts(4, 1)), poisoned});

  ASSERT_TRUE(refused.status.ok()) << refused.status.to_string();
  expect_rounds(refused, 2);
  for (const auto& [round, report] : refused.observer.reports) {
    EXPECT_EQ(report.refused, 1U) << "round " << round;
    EXPECT_EQ(report.state.failed, 1U) << "round " << round;
    EXPECT_EQ(report.contributors, 3U) << "round " << round;
  }
}

// ---- Runs that cannot go on ----

TEST_P(DriverContract, ARunThatNobodyAnswersEndsWithAReason) {
  const FunctionTrainerFactory never(1, [](const TrainTask&) -> Result<TrainOutcome> { return internal_error("no"); });

  const DriverRun hopeless = run({rounds(5), make_tree(balanced_counts(2, 2)), never});

  EXPECT_FALSE(hopeless.status.ok());
  if (!hopeless.holds_root) { return; }
  EXPECT_EQ(hopeless.status.code(), Code::kUnavailable);
  EXPECT_EQ(hopeless.status.message(),
            "no; so none of 2 children reported, and 2 were needed; so none of 2 children reported, and 2 were needed: "
            "3 rounds in a row were abandoned, the last of them round 3");
}

TEST_P(DriverContract, ARunWithoutAnyCommitIsAFailure) {
  const FunctionTrainerFactory never(1, [](const TrainTask&) -> Result<TrainOutcome> { return internal_error("no"); });

  const DriverRun hopeless = run({rounds(2), make_tree(balanced_counts(2, 1)), never});

  EXPECT_FALSE(hopeless.status.ok());
  if (!hopeless.holds_root) { return; }
  EXPECT_EQ(hopeless.status.code(), Code::kUnavailable);
  EXPECT_EQ(
      hopeless.status.message(),
      "no; so none of 2 children reported, and 2 were needed: no round was committed, and the model is as it was");
  EXPECT_EQ(hopeless.observer.order, (std::vector<std::uint64_t>{1, 2}));
  EXPECT_FALSE(hopeless.report(2).committed);
}

TEST_P(DriverContract, AQuorumThatCannotBeMetNamesHowManyAreMissing) {
  Configuration configuration = with_quorum(5);
  const FunctionTrainerFactory factory = roll_call(4, [](auto call) -> FunctionTrainerFactory::Function {
    return [call](const TrainTask& task) -> Result<TrainOutcome> {
      if (task.client.value >= 2 && task.round.value >= 2) { return unavailable("out of office"); }
      return call(task);
    };
  });

  const DriverRun short_of = run({configuration, make_tree(balanced_counts(4, 1)), factory});

  EXPECT_FALSE(short_of.status.ok());
  if (!short_of.holds_root) { return; }
  EXPECT_EQ(short_of.status.code(), Code::kUnavailable);
  EXPECT_NE(short_of.status.message().find(": 3 rounds in a row were abandoned, the last of them round 4"),
            std::string::npos)
      << short_of.status.message();
  EXPECT_NE(short_of.status.message().find("out of office; so 2 of 4 children reported, and 3 were needed"),
            std::string::npos)
      << short_of.status.message();
  EXPECT_EQ(short_of.report(1).contributors, 4U);
}

TEST_P(DriverContract, ATrainerThatCannotBeMadeEndsTheRunBeforeItsFirstRound) {
  class NoTrainers final : public TrainerFactory {
   public:
    [[nodiscard]] const ParameterSpec& spec() const noexcept override { return like_.spec(); }
    [[nodiscard]] Result<std::vector<float>> initial_model(std::uint64_t seed) const override {
      return like_.initial_model(seed);
    }
    [[nodiscard]] double weight_bound(ClientIndex client) const override { return like_.weight_bound(client); }
    [[nodiscard]] Result<std::unique_ptr<Trainer>> create() const override { return not_found("no such device"); }

   private:
    FunctionTrainerFactory like_ = noisy_pull(4);
  };

  const DriverRun none = run(rounds(2), make_tree(balanced_counts(2, 2)), NoTrainers{});

  EXPECT_FALSE(none.status.ok());
  EXPECT_TRUE(none.observer.order.empty());
  if (none.holds_root) {
    EXPECT_EQ(none.status.code(), Code::kNotFound);
    EXPECT_NE(none.status.message().find("no such device"), std::string::npos) << none.status.message();
  }
}

// ---- Deadlines ----

// A roll call in which the tasks of `slow` clients in round 1 do not end before they are cancelled, or long after.
class Stragglers {
 public:
  Stragglers(Configuration configuration, Tree tree, std::set<std::uint32_t> slow, bool real_time)
      : scenario_{std::move(configuration), tree,
                  roll_call(tree.clients(), [slow, real_time](auto call) -> FunctionTrainerFactory::Function {
                    return [slow, real_time, call](const TrainTask& task) -> Result<TrainOutcome> {
                      if (!real_time || task.round.value > 1 || !slow.contains(task.client.value)) {
                        return call(task);
                      }
                      EXPECT_TRUE(busy_until_cancelled(task, std::chrono::seconds(15)))
                          << "client " << task.client.value << " was not told that nobody waits for it";
                      return Status(Code::kCancelled, "cancelled");
                    };
                  })} {
    // Asked by the thread of a virtual clock alone.
    auto first = std::make_shared<std::set<std::uint32_t>>(std::move(slow));
    scenario_.compute_time = [first](ClientIndex client) {
      return std::chrono::hours(first->erase(client.value) > 0 ? 1 : 0);
    };
  }

  [[nodiscard]] const Scenario& scenario() const { return scenario_; }

 private:
  Scenario scenario_;
};

// Time from the start of the run to the end of round 1.
inline std::chrono::nanoseconds first_round_time(const DriverRun& run, bool real_time) {
  return real_time ? run.observer.round_times.at(1) : run.observer.clocks.at(1);
}

// Deadlines pass late on a busy machine, and a hair early by the clock of an observer that was asked after the start.
inline void expect_about(std::chrono::nanoseconds actual, std::chrono::nanoseconds expected, bool real_time) {
  if (!real_time) {
    EXPECT_EQ(actual, expected);
    return;
  }
  EXPECT_GE(actual, expected * 9 / 10);
  EXPECT_LE(actual, expected + std::chrono::seconds(5));
}

// In how many of the rounds from `first` on `client` was counted.
inline int rounds_counted(const MemoryObserver& observer, std::uint64_t first, std::size_t client) {
  int sum = 0;
  for (const auto& [round, report] : observer.reports) {
    if (round < first || !report.committed) { continue; }
    const auto before = observer.models.find(round - 1);
    const std::vector<float> zero(observer.model().size(), 0.0F);
    sum += counted(before == observer.models.end() ? zero : before->second, observer.models.at(round),
                   report.weight)[client];
  }
  return sum;
}

TEST_P(DriverContract, AtTheDeadlineAQuorumClosesTheRoundAndTheLateOneTakesPartAgainLater) {
  Configuration configuration = rounds(4);
  configuration.default_tier.deadline_s = deadline_s();
  configuration.default_tier.quorum = 0.5;
  const Stragglers stragglers(configuration, make_tree(balanced_counts(4, 1)), {3}, real_time());

  const DriverRun closed = run(stragglers.scenario());

  ASSERT_TRUE(closed.status.ok()) << closed.status.to_string();
  if (!closed.holds_root) { return; }
  const RoundReport report = closed.report(1);
  EXPECT_TRUE(report.committed);
  EXPECT_GE(report.contributors, 2U);
  EXPECT_EQ(report.contributors + report.late, 4U);
  EXPECT_TRUE(report.state.deadline_passed);
  EXPECT_EQ(rounds_counted(closed.observer, 1, 3), rounds_counted(closed.observer, 2, 3));
  EXPECT_GE(rounds_counted(closed.observer, 2, 3), 1);
  expect_about(first_round_time(closed, real_time()), GetParam().deadline, real_time());
}

TEST_P(DriverContract, ALateClientBelowAnAggregatorDelaysOnlyUntilTheDeadline) {
  Configuration configuration = rounds(4);
  configuration.default_tier.deadline_s = 2 * deadline_s();
  configuration.default_tier.quorum = 0.5;
  const Stragglers stragglers(configuration, make_tree(balanced_counts(2, 2)), {3}, real_time());

  const DriverRun closed = run(stragglers.scenario());

  ASSERT_TRUE(closed.status.ok()) << closed.status.to_string();
  if (!closed.holds_root) { return; }
  EXPECT_EQ(rounds_counted(closed.observer, 1, 3), rounds_counted(closed.observer, 2, 3));
  EXPECT_GE(rounds_counted(closed.observer, 2, 3), 1);
  EXPECT_TRUE(closed.report(1).committed);
  EXPECT_LE(first_round_time(closed, real_time()), 4 * GetParam().deadline + std::chrono::seconds(5));
}

TEST_P(DriverContract, WithoutItsQuorumARoundIsGivenUpAtTwiceTheDeadline) {
  Configuration configuration = rounds(3);
  configuration.default_tier.deadline_s = deadline_s();
  const Stragglers stragglers(configuration, make_tree(balanced_counts(2, 1)), {1}, real_time());

  const DriverRun given_up = run(stragglers.scenario());

  ASSERT_TRUE(given_up.status.ok()) << given_up.status.to_string();
  if (!given_up.holds_root) { return; }
  const RoundReport report = given_up.report(1);
  EXPECT_FALSE(report.committed);
  EXPECT_EQ(report.version, Version{0});
  EXPECT_EQ(given_up.model(1), std::vector<float>(2, 0.0F));
  EXPECT_GE(given_up.observer.notes.at(NodeEvent::Kind::kAbandoned), 1);
  EXPECT_GE(rounds_counted(given_up.observer, 2, 1), 1);
  expect_about(first_round_time(given_up, real_time()), 2 * GetParam().deadline, real_time());
}

// The time an observer takes to measure and save is not the next round's.
TEST_P(DriverContract, ASlowObserverCostsNoRoundItsDeadline) {
  Configuration configuration = rounds(3);
  configuration.default_tier.deadline_s = deadline_s();
  const bool takes_time = real_time();
  const auto longer_than_a_round = 2 * GetParam().deadline + std::chrono::milliseconds(50);

  const DriverRun slow =
      run({configuration, make_tree(balanced_counts(4, 1)), roll_call(4)}, [=](MemoryObserver& observer) {
        observer.on_published = [=](const RoundReport& report, const auto&, auto&, const auto&) {
          if (takes_time && report.round.value == 1) { std::this_thread::sleep_for(longer_than_a_round); }
          return Result<bool>(false);
        };
      });

  ASSERT_TRUE(slow.status.ok()) << slow.status.to_string();
  expect_rounds(slow, 3);
  for (const auto& [round, report] : slow.observer.reports) {
    EXPECT_TRUE(report.committed) << "round " << round;
    EXPECT_EQ(report.contributors, 4U) << "round " << round;
  }
}

// Over-selected and not needed: the run ends without waiting for the one that still trains.
TEST_P(DriverContract, ARunEndsThoughSomebodyStillTrains) {
  Configuration configuration = rounds(1);
  configuration.default_tier.cohort_count = 3;
  configuration.default_tier.over_selection = 4.0 / 3.0;
  const Stragglers stragglers(configuration, make_tree(balanced_counts(4, 1)), {3}, real_time());
  const auto start = std::chrono::steady_clock::now();

  const DriverRun ended = run(stragglers.scenario());

  ASSERT_TRUE(ended.status.ok()) << ended.status.to_string();
  EXPECT_LE(std::chrono::steady_clock::now() - start, std::chrono::seconds(10));
  if (ended.holds_root) {
    EXPECT_EQ(ended.report(1).contributors, 3U);
    EXPECT_EQ(ended.report(1).late, 1U);
    EXPECT_EQ(rounds_counted(ended.observer, 1, 3), 0);
  }
}

}  // namespace tributary::testing
