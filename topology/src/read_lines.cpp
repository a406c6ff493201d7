// SPDX-License-Identifier: Apache-2.0
// Formats of lines: edge lists and adjacency matrices.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <optional>
#include <string>
#include <unordered_map>

#include "readers.hpp"
#include "text.hpp"

namespace tributary::internal {
namespace {

// Calls `use(line without its end, number)`.
template <typename F>
void for_each_line(std::string_view text, F&& use) {
  std::uint32_t number = 1;
  if (text.substr(0, 3) == "\xEF\xBB\xBF") { text.remove_prefix(3); }
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    if (!line.empty() && line.back() == '\r') { line.remove_suffix(1); }
    use(line, number++);
    text.remove_prefix(std::min(end + 1, text.size()));
  }
}

struct Word {
  std::string_view text;
  Place place;
};

bool is_space(char c) noexcept {
  return c == ' ' || c == '\t';
}

// Words between spaces, tabs and `other`.
void split_words(std::string_view line, std::uint32_t number, char other, std::vector<Word>& words) {
  words.clear();
  const auto separates = [other](char c) { return is_space(c) || c == other; };
  line = line.substr(0, line.find('#'));
  for (std::size_t i = 0; i < line.size();) {
    if (separates(line[i])) {
      ++i;
      continue;
    }
    const std::size_t start = i;
    while (i < line.size() && !separates(line[i])) { ++i; }
    words.push_back({line.substr(start, i - start), {number, static_cast<std::uint32_t>(start + 1)}});
  }
}

// Cells between commas or semicolons, which may be empty; without any, words between spaces.
void split_cells(std::string_view line, std::uint32_t number, std::vector<Word>& cells) {
  cells.clear();
  const std::size_t first = line.find_first_of(",;");
  if (first == std::string_view::npos) {
    split_words(line, number, ' ', cells);
    return;
  }
  const char delimiter = line[first];
  std::size_t start = 0;
  while (start <= line.size()) {
    const std::size_t end = std::min(line.find(delimiter, start), line.size());
    std::size_t from = start;
    std::size_t to = end;
    while (from < to && is_space(line[from])) { ++from; }
    while (to > from && is_space(line[to - 1])) { --to; }
    cells.push_back({line.substr(from, to - from), {number, static_cast<std::uint32_t>(from + 1)}});
    start = end + 1;
  }
}

// 0 or 1, in whatever way programs write numbers: 1, 1.0, 1.000000000000000000e+00.
std::optional<bool> entry(std::string_view cell) noexcept {
  double value = 0.0;
  const auto [end, error] = std::from_chars(cell.data(), cell.data() + cell.size(), value);
  if (error != std::errc{} || end != cell.data() + cell.size() || (value != 0.0 && value != 1.0)) {
    return std::nullopt;
  }
  return value == 1.0;
}

bool is_number(std::string_view word) noexcept {
  double value = 0.0;
  const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), value);
  return error == std::errc{} && end == word.data() + word.size();
}

bool all_entries(const std::vector<Word>& cells) {
  return std::all_of(cells.begin(), cells.end(), [](const Word& cell) { return entry(cell.text).has_value(); });
}

// Names. A line of numbers with a point or an exponent is none, but a row of a matrix with weights.
bool is_header(const std::vector<Word>& cells) {
  if (all_entries(cells)) { return false; }
  const bool numbers = std::all_of(cells.begin(), cells.end(), [](const Word& cell) { return is_number(cell.text); });
  return !numbers || std::none_of(cells.begin(), cells.end(), [](const Word& cell) {
    return cell.text.find_first_of(".eE") != std::string_view::npos;
  });
}

// A header of names, with or without an empty first cell above names of rows; or none, and default names.
class MatrixReader {
 public:
  explicit MatrixReader(IssueList& issues) : issues_(issues) {}

  RawTopology run(std::string_view text) {
    for_each_line(text, [&](std::string_view line, std::uint32_t number) {
      const std::size_t used = line.find_first_not_of(" \t");
      if (used == std::string_view::npos || line[used] == '#') { return; }
      split_cells(line, number, cells_);
      const bool first_line = !started_;
      started_ = true;
      if (first_line && is_header(cells_)) {
        read_header();
      } else {
        if (first_line) { raw_.nodes.resize(cells_.size()); }
        read_row(number);
      }
    });
    if (started_ && rows_ != raw_.nodes.size() && issues_.empty()) {
      issues_.add(TopologyError::kSyntax, {},
                  fmt::format("a matrix of {} columns needs as many rows, got {}", raw_.nodes.size(), rows_));
    }
    return std::move(raw_);
  }

