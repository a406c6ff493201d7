// SPDX-License-Identifier: Apache-2.0
#include "report/tree_drawing.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <optional>
#include <unordered_map>

#include "tributary/base/human.hpp"
#include "tributary/nodes/tree.hpp"
#include "tributary/topology/read.hpp"
#include "tributary/topology/svg.hpp"

namespace tributary::cli {
namespace {

struct Edge {
  std::uint32_t parent = 0;
  std::string name;
  double down = 0.0;
  double up = 0.0;
  double messages = 0.0;
};

constexpr std::uint32_t kMaxNodes = 1U << 20U;

std::optional<std::uint32_t> node_number(const Record& record, std::string_view field) {
  const double number = record.number(field, -1.0);
  if (number < 0 || number >= kMaxNodes) { return std::nullopt; }
  return static_cast<std::uint32_t>(number);
}

std::map<std::uint32_t, Edge> edges_of(const RunData& data) {
  std::map<std::uint32_t, Edge> edges;
  for (const Record& record : data.edges) {
    const auto child = node_number(record, "child");
    const auto parent = node_number(record, "parent");
    if (!child || !parent) { return {}; }
    edges[*child] = {*parent, std::string(record.text("child_name")), record.number("bytes_down"),
                     record.number("bytes_up"), record.number("messages")};
  }
  return edges;
}

// Node numbers are breadth first, so counting children is all that it takes.
std::optional<Topology> topology_from(const std::map<std::uint32_t, Edge>& edges) {
  if (edges.empty() || edges.begin()->first != 1 || edges.rbegin()->first != edges.size()) { return std::nullopt; }
  Tree::Builder builder;
  builder.child_counts.assign(edges.size() + 1, 0);
  for (const auto& [child, edge] : edges) {
    if (edge.parent >= child) { return std::nullopt; }
    ++builder.child_counts[edge.parent];
    if (!edge.name.empty()) { builder.attributes[child].name = edge.name; }
  }
  Result<Tree> tree = Tree::create(std::move(builder));
  if (!tree.ok()) { return std::nullopt; }
  return Topology::from_tree(*tree);
}

}  // namespace

std::string tree_drawing(const RunData& data) {
  const std::map<std::uint32_t, Edge> edges = edges_of(data);
  std::optional<Topology> topology = topology_from(edges);
  if (!topology && !data.topology.empty()) {
    Result<Topology> read = parse_topology(data.topology, TopologyFormat::kYaml, "topology.yaml");
    if (read.ok()) { topology = std::move(read).value(); }
  }
  if (!topology) { return {}; }

  double largest = 1.0;
  for (const auto& [child, edge] : edges) { largest = std::max(largest, edge.down + edge.up); }
  SvgOptions options;
  options.background = false;
  options.max_rows = 40;
  options.edge = [&edges, largest](NodeId first, std::uint32_t count) {
    Edge sum;
    for (std::uint32_t node = first.value; node < first.value + count; ++node) {
      const auto place = edges.find(node);
      if (place == edges.end()) { return EdgeStyle{}; }
      sum.name = place->second.name;
      sum.down += place->second.down;
      sum.up += place->second.up;
      sum.messages += place->second.messages;
    }
    const double each = (sum.down + sum.up) / count;
    EdgeStyle style;
    style.width = 1.0 + 4.0 * std::sqrt(each / largest);
    style.color = each > 0 ? "color-mix(in srgb, var(--accent) 60%, var(--card))" : "";
    style.label = human_bytes(sum.down + sum.up);
    style.tooltip = fmt::format("{}: {} down, {} up, {} messages", count == 1 ? sum.name : human_plural(count, "node"),
                                human_bytes(sum.down), human_bytes(sum.up), human_count(saturated_count(sum.messages)));
    return style;
  };
  return svg(*topology, options);
}

}  // namespace tributary::cli
