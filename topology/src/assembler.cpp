// SPDX-License-Identifier: Apache-2.0
#include "assembler.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <boost/graph/breadth_first_search.hpp>
#include <boost/graph/compressed_sparse_row_graph.hpp>
#include <boost/graph/depth_first_search.hpp>
#include <boost/property_map/property_map.hpp>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "text.hpp"

namespace tributary::internal {
namespace {

constexpr std::uint32_t kNone = UINT32_MAX;

// Edges point from parent to child.
using Graph = boost::compressed_sparse_row_graph<boost::directedS, boost::no_property, boost::no_property,
                                                 boost::no_property, std::uint32_t, std::uint32_t>;

// The order of a breadth-first search, with the tier of each node reached.
class BreadthFirst : public boost::default_bfs_visitor {
 public:
  BreadthFirst(std::vector<std::uint32_t>& order, std::vector<std::uint32_t>& tier) : order_(&order), tier_(&tier) {}
  void discover_vertex(std::uint32_t node, const Graph& /*graph*/) { order_->push_back(node); }
  template <typename Edge>
  void tree_edge(const Edge& edge, const Graph& graph) {
    (*tier_)[target(edge, graph)] = (*tier_)[source(edge, graph)] + 1;
  }

 private:
  std::vector<std::uint32_t>* order_;
  std::vector<std::uint32_t>* tier_;
};

// Each edge that leads back to an ancestor closes a cycle.
class BackEdges : public boost::default_dfs_visitor {
 public:
  explicit BackEdges(std::vector<std::pair<std::uint32_t, std::uint32_t>>& found) : found_(&found) {}
  template <typename Edge>
  void back_edge(const Edge& edge, const Graph& graph) {
    found_->emplace_back(source(edge, graph), target(edge, graph));
  }

 private:
  std::vector<std::pair<std::uint32_t, std::uint32_t>>* found_;
};

using Colors = std::vector<boost::default_color_type>;

auto color_map(Colors& colors, const Graph& graph) {
  return boost::make_iterator_property_map(colors.begin(), get(boost::vertex_index, graph));
}

// The checks of one assembly; each reports what it finds and goes on.
class Checker {
 public:
  Checker(const RawTopology& raw, IssueList& issues)
      : nodes_(raw.nodes),
        edges_(raw.edges),
        attributes_(raw.attributes),
        issues_(issues),
        parent_(nodes_.size(), kNone),
        edge_place_(nodes_.size()),
        children_(nodes_.size(), 0) {}

  void run() {
    if (nodes_.empty()) {
      issues_.add(TopologyError::kNoRoot, {}, "there are no nodes; a topology needs a root with at least one client");
      return;
    }
    check_names();
    check_size();
    find_parents();
    check_roots();
    search();
    check_kinds();
  }

  [[nodiscard]] std::vector<std::uint32_t> take_order() { return std::move(order_); }
  [[nodiscard]] std::vector<std::uint32_t> take_parent() { return std::move(parent_); }

 private:
  void check_names() {
    std::unordered_map<std::string_view, std::uint32_t> first;
    first.reserve(nodes_.size());
    for (std::uint32_t i = 0; i < nodes_.size(); ++i) {
      const RawNode& node = nodes_[i];
      if (node.name.empty()) { continue; }
      if (!is_name(node.name)) {
        issues_.add(
            TopologyError::kBadName, node.place,
            fmt::format("a name must be 1 to 64 of letters, digits, '.', '_' and '-', got {}", quoted(node.name)));
        continue;
      }
      const std::size_t longest = node.name.size() + 1 + std::to_string(node.count - 1).size();
      if (node.group && longest > TopologyLimits::kNameLength) {
        issues_.add(
            TopologyError::kBadName, node.place,
            fmt::format("group {} is too long a prefix: its last member \"<prefix>-{}\" would have {} characters, "
                        "at most {} are allowed",
                        quoted(node.name), node.count - 1, longest, TopologyLimits::kNameLength));
      }
      const auto [before, is_new] = first.try_emplace(node.name, i);
      if (!is_new) {
        issues_.add(
            TopologyError::kDuplicateName, node.place,
            fmt::format("the name {} is used twice{}", quoted(node.name), first_at(nodes_[before->second].place)));
      }
    }
  }

