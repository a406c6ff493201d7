// SPDX-License-Identifier: Apache-2.0
#include "tributary/nodes/placement.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace tributary {
namespace {

constexpr std::uint32_t kNobody = UINT32_MAX;

}  // namespace

Digest Placement::digest() const {
  Hasher hasher;
  hasher.update(fmt::format("placement on {} ranks:", ranks()));
  hasher.update(std::as_bytes(std::span(rank_)));
  return hasher.finish();
}

Placement::Placement(const Tree& tree, std::vector<std::uint32_t> rank, std::vector<std::string> hosts,
                     std::span<const double> work)
    : rank_(std::move(rank)), hosts_(std::move(hosts)) {
  loads_.resize(hosts_.size());
  peers_.resize(hosts_.size());
  // The last node that found an edge to a rank: for the children of one node, each rank is a peer once.
  std::vector<std::uint32_t> seen_by(hosts_.size(), kNobody);
  for (std::uint32_t n = 0; n < tree.size(); ++n) {
    const std::uint32_t here = rank_[n];
    RankLoad& load = loads_[here];
    if (tree.is_client(NodeId{n})) {
      ++load.clients;
      load.work += work[n];
      continue;
    }
    ++load.inner_nodes;
    for (const NodeId child : tree.children(NodeId{n})) {
      const std::uint32_t other = rank_[child.value];
      if (other == here) { continue; }
      ++edges_between_ranks_;
      if (hosts_[other] != hosts_[here]) { ++edges_between_hosts_; }
      if (std::exchange(seen_by[other], n) == n) { continue; }
      peers_[here].push_back(other);
      peers_[other].push_back(here);
    }
  }
  for (std::uint32_t r = 0; r < ranks(); ++r) {
    std::vector<std::uint32_t>& peers = peers_[r];
    std::sort(peers.begin(), peers.end());
    peers.erase(std::unique(peers.begin(), peers.end()), peers.end());
    if (loads_[r].clients + loads_[r].inner_nodes == 0) { idle_.push_back(r); }
  }
}

}  // namespace tributary
