// SPDX-License-Identifier: Apache-2.0
// Aggregators with continuous policies, at any tier and under any parent: what is counted where, and nothing twice.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <memory>
#include <mutex>
#include <numeric>

#include "support/fake_trainer.hpp"
#include "support/simulate.hpp"

namespace tributary::testing {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using Discount = TierConfig::Discount;
using EdgeModel = TierConfig::EdgeModel;

TierConfig asynchronous(std::uint32_t local_rounds = 1) {
  return {.policy = "asynchronous", .discount = Discount::kConstant, .local_rounds = local_rounds, .retries = 100};
}

double total(const std::vector<float>& model) {
  return std::accumulate(model.begin(), model.end(), 0.0);
}

// Updates of clients in all commits of the root.
std::uint64_t updates_in(const Simulated& run) {
  std::uint64_t updates = 0;
  for (const auto& [round, report] : run.observer.reports) {
    if (report.committed) { updates += report.staleness.updates; }
  }
  return updates;
}

// Remembers what models clients were given.
class Bases {
 public:
  FunctionTrainerFactory factory(std::size_t clients) {
    return roll_call(clients, [this](FunctionTrainerFactory::Function train) -> FunctionTrainerFactory::Function {
      return [this, train = std::move(train)](const TrainTask& task) {
        const std::lock_guard lock(mutex_);
        given[task.client.value].push_back((*task.base)[task.client.value]);
        return train(task);
      };
    });
  }

  std::map<std::uint32_t, std::vector<float>> given;  // of each client: its own value in each of its bases

