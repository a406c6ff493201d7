// SPDX-License-Identifier: Apache-2.0
// Regular topologies. Nodes have default names unless said otherwise; clients under one parent are one group.
//
// Errors:  kInvalidArgument with the parameter, its value and its bound; nothing is built above TopologyLimits::kNodes.
// Threads: functions of their arguments only.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "tributary/base/status.hpp"
#include "tributary/topology/topology.hpp"

namespace tributary {

// A root with `clients` clients.
Result<Topology> star_topology(std::uint32_t clients);

// Every inner node has `branching` children, every client is `height` edges from the root.
Result<Topology> balanced_topology(std::uint32_t branching, std::uint32_t height);

// `clients` clients, all in the same tier, under as few tiers as inner nodes of at most `branching` children allow.
Result<Topology> balanced_leaves_topology(std::uint32_t branching, std::uint32_t clients);

// `widths[t]` nodes in tier t + 1, spread evenly over the nodes of the tier above, the remainder to the first of them.
// The last width is the number of clients; widths never fall, as every inner node needs a child.
Result<Topology> widths_topology(std::span<const std::uint32_t> widths);

struct SiteClients {
  std::string name;           // of the site and of its aggregator
  std::uint32_t clients = 1;  // named "<site>-client-<n>"
};
// One aggregator per site, with the site's clients below it.
Result<Topology> sites_topology(std::span<const SiteClients> sites);

}  // namespace tributary
