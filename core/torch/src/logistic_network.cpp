// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <utility>

#include "cross_entropy.hpp"
#include "kernels.hpp"
#include "network.hpp"

namespace tributary::internal {
namespace {

class LogisticNetwork final : public Network {
 public:
  LogisticNetwork(std::size_t inputs, std::size_t classes)
      : inputs_(inputs),
        classes_(classes),
        values_(inputs * classes + classes),
        gradients_(values_.size()),
        logits_(classes) {}

  void load(std::span<const float> model) override { std::copy(model.begin(), model.end(), values_.begin()); }
  [[nodiscard]] std::vector<float> store() const override { return values_; }

  std::span<float> features(std::size_t samples) override {
    if (features_.size() < samples * inputs_) { features_.resize(samples * inputs_); }
    return std::span(features_).first(samples * inputs_);
  }
  std::span<std::int64_t> labels(std::size_t samples) override {
    if (labels_.size() < samples) { labels_.resize(samples); }
    return std::span(labels_).first(samples);
  }

  void zero_gradients() override { std::fill(gradients_.begin(), gradients_.end(), 0.0F); }

  void accumulate(std::size_t samples, double divisor, std::uint64_t /*seed*/) override {
    const Kernels& kernels = best_kernels();
    const auto scale = static_cast<float>(1.0 / divisor);
    float* const bias_gradient = gradients_.data() + inputs_ * classes_;
    for (std::size_t s = 0; s < samples; ++s) {
      const float* const x = features_.data() + s * inputs_;
      forward(kernels, x);
      loss_ += cross_entropy_gradient(logits_, static_cast<std::size_t>(labels_[s]), scale).loss;
      for (std::size_t c = 0; c < classes_; ++c) { bias_gradient[c] += logits_[c]; }
      kernels.backward(x, logits_.data(), inputs_, classes_, gradients_.data());
    }
  }

  double take_loss() override { return std::exchange(loss_, 0.0); }

  Scores score(std::size_t samples, std::uint64_t /*seed*/) override {
    const Kernels& kernels = best_kernels();
    Scores scores;
    for (std::size_t s = 0; s < samples; ++s) {
      forward(kernels, features_.data() + s * inputs_);
      const auto label = static_cast<std::size_t>(labels_[s]);
      const RowLoss row = cross_entropy(logits_, label);
      scores.loss_sum += row.loss;
      scores.correct += row.best == label ? 1 : 0;
    }
    return scores;
  }

  [[nodiscard]] std::unique_ptr<Optimizer> make_optimizer(const OptimizerConfig& config) override {
    return make_host_optimizer(config, values_, gradients_);
  }

 private:
  void forward(const Kernels& kernels, const float* x) {
    kernels.forward(x, values_.data(), values_.data() + inputs_ * classes_, inputs_, classes_, logits_.data());
  }

  std::size_t inputs_;
  std::size_t classes_;
  std::vector<float> values_;  // weights by class, then biases
  std::vector<float> gradients_;
  std::vector<float> logits_;
  std::vector<float> features_;
  std::vector<std::int64_t> labels_;
  double loss_ = 0.0;
};

}  // namespace

Result<NetworkPlan> plan_logistic_network(std::int64_t inputs, std::int64_t classes) {
  NetworkPlan plan;
  TRIBUTARY_ASSIGN_OR_RETURN(plan.spec,
                             ParameterSpec::create({{"linear.weight", {classes, inputs}}, {"linear.bias", {classes}}}));
  plan.create = [inputs, classes]() -> std::unique_ptr<Network> {
    return std::make_unique<LogisticNetwork>(static_cast<std::size_t>(inputs), static_cast<std::size_t>(classes));
  };
  return plan;
}

}  // namespace tributary::internal
