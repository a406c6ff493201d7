// SPDX-License-Identifier: Apache-2.0
// What --json prints.
#pragma once

#include <nlohmann/json.hpp>
#include <ostream>

namespace tributary::cli {

// One document on a line of its own, or on several with `indent` >= 0. Whatever is not ASCII stands as \u....: a JSON
// reader reads the same text, and a terminal obeys nothing that came from a file. Bytes that are not UTF-8 become
// U+FFFD.
void print_json(std::ostream& out, const nlohmann::ordered_json& document, int indent = 2);

}  // namespace tributary::cli
