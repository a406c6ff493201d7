// SPDX-License-Identifier: Apache-2.0
#include "tributary/aggregators/mtgc.hpp"

#include "control_variate.hpp"
#include "tributary/aggregators/gradient_steps.hpp"

namespace tributary {
namespace {

constexpr const char* kName = "mtgc";
// lr T: the rates of a client's steps, summed.
constexpr const char* kRates = "local_rate_sum";

}  // namespace

Result<Drift> Mtgc::drift(const MethodTask& task) const {
  return internal::variate_drift(kName, task);
}

Status Mtgc::prepare(const MethodTask& task, const TrainingFacts& facts, ClientUpdate& update) const {
  TRIBUTARY_ASSIGN_OR_RETURN(update.metrics[kRates], internal::send_variate(kName, settings_, task, facts, update));
  return {};
}

std::vector<std::string> Mtgc::increments() const {
  return {internal::kVariate};
}

std::unique_ptr<MethodServer> Mtgc::make_server(Weight registered) const {
  return std::make_unique<internal::VariateSum>(registered);
}

Result<std::vector<Segment>> Mtgc::relay(const MethodTask& above, const MethodServer& own) const {
  TRIBUTARY_ASSIGN_OR_RETURN(const std::span<const float> parents, internal::variate_of(kName, above));
  const auto& children = static_cast<const internal::VariateSum&>(own);  // make_server() makes no others
  auto variate = std::make_shared<std::vector<float>>(above.spec.parameters(), 0.0F);
  for_each_trainable(above.spec, [&](std::size_t i) {
    const double correction = static_cast<double>(parents[i]) - (above.state.empty() ? 0.0 : above.state[i]);
    (*variate)[i] = static_cast<float>(children.mean(i) + correction);
  });
  return std::vector<Segment>{{internal::kVariate, Payload::floats(std::move(variate)), {}}};
}

double Mtgc::work(const AggregationRule& rule) const {
  return mean_of_all(rule, kRates);
}

std::string_view Mtgc::work_metric() const {
  return kRates;
}

Result<ClientState::Increment> Mtgc::increment(const MethodTask& above, const EdgeWork& work) const {
  TRIBUTARY_ASSIGN_OR_RETURN(const std::span<const float> parents, internal::variate_of(kName, above));
  if (!(work.done >= 0.0)) {
    return bad_data("mtgc divides an aggregator's change by the steps that made it, and its clients tell none");
  }
  return internal::variate_increment(above.spec, parents, work.change, work.done, settings_.grid_bits);
}

}  // namespace tributary
