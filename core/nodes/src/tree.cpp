// SPDX-License-Identifier: Apache-2.0
#include "tributary/nodes/tree.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "tributary/base/duration.hpp"

namespace tributary {

std::chrono::nanoseconds transfer_time(const Link& link, std::uint64_t bytes) noexcept {
  if (link.bytes_per_second <= 0.0) { return link.latency; }
  return later_by(link.latency, to_nanoseconds(static_cast<double>(bytes) / link.bytes_per_second));
}

std::string_view to_string(Role role) noexcept {
  switch (role) {
    case Role::kClient:
      return "client";
    case Role::kAggregator:
      return "aggregator";
    case Role::kRoot:
      return "root";
  }
  return "unknown";
}

Result<Tree> Tree::create(Builder builder) {
  const std::size_t size = builder.child_counts.size();
  if (size == 0) { return invalid_argument("a tree needs a root"); }
  if (size > UINT32_MAX) { return invalid_argument("a tree has at most 4294967295 nodes"); }
  if (builder.child_counts[0] == 0) { return invalid_argument("the root has no children"); }

  Tree tree;
  tree.parent_.resize(size);
  tree.first_child_.resize(size);
  tree.tier_start_.push_back(0);
  std::uint64_t next = 1;
  std::uint64_t tier_end = 1;
  for (std::size_t node = 0; node < size; ++node) {
    if (node == tier_end) {
      tree.tier_start_.push_back(static_cast<std::uint32_t>(node));
      tier_end = next;
    }
    const std::uint32_t count = builder.child_counts[node];
    if (next + count > size) {
      return invalid_argument(
          fmt::format("node {} has {} children, but only {} nodes are left", node, count, size - next));
    }
    tree.first_child_[node] = static_cast<std::uint32_t>(next);
    std::fill_n(tree.parent_.begin() + static_cast<std::ptrdiff_t>(next), count, static_cast<std::uint32_t>(node));
    next += count;
  }
  if (next != size) { return invalid_argument(fmt::format("{} of {} nodes have no parent", size - next, size)); }
  for (const auto& [node, attributes] : builder.attributes) {
    if (node >= size) { return invalid_argument(fmt::format("attributes of node {}, which does not exist", node)); }
  }
  tree.child_count_ = std::move(builder.child_counts);
  tree.attributes_ = std::move(builder.attributes);

  tree.client_index_.resize(size);
  std::vector<std::uint32_t> path{0};
  while (!path.empty()) {
    const std::uint32_t node = path.back();
    path.pop_back();
    if (tree.child_count_[node] == 0) {
      tree.client_index_[node] = static_cast<std::uint32_t>(tree.client_node_.size());
      tree.client_node_.push_back(node);
    }
    for (std::uint32_t i = tree.child_count_[node]; i > 0; --i) { path.push_back(tree.first_child_[node] + i - 1); }
  }
  return tree;
}

Role Tree::role(NodeId node) const {
  if (node == root()) { return Role::kRoot; }
  return is_client(node) ? Role::kClient : Role::kAggregator;
}

std::uint32_t Tree::tier(NodeId node) const {
  const auto after = std::upper_bound(tier_start_.begin(), tier_start_.end(), node.value);
  return static_cast<std::uint32_t>(after - tier_start_.begin()) - 1;
}

std::uint32_t Tree::tier_size(std::uint32_t tier) const {
  const std::uint32_t end = tier + 1 < tier_start_.size() ? tier_start_[tier + 1] : size();
  return end - tier_start_.at(tier);
}

std::string Tree::name(NodeId node) const {
  const NodeAttributes& known = attributes(node);
  if (!known.name.empty()) { return known.name; }
  switch (role(node)) {
    case Role::kRoot:
      return "root";
    case Role::kAggregator:
      return fmt::format("aggregator-{}", node.value);
    case Role::kClient:
      return fmt::format("client-{}", client_index(node).value);
  }
  return {};
}

const NodeAttributes& Tree::attributes(NodeId node) const {
  static const NodeAttributes kNothingKnown;
  const auto found = attributes_.find(node.value);
  return found == attributes_.end() ? kNothingKnown : found->second;
}

}  // namespace tributary
