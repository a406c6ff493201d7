// SPDX-License-Identifier: Apache-2.0
// When a node commits: whom it asks each round, and when enough of them have answered.
//
// A policy only decides; the node keeps the books and its driver keeps the time.
// Threads: const calls may run together; a policy has no state between rounds.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <vector>

namespace tributary {

// What a policy is made from. Which of it a policy obeys is the policy's affair.
struct PolicySettings {
  // Whom a node asks each round: a share of its children, or a number of them; neither: all.
  std::optional<double> cohort_fraction;      // (0, 1]
  std::optional<std::uint32_t> cohort_count;  // >= 1
  double over_selection = 1.0;                // >= 1: asks ceil(over_selection * cohort), takes the first cohort
  double quorum = 1.0;                        // (0, 1]: share of the cohort that is enough at the deadline
  double deadline_s = 0.0;                    // 0: none
};

// Whom to ask in one round.
struct Cohort {
  std::vector<std::uint32_t> members;         // positions among the node's children, ascending
  std::uint32_t target = 0;                   // reports that close the round at once
  std::uint32_t quorum = 0;                   // reports that are enough once the deadline has passed
  std::chrono::nanoseconds deadline{0};       // after the start of the round; 0: none
  std::chrono::nanoseconds hard_deadline{0};  // the round is given up then; 0: none
};

// Where a round stands. asked = reported + failed + lost + still expected.
struct RoundState {
  std::uint32_t asked = 0;
  std::uint32_t target = 0;
  std::uint32_t quorum = 0;
  std::uint32_t reported = 0;  // counted in the sum
  std::uint32_t failed = 0;    // said that they cannot, or were refused
  std::uint32_t lost = 0;      // silent for too long; may come back while the round is open
  bool deadline_passed = false;
  bool hard_deadline_passed = false;

  [[nodiscard]] std::uint32_t expected() const noexcept { return asked - reported - failed - lost; }
};

enum class Decision : std::uint8_t { kWait, kCommit, kAbandon };

class TierPolicy {
 public:
  virtual ~TierPolicy() = default;

  // `seed` differs by node and round: the same seed gives the same cohort. Cost follows the cohort, not `children`.
  [[nodiscard]] virtual Cohort choose(std::uint32_t children, std::uint64_t seed) const = 0;
  [[nodiscard]] virtual Decision decide(const RoundState& state) const noexcept = 0;
  // The largest number of children one round can count; the scale of the exact sums follows from it.
  [[nodiscard]] virtual std::uint32_t largest_target(std::uint32_t children) const noexcept = 0;
};

}  // namespace tributary
