// SPDX-License-Identifier: Apache-2.0
// One line of results, and where lines go.
//
// A record is an event name and ordered named values; record_catalog.hpp and docs/run-directory.md list every event and
// its fields. Sinks are in record_sinks.hpp and console_sink.hpp.
// Threads: a Record is a value; a sink is called by one thread at a time.
// Numbers: non-finite ones are written as null and read back as NaN.
#pragma once

#include <concepts>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "tributary/base/status.hpp"

namespace tributary {

class Record {
 public:
  // Integers are std::int64_t wherever they fit; std::uint64_t holds only what is larger.
  using Value = std::variant<std::int64_t, std::uint64_t, double, bool, std::string, std::vector<double>>;

  explicit Record(std::string event) : event_(std::move(event)) {}

  // Adds a field, or replaces the value of one. "schema" and "event" are taken: such a field is not written.
  Record& set(std::string_view key, Value value);
  template <std::integral Number>
  Record& set(std::string_view key, Number value) {
    if constexpr (std::same_as<Number, bool>) {
      return set(key, Value{std::in_place_type<bool>, value});
    } else if constexpr (std::is_signed_v<Number>) {
      return set(key, Value{std::in_place_type<std::int64_t>, value});
    } else {
      return set(key, from_unsigned(value));
    }
  }
  Record& set(std::string_view key, double value) { return set(key, Value{std::in_place_type<double>, value}); }
  Record& set(std::string_view key, const char* text) { return set(key, Value{std::string(text)}); }
  Record& set(std::string_view key, std::string_view text) { return set(key, Value{std::string(text)}); }
  Record& set(std::string_view key, std::string text) { return set(key, Value{std::move(text)}); }
  Record& set(std::string_view key, std::vector<double> numbers) { return set(key, Value{std::move(numbers)}); }

  [[nodiscard]] const std::string& event() const noexcept { return event_; }
  [[nodiscard]] std::span<const std::pair<std::string, Value>> fields() const noexcept { return fields_; }
  // Null if there is no such field.
  [[nodiscard]] const Value* find(std::string_view key) const noexcept;
  // An integer or floating-point field as a number; `otherwise` if absent, not finite or of another kind.
  [[nodiscard]] double number(std::string_view key, double otherwise = 0.0) const noexcept;
  // A text field; empty if absent or of another kind. Lives as long as the field.
  [[nodiscard]] std::string_view text(std::string_view key) const noexcept;
  // A list field; empty if absent or of another kind. Lives as long as the field.
  [[nodiscard]] std::span<const double> numbers(std::string_view key) const noexcept;

  // One JSON object without a line end: {"schema":1,"event":"round",...}. Floating-point numbers are written with the
  // fewest digits that read back as the same number; text that is not UTF-8 has its bad bytes replaced.
  [[nodiscard]] std::string to_json() const;
  // kBadData: not such an object, of another schema, or with a value that is none of Value (null is NaN).
  static Result<Record> from_json(std::string_view line);

  friend bool operator==(const Record&, const Record&) = default;

 private:
  static Value from_unsigned(std::uint64_t value) noexcept;

  std::string event_;
  std::vector<std::pair<std::string, Value>> fields_;
};

class RecordSink {
 public:
  virtual ~RecordSink() = default;
  virtual Status write(const Record& record) = 0;
  // A record that was written before the run was resumed: what a sink shows or sums up of it is its own affair.
  virtual Status replay(const Record& record) { return write(record); }
  // Everything written so far is on the device (files) or on the screen.
  virtual Status flush() = 0;
};

}  // namespace tributary
