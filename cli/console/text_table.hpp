// SPDX-License-Identifier: Apache-2.0
// Aligned columns for people. Machines get --json.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tributary/base/terminal.hpp"

namespace tributary::cli {

class TextTable {
 public:
  enum class Align : std::uint8_t { kLeft, kRight };
  struct Column {
    std::string title;
    Align align = Align::kLeft;
  };

  explicit TextTable(std::vector<Column> columns);

  // As many cells as columns. They are made printable here: what they hold may come from anywhere.
  void add(std::vector<std::string> cells);
  [[nodiscard]] bool empty() const noexcept { return rows_.empty(); }

  // Two spaces before each column; the last column is not padded.
  [[nodiscard]] std::string render(const Paint& paint, bool utf8 = true) const;

 private:
  std::vector<Column> columns_;
  std::vector<std::vector<std::string>> rows_;
};

}  // namespace tributary::cli
