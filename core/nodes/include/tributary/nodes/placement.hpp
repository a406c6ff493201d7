// SPDX-License-Identifier: Apache-2.0
// Which process of a job holds which node of the tree, and what follows from it.
//
// Made by place_nodes() of topology, or by whoever knows better.
// Threads: immutable; const calls may run together.
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
  // `rank`: of each node, below hosts.size(). `hosts`: for each rank the name of its host; ranks whose names are equal
  // share one. `work`: of each client node, and not read of others.
  Placement(const Tree& tree, std::vector<std::uint32_t> rank, std::vector<std::string> hosts,
            std::span<const double> work);

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
  std::vector<std::uint32_t> rank_;  // by node
  std::vector<std::string> hosts_;   // by rank, as everything below
  std::vector<RankLoad> loads_;
  std::vector<std::vector<std::uint32_t>> peers_;
  std::vector<std::uint32_t> idle_;
  std::uint32_t edges_between_ranks_ = 0;
  std::uint32_t edges_between_hosts_ = 0;
};

// Places the nodes of a tree on a job, one host's name for each rank: a function of its arguments, since every process
// asks it for itself.
using NodePlacer = std::function<Result<Placement>(const Tree& tree, std::span<const std::string> hosts)>;

}  // namespace tributary
