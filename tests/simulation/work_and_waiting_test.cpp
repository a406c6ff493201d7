// SPDX-License-Identifier: Apache-2.0
// How long clients work, by the virtual clock.
#include <gtest/gtest.h>

#include "support/fake_trainer.hpp"
#include "support/simulate.hpp"

namespace tributary::testing {
namespace {

using std::chrono::seconds;

// The first client takes 1 s, the second 2 s, and so on.
SimulationSettings one_after_another() {
  return {.compute_time = [](ClientIndex client) { return seconds(client.value + 1); }};
}

TEST(WorkAndWaiting, WorkIsTheTimeOfAllTasks) {
  const Simulated run = simulate(rounds(5), make_tree({4, 0, 0, 0, 0}), roll_call(4), one_after_another());

  ASSERT_TRUE(run.status.ok()) << run.status.to_string();
  EXPECT_EQ(run.statistics.clock, seconds(5 * 4)) << "a round waits for the slowest";
  EXPECT_DOUBLE_EQ(run.statistics.work_seconds, 5 * (1 + 2 + 3 + 4));
}

// Two of four are enough: when the second is done, the others are told to stop.
TEST(WorkAndWaiting, WorkThatIsCancelledCountsUntilThen) {
  Configuration configuration = rounds(3);
  configuration.tiers[0] = {.cohort_count = 2, .over_selection = 2.0};
  const Simulated run = simulate(configuration, make_tree({4, 0, 0, 0, 0}), roll_call(4), one_after_another());

  ASSERT_TRUE(run.status.ok()) << run.status.to_string();
  EXPECT_EQ(run.statistics.clock, seconds(3 * 2));
  EXPECT_DOUBLE_EQ(run.statistics.work_seconds, 3 * (1 + 2 + 2 + 2));
}

// Groups of 1 s and 2 s, 3 s and 4 s. A node is busy from its task to its answer.
TEST(WorkAndWaiting, BusyIsWhoseParentWaits) {
  const Simulated run = simulate(rounds(3), make_tree({2, 2, 2, 0, 0, 0, 0}), roll_call(4), one_after_another());

  ASSERT_TRUE(run.status.ok()) << run.status.to_string();
  EXPECT_EQ(run.statistics.clock, seconds(3 * 4));
  EXPECT_DOUBLE_EQ(run.statistics.busy_seconds.at(1), 3 * (2 + 4));
  EXPECT_DOUBLE_EQ(run.statistics.busy_seconds.at(2), 3 * (1 + 2 + 3 + 4));
}

TEST(WorkAndWaiting, WhoIsNotWaitedForIsNotBusy) {
  Configuration configuration = rounds(3);
  configuration.tiers[0] = {.cohort_count = 2, .over_selection = 2.0};
  const Simulated run = simulate(configuration, make_tree({4, 0, 0, 0, 0}), roll_call(4), one_after_another());

  ASSERT_TRUE(run.status.ok()) << run.status.to_string();
  EXPECT_DOUBLE_EQ(run.statistics.busy_seconds.at(1), 3 * (1 + 2 + 2 + 2));
}

TEST(WorkAndWaiting, ChildrenOfAContinuousRootNeverWait) {
  Configuration configuration = rounds(50);
  configuration.tiers[0] = {.policy = "asynchronous"};
  const Simulated run = simulate(configuration, make_tree({4, 0, 0, 0, 0}), roll_call(4), one_after_another());

  ASSERT_TRUE(run.status.ok()) << run.status.to_string();
  const double there_was = 4 * std::chrono::duration<double>(run.statistics.clock).count();
  EXPECT_NEAR(run.statistics.work_seconds, there_was, 1e-9) << "those who are at work at the end count up to it";
}

TEST(WorkAndWaiting, WhoDiesWorksNoMore) {
  Configuration configuration = rounds(20);
  configuration.simulation.faults = {.kill = 0.3, .down_s = 2.0, .seed = 5};
  SimulationSettings settings = one_after_another();
  settings.simulation = configuration.simulation;
  const Simulated run = simulate(configuration, make_tree({4, 0, 0, 0, 0}), roll_call(4), settings);

  ASSERT_TRUE(run.status.ok()) << run.status.to_string();
  const double there_was = 4 * std::chrono::duration<double>(run.statistics.clock).count();
  EXPECT_GT(run.statistics.work_seconds, 20 * 9.9);
  EXPECT_LT(run.statistics.work_seconds, there_was);
}

}  // namespace
}  // namespace tributary::testing
