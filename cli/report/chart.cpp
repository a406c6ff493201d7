// SPDX-License-Identifier: Apache-2.0
#include "report/chart.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <limits>
#include <map>
#include <numeric>

#include "report/page.hpp"
#include "tributary/base/human.hpp"

namespace tributary::cli {
namespace {

constexpr double kWidth = 540.0;
constexpr double kHeight = 270.0;
constexpr double kLeft = 56.0;
constexpr double kRight = 14.0;
constexpr double kTop = 14.0;
constexpr double kBottom = 40.0;
constexpr double kTipLine = 16.0;
constexpr double kTipCharacter = 6.3;
constexpr std::size_t kMaxHits = 240;
constexpr std::size_t kMaxCurvePoints = 2000;
constexpr std::size_t kDotLimit = 40;

struct Scale {
  double low = 0.0;
  double high = 1.0;
  double from = 0.0;  // pixels
  double to = 1.0;

  [[nodiscard]] double operator()(double value) const {
    // Halves, so that the distance of two finite numbers is finite.
    return high > low ? from + (value / 2 - low / 2) / (high / 2 - low / 2) * (to - from) : (from + to) / 2;
  }
};

using Out = std::back_insert_iterator<std::string>;

std::string frame(std::string_view description) {
  return fmt::format("<svg class=\"chart\" viewBox=\"0 0 {} {}\" role=\"img\" aria-label=\"{}\">\n", kWidth, kHeight,
                     escape_html(description));
}

void draw_axes(std::string& out, const Scale& x, const std::vector<double>& x_ticks, const NumberFormat& x_format,
               const std::string& x_title, const Scale& y, const std::vector<double>& y_ticks,
               const NumberFormat& y_format) {
  Out to(out);
  for (const double tick : y_ticks) {
    fmt::format_to(to, "<line class=\"grid\" x1=\"{:.1f}\" x2=\"{:.1f}\" y1=\"{:.1f}\" y2=\"{:.1f}\"/>", kLeft,
                   kWidth - kRight, y(tick), y(tick));
    fmt::format_to(to, "<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"end\">{}</text>\n", kLeft - 8, y(tick) + 4,
                   escape_html(y_format(tick)));
  }
  const double base = kHeight - kBottom;
  fmt::format_to(to, "<line class=\"axis\" x1=\"{:.1f}\" x2=\"{:.1f}\" y1=\"{:.1f}\" y2=\"{:.1f}\"/>", kLeft,
                 kWidth - kRight, base, base);
  for (const double tick : x_ticks) {
    const std::string label = x_format(tick);
    const double half = kTipCharacter / 2 * static_cast<double>(display_width(label));
    fmt::format_to(to, "<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"middle\">{}</text>",
                   std::min(x(tick), kWidth - 2 - half), base + 16, escape_html(label));
  }
  fmt::format_to(to, "<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"middle\">{}</text>\n",
                 (kLeft + kWidth - kRight) / 2, kHeight - 6, escape_html(x_title));
}

struct TipLine {
  std::string text;
  int color = -1;  // none
};

double tip_height(std::size_t lines) {
  return 10.0 + kTipLine * static_cast<double>(lines);
}

// A label beside x, kept inside a picture that wide.
void draw_tip(std::string& out, double x, const std::vector<TipLine>& lines, double top = kTop,
              double picture = kWidth) {
  std::size_t longest = 0;
  for (const TipLine& line : lines) { longest = std::max(longest, display_width(line.text)); }
  const double width = 24.0 + kTipCharacter * static_cast<double>(longest) + 6.0;
  const double left = x + width + 12 > picture ? std::max(0.0, x - width - 10) : x + 10;
  Out to(out);
  fmt::format_to(to,
                 "<g class=\"tip mark\"><rect x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.1f}\" height=\"{:.1f}\" rx=\"6\"/>",
                 left, top, width, tip_height(lines.size()));
  double y = top + 17;
  for (const TipLine& line : lines) {
    if (line.color >= 0) {
      fmt::format_to(to, "<circle class=\"c{}\" cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"4\"/>", line.color, left + 12, y - 4);
    }
    fmt::format_to(to, "<text x=\"{:.1f}\" y=\"{:.1f}\">{}</text>", left + (line.color >= 0 ? 22 : 10), y,
                   escape_html(line.text));
    y += kTipLine;
  }
  out += "</g>";
}

// At most `most` entries, evenly spaced, the last one always among them.
template <typename T>
std::vector<T> thinned(const std::vector<T>& all, std::size_t most) {
  if (all.size() <= most) { return all; }
  std::vector<T> kept;
  for (std::size_t i = 0; i < most; ++i) { kept.push_back(all[(i + 1) * all.size() / most - 1]); }
  return kept;
}

void draw_curve(std::string& out, const Series& series, const Scale& x, const Scale& y, bool area) {
  std::string path;
  for (const auto& [px, py] : thinned(series.points, kMaxCurvePoints)) {
    fmt::format_to(Out(path), "{}{:.1f} {:.1f}", path.empty() ? "M" : "L", x(px), y(py));
  }
  Out to(out);
  if (area) {
    fmt::format_to(to, "<path class=\"area c{}\" d=\"{}L{:.1f} {:.1f}L{:.1f} {:.1f}Z\"/>", series.color, path,
                   x(series.points.back().first), kHeight - kBottom, x(series.points.front().first), kHeight - kBottom);
  }
  fmt::format_to(to, "<path class=\"curve c{}\" d=\"{}\"/>\n", series.color, path);
  if (series.points.size() <= kDotLimit) {
    for (const auto& [px, py] : series.points) {
      fmt::format_to(to, "<circle class=\"dot c{}\" cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"2.6\"/>", series.color, x(px),
                     y(py));
    }
    out += '\n';
  }
}

// Vertical bands that show the values at their x while the pointer is in them.
void draw_hits(std::string& out, const LineChart& chart, const Scale& x, const Scale& y) {
  std::map<double, std::vector<std::pair<std::size_t, double>>> by_x;
  for (std::size_t s = 0; s < chart.series.size(); ++s) {
    for (const auto& [px, py] : chart.series[s].points) { by_x[px].emplace_back(s, py); }
  }
  std::vector<double> places;
  for (const auto& [px, values] : by_x) { places.push_back(px); }
  places = thinned(places, kMaxHits);
  for (std::size_t i = 0; i < places.size(); ++i) {
    const double here = x(places[i]);
    const double left = i == 0 ? kLeft : (x(places[i - 1]) + here) / 2;
    const double right = i + 1 == places.size() ? kWidth - kRight : (here + x(places[i + 1])) / 2;
    Out to(out);
    fmt::format_to(to, "<g class=\"hit\"><rect x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.1f}\" height=\"{:.1f}\"/>", left,
                   kTop, right - left, kHeight - kTop - kBottom);
    fmt::format_to(to, "<line class=\"cross mark\" x1=\"{0:.1f}\" x2=\"{0:.1f}\" y1=\"{1:.1f}\" y2=\"{2:.1f}\"/>", here,
                   kTop, kHeight - kBottom);
    std::vector<TipLine> lines{{fmt::format("{} {}", chart.x_title, chart.x_format(places[i])), -1}};
    for (const auto& [s, value] : by_x[places[i]]) {
      fmt::format_to(to, "<circle class=\"dot mark c{}\" cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"4\"/>", chart.series[s].color,
                     here, y(value));
      lines.push_back({fmt::format("{}  {}", chart.y_format(value), chart.series[s].name),
                       static_cast<int>(chart.series[s].color)});
    }
    draw_tip(out, here, lines);
    out += "</g>\n";
  }
}

std::vector<StackedBars::Bar> grouped(const std::vector<StackedBars::Bar>& bars) {
  if (bars.size() <= kMostBars) { return bars; }
  std::vector<StackedBars::Bar> groups;
  for (std::size_t g = 0; g < kMostBars; ++g) {
    const std::size_t first = g * bars.size() / kMostBars;
    const std::size_t end = (g + 1) * bars.size() / kMostBars;
    StackedBars::Bar mean = bars[first];
    for (std::size_t i = first + 1; i < end; ++i) {
      for (std::size_t layer = 0; layer < mean.values.size(); ++layer) { mean.values[layer] += bars[i].values[layer]; }
    }
    for (double& value : mean.values) { value /= static_cast<double>(end - first); }
    if (end - first > 1) { mean.label = fmt::format("{} to {}, mean", bars[first].label, bars[end - 1].label); }
    groups.push_back(std::move(mean));
  }
  return groups;
}

// The largest sum of a bar's layers; 1 if all are empty.
double longest(const std::vector<StackedBars::Bar>& bars) {
  double most = 0.0;
  for (const auto& bar : bars) { most = std::max(most, std::accumulate(bar.values.begin(), bar.values.end(), 0.0)); }
  return most > 0.0 ? most : 1.0;
}

}  // namespace

NumberFormat accuracy_format(bool is_share) {
  if (is_share) {
    return [](double value) { return fmt::format("{:.4g} %", value * 100.0); };
  }
  return [](double value) { return fmt::format("{:.4g}", value); };
}

std::vector<double> ticks(double low, double high, int count) {
  const double rough = (high - low) / std::max(1, count);
  if (!(rough > 0.0) || !std::isfinite(rough)) { return {low}; }
  const double magnitude = std::pow(10.0, std::floor(std::log10(rough)));
  double step = 10.0 * magnitude;
  for (const double factor : {1.0, 2.0, 2.5, 5.0}) {
    if (rough <= factor * magnitude) {
      step = factor * magnitude;
      break;
    }
  }
  std::vector<double> result;
  const double first = std::floor(low / step + 1e-9);
  const double last = std::ceil(high / step - 1e-9);
  // Beyond 2^53 steps from zero the numbers of neighbouring steps are the same.
  if (!(first + 1.0 > first) || !(last + 1.0 > last)) { return {low}; }
  for (double i = first; i <= last; i += 1.0) { result.push_back(i * step); }
  return result;
}

std::string legend(const std::vector<std::string>& names, const std::vector<std::size_t>& colors,
                   const std::vector<std::string>& values) {
  std::string out = "<div class=\"legend\">";
  for (std::size_t i = 0; i < names.size(); ++i) {
    fmt::format_to(Out(out), "<span><i class=\"c{}\"></i>{}", colors.at(i), escape_html(names[i]));
    if (i < values.size()) { fmt::format_to(Out(out), " <b>{}</b>", escape_html(values[i])); }
    out += "</span>";
  }
  return out + "</div>";
}

std::string line_chart(const LineChart& chart) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  double x_low = kInfinity;
  double x_high = -kInfinity;
  double y_low = kInfinity;
  double y_high = -kInfinity;
  std::vector<std::string> names;
  std::vector<std::size_t> colors;
  bool whole_places = true;
  for (const Series& series : chart.series) {
    if (series.points.empty()) { continue; }
    names.push_back(series.name);
    colors.push_back(series.color);
    for (const auto& [px, py] : series.points) {
      whole_places = whole_places && px == std::round(px);
      x_low = std::min(x_low, px);
      x_high = std::max(x_high, px);
      y_low = std::min(y_low, py);
      y_high = std::max(y_high, py);
    }
  }
  if (names.empty()) { return "<p class=\"note\">Nothing was measured.</p>"; }
  // What was measured beyond a bound is shown all the same.
  const double y_least = y_low < chart.y_least ? -kInfinity : chart.y_least;
  const double y_most = y_high > chart.y_most ? kInfinity : chart.y_most;
  // A range that nearly reaches down to the bound starts there; a flat curve gets some room.
  if (y_low - y_least < 0.6 * (y_high - y_least)) { y_low = y_least; }
  const double room = std::max(std::abs(y_high) * 0.1, 1e-3);
  if (y_high - y_low < 0.01 * room) {
    y_low = std::max({y_least, y_low - room, std::numeric_limits<double>::lowest()});
    y_high = std::min({y_most, y_high + room, std::numeric_limits<double>::max()});
  }
  std::vector<double> y_ticks = ticks(y_low, y_high, 5);
  std::erase_if(y_ticks, [&](double t) { return t > y_most + 1e-9 || t < y_least - 1e-9; });
  if (y_ticks.empty()) { y_ticks = {y_low}; }
  const Scale y{std::min(y_low, y_ticks.front()), std::max(y_high, y_ticks.back()), kHeight - kBottom, kTop};
  std::vector<double> x_ticks = ticks(x_low, x_high, 7);
  std::erase_if(x_ticks, [&](double t) { return t < x_low - 1e-9 || t > x_high + 1e-9; });
  // There is no round 1.5.
  if (whole_places) {
    std::erase_if(x_ticks, [](double t) { return t != std::round(t); });
  }
  if (x_ticks.empty()) { x_ticks = {x_low}; }
  const Scale x{x_low, x_high, kLeft + 8, kWidth - kRight - 8};

