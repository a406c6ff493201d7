// SPDX-License-Identifier: Apache-2.0
#include "tributary/core/exact_accumulator.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "exact_kernels.hpp"
#include "tributary/core/random.hpp"

namespace tributary {
namespace {

constexpr std::size_t kSize = 3 * Payload::kBlock + 17;

struct Term {
  std::vector<float> values;
  Weight weight;
};

Weight weight(double value) {
  return Weight::from(value).value();
}

// Values over many magnitudes, a few of them huge.
std::vector<Term> random_terms(std::uint64_t seed, std::size_t count, double largest = 1e6) {
  Rng rng(stream_seed(seed, Purpose::kTest));
  std::vector<Term> terms(count);
  for (Term& term : terms) {
    term.values.resize(kSize);
    for (float& value : term.values) {
      const double magnitude = std::pow(10.0, -9.0 + 8.0 * rng.uniform());
      value = static_cast<float>(rng.normal() * magnitude);
      if (rng.chance(1e-4)) { value = static_cast<float>(largest * (rng.uniform() - 0.5)); }
    }
    term.weight = weight(1.0 + static_cast<double>(rng.below(3000)) / 16.0);
  }
  return terms;
}

ExactScale scale_for(const std::vector<Term>& terms, bool compact) {
  Weight total;
  for (const Term& term : terms) { total = total + term.weight; }
  return compact ? ExactScale::compact(total) : ExactScale::full(total);
}

Payload flat_sum(const std::vector<Term>& terms, const ExactScale& scale) {
  ExactAccumulator sums;
  sums.begin(kSize, scale);
  for (const Term& term : terms) { EXPECT_TRUE(sums.add(term.values, term.weight).ok()); }
  return sums.encode();
}

bool same_bytes(const Payload& a, const Payload& b) {
  return a.size() == b.size() && std::memcmp(a.bytes().data(), b.bytes().data(), a.size()) == 0;
}

class ExactAccumulatorOnBothGrids : public ::testing::TestWithParam<bool> {};
INSTANTIATE_TEST_SUITE_P(Grids, ExactAccumulatorOnBothGrids, ::testing::Values(true, false),
                         [](const auto& grid) { return grid.param ? "Compact" : "Full"; });

TEST_P(ExactAccumulatorOnBothGrids, AnyOrderGivesTheSameBytes) {
  std::vector<Term> terms = random_terms(1, 20, 1000.0);
  const ExactScale scale = scale_for(terms, GetParam());
  const Payload expected = flat_sum(terms, scale);
  Rng rng(3);
  for (int repeat = 0; repeat < 5; ++repeat) {
    rng.shuffle(std::span(terms));

    EXPECT_TRUE(same_bytes(flat_sum(terms, scale), expected));
  }
}

TEST_P(ExactAccumulatorOnBothGrids, AnyTreeGivesTheFlatBytes) {
  const std::vector<Term> terms = random_terms(2, 24, 1000.0);
  const ExactScale scale = scale_for(terms, GetParam());
  const Payload expected = flat_sum(terms, scale);
  Rng rng(4);
  for (int repeat = 0; repeat < 10; ++repeat) {
    ExactAccumulator root;
    root.begin(kSize, scale);
    for (std::size_t next = 0; next < terms.size();) {
      const std::size_t end = std::min(terms.size(), next + 1 + rng.below(8));
      ExactAccumulator edge;
      edge.begin(kSize, scale);
      for (; next < end; ++next) { ASSERT_TRUE(edge.add(terms[next].values, terms[next].weight).ok()); }
      ASSERT_TRUE(root.add(edge.encode(), edge.weight()).ok());
    }

    EXPECT_TRUE(same_bytes(root.encode(), expected));
  }
}

TEST_P(ExactAccumulatorOnBothGrids, TheMeanIsThatOfDoublePrecision) {
  const std::vector<Term> terms = random_terms(5, 30, 100.0);
  const ExactScale scale = scale_for(terms, GetParam());
  ExactAccumulator sums;
  sums.begin(kSize, scale);
  std::vector<double> expected(kSize, 0.0);
  for (const Term& term : terms) {
    ASSERT_TRUE(sums.add(term.values, term.weight).ok());
    for (std::size_t i = 0; i < kSize; ++i) {
      expected[i] += static_cast<double>(term.values[i]) * term.weight.value();
    }
  }

  // Each term is rounded by at most half a step of the grid.
  const double tolerance =
      std::ldexp(0.5 * static_cast<double>(terms.size()), -scale.fraction_bits) / sums.weight().value();
  sums.mean([&](std::size_t offset, std::span<const double> means) {
    for (std::size_t i = 0; i < means.size(); ++i) {
      ASSERT_NEAR(means[i], expected[offset + i] / sums.weight().value(), tolerance * 1.01 + 1e-12);
    }
  });
}

TEST(ExactAccumulator, SmallSumsTravelInFourBytesAndTakeFourBytes) {
  const std::vector<Term> terms = random_terms(6, 40, 0.4);
  ExactAccumulator sums;
  sums.begin(kSize, scale_for(terms, true));
  for (const Term& term : terms) { ASSERT_TRUE(sums.add(term.values, term.weight).ok()); }

  EXPECT_LE(sums.encode().size(), kSize * 4 + 32);
  EXPECT_EQ(sums.memory(), kSize * 4);
}

TEST(ExactAccumulator, LargeSumsWidenTheirBlockOnly) {
  std::vector<float> values(kSize, 0.001F);
  values[Payload::kBlock + 5] = 1e8F;
  ExactAccumulator sums;
  sums.begin(kSize, ExactScale::compact(weight(10)));

  ASSERT_TRUE(sums.add(values, weight(10)).ok());

  EXPECT_EQ(sums.memory(), kSize * 4 + Payload::kBlock * 8);
  std::vector<double> means;
  sums.mean([&](std::size_t, std::span<const double> part) { means.insert(means.end(), part.begin(), part.end()); });
  EXPECT_EQ(means[Payload::kBlock + 5], 1e8);
  EXPECT_NEAR(means[0], 0.001, 1e-9);
}

TEST(ExactAccumulator, TheLargestValuesAtTheLargestWeightDoNotOverflow) {
  for (const ExactScale& scale : {ExactScale::compact(weight(1000)), ExactScale::full(weight(1000))}) {
    const std::vector<float> values(100, static_cast<float>(scale.value_bound));
    ExactAccumulator sums;
    sums.begin(values.size(), scale);
    for (int i = 0; i < 10; ++i) { ASSERT_TRUE(sums.add(values, weight(100)).ok()); }

    sums.mean([&](std::size_t, std::span<const double> means) {
      for (const double mean : means) { EXPECT_EQ(mean, scale.value_bound); }
    });
    ExactAccumulator parent;
    parent.begin(values.size(), scale);
    EXPECT_TRUE(parent.add(sums.encode(), sums.weight()).ok());
    EXPECT_TRUE(same_bytes(parent.encode(), sums.encode()));
  }
}

TEST(ExactAccumulator, RefusesWhatItCannotHoldAndStaysAsItWas) {
  const ExactScale scale = ExactScale::compact(weight(100));
  ExactAccumulator sums;
  sums.begin(3, scale);
  ASSERT_TRUE(sums.add(std::vector<float>{1.0F, 2.0F, 3.0F}, weight(50)).ok());
  const Payload before = sums.encode();
  const float infinity = std::numeric_limits<float>::infinity();
  const float nan = std::numeric_limits<float>::quiet_NaN();

  EXPECT_EQ(sums.add(std::vector<float>{0.0F, nan, 0.0F}, weight(1)).message(),
            "value 1 is nan, the bound is 1073741824");
  EXPECT_EQ(sums.add(std::vector<float>{0.0F, 0.0F, -infinity}, weight(1)).message(),
            "value 2 is -inf, the bound is 1073741824");
  EXPECT_EQ(sums.add(std::vector<float>{2e9F, 0.0F, 0.0F}, weight(1)).message(),
            "value 0 is 2000000000, the bound is 1073741824");
  EXPECT_EQ(sums.add(std::vector<float>{1.0F}, weight(1)).message(), "an update of 1 values for a model of 3");
  EXPECT_EQ(sums.add(std::vector<float>{1.0F, 1.0F, 1.0F}, weight(51)).message(),
            "weight 51 on top of 50 exceeds the announced bound 100");
  EXPECT_EQ(sums.add(before, Weight{}).code(), Code::kInvalidArgument);
  EXPECT_TRUE(same_bytes(sums.encode(), before));
  EXPECT_EQ(sums.weight(), weight(50));
}

TEST(ExactAccumulator, RefusesSumsLargerThanTheirWeightAllows) {
  const ExactScale scale = ExactScale::compact(weight(100));
  ExactAccumulator heavy;
  heavy.begin(2, scale);
  ASSERT_TRUE(heavy.add(std::vector<float>{1e9F, 0.0F}, weight(99)).ok());
  ExactAccumulator sums;
  sums.begin(2, scale);

  EXPECT_EQ(sums.add(heavy.encode(), weight(1)).code(), Code::kBadData);
  EXPECT_TRUE(sums.weight().zero());
}

TEST(ExactKernels, AllVariantsGiveTheSameBits) {
  const internal::ExactKernels& fast = internal::exact_kernels();
  const internal::ExactKernels& plain = internal::portable_exact_kernels();
  Rng rng(7);
  for (std::size_t count : {0U, 1U, 7U, 16U, 33U, 1000U, 4096U}) {
    std::vector<float> values(count);
    for (float& value : values) { value = static_cast<float>(rng.normal() * 1e4); }
    std::vector<std::int32_t> narrow(count, 5);
    std::vector<std::int64_t> wide(count, -7);
    auto narrow_plain = narrow;
    auto wide_plain = wide;

    fast.add_narrow(narrow.data(), values.data(), 1234.5, count);
    plain.add_narrow(narrow_plain.data(), values.data(), 1234.5, count);
    fast.add_wide(wide.data(), values.data(), 1e10, count);
    plain.add_wide(wide_plain.data(), values.data(), 1e10, count);

    EXPECT_EQ(narrow, narrow_plain);
    EXPECT_EQ(wide, wide_plain);
    EXPECT_EQ(fast.largest_bits(values.data(), count), plain.largest_bits(values.data(), count));
    EXPECT_EQ(fast.largest_narrow(narrow.data(), count), plain.largest_narrow(narrow.data(), count));
    EXPECT_EQ(fast.largest_wide(wide.data(), count), plain.largest_wide(wide.data(), count));
    for (std::size_t i = 0; i < count; ++i) {
      EXPECT_EQ(wide[i], -7 + std::llrint(static_cast<double>(values[i]) * 1e10));
    }
  }
}

TEST(Weight, TakesPositiveFiniteNumbersOnly) {
  EXPECT_EQ(weight(60000).value(), 60000.0);
  EXPECT_EQ(weight(0.5).value(), 0.5);
  EXPECT_EQ(weight(1e-9).units(), 1U);
  for (const double wrong : {0.0, -1.0, 2e12, std::nan(""), std::numeric_limits<double>::infinity()}) {
    EXPECT_EQ(Weight::from(wrong).status().code(), Code::kInvalidArgument) << wrong;
  }
}

TEST(Payload, RefusesBytesThatDoNotFit) {
  EXPECT_EQ(Payload::from_bytes(Encoding::kFloat32, 3, std::vector<std::byte>(11)).status().code(), Code::kBadData);
  EXPECT_EQ(Payload::from_bytes(Encoding::kFixed, 3, std::vector<std::byte>(7)).status().code(), Code::kBadData);
  // Sizes that wrap around.
  EXPECT_EQ(Payload::from_bytes(Encoding::kFloat32, std::size_t{1} << 62U, {}).status().code(), Code::kBadData);
  EXPECT_EQ(Payload::from_bytes(Encoding::kFixed, SIZE_MAX, {}).status().code(), Code::kBadData);
  EXPECT_TRUE(Payload::from_bytes(Encoding::kFloat32, 0, {}).ok());
  std::vector<std::byte> wrong_width(8 + 16);
  wrong_width[0] = std::byte{5};
  EXPECT_EQ(Payload::from_bytes(Encoding::kFixed, 3, wrong_width).status().message(),
            "block 0 of sums has width 5, not 4 or 8");
  wrong_width[0] = std::byte{4};
  EXPECT_TRUE(Payload::from_bytes(Encoding::kFixed, 3, wrong_width).ok());
  EXPECT_EQ(Payload::from_bytes(static_cast<Encoding>(9), 3, wrong_width).status().code(), Code::kBadData);
}

}  // namespace
}  // namespace tributary
