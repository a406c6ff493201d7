// SPDX-License-Identifier: Apache-2.0
// Topologies as text. docs/topology.md describes the formats.
//
// YAML and JSON: nested, groups stay groups; reading them back gives an equal Topology.
// Edge list and matrix: one line or row per node, groups expanded, names only: attributes are not part of these
// formats. DOT and SVG: to look at; see svg.hpp for options. Threads: functions of their arguments only.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "tributary/base/status.hpp"
#include "tributary/topology/read.hpp"
#include "tributary/topology/topology.hpp"

namespace tributary {

[[nodiscard]] std::string to_yaml(const Topology& topology);
[[nodiscard]] std::string to_json(const Topology& topology);
[[nodiscard]] std::string to_dot(const Topology& topology);
[[nodiscard]] std::string to_edges(const Topology& topology);
// kInvalidArgument above 4,096 nodes: the matrix would have more than 16 million cells.
Result<std::string> to_matrix(const Topology& topology);

Result<std::string> format_topology(const Topology& topology, TopologyFormat format);

// Replaces the file as a whole. Without `format`, the extension decides. kIo when the system refuses.
Status write_topology(const Topology& topology, const std::filesystem::path& file,
                      std::optional<TopologyFormat> format = std::nullopt);

}  // namespace tributary
