// SPDX-License-Identifier: Apache-2.0
#include "control_variate.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "tributary/aggregators/gradient_steps.hpp"

namespace tributary::internal {
namespace {

Result<double> sum_of_rates(const char* method, const LocalMethodSettings& settings, const TrainingFacts& facts,
                            const ParameterSpec& spec, std::span<const float> change) {
  TRIBUTARY_RETURN_IF_ERROR(check_steps(method, facts.steps));
  bool changed = false;
  for_each_trainable(spec, [&](std::size_t i) { changed = changed || change[i] != 0.0F; });
  if (facts.learning_rate == 0.0 && !changed) { return 0.0; }
  if (!(facts.learning_rate > 0.0)) {
    return bad_data(
        fmt::format("{} divides a change by the learning rate that made it, and the trainer tells none: it must report "
                    "`learning_rate`, the same for all steps of a task",
                    method));
  }
  return facts.learning_rate * accumulated_steps(facts.steps, settings.momentum, settings.nesterov);
}

}  // namespace

Result<std::span<const float>> variate_of(const char* method, const MethodTask& task) {
  const auto found = std::ranges::find(task.broadcast, kVariate, &Segment::name);
  if (found == task.broadcast.end() || found->payload.values().size() != task.spec.parameters()) {
    return protocol_error(
        fmt::format("{} needs the control variate of all clients beside the model, and it did not come", method));
  }
  return found->payload.values();
}

Result<Drift> variate_drift(const char* method, const MethodTask& task) {
  TRIBUTARY_ASSIGN_OR_RETURN(const std::span<const float> all, variate_of(method, task));
  auto constant = std::make_shared<std::vector<float>>(task.spec.parameters(), 0.0F);
  for_each_trainable(task.spec, [&](std::size_t i) {
    const double own = task.state.empty() ? 0.0 : task.state[i];
    (*constant)[i] = static_cast<float>(static_cast<double>(all[i]) - own);
  });
  // Clipped after it, the step would not tell the gradient that the next variate is made of. Clipped before, every
  // variate is a mean of clipped gradients, and so bounded.
  return Drift{.constant = std::move(constant), .pull = 0.0, .constant_after_clipping = true};
}

std::shared_ptr<const std::vector<float>> variate_increment(const ParameterSpec& spec, std::span<const float> variate,
                                                            std::span<const float> change, double divisor,
                                                            int grid_bits) {
  auto increment = std::make_shared<std::vector<float>>(spec.parameters(), 0.0F);
  if (divisor == 0.0) { return increment; }
  for_each_trainable(spec, [&](std::size_t i) {
    const double grown = -static_cast<double>(variate[i]) - static_cast<double>(change[i]) / divisor;
    (*increment)[i] = on_grid(grown, grid_bits);
  });
  return increment;
}

Result<double> send_variate(const char* method, const LocalMethodSettings& settings, const MethodTask& task,
                            const TrainingFacts& facts, ClientUpdate& update) {
  const std::span<const float> change = update.delta.values();
  TRIBUTARY_ASSIGN_OR_RETURN(const double rates, sum_of_rates(method, settings, facts, task.spec, change));
  TRIBUTARY_ASSIGN_OR_RETURN(const std::span<const float> variate, variate_of(method, task));
  set_increment(kVariate, variate_increment(task.spec, variate, change, rates, settings.grid_bits), update);
  return rates;
}

void VariateSum::commit(const ParameterSpec& spec, const AggregationRule& rule, std::span<float> /*model*/) {
  sum_.add(spec.parameters(), rule);
}

std::vector<Segment> VariateSum::broadcast(const ParameterSpec& spec) const {
  auto variate = std::make_shared<std::vector<float>>(spec.parameters(), 0.0F);
  for (std::size_t i = 0; i < variate->size(); ++i) { (*variate)[i] = static_cast<float>(mean(i)); }
  return {{kVariate, Payload::floats(std::move(variate)), {}}};
}

}  // namespace tributary::internal
