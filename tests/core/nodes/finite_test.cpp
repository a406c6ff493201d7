// SPDX-License-Identifier: Apache-2.0
#include "tributary/nodes/finite.hpp"

#include <gtest/gtest.h>

#include <fstream>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "support/federation.hpp"
#include "support/scratch_directory.hpp"
#include "tributary/data/model_file.hpp"
#include "tributary/run/checkpoint.hpp"
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

// What a run with a program as its trainer says of such a file.
Status start_from(const std::filesystem::path& file) {
  Configuration configuration;
  configuration.data.source = DataConfig::Source::kNone;
  configuration.model.initial = file.string();
  configuration.trainer.kind = "command";
  configuration.trainer.command = {"true", "{output}"};
  ExtensionRegistry extensions;
  register_builtin_aggregators(extensions);
  TrainerRegistry trainers;
  register_builtin_trainers(trainers);
  return prepare_run(configuration, testing::make_tree({1, 0}), extensions, trainers).status();
}

// Whatever trains it: a model's file is looked at before anything runs.
TEST(Finite, AFileToStartFromIsCheckedBeforeTheRun) {
  const testing::ScratchDirectory directory;
  const auto file = directory / "start.safetensors";
  const ParameterSpec spec = ParameterSpec::create({{"a", {2}}, {"b", {2, 2}}}).value();
  ASSERT_TRUE(write_model(real_file_system(), file, spec, std::vector<float>{1, 2, kInfinity, 4, 5, 6}).ok());

  EXPECT_EQ(start_from(file),
            bad_data("model.initial: " + file.string() +
                     ": tensor b has 1 of 4 values that are not finite, the first is inf at index 0; a run starts from "
                     "finite numbers"));
}

// A model alone has no digest. A checkpoint has one, and is not taken for a model once it is damaged.
TEST(Finite, ACheckpointToStartFromMustBeWhole) {
  const testing::ScratchDirectory directory;
  const ParameterSpec spec = ParameterSpec::create({{"a", {2}}, {"b", {2, 2}}}).value();
  CheckpointStore store(real_file_system(), directory.path(), 1);
  ASSERT_TRUE(store.save(spec, std::vector<float>{1, 2, 3, 4, 5, 6}, {.round = Round{3}}).ok());
  const std::filesystem::path file = store.list().value().front().path;
  EXPECT_TRUE(check_if_checkpoint(real_file_system(), file).ok());
  EXPECT_TRUE(start_from(file).ok());

  std::vector<std::byte> bytes = read_file(real_file_system(), file, std::uint64_t{1} << 20U).value();
  bytes.back() ^= std::byte{1};
  std::ofstream(file, std::ios::binary) << std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size());

  const Status refused = start_from(file);
  EXPECT_EQ(refused.code(), Code::kBadData);
  EXPECT_NE(refused.message().find("model.initial: "), std::string::npos) << refused.message();
  EXPECT_NE(refused.message().find("damaged"), std::string::npos) << refused.message();
}

}  // namespace
}  // namespace tributary
