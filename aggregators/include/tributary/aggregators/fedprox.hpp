// SPDX-License-Identifier: Apache-2.0
// FedProx (arXiv 1812.06127): clients add mu (x - base) to their gradients, so that they stay near the model that they
// were given. The server's half is FedAvg's. Threads: as LocalMethod.
#pragma once

#include "tributary/nodes/local_method.hpp"

namespace tributary {

class FedProx final : public LocalMethod {
 public:
  explicit FedProx(const LocalMethodSettings& settings) : mu_(settings.mu) {}

  Result<Drift> drift(const MethodTask& /*task*/) const override { return Drift{.constant = nullptr, .pull = mu_}; }

 private:
  double mu_;
};

}  // namespace tributary
