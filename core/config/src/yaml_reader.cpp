// SPDX-License-Identifier: Apache-2.0
#include "config/yaml_reader.hpp"

#include <fmt/format.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

#include <exception>
#include <sstream>

#include "base/utf8.hpp"
#include "tributary/base/printable.hpp"

namespace tributary::internal {
namespace {

constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";

// More than any honest text leaves open, quoted ones included. The library keeps what stands between them in memory, at
// 200 bytes for each, before it looks at the depth.
constexpr int kMostOpenBrackets = 1000;

// Bytes that are not text, tabs that indent, mountains of brackets.
std::optional<YamlMistake> check_bytes(std::string_view text, std::size_t most_bytes) {
  if (text.size() > most_bytes) {
    return YamlMistake{{}, fmt::format("the text has {} bytes; at most {} are read", text.size(), most_bytes)};
  }
  YamlPlace place;
  bool indentation = true;
  int open_brackets = 0;
  int tab = 0;  // column of the first tab in this line's indentation
  for (std::size_t i = text.starts_with(kByteOrderMark) ? kByteOrderMark.size() : 0; i < text.size();) {
    const std::size_t length = first_code_point(text.substr(i)).bytes;
    const auto byte = static_cast<unsigned char>(text[i]);
    if (length == 0) { return YamlMistake{place, fmt::format("byte 0x{:02x} is not UTF-8 text", byte)}; }
    if (byte == '\n') {
      place = {place.line + 1, 1};
      indentation = true;
      tab = 0;
      ++i;
      continue;
    }
    const bool line_end = byte == '\r' && i + 1 < text.size() && text[i + 1] == '\n';
    if ((byte < 0x20 && byte != '\t' && !line_end) || byte == 0x7F) {
      return YamlMistake{place, fmt::format("control character 0x{:02x} is not text", byte)};
    }
    if (indentation && byte == '\t' && tab == 0) { tab = place.column; }
    if (indentation && byte != ' ' && byte != '\t' && !line_end) {
      if (tab != 0 && byte != '#') {
        return YamlMistake{{place.line, tab}, "a tab indents this line; YAML takes only spaces there"};
      }
      indentation = false;
    }
    open_brackets += byte == '[' || byte == '{' ? 1 : (byte == ']' || byte == '}') && open_brackets > 0 ? -1 : 0;
    if (open_brackets > kMostOpenBrackets) {
      return YamlMistake{place, fmt::format("more than {} brackets are open", kMostOpenBrackets)};
    }
    place.column += static_cast<int>(length);
    i += length;
  }
  return std::nullopt;
}

// The library's events, checked. Leaves the parser by throwing a YamlMistake.
class Checked final : public YAML::EventHandler {
 public:
  Checked(std::string_view text, const YamlLimits& limits, YamlEvents& events)
      : text_(text), limits_(limits), events_(events) {}

  void OnDocumentStart(const YAML::Mark& mark) override {
    if (documents_++ > 0) { throw YamlMistake{at(mark), "a second document starts here; one file holds one"}; }
  }
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark& mark, YAML::anchor_t /*anchor*/) override {
    count(mark);
    events_.null(at(mark));
  }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t /*anchor*/) override { refuse_anchor(mark); }
  void OnAnchor(const YAML::Mark& mark, const std::string& /*name*/) override { refuse_anchor(mark); }
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t /*anchor*/,
                const std::string& value) override {
    check_tag(mark, tag);
    check_quotes(mark);
    count(mark);
    events_.scalar(at(mark), value, tag == "?");
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t /*anchor*/,
                       YAML::EmitterStyle::value style) override {
    open(YamlEvents::Kind::kSequence, mark, tag, style);
  }
  void OnSequenceEnd() override { close(); }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t /*anchor*/,
                  YAML::EmitterStyle::value style) override {
    open(YamlEvents::Kind::kMap, mark, tag, style);
  }
  void OnMapEnd() override { close(); }

 private:
  static YamlPlace at(const YAML::Mark& mark) { return {mark.line + 1, mark.column + 1}; }

  [[noreturn]] static void refuse_anchor(const YAML::Mark& mark) {
    throw YamlMistake{at(mark), "anchors and aliases (& and *) are not read; write the value out"};
  }

  static void check_tag(const YAML::Mark& mark, const std::string& tag) {
    constexpr std::size_t kShown = 60;
    if (!tag.empty() && tag != "?" && tag != "!") {
      throw YamlMistake{at(mark), fmt::format("the tag \"{}\" is not read; remove it", printable_text(tag, kShown))};
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
    throw YamlMistake{at(mark), "the quote that opens here is never closed"};
  }

  void count(const YAML::Mark& mark) {
    if (++values_ > limits_.values) {
      throw YamlMistake{at(mark), fmt::format("there are more than {} keys and values", limits_.values)};
    }
  }

  void open(YamlEvents::Kind kind, const YAML::Mark& mark, const std::string& tag, YAML::EmitterStyle::value style) {
    check_tag(mark, tag);
    if (depth_ == limits_.depth) {
      throw YamlMistake{at(mark), fmt::format("lists and maps are nested deeper than {}", limits_.depth)};
    }
    ++depth_;
    count(mark);
    events_.open(kind, at(mark), style == YAML::EmitterStyle::Flow);
  }
  void close() {
    --depth_;
    events_.close();
  }

  std::string_view text_;
  const YamlLimits& limits_;
  YamlEvents& events_;
  int documents_ = 0;
  std::size_t depth_ = 0;
  std::size_t values_ = 0;
};

}  // namespace

std::optional<YamlMistake> read_yaml(std::string_view text, const YamlLimits& limits, YamlEvents& events) {
  if (std::optional<YamlMistake> mistake = check_bytes(text, limits.bytes)) { return mistake; }
  try {
    // The library neither counts a byte order mark nor notices brackets left open in a last line without an end.
    std::string complete(text.substr(text.starts_with(kByteOrderMark) ? kByteOrderMark.size() : 0));
    if (!complete.ends_with('\n')) { complete += '\n'; }
    std::istringstream stream(complete);
    YAML::Parser parser(stream);
    Checked checked(complete, limits, events);
    while (parser.HandleNextDocument(checked)) {}
  } catch (const YamlMistake& mistake) { return mistake; } catch (const YAML::Exception& error) {
    const bool has_place = !error.mark.is_null();
    return YamlMistake{has_place ? YamlPlace{error.mark.line + 1, error.mark.column + 1} : YamlPlace{},
                       "this is not YAML: " + error.msg};
  } catch (const std::exception& error) {
    return YamlMistake{{}, fmt::format("this cannot be read: {}", printable_text(error.what()))};
  }
  return std::nullopt;
}

}  // namespace tributary::internal
