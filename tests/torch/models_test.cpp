// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <cmath>

#include "model_size.hpp"
#include "network.hpp"
#include "torch/federation_for_tests.hpp"

namespace tributary {
namespace {

using testing::TestFederation;

std::size_t parameters_of(const std::string& model) {
  return TestFederation(model).factory().value()->spec().parameters();
}

TEST(Models, HaveTheParametersTheLiteratureNames) {
  EXPECT_EQ(parameters_of("logistic"), 7'850U);
  EXPECT_EQ(parameters_of("lenet5"), 44'426U);
  EXPECT_EQ(parameters_of("cnn"), 1'663'370U);  // arXiv 1602.05629
  EXPECT_EQ(parameters_of("mlp"), 784U * 128 + 128 + 128 * 10 + 10);
  EXPECT_EQ(parameters_of("resnet18"), 11'172'810U);  // the CIFAR form: 11,173,962 with 3 input channels
  EXPECT_EQ(parameters_of("resnet50"), 23'519'690U);
}

TEST(Models, AreListedByTheCore) {
  for (const ModelKind& model : builtin_models()) {
    if (!model.name.starts_with("resnet")) { EXPECT_GT(parameters_of(std::string(model.name)), 0U) << model.name; }
  }
}

TEST(Models, TakeTheWidthsTheyAreTold) {
  TestFederation federation("mlp");
  federation.configuration.model.hidden = {20, 30};

  const auto factory = federation.factory().value();

  EXPECT_EQ(factory->spec().parameters(), 784U * 20 + 20 + 20 * 30 + 30 + 30 * 10 + 10);
  EXPECT_EQ(factory->spec().tensors().front().name, "linear1.weight");
  EXPECT_EQ(factory->spec().tensors().front().shape, (std::vector<std::int64_t>{20, 784}));
}

TEST(Models, StartFromTheSeedAlone) {
  const auto first = TestFederation("lenet5").factory().value();
  const auto second = TestFederation("lenet5").factory().value();

  EXPECT_EQ(first->initial_model(1).value(), second->initial_model(1).value());
  EXPECT_NE(first->initial_model(1).value(), first->initial_model(2).value());
}

TEST(Models, StartWithinTheBoundOfTheirInputs) {
  const auto factory = TestFederation("lenet5").factory().value();
  const std::vector<float> values = factory->initial_model(1).value();

  // fc1: 256 inputs, so within 1/16, and close to it somewhere.
  const auto tensors = factory->spec().tensors();
  for (std::size_t t = 0; t < tensors.size(); ++t) {
    if (!tensors[t].name.starts_with("fc1")) { continue; }
    float largest = 0.0F;
    for (std::size_t i = 0; i < tensors[t].elements(); ++i) {
      largest = std::max(largest, std::abs(values[factory->spec().offset(t) + i]));
    }
    EXPECT_LE(largest, 1.0F / 16.0F) << tensors[t].name;
    EXPECT_GT(largest, 0.9F / 16.0F) << tensors[t].name;
  }
}

TEST(Models, StartNormalisationsAtOneAndZero) {
  const auto spec = ParameterSpec::create({{"norm.weight", {4}}, {"norm.bias", {4}}}).value();

  EXPECT_EQ(internal::initial_values(spec, 1), (std::vector{1.0F, 1.0F, 1.0F, 1.0F, 0.0F, 0.0F, 0.0F, 0.0F}));
}

TEST(Models, NameTheModelsThatExist) {
  EXPECT_EQ(TestFederation("lenet").factory().status(),
            configuration_error("model.kind: there is no model named \"lenet\"; known: logistic, mlp, lenet5, cnn, "
                                "resnet18, resnet50; or give a file as model.torchscript"));
}

TEST(Models, SayWhatImagesTheyNeed) {
  TestFederation federation("lenet5");
  auto table = std::make_shared<Dataset>(*federation.train);
  table->sample_shape = {784};
  federation.train = federation.test = table;

  EXPECT_EQ(federation.factory().status(),
            configuration_error("model.kind lenet5 needs images of channels x height x width, at least 16x16; the "
                                "samples' shape is [784]"));
  federation.configuration.model.kind = "logistic";
  EXPECT_TRUE(federation.factory().ok());
}

TEST(Models, AreCountedBeforeTheyAreMade) {
  const auto expect_counted = [](const std::string& kind, std::int64_t side, std::int32_t classes) {
    internal::NetworkRequest request;
    request.model.kind = kind;
    request.model.hidden = {7, 5};
    request.model.width = 3;
    request.sample_shape = {2, side, side + 4};
    request.classes = classes;
    request.device = "cpu";
    const internal::NetworkPlan plan = internal::plan_network(request).value();

    EXPECT_EQ(internal::parameters_of_builtin(request), static_cast<double>(plan.spec.parameters())) << kind << side;
  };

  for (const char* kind : {"logistic", "mlp", "lenet5", "cnn", "resnet18", "resnet50"}) {
    expect_counted(kind, 28, 10);
    expect_counted(kind, 66, 3);
  }
}

TEST(Models, AreRefusedWithTheirSizeWhereTheMachineCannotHoldThem) {
  TestFederation federation("mlp");
  federation.configuration.model.hidden = {1'000'000, 1'000'000};
  federation.configuration.threads = 1;

  const Status status = federation.factory().status();

  EXPECT_EQ(status.code(), Code::kResourceExhausted);
  const std::string said(status.message());
  EXPECT_TRUE(
      said.starts_with("model.kind mlp has 1000796000010 parameters here. The model, a sum of changes and "
                       "the values and gradients of a thread take at least 16.0 TB of memory, and this machine has "))
      << said;
  EXPECT_TRUE(said.ends_with("; lower model.hidden, or use a larger machine")) << said;
}

TEST(Models, RefuseWidthsOfZero) {
  TestFederation federation("mlp");
  federation.configuration.model.hidden = {16, 0};
  EXPECT_EQ(federation.factory().status(), configuration_error("model.hidden: every width must be >= 1, got 0"));
  federation.configuration.model.kind = "cnn";
  federation.configuration.model.width = 0;
  EXPECT_EQ(federation.factory().status(), configuration_error("model.width must be >= 1, got 0"));
}

TEST(Models, AllLearn) {
  for (const char* model : {"logistic", "mlp", "lenet5"}) {
    TestFederation federation(model, 1, 200);
    federation.configuration.trainer.epochs = 8;
    const auto factory = federation.factory().value();
    const auto trainer = factory->create().value();

    const auto outcome = trainer->train(testing::task_for(0, factory->initial_model(1).value()));

    ASSERT_TRUE(outcome.ok()) << model << ": " << outcome.status().to_string();
    const Evaluation evaluation = trainer->evaluate(*outcome->model, 0, 1).value();
    EXPECT_GT(evaluation.metrics.at("accuracy"), 0.9) << model;
  }
}

TEST(Models, ResNetsTrainAStep) {
  for (const char* model : {"resnet18", "resnet50"}) {
    TestFederation federation(model, 1, 2);
    federation.train = testing::striped_images(2, 1, 8);
    federation.test = federation.train;
    const auto factory = federation.factory().value();

    const auto outcome = factory->create().value()->train(testing::task_for(0, factory->initial_model(1).value()));

    ASSERT_TRUE(outcome.ok()) << model << ": " << outcome.status().to_string();
    EXPECT_EQ(outcome->steps, 1U);
    EXPECT_GT(outcome->metrics.at("loss"), 0.0);
  }
}

}  // namespace
}  // namespace tributary
