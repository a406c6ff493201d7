// SPDX-License-Identifier: Apache-2.0
#include "tributary/nodes/client_update.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "tributary/aggregators/server_optimizers.hpp"
#include "tributary/aggregators/weighted_sum.hpp"

namespace tributary {
namespace {

const ParameterSpec& batch_norm_spec() {
  static const ParameterSpec spec = ParameterSpec::create({{"weight", {2}},
                                                           {"running_mean", {1}, TensorKind::kRunningMean},
                                                           {"running_var", {1}, TensorKind::kRunningVariance}})
                                        .value();
  return spec;
}

std::vector<float> merge(const std::vector<float>& base,
                         const std::vector<std::pair<std::vector<float>, double>>& clients) {
  WeightedSum sum;
  double total = 0.0;
  for (const auto& client : clients) { total += client.second; }
  sum.begin(batch_norm_spec(), ExactScale::fine(Weight::from(total).value(), clients.size()));
  const auto shared = std::make_shared<const std::vector<float>>(base);
  for (const auto& [model, weight] : clients) {
    TrainOutcome outcome{.model = std::make_shared<const std::vector<float>>(model), .weight = weight, .metrics = {}};
    const Update update =
        make_update(batch_norm_spec(), make_client_update(batch_norm_spec(), shared, std::move(outcome)).value());
    EXPECT_TRUE(sum.add(update, 1).ok());
  }
  std::vector<float> model = base;
  ServerSgd step(1.0);
  apply_mean(batch_norm_spec(), sum, step, 1.0, 1.0, model);
  return model;
}

TEST(ClientUpdate, MergesRunningVariancesThroughTheSecondMoment) {
  const std::vector<float> base{1.0F, 2.0F, 0.5F, 2.0F};

  const std::vector<float> merged = merge(base, {{{2.0F, 2.0F, 1.0F, 1.0F}, 1.0}, {{4.0F, 4.0F, 3.0F, 2.0F}, 3.0}});

  EXPECT_NEAR(merged[0], 3.5F, 1e-6);
  EXPECT_NEAR(merged[1], 3.5F, 1e-6);
  EXPECT_NEAR(merged[2], 2.5F, 1e-6);                                             // (1 + 9) / 4
  EXPECT_NEAR(merged[3], (1.0 * (1 + 1) + 3.0 * (2 + 9)) / 4 - 2.5 * 2.5, 1e-5);  // second moments less the new mean's
}

// A mean of 1e4 and more beside a variance near 1: float32 holds neither mean^2 + variance nor its sum.
TEST(ClientUpdate, AVarianceSurvivesBesideALargeMean) {
  for (const float mean : {1e4F, 3e6F}) {
    const std::vector<float> base{0.0F, 0.0F, mean, 1.0F};

    const std::vector<float> merged =
        merge(base, {{{0.0F, 0.0F, mean + 1.0F, 1.5F}, 1.0}, {{0.0F, 0.0F, mean - 1.0F, 0.5F}, 1.0}});

    EXPECT_EQ(merged[2], mean);
    EXPECT_NEAR(merged[3], 2.0F, 1e-6) << mean;  // (1.5 + 0.5) / 2, and 1 between the two means
  }
}

// The first round on inputs far from 0: the mean has come a long way, and its square goes into the sums beside the
// variance. Clients send floats, which do not hold the two together.
TEST(ClientUpdate, AVarianceSurvivesAMeanThatMovesFar) {
  struct Case {
    float mean;
    std::size_t clients;
    double error;
  };
  for (const Case& each : {Case{6513.0F, 1000, 1e-5}, Case{1e4F, 3, 1e-5}, Case{3e5F, 1, 1e-3}}) {
    const std::vector<float> base{0.0F, 0.0F, 0.0F, 1.0F};
    std::vector<std::pair<std::vector<float>, double>> clients;
    for (std::size_t i = 0; i < each.clients; ++i) {
      clients.push_back({{0.0F, 0.0F, each.mean, 0.25F}, 600.0});  // each variance alone
    }

    const std::vector<float> merged = merge(base, clients);

    EXPECT_EQ(merged[2], each.mean);
    EXPECT_NEAR(merged[3], 0.25F, each.error) << each.mean;
  }
}

// Half of the node's own model and half of one that a client made of another base.
TEST(ClientUpdate, MixesAModelWithAClientsOfAnotherBase) {
  const auto base = std::make_shared<const std::vector<float>>(std::vector<float>{1.0F, 2.0F, 0.5F, 2.0F});
  TrainOutcome outcome{.model = std::make_shared<const std::vector<float>>(std::vector<float>{2.0F, 2.0F, 3.0F, 1.0F}),
                       .weight = 4.0,
                       .metrics = {}};
  WeightedSum sum;
  sum.begin(batch_norm_spec(), ExactScale::fine(Weight::from(4).value(), 1, 16));
  const Update update =
      make_update(batch_norm_spec(), make_client_update(batch_norm_spec(), base, std::move(outcome)).value());
  ASSERT_TRUE(sum.add(update, 1U << 15U).ok());
  std::vector<float> model{4.0F, 6.0F, -1.0F, 3.0F};

  apply_mixing(batch_norm_spec(), sum, *base, 0.5, model);

  EXPECT_NEAR(model[0], 3.0F, 1e-6);
  EXPECT_NEAR(model[1], 4.0F, 1e-6);
  EXPECT_NEAR(model[2], 1.0F, 1e-6);
  EXPECT_NEAR(model[3], 0.5 * 3.0 + 0.5 * 1.0 + 0.25 * 16.0, 1e-5) << "means that lie 4 apart";
}

TEST(ClientUpdate, NamesTheTensorThatDiverged) {
  const auto base = std::make_shared<const std::vector<float>>(4, 0.0F);
  for (const float wrong : {std::numeric_limits<float>::quiet_NaN(), -std::numeric_limits<float>::infinity()}) {
    TrainOutcome outcome{.model = std::make_shared<const std::vector<float>>(std::vector<float>{0, 0, wrong, 1}),
                         .weight = 1.0,
                         .metrics = {}};

    const Status refused = make_client_update(batch_norm_spec(), base, std::move(outcome)).status();

    EXPECT_EQ(refused.code(), Code::kBadData);
    EXPECT_THAT(refused.message(), ::testing::StartsWith("training diverged: the change of tensor running_mean is "));
  }
}

TEST(ClientUpdate, UnchangedModelsLeaveEveryBitAlone) {
  const std::vector<float> base{0.1F, -0.3F, 0.7F, 1.3F};

  EXPECT_EQ(merge(base, {{base, 5.0}, {base, 2.0}}), base);
}

}  // namespace
}  // namespace tributary
