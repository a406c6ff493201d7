// SPDX-License-Identifier: Apache-2.0
#include "optimizer.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <vector>

namespace tributary::internal {
namespace {

class HostOptimizer : public Optimizer {
 public:
  HostOptimizer(const OptimizerConfig& config, std::span<float> values, std::span<float> gradients,
                std::span<const TensorPart> parts)
      : config_(config), values_(values), gradients_(gradients), plan_(values.size(), parts) {}

  void begin(std::span<const float> base, const Drift& drift) override {
    base_ = base;
    drift_ = drift;
    plan_.begin();
  }

  void step(double lr) override {
    const std::span<const StepRun> runs = plan_.next();
    if (drift_.pull > 0.0) {
      for (const StepRun& run : runs) { pull_to_base(run); }
    }
    if (drift_.constant_after_clipping) { clip(); }
    if (drift_.constant) {
      for (const StepRun& run : runs) { add_constant(run); }
    }
    if (!drift_.constant_after_clipping) { clip(); }
    for (const StepRun& run : runs) { update(lr, run); }
  }

 protected:
  virtual void update(double lr, const StepRun& run) = 0;

  const OptimizerConfig config_;
  std::span<float> values_;
  std::span<float> gradients_;
  std::span<const float> base_;
  Drift drift_;

 private:
  void pull_to_base(const StepRun& run) {
    const auto mu = static_cast<float>(drift_.pull);
    float* const __restrict g = gradients_.data() + run.offset;
    const float* const x = values_.data() + run.offset;
    const float* const b = base_.data() + run.offset;
    for (std::size_t i = 0; i < run.length; ++i) { g[i] += mu * (x[i] - b[i]); }
  }

  void add_constant(const StepRun& run) {
    float* const __restrict g = gradients_.data() + run.offset;
    const float* const c = drift_.constant->data() + run.offset;
    for (std::size_t i = 0; i < run.length; ++i) { g[i] += c[i]; }
  }

  void clip() {
    if (config_.clip_norm <= 0.0) { return; }
    // Lanes of a fixed number, so that the sum does not depend on the processor's vector length.
    constexpr std::size_t kLanes = 8;
    double lanes[kLanes] = {};
    const float* const g = gradients_.data();
    const std::size_t whole = gradients_.size() / kLanes * kLanes;
    for (std::size_t i = 0; i < whole; i += kLanes) {
      for (std::size_t l = 0; l < kLanes; ++l) {
        lanes[l] += static_cast<double>(g[i + l]) * static_cast<double>(g[i + l]);
      }
    }
    double sum = 0.0;
    for (const double lane : lanes) { sum += lane; }
    for (std::size_t i = whole; i < gradients_.size(); ++i) {
      sum += static_cast<double>(g[i]) * static_cast<double>(g[i]);
    }
    const double norm = std::sqrt(sum);
    if (norm <= config_.clip_norm) { return; }
    const auto factor = static_cast<float>(config_.clip_norm / norm);
    for (float& gradient : gradients_) { gradient *= factor; }
  }

  StepPlan plan_;
};

class Sgd final : public HostOptimizer {
 public:
  using HostOptimizer::HostOptimizer;

 protected:
  void update(double lr, const StepRun& run) override {
    const auto rate = static_cast<float>(lr);
    const auto decay = static_cast<float>(config_.weight_decay);
    const auto momentum = static_cast<float>(config_.momentum);
    const std::size_t count = run.length;
    float* const __restrict x = values_.data() + run.offset;
    const float* const __restrict g = gradients_.data() + run.offset;
    if (config_.momentum == 0.0) {
      if (config_.weight_decay == 0.0) {
        for (std::size_t i = 0; i < count; ++i) { x[i] -= rate * g[i]; }
      } else {
        for (std::size_t i = 0; i < count; ++i) { x[i] -= rate * (g[i] + decay * x[i]); }
      }
      return;
    }
    velocity_.resize(values_.size());
    float* const __restrict v = velocity_.data() + run.offset;
    if (run.steps == 1) {
      for (std::size_t i = 0; i < count; ++i) { v[i] = g[i] + decay * x[i]; }
    } else {
      for (std::size_t i = 0; i < count; ++i) { v[i] = momentum * v[i] + (g[i] + decay * x[i]); }
    }
    if (config_.nesterov) {
      for (std::size_t i = 0; i < count; ++i) { x[i] -= rate * ((g[i] + decay * x[i]) + momentum * v[i]); }
    } else {
      for (std::size_t i = 0; i < count; ++i) { x[i] -= rate * v[i]; }
    }
  }

