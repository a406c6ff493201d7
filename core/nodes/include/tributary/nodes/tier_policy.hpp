// SPDX-License-Identifier: Apache-2.0
// When a node commits, and whom it asks: events in, decisions out.
//
// A node gathers updates of its children until its policy says that there are enough, commits, and opens the next
// gathering. There are two kinds of policies:
//   by rounds    each gathering is a round. Its cohort is asked together, from one model, and what has not come when it
//                closes is not wanted any more.
//   continuous   tasks outlive commits. Each child works on a model of its own, and its update is counted in whatever
//                gathering it arrives, discounted by how old that model has become.
//
// Threads:   a policy belongs to one node, which calls it one call at a time.
// Liveness:  a policy asks and decides only when it is called. The node watches over its children and tells the policy
//            of those that fail or fall silent, so a policy that answers these events waits for nobody for ever.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <vector>

#include "tributary/base/ids.hpp"
#include "tributary/base/random.hpp"
#include "tributary/base/status.hpp"
#include "tributary/base/weight.hpp"
#include "tributary/nodes/snapshot.hpp"

namespace tributary {

// What a policy is made from. Which of it a policy obeys is the policy's affair.
struct PolicySettings {
  // Whom a node asks each round: a share of its children, or a number of them; neither: all.
  std::optional<double> cohort_fraction;      // (0, 1]
  std::optional<std::uint32_t> cohort_count;  // >= 1
  double over_selection = 1.0;                // >= 1: asks ceil(over_selection * cohort), takes the first cohort
  double quorum = 1.0;                        // (0, 1]: share of the cohort that is enough at the deadline
  double deadline_s = 0.0;                    // 0: none

  // Continuous policies.
  enum class Discount : std::uint8_t { kConstant, kInverseRoot, kPolynomial, kHinge, kExponential, kHarmonic };
  std::uint32_t buffer = 10;                   // >= 1: updates that make a commit
  std::optional<std::uint32_t> concurrency;    // >= 1: children that work at a time; without it all
  Discount discount = Discount::kInverseRoot;  // by staleness
  double discount_a = 0.5;                     // > 0
  double discount_b = 4.0;                     // >= 0
  std::optional<std::uint32_t> max_staleness;  // updates that are staler are refused
  // Children that answer more often count for less each time, down to this part of what the slowest count for: >= 1; 1:
  // all count alike.
  double rate_correction = 1.0;
  // Of the policy that commits with every update, in (0, 1]: the model goes so far towards the model that the client
  // has made, instead of by its change.
  std::optional<double> mixing;
};

// Whom one gathering is for, and when it is complete.
struct Cohort {
  std::vector<std::uint32_t> members;         // of a round: positions among the node's children, ascending
  std::uint32_t target = 0;                   // reports that close it at once
  std::uint32_t quorum = 0;                   // reports that are enough once the deadline has passed
  std::chrono::nanoseconds deadline{0};       // after it was opened; 0: none
  std::chrono::nanoseconds hard_deadline{0};  // it is given up then; 0: none
};

// Where a gathering stands. asked = reported + failed + lost + still expected.
struct RoundState {
  std::uint32_t asked = 0;
  std::uint32_t target = 0;
  std::uint32_t quorum = 0;
  std::uint32_t reported = 0;  // counted in the sum
  std::uint32_t failed = 0;    // said that they cannot, or were refused
  std::uint32_t lost = 0;      // silent for too long; may come back while the gathering is open
  bool deadline_passed = false;
  bool hard_deadline_passed = false;

  [[nodiscard]] std::uint32_t expected() const noexcept { return asked - reported - failed - lost; }
};

enum class Decision : std::uint8_t { kWait, kCommit, kAbandon };

// What has happened to a gathering.
struct TierEvent {
  enum class Kind : std::uint8_t {
    kCounted,      // the update of `child` is in the sums
    kFailed,       // the task of `child` ended without one, for this gathering
    kLost,         // `child` is silent, or cannot be reached
    kDeadline,     // that of the cohort
    kHardDeadline  // likewise
  };
  Kind kind;
  std::uint32_t child = 0;  // its position among the node's children
  Weight weight;            // of what was counted
};

// An update as it has come to a continuous node.
struct Arrival {
  double staleness = 0.0;   // commits since the model was made that it was trained from
  std::uint32_t child = 0;  // its position among the node's children
  Weight weight;
};

// What a policy may know of its node, and ask of it. Valid during one call of the policy.
class TierContext {
 public:
  virtual ~TierContext() = default;

  [[nodiscard]] virtual std::uint32_t children() const noexcept = 0;
  // Of the gathering that is open; counts from 1, and goes on where a resumed run was.
  [[nodiscard]] virtual Round round() const noexcept = 0;
  [[nodiscard]] virtual const RoundState& state() const noexcept = 0;
  // For choices at random: the same for the same node, purpose and number, in every run of the same seed.
  [[nodiscard]] virtual std::uint64_t seed(Purpose purpose, std::uint64_t number) const noexcept = 0;
  // `child` works, is lost, or has reported or failed in this gathering: it is not to be asked.
  [[nodiscard]] virtual bool taken(std::uint32_t child) const = 0;
  // Tasks that children have been given since the node was made, and those before a resume.
  [[nodiscard]] virtual std::uint64_t tasks() const noexcept = 0;

  // Once, from within open(), before anybody is asked. Deadlines are shortened to what the parent leaves.
  virtual void choose(Cohort cohort) = 0;
  // Gives `child`, which is not taken, the present model to work on.
  virtual void ask(std::uint32_t child) = 0;
};

class TierPolicy {
 public:
  virtual ~TierPolicy() = default;

  // A gathering begins. What was counted, failed or lost in the one before is forgotten; with a continuous policy the
  // tasks that are open stay so.
  virtual Decision open(TierContext& context) = 0;
  virtual Decision on_event(TierContext& context, const TierEvent& event) = 0;

  // All that its next decision depends on, beside what its node tells it; empty for one without a state.
  [[nodiscard]] virtual Snapshot save() const { return {}; }
  // kBadData: not what save() gave.
  virtual Status restore(const Snapshot& snapshot);

  // The largest number of updates that one gathering counts; the scale of the exact sums follows from it.
  [[nodiscard]] virtual std::uint32_t largest_target(std::uint32_t children) const noexcept = 0;
  // Every gathering counts all whom it asks, as far as one can know.
  [[nodiscard]] virtual bool counts_all() const noexcept = 0;

  [[nodiscard]] virtual bool continuous() const noexcept { return false; }
  // Of a continuous policy: what an update counts for, in units of 2^-discount_bits(); 0: it is refused. Never more
  // than 2^discount_bits().
  [[nodiscard]] virtual std::uint32_t factor(const Arrival& /*arrival*/) const noexcept { return 1; }
  [[nodiscard]] virtual int discount_bits() const noexcept { return 0; }
  // Each gathering counts one update, and the model goes by that factor towards the one that the update ends at.
  [[nodiscard]] virtual bool mixes() const noexcept { return false; }
  // By which part of the mean a gathering that is committed moves the model.
  [[nodiscard]] virtual double share(const RoundState& /*state*/) const noexcept { return 1.0; }
};

}  // namespace tributary
