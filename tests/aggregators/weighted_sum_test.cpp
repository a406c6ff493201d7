// SPDX-License-Identifier: Apache-2.0
#include "tributary/aggregators/weighted_sum.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

#include "tributary/aggregators/server_optimizers.hpp"
#include "tributary/base/random.hpp"
#include "tributary/nodes/client_update.hpp"

namespace tributary {
namespace {

const ParameterSpec& spec_of(std::int64_t size) {
  static std::map<std::int64_t, ParameterSpec> specs;
  auto found = specs.find(size);
  if (found == specs.end()) { found = specs.emplace(size, ParameterSpec::create({{"w", {size}}}).value()).first; }
  return found->second;
}

Update from_client(std::vector<float> delta, double weight) {
  Update update;
  update.fingerprint = spec_of(static_cast<std::int64_t>(delta.size())).fingerprint();
  update.weight = Weight::from(weight).value();
  update.contributors = 1;
  update.scalars["loss"].add(weight, update.weight);
  update.segments.push_back(
      {std::string(kDeltaSegment), Payload::floats(std::make_shared<const std::vector<float>>(std::move(delta)))});
  return update;
}

ExactScale scale() {
  return ExactScale::fine(Weight::from(1000).value(), 100);
}

Update sum_of(const std::vector<Update>& updates, std::int64_t size) {
  WeightedSum node;
  node.begin(spec_of(size), scale());
  for (const Update& update : updates) { EXPECT_TRUE(node.add(update, 1).ok()); }
  return node.forward();
}

bool same(const Update& a, const Update& b) {
  const auto x = a.segments[0].payload.bytes();
  const auto y = b.segments[0].payload.bytes();
  return x.size() == y.size() && std::memcmp(x.data(), y.data(), x.size()) == 0 && a.weight == b.weight &&
         a.contributors == b.contributors && a.scalars == b.scalars;
}

double mean_of(const WeightedSum& sum) {
  double mean = 0.0;
  sum.mean([&](std::size_t, std::span<const double> means) { mean = means[0]; });
  return mean;
}

TEST(WeightedSum, CuttingTheTreeDoesNotChangeTheSum) {
  const Update a = from_client({0.5F}, 10);
  const Update b = from_client({-2.0F}, 30);
  const Update c = from_client({4.0F}, 5);

  const Update flat = sum_of({a, b, c}, 1);
  const Update tree = sum_of({sum_of({a, b}, 1), sum_of({c}, 1)}, 1);

  EXPECT_TRUE(same(tree, flat));
  EXPECT_EQ(tree.contributors, 3U);
}

// Discounted sums may be larger than any that a child could send.
TEST(WeightedSum, GoesOnFromWhatItHasGathered) {
  constexpr int kBits = 12;
  const ExactScale discounted = ExactScale::fine(Weight::from(1000).value(), 100, kBits);
  WeightedSum whole;
  whole.begin(spec_of(2), discounted);
  WeightedSum again;
  again.begin(spec_of(2), discounted);
  EXPECT_TRUE(whole.gathered().empty());
  EXPECT_TRUE(again.restore(whole.gathered()).ok());
  const auto large = static_cast<float>(discounted.value_bound * 0.9);
  ASSERT_TRUE(whole.add(from_client({large, -0.5F}, 900), 1U << kBits).ok());

  ASSERT_TRUE(again.restore(whole.gathered()).ok());

  for (WeightedSum* const sum : {&whole, &again}) { ASSERT_TRUE(sum->add(from_client({0.25F, 3.0F}, 40), 77).ok()); }
  EXPECT_TRUE(same(again.forward(), whole.forward()));
  EXPECT_EQ(mean_of(again), mean_of(whole));
  again.begin(spec_of(3), discounted);
  EXPECT_FALSE(again.restore(whole.gathered()).ok()) << "of another model";
}

TEST(WeightedSum, PermutingChildrenDoesNotChangeTheSum) {
  Rng rng(11);
  std::vector<Update> updates;
  for (int i = 0; i < 30; ++i) {
    std::vector<float> delta(100);
    for (float& value : delta) { value = static_cast<float>(rng.normal() * 0.01); }
    updates.push_back(from_client(std::move(delta), 1.0 + static_cast<double>(rng.below(20))));
  }
  const Update expected = sum_of(updates, 100);
  rng.shuffle(std::span(updates));

  EXPECT_TRUE(same(sum_of(updates, 100), expected));
}

// Fixture Q1 of the literature on quadratics: x = (0.81, 2.84448) from w = 1 with p = (0.25, 0.75) gives 2.33586.
TEST(WeightedSum, GivesTheFederatedAverageOfAKnownRound) {
  WeightedSum node;
  node.begin(spec_of(1), scale());
  ASSERT_TRUE(node.add(from_client({0.81F - 1.0F}, 250), 1).ok());
  ASSERT_TRUE(node.add(from_client({2.84448F - 1.0F}, 750), 1).ok());
  std::vector<float> model{1.0F};
  ServerSgd step(1.0);

  apply_mean(spec_of(1), node, step, 1.0, 1.0, model);

  EXPECT_NEAR(model[0], 2.33586, 1e-6);
}

TEST(WeightedSum, ScalingAllWeightsChangesNothing) {
  WeightedSum light;
  WeightedSum heavy;
  light.begin(spec_of(1), scale());
  heavy.begin(spec_of(1), scale());
  for (const double weight : {1.0, 2.0, 3.0}) {
    ASSERT_TRUE(light.add(from_client({static_cast<float>(weight) * 0.125F}, weight), 1).ok());
    ASSERT_TRUE(heavy.add(from_client({static_cast<float>(weight) * 0.125F}, 64 * weight), 1).ok());
  }

  EXPECT_NEAR(mean_of(light), mean_of(heavy), 1e-7);
}

TEST(WeightedSum, ZeroChangesLeaveTheModelBitIdentical) {
  WeightedSum node;
  node.begin(spec_of(3), scale());
  ASSERT_TRUE(node.add(from_client({0.0F, 0.0F, -0.0F}, 4), 1).ok());
  std::vector<float> model{-0.0F, -1e-30F, 1e30F};
  const std::vector<float> before = model;
  ServerSgd step(1.0);

  apply_mean(spec_of(3), node, step, 1.0, 1.0, model);

  EXPECT_EQ(std::memcmp(model.data(), before.data(), 3 * sizeof(float)), 0);
}

TEST(WeightedSum, RefusesWhatDoesNotBelongAndStaysAsItWas) {
  WeightedSum node;
  node.begin(spec_of(2), scale());
  ASSERT_TRUE(node.add(from_client({1.0F, 2.0F}, 4), 1).ok());
  const Update before = node.forward();
  Update nameless = from_client({1.0F, 2.0F}, 4);
  nameless.segments[0].name = "gradient";
  Update empty = from_client({1.0F, 2.0F}, 4);
  empty.contributors = 0;

  EXPECT_EQ(node.add(from_client({1.0F}, 4), 1).code(), Code::kInvalidArgument);
  EXPECT_EQ(node.add(nameless, 1).message(), "a weighted sum takes \"delta\" alone");
  EXPECT_EQ(node.add(empty, 1).message(), "an update without contributors");
  EXPECT_EQ(node.add(from_client({std::nanf(""), 0.0F}, 4), 1).code(), Code::kBadData);
  EXPECT_TRUE(same(node.forward(), before));
}

TEST(WeightedSum, NamesTheTensorThatTheSumsCannotHold) {
  WeightedSum node;
  node.begin(spec_of(2), scale());

  const Status refused = node.add(from_client({0.0F, 1e9F}, 4), 1);

  EXPECT_EQ(refused.code(), Code::kBadData);
  EXPECT_THAT(refused.message(), ::testing::StartsWith("the change of tensor w holds 1000000000, and the sums"));
}

TEST(WeightedSum, CarriesEveryMetricThatAClientMayReport) {
  WeightedSum node;
  node.begin(spec_of(1), scale());
  Update update = from_client({0.5F}, 4);
  for (std::size_t i = update.scalars.size(); i < kMostClientScalars; ++i) {
    update.scalars["metric " + std::to_string(i)].add(static_cast<double>(i), update.weight);
  }
  ASSERT_TRUE(node.add(update, 1).ok());

  EXPECT_EQ(node.scalars().size(), kMostClientScalars);
  EXPECT_EQ(node.forward().scalars.at("metric 255").mean(), 255.0);
}

TEST(ScalarSum, IsAsExactForSmallWeightsAsForLargeOnes) {
  for (const double weight : {1e-4, 1.0, 1e6}) {
    ScalarSum sum;
    for (const double loss : {1.035, 1.037, 1.033}) { sum.add(loss, Weight::from(weight).value()); }

    EXPECT_NEAR(sum.mean(), 1.035, 1e-8) << weight;
  }
}

TEST(ScalarSum, TakesLargeValuesAndCountsWhatItLeavesOut) {
  ScalarSum sum;
  const Weight weight = Weight::from(2).value();
  sum.add(1e10, weight);
  sum.add(-3e10, weight);
  for (const double wrong : {std::nan(""), HUGE_VAL, -HUGE_VAL, 1e12}) { sum.add(wrong, weight); }
  ScalarSum other;
  other.add(std::nan(""), weight);
  sum.add(other);

  EXPECT_EQ(sum.mean(), -1e10);
  EXPECT_EQ(sum.left_out(), 5U);
  EXPECT_TRUE(std::isnan(other.mean()));
}

}  // namespace
}  // namespace tributary
