// SPDX-License-Identifier: Apache-2.0
#include "tributary/nodes/exact_accumulator.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "exact_kernels.hpp"
#include "tributary/base/random.hpp"

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

enum class Grid : std::uint8_t { kFine, kCompact, kFull };

ExactScale scale_for(Weight total, std::uint64_t terms, Grid grid) {
  switch (grid) {
    case Grid::kCompact:
      return ExactScale::compact(total, terms);
    case Grid::kFull:
      return ExactScale::full(total, terms);
    case Grid::kFine:
      break;
  }
  return ExactScale::fine(total, terms);
}

ExactScale scale_for(const std::vector<Term>& terms, Grid grid) {
  Weight total;
  for (const Term& term : terms) { total = total + term.weight; }
  return scale_for(total, terms.size(), grid);
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

class ExactAccumulatorOnEveryGrid : public ::testing::TestWithParam<Grid> {};
INSTANTIATE_TEST_SUITE_P(Grids, ExactAccumulatorOnEveryGrid,
                         ::testing::Values(Grid::kFine, Grid::kCompact, Grid::kFull), [](const auto& grid) {
                           return grid.param == Grid::kFine ? "Fine" : grid.param == Grid::kFull ? "Full" : "Compact";
                         });

TEST_P(ExactAccumulatorOnEveryGrid, AnyOrderGivesTheSameBytes) {
  std::vector<Term> terms = random_terms(1, 20, 1000.0);
  const ExactScale scale = scale_for(terms, GetParam());
  const Payload expected = flat_sum(terms, scale);
  Rng rng(3);
  for (int repeat = 0; repeat < 5; ++repeat) {
    rng.shuffle(std::span(terms));

    EXPECT_TRUE(same_bytes(flat_sum(terms, scale), expected));
  }
}

TEST_P(ExactAccumulatorOnEveryGrid, AnyTreeGivesTheFlatBytes) {
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

TEST_P(ExactAccumulatorOnEveryGrid, TheMeanIsThatOfDoublePrecision) {
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

  // Each term is rounded by less than one step of the grid.
  const double tolerance = std::ldexp(static_cast<double>(terms.size()), -scale.fraction_bits) / sums.weight().value();
  sums.mean([&](std::size_t offset, std::span<const double> means) {
    for (std::size_t i = 0; i < means.size(); ++i) {
      ASSERT_NEAR(means[i], expected[offset + i] / sums.weight().value(), tolerance * 1.01 + 1e-12);
    }
  });
}

TEST_P(ExactAccumulatorOnEveryGrid, WhatLiesOnTheGridIsAddedAsItIs) {
  const ExactScale scale = scale_for(weight(6), 3, GetParam());
  ExactAccumulator sums;
  sums.begin(kSize, scale);
  const float step = static_cast<float>(std::ldexp(1.0, -scale.fraction_bits));
  std::vector<float> values(kSize);
  for (std::size_t i = 0; i < kSize; ++i) { values[i] = static_cast<float>(static_cast<int>(i % 4001) - 2000) * step; }
  for (int i = 0; i < 3; ++i) { ASSERT_TRUE(sums.add(values, weight(2)).ok()); }

  sums.mean([&](std::size_t offset, std::span<const double> means) {
    for (std::size_t i = 0; i < means.size(); ++i) {
      ASSERT_EQ(means[i], static_cast<double>(values[offset + i])) << offset + i;
    }
  });
}

// Clients that all send the same small change: however many there are, whatever they weigh, none of it is lost, be they
// added at one node or below several.
TEST(ExactAccumulator, SmallChangesOfManyEqualClientsAreResolved) {
  constexpr double kDelta = 1e-7;
  constexpr std::size_t kElements = 1024;
  const std::vector<float> values(kElements, static_cast<float>(kDelta));
  for (const std::uint64_t clients : {2U, 3U, 10U, 31U, 100U, 1000U, 10'000U, 65'536U, 100'000U}) {
    for (const double each : {1.0, 600.0, 1447.0, 1.6e-5, 1e-3}) {
      // Many clients take time: there the weight at which the step just may not be finer is enough.
      if (clients > 1000 && each != 1447.0) { continue; }
      const ExactScale scale = ExactScale::fine(Weight::from_units(weight(each).units() * clients), clients);
      ExactAccumulator root;
      root.begin(kElements, scale);
      for (std::uint64_t next = 0; next < clients;) {
        ExactAccumulator edge;
        edge.begin(kElements, scale);
        for (const std::uint64_t end = std::min(clients, next + 1 + clients / 3); next < end; ++next) {
          ASSERT_TRUE(edge.add(values, weight(each)).ok());
        }
        ASSERT_TRUE(root.add(edge.encode(), edge.weight()).ok());
      }
      double worst = 0.0;
      double bias = 0.0;
      root.mean([&](std::size_t, std::span<const double> means) {
        for (const double mean : means) {
          worst = std::max(worst, std::fabs(mean - static_cast<double>(values[0])) / kDelta);
          bias += (mean - static_cast<double>(values[0])) / kDelta / static_cast<double>(kElements);
        }
      });

      EXPECT_LE(worst, 1e-3) << clients << " clients of weight " << each;
      EXPECT_LE(std::fabs(bias), 1e-4) << clients << " clients of weight " << each;
    }
  }
}

// Below the step of the grid a change counts on average.
TEST(ExactAccumulator, ChangesBelowTheStepKeepTheirCommonSign) {
  const double delta = std::ldexp(0.3, -32);
  const std::vector<float> values(kSize, static_cast<float>(delta));
  ExactAccumulator sums;
  sums.begin(kSize, ExactScale::compact(weight(1), 1));
  ASSERT_TRUE(sums.add(values, weight(1)).ok());

  double total = 0.0;
  sums.mean([&](std::size_t, std::span<const double> means) {
    for (const double mean : means) { total += mean; }
  });

  EXPECT_NEAR(total / static_cast<double>(kSize), delta, 0.01 * delta);
}

TEST(ExactAccumulator, AClientOfAverageWeightIsResolvedAlikeInEveryCohort) {
  for (std::uint64_t terms = 1; terms <= std::uint64_t{1} << 17U; terms *= 2) {
    for (const double each : {1.0, 1.4, 600.0, 1e-4}) {
      const ExactScale scale = ExactScale::fine(Weight::from_units(weight(each).units() * terms), terms);

      EXPECT_LE(scale.resolution(weight(each)), std::ldexp(1.0, -33) / 1.41) << terms << " x " << each;
      EXPECT_GE(scale.value_bound, 1024.0) << terms << " x " << each;
    }
  }
}

TEST(ExactAccumulator, ABlockIsAsWideAsItsSumsNeed) {
  struct Case {
    float value;
    std::size_t bytes;
  };
  // 100 terms resolved to 2^-34: a mean of 2^-10 needs 31 bits and a sign, and so on.
  for (const auto& [value, bytes] :
       {Case{0.0F, 4}, Case{0x1p-11F, 4}, Case{0x1p-3F, 5}, Case{0x1p5F, 6}, Case{0x1p13F, 8}}) {
    std::vector<float> values(kSize, 0x1p-12F);
    values[Payload::kBlock + 5] = value;
    ExactAccumulator sums;
    sums.begin(kSize, ExactScale::fine(weight(100), 100));
    for (int i = 0; i < 100; ++i) { ASSERT_TRUE(sums.add(values, weight(1)).ok()); }
    const Payload encoded = sums.encode();

    EXPECT_EQ(std::to_integer<std::size_t>(encoded.bytes()[0]), 4U);
    EXPECT_EQ(std::to_integer<std::size_t>(encoded.bytes()[1]), bytes) << value;
    EXPECT_EQ(std::to_integer<std::size_t>(encoded.bytes()[2]), 4U);
    std::vector<double> means;
    sums.mean([&](std::size_t, std::span<const double> part) { means.insert(means.end(), part.begin(), part.end()); });
    EXPECT_NEAR(means[Payload::kBlock + 5], static_cast<double>(value), 1e-9);
    EXPECT_NEAR(means[0], 0x1p-12, 1e-9);
  }
}

// Sums of changes of either sign stay small while the bound on them grows: they do not take more memory for that.
// Where a block begins and ends within the moments, and where it holds several of them.
TEST(ExactAccumulator, SecondMomentsAreSummedInDoublePrecision) {
  std::vector<float> values(10'000, 0.5F);
  const std::vector<SecondMoments> moments{{100, 90, 10}, {150, 120, 30}, {4'000, 200, 3'000}};
  std::vector<double> expected(values.begin(), values.end());
  for (const auto& [at, mean, count] : moments) {
    for (std::size_t i = 0; i < count; ++i) {
      values[mean + i] = 3e3F + static_cast<float>(i);
      expected[mean + i] = values[mean + i];
      values[at + i] = -0.75F;
    }
  }
  for (const auto& [at, mean, count] : moments) {
    for (std::size_t i = 0; i < count; ++i) {
      expected[at + i] = (expected[mean + i] * expected[mean + i] - 0.75) * SecondMoments::kUnit;
    }
  }
  ExactAccumulator sums;
  sums.begin(values.size(), ExactScale::fine(Weight::from(3.0).value(), 2), moments);
  ASSERT_TRUE(sums.add(values, Weight::from(1.0).value()).ok());
  ASSERT_TRUE(sums.add(values, Weight::from(2.0).value()).ok());

  sums.mean([&](std::size_t offset, std::span<const double> means) {
    for (std::size_t i = 0; i < means.size(); ++i) { EXPECT_NEAR(means[i], expected[offset + i], 1e-9) << offset + i; }
  });
  values[95] = 3e7F;  // a square beyond what these sums take
  EXPECT_EQ(sums.find_unfit(values), 105U);
  EXPECT_FALSE(sums.add(values, Weight::from(1.0).value()).ok());
}

TEST(ExactAccumulator, SumsThatStaySmallStayNarrow) {
  const std::vector<float> up(kSize, 0.01F);
  const std::vector<float> down(kSize, -0.01F);
  ExactAccumulator sums;
  sums.begin(kSize, ExactScale::fine(weight(1000), 1000));
  for (int i = 0; i < 500; ++i) {
    ASSERT_TRUE(sums.add(up, weight(1)).ok());
    ASSERT_TRUE(sums.add(down, weight(1)).ok());
  }

  EXPECT_EQ(sums.memory(), kSize * 4);
  EXPECT_LE(sums.encode().size(), kSize * 4 + 32);
}

TEST(ExactAccumulator, TheLargestValuesAtTheLargestWeightDoNotOverflow) {
  for (const Grid grid : {Grid::kFine, Grid::kCompact, Grid::kFull}) {
    const ExactScale scale = scale_for(weight(1000), 10, grid);
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
  const ExactScale scale = ExactScale::compact(weight(100), 2);
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
  EXPECT_EQ(sums.add(std::vector<float>{1.0F, 1.0F, 1.0F}, Weight::from_units(weight(50).units() + 1)).code(),
            Code::kInvalidArgument);
  EXPECT_EQ(sums.add(before, Weight{}).code(), Code::kInvalidArgument);
  EXPECT_TRUE(same_bytes(sums.encode(), before));
  EXPECT_EQ(sums.weight(), weight(50));
}

TEST(ExactAccumulator, RefusesSumsLargerThanTheirWeightAllows) {
  const ExactScale scale = ExactScale::compact(weight(100), 2);
  ExactAccumulator heavy;
  heavy.begin(2, scale);
  ASSERT_TRUE(heavy.add(std::vector<float>{1e9F, 0.0F}, weight(99)).ok());
  ExactAccumulator sums;
  sums.begin(2, scale);

  EXPECT_EQ(sums.add(heavy.encode(), weight(1)).code(), Code::kBadData);
  EXPECT_TRUE(sums.weight().zero());
}

TEST(ExactKernels, AllVariantsGiveTheSameBits) {
  const internal::ExactKernels& plain = *internal::supported_exact_kernels().front();
  for (const internal::ExactKernels* const kernels : internal::supported_exact_kernels()) {
    Rng rng(7);
    for (const std::size_t count : {0U, 1U, 7U, 16U, 33U, 512U}) {
      std::vector<float> values(count);
      std::vector<double> dither(count);
      std::vector<std::int64_t> expected(count);
      for (std::size_t i = 0; i < count; ++i) {
        values[i] = static_cast<float>(rng.normal());
        dither[i] = rng.uniform() - 0.5;
      }
      for (std::size_t width = 0; width < internal::kHighBytes.size(); ++width) {
        const double factor = std::ldexp(1.2345, 20 + 7 * static_cast<int>(internal::kHighBytes[width]));
        std::vector<std::uint32_t> low(count, 0);
        std::vector<std::byte> high(count * internal::kHighBytes[width] + 1, std::byte{0});
        std::vector<std::int64_t> terms(count);
        for (std::size_t i = 0; i < count; ++i) {
          terms[i] = std::llrint(static_cast<double>(values[i]) * factor + dither[i]);
          expected[i] = 3 * terms[i];
        }

        kernels->add_floats[width](low.data(), high.data(), values.data(), factor, dither.data(), count);
        for (int twice = 0; twice < 2; ++twice) {
          kernels->add_integers[width](low.data(), high.data(), terms.data(), count);
        }

        std::vector<std::int64_t> sums(count);
        kernels->expand[width](low.data(), high.data(), sums.data(), count);
        EXPECT_EQ(sums, expected) << kernels->name << ", " << internal::kHighBytes[width] << " high bytes";
        EXPECT_EQ(kernels->largest(sums.data(), count), plain.largest(sums.data(), count)) << kernels->name;
      }
      EXPECT_EQ(kernels->largest_bits(values.data(), count), plain.largest_bits(values.data(), count));
    }
  }
}

TEST(Weight, IsRoundedToTheNearestStep) {
  constexpr double kStep = 0x1p-24;

  EXPECT_EQ(Weight::from(1.0 + 0.75 * kStep).value().value(), 1.0 + kStep);
  EXPECT_EQ(Weight::from(1.0 + 0.25 * kStep).value().value(), 1.0);
}

TEST(Weight, TakesNumbersThatKeepTheirShare) {
  EXPECT_EQ(weight(60000).value(), 60000.0);
  EXPECT_EQ(weight(0.5).value(), 0.5);
  EXPECT_NEAR(weight(1e-4).value(), 1e-4, 1e-4 / 1000);
  EXPECT_NEAR(weight(Weight::kSmallest).value(), Weight::kSmallest, Weight::kSmallest / 500);
  for (const double wrong : {0.0, -1.0, 1e-9, 2e12, std::nan(""), std::numeric_limits<double>::infinity()}) {
    EXPECT_EQ(Weight::from(wrong).status().code(), Code::kInvalidArgument) << wrong;
  }
}

// ---- Discounts ----

constexpr int kDiscountBits = 12;

ExactScale discounting(double weight_bound, std::uint64_t terms) {
  return ExactScale::fine(weight(weight_bound), terms, kDiscountBits);
}

std::vector<double> means_of(const ExactAccumulator& sums) {
  std::vector<double> means(sums.elements());
  sums.mean([&](std::size_t offset, std::span<const double> part) {
    std::ranges::copy(part, means.begin() + static_cast<std::ptrdiff_t>(offset));
  });
  return means;
}

TEST(ExactAccumulator, ADiscountedTermCountsAWholeNumberOfTimes) {
  Rng rng(3);
  std::vector<float> values(9000);  // of three blocks
  for (float& value : values) { value = static_cast<float>(rng.normal()); }
  const auto sum = [&](std::uint32_t factor) {
    ExactAccumulator sums;
    sums.begin(values.size(), discounting(128.0, 16));
    EXPECT_TRUE(sums.add(values, weight(8.0), factor).ok());  // a power of two: dividing by it is exact
    return means_of(sums);
  };
  const std::vector<double> once = sum(1);
  const std::vector<double> whole = sum(1U << kDiscountBits);
  for (const std::uint32_t factor : {2U, 1000U, 2896U, 4095U}) {
    const std::vector<double> scaled = sum(factor);
    for (std::size_t i = 0; i < values.size(); ++i) { ASSERT_EQ(scaled[i], factor * once[i]) << i; }
  }
  for (std::size_t i = 0; i < values.size(); ++i) { ASSERT_NEAR(whole[i], static_cast<double>(values[i]), 0x1p-33); }
}

TEST(ExactAccumulator, DiscountedSumsAreTheSameInAnyOrderAndTree) {
  const std::vector<Term> terms = random_terms(5, 6, 1.0);
  const std::vector<std::uint32_t> factors{4096, 1, 77, 2896, 4095, 300};
  const std::size_t size = terms.front().values.size();
  double total = 0.0;
  for (const Term& term : terms) { total += term.weight.value(); }
  const ExactScale scale = discounting(total, terms.size());
  const auto bytes_of = [](const Payload& payload) {
    return std::vector<std::byte>(payload.bytes().begin(), payload.bytes().end());
  };
  ExactAccumulator forwards;
  ExactAccumulator backwards;
  forwards.begin(size, scale);
  backwards.begin(size, scale);
  for (std::size_t i = 0; i < terms.size(); ++i) {
    const std::size_t j = terms.size() - 1 - i;
    ASSERT_TRUE(forwards.add(terms[i].values, terms[i].weight, factors[i]).ok());
    ASSERT_TRUE(backwards.add(terms[j].values, terms[j].weight, factors[j]).ok());
  }
  EXPECT_EQ(bytes_of(forwards.encode()), bytes_of(backwards.encode()));

  // A sum of terms that are discounted alike may be discounted as one.
  ExactAccumulator below;
  ExactAccumulator above;
  ExactAccumulator flat;
  for (ExactAccumulator* const each : {&below, &above, &flat}) { each->begin(size, scale); }
  for (const Term& term : terms) {
    ASSERT_TRUE(below.add(term.values, term.weight).ok());
    ASSERT_TRUE(flat.add(term.values, term.weight, 2896).ok());
  }
  ASSERT_TRUE(above.add(below.encode(), below.weight(), 2896).ok());
  EXPECT_EQ(bytes_of(above.encode()), bytes_of(flat.encode()));
}

TEST(ExactAccumulator, TheLargestDiscountedSumsFit) {
  constexpr std::uint64_t kTerms = 1000;
  const ExactScale scale = discounting(static_cast<double>(kTerms), kTerms);
  const auto largest = static_cast<float>(scale.value_bound);
  for (const internal::ExactKernels* const kernels : internal::supported_exact_kernels()) {
    internal::choose_exact_kernels(*kernels);
    ExactAccumulator sums;
    sums.begin(3, scale);
    const std::vector<float> values{largest, -largest, 1.0F};
    for (std::uint64_t i = 0; i < kTerms; ++i) { ASSERT_TRUE(sums.add(values, weight(1.0), 1U << kDiscountBits).ok()); }
    const std::vector<double> means = means_of(sums);
    EXPECT_NEAR(means[0], scale.value_bound, 1e-6) << kernels->name;
    EXPECT_NEAR(means[1], -scale.value_bound, 1e-6) << kernels->name;
    EXPECT_NEAR(means[2], 1.0, 1e-9) << kernels->name;
  }
  internal::choose_exact_kernels(*internal::supported_exact_kernels().back());
}

TEST(Payload, RefusesBytesThatDoNotFit) {
  EXPECT_EQ(Payload::from_bytes(Encoding::kFloat32, 3, std::vector<std::byte>(11)).status().code(), Code::kBadData);
  EXPECT_EQ(Payload::from_bytes(Encoding::kFixed, 3, std::vector<std::byte>(7)).status().code(), Code::kBadData);
  // Sizes that wrap around.
  EXPECT_EQ(Payload::from_bytes(Encoding::kFloat32, std::size_t{1} << 62U, {}).status().code(), Code::kBadData);
  EXPECT_EQ(Payload::from_bytes(Encoding::kFixed, SIZE_MAX, {}).status().code(), Code::kBadData);
  EXPECT_TRUE(Payload::from_bytes(Encoding::kFloat32, 0, {}).ok());
  std::vector<std::byte> wrong_width(8 + 16);
  for (const int wrong : {0, 3, 7, 9, 255}) {
    wrong_width[0] = static_cast<std::byte>(wrong);
    EXPECT_EQ(Payload::from_bytes(Encoding::kFixed, 3, wrong_width).status().message(),
              "block 0 of sums has width " + std::to_string(wrong) + ", not 4, 5, 6 or 8");
  }
  wrong_width[0] = std::byte{4};
  EXPECT_TRUE(Payload::from_bytes(Encoding::kFixed, 3, wrong_width).ok());
  wrong_width[0] = std::byte{5};
  EXPECT_TRUE(Payload::from_bytes(Encoding::kFixed, 3, wrong_width).ok()) << "15 bytes, padded to 16";
  wrong_width[0] = std::byte{6};
  EXPECT_EQ(Payload::from_bytes(Encoding::kFixed, 3, wrong_width).status().code(), Code::kBadData);
  EXPECT_EQ(Payload::from_bytes(static_cast<Encoding>(9), 3, wrong_width).status().code(), Code::kBadData);
}

}  // namespace
}  // namespace tributary
