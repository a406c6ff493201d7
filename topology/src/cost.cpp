// SPDX-License-Identifier: Apache-2.0
#include "tributary/topology/cost.hpp"

#include <algorithm>
#include <cmath>

#include "tributary/base/duration.hpp"
#include "tributary/nodes/tree.hpp"

namespace tributary {
namespace {

using std::chrono::nanoseconds;

class Estimator {
 public:
  Estimator(const Topology& topology, const CostOptions& options) : topology_(topology), options_(options) {}

  CostEstimate run() {
    estimate_.edges.resize(topology_.nodes().size());
    for (std::uint32_t tier = 1; tier <= topology_.height(); ++tier) { estimate_.tiers.push_back({.tier = tier}); }
    count_messages();
    measure_time();
    return std::move(estimate_);
  }

 private:
  [[nodiscard]] TierPlan plan(std::uint32_t tier) const {
    return tier < options_.tiers.size() ? options_.tiers[tier] : TierPlan{};
  }

  [[nodiscard]] double rounds(const TopologyNode& node) const {
    return node.tier == 0 ? 1.0 : static_cast<double>(plan(node.tier).rounds);
  }

  [[nodiscard]] double share_asked_by(const TopologyNode& node) const {
    return asked_share(plan(node.tier), node.children);
  }

  [[nodiscard]] std::uint64_t bytes_down(const TopologyNode& child) const {
    return plan(child.tier - 1).bytes_down.value_or(options_.bytes_down);
  }
  [[nodiscard]] std::uint64_t bytes_up(const TopologyNode& child) const {
    return plan(child.tier - 1).bytes_up.value_or(options_.bytes_up);
  }

  void count_messages() {
    estimate_.edges.front().requests = 0.0;
    double forwarded_up = 0.0;
    for (std::size_t entry = 1; entry < topology_.nodes().size(); ++entry) {
      const TopologyNode& node = topology_.nodes()[entry];
      const TopologyNode& parent = topology_.node(node.parent);
      const double of_parent = node.parent == 0 ? 1.0 : estimate_.edges[node.parent].requests;
      EdgeCost& edge = estimate_.edges[entry];
      edge.requests = of_parent * rounds(parent) * share_asked_by(parent);
      edge.bytes_down = edge.requests * static_cast<double>(bytes_down(node));
      edge.bytes_up = edge.requests * static_cast<double>(bytes_up(node));

      const auto count = static_cast<double>(node.count);
      TierCost& tier = estimate_.tiers[node.tier - 1];
      tier.nodes += node.count;
      tier.payloads += 2 * edge.requests * count;
      tier.bytes_down += edge.bytes_down * count;
      tier.bytes_up += edge.bytes_up * count;
      if (node.role != Role::kClient) { continue; }
      forwarded_up += edge.requests * count * node.tier;
      for (std::uint32_t above = node.tier; above-- > 0;) {
        estimate_.forwarding_bytes +=
            edge.requests * count * static_cast<double>(plan(above).bytes_up.value_or(options_.bytes_up));
      }
    }
    double payloads_down = 0.0;
    for (const TierCost& tier : estimate_.tiers) {
      estimate_.payloads += tier.payloads;
      estimate_.bytes += tier.bytes_down + tier.bytes_up;
      payloads_down += tier.payloads / 2;
      estimate_.forwarding_bytes += tier.bytes_down;
    }
    estimate_.forwarding_payloads = payloads_down + forwarded_up;
  }

  [[nodiscard]] nanoseconds transfer(const TopologyNode& node, std::uint64_t bytes) const {
    const Link& own = topology_.attributes(node).link;
    return transfer_time(own == Link{} ? options_.default_link : own, bytes);
  }

  // Of the slowest of the clients that an entry stands for.
  [[nodiscard]] nanoseconds training(const TopologyNode& node, NodeId first) const {
    if (!options_.training_of) { return options_.training; }
    nanoseconds longest{0};
    for (std::uint32_t i = 0; i < node.count; ++i) {
      longest = std::max(longest, options_.training_of(NodeId{first.value + i}));
    }
    return longest;
  }

  // Of an inner node, whose children's visits are known.
  [[nodiscard]] nanoseconds rounds_time(const TopologyNode& node) const {
    const nanoseconds round = slowest_child(node)->visit;
    const std::uint32_t count = node.tier == 0 ? 1 : plan(node.tier).rounds;
    if (round.count() == 0 || count == 0) { return nanoseconds{0}; }
    return count > kEndOfTime / round ? kEndOfTime : count * round;
  }

  void measure_time() {
    // Children come after their parents, so the way back meets children first.
    std::uint32_t node_id = topology_.size();
    for (std::size_t entry = topology_.nodes().size(); entry-- > 0;) {
      const TopologyNode& node = topology_.nodes()[entry];
      node_id -= node.count;
      const nanoseconds work = node.child_entries == 0 ? training(node, NodeId{node_id}) : rounds_time(node);
      if (entry == 0) {
        estimate_.round_time = work;
        break;
      }
      estimate_.edges[entry].visit =
          later_by(later_by(transfer(node, bytes_down(node)), work), transfer(node, bytes_up(node)));
    }
    const TopologyNode* node = &topology_.node(0);
    while (node->child_entries > 0) {
      const auto entry = static_cast<std::uint32_t>(slowest_child(*node) - estimate_.edges.begin());
      estimate_.critical_path.push_back(entry);
      node = &topology_.node(entry);
    }
  }

  [[nodiscard]] std::vector<EdgeCost>::const_iterator slowest_child(const TopologyNode& node) const {
    const auto first = estimate_.edges.begin() + node.first_child;
    return std::max_element(first, first + node.child_entries,
                            [](const EdgeCost& a, const EdgeCost& b) { return a.visit < b.visit; });
  }

  const Topology& topology_;
  const CostOptions& options_;
  CostEstimate estimate_;
};

}  // namespace

double asked_share(const TierPlan& tier, std::uint32_t children) {
  const auto all = static_cast<double>(children);
  double cohort = all;
  // A whole number is not rounded up because its product came out a hair above it.
  if (tier.cohort_fraction) { cohort = std::ceil(*tier.cohort_fraction * all - 1e-9); }
  if (tier.cohort_count) { cohort = static_cast<double>(*tier.cohort_count); }
  const double asked = std::ceil(tier.over_selection * std::max(cohort, 1.0) - 1e-9);
  return std::min(asked, all) / all;
}

CostEstimate estimate_cost(const Topology& topology, const CostOptions& options) {
  return Estimator(topology, options).run();
}

CostEstimate estimate_cost(const Tree& tree, const CostOptions& options) {
  return estimate_cost(Topology::from_tree(tree), options);
}

}  // namespace tributary
