// SPDX-License-Identifier: Apache-2.0
// The two halves of a state. The root's is the sum of all increments that it has counted, each times its client's
// weight: whole numbers on the grid of the sums, so exact as long as they stay below 2^53 steps of it. A client's grows
// by increments on that same grid.
//
// Threads: a StateSum is one node's; on_grid() is pure.
#pragma once

#include <cmath>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "tributary/nodes/local_method.hpp"

namespace tributary::internal {

class StateSum {
 public:
  explicit StateSum(std::string name) : name_(std::move(name)) {}

  void add(std::size_t parameters, const AggregationRule& rule) {
    sum_.resize(parameters, 0.0);
    rule.visit_increments(name_, [this](std::size_t offset, std::span<const double> sums) {
      for (std::size_t i = 0; i < sums.size(); ++i) { sum_[offset + i] += sums[i]; }
    });
  }
  // Empty before the first add().
  [[nodiscard]] const std::vector<double>& values() const noexcept { return sum_; }

  [[nodiscard]] Snapshot save() const {
    Snapshot snapshot;
    if (!sum_.empty()) { snapshot.vectors[name_] = std::make_shared<const std::vector<double>>(sum_); }
    return snapshot;
  }
  Status restore(const Snapshot& snapshot, std::size_t parameters) {
    const Snapshot::Vector sum = snapshot.find(name_);
    if (!sum || snapshot.vectors.size() != 1 || !snapshot.texts.empty() || sum->size() != parameters) {
      return bad_data("the state of the method is not that of this model");
    }
    for (const double value : *sum) {
      if (!std::isfinite(value)) { return bad_data("the state of the method holds a value that is not finite"); }
    }
    sum_ = *sum;
    return {};
  }

 private:
  std::string name_;
  std::vector<double> sum_;
};

// `value` on the grid of steps of 2^-bits: as it is, where it has no smaller parts.
inline float on_grid(double value, int bits) {
  return static_cast<float>(
      std::ldexp(std::nearbyint(std::ldexp(static_cast<double>(static_cast<float>(value)), bits)), -bits));
}

// Gives an update an increment that lies on the grid: beside its change, and as that of the client's state.
inline void set_increment(const std::string& name, std::shared_ptr<const std::vector<float>> increment,
                          ClientUpdate& update) {
  update.state = increment;
  update.increments = {{name, Payload::floats(std::move(increment)), {}}};
}

}  // namespace tributary::internal
