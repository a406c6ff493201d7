// SPDX-License-Identifier: Apache-2.0
#include "report/chart.hpp"

#include <gtest/gtest.h>

#include <limits>
#include <string>
#include <vector>

#include "program.hpp"

namespace tributary::cli {
namespace {

TEST(Ticks, AreRoundNumbersThatCoverTheRange) {
  EXPECT_EQ(ticks(0.0, 1.0, 5), (std::vector<double>{0.0, 0.2, 0.4, 0.6000000000000001, 0.8, 1.0}));
  EXPECT_EQ(ticks(0.0, 97.0, 5), (std::vector<double>{0, 20, 40, 60, 80, 100}));
  EXPECT_EQ(ticks(3.0, 3.0, 5), std::vector<double>{3.0});
  EXPECT_LE(ticks(-1e300, 1e300, 5).size(), 12U);
}

TEST(Ticks, EndWhateverTheRange) {
  constexpr double kLargest = std::numeric_limits<double>::max();
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  const std::vector<std::pair<double, double>> ranges{{1e17, 1e17 + 16.0}, {-kLargest, kLargest}, {0.0, 5e-324},
                                                      {0.0, kInfinity},    {-1e16, -1e16 + 2.0},  {0.0, kLargest}};
  for (const auto& [low, high] : ranges) {
    const std::vector<double> found = ticks(low, high, 5);

    EXPECT_GE(found.size(), 1U) << low;
    EXPECT_LE(found.size(), 12U) << low;
  }
}

// A chart of accuracies as reports draw it.
std::string accuracies(const std::vector<double>& values) {
  LineChart chart;
  chart.x_title = "round";
  chart.x_format = [](double value) { return std::to_string(static_cast<int>(value)); };
  chart.y_format = accuracy_format(true);
  chart.y_most = 1.0;
  Series series{"held-out data", 0, {}};
  for (std::size_t i = 0; i < values.size(); ++i) { series.points.emplace_back(static_cast<double>(i + 1), values[i]); }
  chart.series = {series};
  return line_chart(chart);
}

// The y of the first curve's points.
std::vector<double> heights(const std::string& svg) {
  std::vector<double> found;
  const std::string start = "<circle class=\"dot c0\"";
  for (std::size_t at = svg.find(start); at != std::string::npos; at = svg.find(start, at + 1)) {
    found.push_back(std::stod(svg.substr(svg.find("cy=\"", at) + 4)));
  }
  return found;
}

TEST(LineChart, RoundsHaveWholeNumbers) {
  const std::string svg = accuracies({0.1, 0.2, 0.3});

  std::size_t twos = 0;  // the format cuts 2.5 to 2
  for (std::size_t at = svg.find(">2</text>"); at != std::string::npos; at = svg.find(">2</text>", at + 1)) { ++twos; }
  EXPECT_EQ(twos, 1U);
}

TEST(LineChart, ValuesBeyondTheBoundsAreDrawnInsideThePicture) {
  for (const std::vector<double>& values : std::vector<std::vector<double>>{{85.0, 87.5, 90.0},
                                                                            {-3.0, -2.0},
                                                                            {-5.0},
                                                                            {1.5},
                                                                            {0.5, 85.0},
                                                                            {-1.0, 0.5},
                                                                            {2.0, 2.0, 2.0},
                                                                            {1e308, -1e308}}) {
    const std::string svg = accuracies(values);

    const std::vector<double> drawn = heights(svg);
    ASSERT_EQ(drawn.size(), values.size());
    for (std::size_t i = 0; i < values.size(); ++i) {
      EXPECT_GE(drawn[i], 14.0) << values[i];
      EXPECT_LE(drawn[i], 230.0) << values[i];
      if (i > 0 && values[i] > values[i - 1]) { EXPECT_LT(drawn[i], drawn[i - 1]) << "larger is higher"; }
    }
    EXPECT_FALSE(contains(svg, "nan")) << svg;
  }
}

TEST(LineChart, ValuesInsideTheBoundsKeepTheAxisInsideThem) {
  EXPECT_FALSE(contains(accuracies({0.97, 0.99, 1.0}), "102"));
  EXPECT_TRUE(contains(accuracies({0.97, 0.99, 1.0}), "100 %"));
  EXPECT_FALSE(contains(accuracies({0.0, 0.0}), ">-"));
}

TEST(LineChart, ACurveThatHardlyMovesIsFlat) {
  LineChart chart;
  chart.x_format = chart.y_format = accuracy_format(false);
  chart.series = {{"loss", 0, {{1.0, 0.69314}, {2.0, 0.69315}, {3.0, 0.69314}}}};

  const std::vector<double> drawn = heights(line_chart(chart));

  ASSERT_EQ(drawn.size(), 3U);
  EXPECT_NEAR(drawn[0], drawn[1], 1.0);
}

}  // namespace
}  // namespace tributary::cli
