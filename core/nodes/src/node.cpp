// SPDX-License-Identifier: Apache-2.0
#include "tributary/nodes/node.hpp"

#include <array>

namespace tributary {

std::string_view to_string(NodeEvent::Kind kind) noexcept {
  static constexpr std::array<std::string_view, 11> kNames{"task-failed", "refused",   "lost",       "returned",
                                                           "late",        "abandoned", "duplicate",  "kill",
                                                           "cut-off",     "input",     "states-anew"};
  return kNames.at(static_cast<std::size_t>(kind));
}

}  // namespace tributary
