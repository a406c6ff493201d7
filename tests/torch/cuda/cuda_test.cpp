// SPDX-License-Identifier: Apache-2.0
// What holds on a CUDA device: it trains the model that the CPU trains, as far as float32 goes, and the same bits
// again. A program of its own: where libtorch sees no such device it ends with 77, and CTest reports it as skipped.
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <iostream>
#include <nlohmann/json.hpp>
#include <thread>

#include "torch/federation_for_tests.hpp"

namespace tributary {
namespace {

using testing::task_for;
using testing::TestFederation;

struct Case {
  std::string name;
  std::string model;
  std::function<void(Configuration&)> change;
  bool draws = false;  // random numbers in training: another device draws others
  friend void PrintTo(const Case& tested, std::ostream* out) { *out << tested.name; }
};

// Rows of four columns, whose sum says the class.
SharedDataset small_table(std::size_t rows) {
  auto data = std::make_shared<Dataset>();
  data->name = "table";
  data->sample_shape = {4};
  data->classes = 3;
  Rng rng(3);
  std::vector<float> values;
  for (std::size_t row = 0; row < rows; ++row) {
    double sum = 0.0;
    for (int column = 0; column < 4; ++column) {
      values.push_back(static_cast<float>(2.0 * rng.uniform() - 1.0));
      sum += static_cast<double>(values.back());
    }
    data->labels.push_back(sum < -0.5 ? 0 : sum < 0.5 ? 1 : 2);
  }
  data->features = std::move(values);
  return data;
}

double norm(std::span<const float> values) {
  double sum = 0.0;
  for (const float value : values) { sum += static_cast<double>(value) * static_cast<double>(value); }
  return std::sqrt(sum);
}

std::vector<float> difference(std::span<const float> a, std::span<const float> b) {
  std::vector<float> result(a.size());
  for (std::size_t i = 0; i < a.size(); ++i) { result[i] = a[i] - b[i]; }
  return result;
}

class Cuda : public ::testing::TestWithParam<Case> {
 protected:
  static TestFederation federation(const std::string& device) {
    const Case& wanted = GetParam();
    TestFederation made("", 2, 64);
    if (wanted.model.ends_with(".pt")) {
      made.configuration.model.kind.clear();
      made.configuration.model.torchscript = std::string(TRIBUTARY_FIXTURES) + "/" + wanted.model;
      if (wanted.model != "small.pt") { made.train = made.test = small_table(64); }
    } else {
      made.configuration.model.kind = wanted.model;
    }
    made.configuration.trainer.optimizer.lr = 0.01;
    made.configuration.trainer.steps = 4;
    made.configuration.trainer.device = device;
    // Batch normalisation of few values magnifies what TF32 leaves out in every step.
    if (wanted.model == "resnet18") { made.configuration.trainer.steps = 1; }
    if (wanted.change) { wanted.change(made.configuration); }
    return made;
  }
};

TEST_P(Cuda, TrainsAndMeasuresTheModelThatTheCpuTrains) {
  const auto on_cpu = federation("cpu").factory().value();
  const auto made = federation("cuda").factory();
  ASSERT_TRUE(made.ok()) << made.status().to_string();
  ASSERT_EQ(on_cpu->spec(), (*made)->spec());
  const std::vector<float> base = on_cpu->initial_model(1).value();
  ASSERT_EQ((*made)->initial_model(1).value(), base);
  const auto cpu = on_cpu->create().value();
  const auto cuda = (*made)->create().value();

  const TrainOutcome expected = cpu->train(task_for(0, base)).value();
  const auto found = cuda->train(task_for(0, base));

  ASSERT_TRUE(found.ok()) << found.status().to_string();
  EXPECT_EQ(found->steps, expected.steps);
  EXPECT_EQ(found->weight, expected.weight);
  if (!GetParam().draws) {
    const double moved = norm(difference(*expected.model, base));
    EXPECT_GT(moved, 0.0);
    // cuDNN's convolutions may round their inputs to TF32, which has ten bits.
    const double apart = norm(difference(*found->model, *expected.model)) / moved;
    RecordProperty("apart", std::to_string(apart));
    EXPECT_LT(apart, GetParam().model == "resnet18" ? 5e-2 : 5e-3);
    EXPECT_NEAR(found->metrics.at("loss"), expected.metrics.at("loss"), 2e-3 * expected.metrics.at("loss"));
  }

  const auto measured = cuda->evaluate(*expected.model, 0, 1);
  ASSERT_TRUE(measured.ok()) << measured.status().to_string();
  const auto wanted = cpu->evaluate(*expected.model, 0, 1).value();
  EXPECT_EQ(measured->samples, wanted.samples);
  if (GetParam().draws) { return; }
  EXPECT_NEAR(measured->metrics.at("loss"), wanted.metrics.at("loss"), 2e-3 * wanted.metrics.at("loss"));
  EXPECT_NEAR(measured->metrics.at("accuracy"), wanted.metrics.at("accuracy"), 0.03);
}

TEST_P(Cuda, GivesTheSameBitsAfterOtherWork) {
  const auto factory = federation("cuda").factory().value();
  const std::vector<float> base = factory->initial_model(1).value();
  const auto fresh = *factory->create().value()->train(task_for(0, base)).value().model;
  const auto trainer = factory->create().value();
  ASSERT_TRUE(trainer->train(task_for(1, fresh)).ok());
  ASSERT_TRUE(trainer->evaluate(fresh, 0, 1).ok());

  const auto again = *trainer->train(task_for(0, base)).value().model;

  EXPECT_EQ(again, fresh);
}

// Every trainer has its own values; the device and its random numbers are shared.
TEST_P(Cuda, GivesTheSameBitsOnSeveralThreads) {
  const auto factory = federation("cuda").factory().value();
  const std::vector<float> base = factory->initial_model(1).value();
  const auto alone = *factory->create().value()->train(task_for(0, base)).value().model;
  std::vector<std::vector<float>> found(4);
  {
    std::vector<std::jthread> threads;
    for (std::vector<float>& model : found) {
      threads.emplace_back([&] {
        const auto trainer = factory->create().value();
        for (int time = 0; time < 3; ++time) { model = *trainer->train(task_for(0, base)).value().model; }
      });
    }
  }

  for (const std::vector<float>& model : found) { EXPECT_EQ(model, alone); }
}

std::vector<Case> cases() {
  using Optimizer = OptimizerConfig::Kind;
  std::vector<Case> all;
  for (const char* model : {"logistic", "mlp", "lenet5", "cnn", "resnet18", "small.pt", "fused-attention.pt",
                            "recurrent.pt", "batchnorm-traced-in-training.pt"}) {
    std::string name = model;
    std::erase_if(name, [](char c) { return std::isalnum(static_cast<unsigned char>(c)) == 0; });
    all.push_back({name, model, {}});
  }
  const auto add = [&](const char* name, const char* model, std::function<void(Configuration&)> change) {
    all.push_back({name, model, std::move(change)});
  };
  all.push_back({"Dropout", "dropout-traced-in-training.pt", {}, true});
  add("Momentum", "mlp", [](Configuration& c) { c.trainer.optimizer.momentum = 0.9; });
  add("Nesterov", "mlp", [](Configuration& c) {
    c.trainer.optimizer.momentum = 0.9;
    c.trainer.optimizer.nesterov = true;
    c.trainer.optimizer.weight_decay = 0.01;
  });
  add("Adam", "mlp", [](Configuration& c) {
    c.trainer.optimizer.kind = Optimizer::kAdam;
    c.trainer.optimizer.lr = 1e-3;
    c.trainer.optimizer.weight_decay = 0.01;
  });
  add("AdamW", "mlp", [](Configuration& c) {
    c.trainer.optimizer.kind = Optimizer::kAdamW;
    c.trainer.optimizer.lr = 1e-3;
    c.trainer.optimizer.weight_decay = 0.1;
  });
  add("Clipped", "mlp", [](Configuration& c) { c.trainer.optimizer.clip_norm = 0.05; });
  add("FedProx", "mlp", [](Configuration& c) {
    c.algorithm.kind = AlgorithmConfig::Kind::kFedProx;
    c.algorithm.mu = 1.0;
    c.trainer.optimizer.lr = 0.1;
  });
  add("FedSgd", "lenet5", [](Configuration& c) {
    c.algorithm.kind = AlgorithmConfig::Kind::kFedSgd;
    c.trainer.steps = 0;
  });
  return all;
}

INSTANTIATE_TEST_SUITE_P(TorchTrainer, Cuda, ::testing::ValuesIn(cases()),
                         [](const auto& tested) { return tested.param.name; });

}  // namespace
}  // namespace tributary

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  const auto libtorch = nlohmann::json::parse(tributary::torch_info(false));
  if (libtorch.contains("error")) {
    std::cerr << libtorch["error"] << '\n';
    return 1;
  }
  if (!libtorch.value("cuda", false)) {
    std::cout << "libtorch sees no CUDA device: nothing to test\n";
    return 77;
  }
  return RUN_ALL_TESTS();
}
