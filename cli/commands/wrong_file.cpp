// SPDX-License-Identifier: Apache-2.0
#include "commands/wrong_file.hpp"

#include <fmt/format.h>

#include <array>
#include <fstream>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include "tributary/topology/read.hpp"

namespace tributary::cli {
namespace {

namespace fs = std::filesystem;

bool is_there(const fs::path& path) {
  std::error_code ignored;
  return fs::exists(path, ignored);
}

bool is_folder(const fs::path& path) {
  std::error_code ignored;
  return fs::is_directory(path, ignored);
}

// Keys at the left edge of a text in YAML or JSON that has mistakes.
bool has_nodes_alone(const fs::path& file) {
  std::ifstream input(file);
  bool has_nodes = false;
  for (std::string line; std::getline(input, line);) {
    if (line.starts_with("topology:")) { return false; }
    has_nodes = has_nodes || line.starts_with("nodes:");
  }
  return has_nodes;
}

// Whether it is a topology, if perhaps one with mistakes. Tables of data and plain texts have extensions of topologies
// too: only their content tells.
bool is_topology(const fs::path& file) {
  const Result<TopologyFormat> format = topology_format(file);
  if (!format.ok()) { return false; }
  if (read_topology(file, *format).ok()) { return true; }
  switch (*format) {
    case TopologyFormat::kMatrix:
      return false;
    case TopologyFormat::kYaml:
    case TopologyFormat::kJson:
      return has_nodes_alone(file);
    default:
      return file.extension() != ".txt";
  }
}

// By the end of a file's name: what it is, and what to do with it ({0} is the file, {1} its name alone).
constexpr std::string_view kTable =
    "a table of data, not a configuration: a configuration names it with `data: {{source: csv, train: {1}}}`";
constexpr std::string_view kScript =
    "a model, not a configuration: a configuration names it with `model: {{torchscript: {1}}}`";
constexpr std::array<std::pair<std::string_view, std::string_view>, 7> kOtherFiles{{
    {".csv", kTable},
    {".tsv", kTable},
    {".csv.gz", kTable},
    {".pt", kScript},
    {".pth", kScript},
    {".safetensors", "no configuration: `tributary inspect {0}` says what it holds"},
    {".jsonl", "no configuration but the records of a run: `tributary report {0}` shows them"},
}};

}  // namespace

Status check_is_no_other_file(const fs::path& given) {
  const std::string shown = given.string();
  if (!is_there(given)) { return ok_status(); }
  if (is_folder(given)) {
    if (is_there(given / "configuration.yaml")) {
      return invalid_argument(fmt::format(
          "{} is a run directory, not a configuration: `tributary run --resume {}` goes on with it, and its "
          "configuration is {}",
          shown, shown, (given / "configuration.yaml").string()));
    }
    return invalid_argument(fmt::format("{} is a directory, not a configuration: name a YAML file", shown));
  }
  if (is_topology(given)) {
    return configuration_error(
        fmt::format("{} is a topology, not a configuration: `tributary topology show {}` checks and draws it, and a "
                    "configuration names it with `topology: {{file: {}}}`",
                    shown, shown, given.filename().string()));
  }
  for (const auto& [ending, what] : kOtherFiles) {
    if (!shown.ends_with(ending)) { continue; }
    return configuration_error(
        fmt::format("{} is {}", shown, fmt::format(fmt::runtime(what), shown, given.filename().string())));
  }
  return ok_status();
}

Status check_is_run_directory(const fs::path& given, std::string_view asked) {
  const std::string shown = given.string();
  if (!is_there(given)) { return not_found(fmt::format("{}there is no run directory {}", asked, shown)); }
  if (!is_folder(given)) {
    const bool is_inside = given.has_parent_path() && is_there(given.parent_path() / "configuration.yaml");
    return invalid_argument(
        is_inside
            ? fmt::format("{}{} is a file of a run directory: name the directory, {}", asked, shown,
                          given.parent_path().string())
            : fmt::format("{}{} is a file, not a run directory; `tributary run {}` starts a run", asked, shown, shown));
  }
  if (!is_there(given / "configuration.yaml")) {
    return invalid_argument(fmt::format("{}{} holds no run: it has no configuration.yaml", asked, shown));
  }
  return ok_status();
}

}  // namespace tributary::cli
