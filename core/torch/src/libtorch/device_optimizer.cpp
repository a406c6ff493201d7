// SPDX-License-Identifier: Apache-2.0
#include "libtorch/device_optimizer.hpp"

#include <cmath>
#include <utility>

namespace tributary::internal {
namespace {

class DeviceOptimizer final : public Optimizer {
 public:
  DeviceOptimizer(const OptimizerConfig& config, at::Tensor values, at::Tensor gradients,
                  std::span<const TensorPart> parts)
      : config_(config),
        values_(std::move(values)),
        gradients_(std::move(gradients)),
        plan_(static_cast<std::size_t>(values_.numel()), parts) {}

  void begin(std::span<const float> /*base*/, const Drift& drift) override {
    const at::NoGradGuard no_gradient;
    pull_ = drift.pull;
    constant_after_clipping_ = drift.constant_after_clipping;
    // The network has just loaded the base: a copy on the device costs less than another transfer.
    if (pull_ > 0.0) { base_ = values_.clone(); }
    constant_ = at::Tensor();
    if (drift.constant) {
      // A copy: the values belong to the task.
      constant_ = at::tensor(at::ArrayRef<float>(drift.constant->data(), static_cast<std::size_t>(values_.numel())))
                      .to(values_.device());
    }
    plan_.begin();
  }

  void step(double lr) override {
    const at::NoGradGuard no_gradient;
    const std::span<const StepRun> runs = plan_.next();
    if (pull_ > 0.0) {
      for (const StepRun& run : runs) { of(gradients_, run).add_(of(values_, run) - of(base_, run), pull_); }
    }
    if (constant_after_clipping_) { clip(); }
    if (constant_.defined()) {
      for (const StepRun& run : runs) { of(gradients_, run).add_(of(constant_, run)); }
    }
    if (!constant_after_clipping_) { clip(); }
    for (const StepRun& run : runs) { config_.kind == OptimizerConfig::Kind::kSgd ? sgd(lr, run) : adam(lr, run); }
  }

 private:
  void clip() {
    if (config_.clip_norm <= 0.0) { return; }
    // Never more than 1, and no transfer to ask whether it is less.
    gradients_.mul_((config_.clip_norm / gradients_.norm()).clamp_max(1.0));
  }

  static at::Tensor of(const at::Tensor& flat, const StepRun& run) {
    return flat.narrow(0, static_cast<std::int64_t>(run.offset), static_cast<std::int64_t>(run.length));
  }

  void sgd(double lr, const StepRun& run) {
    const at::Tensor values = of(values_, run);
    const at::Tensor gradients = of(gradients_, run);
    if (config_.weight_decay != 0.0) { gradients.add_(values, config_.weight_decay); }
    if (config_.momentum == 0.0) {
      values.add_(gradients, -lr);
      return;
    }
    if (!first_.defined()) { first_ = at::zeros_like(values_); }
    const at::Tensor velocity = of(first_, run);
    if (run.steps == 1) {
      velocity.copy_(gradients);
    } else {
      velocity.mul_(config_.momentum).add_(gradients);
    }
    if (config_.nesterov) {
      gradients.add_(velocity, config_.momentum);
      values.add_(gradients, -lr);
    } else {
      values.add_(velocity, -lr);
    }
  }

  void adam(double lr, const StepRun& run) {
    if (!first_.defined()) {
      first_ = at::zeros_like(values_);
      second_ = at::zeros_like(values_);
    }
    const at::Tensor values = of(values_, run);
    const at::Tensor gradients = of(gradients_, run);
    const at::Tensor first = of(first_, run);
    const at::Tensor second = of(second_, run);
    if (run.steps == 1) {
      first.zero_();
      second.zero_();
    }
    if (config_.kind == OptimizerConfig::Kind::kAdamW) {
      values.mul_(1.0 - lr * config_.weight_decay);
    } else if (config_.weight_decay != 0.0) {
      gradients.add_(values, config_.weight_decay);
    }
    const double steps = static_cast<double>(run.steps);
    first.mul_(config_.beta1).add_(gradients, 1.0 - config_.beta1);
    second.mul_(config_.beta2).addcmul_(gradients, gradients, 1.0 - config_.beta2);
    const at::Tensor denominator =
        second.sqrt().div_(std::sqrt(1.0 - std::pow(config_.beta2, steps))).add_(config_.epsilon);
    values.addcdiv_(first, denominator, -lr / (1.0 - std::pow(config_.beta1, steps)));
  }

  const OptimizerConfig config_;
  bool constant_after_clipping_ = false;
  double pull_ = 0.0;
  at::Tensor constant_;
  at::Tensor values_;
  at::Tensor gradients_;
  at::Tensor base_;
  at::Tensor first_;
  at::Tensor second_;
  StepPlan plan_;
};

}  // namespace

std::unique_ptr<Optimizer> make_device_optimizer(const OptimizerConfig& config, at::Tensor values, at::Tensor gradients,
                                                 std::span<const TensorPart> parts) {
  return std::make_unique<DeviceOptimizer>(config, std::move(values), std::move(gradients), parts);
}

}  // namespace tributary::internal
