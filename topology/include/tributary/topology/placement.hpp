// SPDX-License-Identifier: Apache-2.0
// Which rank of an MPI job holds which node of the tree.
//
// Said:       a node whose attribute `rank` is set is there, and so is everything below it that says nothing else. The
//             root is on rank 0.
// Not said:   clients, in the order of their ClientIndex, are cut into one block per rank, as equal in expected work as
//             blocks can be; the ranks of one host follow one another, so a subtree stays on few ranks and fewer hosts.
//             An inner node goes where most of the work of its children is: to that host, and there to that rank.
//             docs/decisions/0005-placement.md has the reasons.
// Balance:    if nothing is said, no rank has more work than the average rank plus the heaviest client. Every rank gets
//             a client as long as there are as many clients as ranks; ranks that are left without a node are legal.
// Determinism: a function of its arguments alone: every rank computes it for itself, and all get the same.
// Cost:       4 bytes per node, 20 more while it is made; tens of milliseconds for a million clients.
// Threads:    immutable; const calls may run together.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "tributary/base/digest.hpp"
#include "tributary/base/ids.hpp"
#include "tributary/base/status.hpp"
#include "tributary/nodes/tree.hpp"

namespace tributary {

// What one rank holds.
struct RankLoad {
  std::uint32_t clients = 0;
  std::uint32_t inner_nodes = 0;  // aggregators and the root
  double work = 0.0;              // of its clients, in the unit of the work function
  friend bool operator==(const RankLoad&, const RankLoad&) = default;
};

class Placement {
 public:
  // `hosts`: for each rank the name of its host; ranks whose names are equal share one. `work`: what a round costs one
  // client, in any unit, finite and > 0 (for example samples x epochs); empty: all clients cost the same.
  // kInvalidArgument: no ranks, or work that is no such number. kConfiguration: a node says a rank that does not exist,
  // or the root one that is not 0.
  static Result<Placement> create(const Tree& tree, std::span<const std::string> hosts,
                                  const std::function<double(ClientIndex)>& work);

  [[nodiscard]] std::uint32_t ranks() const noexcept { return static_cast<std::uint32_t>(loads_.size()); }
  [[nodiscard]] std::uint32_t rank_of(NodeId node) const { return rank_.at(node.value); }
  [[nodiscard]] const std::string& host_of(std::uint32_t rank) const { return hosts_.at(rank); }
  [[nodiscard]] const RankLoad& load(std::uint32_t rank) const { return loads_.at(rank); }
  // Ranks that hold no node, ascending.
  [[nodiscard]] std::span<const std::uint32_t> idle_ranks() const noexcept { return idle_; }
  // Ranks at the other end of an edge of the tree, ascending, without `rank` itself.
  [[nodiscard]] std::span<const std::uint32_t> peers(std::uint32_t rank) const { return peers_.at(rank); }

  // Edges of the tree whose ends are on two ranks, and those of them whose ends are on two hosts.
  [[nodiscard]] std::uint32_t edges_between_ranks() const noexcept { return edges_between_ranks_; }
  [[nodiscard]] std::uint32_t edges_between_hosts() const noexcept { return edges_between_hosts_; }

  // Of the number of ranks and of every node's rank: two ranks that read different files find it out by this.
  [[nodiscard]] Digest digest() const;

  friend bool operator==(const Placement&, const Placement&) = default;

 private:
  Placement() = default;
  void describe(const Tree& tree, std::span<const double> work_below);

  std::vector<std::uint32_t> rank_;  // by node
  std::vector<std::string> hosts_;   // by rank, as everything below
  std::vector<RankLoad> loads_;
  std::vector<std::vector<std::uint32_t>> peers_;
  std::vector<std::uint32_t> idle_;
  std::uint32_t edges_between_ranks_ = 0;
  std::uint32_t edges_between_hosts_ = 0;
};

}  // namespace tributary
