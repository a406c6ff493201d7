// SPDX-License-Identifier: Apache-2.0
// The inner loops of exact_accumulator.cpp, compiled for the processor at hand. All variants give the same bits.
#pragma once

#include <cstddef>
#include <cstdint>

namespace tributary::internal {

struct ExactKernels {
  // Largest magnitude among `count` floats, as its bit pattern: above 0x7F7FFFFF if one is not finite.
  std::uint32_t (*largest_bits)(const float* values, std::size_t count);
  // Largest magnitude among `count` integers.
  std::uint32_t (*largest_narrow)(const std::int32_t* values, std::size_t count);
  std::uint64_t (*largest_wide)(const std::int64_t* values, std::size_t count);
  // sums[i] += rint(values[i] * factor). Requires |values[i] * factor| < 2^31, and 2^51 for the wide one.
  void (*add_narrow)(std::int32_t* sums, const float* values, double factor, std::size_t count);
  void (*add_wide)(std::int64_t* sums, const float* values, double factor, std::size_t count);
};

// Chosen once, by what the processor has.
const ExactKernels& exact_kernels();
// The variant without special instructions, for comparison in tests.
const ExactKernels& portable_exact_kernels();

}  // namespace tributary::internal
