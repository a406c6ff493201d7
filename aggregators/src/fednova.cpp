// SPDX-License-Identifier: Apache-2.0
#include "tributary/aggregators/fednova.hpp"

#include <memory>
#include <vector>

#include "tributary/aggregators/gradient_steps.hpp"

namespace tributary {
namespace {

constexpr const char* kSteps = "local_steps";

}  // namespace

Status FedNova::prepare(const MethodTask& task, const TrainingFacts& facts, ClientUpdate& update) const {
  TRIBUTARY_RETURN_IF_ERROR(check_steps("fednova", facts.steps));
  const double nu = accumulated_steps(facts.steps, settings_.momentum, settings_.nesterov);
  auto normalized = std::make_shared<std::vector<float>>(update.delta.values().begin(), update.delta.values().end());
  for_each_trainable(task.spec, [&](std::size_t i) {
    (*normalized)[i] = static_cast<float>(static_cast<double>((*normalized)[i]) / nu);
  });
  update.delta = Payload::floats(std::move(normalized));
  update.metrics[kSteps] = nu;
  return {};
}

double FedNova::scale(const AggregationRule& rule) const {
  return mean_of_all(rule, kSteps);
}

}  // namespace tributary
