// SPDX-License-Identifier: Apache-2.0
#include "libtorch/torch_network.hpp"

#include <ATen/MemoryOverlap.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cstring>
#include <stdexcept>

#include "cross_entropy.hpp"
#include "libtorch/device_optimizer.hpp"
#include "libtorch/plain_errors.hpp"

namespace tributary::internal {
namespace {

std::vector<std::int64_t> batch_shape(std::int64_t samples, const std::vector<std::int64_t>& sample_shape) {
  std::vector<std::int64_t> shape{samples};
  shape.insert(shape.end(), sample_shape.begin(), sample_shape.end());
  return shape;
}

}  // namespace

std::unique_lock<std::mutex> take_generator() {
  static std::mutex turn;
  return std::unique_lock(turn);
}

TorchNetwork::TorchNetwork(std::unique_ptr<TorchModel> model, const TensorLayout& layout, const NetworkRequest& request,
                           Draws draws)
    : model_(std::move(model)),
      sample_shape_(request.sample_shape),
      classes_(request.classes),
      device_(request.device == "cuda" ? c10::kCUDA : c10::kCPU),
      draws_(draws),
      parts_(layout.parts) {
  const at::NoGradGuard no_gradient;
  model_->move_to(device_);
  adopt(layout);
  model_->set_training(training_);
}

void TorchNetwork::adopt(const TensorLayout& layout) {
  std::size_t count = 0;
  for (const TensorSpec& tensor : layout.tensors) { count += tensor.elements(); }
  const auto options = at::TensorOptions().dtype(at::kFloat).device(device_);
  values_ = at::zeros({static_cast<std::int64_t>(count)}, options);
  gradients_ = at::zeros({static_cast<std::int64_t>(layout.trainable)}, options);
  loss_on_device_ = at::zeros({}, options.dtype(at::kDouble));
  std::vector<ModelTensor> tensors = model_->tensors();
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    at::Tensor& tensor = tensors[i].tensor;
    const TensorWindow& window = layout.windows[i];
    if (window.offset < 0) {
      // Values can only be put back where each element has a place of its own.
      if (at::has_internal_overlap(tensor) != at::MemOverlap::No) { tensor.set_data(tensor.contiguous().clone()); }
      at::Tensor start = tensor.clone();
      local_.emplace_back(std::move(tensor), std::move(start));
      continue;
    }
    tensor.set_data(values_.as_strided(window.sizes, window.strides, window.offset));
    if (tensors[i].role != TensorRole::kTrainable) { continue; }
    tensor.mutable_grad() = gradients_.as_strided(window.sizes, window.strides, window.offset);
    // Called with what is about to be added to the gradient. The vector of parts never changes its length.
    tensor.register_hook([part = &parts_[window.part]](const at::Tensor& gradient) {
      part->reached = part->reached || gradient.defined();
    });
  }
}

void TorchNetwork::load(std::span<const float> model) {
  const at::NoGradGuard no_gradient;
  model_->reset();
  if (on_cpu()) {
    std::memcpy(values_.data_ptr<float>(), model.data(), model.size_bytes());
  } else {
    // Read only: from_blob has no const form.
    values_.copy_(at::from_blob(const_cast<float*>(model.data()), {values_.numel()}, at::kFloat));
  }
  for (auto& [tensor, start] : local_) { tensor.copy_(start); }
}

std::vector<float> TorchNetwork::store() const {
  const at::Tensor values = values_.cpu();
  const float* const first = values.data_ptr<float>();
  return {first, first + values.numel()};
}

bool TorchNetwork::has_moved_on(std::span<const float> loaded) const {
  const std::vector<float> now = store();
  const auto trainable = static_cast<std::size_t>(gradients_.numel());
  // Bit by bit: what is no number equals nothing.
  if (std::memcmp(now.data() + trainable, loaded.data() + trainable, (now.size() - trainable) * sizeof(float)) != 0) {
    return true;
  }
  const auto changed = [](const auto& held) { return !at::equal(held.first, held.second); };
  return std::ranges::any_of(local_, changed) || model_->has_moved_on();
}

std::span<float> TorchNetwork::features(std::size_t samples) {
  const auto rows = static_cast<std::int64_t>(samples);
  if (!features_.defined() || features_.size(0) < rows) {
    features_ =
        at::empty(batch_shape(rows, sample_shape_), at::TensorOptions().dtype(at::kFloat).pinned_memory(!on_cpu()));
  }
  const at::Tensor used = features_.narrow(0, 0, rows);
  return {used.data_ptr<float>(), static_cast<std::size_t>(used.numel())};
}

std::span<std::int64_t> TorchNetwork::labels(std::size_t samples) {
  if (labels_.size() < samples) { labels_.resize(samples); }
  return std::span(labels_).first(samples);
}

