// SPDX-License-Identifier: Apache-2.0
#include "console/json_output.hpp"

namespace tributary::cli {

void print_json(std::ostream& out, const nlohmann::ordered_json& document, int indent) {
  constexpr bool kAsciiOnly = true;
  out << document.dump(indent, ' ', kAsciiOnly, nlohmann::ordered_json::error_handler_t::replace) << '\n';
}

}  // namespace tributary::cli
