// SPDX-License-Identifier: Apache-2.0
// Several runs side by side: as a page and as text.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "report/run_data.hpp"
#include "tributary/base/terminal.hpp"

namespace tributary::cli {

struct Comparison {
  struct Row {
    std::string name;
    std::vector<std::string> values;  // one per run
    int best = -1;                    // index of the best run; none where that makes no sense
  };
  std::vector<std::string> names;  // of the runs, made unique
  std::vector<Row> results;
  std::vector<Row> settings;  // configuration keys in which the runs differ
  std::string note;           // what to know before comparing the results; may be empty
};

[[nodiscard]] Comparison compare(std::span<const RunData> runs);
[[nodiscard]] std::string comparison_text(const Comparison& comparison, const Paint& paint, bool utf8);
[[nodiscard]] std::string comparison_page(std::span<const RunData> runs, const Comparison& comparison);

}  // namespace tributary::cli
