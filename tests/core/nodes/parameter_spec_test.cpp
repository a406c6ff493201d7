// SPDX-License-Identifier: Apache-2.0
#include "tributary/nodes/parameter_spec.hpp"

#include <gtest/gtest.h>

namespace tributary {
namespace {

std::string refusal(std::vector<TensorSpec> tensors) {
  const Result<ParameterSpec> spec = ParameterSpec::create(std::move(tensors));
  return spec.ok() ? "" : spec.status().message();
}

TEST(ParameterSpec, SaysWhatIsWrongWithItsTensors) {
  EXPECT_EQ(refusal({}), "a model needs at least one tensor");
  EXPECT_EQ(refusal({{"", {1}}}), "a tensor has an empty name");
  EXPECT_EQ(refusal({{"w", {1}}, {"b", {2}}, {"w", {3}}}), "two tensors are named w");
  EXPECT_EQ(refusal({{"w", {2, -1}}}), "tensor w has a negative dimension, -1");
  EXPECT_EQ(refusal({{"w", {0}}}), "the model has no values");
  EXPECT_NE(refusal({{"w", {std::int64_t{1} << 40, std::int64_t{1} << 40}}}), "");
  EXPECT_EQ(refusal({{"mean", {2}, TensorKind::kRunningMean}, {"var", {3}, TensorKind::kRunningVariance}}),
            "running variance var needs the running mean of the same shape right before it");
  EXPECT_EQ(refusal({{"var", {3}, TensorKind::kRunningVariance}}),
            "running variance var needs the running mean of the same shape right before it");
}

TEST(ParameterSpec, TellsModelsApartByNameShapeAndKind) {
  const auto fingerprint = [](std::vector<TensorSpec> tensors) {
    return ParameterSpec::create(std::move(tensors)).value().fingerprint();
  };
  const Digest one = fingerprint({{"w", {2, 3}}});

  EXPECT_EQ(fingerprint({{"w", {2, 3}}}), one);
  EXPECT_NE(fingerprint({{"v", {2, 3}}}), one);
  EXPECT_NE(fingerprint({{"w", {3, 2}}}), one);
  EXPECT_NE(fingerprint({{"w", {6}}}), one);
  EXPECT_NE(fingerprint({{"w", {2, 3}, TensorKind::kRunningMean}}), one);
}

}  // namespace
}  // namespace tributary