void TorchNetwork::zero_gradients() {
  gradients_.zero_();
  for (TensorPart& part : parts_) { part.reached = false; }
}

void TorchNetwork::accumulate(std::size_t samples, double divisor, std::uint64_t seed) {
  with_plain_errors([&] {
    const at::Tensor logits = forward(samples, true, seed);
    // The gradient of the loss is known in closed form: a loop over the logits replaces five small operations.
    at::Tensor gradient;
    if (on_cpu()) {
      const at::NoGradGuard no_gradient;
      gradient = logits.detach().clone(at::MemoryFormat::Contiguous);
      float* row = gradient.data_ptr<float>();
      const auto classes = static_cast<std::size_t>(classes_);
      for (std::size_t s = 0; s < samples; ++s, row += classes) {
        loss_ += cross_entropy_gradient({row, classes}, static_cast<std::size_t>(labels_[s]),
                                        static_cast<float>(1.0 / divisor))
                     .loss;
      }
    } else {
      const at::NoGradGuard no_gradient;
      const at::Tensor logarithms = at::log_softmax(logits.detach(), 1);
      const at::Tensor wanted = labels_on_device(samples);
      loss_on_device_.sub_(logarithms.gather(1, wanted).sum(at::kDouble));
      gradient = logarithms.exp();
      gradient.scatter_add_(1, wanted, at::full_like(wanted, -1, gradient.options()));
      gradient.div_(divisor);
    }
    // Added to what `gradients_` holds, since the model's gradients are windows on it.
    logits.backward(gradient);
    model_->collect();
  });
}

double TorchNetwork::take_loss() {
  if (on_cpu()) { return std::exchange(loss_, 0.0); }
  const auto loss = loss_on_device_.item<double>();
  loss_on_device_.zero_();
  return loss;
}

Scores TorchNetwork::score(std::size_t samples, std::uint64_t seed) {
  return with_plain_errors([&] {
    const at::NoGradGuard no_gradient;
    const at::Tensor logits = forward(samples, false, seed).cpu().contiguous();
    const float* row = logits.data_ptr<float>();
    const auto classes = static_cast<std::size_t>(classes_);
    Scores scores;
    for (std::size_t s = 0; s < samples; ++s, row += classes) {
      const auto label = static_cast<std::size_t>(labels_[s]);
      const RowLoss loss = cross_entropy({row, classes}, label);
      scores.loss_sum += loss.loss;
      scores.correct += loss.best == label ? 1 : 0;
    }
    return scores;
  });
}

std::unique_ptr<Optimizer> TorchNetwork::make_optimizer(const OptimizerConfig& config) {
  const at::Tensor trainable = values_.narrow(0, 0, gradients_.numel());
  if (!on_cpu()) { return make_device_optimizer(config, trainable, gradients_, parts_); }
  const auto count = static_cast<std::size_t>(gradients_.numel());
  return make_host_optimizer(config, {trainable.data_ptr<float>(), count}, {gradients_.data_ptr<float>(), count},
                             parts_);
}

at::Tensor TorchNetwork::forward(std::size_t samples, bool training, std::uint64_t seed) {
  if (training_ != training) { model_->set_training(training_ = training); }
  at::Tensor input = features_.narrow(0, 0, static_cast<std::int64_t>(samples));
  if (!on_cpu()) { input = input.to(device_, /*non_blocking=*/true); }
  at::Tensor logits;
  if (training ? draws_.in_training : draws_.in_evaluation) {
    const auto turn = take_generator();
    torch::manual_seed(seed);
    logits = model_->forward(input);
  } else {
    logits = model_->forward(input);
  }
  if (logits.dim() == 2 && logits.size(0) == static_cast<std::int64_t>(samples) && logits.size(1) != classes_) {
    throw std::invalid_argument(fmt::format("the model gives {} {} a sample, and the data has {} {}", logits.size(1),
                                            logits.size(1) == 1 ? "output" : "outputs", classes_,
                                            classes_ == 1 ? "class" : "classes"));
  }
  if (logits.dim() != 2 || logits.size(0) != static_cast<std::int64_t>(samples) || logits.scalar_type() != at::kFloat) {
    throw std::invalid_argument(fmt::format(
        "the model turned {} samples into {} of shape [{}], expected float32 of shape "
        "[{}, {}]",
        samples, c10::toString(logits.scalar_type()), fmt::join(logits.sizes().vec(), ", "), samples, classes_));
  }
  return logits;
}

at::Tensor TorchNetwork::labels_on_device(std::size_t samples) {
  return at::from_blob(labels_.data(), {static_cast<std::int64_t>(samples), 1}, at::kLong).to(device_);
}

}  // namespace tributary::internal
