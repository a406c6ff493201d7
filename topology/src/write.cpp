// SPDX-License-Identifier: Apache-2.0
#include "tributary/topology/write.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <fstream>
#include <iterator>
#include <map>
#include <system_error>
#include <vector>

#include "text.hpp"
#include "tributary/topology/svg.hpp"

namespace tributary {
namespace {

using internal::json_string;
using internal::yaml_scalar;

constexpr std::uint32_t kMatrixNodes = 4096;

// Sorted, so that equal topologies are written equally.
std::map<std::string_view, std::string_view> sorted(const std::unordered_map<std::string, std::string>& extra) {
  return {extra.begin(), extra.end()};
}

class YamlWriter {
 public:
  explicit YamlWriter(const Topology& topology) : topology_(topology) {}

  std::string run() {
    text_ = "schema: 1\nnodes:\n";
    write(topology_.node(0), 2);
    return std::move(text_);
  }

 private:
  // `indent` is that of the dash; keys stand two further.
  void write(const TopologyNode& node, std::size_t indent) {
    const std::size_t start = text_.size();
    const std::string margin(indent + 2, ' ');
    const auto key = [&](std::string_view name, std::string_view value) {
      text_ += margin;
      text_ += name;
      text_ += ": ";
      text_ += value;
      text_ += '\n';
    };
    const NodeAttributes& attributes = topology_.attributes(node);
    if (!node.name.empty()) { key("name", yaml_scalar(node.name)); }
    if (node.group) { key("count", std::to_string(node.count)); }
    if (!attributes.site.empty()) { key("site", yaml_scalar(attributes.site)); }
    if (!attributes.device.empty()) { key("device", attributes.device); }
    if (attributes.link != Link{}) { key("link", link(attributes.link)); }
    if (!attributes.transport.empty()) { key("transport", attributes.transport); }
    if (!attributes.address.empty()) { key("address", yaml_scalar(attributes.address)); }
    if (attributes.rank) { key("rank", std::to_string(*attributes.rank)); }
    if (!attributes.extra.empty()) {
      text_ += margin + "extra:\n";
      for (const auto& [name, value] : sorted(attributes.extra)) {
        text_ += fmt::format("{}  {}: {}\n", margin, yaml_scalar(name), yaml_scalar(value));
      }
    }
    if (node.child_entries > 0) {
      text_ += margin + "children:\n";
      for (const TopologyNode& child : topology_.children(node)) { write(child, indent + 4); }
    }
    if (text_.size() == start) {
      text_.append(indent, ' ') += "- {}\n";
    } else {
      text_[start + indent] = '-';
    }
  }

  static std::string link(const Link& link) {
    std::string text;
    if (link.bytes_per_second > 0.0) { text += "bandwidth: " + internal::format_rate(link.bytes_per_second); }
    if (link.latency.count() > 0) {
      text += fmt::format("{}latency: {}", text.empty() ? "" : ", ", internal::format_duration(link.latency));
    }
    return fmt::format("{{{}}}", text);
  }

  const Topology& topology_;
  std::string text_;
};

class JsonWriter {
 public:
  explicit JsonWriter(const Topology& topology) : topology_(topology) {}

  std::string run() {
    text_ = "{\n  \"schema\": 1,\n  \"nodes\": [\n";
    write(topology_.node(0), 4);
    text_ += "\n  ]\n}\n";
    return std::move(text_);
  }

 private:
  void write(const TopologyNode& node, std::size_t indent) {
    text_.append(indent, ' ') += '{';
    bool first = true;
    const auto key = [&](std::string_view name, std::string_view value) {
      if (!first) { text_ += ", "; }
      first = false;
      text_ += '"';
      text_ += name;
      text_ += "\": ";
      text_ += value;
    };
    const NodeAttributes& attributes = topology_.attributes(node);
    if (!node.name.empty()) { key("name", json_string(node.name)); }
    if (node.group) { key("count", std::to_string(node.count)); }
    if (!attributes.site.empty()) { key("site", json_string(attributes.site)); }
    if (!attributes.device.empty()) { key("device", json_string(attributes.device)); }
    if (attributes.link != Link{}) { key("link", link(attributes.link)); }
    if (!attributes.transport.empty()) { key("transport", json_string(attributes.transport)); }
    if (!attributes.address.empty()) { key("address", json_string(attributes.address)); }
    if (attributes.rank) { key("rank", std::to_string(*attributes.rank)); }
    if (!attributes.extra.empty()) { key("extra", extra(attributes.extra)); }
    if (node.child_entries > 0) {
      key("children", "[\n");
      bool first_child = true;
      for (const TopologyNode& child : topology_.children(node)) {
        if (!first_child) { text_ += ",\n"; }
        first_child = false;
        write(child, indent + 2);
      }
      text_ += '\n';
      text_.append(indent, ' ') += ']';
    }
    text_ += '}';
  }

  static std::string link(const Link& link) {
    std::string text;
    if (link.bytes_per_second > 0.0) {
      text += fmt::format(R"("bandwidth": "{}")", internal::format_rate(link.bytes_per_second));
    }
    if (link.latency.count() > 0) {
      text += fmt::format(R"({}"latency": "{}")", text.empty() ? "" : ", ", internal::format_duration(link.latency));
    }
    return fmt::format("{{{}}}", text);
  }

  static std::string extra(const std::unordered_map<std::string, std::string>& entries) {
    std::string text;
    for (const auto& [name, value] : sorted(entries)) {
      text += fmt::format("{}{}: {}", text.empty() ? "" : ", ", json_string(name), json_string(value));
    }
    return fmt::format("{{{}}}", text);
  }

