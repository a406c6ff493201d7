// SPDX-License-Identifier: Apache-2.0
// The virtual clock: who is first when several are, what time is counted where, and where it ends.
#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

#include "support/fake_trainer.hpp"
#include "support/simulate.hpp"

namespace tributary::testing {
namespace {

using std::chrono::milliseconds;
using std::chrono::nanoseconds;
using std::chrono::seconds;

Configuration over_selecting(std::uint64_t number_of_rounds, std::uint32_t cohort, double over_selection) {
  Configuration configuration = rounds(number_of_rounds);
  configuration.default_tier.cohort_count = cohort;
  configuration.default_tier.over_selection = over_selection;
  return configuration;
}

// How often each client of a roll_call() was counted in the whole run.
std::vector<int> times_counted(const Simulated& run) {
  std::vector<int> times(run.observer.model().size(), 0);
  std::vector<float> before(times.size(), 0.0F);
  for (const auto& [round, after] : run.observer.models) {
    const std::vector<int> now = counted(before, after, run.observer.reports.at(round).weight);
    for (std::size_t client = 0; client < times.size(); ++client) { times[client] += now[client]; }
    before = after;
  }
  return times;
}

// Seven of twenty are asked, the first five counted, all take the same time: each client's turn comes in a quarter of
// all rounds. With a tie-break by number the last clients never had one.
TEST(VirtualTime, AmongEqualTimesEveryClientIsCountedAsOften) {
  const FunctionTrainerFactory factory = roll_call(20);
  const Tree tree = make_tree(balanced_counts(20, 1));
  for (const nanoseconds takes : {nanoseconds{0}, nanoseconds{seconds(3)}}) {
    const Simulated run =
        simulate(over_selecting(200, 5, 1.4), tree, factory,
                 {.threads = 1, .simulation = {}, .compute_time = [takes](ClientIndex) { return takes; }});

    ASSERT_TRUE(run.status.ok()) << run.status.to_string();
    const std::vector<int> times = times_counted(run);
    EXPECT_EQ(std::accumulate(times.begin(), times.end(), 0), 1000);
    // The mean is 50, the standard deviation 6.
    EXPECT_GE(*std::min_element(times.begin(), times.end()), 25);
    EXPECT_LE(*std::max_element(times.begin(), times.end()), 75);
  }
}

// One client is near and slow, the other far and fast; their updates arrive together.
TEST(VirtualTime, AmongUpdatesThatArriveTogetherNoChildIsAlwaysFirst) {
  const FunctionTrainerFactory factory = roll_call(2);
  Tree::Builder builder{.child_counts = {2, 0, 0}, .attributes = {}};
  builder.attributes[1].link = {.latency = seconds(1)};
  builder.attributes[2].link = {.latency = seconds(2)};
  const Tree tree = Tree::create(std::move(builder)).value();

  const Simulated run = simulate(over_selecting(40, 1, 2.0), tree, factory,
                                 {.threads = 1, .simulation = {}, .compute_time = [](ClientIndex client) {
                                    return seconds(client.value == 0 ? 2 : 0);
                                  }});

  ASSERT_TRUE(run.status.ok()) << run.status.to_string();
  EXPECT_EQ(run.statistics.clock, seconds(40 * 4));
  const std::vector<int> times = times_counted(run);
  EXPECT_EQ(times[0] + times[1], 40);
  EXPECT_GE(times[0], 8);
  EXPECT_GE(times[1], 8);
}

TEST(VirtualTime, TiesAreBrokenTheSameWayByAnyNumberOfThreads) {
  const FunctionTrainerFactory factory = noisy_pull(200);
  const Tree tree = make_tree(balanced_counts(12, 2));
  const Configuration configuration = over_selecting(5, 6, 1.5);
  const Simulated one = simulate(configuration, tree, factory, {.threads = 1});

  const Simulated three = simulate(configuration, tree, factory, {.threads = 3});

  ASSERT_TRUE(one.status.ok()) << one.status.to_string();
  EXPECT_EQ(one.observer.model(), three.observer.model());
  Configuration other_seed = configuration;
  other_seed.seed += 1;
  EXPECT_NE(simulate(other_seed, tree, factory).observer.model(), one.observer.model());
}

// Each result is merged before the next is taken: once enough have come, nobody else trains in vain, and results do
// not pile up.
TEST(VirtualTime, WhoIsNotNeededAnyMoreDoesNotTrain) {
  const FunctionTrainerFactory factory = roll_call(20);

  const Simulated run =
      simulate(over_selecting(10, 5, 2.0), make_tree(balanced_counts(20, 1)), factory, {.threads = 1});

  ASSERT_TRUE(run.status.ok()) << run.status.to_string();
  EXPECT_EQ(run.statistics.tasks_trained, 50U);
}

// Publishing takes long, and the round is closed by a failure, not by an update.
TEST(VirtualTime, PublishingIsNeverTakenForMerging) {
  const FunctionTrainerFactory factory(4, [](const TrainTask& task) -> Result<TrainOutcome> {
    if (task.client.value == 3) { return unavailable("broken"); }
    return TrainOutcome{.model = task.base, .weight = 1.0, .samples = 1, .steps = 1, .metrics = {}};
  });
  Configuration configuration = rounds(4);
  configuration.default_tier.quorum = 0.5;
  configuration.default_tier.retries = 0;
  std::vector<nanoseconds> merged{nanoseconds{0}};

  const Simulated run =
      simulate(configuration, make_tree(balanced_counts(4, 1)), factory, {.threads = 1}, [&](MemoryObserver& observer) {
        observer.on_published = [&](const RoundReport&, const ModelValues&, ModelEvaluator&,
                                    const DriverStatistics& statistics) -> Result<bool> {
          merged.push_back(statistics.merge_time);
          std::this_thread::sleep_for(milliseconds(30));
          return false;
        };
      });

  ASSERT_TRUE(run.status.ok()) << run.status.to_string();
  ASSERT_EQ(merged.size(), 5U);
  for (std::size_t round = 1; round < merged.size(); ++round) { EXPECT_GE(merged[round], merged[round - 1]) << round; }
  EXPECT_GE(run.statistics.merge_time, merged.back());
}

TEST(VirtualTime, ParentsWaitForTheirChildrenByTheClockOfTheRun) {
  const FunctionTrainerFactory factory = roll_call(2);
  Tree::Builder builder{.child_counts = {2, 0, 0}, .attributes = {}};
  builder.attributes[1].link = {.latency = seconds(1)};
  builder.attributes[2].link = {.latency = seconds(2)};

  const Simulated run =
      simulate(rounds(3), Tree::create(std::move(builder)).value(), factory,
               {.threads = 1, .simulation = {}, .compute_time = [](ClientIndex) { return seconds(5); }});

  ASSERT_TRUE(run.status.ok()) << run.status.to_string();
  EXPECT_EQ(run.statistics.traffic.edges.at(NodeId{1}).wait_time, seconds(3 * 7));
  EXPECT_EQ(run.statistics.traffic.edges.at(NodeId{2}).wait_time, seconds(3 * 9));
  EXPECT_EQ(run.statistics.traffic.tiers.at(1).wait_time, seconds(3 * 16));
}

TEST(VirtualTime, TheClockEndsWithAMessageInsteadOfWrappingAround) {
  const FunctionTrainerFactory factory = roll_call(2);

  const Simulated run =
      simulate(rounds(5), make_tree(balanced_counts(2, 1)), factory,
               {.threads = 1, .simulation = {}, .compute_time = [](ClientIndex) { return nanoseconds::max(); }});

  EXPECT_EQ(run.status.code(), Code::kConfiguration);
  EXPECT_TRUE(run.observer.order.empty());
  EXPECT_NE(run.status.message().find("the virtual clock has come to its end"), std::string::npos);
}

}  // namespace
}  // namespace tributary::testing
