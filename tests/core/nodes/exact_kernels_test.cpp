// SPDX-License-Identifier: Apache-2.0
// Every variant of the inner loops of exact sums that this processor can run, against plain arithmetic. The properties
// of whole sums hold on each variant too: FEDERATION_KERNELS=portable, avx2 or avx512 chooses one for all cases of this
// program, and CMakeLists.txt runs them so.
#include "exact_kernels.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <string>
#include <vector>

#include "tributary/base/random.hpp"
#include "tributary/nodes/exact_accumulator.hpp"

namespace tributary::internal {
namespace {

// Around the width of every vector register, and a block of sums.
constexpr std::array<std::size_t, 14> kCounts{0, 1, 2, 3, 7, 8, 9, 15, 16, 17, 33, 511, 512, 4096};

class ChosenVariant final : public ::testing::Environment {
 public:
  void SetUp() override {
    const char* const name = std::getenv("FEDERATION_KERNELS");
    if (name == nullptr) { return; }
    // A processor without the instructions of a variant has nothing to show about it.
    choose_exact_kernels(*supported_exact_kernels().front());
    for (const ExactKernels* const variant : supported_exact_kernels()) {
      if (std::string(name) == variant->name) { choose_exact_kernels(*variant); }
    }
  }
};
const ::testing::Environment* const kChosen = ::testing::AddGlobalTestEnvironment(new ChosenVariant);

class ExactKernelsTest : public ::testing::TestWithParam<const ExactKernels*> {
 protected:
  static const ExactKernels& kernels() { return *GetParam(); }
};

// Values whose product with `factor` stays below `limit`: of every magnitude, halves that must be rounded to even,
// zeros of both signs and the smallest numbers there are.
std::vector<float> values_below(double limit, double factor, std::size_t count, Rng& rng) {
  const std::array special{0.0F,
                           -0.0F,
                           std::numeric_limits<float>::denorm_min(),
                           -std::numeric_limits<float>::min(),
                           static_cast<float>(0.5 / factor),
                           static_cast<float>(1.5 / factor),
                           static_cast<float>(-2.5 / factor)};
  std::vector<float> values(count);
  for (std::size_t i = 0; i < count; ++i) {
    const double magnitude = std::ldexp(limit * 0.999 / factor, -static_cast<int>(rng.below(50)));
    values[i] =
        i % 5 == 4 ? special[(i / 5) % special.size()] : static_cast<float>((rng.uniform() * 2 - 1) * magnitude);
  }
  return values;
}

// Sums of each width start below zero and take terms that reach into their highest byte.
TEST_P(ExactKernelsTest, TermsAreRoundedToEvenAndAddedWithinTheirRange) {
  Rng rng(11);
  for (std::size_t width = 0; width < kHighBytes.size(); ++width) {
    const std::size_t bytes = kHighBytes[width];
    const double limit = std::min(0x1p50, std::ldexp(1.0, 30 + 8 * static_cast<int>(bytes)));
    for (const double factor : {1.0, 0.75, 1234.5, 0x1p-20, 0x1p24}) {
      for (const std::size_t count : kCounts) {
        const std::vector<float> values = values_below(limit, factor, count, rng);
        std::vector<double> dither(count);
        for (std::size_t i = 0; i < count; i += 3) { dither[i] = rng.uniform() - 0.5; }
        const std::vector<std::int64_t> start(count, -12345);
        // One more on each side, which must stay as it was.
        std::vector<std::uint32_t> low(count + 2, 0xABABABABU);
        std::vector<std::byte> high((count + 2) * bytes + 1, std::byte{0xCD});
        std::fill_n(low.begin() + 1, count, 0U);
        std::fill_n(high.begin() + static_cast<std::ptrdiff_t>(bytes), count * bytes, std::byte{0});
        void* const high_part = high.data() + bytes;

        kernels().add_integers[width](low.data() + 1, high_part, start.data(), count);
        kernels().add_floats[width](low.data() + 1, high_part, values.data(), factor, dither.data(), count);

        std::vector<std::int64_t> sums(count + 2, 77);
        kernels().expand[width](low.data() + 1, high_part, sums.data() + 1, count);
        for (std::size_t i = 0; i < count; ++i) {
          ASSERT_EQ(sums[i + 1], -12345 + std::llrint(static_cast<double>(values[i]) * factor + dither[i]))
              << bytes << " high bytes, factor " << factor << ", value " << i << " of " << count;
        }
        EXPECT_EQ(sums.front(), 77);
        EXPECT_EQ(sums.back(), 77);
        EXPECT_EQ(low.front(), 0xABABABABU);
        EXPECT_EQ(low.back(), 0xABABABABU);
        for (std::size_t i = 0; i < bytes; ++i) {
          EXPECT_EQ(high[i], std::byte{0xCD});
          EXPECT_EQ(high[(count + 1) * bytes + i], std::byte{0xCD});
        }
      }
    }
  }
}

TEST_P(ExactKernelsTest, TheLargestMagnitudeIsFoundWhereverItIs) {
  for (const std::size_t count : kCounts) {
    for (std::size_t place = 0; place < count; place += 1 + count / 40) {
      std::vector<float> values(count, 1.0F);
      std::vector<std::int64_t> sums(count, 3);
      values[place] = -2.5F;
      ASSERT_EQ(kernels().largest_bits(values.data(), count), std::bit_cast<std::uint32_t>(2.5F));
      sums[place] = std::numeric_limits<std::int64_t>::min();
      ASSERT_EQ(kernels().largest(sums.data(), count), std::uint64_t{1} << 63U);
      sums[place] = std::numeric_limits<std::int64_t>::max();
      ASSERT_EQ(kernels().largest(sums.data(), count), ~std::uint64_t{0} >> 1U);
      for (const float bad : {std::numeric_limits<float>::infinity(), -std::numeric_limits<float>::infinity(),
                              std::numeric_limits<float>::quiet_NaN(), -std::numeric_limits<float>::quiet_NaN()}) {
        values[place] = bad;
        ASSERT_GT(kernels().largest_bits(values.data(), count), 0x7F7FFFFFU) << count << ", " << place;
      }
    }
  }
  EXPECT_EQ(kernels().largest_bits(nullptr, 0), 0U);
  EXPECT_EQ(kernels().largest(nullptr, 0), 0U);
}

INSTANTIATE_TEST_SUITE_P(Variants, ExactKernelsTest,
                         ::testing::ValuesIn(supported_exact_kernels().begin(), supported_exact_kernels().end()),
                         [](const auto& variant) { return std::string(variant.param->name); });

TEST(ExactVariants, ThePortableOneIsFirstAndTheFastestIsUsed) {
  ASSERT_FALSE(supported_exact_kernels().empty());
  EXPECT_STREQ(supported_exact_kernels().front()->name, "portable");
  if (std::getenv("FEDERATION_KERNELS") == nullptr) { EXPECT_EQ(&exact_kernels(), supported_exact_kernels().back()); }
}

}  // namespace
}  // namespace tributary::internal
