// SPDX-License-Identifier: Apache-2.0
#include "tributary/core/finite.hpp"

#include <gtest/gtest.h>

#include <limits>
#include <vector>

namespace tributary {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();

TEST(Finite, EveryPlaceIsLookedAt) {
  for (const std::size_t size : {1U, 7U, 4096U, 4097U, 9000U}) {
    std::vector<float> values(size, std::numeric_limits<float>::max());
    values[0] = -0.0F;
    EXPECT_TRUE(all_finite(values));
    for (const float bad : {kInfinity, -kInfinity, kNaN, -kNaN}) {
      for (const std::size_t at : {std::size_t{0}, size / 2, size - 1}) {
        const float good = std::exchange(values[at], bad);
        EXPECT_FALSE(all_finite(values)) << size << " " << at << " " << bad;
        values[at] = good;
      }
    }
  }
  EXPECT_TRUE(all_finite({}));
}

TEST(Finite, TheTensorIsNamed) {
  const ParameterSpec spec = ParameterSpec::create({{"a", {2}}, {"b", {2, 2}}}).value();

  EXPECT_EQ(describe_not_finite(spec, std::vector<float>{1, 2, 3, 4, 5, 6}), "");
  EXPECT_EQ(describe_not_finite(spec, std::vector<float>{1, 2, 3, kNaN, 5, -kInfinity}),
            "tensor b has 2 of 4 values that are not finite, the first is nan at index 1");
}

}  // namespace
}  // namespace tributary
