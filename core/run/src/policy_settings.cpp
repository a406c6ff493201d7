// SPDX-License-Identifier: Apache-2.0
#include "tributary/run/policy_settings.hpp"

namespace tributary {

PolicySettings policy_settings(const TierConfig& tier) {
  return {.cohort_fraction = tier.cohort_fraction,
          .cohort_count = tier.cohort_count,
          .over_selection = tier.over_selection,
          .quorum = tier.quorum,
          .deadline_s = tier.deadline_s};
}

}  // namespace tributary