  [[nodiscard]] std::string first_at(Place place) const {
    const std::string at = issues_.at(place);
    return at.empty() ? at : ", first" + at;
  }

  void check_size() {
    std::uint64_t total = 0;
    for (const RawNode& node : nodes_) {
      const std::uint64_t before = total;
      total += node.count;
      if (before <= TopologyLimits::kNodes && total > TopologyLimits::kNodes) {
        issues_.add(TopologyError::kTooLarge, node.place,
                    fmt::format("{} is where the topology exceeds {} nodes", TopologyAssembler::describe(node),
                                with_commas(TopologyLimits::kNodes)));
      }
    }
  }

  void find_parents() {
    for (const RawEdge& edge : edges_) {
      const RawNode& child = nodes_[edge.child];
      std::uint32_t& parent = parent_[edge.child];
      if (parent == kNone) {
        parent = edge.parent;
        edge_place_[edge.child] = edge.place;
        ++children_[edge.parent];
      } else if (parent == edge.parent) {
        issues_.add(TopologyError::kDuplicateEdge, edge.place,
                    fmt::format("the edge {} -> {} is written twice{}", name(edge.parent), name(edge.child),
                                first_at(edge_place_[edge.child])));
      } else {
        issues_.add(TopologyError::kSeveralParents, edge.place,
                    fmt::format("{} has two parents: {}{} and {}", TopologyAssembler::describe(child), name(parent),
                                issues_.at(edge_place_[edge.child]), name(edge.parent)));
      }
    }
  }

  void check_roots() {
    std::uint32_t orphans = 0;
    for (std::uint32_t i = 0; i < nodes_.size(); ++i) {
      if (nodes_[i].orphan) { ++orphans; }
      if (parent_[i] == kNone && !nodes_[i].orphan) { roots_.push_back(i); }
    }
    if (roots_.empty() && orphans == 0) {
      issues_.add(TopologyError::kNoRoot, {}, "there is no root: every node has a parent");
    }
    if (roots_.size() > 1) {
      constexpr std::size_t kShown = 5;
      std::string names;
      for (std::size_t i = 0; i < std::min(roots_.size(), kShown); ++i) {
        names += fmt::format("{}{}{}", i == 0 ? "" : ", ", name(roots_[i]), issues_.at(nodes_[roots_[i]].place));
      }
      if (roots_.size() > kShown) { names += fmt::format(" and {} more", roots_.size() - kShown); }
      issues_.add(TopologyError::kSeveralRoots, nodes_[roots_[1]].place,
                  fmt::format("there must be one root, but {} nodes have no parent: {}", roots_.size(), names));
    }
  }

  void search() {
    std::vector<std::pair<std::uint32_t, std::uint32_t>> pairs;
    pairs.reserve(edges_.size());
    for (const RawEdge& edge : edges_) {
      // The first edge to a child counts; further ones have been reported.
      if (parent_[edge.child] == edge.parent) { pairs.emplace_back(edge.parent, edge.child); }
    }
    const Graph graph(boost::edges_are_unsorted_multi_pass, pairs.begin(), pairs.end(),
                      static_cast<std::uint32_t>(nodes_.size()));

    std::vector<std::uint32_t> tier(nodes_.size(), 0);
    order_.reserve(nodes_.size());
    Colors colors(nodes_.size(), boost::white_color);
    boost::queue<std::uint32_t> queue;
    for (std::uint32_t i = 0; i < nodes_.size(); ++i) {
      if (parent_[i] == kNone) {
        boost::breadth_first_visit(graph, i, queue, BreadthFirst(order_, tier), color_map(colors, graph));
      }
    }
    const auto deep = std::find_if(order_.begin(), order_.end(),
                                   [&](std::uint32_t node) { return tier[node] > TopologyLimits::kTiers; });
    if (deep != order_.end()) {
      issues_.add(TopologyError::kTooLarge, nodes_[*deep].place,
                  fmt::format("{} is {} tiers below the root; at most {} are allowed",
                              TopologyAssembler::describe(nodes_[*deep]), tier[*deep], TopologyLimits::kTiers));
    }
    if (order_.size() != nodes_.size()) { report_cycles(graph, colors); }
  }

