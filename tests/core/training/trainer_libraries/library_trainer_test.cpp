// SPDX-License-Identifier: Apache-2.0
#include "tributary/training/library_trainer.hpp"

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <string>

#include "support/scratch_directory.hpp"
#include "tributary/data/load_dataset.hpp"

namespace tributary {
namespace {

const std::filesystem::path kLibraries = TRIBUTARY_TEST_LIBRARIES;

Result<std::unique_ptr<TrainerFactory>> load(const std::filesystem::path& library,
                                             std::map<std::string, std::string> options = {},
                                             Configuration configuration = {}) {
  configuration.base_directory = kLibraries;
  configuration.trainer.kind = "library";
  configuration.trainer.library = library.string();
  configuration.trainer.options = std::move(options);
  return make_library_trainer_factory(
      {.configuration = configuration, .train = {}, .test = {}, .partition = {}, .clients = 3});
}

std::string message_of(const std::filesystem::path& library) {
  return load(library).status().message();
}

bool has_torch_trainer() {
  return std::filesystem::exists(std::filesystem::path(TRIBUTARY_TEST_CORE).parent_path() / "libtributary_torch.so");
}

bool libtorch_is_loaded() {
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);) {
    if (line.find("libtorch_cpu") != std::string::npos) { return true; }
  }
  return false;
}

// Exit codes: 0 as it should be, 1 libtorch came too early, 2 it never came, 3 a trainer was refused.
[[noreturn]] void make_logistic_then_mlp() {
  Configuration configuration;
  configuration.data.source = DataConfig::Source::kSynthetic;
  const SharedDataset data = load_data(configuration).value().train;
  const auto partition = std::make_shared<const Partition>(Partition::iid(data->size(), 2, 1).value());
  const auto make = [&](const std::string& model) {
    configuration.model.kind = model;
    return make_torch_trainer_factory(
               {.configuration = configuration, .train = data, .test = {}, .partition = partition, .clients = 2})
        .ok();
  };
  if (!make("logistic")) { std::_Exit(3); }
  if (libtorch_is_loaded()) { std::_Exit(1); }
  if (!make("mlp")) { std::_Exit(3); }
  std::_Exit(libtorch_is_loaded() ? 0 : 2);
}

// In a process of its own, since other tests load libtorch. Suites of this name run first.
TEST(TorchTrainerLibraryDeathTest, LogisticRegressionDoesWithoutLibtorch) {
  if (!has_torch_trainer()) { return; }
  EXPECT_EXIT(make_logistic_then_mlp(), ::testing::ExitedWithCode(0), "");
}

TEST(LibraryTrainer, TrainsWithCodeFromASharedLibrary) {
  const auto factory = load("good.so", {{"step", "2.5"}}).value();
  TrainTask task;
  task.base = std::make_shared<const std::vector<float>>(factory->initial_model(1).value());

  const auto outcome = factory->create().value()->train(task);

  ASSERT_TRUE(outcome.ok()) << outcome.status().to_string();
  EXPECT_EQ(*outcome->model, (std::vector{2.5F, 2.5F, 2.5F}));
  EXPECT_EQ(outcome->weight, 2.0);
}

TEST(LibraryTrainer, TurnsExceptionsOfTheLibraryIntoInternalErrors) {
  const auto trainer = load("good.so").value()->create().value();

  const Status thrown = trainer->evaluate({}, 0, 1).status();

  EXPECT_EQ(thrown.code(), Code::kInternal);
  EXPECT_TRUE(thrown.message().ends_with("good.so: thrown across the boundary")) << thrown.message();
  EXPECT_EQ(load("good.so", {{"step", "0"}}).value()->create().status().code(), Code::kInternal);
  EXPECT_EQ(load("good.so", {{"step", "no number"}}).status().code(), Code::kInternal);
}

TEST(LibraryTrainer, ReportsAWeightBoundThatThrowsOrIsNoWeight) {
  const auto status = [](const char* bound) { return load("good.so", {{"bound", bound}}).status(); };

  EXPECT_EQ(status("throw").code(), Code::kInternal);
  EXPECT_TRUE(status("throw").message().ends_with("good.so: no bound is known")) << status("throw").message();
  for (const char* const bound : {"nan", "-1", "inf", "1e300"}) {
    EXPECT_EQ(status(bound).code(), Code::kConfiguration) << bound;
    EXPECT_NE(status(bound).message().find(
                  "weight_bound() of client 0 must be >= 1.52587890625e-05 and <= 274877906944, or 0 for a "
                  "client without samples, got "),
              std::string::npos)
        << status(bound).message();
  }
  EXPECT_TRUE(status("0").ok());
}

