// SPDX-License-Identifier: Apache-2.0
// TorchScript files made by libtorch itself, small tables to train them on, and what PyTorch makes of them.
#pragma once

#include <gtest/gtest.h>
#include <torch/script.h>
#include <torch/torch.h>

#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "support/scratch_directory.hpp"
#include "torch/federation_for_tests.hpp"

namespace tributary::testing {

inline SharedDataset table(const at::Tensor& features, const std::vector<std::int32_t>& labels, std::int32_t classes) {
  auto data = std::make_shared<Dataset>();
  data->name = "table";
  data->sample_shape = {features.size(1)};
  data->classes = classes;
  data->labels = labels;
  const at::Tensor flat = features.contiguous();
  data->features = std::vector<float>(flat.data_ptr<float>(), flat.data_ptr<float>() + flat.numel());
  return data;
}

// Three samples of four columns, one for each of three classes.
inline SharedDataset corners() {
  return table(torch::eye(4).slice(0, 0, 3) * 2, {0, 1, 2}, 3);
}

inline SharedDataset random_table(std::int64_t rows, std::uint64_t seed = 11) {
  torch::manual_seed(seed);
  std::vector<std::int32_t> labels;
  for (std::int64_t row = 0; row < rows; ++row) { labels.push_back(static_cast<std::int32_t>(row % 3)); }
  return table(torch::randn({rows, 4}), labels, 3);
}

inline at::Tensor features_of(const Dataset& data) {
  const auto& values = std::get<std::vector<float>>(data.features);
  return torch::tensor(values).view({static_cast<std::int64_t>(data.size()), data.sample_shape[0]});
}

inline at::Tensor labels_of(const Dataset& data) {
  return torch::tensor(std::vector<std::int64_t>(data.labels.begin(), data.labels.end()));
}

inline std::string fixture(const std::string& name) {
  return std::string(TRIBUTARY_FIXTURES) + "/" + name;
}

// One client holds `data`, which is also what the model is measured on.
inline TestFederation script_federation(const std::string& file, const SharedDataset& data, std::uint32_t clients = 1) {
  TestFederation federation("", clients, data->size());
  federation.train = federation.test = data;
  federation.configuration.model.kind.clear();
  federation.configuration.model.torchscript = file;
  federation.configuration.trainer.batch_size = static_cast<std::uint32_t>(data->size());
  return federation;
}

// What PyTorch makes of the file in `steps` steps on all of `data` at once: the values of every parameter and buffer.
template <typename Optimizer, typename Options>
std::map<std::string, at::Tensor> by_pytorch(const std::string& file, const Dataset& data, const Options& options,
                                             int steps) {
  torch::jit::Module module = torch::jit::load(file);
  module.train();
  std::vector<at::Tensor> parameters;
  for (const auto& parameter : module.parameters()) {
    const bool seen = std::any_of(parameters.begin(), parameters.end(),
                                  [&](const at::Tensor& other) { return other.is_same(parameter); });
    if (!seen && parameter.requires_grad()) { parameters.push_back(parameter); }
  }
  Optimizer optimizer(parameters, options);
  for (int step = 0; step < steps; ++step) {
    optimizer.zero_grad();
    torch::cross_entropy_loss(module.forward({features_of(data)}).toTensor(), labels_of(data)).backward();
    optimizer.step();
  }
  std::map<std::string, at::Tensor> values;
  for (const auto& item : module.named_parameters()) { values[item.name] = item.value.detach(); }
  for (const auto& item : module.named_buffers()) { values[item.name] = item.value.detach(); }
  return values;
}

// Of every tensor of the spec, against PyTorch's of that name.
inline double distance_to(const std::map<std::string, at::Tensor>& expected, const ParameterSpec& spec,
                          const std::vector<float>& model) {
  double largest = 0.0;
  for (std::size_t t = 0; t < spec.tensors().size(); ++t) {
    const TensorSpec& tensor = spec.tensors()[t];
    const at::Tensor theirs = expected.at(tensor.name).contiguous().flatten();
    EXPECT_EQ(static_cast<std::size_t>(theirs.numel()), tensor.elements()) << tensor.name;
    for (std::size_t i = 0; i < tensor.elements(); ++i) {
      const auto value = static_cast<double>(theirs.data_ptr<float>()[i]);
      largest = std::max(largest, std::abs(static_cast<double>(model[spec.offset(t) + i]) - value));
    }
  }
  return largest;
}

inline std::vector<std::string> tensor_names(const ParameterSpec& spec) {
  std::vector<std::string> names;
  for (const TensorSpec& tensor : spec.tensors()) { names.push_back(tensor.name); }
  return names;
}

}  // namespace tributary::testing
