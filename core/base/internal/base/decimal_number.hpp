// SPDX-License-Identifier: Apache-2.0
// A finite number as it is written in a text, compared by its value: 1, 01, 1.0 and 1e0 are equal.
#pragma once

#include <charconv>
#include <compare>
#include <cstdint>
#include <optional>
#include <string_view>

namespace tributary::internal {

[[nodiscard]] std::string_view trimmed(std::string_view text) noexcept;

// The whole text, spaces around it and a plus before it aside, as std::from_chars reads it; `error` tells why not:
// result_out_of_range where it is a number, but not one of this type.
template <typename Value>
std::optional<Value> read_number(std::string_view text, std::errc& error) noexcept {
  text = trimmed(text);
  if (text.size() > 1 && text[0] == '+' && text[1] != '-') { text.remove_prefix(1); }
  Value value{};
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), value);
  error = end == text.data() + text.size() ? failure : std::errc::invalid_argument;
  return error == std::errc{} ? std::optional(value) : std::nullopt;
}

class DecimalNumber {
 public:
  // Nothing if it is not a finite number within the range of a double.
  static std::optional<DecimalNumber> parse(std::string_view text) noexcept;

  [[nodiscard]] bool is_whole() const noexcept { return whole_.has_value() || is_large_; }
  // Where it is a whole number of at most 63 bits.
  [[nodiscard]] std::optional<std::int64_t> whole() const noexcept { return whole_; }
  [[nodiscard]] double value() const noexcept { return value_; }
  // False beyond 63 bits: numbers that are written differently may compare as equal there.
  [[nodiscard]] bool is_exact() const noexcept { return !is_large_; }

  friend std::strong_ordering operator<=>(const DecimalNumber& a, const DecimalNumber& b) noexcept;
  friend bool operator==(const DecimalNumber& a, const DecimalNumber& b) noexcept { return (a <=> b) == 0; }

 private:
  std::optional<std::int64_t> whole_;
  double value_ = 0.0;
  bool is_large_ = false;  // beyond 63 bits, where every double is a whole number
};

}  // namespace tributary::internal
