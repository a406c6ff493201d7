// SPDX-License-Identifier: Apache-2.0
// How a committed aggregate moves the model, at the one tier where it is applied: the mean change of the clients is
// taken for a gradient (turned round), as in "Adaptive Federated Optimization", arXiv 2003.00295.
//
// Life cycle: restore() once, if a run is resumed; then for each commit begin(), and step() for consecutive parts of
//             the trainable tensors, each part once. save() between commits.
// Threads:    not thread-safe.
// A commit whose round was abandoned never comes here, and changes no state.
#pragma once

#include <cstddef>
#include <span>

#include "tributary/base/status.hpp"
#include "tributary/nodes/snapshot.hpp"

namespace tributary {

// What an optimizer is made from. Which of it an optimizer obeys is the optimizer's affair.
struct ServerOptimizerSettings {
  double lr = 1.0;           // > 0
  double momentum = 0.9;     // [0, 1)
  double beta1 = 0.9;        // [0, 1)
  double beta2 = 0.99;       // [0, 1)
  double adaptivity = 1e-3;  // > 0
};

class ServerOptimizer {
 public:
  virtual ~ServerOptimizer() = default;

  // The model has `parameters` values, the same number each time.
  virtual void begin(std::size_t /*parameters*/) {}
  // Moves `model`, which starts at value `offset` of the whole, by the mean change of the clients (model minus base).
  // An optimizer without a state leaves the model as it is, bit for bit, where the mean is zero.
  virtual void step(std::size_t offset, std::span<const double> mean, std::span<float> model) = 0;

  // All that the next commit depends on; empty for one without a state, and before the first commit.
  [[nodiscard]] virtual Snapshot save() { return {}; }
  // After at least one commit. kBadData: not what save() gave for a model of so many parameters.
  virtual Status restore(const Snapshot& snapshot, std::size_t parameters);
};

}  // namespace tributary
