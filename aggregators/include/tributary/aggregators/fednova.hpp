// SPDX-License-Identifier: Apache-2.0
// FedNova, normalized averaging (arXiv 2007.07481): clients that did more steps do not pull the model further towards
// their own optimum. With D_i the change of client i, p_i its share of the weights, and nu_i how often its gradients
// count in D_i, for plain steps their number:
//
//   w <- w + lr * (sum p_i nu_i) * (sum p_i D_i / nu_i)
//
// A client sends D_i / nu_i and the scalar "local_steps", nu_i; both sums add up in any tree to the same bits. Equal
// nu_i give FedAvg up to rounding. Running statistics are averaged as they are. Threads: as LocalMethod.
#pragma once

#include "tributary/nodes/local_method.hpp"

namespace tributary {

class FedNova final : public LocalMethod {
 public:
  explicit FedNova(const LocalMethodSettings& settings) : settings_(settings) {}

  // kBadData: the trainer tells no steps.
  Status prepare(const MethodTask& task, const TrainingFacts& facts, ClientUpdate& update) const override;
  // Not a number where the steps of a client are missing in the sums.
  [[nodiscard]] double scale(const AggregationRule& rule) const override;

 private:
  LocalMethodSettings settings_;
};

}  // namespace tributary
