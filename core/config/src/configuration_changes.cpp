// SPDX-License-Identifier: Apache-2.0
#include "config/configuration_changes.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <vector>

#include "base/reading.hpp"

namespace tributary::internal {
namespace {

// Sections and keys that may change while a run goes on; a tree of its own syntax is told as a whole.
constexpr std::array<std::string_view, 6> kFree{"name", "base_directory", "threads", "output", "checkpoint", "mpi"};
constexpr std::string_view kTree = "topology";

// The printed form has one key per line, indented by two spaces for each section around it.
std::map<std::string, std::string> values_by_key(const std::string& printed) {
  std::map<std::string, std::string> values;
  std::vector<std::string> sections;
  for (std::string_view rest = printed; !rest.empty();) {
    const std::string_view line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(rest.size(), line.size() + 1));
    const std::size_t indent = std::min(line.find_first_not_of(' '), line.size());
    const std::size_t colon = line.find(':');
    const std::string word(line.substr(indent, colon == std::string_view::npos ? colon : colon - indent));
    if (indent == 0 && colon != std::string_view::npos) { sections.clear(); }
    if (!sections.empty() && sections.front() == kTree) {
      values[std::string(kTree)] += line;
      continue;
    }
    if (colon == std::string_view::npos) { continue; }
    sections.resize(std::min(sections.size(), indent / 2));
    const bool is_section = colon + 1 == line.size();
    if (is_section) {
      sections.push_back(word);
    } else {
      std::string path;
      for (const std::string& section : sections) { path += section + "."; }
      values[path + word] = line.substr(std::min(line.size(), colon + 2));
    }
  }
  return values;
}

}  // namespace

std::string describe_changes(std::string_view before, const Configuration& now) {
  const Result<Configuration> earlier = parse_configuration(before, "configuration.yaml");
  // What is not a configuration may still be the printed form of one that a program has made.
  std::map<std::string, std::string> old_values =
      values_by_key(earlier.ok() ? print_configuration(*earlier) : std::string(before));
  std::map<std::string, std::string> new_values = values_by_key(print_configuration(now));
  // A key that stands on one side only is one whose section has changed with another key.
  old_values.insert(new_values.begin(), new_values.end());
  std::string changes;
  for (const auto& [key, value] : old_values) {
    const std::string_view top = std::string_view(key).substr(0, key.find('.'));
    const auto found = new_values.find(key);
    if (std::ranges::find(kFree, top) != kFree.end() || found == new_values.end() || found->second == value) {
      continue;
    }
    changes += changes.empty() ? "" : "; ";
    changes += key == kTree ? std::string(kTree)
                            : fmt::format("{} is {}, it was {}", key, printable(found->second), printable(value));
  }
  return changes;
}

}  // namespace tributary::internal
