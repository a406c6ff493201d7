// SPDX-License-Identifier: Apache-2.0
#include "libtorch/device_optimizer.hpp"

#include <cmath>
#include <utility>

namespace tributary::internal {
namespace {

class DeviceOptimizer final : public Optimizer {
 public:
  DeviceOptimizer(const OptimizerConfig& config, double mu, at::Tensor values, at::Tensor gradients)
      : config_(config), mu_(mu), values_(std::move(values)), gradients_(std::move(gradients)) {}

  void begin(std::span<const float> /*base*/) override {
    const at::NoGradGuard no_gradient;
    // The network has just loaded the base: a copy on the device costs less than another transfer.
    if (mu_ > 0.0) { base_ = values_.clone(); }
    steps_ = 0;
  }

  void step(double lr) override {
    const at::NoGradGuard no_gradient;
    if (mu_ > 0.0) { gradients_.add_(values_ - base_, mu_); }
    if (config_.clip_norm > 0.0) {
      // Never more than 1, and no transfer to ask whether it is less.
      gradients_.mul_((config_.clip_norm / gradients_.norm()).clamp_max(1.0));
    }
    ++steps_;
    config_.kind == OptimizerConfig::Kind::kSgd ? sgd(lr) : adam(lr);
  }

 private:
  void sgd(double lr) {
    if (config_.weight_decay != 0.0) { gradients_.add_(values_, config_.weight_decay); }
    if (config_.momentum == 0.0) {
      values_.add_(gradients_, -lr);
      return;
    }
    if (steps_ == 1) {
      first_ = gradients_.clone();
    } else {
      first_.mul_(config_.momentum).add_(gradients_);
    }
    if (config_.nesterov) {
      gradients_.add_(first_, config_.momentum);
      values_.add_(gradients_, -lr);
    } else {
      values_.add_(first_, -lr);
    }
  }

  void adam(double lr) {
    if (steps_ == 1) {
      first_ = at::zeros_like(values_);
      second_ = at::zeros_like(values_);
    }
    if (config_.kind == OptimizerConfig::Kind::kAdamW) {
      values_.mul_(1.0 - lr * config_.weight_decay);
    } else if (config_.weight_decay != 0.0) {
      gradients_.add_(values_, config_.weight_decay);
    }
    const double steps = static_cast<double>(steps_);
    first_.mul_(config_.beta1).add_(gradients_, 1.0 - config_.beta1);
    second_.mul_(config_.beta2).addcmul_(gradients_, gradients_, 1.0 - config_.beta2);
    const at::Tensor denominator =
        second_.sqrt().div_(std::sqrt(1.0 - std::pow(config_.beta2, steps))).add_(config_.epsilon);
    values_.addcdiv_(first_, denominator, -lr / (1.0 - std::pow(config_.beta1, steps)));
  }

  const OptimizerConfig config_;
  const double mu_;
  at::Tensor values_;
  at::Tensor gradients_;
  at::Tensor base_;
  at::Tensor first_;
  at::Tensor second_;
  std::uint64_t steps_ = 0;
};

}  // namespace

std::unique_ptr<Optimizer> make_device_optimizer(const OptimizerConfig& config, double mu, at::Tensor values,
                                                 at::Tensor gradients) {
  return std::make_unique<DeviceOptimizer>(config, mu, std::move(values), std::move(gradients));
}

}  // namespace tributary::internal
