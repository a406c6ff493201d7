// SPDX-License-Identifier: Apache-2.0
// The rule of FedSGD, FedAvg and FedProx (arXiv 1602.05629, 1812.06127): the weighted mean of the children's changes.
//
// Exact: any order and any tree give the same bits. Mergeable. Increments of methods are summed beside it.
// Threads, life cycle and errors: as AggregationRule.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>

#include "tributary/nodes/aggregation_rule.hpp"
#include "tributary/nodes/exact_accumulator.hpp"

namespace tributary {

class WeightedSum final : public AggregationRule {
 public:
  using AggregationRule::begin;
  void begin(const ParameterSpec& spec, const ExactScale& scale, const IncrementSegments& increments) override;
  Status add(const Update& update, std::uint32_t factor) override;
  [[nodiscard]] std::uint32_t contributors() const noexcept override { return contributors_; }
  [[nodiscard]] Weight weight() const noexcept override { return sums_.weight(); }
  [[nodiscard]] const std::map<std::string, ScalarSum>& scalars() const noexcept override { return scalars_; }
  [[nodiscard]] std::vector<Update> gathered() const override;
  Status restore(std::span<const Update> gathered) override;
  [[nodiscard]] Update forward() const override;
  void mean(const std::function<void(std::size_t, std::span<const double>)>& visit) const override {
    sums_.mean(visit);
  }
  [[nodiscard]] std::vector<Segment> increments() const override;
  void visit_increments(std::string_view name,
                        const std::function<void(std::size_t, std::span<const double>)>& visit) const override;
  [[nodiscard]] bool mergeable() const noexcept override { return true; }

 private:
  Status add_payloads(const Update& update, std::uint32_t factor);

  const ParameterSpec* spec_ = nullptr;
  ExactAccumulator sums_;
  std::map<std::string, ExactAccumulator, std::less<>> increments_;
  std::uint32_t contributors_ = 0;
  std::map<std::string, ScalarSum> scalars_;
};

}  // namespace tributary
