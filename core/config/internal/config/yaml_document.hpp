// SPDX-License-Identifier: Apache-2.0
// YAML text as a tree in which every key and value knows its place.
//
// Bounds:  the constants below; anchors, aliases and tags are refused, so that a document is never larger than its
// text. Errors:  of the syntax: one, and no tree. Of duplicate keys: all, and a tree that holds each first one.
// Threads: values.
#pragma once

#include <compare>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace tributary::internal::config {

inline constexpr std::size_t kMaxYamlBytes = std::size_t{4} << 20U;
inline constexpr std::size_t kMaxYamlDepth = 32;
inline constexpr std::size_t kMaxYamlKeyBytes = 200;
inline constexpr std::size_t kMaxYamlValues = 500'000;  // keys included
// Of one text. More are not kept: nobody reads them, and a hostile text could have a million.
inline constexpr std::size_t kMaxMistakes = 1000;

// Line and column count from 1, columns in bytes. `source` is for the caller: which of several texts.
struct Place {
  int source = 0;
  int line = 1;
  int column = 1;
  friend auto operator<=>(const Place&, const Place&) = default;
};

struct Mistake {
  Place place;
  std::string text;
  friend auto operator<=>(const Mistake&, const Mistake&) = default;
};

struct YamlEntry;

struct YamlNode {
  enum class Kind { kNull, kScalar, kSequence, kMap };
  Kind kind = Kind::kNull;
  Place place;
  bool plain = false;              // kScalar: written without quotes
  bool flow = false;               // kSequence, kMap: written in brackets
  std::string text;                // kScalar
  std::vector<YamlNode> items;     // kSequence
  std::vector<YamlEntry> entries;  // kMap, in the order of the text

  // Null if there is no such key.
  [[nodiscard]] const YamlEntry* find(std::string_view key) const;
  [[nodiscard]] YamlEntry* find(std::string_view key);
};

struct YamlEntry {
  std::string key;
  bool plain = false;
  Place place;  // of the key
  YamlNode value;
};

struct YamlDocument {
  YamlNode root;  // kNull for an empty text
  std::vector<Mistake> mistakes;
  bool readable = true;  // false: the syntax is wrong, root is empty
};

[[nodiscard]] YamlDocument parse_yaml(std::string_view text, int source);

}  // namespace tributary::internal::config
