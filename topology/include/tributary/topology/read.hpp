// SPDX-License-Identifier: Apache-2.0
// Topologies from text: YAML, JSON, edge lists and adjacency matrices. docs/topology.md describes the formats.
//
// Errors:  kConfiguration when the topology is wrong, with every mistake as "file:line:column: what is wrong", one per
//          line, in the order of the file, and with the nearest known word where one is close. kNotFound and kIo when
//          the file cannot be read. Nothing in a file can do more than cause such an error; sizes are checked against
//          TopologyLimits before memory is taken.
// Threads: functions of their arguments only.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "tributary/base/status.hpp"
#include "tributary/topology/topology.hpp"

namespace tributary {

struct Configuration;

enum class TopologyFormat : std::uint8_t {
  kYaml,    // .yaml .yml
  kJson,    // .json
  kEdges,   // .edges .edgelist .txt: "parent child" per line; a matrix of zeros and ones is taken for one
  kMatrix,  // .csv: 1 at row i, column j: i is the parent of j
  kDot,     // .dot .gv: only written
  kSvg,     // .svg: only written
};

[[nodiscard]] std::string_view to_string(TopologyFormat format) noexcept;

// By the extension of a file name. kInvalidArgument for others, with the known ones in the message.
Result<TopologyFormat> topology_format(const std::filesystem::path& file);
// By name: "yaml", "json", "edges", "matrix", "dot", "svg".
Result<TopologyFormat> parse_topology_format(std::string_view name);

// Without `format`, the extension decides.
Result<Topology> read_topology(const std::filesystem::path& file, std::optional<TopologyFormat> format = std::nullopt,
                               TopologyIssues* issues = nullptr);

// `name` stands for the file in messages; `first_line` is the number of the first line of `text` in it.
Result<Topology> parse_topology(std::string_view text, TopologyFormat format, std::string_view name,
                                TopologyIssues* issues = nullptr, std::uint32_t first_line = 1);

// What `topology:` of a configuration asks for: a file, a generator or the nodes written there.
Result<Topology> build_topology(const Configuration& configuration, TopologyIssues* issues = nullptr);

}  // namespace tributary