 private:
  std::vector<float> velocity_;
};

// Adam (arXiv 1412.6980) with L2 decay in the gradient; AdamW (1711.05101) with decay of the values themselves.
class Adam final : public HostOptimizer {
 public:
  using HostOptimizer::HostOptimizer;

 protected:
  void update(double lr, const StepRun& run) override {
    const std::size_t count = run.length;
    first_.resize(values_.size());
    second_.resize(values_.size());
    float* const __restrict m = first_.data() + run.offset;
    float* const __restrict v = second_.data() + run.offset;
    if (run.steps == 1) {
      std::fill_n(m, count, 0.0F);
      std::fill_n(v, count, 0.0F);
    }
    const bool decoupled = config_.kind == OptimizerConfig::Kind::kAdamW;
    const double steps = static_cast<double>(run.steps);
    const auto rate = static_cast<float>(lr / (1.0 - std::pow(config_.beta1, steps)));
    const auto root = static_cast<float>(std::sqrt(1.0 - std::pow(config_.beta2, steps)));
    const auto keep = static_cast<float>(decoupled ? 1.0 - lr * config_.weight_decay : 1.0);
    const auto decay = static_cast<float>(decoupled ? 0.0 : config_.weight_decay);
    const auto beta1 = static_cast<float>(config_.beta1);
    const auto beta2 = static_cast<float>(config_.beta2);
    const auto rest1 = static_cast<float>(1.0 - config_.beta1);
    const auto rest2 = static_cast<float>(1.0 - config_.beta2);
    const auto epsilon = static_cast<float>(config_.epsilon);
    float* const __restrict x = values_.data() + run.offset;
    const float* const __restrict g = gradients_.data() + run.offset;
    for (std::size_t i = 0; i < count; ++i) {
      const float gradient = g[i] + decay * x[i];
      m[i] = beta1 * m[i] + rest1 * gradient;
      v[i] = beta2 * v[i] + rest2 * gradient * gradient;
      x[i] = keep * x[i] - rate * m[i] / (std::sqrt(v[i]) / root + epsilon);
    }
  }

 private:
  std::vector<float> first_;
  std::vector<float> second_;
};

}  // namespace

StepPlan::StepPlan(std::size_t values, std::span<const TensorPart> parts)
    : values_(values), parts_(parts), steps_(std::max<std::size_t>(parts.size(), 1)) {}

void StepPlan::begin() {
  std::ranges::fill(steps_, 0);
}

std::span<const StepRun> StepPlan::next() {
  runs_.clear();
  if (parts_.empty()) {
    runs_.push_back({0, values_, ++steps_[0]});
    return runs_;
  }
  for (std::size_t i = 0; i < parts_.size(); ++i) {
    const TensorPart& part = parts_[i];
    if (!part.reached) { continue; }
    ++steps_[i];
    const bool goes_on =
        !runs_.empty() && runs_.back().offset + runs_.back().length == part.offset && runs_.back().steps == steps_[i];
    if (goes_on) {
      runs_.back().length += part.length;
    } else {
      runs_.push_back({part.offset, part.length, steps_[i]});
    }
  }
  return runs_;
}

std::unique_ptr<Optimizer> make_host_optimizer(const OptimizerConfig& config, std::span<float> values,
                                               std::span<float> gradients, std::span<const TensorPart> parts) {
  if (config.kind == OptimizerConfig::Kind::kSgd) { return std::make_unique<Sgd>(config, values, gradients, parts); }
  return std::make_unique<Adam>(config, values, gradients, parts);
}

double learning_rate(const OptimizerConfig& config, std::uint64_t round, std::uint64_t rounds) {
  const std::uint64_t before = round == 0 ? 0 : round - 1;
  switch (config.schedule) {
    case OptimizerConfig::Schedule::kConstant:
      return config.lr;
    case OptimizerConfig::Schedule::kStep: {
      const std::uint64_t steps = before / std::max<std::uint64_t>(config.step_rounds, 1);
      return config.lr * std::pow(config.gamma, static_cast<double>(steps));
    }
    case OptimizerConfig::Schedule::kExponential:
      return config.lr * std::pow(config.gamma, static_cast<double>(before));
    case OptimizerConfig::Schedule::kCosine: {
      const double progress =
          rounds < 2 ? 0.0 : std::min(1.0, static_cast<double>(before) / static_cast<double>(rounds - 1));
      return config.final_lr + (config.lr - config.final_lr) * 0.5 * (1.0 + std::cos(std::numbers::pi * progress));
    }
  }
  return config.lr;
}

}  // namespace tributary::internal