  const Topology& topology_;
  std::string text_;
};

std::string dot_label(const Topology& topology, const TopologyNode& node) {
  std::string label = topology.label(node);
  if (node.count > 1) { label += fmt::format(" ({} clients)", internal::with_commas(node.count)); }
  return label;
}

}  // namespace

std::string to_yaml(const Topology& topology) {
  return YamlWriter(topology).run();
}
std::string to_json(const Topology& topology) {
  return JsonWriter(topology).run();
}

std::string to_dot(const Topology& topology) {
  std::string text =
      "digraph topology {\n  rankdir=LR;\n  node [shape=box, style=\"rounded,filled\", fontname=\"Helvetica\"];\n";
  auto out = std::back_inserter(text);
  for (std::size_t entry = 0; entry < topology.nodes().size(); ++entry) {
    const TopologyNode& node = topology.nodes()[entry];
    const NodeAttributes& attributes = topology.attributes(node);
    const std::string_view color = node.role == Role::kRoot         ? "#e0e7ff"
                                   : node.role == Role::kAggregator ? "#ccfbf1"
                                                                    : "#fef3c7";
    fmt::format_to(out, "  n{} [label={}, fillcolor=\"{}\", kind={}", entry, json_string(dot_label(topology, node)),
                   color, to_string(node.role));
    if (node.group) { fmt::format_to(out, ", count={}, peripheries=2", node.count); }
    if (!attributes.site.empty()) { fmt::format_to(out, ", site={}", json_string(attributes.site)); }
    if (!attributes.device.empty()) { fmt::format_to(out, ", device={}", json_string(attributes.device)); }
    if (!attributes.transport.empty()) { fmt::format_to(out, ", transport={}", json_string(attributes.transport)); }
    if (!attributes.address.empty()) { fmt::format_to(out, ", address={}", json_string(attributes.address)); }
    // Graphviz has a "rank" of its own.
    if (attributes.rank) { fmt::format_to(out, ", mpi_rank={}", *attributes.rank); }
    text += "];\n";
    if (entry == 0) { continue; }
    fmt::format_to(out, "  n{} -> n{}", node.parent, entry);
    if (attributes.link.bytes_per_second > 0.0) {
      fmt::format_to(out, " [label={}]", json_string(internal::format_rate(attributes.link.bytes_per_second)));
    }
    text += ";\n";
  }
  return text + "}\n";
}

std::string to_edges(const Topology& topology) {
  std::string text = "# parent child\n";
  auto out = std::back_inserter(text);
  for (const TopologyNode& node : topology.nodes().subspan(1)) {
    const std::string parent = topology.name(topology.node(node.parent).first_node);
    for (std::uint32_t member = 0; member < node.count; ++member) {
      fmt::format_to(out, "{} {}\n", parent, topology.name(NodeId{node.first_node.value + member}));
    }
  }
  return text;
}

Result<std::string> to_matrix(const Topology& topology) {
  const std::uint32_t size = topology.size();
  if (size > kMatrixNodes) {
    return invalid_argument(
        fmt::format("a matrix of {} nodes is too large, at most {} can be written; an edge list has no "
                    "such limit",
                    internal::with_commas(size), internal::with_commas(kMatrixNodes)));
  }
  std::string text;
  text.reserve(std::size_t{size} * (2 * size + 12));
  for (std::uint32_t id = 0; id < size; ++id) {
    if (id > 0) { text += ','; }
    text += topology.name(NodeId{id});
  }
  text += '\n';
  for (std::uint32_t row = 0; row < size; ++row) {
    const TopologyNode& parent = topology.entry_of(NodeId{row});
    const std::uint32_t first = parent.child_entries == 0 ? size : topology.node(parent.first_child).first_node.value;
    for (std::uint32_t column = 0; column < size; ++column) {
      const bool child = column >= first && column - first < parent.children;
      text += column == 0 ? "" : ",";
      text += child ? '1' : '0';
    }
    text += '\n';
  }
  return text;
}

Result<std::string> format_topology(const Topology& topology, TopologyFormat format) {
  switch (format) {
    case TopologyFormat::kYaml:
      return to_yaml(topology);
    case TopologyFormat::kJson:
      return to_json(topology);
    case TopologyFormat::kEdges:
      return to_edges(topology);
    case TopologyFormat::kMatrix:
      return to_matrix(topology);
    case TopologyFormat::kDot:
      return to_dot(topology);
    case TopologyFormat::kSvg:
      return svg(topology);
  }
  return internal_error("an unknown topology format");
}

Status write_topology(const Topology& topology, const std::filesystem::path& file,
                      std::optional<TopologyFormat> format) {
  if (!format) { TRIBUTARY_ASSIGN_OR_RETURN(format, topology_format(file)); }
  TRIBUTARY_ASSIGN_OR_RETURN(const std::string text, format_topology(topology, *format));
  std::filesystem::path beside = file;
  beside += ".part";
  std::error_code error;
  {
    std::ofstream output(beside, std::ios::binary | std::ios::trunc);
    output.write(text.data(), static_cast<std::streamsize>(text.size()));
    output.close();
    if (!output) { error = std::error_code(errno, std::generic_category()); }
  }
  if (!error) { std::filesystem::rename(beside, file, error); }
  if (!error) { return ok_status(); }
  std::error_code ignored;
  std::filesystem::remove(beside, ignored);
  return io_error(fmt::format("cannot write the topology file {}: {}", file.string(), error.message()));
}

}  // namespace tributary
