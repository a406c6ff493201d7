// SPDX-License-Identifier: Apache-2.0
// Tells class labels from the target of a regression, which this program does not train.
//
// The rule (docs/data.md states it for users). Numbers are a regression target if
//   - one of them has a fraction, and they are more than 100 different ones, or at least 10 different ones that occur
//     fewer than 3 times on average; or
//   - all are whole, and they are more than 20 different ones that occur fewer than 3 times on average and leave more
//     than half of the numbers between the least and the greatest unused.
// So whole numbers that count classes without gaps always pass, however many there are and however they are spelled
// (3, 3.0), and so do a few values with a fraction (ratings of 0.5, 1, 1.5 ...).
#pragma once

#include <cstddef>
#include <cstdint>

namespace tributary::internal {

struct LabelFacts {
  std::size_t samples = 0;
  std::size_t values = 0;  // different ones
  bool has_fraction = false;
  double least = 0.0;
  double greatest = 0.0;
};

[[nodiscard]] bool is_regression_target(const LabelFacts& facts) noexcept;

}  // namespace tributary::internal
