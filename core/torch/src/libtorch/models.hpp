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

enum class TensorRole {
  kTrainable,
  kFrozen,  // a parameter without gradient
  kBuffer,  // floating
  kLocal,   // integers, and what the model holds besides parameters and buffers: never leaves the replica
};

struct ModelTensor {
  std::string name;
  at::Tensor tensor;
  TensorRole role = TensorRole::kTrainable;
};

class TorchModel {
 public:
  virtual ~TorchModel() = default;
  virtual at::Tensor forward(const at::Tensor& input) = 0;
  virtual void set_training(bool training) = 0;
  virtual void move_to(c10::Device device) = 0;
  // Each tensor once, under its first name; in every replica in the same order. Two tensors may share memory.
  virtual std::vector<ModelTensor> tensors() = 0;
  // forward() may have put other tensors in the place of those listed (`self.mean = 0.9 * self.mean + ...`). Copies the
  // values of parameters and floating buffers into the listed ones, which take their places again.
  virtual void collect() {}
  // Puts the listed tensors back in their places, whatever their values, and everything else as it was at the start.
  virtual void reset() {}
  // Whether anything but parameters and floating buffers differs from what it was at the start.
  [[nodiscard]] virtual bool has_moved_on() const { return false; }
  // Whether its code holds a batch normalisation that may take the statistics of a batch when the model trains.
  [[nodiscard]] virtual bool normalises_batches() const { return false; }
  // What the model's code fixes for both modes: "drop (dropout)" and the like.
  [[nodiscard]] virtual std::vector<std::string> layers_fixed_to(bool /*training*/) const { return {}; }
};

// The model of that name (see builtin_models()) for samples of this shape. Its values are arbitrary.
// kConfiguration: the samples' shape does not suit the model.
Status check_builtin_model(const NetworkRequest& request);
std::unique_ptr<TorchModel> make_builtin_model(const NetworkRequest& request);

// A TorchScript file, read once.
class ScriptFile {
 public:
  explicit ScriptFile(const std::string& path);

  // As the file has it: its tensors may share memory.
  TorchModel& original() { return *original_; }
  // Replicas have the tensors of the original, in the same order, each with memory of its own: so does the original
  // from now on. The function may be called from any thread. std::invalid_argument: a list or the like holds a tensor
  // that shares memory with another, which no copy could keep tied.
  std::function<std::unique_ptr<TorchModel>()> replicas();

 private:
  std::shared_ptr<TorchModel> original_;
};

// ReLU after 2x2 max pooling with stride 2: on the CPU in one pass without branches, several times as fast as the two
// of libtorch, with the same values and gradients. Rows and columns left over are dropped.
at::Tensor pool_relu(const at::Tensor& input);

}  // namespace tributary::internal
