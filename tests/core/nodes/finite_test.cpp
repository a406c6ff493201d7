// SPDX-License-Identifier: Apache-2.0
#include "tributary/nodes/finite.hpp"

#include <gtest/gtest.h>

#include <limits>
#include <utility>
#include <vector>

#include "support/federation.hpp"
#include "support/scratch_directory.hpp"
#include "tributary/data/model_file.hpp"
#include "tributary/run/prepared_run.hpp"

namespace tributary {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();

TEST(Finite, EveryPlaceIsLookedAt) {
  for (const std::size_t size : {1U, 7U, 4096U, 4097U, 9000U}) {
    std::vector<float> values(size, std::numeric_limits<float>::max());
    values[0] = -0.0F;
    EXPECT_TRUE(all_finite(values));
    for (const float bad : {kInfinity, -kInfinity, kNaN, -kNaN}) {
      for (const std::size_t at : {std::size_t{0}, size / 2, size - 1}) {
        const float good = std::exchange(values[at], bad);
        EXPECT_FALSE(all_finite(values)) << size << " " << at << " " << bad;
        values[at] = good;
      }
    }
  }
  EXPECT_TRUE(all_finite({}));
}

TEST(Finite, TheTensorIsNamed) {
  const ParameterSpec spec = ParameterSpec::create({{"a", {2}}, {"b", {2, 2}}}).value();

  EXPECT_EQ(describe_not_finite(spec, std::vector<float>{1, 2, 3, 4, 5, 6}), "");
  EXPECT_EQ(describe_not_finite(spec, std::vector<float>{1, 2, 3, kNaN, 5, -kInfinity}),
            "tensor b has 2 of 4 values that are not finite, the first is nan at index 1");
}

// Whatever trains it: a model's file is looked at before anything runs.
TEST(Finite, AFileToStartFromIsCheckedBeforeTheRun) {
  const testing::ScratchDirectory directory;
  const auto file = directory / "start.safetensors";
  const ParameterSpec spec = ParameterSpec::create({{"a", {2}}, {"b", {2, 2}}}).value();
  ASSERT_TRUE(write_model(real_file_system(), file, spec, std::vector<float>{1, 2, kInfinity, 4, 5, 6}).ok());
  Configuration configuration;
  configuration.data.source = DataConfig::Source::kNone;
  configuration.model.initial = file.string();
  configuration.trainer.kind = "command";
  configuration.trainer.command = {"true", "{output}"};
  ExtensionRegistry extensions;
  register_builtin_aggregators(extensions);
  TrainerRegistry trainers;
  register_builtin_trainers(trainers);

  const auto composition = prepare_run(configuration, testing::make_tree({1, 0}), extensions, trainers);

  EXPECT_EQ(composition.status(),
            bad_data("model.initial: " + file.string() +
                     ": tensor b has 1 of 4 values that are not finite, the first is inf at index 0; a run starts from "
                     "finite numbers"));
}

}  // namespace
}  // namespace tributary
