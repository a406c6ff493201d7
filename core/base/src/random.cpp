// SPDX-License-Identifier: Apache-2.0
#include "tributary/base/random.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <numbers>
#include <numeric>
#include <unordered_set>

namespace tributary {
namespace {

std::uint64_t splitmix64(std::uint64_t& state) noexcept {
  state += 0x9E3779B97F4A7C15U;
  std::uint64_t z = state;
  z = (z ^ (z >> 30U)) * 0xBF58476D1CE4E5B9U;
  z = (z ^ (z >> 27U)) * 0x94D049BB133111EBU;
  return z ^ (z >> 31U);
}

}  // namespace

std::uint64_t stream_seed(std::uint64_t run_seed, Purpose purpose, std::uint64_t a, std::uint64_t b,
                          std::uint64_t c) noexcept {
  std::uint64_t state = run_seed;
  std::uint64_t seed = splitmix64(state);
  for (const std::uint64_t part : {static_cast<std::uint64_t>(purpose), a, b, c}) {
    state = seed ^ (part + 0xD1B54A32D192ED03U);
    seed = splitmix64(state) ^ std::rotl(seed, 23);
  }
  return seed;
}

Rng::Rng(std::uint64_t seed) noexcept : state_{} {
  for (std::uint64_t& word : state_) { word = splitmix64(seed); }
}

std::uint64_t Rng::operator()() noexcept {
  const std::uint64_t result = std::rotl(state_[1] * 5, 7) * 9;
  const std::uint64_t t = state_[1] << 17U;
  state_[2] ^= state_[0];
  state_[3] ^= state_[1];
  state_[1] ^= state_[2];
  state_[0] ^= state_[3];
  state_[2] ^= t;
  state_[3] = std::rotl(state_[3], 45);
  return result;
}

std::uint64_t Rng::below(std::uint64_t bound) noexcept {
  __extension__ using Wide = unsigned __int128;
  Wide product = static_cast<Wide>((*this)()) * bound;
  auto low = static_cast<std::uint64_t>(product);
  if (low < bound) {
    const std::uint64_t threshold = (0 - bound) % bound;
    while (low < threshold) {
      product = static_cast<Wide>((*this)()) * bound;
      low = static_cast<std::uint64_t>(product);
    }
  }
  return static_cast<std::uint64_t>(product >> 64U);
}

double Rng::uniform() noexcept {
  return static_cast<double>((*this)() >> 11U) * 0x1.0p-53;
}

double Rng::normal() noexcept {
  const double radius = std::sqrt(-2.0 * std::log(1.0 - uniform()));
  return radius * std::cos(2.0 * std::numbers::pi * uniform());
}

double Rng::exponential() noexcept {
  return -std::log(1.0 - uniform());
}

// Marsaglia and Tsang (2000) for shape >= 1; below it, log Gamma(a) = log Gamma(a + 1) + log(U) / a.
double Rng::log_gamma_draw(double shape) noexcept {
  double boost = 0.0;
  if (shape < 1.0) {
    boost = std::log(1.0 - uniform()) / shape;
    shape += 1.0;
  }
  const double d = shape - 1.0 / 3.0;
  const double c = 1.0 / std::sqrt(9.0 * d);
  for (;;) {
    const double x = normal();
    const double root = 1.0 + c * x;
    if (root <= 0.0) { continue; }
    const double v = root * root * root;
    if (std::log(1.0 - uniform()) < 0.5 * x * x + d - d * v + d * std::log(v)) { return std::log(d * v) + boost; }
  }
}

std::vector<double> Rng::dirichlet(std::span<const double> concentration) {
  std::vector<double> draw;
  draw.reserve(concentration.size());
  for (const double shape : concentration) { draw.push_back(log_gamma_draw(shape)); }
  const double top = draw.empty() ? 0.0 : *std::max_element(draw.begin(), draw.end());
  double sum = 0.0;
  for (double& value : draw) { sum += value = std::exp(value - top); }
  for (double& value : draw) { value /= sum; }
  return draw;
}

std::vector<std::uint32_t> Rng::sample_without_replacement(std::uint32_t population, std::uint32_t count) {
  std::vector<std::uint32_t> sample;
  if (count >= population) {
    sample.resize(population);
    std::iota(sample.begin(), sample.end(), 0U);
    return sample;
  }
  sample.reserve(count);
  std::unordered_set<std::uint32_t> seen;
  seen.reserve(count);
  for (std::uint32_t j = population - count; j < population; ++j) {
    const auto candidate = static_cast<std::uint32_t>(below(std::uint64_t{j} + 1));
    const std::uint32_t chosen = seen.insert(candidate).second ? candidate : j;
    if (chosen == j) { seen.insert(j); }
    sample.push_back(chosen);
  }
  std::sort(sample.begin(), sample.end());
  return sample;
}

}  // namespace tributary
