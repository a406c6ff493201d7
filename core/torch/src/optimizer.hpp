// SPDX-License-Identifier: Apache-2.0
// SGD, Adam and AdamW over one flat vector, equal to torch::optim's, with FedProx' pull and clipping by norm.
//
// One pass over the values per step, whatever the number of tensors.
// Threads: one thread at a time.
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "tributary/core/configuration.hpp"

namespace tributary::internal {

class Optimizer {
 public:
  virtual ~Optimizer() = default;

  // Forgets momenta and step counts. `base` is what FedProx pulls towards: the same length as the trainable values,
  // alive until the last step().
  virtual void begin(std::span<const float> base) = 0;

  // May overwrite the gradients.
  virtual void step(double lr) = 0;
};

// `values` and `gradients` are the trainable ones, of equal length, and outlive the optimizer. mu 0: no pull.
[[nodiscard]] std::unique_ptr<Optimizer> make_host_optimizer(const OptimizerConfig& config, double mu,
                                                             std::span<float> values, std::span<float> gradients);

// The learning rate of a round (from 1) out of `rounds`.
[[nodiscard]] double learning_rate(const OptimizerConfig& config, std::uint64_t round, std::uint64_t rounds);

}  // namespace tributary::internal
