// SPDX-License-Identifier: Apache-2.0
#include "echo_trainer.hpp"

#include <fmt/format.h>

#include <utility>

#include "tributary/base/random.hpp"

namespace tributary {
namespace {

class EchoTrainer final : public Trainer {
 public:
  Result<TrainOutcome> train(const TrainTask& task) override {
    if (task.cancel != nullptr && task.cancel->load(std::memory_order_relaxed)) {
      return cancelled("training was cancelled");
    }
    return TrainOutcome{.model = task.base, .weight = 1.0, .samples = 1, .steps = 0, .metrics = {}};
  }

  Result<Evaluation> evaluate(std::span<const float> /*model*/, std::uint32_t /*part*/,
                              std::uint32_t /*parts*/) override {
    return unsupported("the echo trainer has no data to evaluate on");
  }
};

class EchoTrainerFactory final : public TrainerFactory {
 public:
  explicit EchoTrainerFactory(ParameterSpec spec) : spec_(std::move(spec)) {}

  [[nodiscard]] const ParameterSpec& spec() const noexcept override { return spec_; }

  [[nodiscard]] Result<std::vector<float>> initial_model(std::uint64_t seed) const override {
    Rng rng(stream_seed(seed, Purpose::kModelInit));
    std::vector<float> values(spec_.parameters());
    for (float& value : values) { value = static_cast<float>(rng.uniform() * 2.0 - 1.0); }
    return values;
  }

  [[nodiscard]] double weight_bound(ClientIndex /*client*/) const override { return 1.0; }

  [[nodiscard]] Result<std::unique_ptr<Trainer>> create() const override {
    return std::unique_ptr<Trainer>(std::make_unique<EchoTrainer>());
  }

 private:
  ParameterSpec spec_;
};

}  // namespace

Result<std::unique_ptr<TrainerFactory>> make_echo_trainer_factory(const TrainerContext& context) {
  const std::uint64_t parameters = context.configuration.model.parameters;
  if (parameters == 0 || parameters > ParameterSpec::kMaxParameters) {
    return configuration_error(
        fmt::format("model.parameters must be in [1, {}], got {}", ParameterSpec::kMaxParameters, parameters));
  }
  TRIBUTARY_ASSIGN_OR_RETURN(auto spec,
                             ParameterSpec::create({{"echo.weight", {static_cast<std::int64_t>(parameters)}}}));
  return std::unique_ptr<TrainerFactory>(std::make_unique<EchoTrainerFactory>(std::move(spec)));
}

}  // namespace tributary
