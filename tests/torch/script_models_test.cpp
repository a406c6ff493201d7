// SPDX-License-Identifier: Apache-2.0
// What a TorchScript file may bring along: tensors that share memory, state of its own, parameters without gradient,
// values that are no numbers. Compared with PyTorch where it has an answer.
#include <gtest/gtest.h>

#include <fstream>
#include <limits>

#include "torch/scripts_for_tests.hpp"

namespace tributary {
namespace {

using testing::by_pytorch;
using testing::corners;
using testing::distance_to;
using testing::fixture;
using testing::random_table;
using testing::ScratchDirectory;
using testing::script_federation;
using testing::task_for;
using testing::tensor_names;
using testing::TestFederation;
using torch::optim::SGD;
using torch::optim::SGDOptions;

class ScriptModels : public ::testing::Test {
 protected:
  void SetUp() override { torch::manual_seed(3); }

  std::string save(torch::jit::Module& module) {
    const std::string file = (directory_ / "model.pt").string();
    module.save(file);
    return file;
  }

  static at::Tensor parameter(const at::Tensor& values) { return values.detach().set_requires_grad(true); }

  // Trains all of client 0's samples `steps` times, and compares with PyTorch's SGD.
  static void expect_as_pytorch(const std::string& file, const SharedDataset& data, int steps) {
    TestFederation federation = script_federation(file, data);
    OptimizerConfig& optimizer = federation.configuration.trainer.optimizer;
    optimizer.momentum = 0.9;
    optimizer.weight_decay = 0.05;
    federation.configuration.trainer.steps = static_cast<std::uint32_t>(steps);
    const auto made = federation.factory();
    ASSERT_TRUE(made.ok()) << made.status().to_string();
    const auto& factory = made.value();
    const auto outcome = factory->create().value()->train(task_for(0, factory->initial_model(1).value()));
    ASSERT_TRUE(outcome.ok()) << outcome.status().to_string();
    const auto expected = by_pytorch<SGD>(
        file, *data, SGDOptions(optimizer.lr).momentum(optimizer.momentum).weight_decay(optimizer.weight_decay), steps);
    EXPECT_LT(distance_to(expected, factory->spec(), *outcome->model), 1e-5);
  }

