// SPDX-License-Identifier: Apache-2.0
// Reproducible randomness for everything but privacy: cohorts, partitions, batches, injected faults.
//
// Streams:  stream_seed(run seed, purpose, a, b, c) names an independent stream; no generator is shared.
// Threads:  one Rng belongs to one thread at a time.
// Portable: the distributions are ours, so a seed gives the same numbers with every standard library.
// Never for noise or keys: those come from the cryptographic generator in privacy/.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

namespace tributary {

// What a stream is for. Never renumber: a seed's results are promised across versions.
enum class Purpose : std::uint32_t {
  kModelInit = 1,
  kPartition = 2,
  kCohort = 3,
  kBatches = 4,
  kFaults = 5,
  kDevice = 6,
  kTest = 7,
  kDraw = 8,
  kTies = 9,
  kAvailability = 10,
  kDropOut = 11,
  kHoldout = 12,
  kEvaluation = 13,
};

[[nodiscard]] std::uint64_t stream_seed(std::uint64_t run_seed, Purpose purpose, std::uint64_t a = 0,
                                        std::uint64_t b = 0, std::uint64_t c = 0) noexcept;

// xoshiro256** (Blackman and Vigna, 2018), seeded through splitmix64.
class Rng {
 public:
  using result_type = std::uint64_t;
  explicit Rng(std::uint64_t seed) noexcept;

  [[nodiscard]] std::uint64_t operator()() noexcept;
  static constexpr std::uint64_t min() noexcept { return 0; }
  static constexpr std::uint64_t max() noexcept { return ~std::uint64_t{0}; }

  // Uniform in [0, bound), without bias (Lemire 2018). bound > 0.
  [[nodiscard]] std::uint64_t below(std::uint64_t bound) noexcept;
  // Uniform in [0, 1), 53 bits.
  [[nodiscard]] double uniform() noexcept;
  [[nodiscard]] bool chance(double probability) noexcept { return uniform() < probability; }
  [[nodiscard]] double normal() noexcept;
  [[nodiscard]] double exponential() noexcept;
  // The logarithm of a Gamma(shape, 1) draw: finite for every shape > 0, where the draw itself would underflow.
  [[nodiscard]] double log_gamma_draw(double shape) noexcept;
  // A draw from Dirichlet(concentration, ...), by softmax of log-gamma draws. Sums to 1, never NaN.
  [[nodiscard]] std::vector<double> dirichlet(std::span<const double> concentration);

  template <typename T>
  void shuffle(std::span<T> items) noexcept {
    for (std::size_t i = items.size(); i > 1; --i) { std::swap(items[i - 1], items[below(i)]); }
  }

  // `count` distinct numbers of [0, population), ascending; cost O(count), never O(population) (Floyd 1987).
  [[nodiscard]] std::vector<std::uint32_t> sample_without_replacement(std::uint32_t population, std::uint32_t count);

  // Where its stream stands, in an archive that is called with values.
  template <typename Archive>
  void persist(Archive& archive) {
    for (std::uint64_t& word : state_) { archive(word); }
  }

 private:
  std::uint64_t state_[4];
};

}  // namespace tributary
