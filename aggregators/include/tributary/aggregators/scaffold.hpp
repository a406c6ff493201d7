// SPDX-License-Identifier: Apache-2.0
// SCAFFOLD (arXiv 1910.06378), option II: control variates take out of each client's steps what sets its data apart, so
// that clients that differ reach the optimum of all. With p_i the share of client i in the weight of all registered
// clients, c_i its variate and c = sum p_i c_i:
//
//   a step of client i    y <- y - lr (g_i(y) - c_i + c)
//   after its task        dc_i = -c - D_i / (lr nu_i),  nu_i its steps (gradient_steps.hpp)
//   where it commits      w <- w + mean D_i,  c <- c + sum p_i dc_i,  c_i <- c_i + dc_i
//
// A client is given c beside the model and sends dc_i beside its change: twice the bytes both ways. c_i is the client's
// state, and grows only by increments that the root has counted; c is the root's.
//
// Requires: plain gradient steps or momentum, at one rate within a task, which the trainer reports; no clipping.
// Tree:     sums only, so any tree. An aggregator's local rounds go on with the c that came with the task.
// Threads:  as LocalMethod and MethodServer.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "tributary/nodes/local_method.hpp"

namespace tributary {

class Scaffold final : public LocalMethod {
 public:
  explicit Scaffold(const LocalMethodSettings& settings) : settings_(settings) {}

  Result<Drift> drift(const MethodTask& task) const override;
  // kBadData: the trainer tells no steps, or no learning rate.
  Status prepare(const MethodTask& task, const TrainingFacts& facts, ClientUpdate& update) const override;
  [[nodiscard]] std::vector<std::string> increments() const override;
  [[nodiscard]] bool keeps_state() const override { return true; }
  [[nodiscard]] std::unique_ptr<MethodServer> make_server(Weight registered) const override;

 private:
  LocalMethodSettings settings_;
};

}  // namespace tributary
