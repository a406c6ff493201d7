// SPDX-License-Identifier: Apache-2.0
#include "tributary/aggregators/feddyn.hpp"

#include "state_sum.hpp"
#include "tributary/aggregators/gradient_steps.hpp"

namespace tributary {
namespace {

constexpr const char* kChange = "change";

class FedDynServer final : public MethodServer {
 public:
  explicit FedDynServer(Weight registered) : registered_(registered), sum_(kChange) {}

  void commit(const ParameterSpec& spec, const AggregationRule& rule, std::span<float> model) override {
    sum_.add(spec.parameters(), rule);
    const double all = registered_.value();
    for_each_trainable(spec, [&](std::size_t i) {
      model[i] = static_cast<float>(static_cast<double>(model[i]) + sum_.values()[i] / all);
    });
  }
  [[nodiscard]] std::vector<Segment> broadcast(const ParameterSpec& /*spec*/) const override { return {}; }
  [[nodiscard]] Snapshot save() const override { return sum_.save(); }
  Status restore(const Snapshot& snapshot, std::size_t parameters) override {
    return sum_.restore(snapshot, parameters);
  }

 private:
  Weight registered_;
  internal::StateSum sum_;
};

}  // namespace

Result<Drift> FedDyn::drift(const MethodTask& task) const {
  if (task.state.empty()) { return Drift{.constant = nullptr, .pull = settings_.alpha}; }
  auto constant = std::make_shared<std::vector<float>>(task.spec.parameters(), 0.0F);
  for_each_trainable(task.spec,
                     [&](std::size_t i) { (*constant)[i] = static_cast<float>(settings_.alpha * task.state[i]); });
  return Drift{.constant = std::move(constant), .pull = settings_.alpha};
}

Status FedDyn::prepare(const MethodTask& task, const TrainingFacts& /*facts*/, ClientUpdate& update) const {
  const std::span<const float> change = update.delta.values();
  auto increment = std::make_shared<std::vector<float>>(task.spec.parameters(), 0.0F);
  for_each_trainable(task.spec, [&](std::size_t i) {
    (*increment)[i] = internal::on_grid(static_cast<double>(change[i]), settings_.grid_bits);
  });
  internal::set_increment(kChange, std::move(increment), update);
  return {};
}

std::vector<std::string> FedDyn::increments() const {
  return {kChange};
}

std::unique_ptr<MethodServer> FedDyn::make_server(Weight registered) const {
  return std::make_unique<FedDynServer>(registered);
}

}  // namespace tributary
