// SPDX-License-Identifier: Apache-2.0
// Hot loops (the logistic model, pooling, gathering of batches), compiled for several processors; all give the same
// bits.
//
// Sums run in 32 lanes whatever the vector length, so the order of additions is fixed.
#pragma once

#include <cstddef>
#include <cstdint>

namespace tributary::internal {

struct Kernels {
  // logits[c] = bias[c] + sum over k of weights[c * inputs + k] * x[k]
  void (*forward)(const float* x, const float* weights, const float* bias, std::size_t inputs, std::size_t classes,
                  float* logits);
  // gradient[c * inputs + k] += delta[c] * x[k]
  void (*backward)(const float* x, const float* delta, std::size_t inputs, std::size_t classes, float* gradient);
  // ReLU after 2x2 max pooling of two rows of 2 * width values: the values, and 0 to 3 for the one of the four (row by
  // row, the first of equals) that went through, or 4 where it was not positive. NaN is passed on.
  void (*pool_forward)(const float* top, const float* bottom, std::size_t width, float* out, std::int32_t* winner);
  // Writes both rows' gradients.
  void (*pool_backward)(const float* gradient, const std::int32_t* winner, std::size_t width, float* top,
                        float* bottom);
  // out[i] = bytes[i] * scale + offset
  void (*widen)(const std::uint8_t* bytes, float scale, float offset, std::size_t count, float* out);
};

// The fastest for this processor.
[[nodiscard]] const Kernels& best_kernels();
// What every processor can run; for tests.
[[nodiscard]] const Kernels& portable_kernels();

}  // namespace tributary::internal
