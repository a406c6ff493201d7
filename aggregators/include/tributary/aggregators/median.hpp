// SPDX-License-Identifier: Apache-2.0
// In each value of the model, the median of what the children changed it by (Yin et al. 2018, arXiv 1803.01498): fewer
// than half of them, whatever they send, cannot move it beyond what the others say.
//
// Of an even number it is the mean of the two middle ones. All children count the same, whatever they weigh; the weight
// of the result is the sum of theirs, for the sums above. Running variances are medians too.
//
// A median of medians is not the median of all: each node that uses this rule withstands a minority of its own children
// alone. So it moves a model, and sends what that has changed, as one that makes local rounds does.
//
// Life cycle: as AggregationRule; forward() and increments() have nothing to give.
// Memory:     holds the vector of each child until the next begin(). Children that send sums: a copy of their mean.
#pragma once

#include "tributary/nodes/aggregation_rule.hpp"

namespace tributary {

class CoordinateMedian final : public AggregationRule {
 public:
  using AggregationRule::begin;
  void begin(const ParameterSpec& spec, const ExactScale& scale, const IncrementSegments& increments) override;
  Status add(const Update& update, std::uint32_t factor) override;
  [[nodiscard]] std::uint32_t contributors() const noexcept override { return contributors_; }
  [[nodiscard]] Weight weight() const noexcept override { return weight_; }
  [[nodiscard]] const std::map<std::string, ScalarSum>& scalars() const noexcept override { return scalars_; }
  [[nodiscard]] std::vector<Update> gathered() const override;
  Status restore(std::span<const Update> gathered) override;
  [[nodiscard]] Update forward() const override;
  void mean(const std::function<void(std::size_t offset, std::span<const double> means)>& visit) const override;
  [[nodiscard]] std::vector<Segment> increments() const override { return {}; }
  void visit_increments(std::string_view /*name*/,
                        const std::function<void(std::size_t, std::span<const double>)>& /*visit*/) const override {}
  [[nodiscard]] bool mergeable() const noexcept override { return false; }

 private:
  [[nodiscard]] double median_at(std::size_t value, std::vector<float>& column) const;

  const ParameterSpec* spec_ = nullptr;
  ExactScale scale_;
  std::vector<SecondMoments> moments_;
  std::vector<std::shared_ptr<const std::vector<float>>> changes_;
  std::uint32_t contributors_ = 0;  // to all of them
  Weight weight_;
  std::map<std::string, ScalarSum> scalars_;
};

}  // namespace tributary
