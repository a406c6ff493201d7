// SPDX-License-Identifier: Apache-2.0
#include "yaml_document.hpp"

#include <fmt/format.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

#include <algorithm>
#include <cstdint>
#include <exception>
#include <map>
#include <optional>
#include <sstream>
#include <utility>

#include "base/utf8.hpp"
#include "yaml_text.hpp"

namespace tributary::internal::config {
namespace {

constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";

// More than any honest text leaves open, quoted ones included. The library keeps what stands between them in memory, at
// 200 bytes for each, before it looks at the depth.
constexpr int kMostOpenBrackets = 1000;

// What the YAML library would misread or pass over: bytes that are not text, tabs that indent, mountains of brackets.
std::optional<Mistake> check_bytes(std::string_view text, int source) {
  if (text.size() > kMaxYamlBytes) {
    return Mistake{{source, 1, 1},
                   fmt::format("the text has {} bytes; at most {} are read", text.size(), kMaxYamlBytes)};
  }
  Place place{source, 1, 1};
  bool indentation = true;
  int open_brackets = 0;
  std::size_t tab = 0;  // column of the first tab in this line's indentation
  for (std::size_t i = text.starts_with(kByteOrderMark) ? kByteOrderMark.size() : 0; i < text.size();) {
    const std::size_t length = first_code_point(text.substr(i)).bytes;
    const auto byte = static_cast<unsigned char>(text[i]);
    if (length == 0) { return Mistake{place, fmt::format("byte 0x{:02x} is not UTF-8 text", byte)}; }
    if (byte == '\n') {
      place = {source, place.line + 1, 1};
      indentation = true;
      tab = 0;
      ++i;
      continue;
    }
    const bool line_end = byte == '\r' && i + 1 < text.size() && text[i + 1] == '\n';
    if ((byte < 0x20 && byte != '\t' && !line_end) || byte == 0x7F) {
      return Mistake{place, fmt::format("control character 0x{:02x} is not text", byte)};
    }
    if (indentation && byte == '\t' && tab == 0) { tab = static_cast<std::size_t>(place.column); }
    if (indentation && byte != ' ' && byte != '\t' && !line_end) {
      if (tab != 0 && byte != '#') {
        return Mistake{{source, place.line, static_cast<int>(tab)},
                       "a tab indents this line; YAML takes only spaces there"};
      }
      indentation = false;
    }
    open_brackets += byte == '[' || byte == '{' ? 1 : (byte == ']' || byte == '}') && open_brackets > 0 ? -1 : 0;
    if (open_brackets > kMostOpenBrackets) {
      return Mistake{place, fmt::format("more than {} brackets are open", kMostOpenBrackets)};
    }
    place.column += static_cast<int>(length);
    i += length;
  }
  return std::nullopt;
}

// Builds the tree from the parser's events. Leaves the parser by throwing a Mistake.
class TreeBuilder final : public YAML::EventHandler {
 public:
  TreeBuilder(std::string_view text, int source) : text_(text), source_(source) {}

  [[nodiscard]] YamlNode take_root() { return std::move(root_); }

