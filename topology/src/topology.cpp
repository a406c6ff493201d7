// SPDX-License-Identifier: Apache-2.0
#include "tributary/topology/topology.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "assembler.hpp"
#include "attributes.hpp"
#include "issues.hpp"

namespace tributary {

std::span<const TopologyNode> Topology::children(const TopologyNode& node) const noexcept {
  return node.child_entries == 0 ? std::span<const TopologyNode>{}
                                 : std::span(nodes_).subspan(node.first_child, node.child_entries);
}

const NodeAttributes& Topology::attributes(const TopologyNode& node) const noexcept {
  static const NodeAttributes kNothingSaid;
  return node.attributes == TopologyNode::kNoAttributes ? kNothingSaid : attributes_[node.attributes];
}

const TopologyNode& Topology::entry_of(NodeId node) const {
  const auto after = std::upper_bound(nodes_.begin(), nodes_.end(), node,
                                      [](NodeId id, const TopologyNode& entry) { return id < entry.first_node; });
  return *std::prev(after);
}

std::string Topology::name(NodeId node) const {
  const TopologyNode& entry = entry_of(node);
  const std::uint32_t member = node.value - entry.first_node.value;
  if (!entry.name.empty()) { return entry.group ? fmt::format("{}-{}", entry.name, member) : entry.name; }
  switch (entry.role) {
    case Role::kRoot:
      return "root";
    case Role::kAggregator:
      return fmt::format("aggregator-{}", node.value);
    case Role::kClient:
      break;
  }
  return fmt::format("client-{}", entry.first_client.value + member);
}

std::string Topology::label(const TopologyNode& node) const {
  std::string first = name(node.first_node);
  if (node.count == 1) { return first; }
  return fmt::format("{}..{}", first, name(NodeId{node.first_node.value + node.count - 1}));
}

const std::string& Topology::site(const TopologyNode& node) const noexcept {
  const TopologyNode* at = &node;
  while (attributes(*at).site.empty() && at->tier > 0) { at = &nodes_[at->parent]; }
  return attributes(*at).site;
}

Tree Topology::to_tree(const TreeOptions& options) const {
  std::uint64_t named_members = 0;
  for (const TopologyNode& node : nodes_) {
    if (node.group && !node.name.empty()) { named_members += node.count; }
  }
  const bool write_member_names = named_members <= options.named_members;

  Tree::Builder builder;
  builder.child_counts.reserve(size_);
  for (const TopologyNode& node : nodes_) {
    builder.child_counts.insert(builder.child_counts.end(), node.count, node.children);
    const bool named = !node.name.empty() && (!node.group || write_member_names);
    if (!named && node.attributes == TopologyNode::kNoAttributes) { continue; }
    for (std::uint32_t member = 0; member < node.count; ++member) {
      NodeAttributes& known = builder.attributes[node.first_node.value + member];
      known = attributes(node);
      if (named) { known.name = name(NodeId{node.first_node.value + member}); }
    }
  }
  // Cannot fail: the assembler has checked all that create() checks.
  return Tree::create(std::move(builder)).value();
}

Topology Topology::from_tree(const Tree& tree) {
  const NodeAttributes kNothingKnown;
  internal::RawTopology raw;
  std::vector<std::uint32_t> entry_of_inner(tree.size(), 0);
  bool last_is_group = false;
  for (std::uint32_t id = 0; id < tree.size(); ++id) {
    const NodeId node{id};
    const NodeAttributes& known = tree.attributes(node);
    const bool anonymous = tree.is_client(node) && known == kNothingKnown;
    const std::uint32_t parent = entry_of_inner[tree.parent(node).value];
    if (anonymous && last_is_group && raw.edges.back().parent == parent) {
      raw.nodes.back().group = true;
      ++raw.nodes.back().count;
      continue;
    }
    last_is_group = anonymous;
    const auto entry = static_cast<std::uint32_t>(raw.nodes.size());
    entry_of_inner[id] = entry;
    internal::RawNode& raw_node = raw.nodes.emplace_back();
    raw_node.name = known.name;
    if (internal::says_something(known)) {
      raw_node.attributes = static_cast<std::uint32_t>(raw.attributes.size());
      raw.attributes.push_back(known);
      raw.attributes.back().name.clear();
    }
    if (id != 0) { raw.edges.push_back({parent, entry, {}}); }
  }
  std::vector<std::uint32_t> order(raw.nodes.size());
  std::vector<std::uint32_t> parents(raw.nodes.size(), 0);
  for (std::uint32_t entry = 0; entry < order.size(); ++entry) { order[entry] = entry; }
  for (const internal::RawEdge& edge : raw.edges) { parents[edge.child] = edge.parent; }
  return internal::TopologyAssembler::arrange(std::move(raw), order, parents);
}

Topology::Builder::Entry Topology::Builder::append(Entry parent, std::uint32_t count, bool group,
                                                   NodeAttributes attributes) {
  Node& node = nodes_.emplace_back();
  node.name = std::move(attributes.name);
  node.parent = parent;
  node.count = count;
  node.group = group;
  attributes.name.clear();
  if (internal::says_something(attributes)) {
    node.attributes = static_cast<std::uint32_t>(attributes_.size());
    attributes_.push_back(std::move(attributes));
  }
  return static_cast<Entry>(nodes_.size() - 1);
}

Topology::Builder::Entry Topology::Builder::add_root(NodeAttributes attributes) {
  return append(UINT32_MAX, 1, false, std::move(attributes));
}

Topology::Builder::Entry Topology::Builder::add(Entry parent, NodeAttributes attributes) {
  return append(parent, 1, false, std::move(attributes));
}

Topology::Builder::Entry Topology::Builder::add_group(Entry parent, std::uint32_t count, NodeAttributes attributes) {
  return append(parent, count, true, std::move(attributes));
}

Result<Topology> Topology::Builder::build(TopologyIssues* issues) {
  internal::IssueList found;
  internal::RawTopology raw;
  raw.nodes.reserve(nodes_.size());
  raw.edges.reserve(nodes_.size());
  raw.attributes = std::exchange(attributes_, {});
  for (std::uint32_t i = 0; i < nodes_.size(); ++i) {
    Node& from = nodes_[i];
    internal::RawNode& node = raw.nodes.emplace_back();
    node.name = std::move(from.name);
    node.count = from.count;
    node.group = from.group;
    node.attributes = from.attributes;
    const auto who = [&node] { return internal::TopologyAssembler::describe(node); };
    if (from.count == 0) {
      found.add(TopologyError::kBadValue, {}, fmt::format("{}: count must be >= 1, got 0", who()));
      node.count = 1;
    }
    if (from.attributes != TopologyNode::kNoAttributes) {
      const std::string problem = internal::attributes_problem(raw.attributes[from.attributes]);
      if (!problem.empty()) { found.add(TopologyError::kBadValue, {}, fmt::format("{}: {}", who(), problem)); }
    }
    if (from.parent == UINT32_MAX) { continue; }
    if (from.parent >= i) {
      found.add(TopologyError::kUnknownParent, {},
                fmt::format("{}: parent entry {} is not known yet", who(), from.parent));
      node.orphan = true;
      continue;
    }
    raw.edges.push_back({from.parent, i, {}});
  }
  std::vector<Node>().swap(nodes_);
  std::optional<Topology> topology = internal::TopologyAssembler::assemble(std::move(raw), found);
  if (!topology) { return found.to_status(issues); }
  return std::move(*topology);
}

}  // namespace tributary
