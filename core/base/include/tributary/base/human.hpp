// SPDX-License-Identifier: Apache-2.0
// Quantities as people read them. Never parse these: machines read records and `--json`.
//
// Threads: functions of their arguments only. Non-finite numbers become "–".
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace tributary {

// Decimal prefixes, three digits: "0 B", "532 B", "1.23 kB", "45.6 MB", "789 GB".
[[nodiscard]] std::string human_bytes(double bytes);
// "0 s", "850 µs", "12.3 ms", "4.56 s", "1 min 12 s", "3 h 05 min", "2 d 04 h".
[[nodiscard]] std::string human_duration(double seconds);
// "1,234,567"
[[nodiscard]] std::string human_count(std::uint64_t count);
// Of a share in [0, 1]: "62.31 %".
[[nodiscard]] std::string human_percent(double share, int digits = 2);
// An accuracy: a share as human_percent(); what lies outside [0, 1], as some programs report theirs, as it is: "85".
[[nodiscard]] std::string human_accuracy(double accuracy);
// A loss or another metric: "2.3026", "2.02e+09"; "–" for what is no finite number.
[[nodiscard]] std::string human_metric(double value);
// The whole number at or below a measured or recorded one, for human_count(): 0 for negative ones and NaN, 2^64 - 1 for
// what is larger than that.
[[nodiscard]] std::uint64_t saturated_count(double number) noexcept;
// "1 client", "32 clients"
[[nodiscard]] std::string human_plural(std::uint64_t count, std::string_view noun);

// Cells that UTF-8 text takes on a terminal: two for a character of East Asia and for an emoji, none for an accent that
// combines with the letter before it.
[[nodiscard]] std::size_t display_width(std::string_view text) noexcept;
// Filled with spaces up to `width`.
[[nodiscard]] std::string pad_left(std::string_view text, std::size_t width);
[[nodiscard]] std::string pad_right(std::string_view text, std::size_t width);

// Block characters for `values`, scaled between their minimum and maximum, at most `cells` of them: each then stands
// for the last of several. Without `utf8`, " .:-=+*#" instead. Non-finite values are blanks.
[[nodiscard]] std::string sparkline(std::span<const double> values, std::size_t cells, bool utf8 = true);

}  // namespace tributary
