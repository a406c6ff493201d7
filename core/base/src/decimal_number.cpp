// SPDX-License-Identifier: Apache-2.0
#include "base/decimal_number.hpp"

#include <cmath>

namespace tributary::internal {

std::string_view trimmed(std::string_view text) noexcept {
  const std::size_t first = text.find_first_not_of(" \t");
  if (first == std::string_view::npos) { return {}; }
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

std::optional<DecimalNumber> DecimalNumber::parse(std::string_view text) noexcept {
  constexpr double kTwoTo63 = 9223372036854775808.0;
  DecimalNumber number;
  std::errc error{};
  number.whole_ = read_number<std::int64_t>(text, error);
  if (number.whole_) {
    number.value_ = static_cast<double>(*number.whole_);
    return number;
  }
  const std::optional<double> value = read_number<double>(text, error);
  if (!value || !std::isfinite(*value)) { return std::nullopt; }
  number.value_ = *value;
  number.is_large_ = std::abs(*value) >= kTwoTo63;
  if (!number.is_large_ && std::trunc(*value) == *value) { number.whole_ = static_cast<std::int64_t>(*value); }
  return number;
}

// Whole numbers by their 63 bits, which a double does not hold; a number with a fraction lies below 2^53 and is exact.
std::strong_ordering operator<=>(const DecimalNumber& a, const DecimalNumber& b) noexcept {
  if (a.whole_ && b.whole_) { return *a.whole_ <=> *b.whole_; }
  // A large one lies beyond all others. Their doubles do not say so: that of 2^63 - 1 is 2^63.
  if (a.is_large_ && !b.is_large_) {
    return a.value_ < 0.0 ? std::strong_ordering::less : std::strong_ordering::greater;
  }
  if (b.is_large_ && !a.is_large_) {
    return b.value_ < 0.0 ? std::strong_ordering::greater : std::strong_ordering::less;
  }
  if (a.value_ < b.value_) { return std::strong_ordering::less; }
  return a.value_ > b.value_ ? std::strong_ordering::greater : std::strong_ordering::equal;
}

}  // namespace tributary::internal
