// SPDX-License-Identifier: Apache-2.0
// The inner loops of exact_accumulator.cpp, compiled for several kinds of processor. All variants give the same bits.
//
// A sum is kept in two parts: its low 32 bits, and its high part in 0, 1, 2 or 4 bytes, each part in an array of its
// own. Without a high part the low 32 bits are a signed number.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace tributary::internal {

// Bytes of a high part, by its place in the arrays below.
inline constexpr std::array<std::size_t, 4> kHighBytes{0, 1, 2, 4};

struct ExactKernels {
  const char* name;

  // Largest magnitude among `count` floats, as its bit pattern: above 0x7F7FFFFF if one is not finite.
  std::uint32_t (*largest_bits)(const float* values, std::size_t count);
  // Largest magnitude among `count` integers.
  std::uint64_t (*largest)(const std::int64_t* values, std::size_t count);

  // sums[i] += rint(values[i] * factor + dither[i]). Requires |values[i] * factor| < 2^51, and sums that fit.
  using AddFloats = void (*)(std::uint32_t* low, void* high, const float* values, double factor, const double* dither,
                             std::size_t count);
  std::array<AddFloats, 4> add_floats;
  // sums[i] += terms[i]. Requires sums that fit.
  using AddIntegers = void (*)(std::uint32_t* low, void* high, const std::int64_t* terms, std::size_t count);
  std::array<AddIntegers, 4> add_integers;
  // out[i] = sums[i].
  using Expand = void (*)(const std::uint32_t* low, const void* high, std::int64_t* out, std::size_t count);
  std::array<Expand, 4> expand;
};

// The fastest that the processor can run, unless a test has chosen others.
const ExactKernels& exact_kernels();
// For tests: no sum may be under way in another thread.
void choose_exact_kernels(const ExactKernels& kernels);
// All variants that this processor can run, the portable one first: tests compare them.
std::span<const ExactKernels* const> supported_exact_kernels();

}  // namespace tributary::internal
