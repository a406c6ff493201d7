// SPDX-License-Identifier: Apache-2.0
#include "exact_kernels.hpp"

#include <algorithm>
#include <atomic>
#include <bit>
#include <type_traits>
#include <vector>

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

[[gnu::always_inline]] inline std::uint64_t largest_body(const std::int64_t* values, std::size_t count) {
  std::int64_t low = 0;
  std::int64_t high = 0;
  for (std::size_t i = 0; i < count; ++i) {
    low = std::min(low, values[i]);
    high = std::max(high, values[i]);
  }
  return std::max(static_cast<std::uint64_t>(high), 0U - static_cast<std::uint64_t>(low));
}

// Stands for the high part where there is none.
struct NoHigh {};

// Adds term(i) to each sum. The carry is found by comparing, since a 64-bit number put together from both parts, added
// to and taken apart again costs a fifth more.
template <typename High, typename Term>
[[gnu::always_inline]] inline void add_body(std::uint32_t* __restrict low, High* __restrict high, std::size_t count,
                                            Term term) {
  for (std::size_t i = 0; i < count; ++i) {
    const std::int64_t value = term(i);
    const auto low_part = static_cast<std::uint32_t>(value);
    const std::uint32_t sum = low[i] + low_part;
    low[i] = sum;
    if constexpr (!std::is_same_v<High, NoHigh>) {
      const std::int32_t carry = sum < low_part ? 1 : 0;
      high[i] = static_cast<High>(static_cast<std::int32_t>(high[i]) + static_cast<std::int32_t>(value >> 32) + carry);
    }
  }
}

template <typename High>
[[gnu::always_inline]] inline void add_floats_body(std::uint32_t* low, void* high, const float* __restrict values,
                                                   double factor, const double* __restrict dither, std::size_t count) {
  add_body(low, static_cast<High*>(high), count, [&](std::size_t i) __attribute__((always_inline)) {
    return round_to_integer(static_cast<double>(values[i]) * factor + dither[i]);
  });
}

template <typename High>
[[gnu::always_inline]] inline void add_integers_body(std::uint32_t* low, void* high,
                                                     const std::int64_t* __restrict terms, std::size_t count) {
  add_body(low, static_cast<High*>(high), count,
           [&](std::size_t i) __attribute__((always_inline)) { return terms[i]; });
}

template <typename High>
[[gnu::always_inline]] inline void expand_body(const std::uint32_t* __restrict low, const void* high_part,
                                               std::int64_t* __restrict out, std::size_t count) {
  const auto* const high = static_cast<const High*>(high_part);
  for (std::size_t i = 0; i < count; ++i) {
    if constexpr (std::is_same_v<High, NoHigh>) {
      out[i] = static_cast<std::int32_t>(low[i]);
    } else {
      out[i] = (static_cast<std::int64_t>(high[i]) << 32) | static_cast<std::int64_t>(low[i]);
    }
  }
}

#define TRIBUTARY_FOR_HIGH(suffix, attribute, High)                                                                 \
  attribute void add_floats_##High##_##suffix(std::uint32_t* l, void* h, const float* v, double f, const double* d, \
                                              std::size_t n) {                                                      \
    add_floats_body<High>(l, h, v, f, d, n);                                                                        \
  }                                                                                                                 \
  attribute void add_integers_##High##_##suffix(std::uint32_t* l, void* h, const std::int64_t* t, std::size_t n) {  \
    add_integers_body<High>(l, h, t, n);                                                                            \
  }                                                                                                                 \
  attribute void expand_##High##_##suffix(const std::uint32_t* l, const void* h, std::int64_t* o, std::size_t n) {  \
    expand_body<High>(l, h, o, n);                                                                                  \
  }

#define TRIBUTARY_EXACT_KERNELS(suffix, attribute)                                                                 \
  attribute std::uint32_t largest_bits_##suffix(const float* v, std::size_t n) {                                   \
    return largest_bits_body(v, n);                                                                                \
  }                                                                                                                \
  attribute std::uint64_t largest_##suffix(const std::int64_t* v, std::size_t n) {                                 \
    return largest_body(v, n);                                                                                     \
  }                                                                                                                \
  TRIBUTARY_FOR_HIGH(suffix, attribute, NoHigh)                                                                    \
  TRIBUTARY_FOR_HIGH(suffix, attribute, Byte)                                                                      \
  TRIBUTARY_FOR_HIGH(suffix, attribute, Short)                                                                     \
  TRIBUTARY_FOR_HIGH(suffix, attribute, Word)                                                                      \
  constexpr ExactKernels kKernels_##suffix{                                                                        \
      #suffix,                                                                                                     \
      largest_bits_##suffix,                                                                                       \
      largest_##suffix,                                                                                            \
      {add_floats_NoHigh_##suffix, add_floats_Byte_##suffix, add_floats_Short_##suffix, add_floats_Word_##suffix}, \
      {add_integers_NoHigh_##suffix, add_integers_Byte_##suffix, add_integers_Short_##suffix,                      \
       add_integers_Word_##suffix},                                                                                \
      {expand_NoHigh_##suffix, expand_Byte_##suffix, expand_Short_##suffix, expand_Word_##suffix}};

using Byte = std::int8_t;
using Short = std::int16_t;
using Word = std::int32_t;

TRIBUTARY_EXACT_KERNELS(portable, )
#if defined(__x86_64__)
TRIBUTARY_EXACT_KERNELS(avx2, [[gnu::target("avx2")]])
TRIBUTARY_EXACT_KERNELS(avx512, [[gnu::target("avx512f,avx512dq,avx512vl,avx512bw,prefer-vector-width=512")]])
#endif

#undef TRIBUTARY_EXACT_KERNELS
#undef TRIBUTARY_FOR_HIGH

std::vector<const ExactKernels*> find_supported() {
  std::vector<const ExactKernels*> found{&kKernels_portable};
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx2")) { found.push_back(&kKernels_avx2); }
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
      __builtin_cpu_supports("avx512bw")) {
    found.push_back(&kKernels_avx512);
  }
#endif
  return found;
}

std::atomic<const ExactKernels*>& chosen() {
  static std::atomic<const ExactKernels*> kernels{supported_exact_kernels().back()};
  return kernels;
}

}  // namespace

std::span<const ExactKernels* const> supported_exact_kernels() {
  static const std::vector<const ExactKernels*> kFound = find_supported();
  return kFound;
}

const ExactKernels& exact_kernels() {
  return *chosen().load(std::memory_order_relaxed);
}

void choose_exact_kernels(const ExactKernels& kernels) {
  chosen().store(&kernels, std::memory_order_relaxed);
}

}  // namespace tributary::internal
