// SPDX-License-Identifier: Apache-2.0
#include "tributary/aggregators/fednova.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "tributary/aggregators/gradient_steps.hpp"
#include "tributary/aggregators/server_optimizers.hpp"
#include "tributary/aggregators/weighted_sum.hpp"

namespace tributary {
namespace {

const ParameterSpec& one_value() {
  static const ParameterSpec kSpec = ParameterSpec::create({{"w", {1}}}).value();
  return kSpec;
}

MethodTask work_on(const ParameterSpec& spec) {
  return {.spec = spec, .broadcast = {}, .state = {}};
}

Payload floats(std::vector<float> values) {
  return Payload::floats(std::make_shared<const std::vector<float>>(std::move(values)));
}

TEST(GradientSteps, CountsHowOftenGradientsCount) {
  EXPECT_EQ(accumulated_steps(7, 0.0, false), 7.0);
  for (const double momentum : {0.5, 0.9}) {
    for (const std::uint64_t steps : {1U, 2U, 30U}) {
      const double closed = (static_cast<double>(steps) -
                             momentum * (1.0 - std::pow(momentum, static_cast<double>(steps))) / (1.0 - momentum)) /
                            (1.0 - momentum);
      EXPECT_NEAR(accumulated_steps(steps, momentum, false), closed, 1e-9 * closed);
    }
  }
  // Two steps with Nesterov's momentum of 1/2: the first gradient counts 1 + 1/2 + 1/4, the second 1 + 1/2.
  EXPECT_DOUBLE_EQ(accumulated_steps(2, 0.5, true), 1.75 + 1.5);
}

// F_i(x) = k_i / 2 (x - o_i)^2 with k = (1, 4), o = (0, 3), shares (1/4, 3/4), a rate of 0.1 and (2, 5) steps from w
// = 1.
TEST(FedNova, GivesTheNumbersOfTheQuadraticFixture) {
  const FedNova method({});
  WeightedSum node;
  node.begin(one_value(), ExactScale::fine(Weight::from(4).value(), 2));
  const std::vector<double> curvature{1.0, 4.0};
  const std::vector<double> optimum{0.0, 3.0};
  const std::vector<std::uint64_t> steps{2, 5};
  for (std::size_t client = 0; client < 2; ++client) {
    double x = 1.0;
    for (std::uint64_t step = 0; step < steps[client]; ++step) { x -= 0.1 * curvature[client] * (x - optimum[client]); }
    ClientUpdate update;
    update.weight = Weight::from(client == 0 ? 1.0 : 3.0).value();
    update.delta = floats({static_cast<float>(x - 1.0)});
    ASSERT_TRUE(method.prepare(work_on(one_value()), {.steps = steps[client]}, update).ok());
    ASSERT_TRUE(node.add(make_update(one_value(), std::move(update)), 1).ok());
  }
  std::vector<float> model{1.0F};
  ServerSgd step(1.0);

  EXPECT_NEAR(method.scale(node), 4.25, 1e-8);
  apply_mean(one_value(), node, step, 1.0, method.scale(node), model);

  EXPECT_NEAR(model[0], 2.0749185F, 2e-7F);
}

TEST(FedNova, LeavesStatisticsAsTheyAre) {
  const ParameterSpec spec =
      ParameterSpec::create(
          {{"w", {2}}, {"mean", {1}, TensorKind::kRunningMean}, {"variance", {1}, TensorKind::kRunningVariance}})
          .value();
  ClientUpdate update;
  update.delta = floats({8.0F, -4.0F, 6.0F, 2.0F});

  ASSERT_TRUE(FedNova({}).prepare(work_on(spec), {.steps = 4}, update).ok());

  EXPECT_EQ(std::vector<float>(update.delta.values().begin(), update.delta.values().end()),
            (std::vector<float>{2.0F, -1.0F, 6.0F, 2.0F}));
  EXPECT_EQ(update.metrics.at("local_steps"), 4.0);
}

// A factor of 1 instead would train another model, and say nothing.
TEST(FedNova, HasNoFactorWhereTheStepsOfAClientAreMissing) {
  const FedNova method({});
  WeightedSum node;
  node.begin(one_value(), ExactScale::fine(Weight::from(4).value(), 2));
  for (const bool prepared : {true, false}) {
    ClientUpdate update;
    update.weight = Weight::from(1.0).value();
    update.delta = floats({1.0F});
    if (prepared) { ASSERT_TRUE(method.prepare(work_on(one_value()), {.steps = 3}, update).ok()); }
    ASSERT_TRUE(node.add(make_update(one_value(), std::move(update)), 1).ok());
    EXPECT_EQ(std::isnan(method.scale(node)), !prepared);
  }
}

TEST(FedNova, RefusesATrainerThatTellsNoSteps) {
  ClientUpdate update;
  update.delta = floats({1.0F});

  EXPECT_EQ(FedNova({}).prepare(work_on(one_value()), {.steps = 0}, update).code(), Code::kBadData);
  EXPECT_EQ(FedNova({}).prepare(work_on(one_value()), {.steps = std::uint64_t{1} << 40U}, update).code(),
            Code::kBadData);
  EXPECT_EQ(update.delta.values()[0], 1.0F);
}

}  // namespace
}  // namespace tributary
