// SPDX-License-Identifier: Apache-2.0
#include "tributary/aggregators/scaffold.hpp"

#include <algorithm>

#include "state_sum.hpp"
#include "tributary/aggregators/gradient_steps.hpp"

namespace tributary {
namespace {

constexpr const char* kVariate = "control";

Result<std::span<const float>> variate_of(const MethodTask& task) {
  const auto found = std::ranges::find(task.broadcast, kVariate, &Segment::name);
  if (found == task.broadcast.end() || found->payload.values().size() != task.spec.parameters()) {
    return protocol_error("scaffold needs the control variate of all clients beside the model, and it did not come");
  }
  return found->payload.values();
}

class ScaffoldServer final : public MethodServer {
 public:
  explicit ScaffoldServer(const LocalMethodSettings& settings) : settings_(settings), sum_(kVariate) {}

  void commit(const ParameterSpec& spec, const AggregationRule& rule, std::span<float> /*model*/) override {
    sum_.add(spec.parameters(), rule);
  }
  [[nodiscard]] std::vector<Segment> broadcast(const ParameterSpec& spec) const override {
    auto variate = std::make_shared<std::vector<float>>(spec.parameters(), 0.0F);
    const double all = settings_.weight.value();
    std::ranges::transform(sum_.values(), variate->begin(),
                           [all](double sum) { return static_cast<float>(sum / all); });
    return {{kVariate, Payload::floats(std::move(variate)), {}}};
  }
  [[nodiscard]] Snapshot save() const override { return sum_.save(); }
  Status restore(const Snapshot& snapshot, std::size_t parameters) override {
    return sum_.restore(snapshot, parameters);
  }

 private:
  LocalMethodSettings settings_;
  internal::StateSum sum_;
};

}  // namespace

Result<Drift> Scaffold::drift(const MethodTask& task) const {
  TRIBUTARY_ASSIGN_OR_RETURN(const std::span<const float> all, variate_of(task));
  auto constant = std::make_shared<std::vector<float>>(task.spec.parameters(), 0.0F);
  for_each_trainable(task.spec, [&](std::size_t i) {
    const double own = task.state.empty() ? 0.0 : task.state[i];
    (*constant)[i] = static_cast<float>(static_cast<double>(all[i]) - own);
  });
  // Clipped after it, the step would not tell the gradient that the next variate is made of. Clipped before, every
  // variate is a mean of clipped gradients, and so bounded.
  return Drift{.constant = std::move(constant), .pull = 0.0, .constant_after_clipping = true};
}

Status Scaffold::prepare(const MethodTask& task, const TrainingFacts& facts, ClientUpdate& update) const {
  TRIBUTARY_RETURN_IF_ERROR(check_steps("scaffold", facts.steps));
  if (!(facts.learning_rate > 0.0)) {
    return bad_data(
        "scaffold divides a change by the learning rate that made it, and the trainer tells none: it must "
        "report `learning_rate`, the same for all steps of a task");
  }
  TRIBUTARY_ASSIGN_OR_RETURN(const std::span<const float> all, variate_of(task));
  const double divisor = facts.learning_rate * accumulated_steps(facts.steps, settings_.momentum, settings_.nesterov);
  const std::span<const float> change = update.delta.values();
  internal::set_increment(task.spec, kVariate, settings_.grid_bits, update, [&](std::size_t i) {
    return -static_cast<double>(all[i]) - static_cast<double>(change[i]) / divisor;
  });
  return {};
}

std::vector<std::string> Scaffold::increments() const {
  return {kVariate};
}

std::unique_ptr<MethodServer> Scaffold::make_server() const {
  return std::make_unique<ScaffoldServer>(settings_);
}

}  // namespace tributary
