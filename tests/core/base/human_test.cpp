// SPDX-License-Identifier: Apache-2.0
#include "tributary/base/human.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

namespace tributary {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

TEST(Human, BytesHaveThreeDigitsAndDecimalPrefixes) {
  EXPECT_EQ(human_bytes(0), "0 B");
  EXPECT_EQ(human_bytes(532), "532 B");
  EXPECT_EQ(human_bytes(999.7), "1.00 kB");
  EXPECT_EQ(human_bytes(1'234), "1.23 kB");
  EXPECT_EQ(human_bytes(45'600'000), "45.6 MB");
  EXPECT_EQ(human_bytes(789e9), "789 GB");
  EXPECT_EQ(human_bytes(-1'234), "-1.23 kB");
  EXPECT_EQ(human_bytes(kNaN), "–");
}

TEST(Human, DurationsUseTheUnitThatFits) {
  EXPECT_EQ(human_duration(0), "0 s");
  EXPECT_EQ(human_duration(0.00085), "850 µs");
  EXPECT_EQ(human_duration(0.0123), "12.3 ms");
  EXPECT_EQ(human_duration(4.56), "4.56 s");
  EXPECT_EQ(human_duration(59.96), "1 min 00 s");
  EXPECT_EQ(human_duration(72), "1 min 12 s");
  EXPECT_EQ(human_duration(3 * 3600 + 5 * 60), "3 h 05 min");
  EXPECT_EQ(human_duration(2 * 86400 + 4 * 3600), "2 d 04 h");
  EXPECT_EQ(human_duration(kNaN), "–");
}

TEST(Human, CountsAreGroupedByThousands) {
  EXPECT_EQ(human_count(0), "0");
  EXPECT_EQ(human_count(999), "999");
  EXPECT_EQ(human_count(1'000), "1,000");
  EXPECT_EQ(human_count(1'234'567), "1,234,567");
  EXPECT_EQ(human_plural(1, "client"), "1 client");
  EXPECT_EQ(human_plural(1'000, "client"), "1,000 clients");
}

TEST(Human, AccuraciesOutsideOfSharesStayAsTheyAre) {
  EXPECT_EQ(human_metric(2.30258), "2.3026");
  EXPECT_EQ(human_metric(2024456019.2), "2.02e+09");
  EXPECT_EQ(human_metric(std::nan("")), "–");
  EXPECT_EQ(human_accuracy(0.0), "0.00 %");
  EXPECT_EQ(human_accuracy(0.8512), "85.12 %");
  EXPECT_EQ(human_accuracy(1.0), "100.00 %");
  EXPECT_EQ(human_accuracy(85.0), "85");
  EXPECT_EQ(human_accuracy(-0.25), "-0.25");
  EXPECT_EQ(human_accuracy(kNaN), "–");
}

TEST(Human, CountsOfAnySizeAreWholeNumbers) {
  EXPECT_EQ(saturated_count(3.7), 3U);
  EXPECT_EQ(saturated_count(-1e300), 0U);
  EXPECT_EQ(saturated_count(kNaN), 0U);
  EXPECT_EQ(saturated_count(0x1p63), std::uint64_t{1} << 63U);
  EXPECT_EQ(saturated_count(0x1p64), std::numeric_limits<std::uint64_t>::max());
  EXPECT_EQ(saturated_count(1e300), std::numeric_limits<std::uint64_t>::max());
}

TEST(Human, WidthsAreThoseOfATerminal) {
  EXPECT_EQ(display_width("東京"), 4U);
  EXPECT_EQ(display_width("한글"), 4U);
  EXPECT_EQ(display_width("e\u0301"), 1U) << "an accent over the letter before it";
  EXPECT_EQ(display_width("👍"), 2U);
  EXPECT_EQ(display_width("\xff"), 1U);
}

TEST(Human, PaddingCountsCharactersNotBytes) {
  EXPECT_EQ(display_width("–µ…a"), 4U);
  EXPECT_EQ(pad_left("µ", 3), "  µ");
  EXPECT_EQ(pad_right("µ", 3), "µ  ");
  EXPECT_EQ(pad_left("long", 2), "long");
}

TEST(Human, SparklinesRunFromTheLowestToTheHighestBlock) {
  const std::vector<double> values{0.0, 0.5, kNaN, 1.0};

  EXPECT_EQ(sparkline(values, 10), "▁▅ █");
  EXPECT_EQ(sparkline(values, 10, false), "_= #");
  EXPECT_EQ(sparkline(values, 2), "▅█") << "each cell shows the last of its values";
  EXPECT_EQ(sparkline(std::vector<double>{3.0, 3.0}, 10), "██");
  EXPECT_EQ(sparkline({}, 10), "");
}

}  // namespace
}  // namespace tributary
