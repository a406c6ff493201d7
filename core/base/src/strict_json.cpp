// SPDX-License-Identifier: Apache-2.0
#include "base/strict_json.hpp"

#include <fmt/format.h>

#include <string>
#include <unordered_set>
#include <vector>

#include "base/reading.hpp"

namespace tributary::internal {

Result<nlohmann::json> parse_strict_json(std::string_view text, std::size_t max_depth) {
  using Event = nlohmann::json::parse_event_t;
  std::vector<std::unordered_set<std::string>> keys;  // of the open objects
  Status problem;
  std::size_t depth = 0;
  const auto watch = [&](int /*depth*/, Event event, nlohmann::json& parsed) {
    if (!problem.ok()) { return false; }
    if (event == Event::object_start || event == Event::array_start) {
      if (++depth > max_depth) { problem = bad_data(fmt::format("nested deeper than {}", max_depth)); }
      if (event == Event::object_start) { keys.emplace_back(); }
    } else if (event == Event::key) {
      const auto& key = parsed.get_ref<const std::string&>();
      if (!keys.back().insert(key).second) { problem = bad_data(fmt::format("key {} stands twice", printable(key))); }
    } else if (event == Event::object_end || event == Event::array_end) {
      --depth;
      if (event == Event::object_end) { keys.pop_back(); }
    }
    return problem.ok();
  };
  nlohmann::json value = nlohmann::json::parse(text, watch, false);
  if (!problem.ok()) { return problem; }
  if (value.is_discarded()) { return bad_data("not valid JSON"); }
  return value;
}

Result<std::string> dump_json(const nlohmann::json& value) {
  try {
    return value.dump();
  } catch (const nlohmann::json::exception&) {
    return invalid_argument("text that is not UTF-8 cannot be written as JSON");
  }
}

}  // namespace tributary::internal
