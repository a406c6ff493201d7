// SPDX-License-Identifier: Apache-2.0
#include "tributary/topology/generate.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "assembler.hpp"
#include "text.hpp"

namespace tributary {
namespace {

std::string limit() {
  return internal::with_commas(TopologyLimits::kNodes);
}

// Names of the generators are the only ones they write, so that all else that build() may find is the caller's.
Result<Topology> finish(Topology::Builder builder) {
  Result<Topology> topology = builder.build();
  if (topology.ok()) { return topology; }
  return invalid_argument(topology.status().message());
}

}  // namespace

Result<Topology> star_topology(std::uint32_t clients) {
  if (clients == 0) { return invalid_argument("the number of clients must be >= 1, got 0"); }
  const std::vector<std::uint32_t> widths{clients};
  return widths_topology(widths);
}

Result<Topology> balanced_topology(std::uint32_t branching, std::uint32_t height) {
  if (branching == 0) { return invalid_argument("branching must be >= 1, got 0"); }
  if (height == 0 || height > TopologyLimits::kTiers) {
    return invalid_argument(fmt::format("height must be 1 to {}, got {}", TopologyLimits::kTiers, height));
  }
  std::vector<std::uint32_t> widths;
  std::uint64_t width = 1;
  for (std::uint32_t tier = 0; tier < height; ++tier) {
    width *= branching;
    if (width >= TopologyLimits::kNodes) {
      return invalid_argument(
          fmt::format("branching {} and height {} make more than {} nodes", branching, height, limit()));
    }
    widths.push_back(static_cast<std::uint32_t>(width));
  }
  return widths_topology(widths);
}

Result<Topology> balanced_leaves_topology(std::uint32_t branching, std::uint32_t clients) {
  if (branching < 2) { return invalid_argument(fmt::format("branching must be >= 2, got {}", branching)); }
  if (clients == 0) { return invalid_argument("the number of clients must be >= 1, got 0"); }
  std::vector<std::uint32_t> widths{clients};
  while (widths.back() > branching) { widths.push_back((widths.back() - 1) / branching + 1); }
  std::reverse(widths.begin(), widths.end());
  return widths_topology(widths);
}

Result<Topology> widths_topology(std::span<const std::uint32_t> widths) {
  if (widths.empty() || widths.size() > TopologyLimits::kTiers) {
    return invalid_argument(
        fmt::format("widths must list 1 to {} tiers, got {}", TopologyLimits::kTiers, widths.size()));
  }
  std::uint64_t total = 1;
  for (std::size_t tier = 0; tier < widths.size(); ++tier) {
    const std::uint32_t above = tier == 0 ? 1 : widths[tier - 1];
    if (widths[tier] < above || widths[tier] == 0) {
      return invalid_argument(
          fmt::format("widths must not fall: {} nodes in tier {} need at least as many in tier {}, got {}", above, tier,
                      tier + 1, widths[tier]));
    }
    total += widths[tier];
  }
  if (total > TopologyLimits::kNodes) {
    return invalid_argument(
        fmt::format("{} nodes are too many; at most {} are allowed", internal::with_commas(total), limit()));
  }

  return internal::TopologyAssembler::regular(widths);
}

Result<Topology> sites_topology(std::span<const SiteClients> sites) {
  if (sites.empty()) { return invalid_argument("sites must list at least one site"); }
  Topology::Builder builder;
  const Topology::Builder::Entry root = builder.add_root();
  for (const SiteClients& site : sites) {
    if (!internal::is_name(site.name)) {
      return invalid_argument(
          fmt::format("the name of a site must be 1 to 64 of letters, digits, '.', '_' and '-', got {}",
                      internal::quoted(site.name)));
    }
    if (site.clients == 0 || site.clients > TopologyLimits::kNodes) {
      return invalid_argument(
          fmt::format("site {} must have 1 to {} clients, got {}", internal::quoted(site.name), limit(), site.clients));
    }
    NodeAttributes aggregator;
    aggregator.name = site.name;
    aggregator.site = site.name;
    NodeAttributes clients;
    clients.name = site.name + "-client";
    builder.add_group(builder.add(root, std::move(aggregator)), site.clients, std::move(clients));
  }
  return finish(std::move(builder));
}

}  // namespace tributary
