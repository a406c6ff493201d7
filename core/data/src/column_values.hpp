// SPDX-License-Identifier: Apache-2.0
// The distinct values of a column of labels or ids, and their order.
//
// Order:   if all values are numbers, by value, and numbers of one value are one (1, 01, 1.0 and 1e0), but beyond 63
//          bits every spelling is a value of its own, as two long ids may have the same double; if one of them is not a
//          number, all are texts, ascending by their bytes.
// Threads: one object per thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/decimal_number.hpp"

namespace tributary::internal {

// What people write where there is no value: nan, NA, null, none, inf, ?, - and the like.
[[nodiscard]] bool stands_for_nothing(std::string_view text);

class ColumnValues {
 public:
  struct Place {
    std::size_t line = 0;
    std::size_t column = 0;
  };
  struct Value {
    std::string text;
    Place place;  // of its first appearance
  };
  struct Order {
    std::vector<std::int32_t> rank_of;   // by spelling, as numbered by number_of()
    std::vector<std::string> names;      // by rank: of several spellings of one value the shortest
    std::vector<DecimalNumber> numbers;  // by rank; empty if the values are texts
  };

  // Spellings are numbered as they come along.
  std::int32_t number_of(std::string_view text, Place place);

  [[nodiscard]] std::span<const Value> values() const noexcept { return values_; }
  [[nodiscard]] Order order() const;
  // What stands for "nothing" (nan, NA, null ...) in a column that holds nothing but numbers otherwise; null if there
  // is no such value.
  [[nodiscard]] const Value* missing_value() const;
  // What is a number beyond the range of a double, in a column that holds nothing but numbers: one such would make
  // texts of all. Null if there is none.
  [[nodiscard]] const Value* value_beyond_range() const;

 private:
  std::vector<Value> values_;
  std::unordered_map<std::string, std::int32_t> numbers_;
};

// Finds the values of a column among those of a column read before.
class KnownValues {
 public:
  explicit KnownValues(std::span<const std::string> names);

  // The rank of the value; nothing if it is not there.
  [[nodiscard]] std::optional<std::int32_t> find(std::string_view text) const;

 private:
  std::unordered_map<std::string, std::int32_t> texts_;
  std::vector<DecimalNumber> numbers_;  // ascending; empty if the values are texts
};

}  // namespace tributary::internal
