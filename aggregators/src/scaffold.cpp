// SPDX-License-Identifier: Apache-2.0
#include "tributary/aggregators/scaffold.hpp"

#include "control_variate.hpp"

namespace tributary {
namespace {

constexpr const char* kName = "scaffold";

}  // namespace

Result<Drift> Scaffold::drift(const MethodTask& task) const {
  return internal::variate_drift(kName, task);
}

Status Scaffold::prepare(const MethodTask& task, const TrainingFacts& facts, ClientUpdate& update) const {
  TRIBUTARY_ASSIGN_OR_RETURN(const double rates,
                             internal::sum_of_rates(kName, settings_, facts, task.spec, update.delta.values()));
  TRIBUTARY_ASSIGN_OR_RETURN(const std::span<const float> all, internal::variate_of(kName, task));
  internal::set_increment(
      internal::kVariate,
      internal::variate_increment(task.spec, all, update.delta.values(), rates, settings_.grid_bits), update);
  return {};
}

std::vector<std::string> Scaffold::increments() const {
  return {internal::kVariate};
}

std::unique_ptr<MethodServer> Scaffold::make_server(Weight registered) const {
  return std::make_unique<internal::VariateSum>(registered);
}

}  // namespace tributary
