// SPDX-License-Identifier: Apache-2.0
#include "echo_trainer.hpp"

#include <gtest/gtest.h>

namespace tributary {
namespace {

std::unique_ptr<TrainerFactory> echo(std::uint64_t parameters) {
  Configuration configuration;
  configuration.trainer.kind = "echo";
  configuration.model.parameters = parameters;
  return make_echo_trainer_factory({.configuration = configuration, .train = {}, .test = {}, .partition = {}}).value();
}

TEST(EchoTrainer, ReturnsTheVeryModelItWasGiven) {
  const auto factory = echo(5);
  const auto trainer = factory->create().value();
  TrainTask task;
  task.base = std::make_shared<const std::vector<float>>(5, 1.0F);

  const TrainOutcome outcome = trainer->train(task).value();

  EXPECT_EQ(outcome.model, task.base);
  EXPECT_EQ(outcome.weight, 1.0);
  EXPECT_EQ(factory->weight_bound(ClientIndex{9}), 1.0);
}

TEST(EchoTrainer, MakesTheInitialModelFromTheSeedAlone) {
  const auto factory = echo(100);

  const std::vector<float> first = factory->initial_model(1).value();

  EXPECT_EQ(first.size(), 100U);
  EXPECT_EQ(first, factory->initial_model(1).value());
  EXPECT_NE(first, factory->initial_model(2).value());
  EXPECT_EQ(factory->spec().tensors().front().name, "echo.weight");
}

TEST(EchoTrainer, HonoursCancellation) {
  const auto trainer = echo(1)->create().value();
  const std::atomic<bool> cancel{true};
  TrainTask task;
  task.base = std::make_shared<const std::vector<float>>(1);
  task.cancel = &cancel;

  EXPECT_EQ(trainer->train(task).status().code(), Code::kCancelled);
}

TEST(EchoTrainer, HasNothingToEvaluateOn) {
  EXPECT_EQ(echo(1)->create().value()->evaluate({}, 0, 1).status().code(), Code::kUnsupported);
}

TEST(EchoTrainer, RefusesAModelWithoutParameters) {
  Configuration configuration;
  configuration.model.parameters = 0;

  const auto made =
      make_echo_trainer_factory({.configuration = configuration, .train = {}, .test = {}, .partition = {}});

  EXPECT_EQ(made.status().code(), Code::kConfiguration);
  EXPECT_EQ(made.status().message(), "model.parameters must be in [1, 68719476736], got 0");
}

}  // namespace
}  // namespace tributary
