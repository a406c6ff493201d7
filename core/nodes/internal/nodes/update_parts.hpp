// SPDX-License-Identifier: Apache-2.0
// What all rules do with an update beside its vectors.
#pragma once

#include <fmt/format.h>

#include <iterator>
#include <map>
#include <string>

#include "tributary/nodes/parameter_spec.hpp"
#include "tributary/nodes/update.hpp"

namespace tributary::internal {

// kInvalidArgument: of another model, of nobody, or with too many metrics.
inline Status check_parts(const ParameterSpec& spec, const Update& update) {
  if (update.fingerprint != spec.fingerprint()) {
    return invalid_argument(fmt::format("the update is for the model {}..., this federation trains {}...",
                                        update.fingerprint.hex().substr(0, 12),
                                        spec.fingerprint().hex().substr(0, 12)));
  }
  if (update.contributors == 0) { return invalid_argument("an update without contributors"); }
  if (update.scalars.size() > kMostScalars) {
    return invalid_argument(
        fmt::format("an update with {} metrics: at most {} are carried", update.scalars.size(), kMostScalars));
  }
  return {};
}

inline void add_scalars(const Update& update, std::map<std::string, ScalarSum>& scalars) {
  for (const auto& [name, sum] : update.scalars) {
    scalars[name].add(sum);
    // Names come from the network. The smallest stay: those are the same in any order and tree.
    if (scalars.size() > kMostScalars) { scalars.erase(std::prev(scalars.end())); }
  }
}

}  // namespace tributary::internal
