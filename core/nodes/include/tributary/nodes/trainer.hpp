// SPDX-License-Identifier: Apache-2.0
// Turns a model and a task into a trained model: the one interface that most users implement.
//
// A TrainerFactory is made once per process from the configuration; it knows the model's spec and its initial values.
// Each worker thread makes one Trainer from it and gives it task after task, for whichever clients come along: clients
// have no object of their own, so a million registered clients cost nothing until they work.
//
// Threads:     create() and the const members of a factory may be called from any thread. One Trainer is used by one
//              thread at a time, and must not start threads that outlive a call.
// Determinism: the same task must give the same result, bit for bit, in whatever order and on whichever Trainer tasks
//              run. Take randomness from TrainTask::seed alone.
// Errors:      a Status fails this task only; the node decides whether to try again. Exceptions are turned into
//              kInternal.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "tributary/base/ids.hpp"
#include "tributary/base/status.hpp"
#include "tributary/nodes/parameter_spec.hpp"

namespace tributary {

// The values of a model, laid out by its ParameterSpec. Shared because one broadcast model is read by every child that
// works on it; never changed after it is shared.
using ModelValues = std::shared_ptr<const std::vector<float>>;

// Named numbers. Means over the samples they were measured on: "loss", "accuracy".
using Metrics = std::map<std::string, double>;

// What a method adds to the gradient g(x) of trainable tensors in every step of a task:
// g(x) + constant + pull * (x - base). Running statistics have none.
struct Drift {
  ModelValues constant;  // laid out as the model, 0 outside trainable tensors; null: none
  double pull = 0.0;     // FedProx' mu
  // Where a trainer clips gradients: it clips what the data and the pull say, and adds the constant to that. Otherwise
  // it clips all of it together.
  bool constant_after_clipping = false;

  [[nodiscard]] bool none() const noexcept { return constant == nullptr && pull == 0.0; }
};

struct TrainTask {
  ClientIndex client;
  Round round;                  // of the client's parent; with local rounds it runs ahead of the root's
  Round global_round;           // for schedules
  ModelValues base;             // the model to start from; never null
  std::uint64_t seed = 0;       // differs by run, client and round; equal when a task is repeated
  Drift drift;                  // only for trainers whose factory honours it
  bool evaluate_first = false;  // also measure `base` on this client's samples, as metrics "base_loss", "base_accuracy"
  const std::atomic<bool>* cancel = nullptr;  // null, or: return kCancelled soon after it becomes true
};

struct TrainOutcome {
  // The model after training. Returning `task.base` itself means "nothing changed" and copies nothing.
  ModelValues model;
  // What this client counts for in the mean: > 0, usually the number of samples used. See Weight for its range.
  double weight = 0.0;
  std::uint64_t samples = 0;   // samples held
  std::uint64_t steps = 0;     // optimizer steps done
  double learning_rate = 0.0;  // of plain gradient steps, the same for all of them; 0: there was no such
  Metrics metrics;             // "loss": mean training loss; at most 256, names of at most 100 bytes
};

// Measures a model on the samples that one client holds out.
struct EvaluateTask {
  ClientIndex client;
  Round global_round;                         // that made the model
  ModelValues model;                          // never null
  const std::atomic<bool>* cancel = nullptr;  // as TrainTask::cancel
};

struct Evaluation {
  std::uint64_t samples = 0;
  Metrics metrics;  // "loss", "accuracy": means over the samples
};

class Trainer {
 public:
  virtual ~Trainer() = default;

  virtual Result<TrainOutcome> train(const TrainTask& task) = 0;

  // Measures `model` on part `part` of `parts` of the federation's held-out data: consecutive samples, all of them
  // covered once by the parts together, so that several trainers share the work. kUnsupported: there is none.
  virtual Result<Evaluation> evaluate(std::span<const float> model, std::uint32_t part, std::uint32_t parts) = 0;

  // Called for clients of which TrainerFactory::holdout_samples() says that they hold samples out.
  virtual Result<Evaluation> evaluate_client(const EvaluateTask& /*task*/) {
    return unsupported("this trainer does not measure models on samples of single clients");
  }
};

class TrainerFactory {
 public:
  virtual ~TrainerFactory() = default;

  [[nodiscard]] virtual const ParameterSpec& spec() const noexcept = 0;

  // The model a run with this seed starts from; spec().parameters() values.
  [[nodiscard]] virtual Result<std::vector<float>> initial_model(std::uint64_t seed) const = 0;

  // An upper bound of TrainOutcome::weight for one client: the exact sums' scale follows from it.
  // > 0; 0 if this client has no samples and must never be asked.
  [[nodiscard]] virtual double weight_bound(ClientIndex client) const = 0;

  // How many of this client's samples are held out of its training, for Trainer::evaluate_client(); 0: it is never
  // asked to evaluate.
  [[nodiscard]] virtual std::uint64_t holdout_samples(ClientIndex /*client*/) const { return 0; }

  [[nodiscard]] virtual Result<std::unique_ptr<Trainer>> create() const = 0;

  // Whether its trainers add TrainTask::drift to their gradients. Methods that need a drift are refused without.
  [[nodiscard]] virtual bool honours_drift() const { return false; }

  // What a user should know before the first round, one or two sentences each: `plan` and `run` show it.
  [[nodiscard]] virtual std::vector<std::string> warnings() const { return {}; }
};

}  // namespace tributary
