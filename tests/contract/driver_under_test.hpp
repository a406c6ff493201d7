// SPDX-License-Identifier: Apache-2.0
// How a driver is put through the contract suite (driver_contract.hpp), and what the suite's cases share.
//
// Processes: a driver that spans several processes runs the whole suite in each of them, the same cases in the same
//            order. So each case starts the same runs with equal plans everywhere, whatever their outcome; models,
//            records and statistics are checked by the process that holds the root alone. Trainers check for themselves
//            what only the process that trains can see.
// Reference: the simulation driver on its virtual clock, run beside the driver under test, or a closed form.
// Patience:  nodes repeat themselves when nothing moves for a second. A machine too busy for that makes more messages,
//            and never another model: cases that count messages allow for it when a round took that long.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <cstring>
#include <functional>
#include <memory>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

#include "support/fake_trainer.hpp"
#include "support/federation.hpp"
#include "support/simulate.hpp"

namespace tributary::testing {

// Virtual time that one task of a client takes; none if empty.
using ComputeTime = std::function<std::chrono::nanoseconds(ClientIndex)>;

// One driver, for one run.
class DriverUnderTest {
 public:
  virtual ~DriverUnderTest() = default;

  // False in a process that only takes part.
  [[nodiscard]] virtual bool holds_root() const = 0;
  // Carries the federation to its end; every process of the driver calls it with an equal plan. `observer` is called in
  // the process that holds the root alone. The Status is Driver::run()'s there, and elsewhere OK exactly when it is
  // there.
  virtual Status run(const AgreedPlan& plan, const TrainerFactory& factory, RunObserver& observer) = 0;
  // Of all processes, where the root is.
  [[nodiscard]] virtual const DriverStatistics& statistics() const = 0;
};

// One line of INSTANTIATE_TEST_SUITE_P.
struct DriverCase {
  std::string name;  // of letters and digits
  // Makes a driver anew, once for each run. Only a virtual clock asks for `compute_time`.
  std::function<std::unique_ptr<DriverUnderTest>(const ComputeTime& compute_time)> make;
  bool real_time = true;  // false: deadlines pass on a virtual clock, and only compute_time makes a task late
  // A deadline that clients with nothing to do keep even on a busy machine; cases wait for it a few times.
  std::chrono::milliseconds deadline{300};
};

inline std::string case_name(const ::testing::TestParamInfo<DriverCase>& info) {
  return info.param.name;
}
inline void PrintTo(const DriverCase& driver, std::ostream* out) {
  *out << driver.name;
}

// A driver that keeps all nodes in this process.
class OneProcessDriver final : public DriverUnderTest {
 public:
  explicit OneProcessDriver(std::unique_ptr<Driver> driver) : driver_(std::move(driver)) {}

  [[nodiscard]] bool holds_root() const override { return true; }
  Status run(const AgreedPlan& plan, const TrainerFactory& factory, RunObserver& observer) override {
    return driver_->run(plan, factory, observer);
  }
  [[nodiscard]] const DriverStatistics& statistics() const override { return driver_->statistics(); }

 private:
  std::unique_ptr<Driver> driver_;
};

// What a case runs.
struct Scenario {
  Configuration configuration;
  Tree tree;
  FunctionTrainerFactory factory;
  ComputeTime compute_time = nullptr;
};

// What this process saw of a run.
struct DriverRun {
  bool holds_root = false;
  Status status;
  MemoryObserver observer;
  DriverStatistics statistics;
  std::chrono::nanoseconds patience{0};  // after which nodes repeat themselves

  // Empty if there was no such round: a case that goes on to another run must not throw.
  [[nodiscard]] RoundReport report(std::uint64_t round) const {
    const auto found = observer.reports.find(round);
    return found == observer.reports.end() ? RoundReport{} : found->second;
  }
  [[nodiscard]] std::vector<float> model(std::uint64_t round) const {
    const auto found = observer.models.find(round);
    return found == observer.models.end() ? std::vector<float>{} : found->second;
  }
  [[nodiscard]] bool never_stalled() const { return observer.longest_round() < patience; }
};

using Prepare = std::function<void(MemoryObserver&)>;

// Equal to the last bit: 0 is not -0.
inline ::testing::AssertionResult same_bits(const std::vector<float>& actual, const std::vector<float>& expected) {
  if (actual.size() != expected.size()) {
    return ::testing::AssertionFailure() << actual.size() << " values instead of " << expected.size();
  }
  for (std::size_t i = 0; i < actual.size(); ++i) {
    if (std::memcmp(&actual[i], &expected[i], sizeof(float)) != 0) {
      return ::testing::AssertionFailure() << "value " << i << " is " << actual[i] << " instead of " << expected[i];
    }
  }
  return ::testing::AssertionSuccess();
}

class DriverContract : public ::testing::TestWithParam<DriverCase> {
 protected:
  [[nodiscard]] static bool real_time() { return GetParam().real_time; }
  [[nodiscard]] static double deadline_s() { return std::chrono::duration<double>(GetParam().deadline).count(); }

