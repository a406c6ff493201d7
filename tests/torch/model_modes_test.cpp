// SPDX-License-Identifier: Apache-2.0
// Models that ignore whether they are trained or evaluated, and models whose samples depend on each other.
#include "torch/scripts_for_tests.hpp"

namespace tributary {
namespace {

using testing::by_pytorch;
using testing::distance_to;
using testing::fixture;
using testing::random_table;
using testing::ScratchDirectory;
using testing::script_federation;
using testing::task_for;
using testing::TestFederation;
using torch::optim::SGD;
using torch::optim::SGDOptions;

double loss_of(const TestFederation& federation) {
  const auto factory = federation.factory().value();
  const auto base = factory->initial_model(1).value();
  return factory->create().value()->evaluate(base, 0, 1).value().metrics.at("loss");
}

// Batch normalisation between two layers, following its mode.
std::string normalised(const ScratchDirectory& directory, double head = 1.0) {
  torch::manual_seed(5);
  torch::jit::Module module("Normalised");
  const auto parameter = [&](const char* name, const at::Tensor& values) {
    module.register_parameter(name, values.detach().set_requires_grad(true), false);
  };
  parameter("first", torch::randn({8, 4}));
  parameter("second", torch::randn({3, 8}) * head);
  module.register_buffer("running_mean", torch::zeros({8}));
  module.register_buffer("running_var", torch::ones({8}));
  module.register_attribute("training", c10::BoolType::get(), true);
  module.define(R"(
    def forward(self, x):
      x = torch.matmul(x, self.first.t())
      if self.training:
        assert x.size(0) > 1, "Expected more than 1 value per channel when training"
      x = torch.batch_norm(x, None, None, self.running_mean, self.running_var, self.training, 0.1, 1e-5, False)
      return torch.matmul(torch.relu(x), self.second.t())
  )");
  module.save((directory / "normalised.pt").string());
  return (directory / "normalised.pt").string();
}

// With parameters `first` (4 x 4), `head` (3 x 4), `bias` (3) and `scale` (4), a running mean and variance, and a whole
// number `count`.
std::string written(const ScratchDirectory& directory, const std::string& forward,
                    const std::map<std::string, double>& factors = {}) {
  torch::manual_seed(5);
  torch::jit::Module module("Written");
  const auto parameter = [&](const std::string& name, const at::Tensor& values) {
    const auto factor = factors.find(name);
    const at::Tensor start = factor == factors.end() ? values : values * factor->second;
    module.register_parameter(name, start.detach().set_requires_grad(true), false);
  };
  parameter("first", torch::randn({4, 4}));
  parameter("head", torch::randn({3, 4}));
  parameter("bias", torch::randn({3}));
  parameter("scale", torch::ones({4}));
  module.register_buffer("running_mean", torch::zeros({4}));
  module.register_buffer("running_var", torch::ones({4}));
  module.register_attribute("training", c10::BoolType::get(), true);
  module.register_attribute("count", c10::IntType::get(), 0);
  module.define("def forward(self, x):\n" + forward + "  return torch.matmul(x, self.head.t()) + self.bias\n");
  module.save((directory / "written.pt").string());
  return (directory / "written.pt").string();
}

const std::string kOwnNormalisation =
    "  x = torch.matmul(x, self.first.t())\n"
    "  x = (x - x.mean(0)) / x.std(0)\n";

std::string built_in_normalisation(const std::string& trains) {
  return "  x = torch.matmul(x, self.first.t())\n"
         "  x = torch.batch_norm(x, None, None, self.running_mean, self.running_var, " +
         trains + ", 0.1, 1e-5, False)\n";
}

// One step of FedSGD on more samples than a part of a full batch holds.
void expect_one_step_as_pytorch(const std::string& file) {
  const SharedDataset data = random_table(601);
  TestFederation federation = script_federation(file, data);
  federation.configuration.algorithm.kind = AlgorithmConfig::Kind::kFedSgd;
  const auto factory = federation.factory().value();

  const TrainOutcome outcome = factory->create().value()->train(task_for(0, factory->initial_model(1).value())).value();

  const auto expected = by_pytorch<SGD>(file, *data, SGDOptions(0.1), 1);
  EXPECT_LT(distance_to(expected, factory->spec(), *outcome.model), 1e-5);
}

TEST(ModelModes, DropoutTracedInTrainingIsNamedAndSeeded) {
  const TestFederation federation = script_federation(fixture("dropout-traced-in-training.pt"), random_table(40));

  const auto warnings = federation.factory().value()->warnings();

  ASSERT_EQ(warnings.size(), 1U);
  EXPECT_EQ(warnings[0],
            "model.torchscript: " + fixture("dropout-traced-in-training.pt") +
                " ignores evaluation mode: 2 (dropout). When it is evaluated it draws random numbers, so loss and "
                "accuracy depend on evaluation.batch_size; torch.jit.script keeps both modes, torch.jit.trace only the "
                "one it saw");
  const double loss = loss_of(federation);
  torch::manual_seed(99);
  EXPECT_EQ(loss_of(federation), loss);
}

TEST(ModelModes, BatchNormTracedInTrainingIsNamed) {
  TestFederation federation = script_federation(fixture("batchnorm-traced-in-training.pt"), random_table(40));

  const auto warnings = federation.factory().value()->warnings();

  ASSERT_EQ(warnings.size(), 1U);
  EXPECT_NE(warnings[0].find("ignores evaluation mode: 1 (batch norm). When it is evaluated, what it says of a sample "
                             "depends on the samples beside it, so loss and accuracy depend on "
                             "evaluation.batch_size"),
            std::string::npos)
      << warnings[0];
  EXPECT_EQ(loss_of(federation), loss_of(federation));
}

// The start values let nothing of it through, those that a run comes to do.
TEST(ModelModes, LayersFixedToTrainingAreNamedWhateverTheStartValuesHide) {
  const ScratchDirectory directory;
  const auto warnings_of = [](const std::string& file) {
    return script_federation(file, random_table(40)).factory().value()->warnings();
  };
  const std::map<std::string, double> no_head{{"head", 0.0}};

  const auto built_in = warnings_of(written(directory, built_in_normalisation("True"), no_head));
  ASSERT_EQ(built_in.size(), 1U);
  EXPECT_NE(built_in[0].find("ignores evaluation mode: batch norm. When it is evaluated, what it says of a sample "
                             "depends on the samples beside it, so loss and accuracy depend on evaluation.batch_size"),
            std::string::npos)
      << built_in[0];
  const auto own = warnings_of(written(directory, kOwnNormalisation, no_head));
  ASSERT_EQ(own.size(), 1U);
  EXPECT_NE(own[0].find("ignores evaluation mode. When it is evaluated, what it says of a sample depends on"),
            std::string::npos)
      << own[0];
  const auto unseen = warnings_of(written(directory, "  x = torch.dropout(x, 0.0, True)\n"));
  ASSERT_EQ(unseen.size(), 1U);
  EXPECT_NE(unseen[0].find("ignores evaluation mode: dropout. When it is evaluated, these layers do what they do in "
                           "training, so loss and accuracy may depend on evaluation.batch_size"),
            std::string::npos)
      << unseen[0];
  EXPECT_TRUE(warnings_of(written(directory, built_in_normalisation("self.training"), no_head)).empty());
}

TEST(ModelModes, MeasuringFirstDoesNotChangeTheTraining) {
  const TestFederation federation = script_federation(fixture("batchnorm-traced-in-training.pt"), random_table(40));
  const auto factory = federation.factory().value();
  const auto trainer = factory->create().value();
  TrainTask task = task_for(0, factory->initial_model(1).value());
  const auto alone = *trainer->train(task).value().model;
  task.evaluate_first = true;

  EXPECT_EQ(*trainer->train(task).value().model, alone);
}

TEST(ModelModes, LayersFixedToEvaluationAreNamed) {
  const ScratchDirectory directory;
  torch::jit::Module module("Fixed");
  module.register_parameter("weight", torch::randn({3, 4}).set_requires_grad(true), false);
  module.define("def forward(self, x):\n  return torch.matmul(torch.dropout(x, 0.5, False), self.weight.t())\n");
  module.save((directory / "fixed.pt").string());

  const auto warnings =
      script_federation((directory / "fixed.pt").string(), random_table(9)).factory().value()->warnings();

  ASSERT_EQ(warnings.size(), 1U);
  EXPECT_NE(warnings[0].find("ignores training mode: dropout. In training these layers do what they do in evaluation"),
            std::string::npos)
      << warnings[0];
}

TEST(ModelModes, ASoftmaxAtTheEndIsWarnedOf) {
  const ScratchDirectory directory;
  const auto warnings_of = [&](const std::string& output) {
    torch::manual_seed(5);
    torch::jit::Module module("Ending");
    module.register_parameter("weight", torch::randn({3, 4}).set_requires_grad(true), false);
    module.define("def forward(self, x):\n  x = torch.matmul(x, self.weight.t())\n  return " + output + "\n");
    module.save((directory / "ending.pt").string());
    return script_federation((directory / "ending.pt").string(), random_table(9)).factory().value()->warnings();
  };

  const auto warnings = warnings_of("torch.softmax(x, 1)");

  ASSERT_EQ(warnings.size(), 1U);
  EXPECT_NE(warnings[0].find("gives probabilities: its outputs for a sample are not below 0 and sum to 1"),
            std::string::npos)
      << warnings[0];
  for (const char* output : {"x", "torch.relu(x)", "torch.sigmoid(x)", "torch.log_softmax(x, 1)"}) {
    EXPECT_TRUE(warnings_of(output).empty()) << output;
  }
}

TEST(ModelModes, ModelsThatFollowTheirModeGiveNoWarning) {
  const ScratchDirectory directory;
  EXPECT_TRUE(script_federation(normalised(directory), random_table(40)).factory().value()->warnings().empty());
  TestFederation images("");
  images.configuration.model.torchscript = fixture("small.pt");
  EXPECT_TRUE(images.factory().value()->warnings().empty());
  EXPECT_TRUE(TestFederation("lenet5").factory().value()->warnings().empty());
}

TEST(ModelModes, ALastBatchOfOneJoinsTheOneBeforeIt) {
  const ScratchDirectory directory;
  const std::string file = normalised(directory);
  const SharedDataset nine = random_table(9);
  TestFederation federation = script_federation(file, nine);
  federation.configuration.trainer.batch_size = 8;
  federation.configuration.trainer.epochs = 3;
  const auto factory = federation.factory().value();

  const auto outcome = factory->create().value()->train(task_for(0, factory->initial_model(1).value()));

  ASSERT_TRUE(outcome.ok()) << outcome.status().to_string();
  EXPECT_EQ(outcome->steps, 3U);
  const auto expected = by_pytorch<SGD>(file, *nine, SGDOptions(0.1), 3);
  EXPECT_LT(distance_to(expected, factory->spec(), *outcome->model), 1e-5);
}

TEST(ModelModes, TracedBatchNormOfOneSampleIsNoticedToo) {
  TestFederation federation = script_federation(fixture("batchnorm-traced-in-training.pt"), random_table(9));
  federation.configuration.trainer.batch_size = 8;
  const auto factory = federation.factory().value();

  const auto outcome = factory->create().value()->train(task_for(0, factory->initial_model(1).value()));

  ASSERT_TRUE(outcome.ok()) << outcome.status().to_string();
  EXPECT_EQ(outcome->steps, 1U);
}

TEST(ModelModes, ClientsThatCouldNeverTrainAreRefused) {
  const ScratchDirectory directory;
  const std::string file = normalised(directory);
  TestFederation federation = script_federation(file, random_table(5), 4);

  EXPECT_EQ(federation.factory().status(),
            configuration_error("client 1 has 1 sample, and so have 2 more, but " + file +
                                " cannot be trained on one sample (batch normalisation needs two); use fewer clients, "
                                "or data.partition.min_samples: 2 where the partition has it"));
  federation = script_federation(file, random_table(8), 2);
  EXPECT_TRUE(federation.factory().ok());
  federation.configuration.trainer.batch_size = 1;
  EXPECT_EQ(federation.factory().status(),
            configuration_error("trainer.batch_size is 1, but " + file +
                                " cannot be trained on a batch of one sample (batch normalisation needs two); use a "
                                "larger batch size"));
}

TEST(ModelModes, FedSgdTakesTheStatisticsOfAllSamples) {
  const ScratchDirectory directory;
  const std::string file = normalised(directory);
  const SharedDataset data = random_table(601);  // more than two parts of a full batch
  TestFederation federation = script_federation(file, data);
  federation.configuration.algorithm.kind = AlgorithmConfig::Kind::kFedSgd;
  const auto factory = federation.factory().value();

  const TrainOutcome outcome = factory->create().value()->train(task_for(0, factory->initial_model(1).value())).value();

  const auto expected = by_pytorch<SGD>(file, *data, SGDOptions(0.1), 1);
  EXPECT_LT(distance_to(expected, factory->spec(), *outcome.model), 1e-5);
}

TEST(ModelModes, FedSgdTakesTheStatisticsOfAllSamplesWhereTheStartValuesHideThem) {
  const ScratchDirectory directory;
  expect_one_step_as_pytorch(normalised(directory, 0.0));
  expect_one_step_as_pytorch(written(directory, built_in_normalisation("self.training"), {{"bias", 1e7}}));
  expect_one_step_as_pytorch(written(directory, kOwnNormalisation, {{"head", 0.0}}));
  expect_one_step_as_pytorch(
      written(directory, "  x = x + self.scale * (x - x.mean(0)) / x.std(0)\n", {{"scale", 0.0}}));
}

TEST(ModelModes, FedSgdTakesAllSamplesAtOnceWhereAModelKeepsState) {
  const ScratchDirectory directory;
  expect_one_step_as_pytorch(written(directory,
                                     "  if self.training:\n"
                                     "    self.running_mean.mul_(0.9).add_(0.1 * x.detach().mean(0))\n"));
  expect_one_step_as_pytorch(written(directory,
                                     "  x = x * (1.0 + self.count)\n"
                                     "  self.count += 1\n"));
}

TEST(ModelModes, AClientOfOneSampleIsRefusedWhereTheModelDividesByTheSpreadOfABatch) {
  const ScratchDirectory directory;
  const std::string file = written(directory, kOwnNormalisation);

  const Status status = script_federation(file, random_table(3), 2).factory().status();

  EXPECT_EQ(status.code(), Code::kConfiguration);
  EXPECT_NE(status.message().find("cannot be trained on one sample"), std::string::npos) << status.message();
}

// Whether samples depend on each other is tried out with a few samples from all over the data; here with these.
TEST(ModelModes, FedSgdTakesTheStatisticsOfAllSamplesWhereThoseTriedAreAlike) {
  const ScratchDirectory directory;
  const std::string file = normalised(directory);
  auto data = std::make_shared<Dataset>(*random_table(601));
  auto& values = std::get<std::vector<float>>(data->features);
  for (const std::size_t row : {150, 300, 450}) { std::copy_n(values.begin(), 4, &values[4 * row]); }
  TestFederation federation = script_federation(file, data);
  federation.configuration.algorithm.kind = AlgorithmConfig::Kind::kFedSgd;
  const auto factory = federation.factory().value();

  const TrainOutcome outcome = factory->create().value()->train(task_for(0, factory->initial_model(1).value())).value();

  const auto expected = by_pytorch<SGD>(file, *data, SGDOptions(0.1), 1);
  EXPECT_LT(distance_to(expected, factory->spec(), *outcome.model), 1e-5);
}

}  // namespace
}  // namespace tributary
