// SPDX-License-Identifier: Apache-2.0
#include "optimizer.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "kernels.hpp"
#include "tributary/base/random.hpp"

namespace tributary::internal {
namespace {

using Schedule = OptimizerConfig::Schedule;

TEST(LearningRate, FollowsItsSchedule) {
  OptimizerConfig config;
  config.lr = 1.0;
  config.gamma = 0.5;
  config.step_rounds = 3;
  config.final_lr = 0.1;

  EXPECT_EQ(learning_rate(config, 9, 10), 1.0);
  config.schedule = Schedule::kStep;
  EXPECT_EQ(learning_rate(config, 3, 10), 1.0);
  EXPECT_EQ(learning_rate(config, 4, 10), 0.5);
  EXPECT_EQ(learning_rate(config, 7, 10), 0.25);
  config.schedule = Schedule::kExponential;
  EXPECT_EQ(learning_rate(config, 1, 10), 1.0);
  EXPECT_EQ(learning_rate(config, 4, 10), 0.125);
  config.schedule = Schedule::kCosine;
  EXPECT_EQ(learning_rate(config, 1, 11), 1.0);
  EXPECT_NEAR(learning_rate(config, 6, 11), 0.55, 1e-12);
  EXPECT_NEAR(learning_rate(config, 11, 11), 0.1, 1e-12);
  EXPECT_NEAR(learning_rate(config, 99, 11), 0.1, 1e-12);
}

TEST(Optimizer, FedProxAddsTheGradientOfItsTerm) {
  constexpr double kMu = 0.7;
  Rng rng(1);
  std::vector<float> values(20), base(20), gradients(20);
  for (float& value : values) { value = static_cast<float>(rng.normal()); }
  for (float& value : base) { value = static_cast<float>(rng.normal()); }
  const std::vector<float> before = values;
  const auto term = [&](std::size_t moved, double by) {
    double sum = 0.0;
    for (std::size_t i = 0; i < before.size(); ++i) {
      const double x = static_cast<double>(before[i]) + (i == moved ? by : 0.0);
      sum += 0.5 * kMu * (x - static_cast<double>(base[i])) * (x - static_cast<double>(base[i]));
    }
    return sum;
  };
  OptimizerConfig config;
  const auto optimizer = make_host_optimizer(config, values, gradients);

  optimizer->begin(base, {.constant = nullptr, .pull = kMu});
  optimizer->step(1.0);

  for (std::size_t i = 0; i < values.size(); ++i) {
    const double difference = (term(i, 1e-4) - term(i, -1e-4)) / 2e-4;
    EXPECT_NEAR(static_cast<double>(before[i] - values[i]), difference, 1e-5);
  }
}

TEST(Optimizer, ClipsLongGradientsAndLeavesShortOnes) {
  OptimizerConfig config;
  config.clip_norm = 5.0;
  std::vector<float> values(19), gradients(19, 0.0F);
  gradients[0] = 30.0F;
  gradients[18] = 40.0F;
  const auto optimizer = make_host_optimizer(config, values, gradients);
  optimizer->begin(values, {});

  optimizer->step(1.0);

  EXPECT_NEAR(values[0], -3.0, 1e-6);
  EXPECT_NEAR(values[18], -4.0, 1e-6);
  gradients.assign(19, 0.0F);
  gradients[1] = 4.5F;
  optimizer->step(1.0);
  EXPECT_EQ(values[1], -4.5F);
}

// What control variates are made of is what clipping leaves of the gradient: they stay bounded, and the step tells
// them.
TEST(Optimizer, AddsAConstantBeforeOrAfterClippingAsTheMethodSays) {
  OptimizerConfig config;
  config.clip_norm = 5.0;
  for (const bool after : {false, true}) {
    std::vector<float> values(2, 0.0F), gradients{30.0F, 40.0F};
    const auto optimizer = make_host_optimizer(config, values, gradients);
    const auto constant = std::make_shared<const std::vector<float>>(std::vector<float>{30.0F, -40.0F});
    optimizer->begin(values, {.constant = constant, .constant_after_clipping = after});
    optimizer->step(1.0);
    EXPECT_NEAR(values[0], after ? -(3.0 + 30.0) : -5.0, 1e-5);
    EXPECT_NEAR(values[1], after ? -(4.0 - 40.0) : 0.0, 1e-5);
  }
}

TEST(Optimizer, ForgetsItsMomentaAtTheNextTask) {
  for (const auto kind : {OptimizerConfig::Kind::kSgd, OptimizerConfig::Kind::kAdam, OptimizerConfig::Kind::kAdamW}) {
    OptimizerConfig config;
    config.kind = kind;
    config.momentum = 0.9;
    std::vector<float> values{1.0F, 2.0F}, gradients{0.5F, -0.25F};
    const auto optimizer = make_host_optimizer(config, values, gradients);
    optimizer->begin(values, {});
    optimizer->step(0.1);
    const std::vector<float> first = values;
    optimizer->step(0.1);

    values = {1.0F, 2.0F};
    optimizer->begin(values, {});
    optimizer->step(0.1);

    EXPECT_EQ(values, first);
  }
}

TEST(Kernels, GiveTheSameBitsOnEveryProcessor) {
  Rng rng(3);
  constexpr std::size_t kInputs = 75;  // no multiple of a vector
  constexpr std::size_t kClasses = 3;
  std::vector<float> x(kInputs), weights(kInputs * kClasses), bias(kClasses), pixels(2 * kInputs), more(2 * kInputs);
  std::vector<std::uint8_t> bytes(kInputs);
  for (auto* values : {&x, &weights, &bias, &pixels, &more}) {
    for (float& value : *values) { value = static_cast<float>(rng.normal()); }
  }
  for (auto& byte : bytes) { byte = static_cast<std::uint8_t>(rng.below(256)); }
  const auto results = [&](const Kernels& kernels) {
    std::vector<float> logits(kClasses), gradient(kInputs * kClasses, 0.25F), wide(kInputs), pooled(kInputs),
        top(2 * kInputs), bottom(2 * kInputs);
    std::vector<std::int32_t> winner(kInputs);
    kernels.forward(x.data(), weights.data(), bias.data(), kInputs, kClasses, logits.data());
    kernels.backward(x.data(), logits.data(), kInputs, kClasses, gradient.data());
    kernels.widen(bytes.data(), 1.0F / 255.0F, -0.5F, kInputs, wide.data());
    kernels.pool_forward(pixels.data(), more.data(), kInputs, pooled.data(), winner.data());
    kernels.pool_backward(x.data(), winner.data(), kInputs, top.data(), bottom.data());
    for (auto* part : {&gradient, &wide, &pooled, &top, &bottom}) {
      logits.insert(logits.end(), part->begin(), part->end());
    }
    return logits;
  };

  EXPECT_EQ(results(portable_kernels()), results(best_kernels()));
}

TEST(Kernels, PoolTheFirstOfEqualsAndNothingNegative) {
  const float nan = std::nanf("");
  const std::vector<float> top{1, 2, 3, 3, -1, -2, 0, nan, 5, 1};
  const std::vector<float> bottom{0, 1, 3, 3, -3, -4, 0, 9, 6, 7};
  std::vector<float> out(5), upper(10), lower(10);
  std::vector<std::int32_t> winner(5);

  best_kernels().pool_forward(top.data(), bottom.data(), 5, out.data(), winner.data());
  best_kernels().pool_backward(std::vector<float>{1, 2, 3, 4, 5}.data(), winner.data(), 5, upper.data(), lower.data());

  EXPECT_EQ(winner, (std::vector<std::int32_t>{1, 0, 4, 1, 3}));
  EXPECT_TRUE(std::isnan(out[3]));
  out[3] = 0;
  EXPECT_EQ(out, (std::vector<float>{2, 3, 0, 0, 7}));
  EXPECT_EQ(upper, (std::vector<float>{0, 1, 2, 0, 0, 0, 0, 4, 0, 0}));
  EXPECT_EQ(lower, (std::vector<float>{0, 0, 0, 0, 0, 0, 0, 0, 0, 5}));
}

}  // namespace
}  // namespace tributary::internal
