// SPDX-License-Identifier: Apache-2.0
#include "tributary/topology/read.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <fstream>
#include <new>
#include <system_error>
#include <utility>

#include "document.hpp"
#include "issues.hpp"
#include "readers.hpp"
#include "text.hpp"
#include "tributary/config/configuration.hpp"
#include "tributary/topology/generate.hpp"

namespace tributary {
namespace {

constexpr std::array<std::string_view, 6> kFormatNames{"yaml", "json", "edges", "matrix", "dot", "svg"};
constexpr std::array<std::pair<std::string_view, TopologyFormat>, 10> kExtensions{{
    {".yaml", TopologyFormat::kYaml},
    {".yml", TopologyFormat::kYaml},
    {".json", TopologyFormat::kJson},
    {".edges", TopologyFormat::kEdges},
    {".edgelist", TopologyFormat::kEdges},
    {".txt", TopologyFormat::kEdges},
    {".csv", TopologyFormat::kMatrix},
    {".dot", TopologyFormat::kDot},
    {".gv", TopologyFormat::kDot},
    {".svg", TopologyFormat::kSvg},
}};

bool is_readable(TopologyFormat format) noexcept {
  return format != TopologyFormat::kDot && format != TopologyFormat::kSvg;
}

Status not_readable(std::string_view name, TopologyFormat format) {
  return unsupported(
      fmt::format("{}: {} is only written, not read; topologies are read from .yaml, .json, .edges and .csv", name,
                  to_string(format)));
}

std::string too_many_bytes(std::uint64_t bytes) {
  return fmt::format("the file has {} bytes; at most {} are read", internal::with_commas(bytes),
                     internal::with_commas(TopologyLimits::kFileBytes));
}

Result<std::string> read_bytes(const std::filesystem::path& file) {
  std::error_code error;
  if (std::filesystem::is_directory(file, error)) {
    return io_error(fmt::format("{} is a directory, not a topology file", file.string()));
  }
  std::ifstream input(file, std::ios::binary);
  if (!input) {
    const std::string reason = std::generic_category().message(errno);
    const bool missing = !std::filesystem::exists(file, error);
    if (missing) { return not_found(fmt::format("there is no topology file {}", file.string())); }
    return io_error(fmt::format("cannot read the topology file {}: {}", file.string(), reason));
  }
  // Reads in steps, as pipes and devices have no size to ask for; one byte beyond the limit shows that there is more.
  std::string text;
  std::array<char, 65536> step{};
  while (text.size() <= TopologyLimits::kFileBytes && input) {
    input.read(step.data(), step.size());
    text.append(step.data(), static_cast<std::size_t>(input.gcount()));
  }
  if (input.bad()) { return io_error(fmt::format("cannot read the topology file {}", file.string())); }
  return text;
}

Result<Topology> read_text(std::string_view text, TopologyFormat format, std::string_view name, TopologyIssues* issues,
                           std::uint32_t first_line) {
  if (!is_readable(format)) { return not_readable(name, format); }
  internal::IssueList found(name, first_line);
  if (text.size() > TopologyLimits::kFileBytes) {
    found.add(TopologyError::kTooLarge, {}, too_many_bytes(text.size()));
    return found.to_status(issues);
  }
  internal::RawTopology raw;
  switch (format) {
    case TopologyFormat::kEdges:
      raw = internal::is_matrix(text) ? internal::read_matrix(text, found) : internal::read_edges(text, found);
      break;
    case TopologyFormat::kMatrix:
      raw = internal::read_matrix(text, found);
      break;
    default: {
      const auto document = format == TopologyFormat::kJson ? internal::Document::parse_json(text, found)
                                                            : internal::Document::parse_yaml(text, found);
      if (!document) { return found.to_status(issues); }
      raw = internal::read_document(*document, found);
    }
  }
  const bool has_nodes = !raw.nodes.empty();
  if (!has_nodes && !found.empty()) { return found.to_status(issues); }
  std::optional<Topology> topology = internal::TopologyAssembler::assemble(std::move(raw), found);
  if (!topology) { return found.to_status(issues); }
  return std::move(*topology);
}

}  // namespace

std::string_view to_string(TopologyFormat format) noexcept {
  return kFormatNames.at(static_cast<std::size_t>(format));
}

Result<TopologyFormat> topology_format(const std::filesystem::path& file) {
  const std::string extension = file.extension().string();
  for (const auto& [known, format] : kExtensions) {
    if (known == extension) { return format; }
  }
  return invalid_argument(
      fmt::format("{}: unknown topology format {}; known are .yaml, .yml, .json, .edges, .edgelist, .txt, .csv, "
                  ".dot, .gv and .svg",
                  file.string(), internal::quoted(extension)));
}

Result<TopologyFormat> parse_topology_format(std::string_view name) {
  const auto* const found = std::find(kFormatNames.begin(), kFormatNames.end(), name);
  if (found != kFormatNames.end()) { return static_cast<TopologyFormat>(found - kFormatNames.begin()); }
  return invalid_argument(fmt::format("a topology format must be {}, got {}{}", internal::one_of(kFormatNames),
                                      internal::quoted(name), internal::did_you_mean(name, kFormatNames)));
}

Result<Topology> parse_topology(std::string_view text, TopologyFormat format, std::string_view name,
                                TopologyIssues* issues, std::uint32_t first_line) {
  try {
    return read_text(text, format, name, issues, first_line);
  } catch (const std::bad_alloc&) {
    return Status(Code::kResourceExhausted, fmt::format("{}: not enough memory for this topology", name));
  }
}

Result<Topology> read_topology(const std::filesystem::path& file, std::optional<TopologyFormat> format,
                               TopologyIssues* issues) {
  if (!format) { TRIBUTARY_ASSIGN_OR_RETURN(format, topology_format(file)); }
  if (!is_readable(*format)) { return not_readable(file.string(), *format); }
  TRIBUTARY_ASSIGN_OR_RETURN(const std::string text, read_bytes(file));
  return parse_topology(text, *format, file.string(), issues);
}

Result<Topology> build_topology(const Configuration& configuration, TopologyIssues* issues) {
  const TopologyConfig& wanted = configuration.topology;
  const auto in = [](std::string_view key, Result<Topology> result) -> Result<Topology> {
    return result.ok() ? std::move(result) : configuration_error(fmt::format("{}: {}", key, result.status().message()));
  };
  switch (wanted.kind) {
    case TopologyConfig::Kind::kFile:
      return read_topology(configuration.resolve(wanted.file), std::nullopt, issues);
    case TopologyConfig::Kind::kInline:
      return parse_topology(wanted.inline_nodes, TopologyFormat::kYaml, "topology.nodes", issues,
                            static_cast<std::uint32_t>(std::max(wanted.inline_line, 1)));
    case TopologyConfig::Kind::kStar:
      return in("topology.star", star_topology(wanted.clients));
    case TopologyConfig::Kind::kWidths:
      return in("topology.widths", widths_topology(wanted.widths));
    case TopologyConfig::Kind::kBalanced:
      return in("topology", balanced_topology(wanted.branching, wanted.height));
    case TopologyConfig::Kind::kBalancedLeaves:
      return in("topology", balanced_leaves_topology(wanted.branching, wanted.clients));
    case TopologyConfig::Kind::kSites: {
      std::vector<SiteClients> all;
      for (const TopologyConfig::Site& site : wanted.sites) { all.push_back({site.name, site.clients}); }
      return in("topology.sites", sites_topology(all));
    }
  }
  return internal_error("an unknown kind of topology");
}

}  // namespace tributary
