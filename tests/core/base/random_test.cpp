// SPDX-License-Identifier: Apache-2.0
#include "tributary/base/random.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <set>
#include <utility>
#include <vector>

namespace tributary {
namespace {

TEST(Random, ASampleHoldsEveryNumberEquallyOften) {
  constexpr int kDraws = 20'000;
  for (const auto& [population, count] : {std::pair{2U, 1U}, {5U, 2U}, {7U, 6U}, {9U, 9U}}) {
    std::vector<int> drawn(population, 0);
    Rng rng(17);
    for (int draw = 0; draw < kDraws; ++draw) {
      const std::vector<std::uint32_t> sample = rng.sample_without_replacement(population, count);
      ASSERT_EQ(std::set<std::uint32_t>(sample.begin(), sample.end()).size(), count);
      for (const std::uint32_t number : sample) { ++drawn.at(number); }
    }
    const double share = static_cast<double>(count) / population;
    // Six standard deviations.
    const double room = 6.0 * std::sqrt(kDraws * share * (1.0 - share)) + 1e-9;
    for (const int times : drawn) { EXPECT_NEAR(times, kDraws * share, room) << count << " of " << population; }
  }
}

TEST(Random, StreamsOfOtherPurposesRoundsAndNodesDiffer) {
  std::set<std::uint64_t> seeds;
  for (const Purpose purpose : {Purpose::kModelInit, Purpose::kPartition, Purpose::kCohort, Purpose::kBatches}) {
    for (std::uint64_t a = 0; a < 3; ++a) {
      for (std::uint64_t b = 0; b < 3; ++b) {
        for (const std::uint64_t seed : {1U, 2U}) { seeds.insert(stream_seed(seed, purpose, a, b)); }
      }
    }
  }
  EXPECT_EQ(seeds.size(), 4U * 3 * 3 * 2);
  EXPECT_EQ(stream_seed(1, Purpose::kCohort, 2, 3), stream_seed(1, Purpose::kCohort, 2, 3));
}

}  // namespace
}  // namespace tributary
