// SPDX-License-Identifier: Apache-2.0
// The rule by which one node combines the updates of its children in one round.
//
// Life cycle: begin(), add() once per child, then mean() or forward(); begin() discards what came before.
// Threads:    not thread-safe; one node calls it, one call at a time.
// Ownership:  add() reads `update` and keeps no reference to it.
// Errors:     a refused update leaves the running result unchanged.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tributary/nodes/exact_accumulator.hpp"
#include "tributary/nodes/parameter_spec.hpp"
#include "tributary/nodes/update.hpp"

namespace tributary {

// What comes beside the model's change: named vectors of the model's size. They are summed undiscounted, on a grid that
// is the same in all rounds.
struct IncrementSegments {
  std::vector<std::string> names;  // in ascending order
  ExactScale scale;
};

class AggregationRule {
 public:
  virtual ~AggregationRule() = default;

  // Starts a round over models of `spec`, which must stay alive until the next begin(), as must `increments`.
  virtual void begin(const ParameterSpec& spec, const ExactScale& scale, const IncrementSegments& increments) = 0;
  void begin(const ParameterSpec& spec, const ExactScale& scale) {
    static const IncrementSegments kNone;
    begin(spec, scale, kNone);
  }

  // kInvalidArgument: another spec, a missing or unknown segment, a value or weight outside the scale.
  // kBadData: sums that cannot be sums.
  // The change counts `factor` times, in units of 2^-discount_bits of the scale: 1 where that has none. Its weight
  // counts as it is, so that a discount makes the step smaller.
  virtual Status add(const Update& update, std::uint32_t factor) = 0;

  // Clients and weight added since begin().
  [[nodiscard]] virtual std::uint32_t contributors() const noexcept = 0;
  [[nodiscard]] virtual Weight weight() const noexcept = 0;
  [[nodiscard]] virtual const std::map<std::string, ScalarSum>& scalars() const noexcept = 0;

  // All that was added since begin(), for restore() after another begin() with the same. The identity of these updates
  // is left open.
  [[nodiscard]] virtual std::vector<Update> gathered() const = 0;
  // kInvalidArgument, kBadData: not what gathered() gave.
  virtual Status restore(std::span<const Update> gathered) = 0;

  // Everything added, as one update to send upward; the caller fills in its identity. Requires weight() > 0.
  [[nodiscard]] virtual Update forward() const = 0;

  // Calls visit(offset, means) for consecutive parts of the mean change of the model. Requires weight() > 0.
  virtual void mean(const std::function<void(std::size_t offset, std::span<const double> means)>& visit) const = 0;

  // The sums of the increments, encoded; none where begin() was told of none.
  [[nodiscard]] virtual std::vector<Segment> increments() const = 0;
  // Calls visit(offset, sums) for consecutive parts of the sum, weight * value, of those of that name, of which begin()
  // was told.
  virtual void visit_increments(
      std::string_view name,
      const std::function<void(std::size_t offset, std::span<const double> sums)>& visit) const = 0;

  // True if an inner node may forward() without losing what the root needs: sums yes, medians no. Where it is false,
  // forward() is never called: the node moves a model by mean(), which need not be a mean, and sends that change on.
  [[nodiscard]] virtual bool mergeable() const noexcept = 0;
};

}  // namespace tributary
