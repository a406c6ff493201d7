// SPDX-License-Identifier: Apache-2.0
// A trainer for the program `tributary`, as a shared library: it brings its own data and needs no libtorch.
//
// Build:  cmake -S examples -B build/examples -G Ninja -DCMAKE_PREFIX_PATH=$HOME/.local
//         cmake --build build/examples
// Run:    library=$PWD/build/examples/mean_trainer.so
//         tributary run examples/02_trainer_library/federation.yaml --set trainer.library=$library
// Output: a run directory whose model.safetensors holds the clients' mean, 3.5
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "tributary/training/library_trainer.hpp"

namespace {

using tributary::Result;

// Client c holds the number c.
class MeanTrainer final : public tributary::Trainer {
 public:
  Result<tributary::TrainOutcome> train(const tributary::TrainTask& task) override {
    tributary::TrainOutcome outcome;
    outcome.model = std::make_shared<std::vector<float>>(1, static_cast<float>(task.client.value));
    outcome.weight = 1.0;
    outcome.samples = 1;
    outcome.steps = 1;
    return outcome;
  }

  Result<tributary::Evaluation> evaluate(std::span<const float> /*model*/, std::uint32_t /*part*/,
                                         std::uint32_t /*parts*/) override {
    return tributary::unsupported("there is no held-out data");
  }
};

class MeanTrainerFactory final : public tributary::TrainerFactory {
 public:
  const tributary::ParameterSpec& spec() const noexcept override { return spec_; }
  Result<std::vector<float>> initial_model(std::uint64_t /*seed*/) const override { return std::vector<float>{0.0F}; }
  double weight_bound(tributary::ClientIndex /*client*/) const override { return 1.0; }
  Result<std::unique_ptr<tributary::Trainer>> create() const override {
    return std::unique_ptr<tributary::Trainer>(std::make_unique<MeanTrainer>());
  }

 private:
  tributary::ParameterSpec spec_ = tributary::ParameterSpec::create({{"mean", {1}}}).value();
};

Result<std::unique_ptr<tributary::TrainerFactory>> make_mean(const tributary::TrainerContext& /*context*/) {
  return std::unique_ptr<tributary::TrainerFactory>(std::make_unique<MeanTrainerFactory>());
}

}  // namespace

TRIBUTARY_TRAINER_LIBRARY(registry) {
  // The name is new to a registry that has just been made for this library.
  [[maybe_unused]] const tributary::Status added = registry.add("mean", make_mean, "the mean of the clients' numbers");
}
