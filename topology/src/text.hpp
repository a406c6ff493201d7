// SPDX-License-Identifier: Apache-2.0
// Words and numbers of topology files: names, quantities with units, quoting, and the nearest known word.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/words.hpp"

namespace tributary::internal {

// 1 to 64 of [A-Za-z0-9._-].
[[nodiscard]] bool is_name(std::string_view text) noexcept;
// In double quotes, shortened to 80 bytes, with escapes for what cannot be printed.
[[nodiscard]] std::string quoted(std::string_view text);
// 1000000 -> "1,000,000".
[[nodiscard]] std::string with_commas(std::uint64_t number);

// "; did you mean "x"?", or nothing if no known word is close.
[[nodiscard]] std::string did_you_mean(std::string_view word, std::span<const std::string_view> known);

// "100 Mbit/s", "12.5 MB/s", "1Gbps", "unlimited" (0): bytes per second. Nothing if it is no rate.
[[nodiscard]] std::optional<double> parse_rate(std::string_view text);
// The shortest text that parse_rate() reads back exactly.
[[nodiscard]] std::string format_rate(double bytes_per_second);
// "5 ms", "250us": nothing if it is no duration.
[[nodiscard]] std::optional<std::chrono::nanoseconds> parse_duration(std::string_view text);
[[nodiscard]] std::string format_duration(std::chrono::nanoseconds duration);
// Decimal digits only.
[[nodiscard]] std::optional<std::uint64_t> parse_whole(std::string_view text) noexcept;

// Bounds of a link.
inline constexpr double kLeastRate = 1.0;
inline constexpr double kLargestRate = 1e15;
inline constexpr std::chrono::nanoseconds kLargestLatency = std::chrono::hours(1);

[[nodiscard]] std::string xml_escaped(std::string_view text);
// With the quotes; valid in JSON, YAML and DOT.
[[nodiscard]] std::string json_string(std::string_view text);
// Bare where YAML reads it back as the same text, quoted otherwise.
[[nodiscard]] std::string yaml_scalar(std::string_view text);

}  // namespace tributary::internal