 private:
  void read_header() {
    row_names_ = cells_.front().text.empty();
    for (std::size_t i = row_names_ ? 1 : 0; i < cells_.size(); ++i) {
      RawNode& node = raw_.nodes.emplace_back();
      node.name = cells_[i].text;
      node.place = cells_[i].place;
      if (node.name.empty()) {
        issues_.add(TopologyError::kEmptyName, node.place, fmt::format("column {} of the header has no name", i + 1));
      }
    }
  }

  void read_row(std::uint32_t number) {
    const std::size_t columns = raw_.nodes.size();
    const std::size_t row = rows_++;
    if (row >= columns) {
      if (row == columns) {
        issues_.add(TopologyError::kSyntax, {number, 1},
                    fmt::format("a matrix of {} columns has {} rows, got one more", columns, columns));
      }
      return;
    }
    RawNode& parent = raw_.nodes[row];
    if (parent.place.line == 0) { parent.place = {number, 1}; }
    const std::size_t skipped = row_names_ ? 1 : 0;
    if (row_names_ && cells_.front().text != parent.name) {
      issues_.add(TopologyError::kBadValue, cells_.front().place,
                  fmt::format("row {} must have the name of column {}, {}, got {}", row + 1, row + 1,
                              quoted(parent.name), quoted(cells_.front().text)));
    }
    if (cells_.size() != columns + skipped) {
      issues_.add(TopologyError::kSyntax, {number, 1},
                  fmt::format("row {} has {} entries, but the matrix has {} columns", row + 1, cells_.size() - skipped,
                              columns));
      return;
    }
    for (std::size_t column = 0; column < columns; ++column) {
      const Word& cell = cells_[column + skipped];
      const std::optional<bool> is_parent = entry(cell.text);
      if (is_parent == true) {
        raw_.edges.push_back({static_cast<std::uint32_t>(row), static_cast<std::uint32_t>(column), cell.place});
      } else if (!is_parent) {
        issues_.add(TopologyError::kBadValue, cell.place,
                    fmt::format("row {}, column {} must be 0 or 1, got {}", row + 1, column + 1, quoted(cell.text)));
      }
    }
  }

  IssueList& issues_;
  RawTopology raw_;
  std::vector<Word> cells_;
  std::size_t rows_ = 0;
  bool started_ = false;
  bool row_names_ = false;
};

}  // namespace

RawTopology read_edges(std::string_view text, IssueList& issues) {
  RawTopology raw;
  std::unordered_map<std::string_view, std::uint32_t> known;
  std::vector<Word> words;
  const auto node_of = [&](const Word& word) {
    const auto [found, is_new] = known.try_emplace(word.text, static_cast<std::uint32_t>(raw.nodes.size()));
    if (is_new) {
      RawNode& node = raw.nodes.emplace_back();
      node.name = word.text;
      node.place = word.place;
    }
    return found->second;
  };
  for_each_line(text, [&](std::string_view line, std::uint32_t number) {
    line = line.substr(0, line.find('#'));
    // networkx writes the attributes of an edge behind it, as a map that is empty or not.
    const std::size_t brace = line.find('{');
    std::string_view attributes = brace == std::string_view::npos ? std::string_view{} : line.substr(brace);
    while (!attributes.empty() && is_space(attributes.back())) { attributes.remove_suffix(1); }
    split_words(line.substr(0, brace), number, ',', words);
    if (words.empty()) { return; }
    const bool is_weighted = words.size() == 3 && is_number(words[2].text);
    if (is_weighted || (words.size() == 2 && !attributes.empty() && attributes != "{}")) {
      const Place place = is_weighted ? words[2].place : Place{number, static_cast<std::uint32_t>(brace + 1)};
      issues.add(TopologyError::kBadValue, place,
                 fmt::format("edges have no attributes and no weights here, got {}; networkx leaves them out with "
                             "write_edgelist(..., data=False)",
                             quoted(is_weighted ? words[2].text : attributes)));
      return;
    }
    if (words.size() != 2) {
      issues.add(
          TopologyError::kSyntax, words.front().place,
          fmt::format("a line must be \"parent child\", got {} word{}", words.size(), words.size() == 1 ? "" : "s"));
      return;
    }
    const std::uint32_t parent = node_of(words[0]);
    const std::uint32_t child = node_of(words[1]);
    raw.edges.push_back({parent, child, words[1].place});
  });
  return raw;
}

bool is_matrix(std::string_view text) {
  std::vector<Word> words;
  std::size_t rows = 0;
  std::size_t columns = 0;
  bool fits = true;
  for_each_line(text, [&](std::string_view line, std::uint32_t number) {
    if (!fits) { return; }
    split_words(line, number, ' ', words);
    if (words.empty()) { return; }
    if (rows++ == 0) { columns = words.size(); }
    fits = words.size() == columns && rows <= columns && all_entries(words);
  });
  return fits && rows > 1 && rows == columns;
}

RawTopology read_matrix(std::string_view text, IssueList& issues) {
  return MatrixReader(issues).run(text);
}

}  // namespace tributary::internal
