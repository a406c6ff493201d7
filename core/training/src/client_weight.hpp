// SPDX-License-Identifier: Apache-2.0
// What the update of one client counts for, where the trainer is not ours: a program or a library says how many samples
// it has, and algorithm.weighting, algorithm.weight_cap and trainer.weight_bound say what becomes of that.
//
// Threads: immutable.
#pragma once

#include <optional>
#include <string_view>

#include "tributary/base/status.hpp"
#include "tributary/config/configuration.hpp"

namespace tributary::internal {

class ClientWeight {
 public:
  explicit ClientWeight(const Configuration& configuration);

  // The largest weight of a client whose trainer announces `announced`: a configuration may only lower it. 0 stays 0:
  // this client has nothing to train on.
  [[nodiscard]] double bound(double announced) const noexcept;

  // The weight of a client whose trainer reports `value` as its `what` ("weight", "samples"). kBadData: it is more than
  // `bound`.
  [[nodiscard]] Result<double> weight(std::string_view what, double value, double bound) const;

  // False: every client weighs 1, whatever it reports.
  [[nodiscard]] bool by_report() const noexcept { return weighting_ != AlgorithmConfig::Weighting::kUniform; }

 private:
  AlgorithmConfig::Weighting weighting_;
  double cap_;
  std::optional<double> bound_;
};

}  // namespace tributary::internal
