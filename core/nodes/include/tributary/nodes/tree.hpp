// SPDX-License-Identifier: Apache-2.0
// The shape of a federation, compact: who is whose parent. A million clients take about 20 MB and milliseconds.
//
// Built by topology/ from a file or a generator, which also validates it; here only the numbers remain.
// Numbering: breadth first, so node 0 is the root and the children of a node are consecutive. A client also has a
//            ClientIndex, counted left to right, depth first: the same data goes to the same client whatever tiers
//            stand above it.
// Threads:   immutable after create(); const calls may run together.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "tributary/base/ids.hpp"
#include "tributary/base/status.hpp"

namespace tributary {

enum class Role : std::uint8_t { kClient = 0, kAggregator = 1, kRoot = 2 };

[[nodiscard]] std::string_view to_string(Role role) noexcept;

// The edge from a node to its parent. Zero bandwidth means unlimited.
struct Link {
  double bytes_per_second = 0.0;
  std::chrono::nanoseconds latency{0};
  friend bool operator==(const Link&, const Link&) = default;
};

// Of one message over one edge, in either direction: latency + bytes / bandwidth.
[[nodiscard]] std::chrono::nanoseconds transfer_time(const Link& link, std::uint64_t bytes) noexcept;

// What is known of a node besides its place. Empty strings mean "not said".
struct NodeAttributes {
  std::string name;  // empty: see Tree::name()
  std::string site;
  std::string device;                 // cpu | cuda | auto
  std::string transport;              // of the edge to the parent: auto | in-process | mpi | tls
  std::string address;                // where this node listens
  std::optional<std::uint32_t> rank;  // of an MPI job; what stands below goes there too, unless it says its own
  Link link;
  std::unordered_map<std::string, std::string> extra;
  friend bool operator==(const NodeAttributes&, const NodeAttributes&) = default;
};

class Tree {
 public:
  // Child ids of one node: consecutive numbers, usable in a range-for.
  class Children {
   public:
    struct Iterator {
      std::uint32_t id;
      NodeId operator*() const noexcept { return NodeId{id}; }
      Iterator& operator++() noexcept {
        ++id;
        return *this;
      }
      friend bool operator==(Iterator, Iterator) noexcept = default;
    };
    Children(std::uint32_t first, std::uint32_t count) noexcept : first_(first), count_(count) {}
    [[nodiscard]] std::uint32_t size() const noexcept { return count_; }
    [[nodiscard]] NodeId operator[](std::uint32_t index) const noexcept { return NodeId{first_ + index}; }
    [[nodiscard]] Iterator begin() const noexcept { return {first_}; }
    [[nodiscard]] Iterator end() const noexcept { return {first_ + count_}; }
    // Position of `child` among the children; requires that it is one.
    [[nodiscard]] std::uint32_t index_of(NodeId child) const noexcept { return child.value - first_; }
    [[nodiscard]] bool contains(NodeId node) const noexcept {
      return node.value >= first_ && node.value - first_ < count_;
    }

   private:
    std::uint32_t first_;
    std::uint32_t count_;
  };

  // Adds nodes breadth first, then create() checks and finishes. Used by topology/ and by tests.
  struct Builder {
    // For each node in breadth-first order, its number of children; 0 makes a client.
    std::vector<std::uint32_t> child_counts;
    // By node number; only nodes about which something is known.
    std::unordered_map<std::uint32_t, NodeAttributes> attributes;
  };

  // kInvalidArgument: no nodes, a root without children, counts that do not add up to the number of nodes,
  // an attribute of a node that does not exist.
  static Result<Tree> create(Builder builder);

  [[nodiscard]] std::uint32_t size() const noexcept { return static_cast<std::uint32_t>(parent_.size()); }
  [[nodiscard]] NodeId root() const noexcept { return NodeId{0}; }
  // The root is its own parent.
  [[nodiscard]] NodeId parent(NodeId node) const { return NodeId{parent_.at(node.value)}; }
  [[nodiscard]] Children children(NodeId node) const {
    return {first_child_.at(node.value), child_count_.at(node.value)};
  }
  [[nodiscard]] Role role(NodeId node) const;
  [[nodiscard]] bool is_client(NodeId node) const { return child_count_.at(node.value) == 0; }
  // Distance from the root.
  [[nodiscard]] std::uint32_t tier(NodeId node) const;
  // Number of edges on the longest path from the root: 1 for a star.
  [[nodiscard]] std::uint32_t height() const noexcept { return static_cast<std::uint32_t>(tier_start_.size()) - 1; }
  [[nodiscard]] std::uint32_t tier_size(std::uint32_t tier) const;

  [[nodiscard]] std::uint32_t clients() const noexcept { return static_cast<std::uint32_t>(client_node_.size()); }
  [[nodiscard]] ClientIndex client_index(NodeId client) const { return ClientIndex{client_index_.at(client.value)}; }
  [[nodiscard]] NodeId client_node(ClientIndex client) const { return NodeId{client_node_.at(client.value)}; }

  // The given name; otherwise "root", "aggregator-<node>", "client-<client index>".
  [[nodiscard]] std::string name(NodeId node) const;
  // Defaults where nothing is known.
  [[nodiscard]] const NodeAttributes& attributes(NodeId node) const;

 private:
  std::vector<std::uint32_t> parent_;
  std::vector<std::uint32_t> first_child_;
  std::vector<std::uint32_t> child_count_;
  std::vector<std::uint32_t> tier_start_;    // node number at which each tier starts
  std::vector<std::uint32_t> client_index_;  // by node; unused for inner nodes
  std::vector<std::uint32_t> client_node_;   // by client index
  std::unordered_map<std::uint32_t, NodeAttributes> attributes_;
};

}  // namespace tributary
