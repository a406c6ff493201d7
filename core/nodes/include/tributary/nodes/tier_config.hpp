// SPDX-License-Identifier: Apache-2.0
// What a tier policy is made from: the section `tiers` of a configuration, as values.
//
// Threads: a value.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace tributary {

// tiers: how a tier commits. Set for all tiers (`default`) and per distance of the committing node from the root (0, 1,
// ...).
struct TierConfig {
  std::string policy = "synchronous";
  // Whom a node asks each round: a share of its children, or a number of them.
  std::optional<double> cohort_fraction;      // (0, 1]
  std::optional<std::uint32_t> cohort_count;  // >= 1
  double over_selection = 1.0;                // >= 1: asks ceil(over_selection * cohort), takes the first cohort
  double quorum = 1.0;                        // (0, 1]: share of the cohort that is enough at the deadline
  double deadline_s = 0.0;                    // 0: none
  std::uint32_t local_rounds = 1;             // local rounds between commits upward; not at the root
  std::uint32_t retries = 2;                  // of a task whose training failed
  friend bool operator==(const TierConfig&, const TierConfig&) = default;
};

}  // namespace tributary
