// SPDX-License-Identifier: Apache-2.0
// Compares with libtorch itself: its optimisers, its automatic gradients, its pooling.
#include <gtest/gtest.h>
#include <torch/script.h>
#include <torch/torch.h>

#include <algorithm>
#include <array>

#include "libtorch/device_optimizer.hpp"
#include "libtorch/models.hpp"
#include "network.hpp"
#include "support/scratch_directory.hpp"
#include "torch/federation_for_tests.hpp"

namespace tributary::internal {
namespace {

std::vector<float> to_vector(const at::Tensor& tensor) {
  const at::Tensor flat = tensor.detach().contiguous().flatten();
  return {flat.data_ptr<float>(), flat.data_ptr<float>() + flat.numel()};
}

// Of a and b, relative to the largest value.
double largest_difference(const std::vector<float>& a, const std::vector<float>& b) {
  EXPECT_EQ(a.size(), b.size());
  double largest = 0.0;
  double scale = 1e-3;
  for (std::size_t i = 0; i < a.size(); ++i) {
    largest = std::max(largest, std::abs(static_cast<double>(a[i]) - static_cast<double>(b[i])));
    scale = std::max(scale, std::abs(static_cast<double>(b[i])));
  }
  return largest / scale;
}

std::vector<OptimizerConfig> every_optimizer() {
  using Kind = OptimizerConfig::Kind;
  std::vector<OptimizerConfig> list;
  for (const double decay : {0.0, 0.05}) {
    OptimizerConfig config;
    config.lr = 0.05;
    config.weight_decay = decay;
    list.push_back(config);
    config.momentum = 0.9;
    list.push_back(config);
    config.nesterov = true;
    list.push_back(config);
    config.kind = Kind::kAdam;
    list.push_back(config);
    config.kind = Kind::kAdamW;
    list.push_back(config);
  }
  return list;
}

std::unique_ptr<torch::optim::Optimizer> reference_for(const OptimizerConfig& config,
                                                       const std::vector<at::Tensor>& parameters) {
  using Kind = OptimizerConfig::Kind;
  const auto betas = std::make_tuple(config.beta1, config.beta2);
  if (config.kind == Kind::kSgd) {
    return std::make_unique<torch::optim::SGD>(parameters, torch::optim::SGDOptions(config.lr)
                                                               .momentum(config.momentum)
                                                               .nesterov(config.nesterov)
                                                               .weight_decay(config.weight_decay));
  }
  if (config.kind == Kind::kAdam) {
    return std::make_unique<torch::optim::Adam>(
        parameters, torch::optim::AdamOptions(config.lr).betas(betas).weight_decay(config.weight_decay));
  }
  return std::make_unique<torch::optim::AdamW>(
      parameters, torch::optim::AdamWOptions(config.lr).betas(betas).weight_decay(config.weight_decay));
}

TEST(Reference, OptimizersStepAsThoseOfLibtorch) {
  constexpr std::int64_t kCount = 37;
  for (const OptimizerConfig& config : every_optimizer()) {
    torch::manual_seed(1);
    const at::Tensor start = torch::randn({kCount});
    const at::Tensor parameter = start.clone().set_requires_grad(true);
    std::vector<float> values = to_vector(start);
    std::vector<float> gradients(kCount);
    at::Tensor device_values = start.clone();
    at::Tensor device_gradients = torch::zeros({kCount});
    const auto reference = reference_for(config, {parameter});
    const auto host = make_host_optimizer(config, values, gradients);
    const auto device = make_device_optimizer(config, device_values, device_gradients);
    host->begin(values, {});
    device->begin(values, {});

    for (int step = 0; step < 10; ++step) {
      const at::Tensor gradient = torch::randn({kCount});
      parameter.mutable_grad() = gradient.clone();
      std::ranges::copy(to_vector(gradient), gradients.begin());
      device_gradients.copy_(gradient);
      reference->step();
      host->step(config.lr);
      device->step(config.lr);
    }

    EXPECT_LT(largest_difference(values, to_vector(parameter)), 1e-6) << static_cast<int>(config.kind);
    EXPECT_LT(largest_difference(to_vector(device_values), to_vector(parameter)), 1e-6)
        << static_cast<int>(config.kind);
  }
}

// A model may use a layer in some steps only. libtorch counts the steps of each parameter that has a gradient.
TEST(Reference, OptimizersLeaveTensorsWithoutGradientAsThoseOfLibtorchDo) {
  constexpr std::array<std::int64_t, 3> kLengths{5, 9, 4};
  constexpr std::int64_t kCount = 18;
  for (const OptimizerConfig& config : every_optimizer()) {
    torch::manual_seed(6);
    const at::Tensor start = torch::randn({kCount});
    std::vector<float> values = to_vector(start);
    std::vector<float> gradients(kCount);
    std::vector<TensorPart> parts;
    std::vector<at::Tensor> parameters;
    std::int64_t offset = 0;
    for (const std::int64_t length : kLengths) {
      parts.push_back({static_cast<std::size_t>(offset), static_cast<std::size_t>(length), false});
      parameters.push_back(start.slice(0, offset, offset + length).clone().set_requires_grad(true));
      offset += length;
    }
    at::Tensor device_values = start.clone();
    at::Tensor device_gradients = torch::zeros({kCount});
    const auto reference = reference_for(config, parameters);
    const auto host = make_host_optimizer(config, values, gradients, parts);
    const auto device = make_device_optimizer(config, device_values, device_gradients, parts);
    host->begin(values, {});
    device->begin(values, {});

    for (std::size_t step = 0; step < 12; ++step) {
      device_gradients.zero_();
      for (std::size_t p = 0; p < parts.size(); ++p) {
        // The first always, the second in some steps, the third never.
        parts[p].reached = p == 0 || (p == 1 && step % 3 == 1);
        const auto first = static_cast<std::int64_t>(parts[p].offset);
        const at::Tensor gradient = torch::randn({kLengths[p]});
        parameters[p].mutable_grad() = parts[p].reached ? gradient : at::Tensor();
        if (parts[p].reached) { device_gradients.slice(0, first, first + kLengths[p]).copy_(gradient); }
      }
      std::ranges::copy(to_vector(device_gradients), gradients.begin());
      reference->step();
      host->step(config.lr);
      device->step(config.lr);
    }

    const std::vector<float> expected = to_vector(torch::cat(parameters));
    EXPECT_LT(largest_difference(values, expected), 1e-6) << static_cast<int>(config.kind);
    EXPECT_LT(largest_difference(to_vector(device_values), expected), 1e-6) << static_cast<int>(config.kind);
    EXPECT_EQ(std::vector(values.end() - 4, values.end()), to_vector(start.slice(0, 14)));
  }
}

TEST(Reference, DeviceOptimizerPullsAndClipsAsTheHostDoes) {
  OptimizerConfig config;
  config.clip_norm = 0.5;
  torch::manual_seed(2);
  const at::Tensor start = torch::randn({11});
  std::vector<float> values = to_vector(start);
  const std::vector<float> base = values;
  std::vector<float> gradients(11);
  at::Tensor device_values = start.clone();
  at::Tensor device_gradients = torch::zeros({11});
  const auto host = make_host_optimizer(config, values, gradients);
  const auto device = make_device_optimizer(config, device_values, device_gradients);
  host->begin(base, {.constant = nullptr, .pull = 0.3});
  device->begin(base, {.constant = nullptr, .pull = 0.3});

  for (int step = 0; step < 5; ++step) {
    const at::Tensor gradient = torch::randn({11}) * (step % 2 == 0 ? 1.0 : 0.01);
    std::ranges::copy(to_vector(gradient), gradients.begin());
    device_gradients.copy_(gradient);
    host->step(0.1);
    device->step(0.1);
  }

  EXPECT_LT(largest_difference(values, to_vector(device_values)), 1e-6);
}

// One step of plain SGD with rate 1 turns a network's gradient into a difference of models.
std::vector<float> gradient_by_network(const NetworkPlan& plan, const std::vector<float>& model, const Dataset& data,
                                       double* loss) {
  const auto network = plan.create();
  OptimizerConfig config;
  const auto optimizer = network->make_optimizer(config);
  network->load(model);
  optimizer->begin(model, {});
  const auto& pixels = std::get<std::vector<std::uint8_t>>(data.features);
  const std::span<float> features = network->features(data.size());
  for (std::size_t i = 0; i < pixels.size(); ++i) { features[i] = static_cast<float>(pixels[i]) * data.scale; }
  const std::span<std::int64_t> labels = network->labels(data.size());
  for (std::size_t i = 0; i < labels.size(); ++i) { labels[i] = data.labels[i]; }
  network->zero_gradients();
  network->accumulate(data.size(), static_cast<double>(data.size()), 0);
  *loss = network->take_loss() / static_cast<double>(data.size());
  optimizer->step(1.0);
  std::vector<float> moved = network->store();
  for (std::size_t i = 0; i < moved.size(); ++i) { moved[i] = model[i] - moved[i]; }
  return moved;
}

TEST(Reference, GradientsAreThoseOfAutograd) {
  const SharedDataset data = testing::striped_images(24, 3);
  for (const char* kind : {"logistic", "mlp", "lenet5"}) {
    NetworkRequest request;
    request.model.kind = kind;
    request.sample_shape = data->sample_shape;
    request.classes = 10;
    request.device = "cpu";
    const NetworkPlan plan = plan_network(request).value();
    const std::vector<float> model = initial_values(plan.spec, 4);
    const auto& pixels = std::get<std::vector<std::uint8_t>>(data->features);
    at::Tensor input = torch::empty({24, 1, 28, 28});
    std::transform(pixels.begin(), pixels.end(), input.data_ptr<float>(),
                   [&](std::uint8_t pixel) { return static_cast<float>(pixel) * data->scale; });
    const at::Tensor labels = torch::tensor(std::vector<std::int64_t>(data->labels.begin(), data->labels.end()));
    std::vector<at::Tensor> p;
    for (std::size_t t = 0; t < plan.spec.tensors().size(); ++t) {
      const TensorSpec& tensor = plan.spec.tensors()[t];
      const std::vector<float> part(
          model.begin() + static_cast<std::ptrdiff_t>(plan.spec.offset(t)),
          model.begin() + static_cast<std::ptrdiff_t>(plan.spec.offset(t) + tensor.elements()));
      p.push_back(torch::tensor(part).view(tensor.shape).clone().set_requires_grad(true));
    }

    // Written again with libtorch's functions alone.
    at::Tensor x = input;
    std::size_t next = 0;
    if (std::string(kind) == "lenet5") {
      x = torch::max_pool2d(torch::relu(torch::conv2d(x, p[0], p[1])), 2);
      x = torch::max_pool2d(torch::relu(torch::conv2d(x, p[2], p[3])), 2);
      next = 4;
    }
    x = x.flatten(1);
    for (; next < p.size(); next += 2) {
      x = torch::addmm(p[next + 1], x, p[next].t());
      if (next + 2 < p.size()) { x = torch::relu(x); }
    }
    const at::Tensor loss = torch::cross_entropy_loss(x, labels);
    loss.backward();
    std::vector<float> expected;
    for (const at::Tensor& parameter : p) {
      const std::vector<float> part = to_vector(parameter.grad());
      expected.insert(expected.end(), part.begin(), part.end());
    }

    double measured = 0.0;
    const std::vector<float> actual = gradient_by_network(plan, model, *data, &measured);

    EXPECT_NEAR(measured, loss.item<double>(), 1e-6) << kind;
    EXPECT_LT(largest_difference(actual, expected), 2e-6) << kind;
  }
}

TEST(Reference, PoolsAsLibtorchDoes) {
  torch::manual_seed(5);
  for (const std::vector<std::int64_t>& shape :
       {std::vector<std::int64_t>{2, 3, 24, 24}, std::vector<std::int64_t>{1, 2, 7, 9},
        std::vector<std::int64_t>{3, 1, 4, 2}}) {
    // Few distinct values, so that ties are common.
    const at::Tensor values = torch::randint(-3, 4, shape).to(torch::kFloat);
    const at::Tensor ours = values.clone().set_requires_grad(true);
    const at::Tensor theirs = values.clone().set_requires_grad(true);

    const at::Tensor pooled = pool_relu(ours);
    const at::Tensor expected = torch::relu(torch::max_pool2d(theirs, 2));
    const at::Tensor gradient = torch::randn_like(expected);
    pooled.backward(gradient);
    expected.backward(gradient);

    EXPECT_TRUE(torch::equal(pooled, expected));
    EXPECT_TRUE(torch::equal(ours.grad(), theirs.grad()));
  }
}

// A file whose model draws random numbers in training.
std::filesystem::path dropout_script(const testing::ScratchDirectory& directory) {
  torch::manual_seed(7);
  torch::jit::Module module("Dropout");
  module.register_parameter("weight", (torch::randn({10, 784}) * 0.05).set_requires_grad(true), false);
  module.register_attribute("training", c10::BoolType::get(), true);
  module.define(R"(
    def forward(self, x):
      return torch.matmul(torch.dropout(x.flatten(1), 0.5, self.training), self.weight.t())
  )");
  module.save((directory / "dropout.pt").string());
  return directory / "dropout.pt";
}

TEST(Reference, ModelsThatDrawRandomNumbersAreReproducibleOnAnyThread) {
  const testing::ScratchDirectory directory;
  testing::TestFederation federation("", 2, 400);
  federation.configuration.model.torchscript = dropout_script(directory).string();
  const auto factory = federation.factory().value();
  const auto base = factory->initial_model(1).value();
  const auto train = [&](std::uint32_t client) {
    return *factory->create().value()->train(testing::task_for(client, base)).value().model;
  };

  const auto first = train(0);
  const auto second = train(1);
  std::vector<float> beside_first, beside_second;
  {
    const std::jthread other([&] { beside_second = train(1); });
    beside_first = train(0);
  }

  EXPECT_EQ(beside_first, first);
  EXPECT_EQ(beside_second, second);
  const auto trainer = factory->create().value();
  EXPECT_EQ(trainer->evaluate(base, 0, 1).value().metrics, trainer->evaluate(base, 0, 1).value().metrics);
}

TEST(Reference, RefusesAModelInDoublePrecision) {
  const testing::ScratchDirectory directory;
  torch::jit::Module module("Double");
  module.register_parameter("weight", torch::randn({10, 784}, torch::kDouble).set_requires_grad(true), false);
  module.define("def forward(self, x):\n  return torch.matmul(x.flatten(1), self.weight.float().t())\n");
  module.save((directory / "double.pt").string());
  testing::TestFederation federation("");
  federation.configuration.model.torchscript = (directory / "double.pt").string();

  EXPECT_EQ(federation.factory().status().code(), Code::kConfiguration);
  EXPECT_NE(federation.factory().status().message().find("tensor weight is Double, only float32 models can be trained"),
            std::string::npos)
      << federation.factory().status().message();
}

}  // namespace
}  // namespace tributary::internal
