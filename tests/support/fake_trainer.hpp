// SPDX-License-Identifier: Apache-2.0
// Trainers without a tensor library, whose results can be known in advance.
#pragma once

#include <functional>
#include <memory>
#include <set>
#include <vector>

#include "tributary/core/random.hpp"
#include "tributary/core/trainer.hpp"

namespace tributary::testing {

// Any function of (task, base) as a trainer.
class FunctionTrainerFactory final : public TrainerFactory {
 public:
  using Function = std::function<Result<TrainOutcome>(const TrainTask&)>;

  FunctionTrainerFactory(
      std::size_t parameters, Function function,
      std::function<double(ClientIndex)> weight = [](ClientIndex) { return 1.0; })
      : spec_(ParameterSpec::create({{"weight", {static_cast<std::int64_t>(parameters)}}}).value()),
        function_(std::move(function)),
        weight_(std::move(weight)) {}

  [[nodiscard]] const ParameterSpec& spec() const noexcept override { return spec_; }
  [[nodiscard]] Result<std::vector<float>> initial_model(std::uint64_t /*seed*/) const override {
    return std::vector<float>(spec_.parameters(), 0.0F);
  }
  [[nodiscard]] double weight_bound(ClientIndex client) const override { return weight_(client); }
  [[nodiscard]] Result<std::unique_ptr<Trainer>> create() const override {
    return std::unique_ptr<Trainer>(std::make_unique<FunctionTrainer>(function_));
  }

 private:
  class FunctionTrainer final : public Trainer {
   public:
    explicit FunctionTrainer(Function function) : function_(std::move(function)) {}
    Result<TrainOutcome> train(const TrainTask& task) override { return function_(task); }
    Result<Evaluation> evaluate(std::span<const float> /*model*/, std::uint32_t /*part*/,
                                std::uint32_t /*parts*/) override {
      return unsupported("nothing to evaluate on");
    }

   private:
    Function function_;
  };

  ParameterSpec spec_;
  Function function_;
  std::function<double(ClientIndex)> weight_;
};

// Fails the first time that a client is asked in a round, for about a quarter of clients and rounds. One thread only.
inline FunctionTrainerFactory::Function failing_at_first(FunctionTrainerFactory::Function function,
                                                         std::uint64_t seed) {
  auto asked = std::make_shared<std::set<std::pair<std::uint32_t, std::uint64_t>>>();
  return [function = std::move(function), asked, seed](const TrainTask& task) -> Result<TrainOutcome> {
    const bool fails = stream_seed(seed, Purpose::kTest, task.client.value, task.round.value) % 4 == 0;
    if (fails && asked->insert({task.client.value, task.round.value}).second) { return unavailable("not yet"); }
    return function(task);
  };
}

// Pulls the model towards a point of the client's own, with noise of the task's seed: like training, but fast.
inline FunctionTrainerFactory noisy_pull(
    std::size_t parameters,
    const std::function<FunctionTrainerFactory::Function(FunctionTrainerFactory::Function)>& wrap = [](auto f) {
      return f;
    }) {
  const auto weight = [](ClientIndex client) { return 1.0 + client.value % 7; };
  return FunctionTrainerFactory(
      parameters, wrap([weight](const TrainTask& task) -> Result<TrainOutcome> {
        auto model = std::make_shared<std::vector<float>>(*task.base);
        Rng rng(task.seed);
        for (std::size_t i = 0; i < model->size(); ++i) {
          const auto target = static_cast<float>((task.client.value * 31 + i * 17) % 101) * 0.01F;
          (*model)[i] += 0.1F * (target - (*model)[i]) + 0.01F * static_cast<float>(rng.uniform() - 0.5);
        }
        return TrainOutcome{.model = std::move(model),
                            .weight = weight(task.client),
                            .samples = 1,
                            .steps = 1,
                            .metrics = {{"loss", 1.0 / (1.0 + static_cast<double>(task.round.value))}}};
      }),
      weight);
}

// Client c adds 1 to value c: the sum tells who was counted, and how often.
inline FunctionTrainerFactory roll_call(std::size_t clients) {
  return FunctionTrainerFactory(clients, [](const TrainTask& task) -> Result<TrainOutcome> {
    auto model = std::make_shared<std::vector<float>>(*task.base);
    (*model)[task.client.value] += 1.0F;
    return TrainOutcome{.model = std::move(model), .weight = 1.0, .samples = 1, .steps = 1, .metrics = {}};
  });
}

}  // namespace tributary::testing
