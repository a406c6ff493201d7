// SPDX-License-Identifier: Apache-2.0
// Charts as inline SVG, coloured by the page's classes c0 .. c7, with hover labels made of CSS alone.
#pragma once

#include <functional>
#include <string>
#include <utility>
#include <vector>

namespace tributary::cli {

struct Series {
  std::string name;
  std::size_t color = 0;
  std::vector<std::pair<double, double>> points;  // x ascending; all finite
};

using NumberFormat = std::function<std::string(double)>;
// Of an axis of accuracies: in per cent if they are shares.
[[nodiscard]] NumberFormat accuracy_format(bool is_share);

struct LineChart {
  std::string description;  // for those who cannot see it
  std::string x_title;
  NumberFormat x_format;  // ticks and hover labels
  NumberFormat y_format;
  double y_least = 0.0;  // bounds beyond which the axis reaches only if a point does
  double y_most = 1e300;
  std::vector<Series> series;
  bool area = false;  // shade below the first curve
};
// With a legend if there are several series; a short sentence if there are no points.
[[nodiscard]] std::string line_chart(const LineChart& chart);

struct StackedBars {
  std::string description;
  std::string x_title;
  NumberFormat y_format;
  std::vector<std::string> names;  // of the layers, from the bottom
  std::vector<std::size_t> colors;
  struct Bar {
    std::string label;
    double x = 0.0;
    std::vector<double> values;  // one per layer, >= 0
  };
  std::vector<Bar> bars;
};
// More bars than that are averaged in groups.
inline constexpr std::size_t kMostBars = 100;
// Neither has a legend.
[[nodiscard]] std::string stacked_bars(const StackedBars& chart);
// The bars from top to bottom, each beside its label, across the whole page; they share one axis of values.
[[nodiscard]] std::string lying_bars(const StackedBars& chart);

// `names[i]` with colour `colors[i]` and, unless empty, `values[i]`.
[[nodiscard]] std::string legend(const std::vector<std::string>& names, const std::vector<std::size_t>& colors,
                                 const std::vector<std::string>& values = {});

// Round numbers that cover [low, high], about `count` of them.
[[nodiscard]] std::vector<double> ticks(double low, double high, int count);

}  // namespace tributary::cli
