// SPDX-License-Identifier: Apache-2.0
// MTGC, multi-timescale gradient correction (arXiv 2409.18448), in the form with control variates: SCAFFOLD on each
// edge of the tree. Clients that differ reach the optimum of all, also where aggregators move models of their own for
// many rounds, and groups differ as clients do.
//
// Every node n below the root keeps c_n, its mean gradient, and every node q with children the mean of theirs,
// c(q) = sum P_n c_n, P_n being what n's clients weigh among all below q, counted or not:
//
//   q gives its children  v_q = c(q) + (v_p - c_q), p its parent; at the root v = c
//   a step of client i    y <- y - lr (g_i(y) + v_q - c_i)
//   after n's work        dc_n = -v_p - D_n / (lr T_n), T_n its steps: of a client, or the mean of its clients' over
//                         its rounds
//   where p commits       w <- w + mean D_n, c(p) <- c(p) + sum P_n dc_n, c_n <- c_n + dc_n
//
// The paper's own form needs the mean of the very round that counted a child, also where that child is absent from the
// next ones, and learns nothing where a node counts one child; with full participation the two are step by step the
// same. In a tree of one tier this is SCAFFOLD.
//
// Requires: as SCAFFOLD. Rounds: synchronous in all tiers.
// State:    a client's is settled with its parent, an aggregator's with its own; nothing passes through.
// Threads:  as LocalMethod and MethodServer.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "tributary/nodes/local_method.hpp"

namespace tributary {

class Mtgc final : public LocalMethod {
 public:
  explicit Mtgc(const LocalMethodSettings& settings) : settings_(settings) {}

  Result<Drift> drift(const MethodTask& task) const override;
  // kBadData: the trainer tells no steps, or no learning rate.
  Status prepare(const MethodTask& task, const TrainingFacts& facts, ClientUpdate& update) const override;
  [[nodiscard]] std::vector<std::string> increments() const override;
  [[nodiscard]] bool keeps_state() const override { return true; }
  [[nodiscard]] bool parents_own_states() const override { return true; }
  [[nodiscard]] std::unique_ptr<MethodServer> make_server(Weight registered) const override;
  Result<std::vector<Segment>> relay(const MethodTask& above, const MethodServer& own) const override;
  [[nodiscard]] double work(const AggregationRule& rule) const override;
  [[nodiscard]] std::string_view work_metric() const override;
  Result<ClientState::Increment> increment(const MethodTask& above, const EdgeWork& work) const override;

 private:
  LocalMethodSettings settings_;
};

}  // namespace tributary
