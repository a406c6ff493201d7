// SPDX-License-Identifier: Apache-2.0
#include "console/text_table.hpp"

#include <algorithm>

#include "tributary/base/human.hpp"
#include "tributary/base/printable.hpp"

namespace tributary::cli {

TextTable::TextTable(std::vector<Column> columns) : columns_(std::move(columns)) {
  for (Column& column : columns_) { column.title = printable_text(column.title); }
}

void TextTable::add(std::vector<std::string> cells) {
  for (std::string& cell : cells) { cell = printable_text(cell); }
  rows_.push_back(std::move(cells));
}

std::string TextTable::render(const Paint& paint, bool utf8) const {
  std::vector<std::size_t> widths;
  for (std::size_t i = 0; i < columns_.size(); ++i) {
    std::size_t width = display_width(columns_[i].title);
    for (const auto& row : rows_) { width = std::max(width, display_width(row.at(i))); }
    widths.push_back(width);
  }
  const auto line = [&](const auto& cell_of) {
    std::string text;
    for (std::size_t i = 0; i < columns_.size(); ++i) {
      const std::string& cell = cell_of(i);
      text += "  ";
      if (columns_[i].align == Align::kRight) {
        text += pad_left(cell, widths[i]);
      } else {
        text += i + 1 == columns_.size() ? cell : pad_right(cell, widths[i]);
      }
    }
    return text;
  };
  std::string out = paint.bold(line([this](std::size_t i) -> const std::string& { return columns_[i].title; })) + "\n";
  std::string rule;
  for (const std::size_t width : widths) {
    rule += "  ";
    for (std::size_t i = 0; i < width; ++i) { rule += utf8 ? "─" : "-"; }
  }
  out += paint.dim(rule) + "\n";
  for (const auto& row : rows_) {
    out += line([&row](std::size_t i) -> const std::string& { return row[i]; }) + "\n";
  }
  return out;
}

}  // namespace tributary::cli
