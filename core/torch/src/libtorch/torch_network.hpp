// SPDX-License-Identifier: Apache-2.0
// A replica of a model of libtorch.
//
// Its values lie in one vector and its gradients in another; the model's tensors become windows on them. So loading,
// storing and stepping are one pass each, however many tensors there are.
#pragma once

#include <torch/torch.h>

#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "libtorch/models.hpp"
#include "libtorch/tensor_layout.hpp"
#include "network.hpp"

namespace tributary::internal {

// Whether a model takes numbers from libtorch's generator.
struct Draws {
  bool in_training = false;
  bool in_evaluation = false;
};

class TorchNetwork final : public Network {
 public:
  TorchNetwork(std::unique_ptr<TorchModel> model, const TensorLayout& layout, const NetworkRequest& request,
               Draws draws);
  TorchNetwork(const TorchNetwork&) = delete;
  TorchNetwork& operator=(const TorchNetwork&) = delete;

  void load(std::span<const float> model) override;
  [[nodiscard]] std::vector<float> store() const override;
  std::span<float> features(std::size_t samples) override;
  std::span<std::int64_t> labels(std::size_t samples) override;
  void zero_gradients() override;
  void accumulate(std::size_t samples, double divisor, std::uint64_t seed) override;
  double take_loss() override;
  Scores score(std::size_t samples, std::uint64_t seed) override;
  [[nodiscard]] std::unique_ptr<Optimizer> make_optimizer(const OptimizerConfig& config) override;

  // The model's answer to the first `samples` rows, in one of its modes: float32, a row of logits for each.
  at::Tensor forward(std::size_t samples, bool training, std::uint64_t seed);

  // Whether its code normalises by statistics of a batch when it trains, or when it always does.
  [[nodiscard]] bool normalises_batches() const { return model_->normalises_batches(); }
  // Whether it keeps more of the batches since load(`loaded`) than gradients: buffers, or state of its own.
  [[nodiscard]] bool has_moved_on(std::span<const float> loaded) const;

 private:
  [[nodiscard]] bool on_cpu() const { return device_.is_cpu(); }
  void adopt(const TensorLayout& layout);
  at::Tensor labels_on_device(std::size_t samples);

  std::unique_ptr<TorchModel> model_;
  std::vector<std::int64_t> sample_shape_;
  std::int64_t classes_;
  c10::Device device_;
  Draws draws_;
  bool training_ = true;
  at::Tensor values_;
  at::Tensor gradients_;                                  // of the trainable values, which come first
  std::vector<TensorPart> parts_;                         // of the gradients; the model's hooks point to them
  std::vector<std::pair<at::Tensor, at::Tensor>> local_;  // tensors in no vector and what they start every task with
  at::Tensor features_;
  std::vector<std::int64_t> labels_;
  double loss_ = 0.0;
  at::Tensor loss_on_device_;
};

// Models that draw random numbers take them from libtorch's one generator: held while one does.
[[nodiscard]] std::unique_lock<std::mutex> take_generator();

}  // namespace tributary::internal
