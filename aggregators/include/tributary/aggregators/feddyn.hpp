// SPDX-License-Identifier: Apache-2.0
// FedDyn (arXiv 2111.04263), dynamic regularization, in the form with one vector and no division by alpha. With N
// registered clients of which m were counted, r_i the sum of client i's changes and h the mean of all r_i:
//
//   a step of client i    y <- y - lr (g_i(y) + alpha (y - w + r_i))
//   where it commits      h <- h + (1/N) sum D_i,  w <- w + (1/m) sum D_i + h,  r_i <- r_i + D_i
//
// It minimizes the plain mean of the clients' objectives. r_i is the client's state, h the root's; the sum for h
// travels beside the one for w, since a discount belongs to w alone.
//
// Requires: weighting uniform, and the root's optimizer sgd at rate 1.
// Tree:     sums only. Threads: as LocalMethod and MethodServer.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "tributary/nodes/local_method.hpp"

namespace tributary {

class FedDyn final : public LocalMethod {
 public:
  explicit FedDyn(const LocalMethodSettings& settings) : settings_(settings) {}

  Result<Drift> drift(const MethodTask& task) const override;
  Status prepare(const MethodTask& task, const TrainingFacts& facts, ClientUpdate& update) const override;
  [[nodiscard]] std::vector<std::string> increments() const override;
  [[nodiscard]] bool keeps_state() const override { return true; }
  [[nodiscard]] std::unique_ptr<MethodServer> make_server(Weight registered) const override;

 private:
  LocalMethodSettings settings_;
};

}  // namespace tributary
