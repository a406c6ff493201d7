// SPDX-License-Identifier: Apache-2.0
// Measures models on the federation's held-out data, with whatever threads a driver has for it.
//
// Threads: one thread calls a ModelEvaluator, but release() may be called on any. A RunningEvaluation belongs to the
//          thread that began it.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <span>

#include "tributary/nodes/trainer.hpp"

namespace tributary {

// A measurement of one model that goes on beside other work.
class RunningEvaluation {
 public:
  virtual ~RunningEvaluation() = default;

  // All is measured; certain once the evaluator is gone.
  [[nodiscard]] virtual bool done() const noexcept = 0;
  // Thread time spent on it so far.
  [[nodiscard]] virtual std::chrono::nanoseconds thread_time() const noexcept = 0;
  // Requires done(). Lets go of the model.
  [[nodiscard]] virtual Result<Evaluation> result() = 0;
};

class ModelEvaluator {
 public:
  virtual ~ModelEvaluator() = default;

  // Measures `model` on all held-out data, shared by all threads. kUnsupported: there is no such data.
  virtual Result<Evaluation> evaluate(std::span<const float> model) = 0;
  // The same, but returns at once: threads measure as they become free.
  virtual std::shared_ptr<RunningEvaluation> begin_evaluation(ModelValues model) = 0;
  // Helps, and waits, until it is done().
  virtual void finish(RunningEvaluation& evaluation) = 0;
  // Lets go of a model on the driver's thread: whoever owns the model there changes it in place once nobody else holds
  // it, and must not do so before the last reading of it elsewhere.
  virtual void release(ModelValues model) = 0;
  // That measure, the caller's own included.
  [[nodiscard]] virtual std::uint32_t threads() const noexcept = 0;
};

}  // namespace tributary
