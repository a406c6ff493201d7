// SPDX-License-Identifier: Apache-2.0
// A trainer library as a user writes it, with a second trainer that throws everywhere.
#include <stdexcept>
#include <string>
#include <utility>

#include "tributary/training/library_trainer.hpp"

namespace {

using namespace tributary;  // NOLINT(google-build-using-namespace): what a user would write

class Adder final : public Trainer {
 public:
  explicit Adder(float step) : step_(step) {}
  Result<TrainOutcome> train(const TrainTask& task) override {
    std::vector<float> values = *task.base;
    for (float& value : values) { value += step_; }
    TrainOutcome outcome;
    outcome.model = std::make_shared<const std::vector<float>>(std::move(values));
    outcome.weight = 2.0;
    return outcome;
  }
  Result<Evaluation> evaluate(std::span<const float> /*model*/, std::uint32_t /*part*/,
                              std::uint32_t /*parts*/) override {
    throw std::runtime_error("thrown across the boundary");
  }

 private:
  float step_;
};

class AdderFactory final : public TrainerFactory {
 public:
  AdderFactory(float step, std::string bound)
      : spec_(ParameterSpec::create({{"x", {3}}}).value()), step_(step), bound_(std::move(bound)) {}
  [[nodiscard]] const ParameterSpec& spec() const noexcept override { return spec_; }
  [[nodiscard]] Result<std::vector<float>> initial_model(std::uint64_t /*seed*/) const override {
    return std::vector<float>(3);
  }
  [[nodiscard]] double weight_bound(ClientIndex /*client*/) const override {
    if (bound_ == "throw") { throw std::runtime_error("no bound is known"); }
    return std::stod(bound_);
  }
  [[nodiscard]] Result<std::unique_ptr<Trainer>> create() const override {
    if (step_ == 0.0F) { throw 7; }
    return std::unique_ptr<Trainer>(std::make_unique<Adder>(step_));
  }

 private:
  ParameterSpec spec_;
  float step_;
  std::string bound_;
};

}  // namespace

TRIBUTARY_TRAINER_LIBRARY(registry) {
  const auto make = [](const TrainerContext& context) -> Result<std::unique_ptr<TrainerFactory>> {
    const auto& options = context.configuration.trainer.options;
    const auto step = options.find("step");
    return std::unique_ptr<TrainerFactory>(std::make_unique<AdderFactory>(
        step == options.end() ? 1.0F : std::stof(step->second), options.contains("bound") ? options.at("bound") : "2"));
  };
  static_cast<void>(registry.add("adder", make, "adds a step to every value"));
#ifdef TRIBUTARY_TEST_TWO_TRAINERS
  static_cast<void>(registry.add("another", make, "the same again"));
#endif
}
