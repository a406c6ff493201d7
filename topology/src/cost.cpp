// SPDX-License-Identifier: Apache-2.0
#include "tributary/topology/cost.hpp"

#include <algorithm>
#include <cmath>

namespace tributary {
namespace {

using Seconds = std::chrono::duration<double>;

std::chrono::nanoseconds to_nanoseconds(double seconds) {
  constexpr double kLargest = 9.2e9;  // seconds in 63 bits of nanoseconds
  return std::chrono::nanoseconds(static_cast<std::int64_t>(std::llround(std::min(seconds, kLargest) * 1e9)));
}

class Estimator {
 public:
  Estimator(const Topology& topology, const CostOptions& options)
      : topology_(topology), options_(options), visit_(topology.nodes().size(), 0.0) {}

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

  void count_messages() {
    const auto down = static_cast<double>(options_.bytes_down);
    const auto up = static_cast<double>(options_.bytes_up);
    estimate_.edges.front().requests = 0.0;
    double forwarded_up = 0.0;
    for (std::size_t entry = 1; entry < topology_.nodes().size(); ++entry) {
      const TopologyNode& node = topology_.nodes()[entry];
      const TopologyNode& parent = topology_.node(node.parent);
      const double of_parent = node.parent == 0 ? 1.0 : estimate_.edges[node.parent].requests;
      EdgeCost& edge = estimate_.edges[entry];
      edge.requests = of_parent * rounds(parent) * share_asked_by(parent);
      edge.bytes_down = edge.requests * down;
      edge.bytes_up = edge.requests * up;

      const auto count = static_cast<double>(node.count);
      TierCost& tier = estimate_.tiers[node.tier - 1];
      tier.nodes += node.count;
      tier.payloads += 2 * edge.requests * count;
      tier.bytes_down += edge.bytes_down * count;
      tier.bytes_up += edge.bytes_up * count;
      if (node.role == Role::kClient) { forwarded_up += edge.requests * count * node.tier; }
    }
    double payloads_down = 0.0;
    for (const TierCost& tier : estimate_.tiers) {
      estimate_.payloads += tier.payloads;
      estimate_.bytes += tier.bytes_down + tier.bytes_up;
      payloads_down += tier.payloads / 2;
    }
    estimate_.forwarding_payloads = payloads_down + forwarded_up;
    estimate_.forwarding_bytes = payloads_down * down + forwarded_up * up;
  }

  [[nodiscard]] double transfer(const TopologyNode& node, std::uint64_t bytes) const {
    const Link& own = topology_.attributes(node).link;
    const Link& link = own == Link{} ? options_.default_link : own;
    const double sending = link.bytes_per_second > 0.0 ? static_cast<double>(bytes) / link.bytes_per_second : 0.0;
    return Seconds(link.latency).count() + sending;
  }

  void measure_time() {
    // Children come after their parents, so the way back meets children first.
    for (std::size_t entry = topology_.nodes().size(); entry-- > 0;) {
      const TopologyNode& node = topology_.nodes()[entry];
      const double work =
          node.child_entries == 0 ? Seconds(options_.training).count() : rounds(node) * round_time(node);
      if (entry == 0) {
        estimate_.round_time = to_nanoseconds(work);
        break;
      }
      visit_[entry] = transfer(node, options_.bytes_down) + work + transfer(node, options_.bytes_up);
      estimate_.edges[entry].visit = to_nanoseconds(visit_[entry]);
    }
    const TopologyNode* node = &topology_.node(0);
    while (node->child_entries > 0) {
      const auto first = visit_.begin() + node->first_child;
      const auto slowest = std::max_element(first, first + node->child_entries);
      const auto entry = static_cast<std::uint32_t>(slowest - visit_.begin());
      estimate_.critical_path.push_back(entry);
      node = &topology_.node(entry);
    }
  }

  // One round of an inner node, whose children's visits are known.
  [[nodiscard]] double round_time(const TopologyNode& node) const {
    if (options_.sharing == CostOptions::Sharing::kParallel) {
      const auto first = visit_.begin() + node.first_child;
      return *std::max_element(first, first + node.child_entries);
    }
    // An entry of n asked members, each with d to receive, w to work and u to send: their models leave one after
    // another from `sent` on, their updates are taken in the same order from `taken` on. The last one is taken when all
    // sendings are, or the first one's and its followers', or the last one's: whichever is latest.
    const double share = share_asked_by(node);
    double sent = 0.0;
    double taken = 0.0;
    for (std::uint32_t i = 0; i < node.child_entries; ++i) {
      const std::uint32_t entry = node.first_child + i;
      const TopologyNode& child = topology_.node(entry);
      const double asked = share * child.count;
      const double one = std::min(asked, 1.0);
      const double down = transfer(child, options_.bytes_down);
      const double up = transfer(child, options_.bytes_up);
      const double work = visit_[entry] - down - up;
      const double first_ready = sent + one * down + work;
      sent += asked * down;
      taken = std::max({taken + asked * up, first_ready + asked * up, sent + work + one * up});
    }
    return taken;
  }

  const Topology& topology_;
  const CostOptions& options_;
  std::vector<double> visit_;  // seconds
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
