// SPDX-License-Identifier: Apache-2.0
// Trainers without a tensor library, whose results can be known in advance.
#pragma once

#include <chrono>
#include <cmath>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <set>
#include <span>
#include <thread>
#include <vector>

#include "tributary/base/random.hpp"
#include "tributary/base/weight.hpp"
#include "tributary/nodes/trainer.hpp"

namespace tributary::testing {

// Any function of (task, base) as a trainer.
class FunctionTrainerFactory final : public TrainerFactory {
 public:
  using Function = std::function<Result<TrainOutcome>(const TrainTask&)>;
  using Measure = std::function<Result<Evaluation>(std::span<const float> model, std::uint32_t part)>;
  using MeasureAtClient = std::function<Result<Evaluation>(const EvaluateTask&)>;

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
    return std::unique_ptr<Trainer>(std::make_unique<FunctionTrainer>(function_, measure_, measure_at_client_));
  }
  [[nodiscard]] std::uint64_t holdout_samples(ClientIndex client) const override {
    return held_out_ ? held_out_(client) : 0;
  }
  [[nodiscard]] bool honours_drift() const override { return honours_drift_; }
  void set_honours_drift() { honours_drift_ = true; }
  void set_measure(Measure measure) { measure_ = std::move(measure); }
  void set_holdout(std::function<std::uint64_t(ClientIndex)> samples, MeasureAtClient measure) {
    held_out_ = std::move(samples);
    measure_at_client_ = std::move(measure);
  }

 private:
  class FunctionTrainer final : public Trainer {
   public:
    FunctionTrainer(Function function, Measure measure, MeasureAtClient measure_at_client)
        : function_(std::move(function)),
          measure_(std::move(measure)),
          measure_at_client_(std::move(measure_at_client)) {}
    Result<TrainOutcome> train(const TrainTask& task) override { return function_(task); }
    Result<Evaluation> evaluate(std::span<const float> model, std::uint32_t part, std::uint32_t /*parts*/) override {
      return measure_ ? measure_(model, part) : unsupported("nothing to evaluate on");
    }
    Result<Evaluation> evaluate_client(const EvaluateTask& task) override {
      return measure_at_client_ ? measure_at_client_(task) : Trainer::evaluate_client(task);
    }

   private:
    Function function_;
    Measure measure_;
    MeasureAtClient measure_at_client_;
  };

  ParameterSpec spec_;
  Function function_;
  Measure measure_;
  MeasureAtClient measure_at_client_;
  std::function<std::uint64_t(ClientIndex)> held_out_;
  std::function<double(ClientIndex)> weight_;
  bool honours_drift_ = false;
};

// Clients and rounds, from any thread.
class TaskSet {
 public:
  // False if it is in already.
  bool insert(const TrainTask& task) {
    const std::lock_guard lock(mutex_);
    return tasks_.insert({task.client.value, task.round.value}).second;
  }

 private:
  std::mutex mutex_;
  std::set<std::pair<std::uint32_t, std::uint64_t>> tasks_;
};

// Whether failing_at_first() lets this task fail: about a quarter of clients and rounds.
inline bool fails_at_first(std::uint64_t seed, ClientIndex client, Round round) {
  return stream_seed(seed, Purpose::kTest, client.value, round.value) % 4 == 0;
}

// Fails the first time that a client is asked in a round, if fails_at_first().
inline FunctionTrainerFactory::Function failing_at_first(FunctionTrainerFactory::Function function,
                                                         std::uint64_t seed) {
  auto asked = std::make_shared<TaskSet>();
  return [function = std::move(function), asked, seed](const TrainTask& task) -> Result<TrainOutcome> {
    if (fails_at_first(seed, task.client, task.round) && asked->insert(task)) { return unavailable("not yet"); }
    return function(task);
  };
}

// Keeps its thread busy, as a long training does, until the task is cancelled or `longest` has passed. True: cancelled.
inline bool busy_until_cancelled(const TrainTask& task, std::chrono::nanoseconds longest) {
  const auto end = std::chrono::steady_clock::now() + longest;
  while (std::chrono::steady_clock::now() < end) {
    if (task.cancel != nullptr && task.cancel->load()) { return true; }
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return false;
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
inline FunctionTrainerFactory roll_call(
    std::size_t clients, const std::function<FunctionTrainerFactory::Function(FunctionTrainerFactory::Function)>& wrap =
                             [](auto f) { return f; }) {
  return FunctionTrainerFactory(
      clients, wrap([](const TrainTask& task) -> Result<TrainOutcome> {
        auto model = std::make_shared<std::vector<float>>(*task.base);
        (*model)[task.client.value] += 1.0F;
        return TrainOutcome{.model = std::move(model), .weight = 1.0, .samples = 1, .steps = 1, .metrics = {}};
      }));
}

// How often each client of a roll_call() was counted in the round that made `after` of `before`.
inline std::vector<int> counted(const std::vector<float>& before, const std::vector<float>& after, Weight weight) {
  std::vector<int> times(after.size());
  for (std::size_t client = 0; client < after.size(); ++client) {
    const double moved = static_cast<double>(after[client]) - static_cast<double>(before[client]);
    times[client] = static_cast<int>(std::lround(moved * weight.value()));
  }
  return times;
}

}  // namespace tributary::testing
