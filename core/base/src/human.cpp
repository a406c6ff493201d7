// SPDX-License-Identifier: Apache-2.0
#include "tributary/base/human.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "base/utf8.hpp"

namespace tributary {
namespace {

constexpr std::string_view kNothing = "–";

struct Range {
  std::uint32_t first;
  std::uint32_t last;
};

template <std::size_t size>
bool is_in(const std::array<Range, size>& ranges, std::uint32_t value) noexcept {
  return std::any_of(ranges.begin(), ranges.end(),
                     [value](const Range& r) { return value >= r.first && value <= r.last; });
}

// The blocks that names are written in; a rare character outside them shifts its line by a cell, and that is all.
std::size_t cells_of(std::uint32_t value) noexcept {
  constexpr std::array<Range, 11> kCombining{{{0x300, 0x36F},
                                              {0x483, 0x489},
                                              {0x591, 0x5BD},
                                              {0x610, 0x61A},
                                              {0x64B, 0x65F},
                                              {0x1AB0, 0x1AFF},
                                              {0x1DC0, 0x1DFF},
                                              {0x200C, 0x200D},
                                              {0x20D0, 0x20FF},
                                              {0xFE00, 0xFE0F},
                                              {0xFE20, 0xFE2F}}};
  constexpr std::array<Range, 11> kWide{{{0x1100, 0x115F},
                                         {0x2E80, 0x303E},
                                         {0x3041, 0x33FF},
                                         {0x3400, 0x4DBF},
                                         {0x4E00, 0x9FFF},
                                         {0xA960, 0xA97F},
                                         {0xAC00, 0xD7A3},
                                         {0xF900, 0xFAFF},
                                         {0xFF00, 0xFF60},
                                         {0x1F300, 0x1FAFF},
                                         {0x20000, 0x3FFFD}}};
  if (value < 0x300) { return 1; }
  return is_in(kCombining, value) ? 0 : is_in(kWide, value) ? 2 : 1;
}

// Three significant digits without an exponent, for values in [0, 1000).
std::string three_digits(double value) {
  if (value >= 99.95) { return fmt::format("{:.0f}", value); }
  if (value >= 9.995) { return fmt::format("{:.1f}", value); }
  return fmt::format("{:.2f}", value);
}

}  // namespace

std::string human_bytes(double bytes) {
  constexpr std::array<std::string_view, 6> kUnits{"B", "kB", "MB", "GB", "TB", "PB"};
  if (!std::isfinite(bytes)) { return std::string(kNothing); }
  if (std::abs(bytes) < 999.5) { return fmt::format("{:.0f} B", bytes); }
  std::size_t unit = 0;
  double value = bytes;
  while (std::abs(value) >= 999.5 && unit + 1 < kUnits.size()) {
    value /= 1000.0;
    ++unit;
  }
  return fmt::format("{}{} {}", value < 0 ? "-" : "", three_digits(std::abs(value)), kUnits.at(unit));
}

std::string human_duration(double seconds) {
  if (!std::isfinite(seconds)) { return std::string(kNothing); }
  if (seconds <= 0.0) { return "0 s"; }
  if (seconds < 999.5e-6) { return fmt::format("{} µs", three_digits(seconds * 1e6)); }
  if (seconds < 999.5e-3) { return fmt::format("{} ms", three_digits(seconds * 1e3)); }
  if (seconds < 59.95) { return fmt::format("{} s", three_digits(seconds)); }
  const auto whole = static_cast<std::uint64_t>(std::min(std::round(seconds), 1e15));
  if (whole < 3600) { return fmt::format("{} min {:02} s", whole / 60, whole % 60); }
  if (whole < 86400) { return fmt::format("{} h {:02} min", whole / 3600, whole / 60 % 60); }
  return fmt::format("{} d {:02} h", whole / 86400, whole / 3600 % 24);
}

std::string human_count(std::uint64_t count) {
  std::string digits = fmt::format("{}", count);
  for (std::size_t i = digits.size(); i > 3; i -= 3) { digits.insert(i - 3, 1, ','); }
  return digits;
}

std::string human_percent(double share, int digits) {
  if (!std::isfinite(share)) { return std::string(kNothing); }
  return fmt::format("{:.{}f} %", share * 100.0, digits);
}

std::string human_accuracy(double accuracy) {
  const bool is_share = accuracy >= 0.0 && accuracy <= 1.0;
  return is_share || !std::isfinite(accuracy) ? human_percent(accuracy) : fmt::format("{:.6g}", accuracy);
}

std::string human_metric(double value) {
  if (!std::isfinite(value)) { return "–"; }
  return std::abs(value) < 1e4 ? fmt::format("{:.4f}", value) : fmt::format("{:.2e}", value);
}

std::uint64_t saturated_count(double number) noexcept {
  constexpr double kBeyond = 0x1p64;
  if (!(number > 0.0)) { return 0; }
  return number < kBeyond ? static_cast<std::uint64_t>(number) : std::numeric_limits<std::uint64_t>::max();
}

std::string human_plural(std::uint64_t count, std::string_view noun) {
  return fmt::format("{} {}{}", human_count(count), noun, count == 1 ? "" : "s");
}

std::size_t display_width(std::string_view text) noexcept {
  std::size_t cells = 0;
  while (!text.empty()) {
    const internal::CodePoint found = internal::first_code_point(text);
    cells += cells_of(found.value);
    text.remove_prefix(std::max<std::size_t>(1, found.bytes));
  }
  return cells;
}

std::string pad_left(std::string_view text, std::size_t width) {
  const std::size_t used = display_width(text);
  return std::string(width > used ? width - used : 0, ' ') + std::string(text);
}

std::string pad_right(std::string_view text, std::size_t width) {
  const std::size_t used = display_width(text);
  return std::string(text) + std::string(width > used ? width - used : 0, ' ');
}

std::string sparkline(std::span<const double> values, std::size_t cells, bool utf8) {
  constexpr std::array<std::string_view, 8> kBlocks{"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
  constexpr std::array<std::string_view, 8> kAscii{"_", ".", ":", "-", "=", "+", "*", "#"};
  double low = std::numeric_limits<double>::infinity();
  double high = -low;
  for (const double value : values) {
    if (!std::isfinite(value)) { continue; }
    low = std::min(low, value);
    high = std::max(high, value);
  }
  std::string out;
  const std::size_t shown = std::min(cells, values.size());
  for (std::size_t cell = 0; cell < shown; ++cell) {
    const double value = values[(cell + 1) * values.size() / shown - 1];
    if (!std::isfinite(value)) {
      out += ' ';
      continue;
    }
    const double share = high > low ? (value - low) / (high - low) : 1.0;
    const auto level = std::min<std::size_t>(7, static_cast<std::size_t>(share * 8.0));
    out += utf8 ? kBlocks.at(level) : kAscii.at(level);
  }
  return out;
}

}  // namespace tributary
