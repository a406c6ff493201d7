// SPDX-License-Identifier: Apache-2.0
#include "tributary/topology/errors.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <tuple>
#include <utility>

#include "issues.hpp"

namespace tributary {
namespace {

constexpr std::size_t kShownIssues = 100;

constexpr std::array<std::string_view, 17> kErrorNames{
    "syntax",          "unknown_key",    "duplicate_key",   "bad_value",
    "empty_name",      "bad_name",       "duplicate_name",  "unknown_parent",
    "several_parents", "duplicate_edge", "no_root",         "several_roots",
    "cycle",           "unreachable",    "leaf_not_client", "client_with_children",
    "too_large"};

}  // namespace

std::string_view to_string(TopologyError error) noexcept {
  return kErrorNames.at(static_cast<std::size_t>(error));
}

std::string TopologyIssue::to_string() const {
  if (file.empty() && line == 0) { return message; }
  if (line == 0) { return fmt::format("{}: {}", file, message); }
  return fmt::format("{}:{}:{}: {}", file, line, column, message);
}

namespace internal {

void IssueList::add(TopologyError error, Place place, std::string message) {
  if (found_.issues.size() >= kShownIssues) {
    ++found_.not_shown;
    return;
  }
  if (place.line != 0) { place.line += line_offset_; }
  found_.issues.push_back({error, file_, place.line, place.column, std::move(message)});
}

std::string IssueList::at(Place place) const {
  return place.line == 0 ? std::string{} : fmt::format(" (line {})", place.line + line_offset_);
}

Status IssueList::to_status(TopologyIssues* issues) {
  std::stable_sort(found_.issues.begin(), found_.issues.end(), [](const TopologyIssue& a, const TopologyIssue& b) {
    return std::tie(a.line, a.column) < std::tie(b.line, b.column);
  });
  std::string text;
  for (const TopologyIssue& issue : found_.issues) {
    if (!text.empty()) { text += '\n'; }
    text += issue.to_string();
  }
  if (found_.not_shown > 0) { text += fmt::format("\nand {} more mistakes", found_.not_shown); }
  if (issues != nullptr) { *issues = std::move(found_); }
  return configuration_error(std::move(text));
}

}  // namespace internal
}  // namespace tributary
