// SPDX-License-Identifier: Apache-2.0
// Control variates, as SCAFFOLD and MTGC have them: what a client does with the vector that comes beside its model, and
// the sum of its children's variates that a node keeps. The two methods differ in who keeps such sums, and in what the
// vector is.
//
// Threads: a VariateSum is one node's; the functions are pure.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "state_sum.hpp"
#include "tributary/nodes/local_method.hpp"

namespace tributary::internal {

inline constexpr const char* kVariate = "control";

// What came beside the model. kProtocol: nothing did.
Result<std::span<const float>> variate_of(const char* method, const MethodTask& task);
// v - c_i
Result<Drift> variate_drift(const char* method, const MethodTask& task);
// -v - change / divisor, on the grid of sums of 2^-grid_bits: what a variate grows by, after changes that were made by
// steps of a gradient that `divisor` is the sum of the rates of. Nothing, if that is 0.
std::shared_ptr<const std::vector<float>> variate_increment(const ParameterSpec& spec, std::span<const float> variate,
                                                            std::span<const float> change, double divisor,
                                                            int grid_bits);
// Gives a client's update what its variate grows by. The result: the rate of the task's steps, as often as their
// gradients count in its change; 0 where a schedule has come to 0, so that nothing changed. kBadData: the trainer tells
// no rate, or no steps.
Result<double> send_variate(const char* method, const LocalMethodSettings& settings, const MethodTask& task,
                            const TrainingFacts& facts, ClientUpdate& update);

// Of all children, counted or not: `registered` is what they weigh together.
class VariateSum final : public MethodServer {
 public:
  explicit VariateSum(Weight registered) : registered_(registered), sum_(kVariate) {}

  // Of one value; 0 before the first commit. What it is as a float would be too coarse to subtract another variate
  // from.
  [[nodiscard]] double mean(std::size_t i) const {
    return sum_.values().empty() ? 0.0 : sum_.values()[i] / registered_.value();
  }

  void commit(const ParameterSpec& spec, const AggregationRule& rule, std::span<float> model) override;
  [[nodiscard]] std::vector<Segment> broadcast(const ParameterSpec& spec) const override;
  [[nodiscard]] Snapshot save() const override { return sum_.save(); }
  Status restore(const Snapshot& snapshot, std::size_t parameters) override {
    return sum_.restore(snapshot, parameters);
  }

 private:
  Weight registered_;
  StateSum sum_;
};

}  // namespace tributary::internal
