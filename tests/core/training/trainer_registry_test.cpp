// SPDX-License-Identifier: Apache-2.0
#include "tributary/training/trainer_registry.hpp"

#include <gtest/gtest.h>

#include <stdexcept>

namespace tributary {
namespace {

Result<std::unique_ptr<TrainerFactory>> make_with(const TrainerRegistry& registry, const std::string& kind) {
  const Configuration configuration;
  return registry.make(kind, {.configuration = configuration, .train = {}, .test = {}, .partition = {}});
}

TEST(TrainerRegistry, KnowsTheBuiltinKinds) {
  TrainerRegistry registry;
  register_builtin_trainers(registry);

  std::vector<std::string> names;
  for (const auto& kind : registry.kinds()) {
    names.push_back(kind.name);
    EXPECT_FALSE(kind.summary.empty());
  }

  EXPECT_EQ(names, (std::vector<std::string>{"command", "echo", "library", "torch"}));
  EXPECT_TRUE(make_with(registry, "echo").ok());
}

TEST(TrainerRegistry, NamesTheKnownKindsWhenAskedForAnother) {
  TrainerRegistry registry;
  register_builtin_trainers(registry);

  const auto made = make_with(registry, "torhc");

  EXPECT_EQ(made.status().code(), Code::kConfiguration);
  EXPECT_EQ(made.status().message(),
            "trainer.kind: there is no trainer named \"torhc\"; known: command, echo, library, torch");
}

TEST(TrainerRegistry, RefusesATakenNameAndAnEmptyOne) {
  TrainerRegistry registry;
  const auto nothing = [](const TrainerContext&) -> Result<std::unique_ptr<TrainerFactory>> {
    return unsupported("no");
  };

  EXPECT_TRUE(registry.add("mine", nothing, "").ok());
  EXPECT_EQ(registry.add("mine", nothing, "").code(), Code::kInvalidArgument);
  EXPECT_EQ(registry.add("", nothing, "").code(), Code::kInvalidArgument);
  EXPECT_EQ(registry.add("other", nullptr, "").code(), Code::kInvalidArgument);
}

TEST(TrainerRegistry, TurnsExceptionsAndNullIntoInternalErrors) {
  TrainerRegistry registry;
  ASSERT_TRUE(registry
                  .add(
                      "throws",
                      [](const TrainerContext&) -> Result<std::unique_ptr<TrainerFactory>> {
                        throw std::runtime_error("no luck");
                      },
                      "")
                  .ok());
  ASSERT_TRUE(registry
                  .add(
                      "null",
                      [](const TrainerContext&) -> Result<std::unique_ptr<TrainerFactory>> {
                        return std::unique_ptr<TrainerFactory>();
                      },
                      "")
                  .ok());

  EXPECT_EQ(make_with(registry, "throws").status(), internal_error("trainer throws: no luck"));
  EXPECT_EQ(make_with(registry, "null").status().code(), Code::kInternal);
}

}  // namespace
}  // namespace tributary
