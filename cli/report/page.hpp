// SPDX-License-Identifier: Apache-2.0
// The frame of every report: a self-contained HTML page, light and dark, on screen and on paper. It loads nothing and
// runs no script; its own Content-Security-Policy says so.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace tributary::cli {

// For text and for attribute values.
[[nodiscard]] std::string escape_html(std::string_view text);

// Number of categorical colours: classes c0 .. c7.
inline constexpr std::size_t kColors = 8;

class Page {
 public:
  explicit Page(std::string_view title);

  // Markup, not text.
  Page& operator<<(std::string_view markup) {
    body_ += markup;
    return *this;
  }
  void open_section(std::string_view title, std::string_view note = {});
  void close_section() { body_ += "</section>\n"; }
  // A heading with its chart or table inside a card.
  void card(std::string_view title, std::string_view markup, std::string_view note = {});

  struct Tile {
    std::string label;
    std::string value;
    std::string detail;
  };
  void tiles(const std::vector<Tile>& tiles);

  // Cells are markup.
  struct Table {
    std::vector<std::string> titles;
    std::vector<bool> numeric;
    std::vector<std::vector<std::string>> rows;
  };
  static std::string table(const Table& table);
  static std::string folded(std::string_view title, std::string_view markup);

  [[nodiscard]] std::string finish(std::string_view footer) const;

 private:
  std::string title_;
  std::string body_;
};

}  // namespace tributary::cli
