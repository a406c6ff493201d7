// SPDX-License-Identifier: Apache-2.0
#include "tributary/privacy/secure_random.hpp"

#include <gtest/gtest.h>

#include <bit>
#include <set>
#include <vector>

namespace tributary {
namespace {

// A fair bit deviates from one half by more than 6 standard errors once in 5e8 runs.
TEST(SecureRandom, EveryBitIsFair) {
  constexpr int kDraws = 20000;
  SecureRandom random;
  std::vector<int> ones(64, 0);

  for (int i = 0; i < kDraws; ++i) {
    const std::uint64_t value = random.next().value();
    for (unsigned bit = 0; bit < 64; ++bit) { ones[bit] += static_cast<int>(value >> bit & 1U); }
  }

  for (const int count : ones) { EXPECT_NEAR(count, kDraws / 2, 6 * 0.5 * 141.5); }
}

TEST(SecureRandom, TwoGeneratorsNeverAgree) {
  SecureRandom first;
  SecureRandom second;
  std::set<std::uint64_t> seen;

  for (int i = 0; i < 2000; ++i) {
    seen.insert(first.next().value());
    seen.insert(second.next().value());
  }

  EXPECT_EQ(seen.size(), 4000U);
}

TEST(SecureRandom, FillsSpansOfAnySize) {
  SecureRandom random;
  std::vector<std::byte> bytes(100001);

  ASSERT_TRUE(random.fill(bytes).ok());
  ASSERT_TRUE(random.fill({}).ok());

  int ones = 0;
  for (const std::byte byte : bytes) { ones += std::popcount(std::to_integer<unsigned>(byte)); }
  EXPECT_NEAR(ones, 400004, 6 * 448);
}

}  // namespace
}  // namespace tributary
