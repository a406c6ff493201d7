// SPDX-License-Identifier: Apache-2.0
#include "tributary/run/record.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

namespace tributary {
namespace {

using Json = nlohmann::ordered_json;

constexpr int kSchema = 1;
constexpr std::string_view kSchemaKey = "schema";
constexpr std::string_view kEventKey = "event";

void append_text(std::string& out, std::string_view text) {
  out += Json(text).dump(-1, ' ', false, Json::error_handler_t::replace);
}

void append_number(std::string& out, double number) {
  if (!std::isfinite(number)) {
    out += "null";
    return;
  }
  const std::size_t start = out.size();
  fmt::format_to(std::back_inserter(out), "{}", number);
  // 1 would be read back as an integer.
  if (out.find_first_of(".e", start) == std::string::npos) { out += ".0"; }
}

// List elements are floating-point whatever they look like, so 3 needs no ".0".
void append_list(std::string& out, const std::vector<double>& numbers) {
  out += '[';
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    if (i != 0) { out += ','; }
    if (std::isfinite(numbers[i])) {
      fmt::format_to(std::back_inserter(out), "{}", numbers[i]);
    } else {
      out += "null";
    }
  }
  out += ']';
}

struct Writer {
  std::string& out;
  void operator()(std::int64_t value) const { fmt::format_to(std::back_inserter(out), "{}", value); }
  void operator()(std::uint64_t value) const { fmt::format_to(std::back_inserter(out), "{}", value); }
  void operator()(double value) const { append_number(out, value); }
  void operator()(bool value) const { out += value ? "true" : "false"; }
  void operator()(const std::string& value) const { append_text(out, value); }
  void operator()(const std::vector<double>& value) const { append_list(out, value); }
};

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

Result<Record::Value> value_from(const std::string& key, const Json& json) {
  using Value = Record::Value;
  switch (json.type()) {
    case Json::value_t::null:
      return Value{kNaN};
    case Json::value_t::boolean:
      return Value{json.get<bool>()};
    case Json::value_t::number_integer:
      return Value{json.get<std::int64_t>()};
    case Json::value_t::number_unsigned: {
      const auto number = json.get<std::uint64_t>();
      if (number <= static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) {
        return Value{static_cast<std::int64_t>(number)};
      }
      return Value{number};
    }
    case Json::value_t::number_float:
      return Value{json.get<double>()};
    case Json::value_t::string:
      return Value{json.get<std::string>()};
    case Json::value_t::array: {
      std::vector<double> numbers;
      numbers.reserve(json.size());
      for (const Json& element : json) {
        if (!element.is_number() && !element.is_null()) {
          return bad_data(
              fmt::format("field \"{}\" of a record is a list with {}, not of numbers", key, element.type_name()));
        }
        numbers.push_back(element.is_null() ? kNaN : element.get<double>());
      }
      return Value{std::move(numbers)};
    }
    default:
      return bad_data(fmt::format("field \"{}\" of a record is an {}, which no field may be", key, json.type_name()));
  }
}

}  // namespace

Record::Value Record::from_unsigned(std::uint64_t value) noexcept {
  if (value <= static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) {
    return Value{static_cast<std::int64_t>(value)};
  }
  return Value{value};
}

Record& Record::set(std::string_view key, Value value) {
  const auto place =
      std::find_if(fields_.begin(), fields_.end(), [key](const auto& field) { return field.first == key; });
  if (place != fields_.end()) {
    place->second = std::move(value);
  } else {
    fields_.emplace_back(std::string(key), std::move(value));
  }
  return *this;
}

const Record::Value* Record::find(std::string_view key) const noexcept {
  for (const auto& [name, value] : fields_) {
    if (name == key) { return &value; }
  }
  return nullptr;
}

double Record::number(std::string_view key, double otherwise) const noexcept {
  const Value* value = find(key);
  if (value == nullptr) { return otherwise; }
  if (const auto* integer = std::get_if<std::int64_t>(value)) { return static_cast<double>(*integer); }
  if (const auto* large = std::get_if<std::uint64_t>(value)) { return static_cast<double>(*large); }
  if (const auto* real = std::get_if<double>(value)) { return std::isfinite(*real) ? *real : otherwise; }
  return otherwise;
}

std::string_view Record::text(std::string_view key) const noexcept {
  const Value* value = find(key);
  const auto* text = value == nullptr ? nullptr : std::get_if<std::string>(value);
  return text == nullptr ? std::string_view{} : std::string_view{*text};
}

std::span<const double> Record::numbers(std::string_view key) const noexcept {
  const Value* value = find(key);
  const auto* numbers = value == nullptr ? nullptr : std::get_if<std::vector<double>>(value);
  return numbers == nullptr ? std::span<const double>{} : std::span<const double>{*numbers};
}

std::string Record::to_json() const {
  std::string out = fmt::format("{{\"schema\":{},\"event\":", kSchema);
  append_text(out, event_);
  for (const auto& [key, value] : fields_) {
    if (key == kSchemaKey || key == kEventKey) { continue; }
    out += ',';
    append_text(out, key);
    out += ':';
    std::visit(Writer{out}, value);
  }
  out += '}';
  return out;
}

Result<Record> Record::from_json(std::string_view line) {
  Json json;
  // Deep nesting never gets far: nothing below a list inside the object is allowed.
  const auto shallow = [](int depth, Json::parse_event_t, Json&) { return depth <= 2; };
  try {
    json = Json::parse(line, shallow);
  } catch (const Json::parse_error& error) {
    return bad_data(fmt::format("a record is not JSON from byte {} on", error.byte));
  } catch (const Json::exception&) { return bad_data("a record holds a number that is out of range"); }
  if (!json.is_object()) { return bad_data(fmt::format("a record is a JSON {}, not an object", json.type_name())); }
  const auto schema = json.find(kSchemaKey);
  if (schema == json.end() || !schema->is_number_integer()) { return bad_data("a record has no \"schema\" number"); }
  if (schema->get<std::int64_t>() != kSchema) {
    return bad_data(fmt::format("a record has schema {}, this program reads schema {}", schema->dump(), kSchema));
  }
  const auto event = json.find(kEventKey);
  if (event == json.end() || !event->is_string()) { return bad_data("a record has no \"event\" name"); }
  Record record(event->get<std::string>());
  for (const auto& [key, value] : json.items()) {
    if (key == kSchemaKey || key == kEventKey) { continue; }
    TRIBUTARY_ASSIGN_OR_RETURN(Value field, value_from(key, value));
    record.set(key, std::move(field));
  }
  return record;
}

}  // namespace tributary