  std::string out;
  if (names.size() > 1) { out += legend(names, colors); }
  out += frame(chart.description);
  draw_axes(out, x, x_ticks, chart.x_format, chart.x_title, y, y_ticks, chart.y_format);
  bool area = chart.area;
  for (const Series& series : chart.series) {
    if (series.points.empty()) { continue; }
    draw_curve(out, series, x, y, std::exchange(area, false));
  }
  draw_hits(out, chart, x, y);
  return out + "</svg>\n";
}

std::string stacked_bars(const StackedBars& chart) {
  if (chart.bars.empty()) { return "<p class=\"note\">No round was completed.</p>"; }
  const std::vector<StackedBars::Bar> bars = grouped(chart.bars);
  const std::vector<double> y_ticks = ticks(0.0, longest(bars), 5);
  const Scale y{0.0, y_ticks.back(), kHeight - kBottom, kTop};
  const double slot = (kWidth - kRight - kLeft) / static_cast<double>(bars.size());
  const double width = std::min(34.0, slot * (bars.size() > 60 ? 0.94 : 0.74));
  const Scale x{0.0, static_cast<double>(bars.size()), kLeft, kWidth - kRight};

  std::string out = frame(chart.description);
  std::vector<double> x_ticks;
  const std::size_t every = std::max<std::size_t>(1, (bars.size() + 9) / 10);
  for (std::size_t i = 0; i < bars.size(); i += every) { x_ticks.push_back(static_cast<double>(i) + 0.5); }
  const NumberFormat x_format = [&bars](double place) {
    return fmt::format("{:g}", bars.at(static_cast<std::size_t>(place)).x);
  };
  draw_axes(out, x, x_ticks, x_format, chart.x_title, y, y_ticks, chart.y_format);
  // All bars first: a hover label must not disappear behind its neighbours.
  std::string hits;
  for (std::size_t i = 0; i < bars.size(); ++i) {
    const double middle = x(static_cast<double>(i) + 0.5);
    double sum = 0.0;
    std::vector<TipLine> lines;
    for (std::size_t layer = 0; layer < bars[i].values.size(); ++layer) {
      const double value = bars[i].values[layer];
      const std::size_t color = chart.colors.at(layer);
      const double height = y(sum) - y(sum + value);
      if (height > 0.05) {
        fmt::format_to(Out(out), "<path class=\"bar c{}\" d=\"M{:.1f} {:.2f}h{:.1f}v{:.2f}h-{:.1f}Z\"/>", color,
                       middle - width / 2, y(sum), width, -height, width);
      }
      sum += value;
      lines.push_back({fmt::format("{}  {}", chart.y_format(value), chart.names.at(layer)), static_cast<int>(color)});
    }
    lines.push_back({fmt::format("{} {}: {}", chart.x_title, bars[i].label, chart.y_format(sum)), -1});
    std::reverse(lines.begin(), lines.end());
    fmt::format_to(Out(hits), "<g class=\"hit\"><rect x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.1f}\" height=\"{:.1f}\"/>",
                   middle - slot / 2, kTop, slot, kHeight - kTop - kBottom);
    draw_tip(hits, middle, lines);
    hits += "</g>\n";
  }
  out += "\n" + hits;
  return out + "</svg>\n";
}