 private:
  std::mutex mutex_;
};

// Client, edge and root in a chain: whatever is under way, the client finds all of its own changes in its next model,
// and each of them once.
TEST(HierarchicalAsynchrony, AClientFindsItsOwnChangesInItsNextModelOnce) {
  for (const std::uint32_t local_rounds : {1U, 2U, 5U}) {
    for (const bool slow_link : {false, true}) {
      Configuration configuration = rounds(40 / local_rounds);
      configuration.tiers[0] = asynchronous();
      configuration.tiers[1] = asynchronous(local_rounds);
      Tree::Builder builder{.child_counts = {1, 1, 0}, .attributes = {}};
      if (slow_link) { builder.attributes[1].link = {.latency = milliseconds(2600)}; }
      Bases bases;
      const FunctionTrainerFactory factory = bases.factory(1);

      const Simulated run = simulate(configuration, Tree::create(std::move(builder)).value(), factory,
                                     {.compute_time = [](ClientIndex) { return seconds(1); }});

      ASSERT_TRUE(run.status.ok()) << run.status.to_string();
      for (std::size_t task = 0; task < bases.given[0].size(); ++task) {
        ASSERT_EQ(bases.given[0][task], static_cast<float>(task)) << local_rounds << ' ' << slow_link;
      }
      EXPECT_EQ(total(run.observer.model()), static_cast<double>(updates_in(run)));
    }
  }
}

// Whatever is lost, repeated, delayed or killed: what the root's commits say that they hold is what the model has
// gained.
TEST(HierarchicalAsynchrony, EveryUpdateIsCountedOnceOrNotAtAll) {
  std::uint64_t kills = 0;
  for (std::uint64_t seed = 1; seed <= 150; ++seed) {
    Rng rng(stream_seed(seed, Purpose::kTest));
    const auto height = static_cast<std::uint32_t>(2 + rng.below(3));
    const Tree tree = make_tree(balanced_counts(2, height));
    Configuration configuration = rounds(15);
    configuration.seed = seed;
    for (std::uint32_t tier = 0; tier < height; ++tier) {
      configuration.tiers[tier] = asynchronous(tier == 0 ? 1 : static_cast<std::uint32_t>(1 + rng.below(3)));
    }
    configuration.simulation.faults = {
        .drop = 0.05, .duplicate = 0.1, .delay = 0.2, .delay_s = 2.0, .kill = 0.1, .down_s = 3.0, .seed = seed};
    const FunctionTrainerFactory factory =
        roll_call(tree.clients(), [seed](auto train) { return failing_at_first(train, seed); });

    Simulated run =
        simulate(configuration, tree, factory,
                 {.compute_time = [](ClientIndex client) { return milliseconds(500 + 300 * (client.value % 5)); },
                  .largest_events = 500'000});

    ASSERT_TRUE(run.status.ok()) << "seed " << seed << ": " << run.status.to_string();
    EXPECT_EQ(total(run.observer.model()), static_cast<double>(updates_in(run))) << "seed " << seed;
    kills += static_cast<std::uint64_t>(run.observer.notes[NodeEvent::Kind::kKilled]);
  }
  EXPECT_GT(kills, 100U);
}

// Forwarded sums of three clients each: a commit of the root moves the model by their mean.
TEST(HierarchicalAsynchrony, ForwardedSumsAreDividedAtTheRoot) {
  Configuration configuration = rounds(30);
  configuration.tiers[0] = asynchronous();
  configuration.tiers[1] = {.policy = "buffered", .buffer = 3, .edge_model = EdgeModel::kForward};
  const Tree tree = make_tree({2, 4, 4, 0, 0, 0, 0, 0, 0, 0, 0});

  const Simulated run =
      simulate(configuration, tree, roll_call(8),
               {.compute_time = [](ClientIndex client) { return milliseconds(700 + 100 * client.value); }});

  ASSERT_TRUE(run.status.ok()) << run.status.to_string();
  EXPECT_NEAR(total(run.observer.model()), 30.0, 1e-4);
  for (const auto& [round, report] : run.observer.reports) {
    EXPECT_GE(report.contributors, 3U);
    EXPECT_LE(report.contributors, 4U) << "each child once";
  }
}

// An edge that is asynchronous answers each round of a synchronous root with what has come since the last.
TEST(HierarchicalAsynchrony, AsynchronousEdgesUnderASynchronousRoot) {
  Configuration configuration = rounds(12);
  configuration.tiers[1] = asynchronous(4);
  const Tree tree = make_tree(balanced_counts(3, 2));
  const auto speed = [](ClientIndex client) { return milliseconds(200 + 400 * (client.value % 3)); };

  const Simulated run = simulate(configuration, tree, roll_call(9), {.compute_time = speed});

  ASSERT_TRUE(run.status.ok()) << run.status.to_string();
  EXPECT_EQ(run.observer.order.back(), 12U);
  EXPECT_GT(total(run.observer.model()), 12.0 * 3) << "at least four updates of each edge in each round";
  EXPECT_GT(run.observer.model()[0], run.observer.model()[2]) << "who is fast is counted more often";
}

TEST(HierarchicalAsynchrony, AnyMixtureEndsInTheSameBitsOnAnyNumberOfThreads) {
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    Rng rng(stream_seed(seed, Purpose::kTest, 1));
    const auto height = static_cast<std::uint32_t>(1 + rng.below(4));
    const Tree tree = make_tree(balanced_counts(3, height));
    Configuration configuration = rounds(6);
    configuration.seed = seed;
    for (std::uint32_t tier = 0; tier < height; ++tier) {
      TierConfig& config = configuration.tiers[tier];
      config.local_rounds = tier == 0 ? 1 : static_cast<std::uint32_t>(1 + rng.below(3));
      switch (rng.below(4)) {
        case 0:
          break;
        case 1:
          config.policy = "asynchronous";
          break;
        case 2:
          config.policy = "buffered";
          config.buffer = static_cast<std::uint32_t>(1 + rng.below(3));
          config.concurrency = static_cast<std::uint32_t>(1 + rng.below(3));
          break;
        default:
          config.policy = "buffered";
          config.buffer = 2;
          config.discount = Discount::kConstant;
          config.local_rounds = 1;
          if (tier > 0) { config.edge_model = EdgeModel::kForward; }
          break;
      }
    }
    if (seed % 2 == 0) {
      configuration.simulation.faults = {
          .drop = 0.05, .duplicate = 0.05, .delay = 0.1, .delay_s = 1.0, .kill = 0.05, .down_s = 2.0, .seed = seed};
    }
    const FunctionTrainerFactory factory = noisy_pull(50);
    const auto speed = [](ClientIndex client) { return milliseconds(100 + 70 * (client.value % 7)); };
    const auto run = [&](std::uint32_t threads) {
      return simulate(configuration, tree, factory,
                      {.threads = threads, .compute_time = speed, .largest_events = 500'000});
    };
    const Simulated one = run(1);

    const Simulated three = run(3);

    ASSERT_TRUE(one.status.ok()) << "seed " << seed << ": " << one.status.to_string();
    EXPECT_EQ(one.observer.model(), three.observer.model()) << "seed " << seed;
    EXPECT_EQ(one.statistics.events, three.statistics.events) << "seed " << seed;
  }
}

}  // namespace
}  // namespace tributary::testing