  // Runs `factory` in a new driver. `prepare` readies the observer, in every process.
  static DriverRun run(const Configuration& configuration, const Tree& tree, const TrainerFactory& factory,
                       const ComputeTime& compute_time = nullptr, const Prepare& prepare = nullptr) {
    DriverRun run{.observer = MemoryObserver(factory.spec().parameters())};
    if (prepare) { prepare(run.observer); }
    const Result<Plan> plan = make_plan(configuration, tree, factory);
    if (!plan.ok()) {
      run.status = plan.status();
      return run;
    }
    const std::unique_ptr<DriverUnderTest> driver = GetParam().make(compute_time);
    run.holds_root = driver->holds_root();
    run.patience = plan->inner_node(plan->tree().root(), 0).liveness.first_probe;
    run.status = driver->run(*plan, factory, run.observer);
    run.statistics = driver->statistics();
    expect_proper_calls(run);
    return run;
  }
  static DriverRun run(const Scenario& scenario, const Prepare& prepare = nullptr) {
    return run(scenario.configuration, scenario.tree, scenario.factory, scenario.compute_time, prepare);
  }

  static Simulated reference(const Scenario& scenario, const Prepare& prepare = nullptr) {
    SimulationSettings settings;
    settings.compute_time = scenario.compute_time;
    return simulate(scenario.configuration, scenario.tree, scenario.factory, std::move(settings), prepare);
  }

  // Where the root is, every round from the first to the last was published: what follows of each of them is not said
  // of none.
  static void expect_rounds(const DriverRun& run, std::uint64_t last) {
    if (!run.holds_root) { return; }
    std::vector<std::uint64_t> all;
    for (std::uint64_t round = 1; round <= last; ++round) { all.push_back(round); }
    EXPECT_EQ(run.observer.order, all);
    EXPECT_EQ(run.observer.reports.size(), all.size());
  }

  // The same rounds with the same models, where the root is; OK everywhere.
  static void expect_same_rounds(const DriverRun& run, const Simulated& expected) {
    ASSERT_TRUE(run.status.ok()) << run.status.to_string();
    if (!run.holds_root) { return; }
    ASSERT_TRUE(expected.status.ok()) << expected.status.to_string();
    ASSERT_EQ(run.observer.order, expected.observer.order);
    ASSERT_FALSE(expected.observer.reports.empty());
    EXPECT_FALSE(run.observer.halted_once);
    for (const auto& [round, report] : expected.observer.reports) {
      SCOPED_TRACE("round " + std::to_string(round));
      const RoundReport& actual = run.observer.reports.at(round);
      EXPECT_TRUE(same_bits(run.observer.models.at(round), expected.observer.models.at(round)));
      EXPECT_EQ(actual.version, report.version);
      EXPECT_EQ(actual.committed, report.committed);
      EXPECT_EQ(actual.contributors, report.contributors);
      EXPECT_EQ(actual.weight, report.weight);
      EXPECT_EQ(actual.scalars, report.scalars);
      EXPECT_EQ(actual.state.asked, report.state.asked);
      EXPECT_EQ(actual.state.reported, report.state.reported);
      EXPECT_EQ(actual.state.failed, report.state.failed);
      EXPECT_EQ(actual.state.lost, 0U);
      EXPECT_EQ(actual.refused, report.refused);
      EXPECT_EQ(actual.late, report.late);
    }
  }

  // Nothing was worth a note.
  static void expect_quiet(const DriverRun& run) {
    for (const NodeEvent& note : run.observer.heard) {
      const bool repeated = note.kind == NodeEvent::Kind::kDuplicate || note.kind == NodeEvent::Kind::kLate;
      if (repeated && !run.never_stalled()) { continue; }
      ADD_FAILURE() << "node " << note.node.value << ", round " << note.round.value << ": " << to_string(note.kind)
                    << ", " << note.detail;
    }
  }

  // A run without faults is the reference's, and quiet.
  static void expect_reference(const Scenario& scenario) {
    const DriverRun actual = run(scenario);

    if (actual.holds_root) {
      expect_same_rounds(actual, reference(scenario));
      expect_quiet(actual);
      EXPECT_EQ(actual.observer.reports.size(), scenario.configuration.rounds);
    } else {
      EXPECT_TRUE(actual.status.ok()) << actual.status.to_string();
    }
  }

 private:
  static void expect_proper_calls(const DriverRun& run) {
    EXPECT_FALSE(run.observer.called_on_other_thread) << "the observer was called on another thread than run()'s";
    EXPECT_FALSE(run.observer.called_after_halt);
    if (!run.holds_root) {
      EXPECT_EQ(run.observer.calls, 0U) << "the observer was called in a process without the root";
    }
  }
};

}  // namespace tributary::testing
