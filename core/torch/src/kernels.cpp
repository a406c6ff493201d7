// SPDX-License-Identifier: Apache-2.0
#include "kernels.hpp"

#include <cstring>

namespace tributary::internal {
namespace {

constexpr std::size_t kLanes = 32;

[[gnu::always_inline]] inline float dot(const float* __restrict x, const float* __restrict w, std::size_t count) {
  float lanes[kLanes] = {};
  std::size_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    for (std::size_t l = 0; l < kLanes; ++l) { lanes[l] += x[i + l] * w[i + l]; }
  }
  for (std::size_t l = 0; i + l < count; ++l) { lanes[l] += x[i + l] * w[i + l]; }
  for (std::size_t width = kLanes / 2; width > 0; width /= 2) {
    for (std::size_t l = 0; l < width; ++l) { lanes[l] += lanes[l + width]; }
  }
  return lanes[0];
}

[[gnu::always_inline]] inline void forward_body(const float* x, const float* weights, const float* bias,
                                                std::size_t inputs, std::size_t classes, float* logits) {
  for (std::size_t c = 0; c < classes; ++c) { logits[c] = bias[c] + dot(x, weights + c * inputs, inputs); }
}

[[gnu::always_inline]] inline void backward_body(const float* __restrict x, const float* __restrict delta,
                                                 std::size_t inputs, std::size_t classes, float* __restrict gradient) {
  for (std::size_t c = 0; c < classes; ++c) {
    const float factor = delta[c];
    float* const __restrict row = gradient + c * inputs;
    for (std::size_t k = 0; k < inputs; ++k) { row[k] += factor * x[k]; }
  }
}

[[gnu::always_inline]] inline void widen_body(const std::uint8_t* __restrict bytes, float scale, float offset,
                                              std::size_t count, float* __restrict out) {
  for (std::size_t i = 0; i < count; ++i) { out[i] = static_cast<float>(bytes[i]) * scale + offset; }
}

// Four values at once, which every processor has; written out because no compiler finds its way through the choices.
using Floats [[gnu::vector_size(16)]] = float;
using Integers [[gnu::vector_size(16)]] = std::int32_t;
constexpr std::size_t kFour = 4;

[[gnu::always_inline]] inline void pool_forward_body(const float* __restrict top, const float* __restrict bottom,
                                                     std::size_t width, float* __restrict out,
                                                     std::int32_t* __restrict winner) {
  const auto windows = [&](std::size_t count) {
    Floats parts[4] = {};
    std::memcpy(&parts[0], top, 2 * count * sizeof(float));
    std::memcpy(&parts[2], bottom, 2 * count * sizeof(float));
    // x != x holds for NaN alone.
    const Floats a = __builtin_shufflevector(parts[0], parts[1], 0, 2, 4, 6);
    const Floats b = __builtin_shufflevector(parts[0], parts[1], 1, 3, 5, 7);
    const Floats c = __builtin_shufflevector(parts[2], parts[3], 0, 2, 4, 6);
    const Floats d = __builtin_shufflevector(parts[2], parts[3], 1, 3, 5, 7);
    const Integers second = (b > a) | (b != b);
    const Floats upper = second ? b : a;
    const Integers fourth = (d > c) | (d != d);
    const Floats lower = fourth ? d : c;
    const Integers below = (lower > upper) | (lower != lower);
    const Floats best = below ? lower : upper;
    const Integers who = below ? (fourth & 1) + 2 : second & 1;
    const Integers none = best <= Floats{};
    const Floats value = none ? Floats{} : best;
    const Integers through = none ? Integers{4, 4, 4, 4} : who;
    std::memcpy(out, &value, count * sizeof(float));
    std::memcpy(winner, &through, count * sizeof(std::int32_t));
    top += 2 * count;
    bottom += 2 * count;
    out += count;
    winner += count;
  };
  std::size_t left = width;
  for (; left >= kFour; left -= kFour) { windows(kFour); }
  if (left > 0) { windows(left); }
}

[[gnu::always_inline]] inline void pool_backward_body(const float* __restrict gradient,
                                                      const std::int32_t* __restrict winner, std::size_t width,
                                                      float* __restrict top, float* __restrict bottom) {
  const auto windows = [&](std::size_t count) {
    Floats g{};
    Integers who{};
    std::memcpy(&g, gradient, count * sizeof(float));
    std::memcpy(&who, winner, count * sizeof(std::int32_t));
    const Floats a = who == 0 ? g : Floats{};
    const Floats b = who == 1 ? g : Floats{};
    const Floats c = who == 2 ? g : Floats{};
    const Floats d = who == 3 ? g : Floats{};
    const Floats upper[2] = {__builtin_shufflevector(a, b, 0, 4, 1, 5), __builtin_shufflevector(a, b, 2, 6, 3, 7)};
    const Floats lower[2] = {__builtin_shufflevector(c, d, 0, 4, 1, 5), __builtin_shufflevector(c, d, 2, 6, 3, 7)};
    std::memcpy(top, upper, 2 * count * sizeof(float));
    std::memcpy(bottom, lower, 2 * count * sizeof(float));
    gradient += count;
    winner += count;
    top += 2 * count;
    bottom += 2 * count;
  };
  std::size_t left = width;
  for (; left >= kFour; left -= kFour) { windows(kFour); }
  if (left > 0) { windows(left); }
}

#define TRIBUTARY_KERNELS(suffix, attribute)                                                                          \
  attribute void forward_##suffix(const float* x, const float* w, const float* b, std::size_t n, std::size_t classes, \
                                  float* logits) {                                                                    \
    forward_body(x, w, b, n, classes, logits);                                                                        \
  }                                                                                                                   \
  attribute void backward_##suffix(const float* x, const float* delta, std::size_t n, std::size_t classes,            \
                                   float* gradient) {                                                                 \
    backward_body(x, delta, n, classes, gradient);                                                                    \
  }                                                                                                                   \
  attribute void widen_##suffix(const std::uint8_t* bytes, float scale, float offset, std::size_t n, float* out) {    \
    widen_body(bytes, scale, offset, n, out);                                                                         \
  }                                                                                                                   \
  attribute void pool_forward_##suffix(const float* top, const float* bottom, std::size_t n, float* out,              \
                                       std::int32_t* who) {                                                           \
    pool_forward_body(top, bottom, n, out, who);                                                                      \
  }                                                                                                                   \
  attribute void pool_backward_##suffix(const float* g, const std::int32_t* who, std::size_t n, float* top,           \
                                        float* bottom) {                                                              \
    pool_backward_body(g, who, n, top, bottom);                                                                       \
  }                                                                                                                   \
  constexpr Kernels kKernels_##suffix{forward_##suffix, backward_##suffix, pool_forward_##suffix,                     \
                                      pool_backward_##suffix, widen_##suffix};

TRIBUTARY_KERNELS(portable, )
#if defined(__x86_64__)
TRIBUTARY_KERNELS(avx2, [[gnu::target("avx2")]])
#endif

#undef TRIBUTARY_KERNELS

}  // namespace

const Kernels& portable_kernels() {
  return kKernels_portable;
}

const Kernels& best_kernels() {
#if defined(__x86_64__)
  static const bool kHasAvx2 = __builtin_cpu_supports("avx2") != 0;
  return kHasAvx2 ? kKernels_avx2 : kKernels_portable;
#else
  return kKernels_portable;
#endif
}

}  // namespace tributary::internal
