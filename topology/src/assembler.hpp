// SPDX-License-Identifier: Apache-2.0
// From nodes and edges as they were written, to a validated Topology or the list of what is wrong.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "issues.hpp"
#include "tributary/nodes/tree.hpp"
#include "tributary/topology/topology.hpp"

namespace tributary::internal {

struct RawNode {
  std::string name;
  Place place;
  std::uint32_t count = 1;
  std::uint32_t attributes = TopologyNode::kNoAttributes;
  bool group = false;
  bool orphan = false;   // its parent is wrong, which has been reported
  bool damaged = false;  // its children are wrong, which has been reported
  std::optional<Role> kind;
  Place kind_place;
  Place rank_place;
};

struct RawEdge {
  std::uint32_t parent = 0;
  std::uint32_t child = 0;
  Place place;
};

// Children of a node are ordered as their edges are.
struct RawTopology {
  std::vector<RawNode> nodes;
  std::vector<NodeAttributes> attributes;
  std::vector<RawEdge> edges;
};

// A Topology if `issues` is empty afterwards, nothing otherwise. Reports names, attributes and structure.
class TopologyAssembler {
 public:
  [[nodiscard]] static std::optional<Topology> assemble(RawTopology raw, IssueList& issues);

  // How a node is named in messages: `node "x"`, `the unnamed node`.
  [[nodiscard]] static std::string describe(const RawNode& node);

  // The Topology of nodes known to form a tree: `order` is breadth first, `parent` is by place in raw.nodes.
  static Topology arrange(RawTopology raw, const std::vector<std::uint32_t>& order,
                          const std::vector<std::uint32_t>& parent);

  // So many nodes in each tier below the root, in equal parts below each parent; the last tier are the clients, in one
  // group per parent. `widths` never falls and fits the limits. Straight into the final form: a tree of millions of
  // nodes takes no more memory on the way.
  static Topology regular(std::span<const std::uint32_t> widths);

 private:
  // Whatever follows from the nodes' order, parents and counts.
  static void complete(Topology& topology);
  static void check_generated_names(const Topology& topology, const std::vector<Place>& places, IssueList& issues);
};

}  // namespace tributary::internal
