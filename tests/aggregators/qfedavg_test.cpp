// SPDX-License-Identifier: Apache-2.0
#include "tributary/aggregators/qfedavg.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "tributary/aggregators/server_optimizers.hpp"
#include "tributary/aggregators/weighted_sum.hpp"

namespace tributary {
namespace {

const ParameterSpec& one_value() {
  static const ParameterSpec kSpec = ParameterSpec::create({{"w", {1}}}).value();
  return kSpec;
}

ClientUpdate update_of(float change, double loss) {
  ClientUpdate update;
  update.weight = Weight::from(1).value();
  update.delta = Payload::floats(std::make_shared<const std::vector<float>>(std::vector<float>{change}));
  update.metrics["base_loss"] = loss;
  return update;
}

// The model after one round of two clients with losses 1 and 4 and changes 0.1 and 0.2, at a rate of 0.1.
float after_a_round(double q) {
  const QFedAvg method({.q = q});
  WeightedSum node;
  node.begin(one_value(), ExactScale::fine(Weight::from(2).value(), 2));
  for (const auto& [change, loss] : {std::pair(0.1F, 1.0), std::pair(0.2F, 4.0)}) {
    ClientUpdate update = update_of(change, loss);
    const MethodTask task{.spec = one_value(), .broadcast = {}, .state = {}};
    EXPECT_TRUE(method.prepare(task, {.steps = 1, .learning_rate = 0.1}, update).ok());
    EXPECT_TRUE(node.add(make_update(one_value(), std::move(update)), 1).ok());
  }
  std::vector<float> model{0.0F};
  ServerSgd step(1.0);
  apply_mean(one_value(), node, step, 1.0, method.scale(node), model);
  return model[0];
}

TEST(QFedAvg, GivesTheNumbersOfThePaperByHand) {
  // The changes are floats: 0.1 and 0.2 to 1.5e-8.
  EXPECT_NEAR(after_a_round(1.0), 9.0F / 55.0F, 3e-8F);
}

TEST(QFedAvg, WithoutAPowerIsThePlainMean) {
  EXPECT_NEAR(after_a_round(0.0), 0.15F, 1e-8F);
}

TEST(QFedAvg, RefusesClientsThatDoNotSayHowBadlyTheModelDoes) {
  const QFedAvg method({.q = 1.0});
  const MethodTask task{.spec = one_value(), .broadcast = {}, .state = {}};
  EXPECT_TRUE(method.needs_base_loss());
  for (const double loss : {std::nan(""), std::numeric_limits<double>::infinity(), -1.0}) {
    ClientUpdate update = update_of(0.1F, loss);
    EXPECT_EQ(method.prepare(task, {.steps = 1, .learning_rate = 0.1}, update).code(), Code::kBadData) << loss;
  }
  ClientUpdate silent = update_of(0.1F, 1.0);
  silent.metrics.clear();
  EXPECT_EQ(method.prepare(task, {.steps = 1, .learning_rate = 0.1}, silent).code(), Code::kBadData);
  ClientUpdate rateless = update_of(0.1F, 1.0);
  EXPECT_EQ(method.prepare(task, {.steps = 1, .learning_rate = 0.0}, rateless).code(), Code::kBadData);
  ClientUpdate perfect = update_of(0.1F, 0.0);
  EXPECT_TRUE(method.prepare(task, {.steps = 1, .learning_rate = 0.1}, perfect).ok());
}

TEST(QFedAvg, HasNoFactorWhereAClientIsMissing) {
  const QFedAvg method({.q = 1.0});
  WeightedSum node;
  node.begin(one_value(), ExactScale::fine(Weight::from(2).value(), 2));
  ASSERT_TRUE(node.add(make_update(one_value(), update_of(0.1F, 1.0)), 1).ok());
  EXPECT_TRUE(std::isnan(method.scale(node)));
}

}  // namespace
}  // namespace tributary
