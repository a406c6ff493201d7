// SPDX-License-Identifier: Apache-2.0
#include "tributary/nodes/tier_policy.hpp"

namespace tributary {

Status TierPolicy::restore(const Snapshot& snapshot) {
  return snapshot.empty() ? ok_status() : bad_data("a state for a policy that has none");
}

}  // namespace tributary
