// SPDX-License-Identifier: Apache-2.0
// What a plan says of exact sums: grids, bounds and resolution.
#include "tributary/run/plan.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <limits>

#include "support/fake_trainer.hpp"
#include "support/federation.hpp"

namespace tributary {
namespace {

using testing::balanced_counts;
using testing::FunctionTrainerFactory;
using testing::make_plan;
using testing::make_tree;
using testing::rounds;

FunctionTrainerFactory weighing(std::function<double(ClientIndex)> weight) {
  return FunctionTrainerFactory(
      4,
      [](const TrainTask& task) -> Result<TrainOutcome> {
        return TrainOutcome{.model = task.base, .weight = 1.0, .metrics = {}};
      },
      std::move(weight));
}

Weight weight(double value) {
  return Weight::from(value).value();
}

TEST(Plan, OneGridServesATreeWhoseRootAloneDivides) {
  const FunctionTrainerFactory factory = weighing([](ClientIndex) { return 600.0; });
  const Plan flat =
      make_plan(rounds(1),
                make_tree({27, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}),
                factory)
          .value();
  const Plan tree = make_plan(rounds(1), make_tree(balanced_counts(3, 3)), factory).value();

  EXPECT_EQ(tree.scale(), flat.scale());
  EXPECT_EQ(tree.scale(), ExactScale::fine(weight(27 * 600.0), 27));
  for (std::uint32_t node = 0; node < 13; ++node) { EXPECT_EQ(tree.scale(NodeId{node}), flat.scale()) << node; }
  EXPECT_EQ(tree.weight_bound(NodeId{1}), weight(9 * 600.0));
  EXPECT_LE(tree.coarsest_resolution(), 1e-10);
}

// An aggregator with local rounds works on the grid of what comes together there, not on that of the whole tree.
TEST(Plan, EachNodeThatDividesHasAGridOfItsOwn) {
  Configuration configuration = rounds(1);
  configuration.tiers[1] = TierConfig{.local_rounds = 2};
  // The root has 3 aggregators, each of them 3, each of those 3 clients.
  const Plan plan =
      make_plan(configuration, make_tree(balanced_counts(3, 3)), weighing([](ClientIndex) { return 1.0; })).value();

  EXPECT_EQ(plan.scale(NodeId{0}), ExactScale::fine(weight(27), 3)) << "three updates, each of weight 9";
  for (const std::uint32_t node : {1U, 4U, 5U, 6U}) {
    EXPECT_EQ(plan.scale(NodeId{node}), ExactScale::fine(weight(9), 9)) << node;
  }
}

TEST(Plan, ACohortBoundsWhatComesTogether) {
  Configuration configuration = rounds(1);
  configuration.default_tier.cohort_count = 2;
  const Plan plan = make_plan(configuration, make_tree({4, 0, 0, 0, 0}),
                              weighing([](ClientIndex client) { return 1.0 + client.value; }))
                        .value();

  EXPECT_EQ(plan.scale(), ExactScale::fine(weight(4 + 3), 2)) << "the two heaviest";
}

TEST(Plan, AGridFollowsTheCohortWhereNobodyBelowSums) {
  const FunctionTrainerFactory factory = weighing([](ClientIndex) { return 1.0; });
  const Plan star = make_plan(rounds(1), make_tree({2, 0, 0}), factory).value();
  EXPECT_NE(star.inner_node(NodeId{0}, 0).scale_of_round, nullptr);
  // Aggregators send sums, whose grid they have to know beforehand, unless they divide them themselves.
  const Tree tree = make_tree(balanced_counts(2, 2));
  EXPECT_EQ(make_plan(rounds(1), tree, factory)->inner_node(NodeId{0}, 0).scale_of_round, nullptr);
  EXPECT_EQ(make_plan(rounds(1), tree, factory)->inner_node(NodeId{1}, 0).scale_of_round, nullptr);
  Configuration local = rounds(1);
  local.tiers[1] = TierConfig{.local_rounds = 2};
  EXPECT_NE(make_plan(local, tree, factory)->inner_node(NodeId{0}, 0).scale_of_round, nullptr);
  EXPECT_NE(make_plan(local, tree, factory)->inner_node(NodeId{1}, 0).scale_of_round, nullptr);
}

TEST(Plan, SaysWhatAContinuousPolicyCannotDo) {
  const FunctionTrainerFactory factory = weighing([](ClientIndex) { return 1.0; });
  const auto message = [&](std::uint32_t tier, TierConfig config) {
    Configuration configuration = rounds(1);
    configuration.tiers[tier] = std::move(config);
    return make_plan(configuration, make_tree(balanced_counts(3, 2)), factory).status().message();
  };
  EXPECT_EQ(message(0, {.policy = "buffered", .buffer = 3, .concurrency = 3}), "");
  EXPECT_EQ(message(1, {.policy = "asynchronous", .local_rounds = 5}), "");
  EXPECT_EQ(
      message(1, {.policy = "buffered", .buffer = 4}),
      "tiers.1.buffer is 4, and aggregator-1 has 3 children: each counts once in a buffer, so it would never be full");
  EXPECT_EQ(message(1, {.policy = "asynchronous", .edge_model = TierConfig::EdgeModel::kForward, .local_rounds = 2}),
            "tiers.1.local_rounds is 2, and edge_model is forward: each commit sends its sum up");
  EXPECT_EQ(message(0, {.policy = "buffered", .buffer = 4}),
            "tiers.0.buffer is 4, and root has 3 children: each counts once in a buffer, so it would never be full");
  EXPECT_EQ(message(0, {.policy = "asynchronous", .concurrency = 4}),
            "tiers.0.concurrency is 4, and root has 3 children");
}

TEST(Plan, SaysWhereModelsCannotBeMixed) {
  const FunctionTrainerFactory factory = weighing([](ClientIndex) { return 1.0; });
  const auto message = [&](std::uint32_t tier, const ServerOptimizerConfig& optimizer,
                           std::vector<std::uint32_t> tree) {
    Configuration configuration = rounds(1);
    configuration.tiers[tier] = {.policy = "asynchronous", .form = TierConfig::Form::kMix};
    configuration.server_optimizer = optimizer;
    return make_plan(configuration, make_tree(std::move(tree)), factory).status().message();
  };
  EXPECT_EQ(message(0, {}, {3, 0, 0, 0}), "");
  EXPECT_EQ(message(1, {.kind = "fedadam"}, balanced_counts(2, 2)), "") << "the root's optimizer takes changes";
  EXPECT_EQ(
      message(0, {}, {2, 2, 0, 0, 0}),
      "tiers.0.form: mix needs clients right below, and aggregator-1 is an aggregator, whose answer is a change of a "
      "model that nobody else has: use form delta there");
  const std::string said =
      "server_optimizer must be sgd at lr 1 with tiers.0.form: mix, which says itself how the model moves: by "
      "tiers.0.mixing";
  EXPECT_EQ(message(0, {.kind = "fedadam"}, {3, 0, 0, 0}), said);
  EXPECT_EQ(message(0, {.lr = 0.5}, {3, 0, 0, 0}), said);
}

TEST(Plan, SaysWhatStatesByEdgesCannotDo) {
  FunctionTrainerFactory factory = weighing([](ClientIndex) { return 1.0; });
  factory.set_honours_drift();
  const auto message = [&](TierConfig tier) {
    Configuration configuration = rounds(1);
    configuration.algorithm.kind = AlgorithmConfig::Kind::kMtgc;
    configuration.tiers[1] = std::move(tier);
    return make_plan(configuration, make_tree(balanced_counts(2, 2)), factory).status().message();
  };
  EXPECT_EQ(message({.local_rounds = 3}), "");
  EXPECT_THAT(message({.policy = "buffered", .buffer = 2}),
              ::testing::StartsWith("tiers.1: algorithm.kind mtgc needs policy synchronous in all tiers"));
  EXPECT_THAT(message({.policy = "asynchronous"}), ::testing::HasSubstr("needs policy synchronous"));
  EXPECT_THAT(message({.rule = "median"}), ::testing::HasSubstr("does not go with algorithm.kind mtgc"));
  EXPECT_THAT(message({.policy = "buffered", .buffer = 10}), ::testing::HasSubstr("needs policy synchronous"))
      << "nobody makes a buffer fit that is of no use";
}

TEST(Plan, DiscountsTakeTheirBitsFromValues) {
  Configuration configuration = rounds(1);
  configuration.tiers[0] = {.policy = "buffered", .buffer = 2};
  const FunctionTrainerFactory factory = weighing([](ClientIndex) { return 4.0; });
  const ExactScale scale = make_plan(configuration, make_tree({3, 0, 0, 0}), factory).value().scale();

  EXPECT_EQ(scale, ExactScale::fine(weight(8), 2, 12));
  EXPECT_EQ(scale.fraction_bits, ExactScale::fine(weight(8), 2).fraction_bits);
  EXPECT_EQ(scale.value_bound * 0x1p12, ExactScale::fine(weight(8), 2).value_bound);
}

TEST(Plan, SaysWhatIsWrongWithAWeightBound) {
  const auto refusal = [](double bound) {
    return make_plan(rounds(1), make_tree({2, 0, 0}), weighing([bound](ClientIndex) { return bound; }))
        .status()
        .message();
  };

  EXPECT_THAT(refusal(0.0), ::testing::HasSubstr("client-1 has no samples"));
  for (const double wrong : {-1.0, std::nan(""), std::numeric_limits<double>::infinity(), 1e-9, 1e30}) {
    EXPECT_THAT(refusal(wrong), ::testing::StartsWith("client-1 announces a wrong weight bound: a weight must be"))
        << wrong;
  }
  EXPECT_THAT(refusal(Weight::kLargest), ::testing::HasSubstr("together weigh more than 2^38"));
}

TEST(Plan, ALinkTellsAnAggregatorHowLongItsWayIs) {
  Tree tree =
      Tree::create(
          {.child_counts = {1, 1, 0},
           .attributes = {{1, NodeAttributes{.link = {.bytes_per_second = 4.0, .latency = std::chrono::seconds(1)}}}}})
          .value();
  const Plan plan = make_plan(rounds(1), tree, weighing([](ClientIndex) { return 1.0; })).value();

  // 16 bytes of model down, up to 20 of sums up, and the latency twice.
  EXPECT_EQ(plan.inner_node(NodeId{1}, 0).way, std::chrono::seconds(2 + 9));
  EXPECT_EQ(plan.inner_node(NodeId{0}, 0).way, std::chrono::seconds(0));
}

// A run may go on with other names only where names give nobody other samples.
TEST(Plan, NamesDecideTheResultOnlyWhereSamplesGoByThem) {
  const FunctionTrainerFactory factory = weighing([](ClientIndex) { return 1.0; });
  const auto digest = [&factory](const Configuration& configuration, const NodeAttributes& first) {
    const Tree tree = Tree::create({.child_counts = {2, 0, 0}, .attributes = {{1, first}}}).value();
    return make_plan(configuration, tree, factory).value().digest();
  };
  Configuration natural = rounds(1);
  natural.data.partition = DataConfig::Partition::kNatural;
  Configuration without_data = natural;
  without_data.data.source = DataConfig::Source::kNone;
  const NodeAttributes north{.name = "north"};
  const NodeAttributes south{.name = "south"};
  const NodeAttributes in_north{.site = "north"};

  EXPECT_EQ(digest(rounds(1), north), digest(rounds(1), south));
  EXPECT_EQ(digest(without_data, north), digest(without_data, south));
  EXPECT_NE(digest(natural, north), digest(natural, south));
  EXPECT_NE(digest(natural, north), digest(natural, in_north));
  EXPECT_EQ(digest(natural, north), digest(natural, north));
}

// What a replay needs records for.
TEST(Plan, OrderDecidesWhereATierDoesNotWaitForAll) {
  const auto decides = [](const std::function<void(TierConfig&)>& change) {
    Configuration configuration = testing::rounds(1);
    change(configuration.tiers[0]);
    const testing::FunctionTrainerFactory factory(
        1, [](const TrainTask& /*task*/) -> Result<TrainOutcome> { return unavailable("not asked"); });
    return testing::make_plan(configuration, testing::make_tree({4, 0, 0, 0, 0}), factory).value().order_decides();
  };
  EXPECT_FALSE(decides([](TierConfig&) {}));
  EXPECT_FALSE(decides([](TierConfig& tier) { tier.cohort_count = 2; }));
  EXPECT_FALSE(decides([](TierConfig& tier) { tier.rule = "median"; }));
  EXPECT_TRUE(decides([](TierConfig& tier) { tier.policy = "asynchronous"; }));
  EXPECT_TRUE(decides([](TierConfig& tier) { tier.deadline_s = 10.0; }));
  EXPECT_TRUE(decides([](TierConfig& tier) {
    tier.cohort_count = 2;
    tier.over_selection = 2.0;
  }));
}

}  // namespace
}  // namespace tributary
