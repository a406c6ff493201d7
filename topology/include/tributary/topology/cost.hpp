// SPDX-License-Identifier: Apache-2.0
// What one root round costs on a tree: messages and bytes per edge and per tier, and how long it takes. An estimate
// made before the run; docs/topology.md states the model and works an example.
//
// Messages: asking a child is one payload down and one up. A child is asked once per round of its parent if it is in
// the
//           cohort; an inner node runs `rounds` rounds each time it is asked. Cohorts are drawn evenly, so figures of
//           single edges are expectations.
// Time:     that of the simulation's virtual clock: a transfer over an edge takes latency + bytes / rate of the child's
//           link, in either direction and whatever its siblings do; merging takes none. A round takes as long as its
//           slowest child, also where a cohort might leave that child out.
// Threads:  functions of their arguments only.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "tributary/nodes/tree.hpp"
#include "tributary/topology/topology.hpp"

namespace tributary {

// How the nodes of one tier run the rounds of their children.
struct TierPlan {
  std::optional<double> cohort_fraction;      // (0, 1]; of the children, rounded up
  std::optional<std::uint32_t> cohort_count;  // >= 1; at most all. Neither: all
  double over_selection = 1.0;                // >= 1; asks ceil(over_selection * cohort), all of which are counted
  std::uint32_t rounds = 1;                   // per request of the parent; the root runs one
  // Of one payload of theirs and their children's, where it is not CostOptions' own.
  std::optional<std::uint64_t> bytes_down;
  std::optional<std::uint64_t> bytes_up;
};

// The share of its `children` (>= 1) that a node asks in one of its rounds.
[[nodiscard]] double asked_share(const TierPlan& tier, std::uint32_t children);

struct CostOptions {
  std::uint64_t bytes_down = 0;  // of one payload, headers included
  std::uint64_t bytes_up = 0;
  // By distance of the asking node from the root; tiers beyond the end take part whole, once.
  std::vector<TierPlan> tiers;
  std::chrono::nanoseconds training{0};  // of one task at a client
  // The same, where clients differ; by their numbers in Topology::to_tree().
  std::function<std::chrono::nanoseconds(NodeId)> training_of;
  Link default_link;  // for nodes that state neither bandwidth nor latency
};

// Of the edge above one node, per root round.
struct EdgeCost {
  double requests = 0.0;  // expected number of times the node is asked: payloads down, and as many up
  double bytes_down = 0.0;
  double bytes_up = 0.0;
  std::chrono::nanoseconds visit{0};  // model down, the node's work, update up, without waiting for siblings
};

// Of all edges above the nodes of one tier, per root round.
struct TierCost {
  std::uint32_t tier = 0;  // of the children, from 1
  std::uint64_t nodes = 0;
  double payloads = 0.0;  // both directions
  double bytes_down = 0.0;
  double bytes_up = 0.0;
};

struct CostEstimate {
  std::vector<EdgeCost> edges;  // by entry of the topology; of a group: of each member. The root's is zero
  std::vector<TierCost> tiers;  // from tier 1
  double payloads = 0.0;        // both directions
  double bytes = 0.0;           // both directions
  // The same round if inner nodes forwarded every client's update by itself instead of adding: models go down as
  // before, each update crosses every edge up to the root.
  double forwarding_payloads = 0.0;
  double forwarding_bytes = 0.0;
  std::chrono::nanoseconds round_time{0};
  std::vector<std::uint32_t>
      critical_path;  // entries from a child of the root down to a client: the slowest visit at each
};

[[nodiscard]] CostEstimate estimate_cost(const Topology& topology, const CostOptions& options);
// `edges` and `critical_path` speak of the entries of Topology::from_tree(tree).
[[nodiscard]] CostEstimate estimate_cost(const Tree& tree, const CostOptions& options);

}  // namespace tributary
