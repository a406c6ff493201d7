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
  return internal::send_variate(kName, settings_, task, facts, update).status();
}

std::vector<std::string> Scaffold::increments() const {
  return {internal::kVariate};
}

std::unique_ptr<MethodServer> Scaffold::make_server(Weight registered) const {
  return std::make_unique<internal::VariateSum>(registered);
}

}  // namespace tributary