  void OnDocumentStart(const YAML::Mark& mark) override {
    if (documents_++ > 0) { throw Mistake{at(mark), "a second document starts here; one file holds one"}; }
  }
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark& mark, YAML::anchor_t /*anchor*/) override {
    YamlNode node;
    node.place = at(mark);
    add(std::move(node));
  }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t /*anchor*/) override { refuse_anchor(mark); }
  void OnAnchor(const YAML::Mark& mark, const std::string& /*name*/) override { refuse_anchor(mark); }
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t /*anchor*/,
                const std::string& value) override {
    check_tag(mark, tag);
    check_quotes(mark);
    YamlNode node;
    node.kind = YamlNode::Kind::kScalar;
    node.place = at(mark);
    node.plain = tag == "?";
    node.text = value;
    add(std::move(node));
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t /*anchor*/,
                       YAML::EmitterStyle::value style) override {
    open(YamlNode::Kind::kSequence, mark, tag, style);
  }
  void OnSequenceEnd() override { close(); }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t /*anchor*/,
                  YAML::EmitterStyle::value style) override {
    open(YamlNode::Kind::kMap, mark, tag, style);
  }
  void OnMapEnd() override { close(); }

 private:
  struct Level {
    YamlNode node;
    std::optional<YamlEntry> entry;  // of a map: the key that waits for its value
  };

  [[nodiscard]] Place at(const YAML::Mark& mark) const { return {source_, mark.line + 1, mark.column + 1}; }

  [[noreturn]] void refuse_anchor(const YAML::Mark& mark) const {
    throw Mistake{at(mark), "anchors and aliases (& and *) are not read; write the value out"};
  }

  void check_tag(const YAML::Mark& mark, const std::string& tag) const {
    if (!tag.empty() && tag != "?" && tag != "!") {
      throw Mistake{at(mark), fmt::format("the tag {} is not read; remove it", quoted(tag))};
    }
  }

  // The library takes the end of the text for a closing quote.
  void check_quotes(const YAML::Mark& mark) const {
    const auto start = static_cast<std::size_t>(mark.pos);
    if (start >= text_.size() || (text_[start] != '"' && text_[start] != '\'')) { return; }
    const char quote = text_[start];
    for (std::size_t i = start + 1; i < text_.size(); ++i) {
      if (quote == '"' && text_[i] == '\\') {
        ++i;
      } else if (text_[i] == quote) {
        return;
      }
    }
    throw Mistake{at(mark), "the quote that opens here is never closed"};
  }

  [[nodiscard]] bool awaits_key() const {
    return !levels_.empty() && levels_.back().node.kind == YamlNode::Kind::kMap && !levels_.back().entry;
  }

  void open(YamlNode::Kind kind, const YAML::Mark& mark, const std::string& tag, YAML::EmitterStyle::value style) {
    check_tag(mark, tag);
    if (awaits_key()) { throw Mistake{at(mark), "a key must be a word, not a list or a map; is a bracket left open?"}; }
    if (levels_.size() == kMaxYamlDepth) {
      throw Mistake{at(mark), fmt::format("lists and maps are nested deeper than {}", kMaxYamlDepth)};
    }
    Level level;
    level.node.kind = kind;
    level.node.place = at(mark);
    level.node.flow = style == YAML::EmitterStyle::Flow;
    levels_.push_back(std::move(level));
  }

  void close() {
    YamlNode node = std::move(levels_.back().node);
    levels_.pop_back();
    add(std::move(node));
  }

  void add(YamlNode node) {
    if (++values_ > kMaxYamlValues) {
      throw Mistake{node.place, fmt::format("there are more than {} keys and values", kMaxYamlValues)};
    }
    if (levels_.empty()) {
      root_ = std::move(node);
      return;
    }
    if (awaits_key()) {
      if (node.kind != YamlNode::Kind::kScalar) { throw Mistake{node.place, "a key is missing before the colon"}; }
      if (node.text.size() > kMaxYamlKeyBytes) {
        throw Mistake{node.place,
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

  std::string_view text_;
  int source_;
  int documents_ = 0;
  std::size_t values_ = 0;
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
  const auto unreadable = [&](Mistake mistake) {
    document.mistakes.push_back(std::move(mistake));
    document.readable = false;
    return document;
  };
  if (std::optional<Mistake> mistake = check_bytes(text, source)) { return unreadable(std::move(*mistake)); }
  try {
    // The library neither counts a byte order mark nor notices brackets left open in a last line without an end.
    std::string complete(text.substr(text.starts_with(kByteOrderMark) ? kByteOrderMark.size() : 0));
    if (!complete.ends_with('\n')) { complete += '\n'; }
    std::istringstream stream(complete);
    YAML::Parser parser(stream);
    TreeBuilder builder(complete, source);
    while (parser.HandleNextDocument(builder)) {}
    document.root = builder.take_root();
  } catch (const Mistake& mistake) { return unreadable(mistake); } catch (const YAML::Exception& error) {
    const bool has_place = !error.mark.is_null();
    return unreadable({{source, has_place ? error.mark.line + 1 : 1, has_place ? error.mark.column + 1 : 1},
                       "this is not YAML: " + error.msg});
  } catch (const std::exception& error) {
    return unreadable({{source, 1, 1}, fmt::format("this cannot be read: {}", error.what())});
  }
  drop_duplicates(document.root, "", document.mistakes);
  return document;
}

}  // namespace tributary::internal::config
