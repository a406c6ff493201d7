// SPDX-License-Identifier: Apache-2.0
#include "svg_layout.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <span>

#include "text.hpp"

namespace tributary::internal {
namespace {

// Siblings shown one by one where not all fit; the rest is one line.
constexpr std::size_t kSiblings = 12;
constexpr std::uint32_t kColumns = 12;
// Free space between the children of different parents, in lines.
constexpr double kGap = 0.3;

class Layout {
 public:
  Layout(const Topology& topology, std::uint32_t max_rows) : topology_(topology), rows_(std::max(max_rows, 4U)) {}

  std::vector<Box> run() {
    Box root;
    root.label = topology_.name(NodeId{0});
    boxes_.push_back(std::move(root));
    draw_children(0, rows_);
    place_inner_boxes();
    return std::move(boxes_);
  }

 private:
  // Lines that an entry can use.
  static std::uint32_t demand(const TopologyNode& node, bool all_fit) {
    if (node.group && !all_fit && node.count > kSiblings) { return 1; }
    return node.clients;
  }

  void draw_children(std::uint32_t parent_box, std::uint32_t rows) {
    const TopologyNode& node = topology_.node(boxes_[parent_box].entry);
    const std::span<const TopologyNode> children = topology_.children(node);
    if (node.tier + 1 >= kColumns) {
      summarise(parent_box, children, false);
      return;
    }
    const bool all_fit = node.clients <= rows;
    std::size_t shown = children.size();
    const std::size_t most = std::min<std::size_t>(rows, kSiblings);
    const bool some_left = !all_fit && shown > most;
    if (some_left) { shown = most - 1; }

    const std::vector<std::uint32_t> lines = share(children.first(shown), some_left ? rows - 1 : rows, all_fit);
    for (std::size_t i = 0; i < shown; ++i) { draw(parent_box, children[i], lines[i]); }
    if (some_left) { summarise(parent_box, children.subspan(shown), shown > 0); }
    cursor_ += kGap;
  }

  // Lines for each child: one at least, then by turns to those that can use more.
  static std::vector<std::uint32_t> share(std::span<const TopologyNode> children, std::uint32_t rows, bool all_fit) {
    std::vector<std::uint32_t> lines(children.size(), 1);
    std::uint32_t left = rows - std::min<std::uint32_t>(rows, static_cast<std::uint32_t>(children.size()));
    for (bool given = true; left > 0 && given;) {
      given = false;
      for (std::size_t i = 0; i < children.size() && left > 0; ++i) {
        if (lines[i] >= demand(children[i], all_fit)) { continue; }
        ++lines[i];
        --left;
        given = true;
      }
    }
    return lines;
  }

  void draw(std::uint32_t parent_box, const TopologyNode& node, std::uint32_t rows) {
    const auto entry = static_cast<std::uint32_t>(&node - topology_.nodes().data());
    if (node.role != Role::kClient) {
      draw_children(add(parent_box, entry, node.first_node, 1, topology_.name(node.first_node)), rows);
      return;
    }
    if (node.count > rows) {
      std::string label = fmt::format("{} clients", with_commas(node.count));
      if (!node.name.empty()) { label = fmt::format("{} \u00d7 {}", node.name, with_commas(node.count)); }
      boxes_[add_line(parent_box, entry, node.first_node, node.count, std::move(label))].stack = true;
      return;
    }
    for (std::uint32_t member = 0; member < node.count; ++member) {
      const NodeId id{node.first_node.value + member};
      add_line(parent_box, entry, id, 1, topology_.name(id));
    }
  }

  void summarise(std::uint32_t parent_box, std::span<const TopologyNode> children, bool more) {
    std::uint64_t clients = 0;
    std::uint64_t direct_clients = 0;
    std::uint32_t nodes = 0;
    for (const TopologyNode& child : children) {
      clients += child.clients;
      nodes += child.count;
      if (child.role == Role::kClient) { direct_clients += child.count; }
    }
    const std::string_view word = more ? " more" : "";
    std::string label;
    if (direct_clients == nodes) {
      label = fmt::format("\u2026 {}{} client{}", with_commas(nodes), word, nodes == 1 ? "" : "s");
    } else {
      const std::string_view what = direct_clients == 0 ? "aggregator" : "node";
      label = fmt::format("\u2026 {}{} {}{} \u00b7 {} client{}", with_commas(nodes), word, what, nodes == 1 ? "" : "s",
                          with_commas(clients), clients == 1 ? "" : "s");
    }
    const auto entry = static_cast<std::uint32_t>(children.data() - topology_.nodes().data());
    boxes_[add_line(parent_box, entry, children.front().first_node, nodes, std::move(label))].summary = true;
  }

  std::uint32_t add(std::uint32_t parent_box, std::uint32_t entry, NodeId first, std::uint32_t count,
                    std::string label) {
    Box box;
    box.label = std::move(label);
    box.first = first;
    box.count = count;
    box.entry = entry;
    box.parent = parent_box;
    box.column = boxes_[parent_box].column + 1;
    boxes_.push_back(std::move(box));
    return static_cast<std::uint32_t>(boxes_.size() - 1);
  }

  std::uint32_t add_line(std::uint32_t parent_box, std::uint32_t entry, NodeId first, std::uint32_t count,
                         std::string label) {
    const std::uint32_t box = add(parent_box, entry, first, count, std::move(label));
    boxes_[box].y = cursor_;
    cursor_ += 1.0;
    return box;
  }

  // A parent stands in the middle between its first and its last child.
  void place_inner_boxes() {
    std::vector<double> first(boxes_.size(), -1.0);
    std::vector<double> last(boxes_.size(), -1.0);
    for (std::size_t box = boxes_.size(); box-- > 0;) {
      if (last[box] >= 0.0) { boxes_[box].y = (first[box] + last[box]) / 2; }
      const std::uint32_t parent = boxes_[box].parent;
      if (box == 0) { break; }
      first[parent] = boxes_[box].y;
      if (last[parent] < 0.0) { last[parent] = boxes_[box].y; }
    }
  }

  const Topology& topology_;
  std::uint32_t rows_;
  std::vector<Box> boxes_;
  double cursor_ = 0.0;
};

}  // namespace

std::vector<Box> lay_out(const Topology& topology, std::uint32_t max_rows) {
  return Layout(topology, max_rows).run();
}

}  // namespace tributary::internal
