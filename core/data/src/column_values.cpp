// SPDX-License-Identifier: Apache-2.0
#include "column_values.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <numeric>
#include <tuple>

namespace tributary::internal {
namespace {

// All as numbers, or none.
std::vector<DecimalNumber> as_numbers(std::span<const ColumnValues::Value> values) {
  std::vector<DecimalNumber> numbers;
  for (const ColumnValues::Value& value : values) {
    const std::optional<DecimalNumber> number = DecimalNumber::parse(value.text);
    if (!number) { return {}; }
    numbers.push_back(*number);
  }
  return numbers;
}

}  // namespace

bool stands_for_nothing(std::string_view text) {
  constexpr std::array<std::string_view, 10> kWords{"nan", "na",       "n/a", "null", "none",
                                                    "inf", "infinity", "-",   "?",    "."};
  if (text.size() > 1 && (text[0] == '+' || text[0] == '-')) { text.remove_prefix(1); }
  std::string word(text);
  std::transform(word.begin(), word.end(), word.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return std::find(kWords.begin(), kWords.end(), word) != kWords.end();
}

std::int32_t ColumnValues::number_of(std::string_view text, Place place) {
  const auto [found, is_new] = numbers_.try_emplace(std::string(text), static_cast<std::int32_t>(values_.size()));
  if (is_new) { values_.push_back({std::string(text), place}); }
  return found->second;
}

ColumnValues::Order ColumnValues::order() const {
  const std::vector<DecimalNumber> numbers = as_numbers(values_);
  std::vector<std::size_t> order(values_.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  const auto by_text = [this](std::size_t a, std::size_t b) { return values_[a].text < values_[b].text; };
  std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    if (numbers.empty()) { return by_text(a, b); }
    if (numbers[a] != numbers[b]) { return numbers[a] < numbers[b]; }
    return std::pair(values_[a].text.size(), values_[a].text) < std::pair(values_[b].text.size(), values_[b].text);
  });
  Order result;
  result.rank_of.resize(values_.size());
  for (std::size_t i = 0; i < order.size(); ++i) {
    const std::size_t spelling = order[i];
    if (i == 0 || numbers.empty() || !numbers[spelling].is_exact() || numbers[spelling] != numbers[order[i - 1]]) {
      result.names.push_back(values_[spelling].text);
      if (!numbers.empty()) { result.numbers.push_back(numbers[spelling]); }
    }
    result.rank_of[spelling] = static_cast<std::int32_t>(result.names.size()) - 1;
  }
  return result;
}

const ColumnValues::Value* ColumnValues::missing_value() const {
  const Value* missing = nullptr;
  std::size_t numbers = 0;
  for (const Value& value : values_) {
    if (DecimalNumber::parse(value.text)) {
      ++numbers;
    } else if (!stands_for_nothing(value.text)) {
      return nullptr;
    } else if (missing == nullptr) {
      missing = &value;
    }
  }
  return numbers > 0 ? missing : nullptr;
}

const ColumnValues::Value* ColumnValues::value_beyond_range() const {
  const Value* beyond = nullptr;
  for (const Value& value : values_) {
    std::errc error{};
    if (read_number<double>(value.text, error) || DecimalNumber::parse(value.text)) { continue; }
    if (error != std::errc::result_out_of_range) { return nullptr; }
    if (beyond == nullptr) { beyond = &value; }
  }
  return beyond;
}

KnownValues::KnownValues(std::span<const std::string> names) {
  for (const std::string& name : names) { texts_.emplace(name, static_cast<std::int32_t>(texts_.size())); }
  for (const std::string& name : names) {
    const std::optional<DecimalNumber> number = DecimalNumber::parse(name);
    if (!number) {
      numbers_.clear();
      break;
    }
    numbers_.push_back(*number);
  }
}

std::optional<std::int32_t> KnownValues::find(std::string_view text) const {
  if (const auto found = texts_.find(std::string(text)); found != texts_.end()) { return found->second; }
  if (numbers_.empty()) { return std::nullopt; }
  const std::optional<DecimalNumber> number = DecimalNumber::parse(text);
  if (!number || !number->is_exact()) { return std::nullopt; }
  const auto place = std::lower_bound(numbers_.begin(), numbers_.end(), *number);
  if (place == numbers_.end() || *place != *number) { return std::nullopt; }
  return static_cast<std::int32_t>(place - numbers_.begin());
}

}  // namespace tributary::internal
