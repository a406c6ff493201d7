// SPDX-License-Identifier: Apache-2.0
#include "text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <system_error>
#include <vector>

#include "tributary/base/printable.hpp"

namespace tributary::internal {
namespace {

bool is_letter(char c) noexcept {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}
bool is_digit(char c) noexcept {
  return c >= '0' && c <= '9';
}
bool is_name_character(char c) noexcept {
  return is_letter(c) || is_digit(c) || c == '.' || c == '_' || c == '-';
}
struct Unit {
  std::string_view name;
  double factor;
};

// Those used for writing come first, largest first.
constexpr std::size_t kWrittenRates = 4;
constexpr std::array<Unit, 18> kRates{{
    {"Gbit/s", 1e9 / 8},
    {"Mbit/s", 1e6 / 8},
    {"kbit/s", 1e3 / 8},
    {"B/s", 1.0},
    {"bit/s", 1.0 / 8},
    {"Tbit/s", 1e12 / 8},
    {"kB/s", 1e3},
    {"MB/s", 1e6},
    {"GB/s", 1e9},
    {"KiB/s", 1024.0},
    {"MiB/s", 1048576.0},
    {"GiB/s", 1073741824.0},
    {"bps", 1.0 / 8},
    {"kbps", 1e3 / 8},
    {"Mbps", 1e6 / 8},
    {"Gbps", 1e9 / 8},
    {"Tbps", 1e12 / 8},
    {"TB/s", 1e12},
}};
constexpr std::array<Unit, 4> kDurations{{{"s", 1e9}, {"ms", 1e6}, {"us", 1e3}, {"ns", 1.0}}};

std::optional<double> parse_quantity(std::string_view text, std::span<const Unit> units) {
  double number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || !std::isfinite(number)) { return std::nullopt; }
  std::string_view unit = text.substr(static_cast<std::size_t>(end - text.data()));
  while (!unit.empty() && unit.front() == ' ') { unit.remove_prefix(1); }
  for (const Unit& known : units) {
    if (known.name == unit) { return number * known.factor; }
  }
  return std::nullopt;
}

}  // namespace

bool is_name(std::string_view text) noexcept {
  return !text.empty() && text.size() <= 64 && std::all_of(text.begin(), text.end(), is_name_character);
}

std::string quoted(std::string_view text) {
  constexpr std::size_t kShown = 80;
  return '"' + printable_text(text, kShown) + '"';
}

std::string with_commas(std::uint64_t number) {
  std::string text = std::to_string(number);
  for (std::size_t i = text.size(); i > 3; i -= 3) { text.insert(i - 3, 1, ','); }
  return text;
}

std::string did_you_mean(std::string_view word, std::span<const std::string_view> known) {
  const std::string_view meant = nearest_word(word, known);
  return meant.empty() ? std::string{} : fmt::format("; did you mean {}?", quoted(meant));
}

std::optional<double> parse_rate(std::string_view text) {
  if (text == "unlimited") { return 0.0; }
  return parse_quantity(text, kRates);
}

std::string format_rate(double bytes_per_second) {
  if (bytes_per_second == 0.0) { return "unlimited"; }
  const std::string exact = fmt::format("{} B/s", bytes_per_second);
  std::string best = exact;
  for (const Unit& unit : std::span(kRates).first(kWrittenRates)) {
    std::string text = fmt::format("{} {}", bytes_per_second / unit.factor, unit.name);
    const bool readable = bytes_per_second >= unit.factor && text.size() <= 16;
    if (readable && parse_rate(text) == bytes_per_second) { return text; }
  }
  return best;
}

std::optional<std::chrono::nanoseconds> parse_duration(std::string_view text) {
  const std::optional<double> nanoseconds = parse_quantity(text, kDurations);
  if (!nanoseconds || std::abs(*nanoseconds) > 1e18) { return std::nullopt; }
  return std::chrono::nanoseconds(std::llround(*nanoseconds));
}

std::string format_duration(std::chrono::nanoseconds duration) {
  const std::int64_t count = duration.count();
  for (const Unit& unit : kDurations) {
    const auto factor = static_cast<std::int64_t>(unit.factor);
    if (count % factor == 0) { return fmt::format("{} {}", count / factor, unit.name); }
  }
  return fmt::format("{} ns", count);
}

std::optional<std::uint64_t> parse_whole(std::string_view text) noexcept {
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (text.empty() || error != std::errc{} || end != text.data() + text.size()) { return std::nullopt; }
  return number;
}

std::string xml_escaped(std::string_view text) {
  std::string result;
  result.reserve(text.size());
  for (const char c : printable_text(text)) {
    switch (c) {
      case '&':
        result += "&amp;";
        break;
      case '<':
        result += "&lt;";
        break;
      case '>':
        result += "&gt;";
        break;
      case '"':
        result += "&quot;";
        break;
      case '\'':
        result += "&#39;";
        break;
      default:
        result += c;
    }
  }
  return result;
}

std::string json_string(std::string_view text) {
  std::string result = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      result += '\\';
      result += c;
    } else if (static_cast<unsigned char>(c) < 0x20) {
      result += fmt::format("\\u{:04x}", static_cast<unsigned>(c));
    } else {
      result += c;
    }
  }
  return result + '"';
}

std::string yaml_scalar(std::string_view text) {
  static constexpr std::array<std::string_view, 11> kReserved{"null",  "Null",  "NULL",  "true", "True", "TRUE",
                                                              "false", "False", "FALSE", "yes",  "no"};
  const bool bare = !text.empty() && is_letter(text.front()) &&
                    std::all_of(text.begin(), text.end(), is_name_character) &&
                    std::find(kReserved.begin(), kReserved.end(), text) == kReserved.end();
  return bare ? std::string(text) : json_string(text);
}

}  // namespace tributary::internal
