// SPDX-License-Identifier: Apache-2.0
// YAML text as events, each with its place: what configurations and topologies are both read by.
//
// The library behind it misreads or passes over some texts. They are refused here: bytes that are no text, tabs that
// indent, quotes and brackets that are never closed, tags, anchors and aliases, a second document.
//
// Bounds:  bytes, depth and values as the caller says, and 1,000 open brackets.
// Errors:  one YamlMistake; then nothing of what came before holds.
// Threads: functions of their arguments only.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace tributary::internal {

// From 1, columns in bytes.
struct YamlPlace {
  int line = 1;
  int column = 1;
};

struct YamlMistake {
  YamlPlace place;
  std::string text;
};

struct YamlLimits {
  std::size_t bytes;
  std::size_t depth;   // of lists and maps
  std::size_t values;  // keys, values, lists and maps
};

// What a text consists of, in its order; in a map, key and value by turns. A function may throw a YamlMistake, which
// ends the reading.
class YamlEvents {
 public:
  enum class Kind { kSequence, kMap };
  virtual ~YamlEvents() = default;

  virtual void null(YamlPlace place) = 0;
  // `plain`: written without quotes.
  virtual void scalar(YamlPlace place, const std::string& text, bool plain) = 0;
  // `flow`: written in brackets.
  virtual void open(Kind kind, YamlPlace place, bool flow) = 0;
  virtual void close() = 0;
};

[[nodiscard]] std::optional<YamlMistake> read_yaml(std::string_view text, const YamlLimits& limits, YamlEvents& events);

}  // namespace tributary::internal
