// SPDX-License-Identifier: Apache-2.0
// JSON from untrusted files: no repeated keys, no deep nesting, no exceptions.
#pragma once

#include <cstddef>
#include <nlohmann/json.hpp>
#include <string_view>

#include "tributary/base/status.hpp"

namespace tributary::internal {

// kBadData: not JSON, a key twice in one object, or nested deeper than `max_depth` (1: an object of plain values).
Result<nlohmann::json> parse_strict_json(std::string_view text, std::size_t max_depth);

// Compact and with sorted keys: the same value always gives the same text. kInvalidArgument: text that is not UTF-8.
Result<std::string> dump_json(const nlohmann::json& value);

}  // namespace tributary::internal
