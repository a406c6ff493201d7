// SPDX-License-Identifier: Apache-2.0
// Codecs and rules by tier, in whole federations whose results can be computed by hand.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "support/fake_trainer.hpp"
#include "support/simulate.hpp"

namespace tributary {
namespace {

using ::testing::HasSubstr;
using testing::Simulated;

// Adds to every value what the client always adds, and remembers what it was given.
struct Adder {
  explicit Adder(std::vector<double> added, std::size_t size = 1)
      : factory(size, [this, added](const TrainTask& task) -> Result<TrainOutcome> {
          auto model = std::make_shared<std::vector<float>>(*task.base);
          {
            const std::lock_guard lock(mutex);
            given.insert((*task.base)[0]);
          }
          for (float& value : *model) {
            value = static_cast<float>(static_cast<double>(value) + added.at(task.client.value));
          }
          return TrainOutcome{.model = std::move(model), .weight = 1.0, .samples = 1, .metrics = {}};
        }) {}
  std::mutex mutex;
  std::set<float> given;
  testing::FunctionTrainerFactory factory;
};

Configuration with_codec(std::uint64_t rounds, const std::string& down, const std::string& up) {
  Configuration configuration = testing::rounds(rounds);
  configuration.default_tier.codec_down = down;
  configuration.default_tier.codec_up = up;
  return configuration;
}

// Clients start from the rounded model, their changes are against that, and the root's own model is never rounded.
TEST(Codecs, TheBaseOfAChangeIsTheModelThatTheClientReallyHad) {
  constexpr double kAdded = 0x1.0001p-2;
  Adder adder({kAdded, kAdded, kAdded});
  const Simulated run =
      testing::simulate(with_codec(7, "fp16", "none"), testing::make_tree({3, 0, 0, 0}), adder.factory);
  ASSERT_TRUE(run.status.ok()) << run.status.message();
  EXPECT_EQ(run.observer.model()[0], static_cast<float>(7 * kAdded));
  EXPECT_FALSE(adder.given.contains(static_cast<float>(kAdded))) << "it was not rounded";
  EXPECT_TRUE(adder.given.contains(0.25F));
}

// What a client sends is rounded, and only that.
TEST(Codecs, ChangesAreRoundedOnTheWayUp) {
  Adder adder({0x1.0001p-2, 0x1.0001p-2});
  const Simulated run = testing::simulate(with_codec(1, "none", "fp16"), testing::make_tree({2, 0, 0}), adder.factory);
  ASSERT_TRUE(run.status.ok()) << run.status.message();
  EXPECT_EQ(run.observer.model()[0], 0.25F);
}

TEST(Codecs, EachWayTakesHalfTheBytesWhereItIsAskedTo) {
  constexpr std::size_t kSize = 100'000;
  const auto bytes = [](const std::string& down, const std::string& up) {
    Adder adder({0.5, 0.25}, kSize);
    const Simulated run = testing::simulate(with_codec(2, down, up), testing::make_tree({2, 0, 0}), adder.factory);
    EXPECT_TRUE(run.status.ok()) << run.status.message();
    const auto& edge = run.statistics.traffic.tiers.at(1);
    return std::pair(static_cast<double>(edge.bytes_down), static_cast<double>(edge.bytes_up));
  };
  const auto [down, up] = bytes("none", "none");
  EXPECT_NEAR(bytes("fp16", "none").first / down, 0.5, 0.005);
  EXPECT_EQ(bytes("fp16", "none").second, up);
  EXPECT_NEAR(bytes("none", "fp16").second / up, 0.5, 0.005);
  EXPECT_EQ(bytes("none", "fp16").first, down);
}

// A tree gives the bits of a star: models are passed on as they came, and sums are not rounded.
TEST(Codecs, ATreeIsAStar) {
  const std::vector<double> added{0.1, -0.37, 0.011, 1.7, -2.3, 0.0003};
  Adder flat(added, 300);
  const Simulated star =
      testing::simulate(with_codec(5, "fp16", "fp16"), testing::make_tree({6, 0, 0, 0, 0, 0, 0}), flat.factory);
  ASSERT_TRUE(star.status.ok()) << star.status.message();
  Adder deep(added, 300);
  const Simulated tree =
      testing::simulate(with_codec(5, "fp16", "fp16"), testing::make_tree({2, 3, 3, 0, 0, 0, 0, 0, 0}), deep.factory);
  ASSERT_TRUE(tree.status.ok()) << tree.status.message();
  EXPECT_EQ(star.observer.model(), tree.observer.model());
  EXPECT_EQ(flat.given, deep.given);
  // Exact sums, which are not coded.
  EXPECT_GT(tree.statistics.traffic.tiers.at(1).bytes_up * 3, star.statistics.traffic.tiers.at(1).bytes_up * 2);
}

// An aggregator with a model of its own sends what that has gained; what rounding leaves of it goes with the next.
TEST(Codecs, ProgressOfAggregatorsIsRoundedAndNothingOfItIsLost) {
  Configuration configuration = with_codec(200, "none", "fp16");
  configuration.default_tier.policy = "buffered";
  configuration.default_tier.buffer = 2;
  configuration.default_tier.discount = TierConfig::Discount::kConstant;
  configuration.tiers[0] = configuration.default_tier;
  constexpr double kAdded = 0x1.0001p-2;
  Adder adder({kAdded, kAdded, kAdded, kAdded});
  configuration.tiers[1] = configuration.default_tier;
  configuration.tiers[1].codec_up = "none";
  const Simulated run = testing::simulate(configuration, testing::make_tree({2, 2, 2, 0, 0, 0, 0}), adder.factory,
                                          {.compute_time = [](ClientIndex) { return std::chrono::seconds(1); }});
  ASSERT_TRUE(run.status.ok()) << run.status.message();
  // Each commit of the root takes the mean of two answers of one commit each.
  EXPECT_NEAR(static_cast<double>(run.observer.model()[0]) / (200 * kAdded), 1.0, 2e-5);
}

TEST(Codecs, AreRefusedByNameWhereTheyCannotWork) {
  Adder adder({0.0, 0.0, 0.0, 0.0});
  const Tree tree = testing::make_tree({2, 2, 2, 0, 0, 0, 0});
  Configuration configuration = testing::rounds(1);
  configuration.tiers[0].codec_down = "gzip";
  Status status = testing::simulate(configuration, tree, adder.factory).status;
  EXPECT_EQ(status.code(), Code::kConfiguration);
  EXPECT_THAT(status.message(), HasSubstr("tiers.0.codec.down: there is no codec named \"gzip\"; known: fp16"));
  configuration = testing::rounds(1);
  configuration.tiers[0].codec_up = "fp16";
  status = testing::simulate(configuration, tree, adder.factory).status;
  EXPECT_EQ(status.code(), Code::kConfiguration);
  EXPECT_THAT(status.message(), HasSubstr("tiers.0.codec.up has no effect"));
}

// Medians 2 and 3 of two groups, each with a client that sends anything; the root takes the mean.
TEST(Rules, EachNodeOfATierTakesTheMedianOfItsChildren) {
  Adder adder({1.0, 2.0, 1e6, 3.0, 4.0, -1e6});
  Configuration configuration = testing::rounds(4);
  configuration.tiers[1].rule = "median";
  const Simulated run =
      testing::simulate(configuration, testing::make_tree({2, 3, 3, 0, 0, 0, 0, 0, 0}), adder.factory);
  ASSERT_TRUE(run.status.ok()) << run.status.message();
  EXPECT_EQ(run.observer.model()[0], 10.0F);
  EXPECT_EQ(run.observer.reports.at(4).contributors, 6U);
}

// Three groups of one client each below: the root's children send sums, and each counts as one.
TEST(Rules, TheRootTakesTheMedianOfSums) {
  Adder adder({1.0, 5.0, 1e6, 7.0});
  Configuration configuration = testing::rounds(3);
  configuration.tiers[0].rule = "median";
  const Simulated run = testing::simulate(configuration, testing::make_tree({3, 2, 1, 1, 0, 0, 0, 0}), adder.factory);
  ASSERT_TRUE(run.status.ok()) << run.status.message();
  EXPECT_EQ(run.observer.model()[0], 21.0F) << "the median of 3, 1e6 and 7";
}

TEST(Rules, AMedianInABuffer) {
  Adder adder({1.0, 2.0, 1e6});
  Configuration configuration = testing::rounds(5);
  configuration.default_tier.policy = "buffered";
  configuration.default_tier.buffer = 3;
  configuration.default_tier.discount = TierConfig::Discount::kConstant;
  configuration.default_tier.rule = "median";
  const Simulated run = testing::simulate(configuration, testing::make_tree({3, 0, 0, 0}), adder.factory,
                                          {.compute_time = [](ClientIndex) { return std::chrono::seconds(1); }});
  ASSERT_TRUE(run.status.ok()) << run.status.message();
  EXPECT_EQ(run.observer.model()[0], 10.0F);
}

TEST(Rules, AreRefusedByNameWhereTheyCannotWork) {
  Adder adder({0.0, 0.0, 0.0, 0.0});
  adder.factory.set_honours_drift();
  const Tree tree = testing::make_tree({2, 2, 2, 0, 0, 0, 0});
  const auto refusal = [&](const std::function<void(Configuration&)>& change) {
    Configuration configuration = testing::rounds(1);
    configuration.tiers[1].rule = "median";
    change(configuration);
    const Status status = testing::simulate(configuration, tree, adder.factory).status;
    EXPECT_EQ(status.code(), Code::kConfiguration) << status.message();
    return status.message();
  };
  EXPECT_THAT(refusal([](Configuration& c) { c.tiers[1].rule = "mode"; }),
              HasSubstr("tiers.1.rule: there is no rule named \"mode\"; known: median, weighted-sum"));
  using Kind = AlgorithmConfig::Kind;
  for (const Kind kind : {Kind::kScaffold, Kind::kFedDyn, Kind::kFedNova, Kind::kQFedAvg}) {
    EXPECT_THAT(refusal([kind](Configuration& c) { c.algorithm.kind = kind; }), HasSubstr("tiers.1.rule: median"));
  }
  const auto buffered = [](Configuration& c) {
    c.tiers[1].policy = "buffered";
    c.tiers[1].buffer = 2;
  };
  EXPECT_THAT(refusal(buffered), HasSubstr("discount: constant"));
  EXPECT_THAT(refusal([&](Configuration& c) {
                buffered(c);
                c.tiers[1].edge_model = TierConfig::EdgeModel::kForward;
              }),
              HasSubstr("edge_model: forward"));
  EXPECT_THAT(refusal([](Configuration& c) { c.tiers[1].policy = "asynchronous"; }), HasSubstr("policy buffered"));
}

}  // namespace
}  // namespace tributary
