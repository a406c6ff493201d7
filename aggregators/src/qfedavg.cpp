// SPDX-License-Identifier: Apache-2.0
#include "tributary/aggregators/qfedavg.hpp"

#include <cmath>
#include <memory>
#include <vector>

#include "tributary/aggregators/gradient_steps.hpp"

namespace tributary {
namespace {

constexpr const char* kLoss = "base_loss";
constexpr const char* kBound = "step_bound";
// Losses of zero have no power below one.
constexpr double kLeastLoss = 1e-10;

}  // namespace

Status QFedAvg::prepare(const MethodTask& task, const TrainingFacts& facts, ClientUpdate& update) const {
  const auto loss = update.metrics.find(kLoss);
  if (loss == update.metrics.end() || !std::isfinite(loss->second) || loss->second < 0.0) {
    return bad_data(
        "qfedavg weighs a client by the loss of the model as it came, and the trainer does not measure it: it must "
        "report `base_loss`, a number >= 0, where TrainTask::evaluate_first is set");
  }
  if (!(facts.learning_rate > 0.0)) {
    return bad_data(
        "qfedavg needs the learning rate of the clients' steps, and the trainer tells none: it must report "
        "`learning_rate`, the same for all steps of a task");
  }
  const double value = loss->second + kLeastLoss;
  const double factor = std::pow(value, q_);
  double squares = 0.0;
  auto weighed = std::make_shared<std::vector<float>>(update.delta.values().begin(), update.delta.values().end());
  for_each_trainable(task.spec, [&](std::size_t i) {
    const auto change = static_cast<double>((*weighed)[i]);
    squares += change * change;
    (*weighed)[i] = static_cast<float>(factor * change);
  });
  update.delta = Payload::floats(std::move(weighed));
  update.metrics[kBound] = factor + q_ * std::pow(value, q_ - 1.0) * squares / facts.learning_rate;
  return {};
}

// As FedNova's.
double QFedAvg::scale(const AggregationRule& rule) const {
  return 1.0 / mean_of_all(rule, kBound);
}

}  // namespace tributary
