// SPDX-License-Identifier: Apache-2.0
// Collects the mistakes of one reading.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "tributary/base/status.hpp"
#include "tributary/topology/errors.hpp"

namespace tributary::internal {

// Lines and columns from 1; 0 is "nowhere".
struct Place {
  std::uint32_t line = 0;
  std::uint32_t column = 0;
};

class IssueList {
 public:
  explicit IssueList(std::string_view file = {}, std::uint32_t first_line = 1)
      : file_(file), line_offset_(first_line == 0 ? 0 : first_line - 1) {}

  void add(TopologyError error, Place place, std::string message);
  [[nodiscard]] bool empty() const noexcept { return found_.issues.empty(); }

  // " (line 7)", or nothing for a place that is not known.
  [[nodiscard]] std::string at(Place place) const;

  // Sorted by place; to `issues` too, if not null.
  [[nodiscard]] Status to_status(TopologyIssues* issues);

 private:
  std::string file_;
  std::uint32_t line_offset_;
  TopologyIssues found_;
};

}  // namespace tributary::internal