  void report_cycles(const Graph& graph, const Colors& reached) {
    std::vector<std::pair<std::uint32_t, std::uint32_t>> back_edges;
    Colors colors(nodes_.size(), boost::white_color);
    boost::depth_first_search(graph, BackEdges(back_edges), color_map(colors, graph));

    std::vector<bool> in_cycle(nodes_.size(), false);
    for (const auto& [last, first] : back_edges) {
      std::vector<std::uint32_t> path;
      for (std::uint32_t node = last; node != first; node = parent_[node]) { path.push_back(node); }
      path.push_back(first);
      for (const std::uint32_t node : path) { in_cycle[node] = true; }
      std::reverse(path.begin(), path.end());
      constexpr std::size_t kShown = 8;
      std::string text;
      for (std::size_t i = 0; i < std::min(path.size(), kShown); ++i) { text += name(path[i]) + " -> "; }
      if (path.size() > kShown) { text += fmt::format("({} more) -> ", path.size() - kShown); }
      issues_.add(TopologyError::kCycle, edge_place_[first],
                  fmt::format("{} is its own ancestor: {}{}", name(first), text, name(first)));
    }
    for (std::uint32_t i = 0; i < nodes_.size(); ++i) {
      if (reached[i] == boost::white_color && !in_cycle[i]) {
        issues_.add(TopologyError::kUnreachable, nodes_[i].place,
                    fmt::format("{} cannot be reached from the root: it hangs below a cycle",
                                TopologyAssembler::describe(nodes_[i])));
      }
    }
  }

  void check_kinds() {
    const bool one_root = roots_.size() == 1;
    for (std::uint32_t i = 0; i < nodes_.size(); ++i) {
      const RawNode& node = nodes_[i];
      const bool is_root = one_root && roots_.front() == i;
      const auto who = [&node] { return TopologyAssembler::describe(node); };
      if (is_root) {
        if (node.group) {
          issues_.add(TopologyError::kBadValue, node.place,
                      fmt::format("{} is the root, which is one node: remove count", who()));
        }
        if (node.kind.value_or(Role::kRoot) != Role::kRoot) {
          issues_.add(
              TopologyError::kBadValue, node.kind_place,
              fmt::format("{} has no parent and so is the root, but its kind is {}", who(), to_string(*node.kind)));
        }
        if (const std::uint32_t rank = rank_of(node); rank != 0) {
          issues_.add(
              TopologyError::kBadValue, node.rank_place,
              fmt::format("{} is the root, which is always on rank 0, but its rank is {}: remove rank", who(), rank));
        }
        if (children_[i] == 0 && !node.damaged) {
          issues_.add(TopologyError::kLeafNotClient, node.place,
                      fmt::format("{} is the root and has no children; a federation needs at least one client", who()));
        }
        continue;
      }
      if (node.kind == Role::kRoot && parent_[i] != kNone) {
        issues_.add(TopologyError::kBadValue, node.kind_place,
                    fmt::format("{} has the parent {}, but its kind is root", who(), name(parent_[i])));
      }
      const bool client = node.group || node.kind == Role::kClient;
      if (client && children_[i] > 0) {
        issues_.add(TopologyError::kClientWithChildren, node.place,
                    fmt::format("{} is a {} but has {} {}; only the root and aggregators have children", who(),
                                node.group ? "group of clients" : "client", children_[i],
                                children_[i] == 1 ? "child" : "children"));
      }
      if (node.kind == Role::kAggregator && children_[i] == 0 && !node.damaged) {
        issues_.add(TopologyError::kLeafNotClient, node.place,
                    fmt::format("{} is an aggregator without children; only clients are leaves", who()));
      }
    }
  }

  // 0 if it says none.
  [[nodiscard]] std::uint32_t rank_of(const RawNode& node) const {
    return node.attributes == TopologyNode::kNoAttributes ? 0 : attributes_[node.attributes].rank.value_or(0);
  }

  [[nodiscard]] std::string name(std::uint32_t node) const {
    const RawNode& raw = nodes_[node];
    return raw.name.empty() ? "(unnamed" + issues_.at(raw.place) + ")" : quoted(raw.name);
  }

