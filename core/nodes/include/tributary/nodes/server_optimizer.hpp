// SPDX-License-Identifier: Apache-2.0
// How a committed aggregate moves the model, at the one tier where it is applied.
//
// Life cycle: for each commit, step() for consecutive parts of the trainable tensors, each part once.
// Threads:    not thread-safe.
// A mean of zero must leave the model unchanged, bit for bit.
#pragma once

#include <cstddef>
#include <span>

namespace tributary {

class ServerOptimizer {
 public:
  virtual ~ServerOptimizer() = default;

  // Moves `model`, which starts at value `offset` of the whole, by the mean change of the clients (model minus base).
  virtual void step(std::size_t offset, std::span<const double> mean, std::span<float> model) = 0;
};

}  // namespace tributary
