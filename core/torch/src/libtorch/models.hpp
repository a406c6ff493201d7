// SPDX-License-Identifier: Apache-2.0
// Models as libtorch sees them: built by name, or read from a TorchScript file.
//
// Threads: one model belongs to one thread at a time; different models are independent.
// Errors:  exceptions of libtorch.
#pragma once

#include <torch/torch.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "network.hpp"

namespace tributary::internal {

struct NamedTensor {
  std::string name;
  at::Tensor tensor;
};

class TorchModel {
 public:
  virtual ~TorchModel() = default;
  virtual at::Tensor forward(const at::Tensor& input) = 0;
  virtual void set_training(bool training) = 0;
  virtual void move_to(c10::Device device) = 0;
  // Shared tensors appear once, under their first name.
  virtual std::vector<NamedTensor> parameters() = 0;
  virtual std::vector<NamedTensor> buffers() = 0;
};

// The model of that name (see builtin_models()) for samples of this shape. Its values are arbitrary.
// kConfiguration: the samples' shape does not suit the model.
Status check_builtin_model(const NetworkRequest& request);
std::unique_ptr<TorchModel> make_builtin_model(const NetworkRequest& request);

// Reads the file once and returns what makes replicas of it.
std::function<std::unique_ptr<TorchModel>()> script_model_maker(const std::string& file);

// ReLU after 2x2 max pooling with stride 2: on the CPU in one pass without branches, several times as fast as the two
// of libtorch, with the same values and gradients. Rows and columns left over are dropped.
at::Tensor pool_relu(const at::Tensor& input);

}  // namespace tributary::internal