  ScratchDirectory directory_;
};

TEST_F(ScriptModels, FilesOfTorchSaveAreNamedWithWhatToWriteInstead) {
  const std::string file = (directory_ / "weights.pt").string();
  c10::Dict<std::string, at::Tensor> weights;
  weights.insert("weight", torch::randn({3, 4}));
  const std::vector<char> archive = torch::pickle_save(weights);
  const std::string old_format = "\x80\x02\x8a\nl\xfc\x9c";

  for (const std::string& bytes : {std::string(archive.begin(), archive.end()), old_format}) {
    std::ofstream(file, std::ios::binary) << bytes;
    EXPECT_EQ(script_federation(file, corners()).factory().status(),
              bad_data("model.torchscript: " + file +
                       " was written by torch.save, which keeps no program of the model; write the scripted model "
                       "instead: torch.jit.script(model).save(\"model.pt\")"));
  }
  std::ofstream(file, std::ios::binary) << std::string(archive.begin(), archive.begin() + 20);
  EXPECT_EQ(script_federation(file, corners()).factory().status(),
            bad_data("model.torchscript: " + file + " is damaged or cut off: it begins as a TorchScript file does"));
  std::ofstream(file, std::ios::binary) << "class Model: pass";
  EXPECT_EQ(script_federation(file, corners()).factory().status(),
            bad_data("model.torchscript: " + file +
                     " is no TorchScript file; torch.jit.script(model).save(\"model.pt\") writes one"));
}

TEST_F(ScriptModels, ViewsOfOneStorageAreTensorsOfTheirOwn) {
  const std::string file = fixture("fused-attention.pt");
  const auto factory = script_federation(file, corners()).factory().value();
  const auto base = factory->initial_model(1).value();

  EXPECT_EQ(factory->spec().parameters(), 63U);
  EXPECT_TRUE(factory->warnings().empty());
  EXPECT_NEAR(factory->create().value()->evaluate(base, 0, 1).value().metrics.at("loss"), 1.0938543, 1e-6);
  expect_as_pytorch(file, corners(), 5);
}

TEST_F(ScriptModels, ColumnsOfOneMatrixAreTensorsOfTheirOwn) {
  torch::jit::Module module("Columns");
  const at::Tensor both = torch::randn({4, 6});
  module.register_parameter("left", parameter(both.slice(1, 0, 3)), false);
  module.register_parameter("right", parameter(both.slice(1, 3, 6)), false);
  module.define("def forward(self, x):\n  return torch.matmul(x, self.left) + torch.matmul(x * x, self.right)\n");
  const std::string file = save(module);

  EXPECT_EQ(script_federation(file, corners()).factory().value()->spec().parameters(), 24U);
  expect_as_pytorch(file, random_table(9), 5);
}

TEST_F(ScriptModels, BuffersThatAreViewsOfParametersFollowThem) {
  torch::jit::Module module("Alias");
  const at::Tensor weight = torch::randn({3, 4});
  module.register_parameter("weight", parameter(weight), false);
  module.register_buffer("shadow", weight.detach());
  module.register_buffer("transposed", weight.detach().t());
  module.register_buffer("row", weight.detach()[1]);
  module.define(R"(
    def forward(self, x):
      x = torch.matmul(x, self.weight.t()) + torch.matmul(x, self.shadow.t()) + torch.matmul(x, self.transposed)
      return x + self.row.sum() * torch.tensor([1.0, 0.0, 0.0])
  )");
  const std::string file = save(module);

  EXPECT_EQ(tensor_names(script_federation(file, corners()).factory().value()->spec()),
            std::vector<std::string>{"weight"});
  expect_as_pytorch(file, random_table(9), 5);
}

TEST_F(ScriptModels, AParameterThatIsABufferTooIsTrained) {
  torch::jit::Module module("Both");
  const at::Tensor weight = parameter(torch::randn({3, 4}));
  module.register_parameter("weight", weight, false);
  module.register_buffer("again", weight);
  module.define("def forward(self, x):\n  return torch.matmul(x, self.weight.t())\n");
  const std::string file = save(module);

  EXPECT_EQ(tensor_names(script_federation(file, corners()).factory().value()->spec()),
            std::vector<std::string>{"weight"});
  expect_as_pytorch(file, random_table(9), 5);
}

TEST_F(ScriptModels, TiedWeightsStayTied) {
  torch::jit::Module module("Tied");
  const at::Tensor weight = parameter(torch::randn({4, 4}) * 0.5);
  module.register_parameter("encoder", weight, false);
  module.register_parameter("decoder", weight, false);
  module.define(
      "def forward(self, x):\n  return torch.matmul(torch.tanh(torch.matmul(x, self.encoder)), self.decoder)[:, :3]\n");
  const std::string file = save(module);
  const auto factory = script_federation(file, corners()).factory().value();

  EXPECT_EQ(tensor_names(factory->spec()), std::vector<std::string>{"encoder"});
  EXPECT_TRUE(factory->warnings().empty());
  expect_as_pytorch(file, random_table(9), 5);
}

TEST_F(ScriptModels, ParametersOnTheSameMemoryAreTrainedAsOneAndSayIt) {
  torch::jit::Module module("Transposed");
  const at::Tensor weight = torch::randn({4, 4}) * 0.5;
  module.register_parameter("encoder", parameter(weight), false);
  module.register_parameter("decoder", parameter(weight.t()), false);
  module.define(
      "def forward(self, x):\n  return torch.matmul(torch.tanh(torch.matmul(x, self.encoder)), self.decoder)[:, :3]\n");
  const std::string file = save(module);
  TestFederation federation = script_federation(file, random_table(9));
  const auto factory = federation.factory().value();
  const auto base = factory->initial_model(1).value();

  EXPECT_EQ(factory->spec().parameters(), 16U);
  ASSERT_EQ(factory->warnings().size(), 1U);
  EXPECT_NE(factory->warnings()[0].find("parameters that share memory are trained as one: decoder with encoder"),
            std::string::npos)
      << factory->warnings()[0];
  // Plain SGD of two names on one memory is a step by the sum of their gradients.
  const TrainOutcome outcome = factory->create().value()->train(task_for(0, base)).value();
  const auto expected = by_pytorch<SGD>(file, *federation.train, SGDOptions(0.1), 1);
  EXPECT_LT(distance_to(expected, factory->spec(), *outcome.model), 1e-6);
}

TEST_F(ScriptModels, WhatAModelPrintsGoesToStandardErrorAndSteersNoTerminal) {
  torch::jit::Module module("Talking");
  module.register_parameter("weight", parameter(torch::randn({3, 4})), false);
  module.define("def forward(self, x):\n  print('\\033[31mred')\n  return torch.matmul(x, self.weight.t())\n");
  const std::string file = save(module);
  ::testing::internal::CaptureStdout();
  ::testing::internal::CaptureStderr();

  const Status made = script_federation(file, corners()).factory().status();

  EXPECT_EQ(::testing::internal::GetCapturedStdout(), "");
  EXPECT_NE(::testing::internal::GetCapturedStderr().find("\\x1b[31mred\n"), std::string::npos);
  EXPECT_TRUE(made.ok()) << made.to_string();
}

TEST_F(ScriptModels, TensorsThatShareAPartAreRefused) {
  torch::jit::Module module("Overlap");
  const at::Tensor flat = torch::randn({18});
  module.register_parameter("first", parameter(flat.slice(0, 0, 12).view({3, 4})), false);
  module.register_parameter("second", parameter(flat.slice(0, 6, 18).view({3, 4})), false);
  module.define("def forward(self, x):\n  return torch.matmul(x, (self.first + self.second).t())\n");

  const Status status = script_federation(save(module), corners()).factory().status();

  EXPECT_EQ(status.code(), Code::kConfiguration);
  EXPECT_NE(status.message().find("first and second share a part of their memory"), std::string::npos)
      << status.message();
}

TEST_F(ScriptModels, ParametersMadeByExpandAreRefused) {
  torch::jit::Module module("Expanded");
  module.register_parameter("weight", parameter(torch::randn({4}).expand({3, 4})), false);
  module.define("def forward(self, x):\n  return torch.matmul(x, self.weight.t())\n");

  const Status status = script_federation(save(module), corners()).factory().status();

  EXPECT_EQ(status.code(), Code::kConfiguration);
  EXPECT_NE(status.message().find("parameter weight are one (it was made by expand())"), std::string::npos)
      << status.message();
}

TEST_F(ScriptModels, ParametersWithoutGradientStayWhatTheyAre) {
  torch::jit::Module module("Unused");
  module.register_parameter("used", parameter(torch::randn({3, 4})), false);
  module.register_parameter("unused", parameter(torch::randn({3, 4})), false);
  module.register_parameter("bias", parameter(torch::randn({3})), false);
  module.define("def forward(self, x):\n  return torch.matmul(x, self.used.t()) + self.bias\n");
  const std::string file = save(module);
  expect_as_pytorch(file, random_table(9), 5);

  using Kind = OptimizerConfig::Kind;
  for (const Kind kind : {Kind::kSgd, Kind::kAdam, Kind::kAdamW}) {
    for (const auto algorithm :
         {AlgorithmConfig::Kind::kFedAvg, AlgorithmConfig::Kind::kFedSgd, AlgorithmConfig::Kind::kFedProx}) {
      TestFederation federation = script_federation(file, random_table(9));
      federation.configuration.algorithm.kind = algorithm;
      federation.configuration.algorithm.mu = 0.3;
      federation.configuration.trainer.epochs = 4;
      OptimizerConfig& optimizer = federation.configuration.trainer.optimizer;
      optimizer.kind = kind;
      optimizer.weight_decay = 0.5;
      optimizer.clip_norm = 1.0;
      const auto factory = federation.factory().value();
      const auto base = factory->initial_model(1).value();
      ASSERT_EQ(tensor_names(factory->spec()), (std::vector<std::string>{"used", "unused", "bias"}));

      const TrainOutcome outcome = factory->create().value()->train(task_for(0, base)).value();

      for (std::size_t i = 0; i < base.size(); ++i) {
        EXPECT_EQ((*outcome.model)[i] == base[i], i >= 12 && i < 24) << i << " " << static_cast<int>(kind);
      }
    }
  }
}

TEST_F(ScriptModels, FrozenAndIntegerParametersStayWhatTheyAre) {
  torch::jit::Module module("Frozen");
  module.register_parameter("weight", parameter(torch::randn({3, 4})), false);
  module.register_parameter("frozen", torch::randn({3}), false);
  module.register_parameter("order", torch::tensor({2, 0, 1}), false);
  module.define("def forward(self, x):\n  return (torch.matmul(x, self.weight.t()) + self.frozen)[:, self.order]\n");
  const std::string file = save(module);

  EXPECT_EQ(tensor_names(script_federation(file, corners()).factory().value()->spec()),
            (std::vector<std::string>{"weight", "frozen"}));
  expect_as_pytorch(file, random_table(9), 5);
}

// The commonest way to write a running mean: the buffer's name is given to a new tensor.
TEST_F(ScriptModels, BuffersThatForwardReplacesAreKept) {
  torch::jit::Module module("Running");
  module.register_parameter("weight", parameter(torch::randn({3, 4})), false);
  module.register_buffer("mean", torch::zeros({4}));
  module.register_buffer("steps", torch::zeros({}, torch::kLong));
  module.register_attribute("training", c10::BoolType::get(), true);
  module.define(R"(
    def forward(self, x):
      if self.training:
        self.steps = self.steps + 1
        self.mean = self.mean + (x.mean(0) - self.mean) / self.steps
      return torch.matmul(x - self.mean, self.weight.t())
  )");
  const std::string file = save(module);
  expect_as_pytorch(file, random_table(9), 5);

  // Nothing of one task is left for the next.
  TestFederation federation = script_federation(file, random_table(20), 2);
  federation.configuration.trainer.batch_size = 4;
  const auto factory = federation.factory().value();
  const auto base = factory->initial_model(1).value();
  const auto trainer = factory->create().value();
  const auto first = *trainer->train(task_for(0, base)).value().model;
  ASSERT_TRUE(trainer->train(task_for(1, base)).ok());
  EXPECT_EQ(*trainer->train(task_for(0, base)).value().model, first);
}

TEST_F(ScriptModels, StateBesideTheBuffersEndsWithTheTask) {
  torch::jit::Module module("Stateful");
  module.register_parameter("weight", parameter(torch::randn({3, 4})), false);
  module.register_attribute("calls", c10::IntType::get(), 0);
  module.register_attribute("seen", c10::ListType::ofTensors(), c10::List<at::Tensor>());
  module.register_attribute("last", c10::TensorType::get(), torch::zeros({4}));
  module.define(R"(
    def forward(self, x):
      self.calls = self.calls + 1
      self.seen.append(x.mean(0))
      y = torch.matmul(x + self.last + len(self.seen), self.weight.t()) / self.calls
      self.last = x.mean(0)
      return y
  )");
  TestFederation federation = script_federation(save(module), random_table(20), 2);
  federation.configuration.trainer.batch_size = 4;
  const auto factory = federation.factory().value();
  const auto base = factory->initial_model(1).value();
  const auto trainer = factory->create().value();

  const auto first = *trainer->train(task_for(0, base)).value().model;
  ASSERT_TRUE(trainer->train(task_for(1, base)).ok());

  EXPECT_EQ(*trainer->train(task_for(0, base)).value().model, first);
}

TEST_F(ScriptModels, RecurrentLayersAreTrained) {
  expect_as_pytorch(fixture("recurrent.pt"), random_table(9), 5);
}

TEST_F(ScriptModels, WeightsThatStandInAListTooAreTrained) {
  torch::jit::Module module("Listed");
  const at::Tensor first = parameter(torch::randn({4, 5}));
  const at::Tensor second = parameter(torch::randn({5, 3}));
  module.register_parameter("first", first, false);
  module.register_parameter("second", second, false);
  module.register_attribute("weights", c10::ListType::ofTensors(), c10::List<at::Tensor>({first, second}));
  module.define(
      "def forward(self, x):\n  return torch.matmul(torch.tanh(torch.matmul(x, self.weights[0])), self.weights[1])\n");

  expect_as_pytorch(save(module), random_table(9), 5);
}

// In PyTorch such a tensor follows the parameter without being trained itself. A replica's would be one with the
// parameter, or a copy that follows nothing.
TEST_F(ScriptModels, TensorsInContainersThatShareMemoryWithAnotherAreRefused) {
  const auto said_of = [this](const c10::IValue& held, const c10::TypePtr& type, const at::Tensor& weight) {
    torch::jit::Module module("Holding");
    module.register_parameter("weight", weight, false);
    module.register_attribute("held", type, held);
    module.define("def forward(self, x):\n  return torch.matmul(x, self.weight.t())\n");
    return script_federation(save(module), corners()).factory().status().message();
  };
  const at::Tensor weight = parameter(torch::randn({3, 4}));
  const c10::TypePtr tensor = c10::TensorType::get();
  const std::string refusal =
      "held holds a tensor that shares memory with weight but is another one (by .data, detach() or a view), and would "
      "not follow it: put weight itself into held, or save a clone() of it there";
  const auto expect_refused = [&](const c10::IValue& held, const c10::TypePtr& type) {
    const std::string said(said_of(held, type, weight));
    EXPECT_NE(said.find(refusal), std::string::npos) << said;
  };

  expect_refused(c10::List<at::Tensor>({weight.detach()}), c10::ListType::ofTensors());
  expect_refused(c10::List<at::Tensor>({torch::ones({2}), weight.detach()[1]}), c10::ListType::ofTensors());
  c10::Dict<std::string, at::Tensor> dictionary;
  dictionary.insert("w", weight.detach());
  expect_refused(dictionary, c10::DictType::create(c10::StringType::get(), tensor));
  expect_refused(c10::ivalue::Tuple::create({weight.detach(), c10::IValue(2)}),
                 c10::TupleType::create({tensor, c10::IntType::get()}));
  const std::string said(said_of(c10::List<at::Tensor>({weight.detach().clone()}), c10::ListType::ofTensors(), weight));
  EXPECT_EQ(said, "");
}

// They lie beside each other in one memory, which copying takes for one tensor.
TEST_F(ScriptModels, RowsOfOneMemoryInAListStayTensorsOfTheirOwn) {
  torch::jit::Module module("Rows");
  const at::Tensor memory = torch::randn({4, 4});
  module.register_parameter("weight", parameter(memory[0]), false);
  module.register_attribute("rows", c10::ListType::ofTensors(),
                            c10::List<at::Tensor>({memory[1].detach(), memory[2].detach(), memory[3].detach()}));
  module.define(R"(
    def forward(self, x):
      return torch.stack([x @ (self.weight * row) for row in self.rows], 1)
  )");

  expect_as_pytorch(save(module), corners(), 3);
}

TEST_F(ScriptModels, AListOfWeightsEndsWithTheTaskWhereItGrows) {
  torch::jit::Module module("Growing");
  const at::Tensor weight = parameter(torch::randn({3, 4}));
  module.register_parameter("weight", weight, false);
  module.register_attribute("weights", c10::ListType::ofTensors(), c10::List<at::Tensor>({weight}));
  module.define(R"(
    def forward(self, x):
      self.weights.append(x.mean(0))
      return torch.matmul(x + self.weights[-1], self.weights[0].t()) / len(self.weights)
  )");
  const auto factory = script_federation(save(module), random_table(20), 2).factory().value();
  const auto base = factory->initial_model(1).value();
  const auto trainer = factory->create().value();

  const auto first = *trainer->train(task_for(0, base)).value().model;
  ASSERT_TRUE(trainer->train(task_for(1, base)).ok());

  EXPECT_EQ(*trainer->train(task_for(0, base)).value().model, first);
}

TEST_F(ScriptModels, IntegerBuffersMadeByExpandAreNoObstacle) {
  torch::jit::Module module("Positions");
  module.register_parameter("weight", parameter(torch::randn({3, 4})), false);
  module.register_buffer("positions", torch::arange(3).unsqueeze(1).expand({3, 5}));
  module.define("def forward(self, x):\n  return torch.matmul(x, self.weight.t()) + self.positions[:, 0]\n");
  expect_as_pytorch(save(module), random_table(9), 5);
}

TEST_F(ScriptModels, StartValuesThatAreNotFiniteAreRefused) {
  torch::jit::Module module("Bad");
  at::Tensor weight = torch::randn({3, 4});
  weight[1][2] = std::numeric_limits<float>::quiet_NaN();
  weight[2][0] = std::numeric_limits<float>::infinity();
  module.register_parameter("weight", parameter(weight), false);
  module.define("def forward(self, x):\n  return torch.matmul(x, self.weight.t())\n");
  const std::string file = save(module);

  EXPECT_EQ(script_federation(file, corners()).factory().status(),
            bad_data("model.torchscript: " + file +
                     ": tensor weight has 2 of 12 values that are not finite, the first is nan at index 6; a run "
                     "starts from finite "
                     "numbers"));
}

TEST_F(ScriptModels, StartValuesOfAFileOfPyTorchAreLookedAtToo) {
  EXPECT_EQ(script_federation(fixture("nan-start.pt"), corners()).factory().status(),
            bad_data("model.torchscript: " + fixture("nan-start.pt") +
                     ": tensor weight has 1 of 12 values that are not finite, the first is nan at index 0; a run "
                     "starts from finite "
                     "numbers"));
}

TEST_F(ScriptModels, OutputsThatAreNoLogitsAreRefused) {
  const auto refusal = [&](const char* forward) {
    torch::jit::Module module("Odd");
    module.register_parameter("weight", parameter(torch::randn({3, 4})), false);
    module.register_attribute("training", c10::BoolType::get(), true);
    module.define(forward);
    const Status status = script_federation(save(module), random_table(9)).factory().status();
    EXPECT_EQ(status.code(), Code::kConfiguration) << forward;
    return status.message();
  };

  EXPECT_NE(refusal("def forward(self, x):\n  y = torch.matmul(x, self.weight.t())\n  return y, y\n")
                .find("in evaluation: forward() returned a Tuple[Tensor, Tensor], expected one tensor"),
            std::string::npos);
  EXPECT_NE(refusal("def forward(self, x):\n  return torch.matmul(x, self.weight.t()).squeeze()[0]\n")
                .find("of shape [3], expected float32 of shape [4, 3]"),
            std::string::npos);
  EXPECT_NE(refusal("def forward(self, x):\n  return torch.matmul(x, self.weight.t()).view(4, 3)\n")
                .find("invalid for input of size 9"),
            std::string::npos);
}

}  // namespace
}  // namespace tributary
