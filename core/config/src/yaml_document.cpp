// SPDX-License-Identifier: Apache-2.0
#include "config/yaml_document.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <optional>
#include <utility>

#include "config/yaml_reader.hpp"
#include "yaml_text.hpp"

namespace tributary::internal::config {
namespace {

// Builds the tree from a text's events.
class TreeBuilder final : public YamlEvents {
 public:
  explicit TreeBuilder(int source) : source_(source) {}

  [[nodiscard]] YamlNode take_root() { return std::move(root_); }

  void null(YamlPlace place) override {
    YamlNode node;
    node.place = at(place);
    add(std::move(node));
  }
  void scalar(YamlPlace place, const std::string& text, bool plain) override {
    YamlNode node;
    node.kind = YamlNode::Kind::kScalar;
    node.place = at(place);
    node.plain = plain;
    node.text = text;
    add(std::move(node));
  }
  void open(Kind kind, YamlPlace place, bool flow) override {
    if (awaits_key()) {
      throw YamlMistake{place, "a key must be a word, not a list or a map; is a bracket left open?"};
    }
    Level level;
    level.node.kind = kind == Kind::kMap ? YamlNode::Kind::kMap : YamlNode::Kind::kSequence;
    level.node.place = at(place);
    level.node.flow = flow;
    levels_.push_back(std::move(level));
  }
  void close() override {
    YamlNode node = std::move(levels_.back().node);
    levels_.pop_back();
    add(std::move(node));
  }

 private:
  struct Level {
    YamlNode node;
    std::optional<YamlEntry> entry;  // of a map: the key that waits for its value
  };

  [[nodiscard]] Place at(YamlPlace place) const { return {source_, place.line, place.column}; }

  [[nodiscard]] bool awaits_key() const {
    return !levels_.empty() && levels_.back().node.kind == YamlNode::Kind::kMap && !levels_.back().entry;
  }

  void add(YamlNode node) {
    if (levels_.empty()) {
      root_ = std::move(node);
      return;
    }
    if (awaits_key()) {
      const YamlPlace place{node.place.line, node.place.column};
      if (node.kind != YamlNode::Kind::kScalar) { throw YamlMistake{place, "a key is missing before the colon"}; }
      if (node.text.size() > kMaxYamlKeyBytes) {
        throw YamlMistake{place,
                          fmt::format("a key has {} bytes; at most {} are read", node.text.size(), kMaxYamlKeyBytes)};
      }
      levels_.back().entry = YamlEntry{std::move(node.text), node.plain, node.place, {}};
      return;
    }
    Level& level = levels_.back();
    if (level.node.kind == YamlNode::Kind::kSequence) {
      level.node.items.push_back(std::move(node));
      return;
    }
    if (node.kind == YamlNode::Kind::kNull) { node.place = level.entry->place; }
    level.entry->value = std::move(node);
    level.node.entries.push_back(std::move(*level.entry));
    level.entry.reset();
  }

  int source_;
  YamlNode root_;
  std::vector<Level> levels_;
};

// Keeps the first entry of each key of every map below `node`.
void drop_duplicates(YamlNode& node, const std::string& path, std::vector<Mistake>& mistakes) {
  for (std::size_t i = 0; i < node.items.size(); ++i) {
    drop_duplicates(node.items[i], fmt::format("{}[{}]", path, i), mistakes);
  }
  const auto path_to = [&](const YamlEntry& entry) {
    return path.empty() ? excerpt(entry.key) : fmt::format("{}.{}", path, excerpt(entry.key));
  };
  std::map<std::string, Place, std::less<>> seen;
  std::erase_if(node.entries, [&](const YamlEntry& entry) {
    const auto [first, is_new] = seen.emplace(entry.key, entry.place);
    if (is_new) { return false; }
    if (mistakes.size() < kMaxMistakes) {
      mistakes.push_back({entry.place, fmt::format("{} stands twice, first in line {} column {}", path_to(entry),
                                                   first->second.line, first->second.column)});
    }
    return true;
  });
  for (YamlEntry& entry : node.entries) { drop_duplicates(entry.value, path_to(entry), mistakes); }
}

}  // namespace

const YamlEntry* YamlNode::find(std::string_view key) const {
  const auto found = std::find_if(entries.begin(), entries.end(), [&](const YamlEntry& e) { return e.key == key; });
  return found == entries.end() ? nullptr : &*found;
}

YamlEntry* YamlNode::find(std::string_view key) {
  const auto found = std::find_if(entries.begin(), entries.end(), [&](const YamlEntry& e) { return e.key == key; });
  return found == entries.end() ? nullptr : &*found;
}

YamlDocument parse_yaml(std::string_view text, int source) {
  YamlDocument document;
  TreeBuilder builder(source);
  const YamlLimits limits{.bytes = kMaxYamlBytes, .depth = kMaxYamlDepth, .values = kMaxYamlValues};
  if (std::optional<YamlMistake> mistake = read_yaml(text, limits, builder)) {
    document.mistakes.push_back({{source, mistake->place.line, mistake->place.column}, std::move(mistake->text)});
    document.readable = false;
    return document;
  }
  document.root = builder.take_root();
  drop_duplicates(document.root, "", document.mistakes);
  return document;
}

}  // namespace tributary::internal::config
