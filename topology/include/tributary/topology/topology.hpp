// SPDX-License-Identifier: Apache-2.0
// Who is whose parent, with names and attributes: the validated form of a topology file, small for a million clients.
//
// Entries:   one per node, except that like clients under one parent may be one entry, a *group*, with a count. Entries
//            stand breadth first: entry 0 is the root, the children of an entry are consecutive, in the order of the
//            file.
// Names:     an entry without a name has the default one of Tree::name(): "root", "aggregator-<node>",
//            "client-<client index>". The members of a group named "x" are called "x-0", "x-1", ...
// Life cycle: made by Topology::Builder, read.hpp or generate.hpp, which validate; immutable afterwards.
// Threads:   const calls may run together.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "tributary/base/ids.hpp"
#include "tributary/base/status.hpp"
#include "tributary/nodes/tree.hpp"
#include "tributary/topology/errors.hpp"

namespace tributary {

namespace internal {
class TopologyAssembler;
}

// One entry: a node, or a group of clients. "Entry" numbers are places in Topology::nodes().
struct TopologyNode {
  std::string name;  // as given; empty: the default name. Of a group: the prefix of its members
  Role role = Role::kClient;
  bool group = false;             // true even for a group of one
  std::uint32_t count = 1;        // nodes of this entry
  std::uint32_t tier = 0;         // distance from the root
  std::uint32_t parent = 0;       // entry; the root is its own parent
  std::uint32_t first_child = 0;  // entry; meaningless without children
  std::uint32_t child_entries = 0;
  std::uint32_t children = 0;                // nodes, counting the members of groups
  NodeId first_node{};                       // in the Tree; the members of a group follow one another
  ClientIndex first_client{};                // of a client or group; of an inner node: of the first client below it
  std::uint32_t clients = 0;                 // below, or of this entry if it is a client or group
  std::uint32_t attributes = kNoAttributes;  // ask Topology::attributes()

  static constexpr std::uint32_t kNoAttributes = UINT32_MAX;
  friend bool operator==(const TopologyNode&, const TopologyNode&) = default;
};

class Topology {
 public:
  class Builder;

  [[nodiscard]] std::span<const TopologyNode> nodes() const noexcept { return nodes_; }
  [[nodiscard]] const TopologyNode& node(std::uint32_t entry) const { return nodes_.at(entry); }
  [[nodiscard]] std::span<const TopologyNode> children(const TopologyNode& node) const noexcept;

  // Nodes, counting the members of groups.
  [[nodiscard]] std::uint32_t size() const noexcept { return size_; }
  [[nodiscard]] std::uint32_t clients() const noexcept { return nodes_.front().clients; }
  [[nodiscard]] std::uint32_t aggregators() const noexcept { return size_ - clients() - 1; }
  // Edges on the longest path from the root.
  [[nodiscard]] std::uint32_t height() const noexcept { return nodes_.back().tier; }

  // What is said of an entry besides its name; `name` is empty in it.
  [[nodiscard]] const NodeAttributes& attributes(const TopologyNode& node) const noexcept;
  // The entry that holds a node of the Tree.
  [[nodiscard]] const TopologyNode& entry_of(NodeId node) const;
  // The name of a node, default names and group members included; equal to Tree::name() of to_tree() where that one
  // carries the names (see TreeOptions).
  [[nodiscard]] std::string name(NodeId node) const;
  // Where an entry is named in messages and drawings: its name, its default name, or "x-0..x-9" of a group.
  [[nodiscard]] std::string label(const TopologyNode& node) const;
  // The site of an entry, or of its nearest ancestor that has one; empty if none.
  [[nodiscard]] const std::string& site(const TopologyNode& node) const noexcept;

  struct TreeOptions {
    // Names of group members are written into the tree one by one when there are at most this many in all; beyond,
    // they go by their default names. Name() of this class knows them always. Attributes of groups (site, link, ...)
    // are always written, for each member.
    std::uint32_t named_members = 10'000;
  };
  // Time and memory follow the number of nodes; groups without attributes cost 20 bytes a member.
  [[nodiscard]] Tree to_tree(const TreeOptions& options) const;
  [[nodiscard]] Tree to_tree() const { return to_tree(TreeOptions{}); }

  // The reverse; runs of clients about which nothing is known become groups.
  [[nodiscard]] static Topology from_tree(const Tree& tree);

  friend bool operator==(const Topology&, const Topology&) = default;

 private:
  friend class internal::TopologyAssembler;
  Topology() = default;

  std::vector<TopologyNode> nodes_;
  std::vector<NodeAttributes> attributes_;
  std::uint32_t size_ = 0;
};

// Collects nodes in any order in which parents come before their children, and validates in build().
class Topology::Builder {
 public:
  using Entry = std::uint32_t;

  // The first node is the root. `attributes.name` may be empty.
  Entry add_root(NodeAttributes attributes = {});
  // A client, until something is added below it. Children keep the order in which they are added.
  Entry add(Entry parent, NodeAttributes attributes = {});
  // `count` like clients. `attributes.name` is their prefix, or empty for default names.
  Entry add_group(Entry parent, std::uint32_t count, NodeAttributes attributes = {});

  // kConfiguration with every mistake; `issues` may be null. The builder is empty afterwards.
  Result<Topology> build(TopologyIssues* issues = nullptr);

 private:
  struct Node {
    std::string name;
    Entry parent = UINT32_MAX;
    std::uint32_t count = 1;
    std::uint32_t attributes = TopologyNode::kNoAttributes;
    bool group = false;
  };
  Entry append(Entry parent, std::uint32_t count, bool group, NodeAttributes attributes);

  std::vector<Node> nodes_;
  std::vector<NodeAttributes> attributes_;
};

}  // namespace tributary