TEST(LibraryTrainer, WeighsAsTheConfigurationSays) {
  const auto weight = [](const Configuration& configuration, std::map<std::string, std::string> options = {}) {
    const auto factory = load("good.so", std::move(options), configuration).value();
    TrainTask task;
    task.client = ClientIndex{1};
    task.base = std::make_shared<const std::vector<float>>(3);
    return std::pair{factory->weight_bound(task.client), factory->create().value()->train(task)};
  };
  Configuration configuration;
  EXPECT_EQ(weight(configuration).second->weight, 2.0);

  configuration.algorithm.weighting = AlgorithmConfig::Weighting::kUniform;
  EXPECT_EQ(weight(configuration).first, 1.0);
  EXPECT_EQ(weight(configuration).second->weight, 1.0);

  configuration.algorithm.weighting = AlgorithmConfig::Weighting::kCapped;
  configuration.algorithm.weight_cap = 1.5;
  EXPECT_EQ(weight(configuration).first, 1.5);
  EXPECT_EQ(weight(configuration).second->weight, 1.5);

  configuration.algorithm.weighting = AlgorithmConfig::Weighting::kSamples;
  configuration.trainer.weight_bound = 1.0;
  EXPECT_EQ(weight(configuration).first, 1.0);
  EXPECT_TRUE(weight(configuration)
                  .second.status()
                  .message()
                  .ends_with("good.so: client 1: it reports weight 2, but one client may weigh at most 1: set "
                             "trainer.weight_bound to the "
                             "largest weight of one client, or algorithm.weighting: uniform"));

  configuration.trainer.weight_bound = 10.0;
  EXPECT_TRUE(weight(configuration, {{"bound", "1"}})
                  .second.status()
                  .message()
                  .ends_with("good.so: client 1 weighs 2, but weight_bound() announced at most 1"));
}

TEST(LibraryTrainer, LoadsTheSameLibraryTwice) {
  const auto first = load("good.so", {{"step", "1"}}).value();
  const auto second = load("good.so", {{"step", "2"}}).value();

  EXPECT_TRUE(first->create().ok());
  EXPECT_TRUE(second->create().ok());
}

TEST(LibraryTrainer, NeedsANameWhenALibraryBringsSeveral) {
  EXPECT_EQ(load("two.so").status().code(), Code::kConfiguration);
  EXPECT_NE(message_of("two.so").find("brings several trainers (adder, another): name one in trainer.options.trainer"),
            std::string::npos)
      << message_of("two.so");
  EXPECT_TRUE(load("two.so", {{"trainer", "another"}}).ok());
  EXPECT_EQ(load("two.so", {{"trainer", "neither"}}).status().code(), Code::kConfiguration);
}

TEST(LibraryTrainer, RefusesALibraryForAnotherVersion) {
  EXPECT_EQ(load("other_abi.so").status().code(), Code::kUnsupported);
  EXPECT_NE(
      message_of("other_abi.so").find("was built against trainer interface 9999, this program has 3: build it again"),
      std::string::npos)
      << message_of("other_abi.so");
}

TEST(LibraryTrainer, RefusesALibraryWithoutATrainer) {
  EXPECT_EQ(load("no_trainer.so").status().code(), Code::kConfiguration);
  EXPECT_NE(message_of("no_symbols.so").find("is no trainer library: it does not define tributary_trainer_abi"),
            std::string::npos)
      << message_of("no_symbols.so");
}

TEST(LibraryTrainer, RefusesWhatIsNoLibrary) {
  const testing::ScratchDirectory directory;
  const auto text = directory.write("text.so", "this is no shared library");

  EXPECT_EQ(load("missing.so").status().code(), Code::kNotFound);
  EXPECT_EQ(load(text).status().code(), Code::kUnsupported);
  EXPECT_EQ(load("").status(),
            configuration_error("trainer.library must name a shared library for trainer.kind library"));
}

TEST(TorchTrainerLibrary, IsMissedWithAdvice) {
  // A core without its sibling, as in a build without libtorch. The sibling stands beside ours if this build has it.
  if (has_torch_trainer()) {
    EXPECT_TRUE(torch_information(false).ok());
    return;
  }
  const Configuration configuration;
  const auto made =
      make_torch_trainer_factory({.configuration = configuration, .train = {}, .test = {}, .partition = {}});
  EXPECT_EQ(made.status().code(), Code::kUnsupported);
  EXPECT_NE(made.status().message().find("-DTRIBUTARY_WITH_TORCH=ON"), std::string::npos) << made.status().message();
}

}  // namespace
}  // namespace tributary
