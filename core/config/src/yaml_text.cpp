// SPDX-License-Identifier: Apache-2.0
#include "yaml_text.hpp"
#include "base/words.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "tributary/base/printable.hpp"

namespace tributary::internal::config {
namespace {

bool is_letter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}
bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

// Characters that need no quotes in the middle of a word, in block and in flow style.
bool is_word(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) {
    return is_letter(c) || is_digit(c) || c == '.' || c == '_' || c == '-' || c == '/' || c == '+';
  });
}

// Words that some YAML reader takes for something else than text.
bool is_reserved(std::string_view text) {
  static constexpr std::array<std::string_view, 12> kWords{"true", "false", "yes",  "no",   "on",   "off",
                                                           "y",    "n",     "null", ".inf", ".nan", "-.inf"};
  return std::find(kWords.begin(), kWords.end(), lower(text)) != kWords.end();
}

// Writes words at or after the places they are given.
class PlacedWriter {
 public:
  // With room for a bracket that is not in the first column, where nothing inside a map can stand.
  explicit PlacedWriter(const Place& key) : line_(key.line), shift_(std::max(0, 3 - key.column)) {}

  void node(const YamlNode& node) {
    switch (node.kind) {
      case YamlNode::Kind::kNull:
        if (!text_.empty() && text_.back() == ':') { put(" "); }
        put("null");
        break;
      case YamlNode::Kind::kScalar:
        word(node.place, node.text, node.plain);
        break;
      case YamlNode::Kind::kSequence: {
        move_to(node.place);
        put("[");
        bool first = true;
        for (const YamlNode& item : node.items) {
          if (!first) { put(","); }
          first = false;
          this->node(item);
        }
        put("]");
        break;
      }
      case YamlNode::Kind::kMap: {
        // A block map has the place of its first key; the bracket goes before it.
        Place place = node.place;
        if (!node.flow) { --place.column; }
        move_to(place);
        put("{");
        bool first = true;
        for (const YamlEntry& entry : node.entries) {
          if (!first) { put(","); }
          first = false;
          word(entry.place, entry.key, entry.plain);
          put(":");
          this->node(entry.value);
        }
        put("}");
        break;
      }
    }
  }

  [[nodiscard]] std::string take() { return std::move(text_); }

 private:
  void put(std::string_view text) {
    text_ += text;
    column_ += static_cast<int>(text.size());
  }

  void move_to(const Place& place) {
    const int column = place.column + shift_;
    while (line_ < place.line) {
      text_ += '\n';
      ++line_;
      column_ = 1;
    }
    // After a colon stands a space, whatever follows.
    if (!text_.empty() && text_.back() == ':' && column_ >= column) { put(" "); }
    while (line_ == place.line && column_ < column) { put(" "); }
  }

  void word(const Place& place, const std::string& text, bool plain) {
    move_to(place);
    const bool starts_well = !text.empty() && (text[0] != '-' || (text.size() > 1 && is_digit(text[1])));
    put(plain && starts_well && is_word(text) ? text : quoted(text));
  }

  std::string text_;
  int line_;
  int shift_;
  int column_ = 1;
};

}  // namespace

std::string quoted(std::string_view text) {
  std::string result = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') { result += '\\'; }
    result += c;
  }
  // YAML reads these escapes back as the characters they stand for.
  return printable_text(result) + '"';
}

std::string scalar(std::string_view text) {
  const bool safe = !text.empty() && (is_letter(text[0]) || text[0] == '/' || text[0] == '.') && is_word(text) &&
                    !is_reserved(text) && !(text.size() > 1 && text[0] == '.' && is_digit(text[1]));
  return safe ? std::string(text) : quoted(text);
}

std::string excerpt(std::string_view text) {
  static constexpr std::size_t kLongest = 60;
  const bool is_long = text.size() > kLongest;
  std::string_view shown = text.substr(0, kLongest);
  while (is_long && !shown.empty() && (static_cast<unsigned char>(text[shown.size()]) & 0xC0U) == 0x80U) {
    shown.remove_suffix(1);
  }
  const bool printable =
      !shown.empty() && std::all_of(shown.begin(), shown.end(), [](char c) { return c >= 0x20 && c < 0x7F; });
  return (printable ? std::string(shown) : quoted(shown)) + (is_long ? "..." : "");
}

std::string describe(const YamlNode& node) {
  switch (node.kind) {
    case YamlNode::Kind::kNull:
      return "nothing";
    case YamlNode::Kind::kSequence:
      return "a list";
    case YamlNode::Kind::kMap:
      return "a map";
    case YamlNode::Kind::kScalar:
      break;
  }
  const std::string shown = excerpt(node.text);
  return node.plain || shown.starts_with('"') ? shown : '"' + shown + '"';
}

std::string placed_text(const YamlEntry& entry) {
  YamlNode map;
  map.kind = YamlNode::Kind::kMap;
  map.place = entry.place;
  map.entries.push_back(entry);
  PlacedWriter writer(entry.place);
  writer.node(map);
  return writer.take();
}

}  // namespace tributary::internal::config
