// SPDX-License-Identifier: Apache-2.0
#include "tributary/core/human.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

namespace tributary {
namespace {

constexpr std::string_view kNothing = "–";

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

std::string human_plural(std::uint64_t count, std::string_view noun) {
  return fmt::format("{} {}{}", human_count(count), noun, count == 1 ? "" : "s");
}

std::size_t display_width(std::string_view text) noexcept {
  return static_cast<std::size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U; }));
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
