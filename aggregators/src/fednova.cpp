// SPDX-License-Identifier: Apache-2.0
#include "tributary/aggregators/fednova.hpp"

#include <limits>
#include <memory>
#include <string>
#include <vector>

namespace tributary {
namespace {

constexpr const char* kSteps = "local_steps";
constexpr std::uint64_t kMostSteps = std::uint64_t{1} << 30U;

}  // namespace

// A gradient counts once when it is taken, momentum times as much in the next step, and so on.
double FedNova::accumulated_steps(std::uint64_t steps) const {
  if (settings_.momentum == 0.0) { return static_cast<double>(steps); }
  double velocity = 0.0;
  double sum = 0.0;
  for (std::uint64_t step = 0; step < steps; ++step) {
    velocity = settings_.momentum * velocity + 1.0;
    sum += settings_.nesterov ? 1.0 + settings_.momentum * velocity : velocity;
  }
  return sum;
}

Status FedNova::prepare(const ParameterSpec& spec, std::uint64_t steps, ClientUpdate& update) const {
  if (steps == 0 || steps > kMostSteps) {
    return bad_data(
        "fednova divides a change by the steps that made it, and the trainer tells none: it must report `steps`");
  }
  const double nu = accumulated_steps(steps);
  auto normalized = std::make_shared<std::vector<float>>(update.delta.values().begin(), update.delta.values().end());
  for (std::size_t t = 0; t < spec.tensors().size(); ++t) {
    if (spec.tensors()[t].kind != TensorKind::kTrainable) { continue; }
    const std::size_t end = spec.offset(t) + spec.tensors()[t].elements();
    for (std::size_t i = spec.offset(t); i < end; ++i) {
      (*normalized)[i] = static_cast<float>(static_cast<double>((*normalized)[i]) / nu);
    }
  }
  update.delta = Payload::floats(std::move(normalized));
  update.metrics[kSteps] = nu;
  return {};
}

// Of very many metrics only so many are carried. Without all clients' steps the mean means nothing, and a model that is
// not finite ends the run.
double FedNova::scale(const AggregationRule& rule) const {
  const auto found = rule.scalars().find(kSteps);
  const bool complete =
      found != rule.scalars().end() && found->second.left_out() == 0 && found->second.weight() == rule.weight();
  return complete ? found->second.mean() : std::numeric_limits<double>::quiet_NaN();
}

}  // namespace tributary
