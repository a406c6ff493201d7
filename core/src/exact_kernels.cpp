// SPDX-License-Identifier: Apache-2.0
#include "exact_kernels.hpp"

#include <algorithm>
#include <bit>
#include <cmath>

namespace tributary::internal {
namespace {

// Adding 1.5 * 2^52 moves a number below 2^51 so that its last mantissa bit is worth 1: the addition itself rounds to
// nearest even, and the integer is what is left after the constant's own bits are taken away. Unlike a conversion
// instruction this works on vectors of every processor, for 64-bit integers too.
constexpr double kMagic = 0x1.8p52;

[[gnu::always_inline]] inline std::int64_t round_to_integer(double value) {
  return std::bit_cast<std::int64_t>(value + kMagic) - std::bit_cast<std::int64_t>(kMagic);
}

[[gnu::always_inline]] inline std::uint32_t largest_bits_body(const float* values, std::size_t count) {
  std::uint32_t largest = 0;
  for (std::size_t i = 0; i < count; ++i) {
    largest = std::max(largest, std::bit_cast<std::uint32_t>(values[i]) & 0x7FFFFFFFU);
  }
  return largest;
}

[[gnu::always_inline]] inline std::uint32_t largest_narrow_body(const std::int32_t* values, std::size_t count) {
  std::int32_t low = 0;
  std::int32_t high = 0;
  for (std::size_t i = 0; i < count; ++i) {
    low = std::min(low, values[i]);
    high = std::max(high, values[i]);
  }
  return std::max(static_cast<std::uint32_t>(high), 0U - static_cast<std::uint32_t>(low));
}

[[gnu::always_inline]] inline std::uint64_t largest_wide_body(const std::int64_t* values, std::size_t count) {
  std::int64_t low = 0;
  std::int64_t high = 0;
  for (std::size_t i = 0; i < count; ++i) {
    low = std::min(low, values[i]);
    high = std::max(high, values[i]);
  }
  return std::max(static_cast<std::uint64_t>(high), 0U - static_cast<std::uint64_t>(low));
}

[[gnu::always_inline]] inline void add_narrow_body(std::int32_t* __restrict sums, const float* __restrict values,
                                                   double factor, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) {
    sums[i] += static_cast<std::int32_t>(round_to_integer(static_cast<double>(values[i]) * factor));
  }
}

[[gnu::always_inline]] inline void add_wide_body(std::int64_t* __restrict sums, const float* __restrict values,
                                                 double factor, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) { sums[i] += round_to_integer(static_cast<double>(values[i]) * factor); }
}

#define TRIBUTARY_EXACT_KERNELS(suffix, attribute)                                                                \
  attribute std::uint32_t largest_bits_##suffix(const float* v, std::size_t n) {                                  \
    return largest_bits_body(v, n);                                                                               \
  }                                                                                                               \
  attribute std::uint32_t largest_narrow_##suffix(const std::int32_t* v, std::size_t n) {                         \
    return largest_narrow_body(v, n);                                                                             \
  }                                                                                                               \
  attribute std::uint64_t largest_wide_##suffix(const std::int64_t* v, std::size_t n) {                           \
    return largest_wide_body(v, n);                                                                               \
  }                                                                                                               \
  attribute void add_narrow_##suffix(std::int32_t* s, const float* v, double f, std::size_t n) {                  \
    add_narrow_body(s, v, f, n);                                                                                  \
  }                                                                                                               \
  attribute void add_wide_##suffix(std::int64_t* s, const float* v, double f, std::size_t n) {                    \
    add_wide_body(s, v, f, n);                                                                                    \
  }                                                                                                               \
  constexpr ExactKernels kKernels_##suffix{largest_bits_##suffix, largest_narrow_##suffix, largest_wide_##suffix, \
                                           add_narrow_##suffix, add_wide_##suffix};

TRIBUTARY_EXACT_KERNELS(portable, )
#if defined(__x86_64__)
TRIBUTARY_EXACT_KERNELS(avx2, [[gnu::target("avx2")]])
TRIBUTARY_EXACT_KERNELS(avx512, [[gnu::target("avx512f,avx512dq,avx512vl,avx512bw,prefer-vector-width=512")]])
#endif

#undef TRIBUTARY_EXACT_KERNELS

}  // namespace

const ExactKernels& portable_exact_kernels() {
  return kKernels_portable;
}

const ExactKernels& exact_kernels() {
#if defined(__x86_64__)
  static const ExactKernels* const kChosen = [] {
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
        __builtin_cpu_supports("avx512bw")) {
      return &kKernels_avx512;
    }
    return __builtin_cpu_supports("avx2") ? &kKernels_avx2 : &kKernels_portable;
  }();
  return *kChosen;
#else
  return kKernels_portable;
#endif
}

}  // namespace tributary::internal
