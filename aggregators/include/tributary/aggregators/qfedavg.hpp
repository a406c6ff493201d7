// SPDX-License-Identifier: Apache-2.0
// q-FedAvg, fair resource allocation (arXiv 1905.10497): clients on which the model does badly move it further. It
// minimizes sum p_i F_i^(q+1) / (q+1). With F_i the loss of client i on the model as it came, D_i its change and lr its
// rate, for which the paper's 1/L stands:
//
//   w <- w + sum n_i F_i^q D_i / sum n_i h_i,   h_i = F_i^q + q F_i^(q-1) ||D_i||^2 / lr
//
// which is the paper's step with both sums times lr. q = 0 is FedAvg. A client sends F_i^q D_i and the scalar
// "step_bound", h_i; both add up in any tree to the same bits. Running statistics are averaged as they are.
// Each client's loss is told to its parent. Threads: as LocalMethod.
#pragma once

#include "tributary/nodes/local_method.hpp"

namespace tributary {

class QFedAvg final : public LocalMethod {
 public:
  explicit QFedAvg(const LocalMethodSettings& settings) : q_(settings.q) {}

  [[nodiscard]] bool needs_base_loss() const override { return true; }
  // kBadData: the trainer measures no loss of the model as it came, or tells no learning rate.
  Status prepare(const MethodTask& task, const TrainingFacts& facts, ClientUpdate& update) const override;
  // Not a number where the bound of a client is missing in the sums.
  [[nodiscard]] double scale(const AggregationRule& rule) const override;

 private:
  double q_;
};

}  // namespace tributary
