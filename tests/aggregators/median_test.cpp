// SPDX-License-Identifier: Apache-2.0
#include "tributary/aggregators/median.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <numeric>
#include <vector>

#include "tributary/aggregators/server_optimizers.hpp"
#include "tributary/aggregators/weighted_sum.hpp"
#include "tributary/base/random.hpp"
#include "tributary/nodes/client_update.hpp"

namespace tributary {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using Rows = std::vector<std::vector<float>>;

ParameterSpec spec_of(std::size_t size) {
  return ParameterSpec::create({{"w", {static_cast<std::int64_t>(size)}}}).value();
}

Update update_of(const ParameterSpec& spec, std::vector<float> change, double weight = 1.0) {
  ClientUpdate update;
  update.weight = Weight::from(weight).value();
  update.delta = Payload::floats(std::make_shared<const std::vector<float>>(std::move(change)));
  update.metrics["loss"] = weight;
  return make_update(spec, std::move(update));
}

ExactScale scale() {
  return ExactScale::fine(Weight::from(1000).value(), 100);
}

std::vector<double> result_of(const AggregationRule& rule, std::size_t size) {
  std::vector<double> all(size);
  rule.mean([&all](std::size_t offset, std::span<const double> part) {
    std::ranges::copy(part, all.begin() + static_cast<std::ptrdiff_t>(offset));
  });
  return all;
}

std::vector<double> median_of(const Rows& rows) {
  const ParameterSpec spec = spec_of(rows.front().size());
  CoordinateMedian rule;
  rule.begin(spec, scale());
  double weight = 1.0;
  for (const auto& row : rows) { EXPECT_TRUE(rule.add(update_of(spec, row, weight += 1.0), 1).ok()); }
  return result_of(rule, rows.front().size());
}

// The fixture of docs/algorithms.md, of which the last row is hostile.
const Rows& fixture() {
  static const Rows kRows{{6, 6, 1}, {15, 12, 12}, {13, 2, 18}, {20, 6, 8}, {10, 2, 9}, {10, 0, 13}, {-90, 80, -40}};
  return kRows;
}

TEST(CoordinateMedian, GivesTheNumbersOfTheFixture) {
  EXPECT_THAT(median_of(fixture()), ElementsAre(10.0, 6.0, 9.0));
}

TEST(CoordinateMedian, OfAnEvenNumberIsTheMeanOfTheTwoInTheMiddle) {
  EXPECT_THAT(median_of({{1}, {2}, {4}, {100}}), ElementsAre(3.0));
  EXPECT_THAT(median_of({{1}, {2}}), ElementsAre(1.5));
  EXPECT_THAT(median_of({{7}}), ElementsAre(7.0));
}

TEST(CoordinateMedian, GoesOnFromWhatItHasGathered) {
  const Rows& rows = fixture();
  const ParameterSpec spec = spec_of(rows.front().size());
  CoordinateMedian whole;
  CoordinateMedian again;
  whole.begin(spec, scale());
  again.begin(spec, scale());
  for (std::size_t i = 0; i < rows.size(); ++i) {
    CoordinateMedian& rule = i < 4 ? whole : again;
    ASSERT_TRUE(rule.add(update_of(spec, rows[i], 1.0 + static_cast<double>(i)), 1).ok());
    if (i == 3) { ASSERT_TRUE(again.restore(whole.gathered()).ok()); }
  }
  EXPECT_EQ(result_of(again, 3), median_of(rows));
  EXPECT_EQ(again.contributors(), rows.size());
  EXPECT_EQ(again.weight(), Weight::from(28).value());
  EXPECT_EQ(again.scalars().at("loss").weight(), again.weight());
  const ParameterSpec another = spec_of(2);
  again.begin(another, scale());
  EXPECT_EQ(again.restore(whole.gathered()).code(), Code::kBadData) << "of another model";
}

TEST(CoordinateMedian, DoesNotDependOnTheOrder) {
  Rows rows = fixture();
  std::ranges::sort(rows);
  const std::vector<double> first = median_of(rows);
  for (int i = 0; i < 200 && std::ranges::next_permutation(rows).found; ++i) { EXPECT_EQ(median_of(rows), first); }
}

TEST(CoordinateMedian, AMinorityCannotMoveItBeyondTheOthers) {
  for (const float far : {1e30F, -1e30F, std::numeric_limits<float>::max()}) {
    Rows rows = fixture();
    for (std::size_t hostile = 0; hostile < 3; ++hostile) { std::ranges::fill(rows[hostile], far); }
    const std::vector<double> median = median_of(rows);
    for (std::size_t i = 0; i < median.size(); ++i) {
      const auto [least, most] = std::minmax({rows[3][i], rows[4][i], rows[5][i], rows[6][i]});
      EXPECT_GE(median[i], static_cast<double>(least));
      EXPECT_LE(median[i], static_cast<double>(most));
    }
    std::ranges::fill(rows[3], far);
    EXPECT_EQ(median_of(rows)[0], static_cast<double>(far)) << "a majority decides";
  }
}

TEST(CoordinateMedian, MovesAndStretchesWithItsInput) {
  Rows rows = fixture();
  for (auto& row : rows) {
    for (float& value : row) { value = 2.0F * value + 5.0F; }
  }
  EXPECT_THAT(median_of(rows), ElementsAre(25.0, 17.0, 23.0));
}

// Beyond one part of what is handed on at a time, against sorting.
TEST(CoordinateMedian, OfManyValuesIsThatOfEachOfThem) {
  constexpr std::size_t kSize = 10'000;
  Rng rng(stream_seed(11, Purpose::kTest));
  Rows rows(8, std::vector<float>(kSize));
  for (auto& row : rows) {
    for (float& value : row) { value = static_cast<float>(rng.below(1000)) - 500.0F; }
  }
  const std::vector<double> median = median_of(rows);
  for (std::size_t i = 0; i < kSize; ++i) {
    std::vector<float> column;
    for (const auto& row : rows) { column.push_back(row[i]); }
    std::ranges::sort(column);
    ASSERT_EQ(median[i], (static_cast<double>(column[3]) + static_cast<double>(column[4])) / 2.0) << i;
  }
}

TEST(CoordinateMedian, WhatItRefusesChangesNothing) {
  const ParameterSpec spec = spec_of(2);
  CoordinateMedian rule;
  rule.begin(spec, scale());
  ASSERT_TRUE(rule.add(update_of(spec, {1, 2}, 3.0), 1).ok());
  const Status not_finite = rule.add(update_of(spec, {1, std::numeric_limits<float>::quiet_NaN()}), 1);
  EXPECT_EQ(not_finite.code(), Code::kBadData);
  EXPECT_THAT(not_finite.message(), HasSubstr("tensor w"));
  EXPECT_FALSE(rule.add(update_of(spec, {1, 2, 3}), 1).ok()) << "another size";
  EXPECT_FALSE(rule.add(update_of(spec_of(3), {1, 2, 3}), 1).ok()) << "another model";
  Update more = update_of(spec, {1, 2});
  more.segments.push_back({"control", more.segments.front().payload});
  EXPECT_FALSE(rule.add(more, 1).ok()) << "a second vector";
  Update nobody = update_of(spec, {1, 2});
  nobody.contributors = 0;
  EXPECT_FALSE(rule.add(nobody, 1).ok());
  Update undecoded = update_of(spec, {1, 2});
  undecoded.segments.front().payload =
      Payload::coded(2, std::make_shared<const std::vector<std::byte>>(std::vector<std::byte>(16)), nullptr);
  EXPECT_FALSE(rule.add(undecoded, 1).ok());
  EXPECT_EQ(rule.contributors(), 1U);
  EXPECT_EQ(rule.weight(), Weight::from(3).value());
  EXPECT_EQ(rule.scalars().at("loss").mean(), 3.0);
  EXPECT_THAT(result_of(rule, 2), ElementsAre(1.0, 2.0));
  rule.begin(spec, scale());
  EXPECT_TRUE(rule.weight().zero());
  EXPECT_TRUE(rule.scalars().empty());
}

// A child that is an aggregator with sums counts once, with its mean.
TEST(CoordinateMedian, TakesTheMeanOfSums) {
  const ParameterSpec spec = spec_of(1);
  WeightedSum below;
  below.begin(spec, scale());
  ASSERT_TRUE(below.add(update_of(spec, {4}, 1.0), 1).ok());
  ASSERT_TRUE(below.add(update_of(spec, {8}, 3.0), 1).ok());
  CoordinateMedian rule;
  rule.begin(spec, scale());
  ASSERT_TRUE(rule.add(below.forward(), 1).ok());
  EXPECT_THAT(result_of(rule, 1), ElementsAre(7.0));
  ASSERT_TRUE(rule.add(update_of(spec, {1}), 1).ok());
  ASSERT_TRUE(rule.add(update_of(spec, {100}), 1).ok());
  EXPECT_THAT(result_of(rule, 1), ElementsAre(7.0));
  EXPECT_EQ(rule.contributors(), 4U);
}

// The merged running mean and variance are the medians of those of the children, whose sums would carry moments.
TEST(CoordinateMedian, RunningStatisticsAreMediansToo) {
  const ParameterSpec spec =
      ParameterSpec::create(
          {{"w", {1}}, {"mean", {1}, TensorKind::kRunningMean}, {"variance", {1}, TensorKind::kRunningVariance}})
          .value();
  const std::vector<float> base{0.0F, 100.0F, 2.0F};
  CoordinateMedian rule;
  rule.begin(spec, scale());
  for (const auto& after : Rows{{1, 103, 5}, {2, 101, 3}, {9, 108, 9}}) {
    ASSERT_TRUE(rule.add(update_of(spec, model_difference(base, after)), 1).ok());
  }
  std::vector<float> model = base;
  ServerSgd step(1.0);
  apply_mean(spec, rule, step, 1.0, 1.0, model);
  EXPECT_THAT(model, ElementsAre(2.0F, 103.0F, 5.0F));
}

}  // namespace
}  // namespace tributary