std::string lying_bars(const StackedBars& chart) {
  constexpr double kPageWidth = 1080.0;
  constexpr double kAxis = 24.0;      // below the bars
  constexpr double kLeastLabel = 13;  // from one label to the next
  const std::vector<StackedBars::Bar> bars = grouped(chart.bars);
  std::size_t label = 0;
  for (const auto& bar : bars) { label = std::max(label, display_width(bar.label)); }
  const auto count = static_cast<double>(bars.size());
  const double pitch = std::clamp(576.0 / count, 6.0, 24.0);
  const double thickness = 0.72 * pitch;
  const double left = 20.0 + kTipCharacter * static_cast<double>(label + chart.x_title.size());
  const double base = 4.0 + pitch * count;
  // Room for a hover label even if there are few bars.
  const double height = std::max(base + kAxis, tip_height(chart.names.size() + 1) + 4.0);
  const std::vector<double> x_ticks = ticks(0.0, longest(bars), 8);
  const Scale x{0.0, x_ticks.back(), left, kPageWidth - 30.0};

  std::string out = fmt::format(
      "<svg class=\"chart\" viewBox=\"0 0 {} {:.1f}\" style=\"min-width:640px\" role=\"img\" aria-label=\"{}\">\n",
      kPageWidth, height, escape_html(chart.description));
  for (const double tick : x_ticks) {
    fmt::format_to(Out(out), "<line class=\"grid\" x1=\"{0:.1f}\" x2=\"{0:.1f}\" y1=\"0\" y2=\"{1:.1f}\"/>", x(tick),
                   base);
    fmt::format_to(Out(out), "<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"middle\">{}</text>\n", x(tick), base + 16,
                   escape_html(chart.y_format(tick)));
  }
  // All bars first: a hover label must not disappear behind its neighbours.
  std::string hits;
  const auto every = static_cast<std::size_t>(std::ceil(kLeastLabel / pitch));
  for (std::size_t i = 0; i < bars.size(); ++i) {
    const double top = 4.0 + pitch * static_cast<double>(i);
    if (i % every == 0) {
      fmt::format_to(Out(out), "<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"end\">{} {}</text>", left - 8,
                     top + thickness / 2 + 4, escape_html(chart.x_title), escape_html(bars[i].label));
    }
    double sum = 0.0;
    std::vector<TipLine> lines{{fmt::format("{} {}", chart.x_title, bars[i].label), -1}};
    for (std::size_t layer = 0; layer < bars[i].values.size(); ++layer) {
      const double value = bars[i].values[layer];
      const std::size_t color = chart.colors.at(layer);
      const double width = x(sum + value) - x(sum);
      if (width > 0.05) {
        fmt::format_to(Out(out), "<path class=\"bar c{}\" d=\"M{:.2f} {:.1f}h{:.2f}v{:.1f}h-{:.2f}Z\"/>", color, x(sum),
                       top, width, thickness, width);
      }
      sum += value;
      lines.push_back({fmt::format("{}  {}", chart.y_format(value), chart.names.at(layer)), static_cast<int>(color)});
    }
    out += '\n';
    fmt::format_to(Out(hits), "<g class=\"hit\"><rect x=\"0\" y=\"{:.1f}\" width=\"{:.1f}\" height=\"{:.1f}\"/>",
                   top - (pitch - thickness) / 2, kPageWidth, pitch);
    draw_tip(hits, x(sum), lines, std::min(top, height - tip_height(lines.size()) - 2.0), kPageWidth);
    hits += "</g>\n";
  }
  return out + hits + "</svg>\n";
}

}  // namespace tributary::cli
