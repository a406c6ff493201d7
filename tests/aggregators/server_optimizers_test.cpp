// SPDX-License-Identifier: Apache-2.0
// The numbers of arXiv 2003.00295 and 1909.06335, computed by hand, and the states behind them.
#include "tributary/aggregators/server_optimizers.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <limits>
#include <string>
#include <vector>

namespace tributary {
namespace {

using Kind = AdaptiveOptimizer::Kind;

struct OptimizerCase {
  std::string name;
  std::function<std::unique_ptr<ServerOptimizer>()> make;
  double after_one;    // a model of 0 after a mean change of 1
  double after_three;  // after 1, 0.5 and -0.25
};

std::function<std::unique_ptr<ServerOptimizer>()> adaptive(Kind kind, double beta1) {
  return [kind, beta1] {
    return std::make_unique<AdaptiveOptimizer>(kind, ServerOptimizerSettings{.lr = 0.1, .beta1 = beta1});
  };
}

std::vector<OptimizerCase> optimizers() {
  return {{"FedAvgM", [] { return std::make_unique<FedAvgM>(ServerOptimizerSettings{.lr = 1.0}); }, 1.0, 3.41},
          {"FedAdagrad", adaptive(Kind::kAdagrad, 0.0), 0.0999000500, 0.1227786777},
          {"FedAdam", adaptive(Kind::kAdam, 0.9), 0.0990050489, 0.3117476533},
          {"FedYogi", adaptive(Kind::kYogi, 0.9), 0.0990049999, 0.3105036776}};
}

class ServerOptimizers : public ::testing::TestWithParam<OptimizerCase> {
 protected:
  // Models are floats: the change is read from a model of that size about it, so that nothing is rounded away.
  static double total(ServerOptimizer& optimizer, const std::vector<double>& means) {
    double sum = 0.0;
    for (const double mean : means) {
      std::vector<float> model{0.0F};
      optimizer.begin(1);
      optimizer.step(0, std::vector{mean}, model);
      sum += static_cast<double>(model[0]);
    }
    return sum;
  }
  static std::vector<float> run(ServerOptimizer& optimizer, std::vector<float> model, int from, int to) {
    for (int commit = from; commit < to; ++commit) {
      std::vector<double> mean;
      for (std::size_t i = 0; i < model.size(); ++i) {
        mean.push_back(0.25 * static_cast<double>((static_cast<int>(i) * 7 + commit * 5) % 11 - 5));
      }
      optimizer.begin(model.size());
      optimizer.step(0, std::span(mean).first(3), std::span(model).first(3));
      optimizer.step(3, std::span(mean).subspan(3), std::span(model).subspan(3));
    }
    return model;
  }
};

TEST_P(ServerOptimizers, GiveTheNumbersOfThePapers) {
  const auto one = GetParam().make();
  EXPECT_NEAR(total(*one, {1.0}), GetParam().after_one, 1e-8);
  const auto three = GetParam().make();
  EXPECT_NEAR(total(*three, {1.0, 0.5, -0.25}), GetParam().after_three, 4e-8);
}

TEST_P(ServerOptimizers, GoOnFromASnapshotToTheSameBits) {
  const std::vector<float> start{1.0F, -2.0F, 0.5F, 3.0F, -0.0F};
  const auto whole = GetParam().make();
  const std::vector<float> expected = run(*whole, start, 0, 9);

  const auto first = GetParam().make();
  const std::vector<float> half = run(*first, start, 0, 4);
  const Snapshot snapshot = first->save();
  const std::vector<float> same = run(*first, half, 4, 9);
  const auto second = GetParam().make();
  ASSERT_TRUE(second->restore(snapshot, start.size()).ok());
  const std::vector<float> resumed = run(*second, half, 4, 9);

  EXPECT_EQ(same, expected) << "saving changes nothing";
  EXPECT_EQ(resumed, expected) << "and the snapshot did not move with what came after it";
  EXPECT_EQ(second->save(), whole->save());
}

TEST_P(ServerOptimizers, HaveNoStateBeforeTheFirstCommit) {
  const auto optimizer = GetParam().make();

  EXPECT_TRUE(optimizer->save().empty());
  EXPECT_EQ(optimizer->restore({}, 5).code(), Code::kBadData) << "and cannot do without it afterwards";
}

TEST_P(ServerOptimizers, RefuseAStateThatIsNotTheirs) {
  const auto optimizer = GetParam().make();
  const Snapshot right = [] {
    const auto other = GetParam().make();
    std::vector<float> model(3, 0.0F);
    other->begin(3);
    other->step(0, std::vector<double>(3, 1.0), model);
    return other->save();
  }();
  Snapshot other_name;
  other_name.vectors.emplace("n", right.vectors.begin()->second);
  Snapshot infinite = right;
  infinite.vectors["m"] = std::make_shared<const std::vector<double>>(3, std::numeric_limits<double>::infinity());

  EXPECT_EQ(optimizer->restore(right, 4).code(), Code::kBadData);
  EXPECT_EQ(optimizer->restore(other_name, 3).code(), Code::kBadData);
  EXPECT_EQ(optimizer->restore(infinite, 3).code(), Code::kBadData);
  Snapshot more = right;
  more.vectors["z"] = right.vectors.begin()->second;
  EXPECT_EQ(optimizer->restore(more, 3).code(), Code::kBadData);
  EXPECT_TRUE(optimizer->restore(right, 3).ok());
  EXPECT_EQ(ServerSgd(1.0).restore(right, 3).code(), Code::kBadData);
}

INSTANTIATE_TEST_SUITE_P(All, ServerOptimizers, ::testing::ValuesIn(optimizers()),
                         [](const auto& one) { return one.param.name; });

TEST(ServerSgd, ScalesTheMeanByItsRate) {
  std::vector<float> model{1.0F, 2.0F};
  ServerSgd step(0.5);

  step.step(0, std::vector<double>{2.0, -4.0}, model);

  EXPECT_EQ(model, (std::vector<float>{2.0F, 0.0F}));
}

TEST(FedAvgM, WithoutMomentumIsFedAvgBitForBit) {
  FedAvgM with({.lr = 1.0, .momentum = 0.0});
  ServerSgd without(1.0);
  std::vector<float> a{1.0F, -0.0F, 3e-7F};
  std::vector<float> b = a;
  for (const double mean : {0.1, 0.0, -1.0 / 3.0}) {
    const std::vector<double> means{mean, 0.0, mean};
    with.begin(3);
    with.step(0, means, a);
    without.step(0, means, b);
  }

  EXPECT_EQ(a, b);
  EXPECT_TRUE(std::signbit(a[1]));
}

// v of FedYogi falls no faster than the squares are large: FedAdam forgets a large change sooner.
TEST(AdaptiveOptimizer, YogiForgetsALargeChangeMoreSlowlyThanAdam) {
  const auto last_step = [](Kind kind) {
    AdaptiveOptimizer optimizer(kind, {.lr = 1.0, .beta1 = 0.0, .beta2 = 0.9, .adaptivity = 1e-3});
    std::vector<float> model(1);
    for (const double mean : {10.0, 0.1, 0.1, 0.1, 0.1, 0.1}) {
      model[0] = 0.0F;
      optimizer.begin(1);
      optimizer.step(0, std::vector{mean}, model);
    }
    return model[0];
  };

  EXPECT_LT(1.2F * last_step(Kind::kYogi), last_step(Kind::kAdam));
}

}  // namespace
}  // namespace tributary