  const std::vector<RawNode>& nodes_;
  const std::vector<RawEdge>& edges_;
  const std::vector<NodeAttributes>& attributes_;
  IssueList& issues_;
  std::vector<std::uint32_t> parent_;
  std::vector<Place> edge_place_;
  std::vector<std::uint32_t> children_;  // entries
  std::vector<std::uint32_t> roots_;
  std::vector<std::uint32_t> order_;
};

// "x-17" -> ("x", 17), if the number is written as std::to_string() does.
std::optional<std::pair<std::string_view, std::uint64_t>> numbered(std::string_view name) {
  const std::size_t dash = name.rfind('-');
  if (dash == std::string_view::npos) { return std::nullopt; }
  const std::string_view digits = name.substr(dash + 1);
  const std::optional<std::uint64_t> number = parse_whole(digits);
  if (!number || (digits.size() > 1 && digits.front() == '0')) { return std::nullopt; }
  return std::pair{name.substr(0, dash), *number};
}

}  // namespace

std::string TopologyAssembler::describe(const RawNode& node) {
  if (node.name.empty()) { return node.group ? "the unnamed group" : "the unnamed node"; }
  return fmt::format("{} {}", node.group ? "group" : "node", quoted(node.name));
}

std::optional<Topology> TopologyAssembler::assemble(RawTopology raw, IssueList& issues) {
  std::vector<std::uint32_t> order;
  std::vector<std::uint32_t> parent;
  {
    Checker checker(raw, issues);
    checker.run();
    if (!issues.empty()) { return std::nullopt; }
    order = checker.take_order();
    parent = checker.take_parent();
  }
  std::vector<RawEdge>().swap(raw.edges);
  std::vector<Place> places;
  places.reserve(raw.nodes.size());
  for (const std::uint32_t old : order) { places.push_back(raw.nodes[old].place); }
  Topology topology = arrange(std::move(raw), order, parent);
  check_generated_names(topology, places, issues);
  if (!issues.empty()) { return std::nullopt; }
  return topology;
}

Topology TopologyAssembler::arrange(RawTopology raw, const std::vector<std::uint32_t>& order,
                                    const std::vector<std::uint32_t>& parent) {
  const auto size = static_cast<std::uint32_t>(order.size());
  std::vector<std::uint32_t> entry_of(size);
  for (std::uint32_t entry = 0; entry < size; ++entry) { entry_of[order[entry]] = entry; }

  Topology topology;
  topology.nodes_.resize(size);
  for (std::uint32_t entry = 0; entry < size; ++entry) {
    RawNode& from = raw.nodes[order[entry]];
    TopologyNode& node = topology.nodes_[entry];
    node.name = std::move(from.name);
    node.group = from.group;
    node.count = from.count;
    if (from.attributes != TopologyNode::kNoAttributes) {
      node.attributes = static_cast<std::uint32_t>(topology.attributes_.size());
      topology.attributes_.push_back(std::move(raw.attributes[from.attributes]));
    }
    if (entry > 0) { node.parent = entry_of[parent[order[entry]]]; }
  }
  complete(topology);
  return topology;
}

Topology TopologyAssembler::regular(std::span<const std::uint32_t> widths) {
  Topology topology;
  std::size_t entries = 1;
  for (std::size_t tier = 0; tier + 1 < widths.size(); ++tier) { entries += widths[tier]; }
  entries += widths.size() > 1 ? widths[widths.size() - 2] : 1;
  topology.nodes_.reserve(entries);
  topology.nodes_.emplace_back();
  std::uint32_t first_parent = 0;
  for (std::size_t tier = 0; tier < widths.size(); ++tier) {
    const bool clients = tier + 1 == widths.size();
    const auto end = static_cast<std::uint32_t>(topology.nodes_.size());
    const std::uint32_t parents = end - first_parent;
    const std::uint32_t share = widths[tier] / parents;
    const std::uint32_t remainder = widths[tier] % parents;
    for (std::uint32_t i = 0; i < parents; ++i) {
      const std::uint32_t count = share + (i < remainder ? 1 : 0);
      for (std::uint32_t child = 0; child < (clients ? 1 : count); ++child) {
        TopologyNode& node = topology.nodes_.emplace_back();
        node.parent = first_parent + i;
        node.group = clients;
        node.count = clients ? count : 1;
      }
    }
    first_parent = end;
  }
  complete(topology);
  return topology;
}

void TopologyAssembler::complete(Topology& topology) {
  const auto size = static_cast<std::uint32_t>(topology.nodes_.size());
  std::uint32_t first_node = 0;
  for (std::uint32_t entry = 0; entry < size; ++entry) {
    TopologyNode& node = topology.nodes_[entry];
    node.first_node = NodeId{first_node};
    first_node += node.count;
    if (entry == 0) { continue; }
    TopologyNode& above = topology.nodes_[node.parent];
    node.tier = above.tier + 1;
    if (above.child_entries == 0) { above.first_child = entry; }
    ++above.child_entries;
    above.children += node.count;
  }
  topology.size_ = first_node;

  for (std::uint32_t entry = size; entry-- > 0;) {
    TopologyNode& node = topology.nodes_[entry];
    if (node.child_entries == 0) { node.clients = node.count; }
    node.role = entry == 0 ? Role::kRoot : node.child_entries == 0 ? Role::kClient : Role::kAggregator;
    if (entry != 0) { topology.nodes_[node.parent].clients += node.clients; }
  }
  for (const TopologyNode& node : topology.nodes_) {
    std::uint32_t next = node.first_client.value;
    for (std::uint32_t i = 0; i < node.child_entries; ++i) {
      TopologyNode& child = topology.nodes_[node.first_child + i];
      child.first_client = ClientIndex{next};
      next += child.clients;
    }
  }
}

// Names that nobody wrote, those of group members and default ones, must not meet written names either.
void TopologyAssembler::check_generated_names(const Topology& topology, const std::vector<Place>& places,
                                              IssueList& issues) {
  std::unordered_map<std::string_view, const TopologyNode*> groups;
  std::vector<const TopologyNode*> unnamed_clients;
  std::vector<const TopologyNode*> unnamed_aggregators;
  for (const TopologyNode& node : topology.nodes_) {
    if (node.group && !node.name.empty()) { groups.emplace(node.name, &node); }
    if (node.name.empty() && node.role == Role::kClient) { unnamed_clients.push_back(&node); }
    if (node.name.empty() && node.role == Role::kAggregator) { unnamed_aggregators.push_back(&node); }
  }
  std::sort(unnamed_clients.begin(), unnamed_clients.end(),
            [](const TopologyNode* a, const TopologyNode* b) { return a->first_client < b->first_client; });

  // Whether a default name with a number in [first, first + count) is in use.
  const auto client_is_unnamed = [&](std::uint64_t first, std::uint64_t count) {
    const auto after = std::partition_point(
        unnamed_clients.begin(), unnamed_clients.end(),
        [&](const TopologyNode* node) { return std::uint64_t{node->first_client.value} + node->count <= first; });
    return after != unnamed_clients.end() && (*after)->first_client.value < first + count;
  };
  const auto aggregator_is_unnamed = [&](std::uint64_t first, std::uint64_t count) {
    const auto after = std::partition_point(unnamed_aggregators.begin(), unnamed_aggregators.end(),
                                            [&](const TopologyNode* node) { return node->first_node.value < first; });
    return after != unnamed_aggregators.end() && (*after)->first_node.value < first + count;
  };
  const auto default_name_is_used = [&](std::string_view prefix, std::uint64_t first, std::uint64_t count) {
    return (prefix == "client" && client_is_unnamed(first, count)) ||
           (prefix == "aggregator" && aggregator_is_unnamed(first, count));
  };

  for (std::size_t entry = 0; entry < topology.nodes_.size(); ++entry) {
    const TopologyNode& node = topology.nodes_[entry];
    if (node.name.empty()) { continue; }
    std::string clash;
    if (node.group) {
      if (default_name_is_used(node.name, 0, node.count)) {
        clash = fmt::format("group {} has members whose names are default names of unnamed nodes", quoted(node.name));
      }
    } else if (node.name == "root" && entry != 0 && topology.nodes_.front().name.empty()) {
      clash = "the name \"root\" is the default name of the unnamed root";
    } else if (const auto split = numbered(node.name)) {
      const auto group = groups.find(split->first);
      if (group != groups.end() && split->second < group->second->count) {
        clash =
            fmt::format("the name {} is also that of a member of group {}", quoted(node.name), quoted(split->first));
      } else if (default_name_is_used(split->first, split->second, 1)) {
        clash = fmt::format("the name {} is also the default name of an unnamed node", quoted(node.name));
      }
    }
    if (!clash.empty()) { issues.add(TopologyError::kDuplicateName, places[entry], clash + "; give another name"); }
  }
}

}  // namespace tributary::internal
