// SPDX-License-Identifier: Apache-2.0
// SGD, Adam and AdamW over one flat vector, equal to torch::optim's, with the drift of a method and clipping by norm.
//
// One pass over the values per step, whatever the number of tensors.
// Threads: one thread at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "tributary/config/configuration.hpp"
#include "tributary/nodes/trainer.hpp"

namespace tributary::internal {

// One trainable tensor within the flat vector.
struct TensorPart {
  std::size_t offset = 0;
  std::size_t length = 0;
  bool reached = false;  // a gradient has come since the gradients were last set to zero
};

class Optimizer {
 public:
  virtual ~Optimizer() = default;

  // Forgets momenta and step counts. `base`: what the drift pulls towards, the trainable values first; alive until the
  // last step().
  virtual void begin(std::span<const float> base, const Drift& drift) = 0;

  // Leaves tensors alone that no gradient has reached, whatever the decay, pull or momentum. May overwrite the
  // gradients.
  virtual void step(double lr) = 0;
};

// Consecutive values that are stepped alike.
struct StepRun {
  std::size_t offset = 0;
  std::size_t length = 0;
  std::uint64_t steps = 0;  // of these values, this one included
};

// Counts the steps of each tensor and says what the next step covers: one run as long as every tensor takes part.
class StepPlan {
 public:
  // `parts` lie end to end and cover `values`; none: every value takes part in every step. They outlive the plan.
  StepPlan(std::size_t values, std::span<const TensorPart> parts);

  void begin();
  // Valid until the next call.
  [[nodiscard]] std::span<const StepRun> next();

 private:
  std::size_t values_;
  std::span<const TensorPart> parts_;
  std::vector<std::uint64_t> steps_;
  std::vector<StepRun> runs_;
};

// `values` and `gradients` are the trainable ones, of equal length, and outlive the optimizer. `parts`: see StepPlan.
[[nodiscard]] std::unique_ptr<Optimizer> make_host_optimizer(const OptimizerConfig& config, std::span<float> values,
                                                             std::span<float> gradients,
                                                             std::span<const TensorPart> parts = {});

// The learning rate of a round (from 1) out of `rounds`.
[[nodiscard]] double learning_rate(const OptimizerConfig& config, std::uint64_t round, std::uint64_t rounds);

}  // namespace tributary::internal
