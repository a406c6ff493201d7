// SPDX-License-Identifier: Apache-2.0
#include "config/number_advice.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/decimal_number.hpp"

namespace tributary::internal {
namespace {

constexpr std::size_t kGroup = 3;  // digits between two separators of thousands

bool are_digits(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

// Separators that are never a decimal sign become one and the same: spaces that do not break a line, apostrophes.
std::string with_plain_separators(std::string_view text) {
  constexpr std::array<std::string_view, 6> kSeparators{" ", "'", "_", "\xC2\xA0", "\xE2\x80\xAF", "\xE2\x80\x99"};
  std::string result;
  while (!text.empty()) {
    const auto* const found = std::find_if(kSeparators.begin(), kSeparators.end(),
                                           [&](std::string_view separator) { return text.starts_with(separator); });
    result += found == kSeparators.end() ? text.front() : '_';
    text.remove_prefix(found == kSeparators.end() ? 1 : found->size());
  }
  return result;
}

// The digits of "39,081,430" without its separators; empty if they do not stand before each three digits.
std::string without(std::string_view text, char separator) {
  std::string digits;
  for (bool first = true;; first = false) {
    const std::size_t end = std::min(text.find(separator), text.size());
    const std::string_view group = text.substr(0, end);
    if (!are_digits(group) || (first ? group.size() > kGroup : group.size() != kGroup)) { return {}; }
    digits += group;
    if (end == text.size()) { return first ? std::string() : digits; }
    text.remove_prefix(end + 1);
  }
}

}  // namespace

std::string number_advice(std::string_view text) {
  const std::string plain = with_plain_separators(trimmed(text));
  std::string_view body = plain;
  const std::string sign = body.starts_with('-') ? "-" : "";
  if (body.starts_with('-') || body.starts_with('+')) { body.remove_prefix(1); }

  const std::size_t last = body.find_last_of(".,");
  const std::string_view whole = body.substr(0, last);
  const std::string_view fraction = last == std::string_view::npos ? std::string_view() : body.substr(last + 1);
  const bool ends_in_fraction = are_digits(fraction);
  const char decimal_sign = last == std::string_view::npos ? '\0' : body[last];

  // One comma: a decimal sign, or before three digits perhaps a separator.
  if (decimal_sign == ',' && ends_in_fraction && are_digits(whole)) {
    return fraction.size() == kGroup && whole.size() <= kGroup && !whole.starts_with('0')
               ? "decimals are written with a point, and thousands without a separator"
               : "decimals are written with a point";
  }
  for (const char separator : {',', '.', '_'}) {
    if (const std::string digits = without(body, separator); !digits.empty()) {
      return fmt::format("write it without separators of thousands: {}{}", sign, digits);
    }
    const std::string digits =
        separator == decimal_sign || !ends_in_fraction ? std::string() : without(whole, separator);
    if (digits.empty()) { continue; }
    return fmt::format("write it without separators of thousands{}: {}{}.{}",
                       decimal_sign == ',' ? " and with a decimal point" : "", sign, digits, fraction);
  }
  return {};
}

}  // namespace tributary::internal
