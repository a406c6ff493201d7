// SPDX-License-Identifier: Apache-2.0
#include "document.hpp"

#include <fmt/format.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

#include <algorithm>
#include <istream>
#include <nlohmann/json.hpp>
#include <streambuf>

#include "text.hpp"
#include "tributary/base/printable.hpp"

namespace tributary::internal {
namespace {

// Two levels per tier, and room for mistakes to be reported as such.
constexpr std::size_t kDepth = 256;

// Ends a parse from inside a callback of yaml-cpp; never leaves this file.
struct ParseStopped {
  Place place;
  std::string message;
};

Place place_of(const YAML::Mark& mark) {
  if (mark.is_null()) { return {}; }
  return {static_cast<std::uint32_t>(mark.line + 1), static_cast<std::uint32_t>(mark.column + 1)};
}

// Whether a tab stands before the first letter of the line of `place`.
bool is_indented_by_tab(std::string_view text, Place place) {
  for (std::uint32_t line = 1; line < place.line; ++line) {
    text.remove_prefix(std::min(text.find('\n'), text.size() - 1) + 1);
    if (text.empty()) { return false; }
  }
  const std::string_view margin = text.substr(0, std::min(text.find_first_not_of(" \t"), text.size()));
  return margin.find('\t') != std::string_view::npos;
}

class YamlEvents final : public YAML::EventHandler {
 public:
  explicit YamlEvents(Document& document) : document_(document) {}

  void OnDocumentStart(const YAML::Mark& /*mark*/) override {}
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark& mark, YAML::anchor_t /*anchor*/) override { add(Document::Kind::kNull, mark, {}, {}); }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t /*anchor*/) override {
    throw ParseStopped{place_of(mark), "aliases (*name) are not supported; like clients can be one group with a count"};
  }
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t /*anchor*/,
                const std::string& value) override {
    add(Document::Kind::kScalar, mark, value, tag);
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string& /*tag*/, YAML::anchor_t /*anchor*/,
                       YAML::EmitterStyle::value /*style*/) override {
    add(Document::Kind::kList, mark, {}, {});
  }
  void OnSequenceEnd() override { document_.close(); }
  void OnMapStart(const YAML::Mark& mark, const std::string& /*tag*/, YAML::anchor_t /*anchor*/,
                  YAML::EmitterStyle::value /*style*/) override {
    add(Document::Kind::kMap, mark, {}, {});
  }
  void OnMapEnd() override { document_.close(); }

 private:
  void add(Document::Kind kind, const YAML::Mark& mark, std::string_view text, std::string_view tag) {
    if (!document_.add(kind, place_of(mark), text, tag == "!")) {
      throw ParseStopped{place_of(mark), document_.full()};
    }
  }

  Document& document_;
};

// Reads a string_view without copying it.
class ViewBuffer final : public std::streambuf {
 public:
  explicit ViewBuffer(std::string_view text) {
    char* begin = const_cast<char*>(text.data());  // NOLINT(cppcoreguidelines-pro-type-const-cast): only read
    setg(begin, begin, begin + text.size());
  }
};

// Line and column of growing offsets into a text.
class PlaceCursor {
 public:
  explicit PlaceCursor(std::string_view text) : text_(text) {}
  Place at(std::size_t offset) {
    for (; next_ < offset && next_ < text_.size(); ++next_) {
      if (text_[next_] == '\n') {
        ++place_.line;
        place_.column = 1;
      } else {
        ++place_.column;
      }
    }
    return place_;
  }

 private:
  std::string_view text_;
  std::size_t next_ = 0;
  Place place_{1, 1};
};

// Tells how far the JSON lexer has read.
class CountingIterator {
 public:
  using iterator_category = std::input_iterator_tag;
  using value_type = char;
  using difference_type = std::ptrdiff_t;
  using pointer = const char*;
  using reference = const char&;

  CountingIterator(const char* at, const char** furthest) : at_(at), furthest_(furthest) {}
  reference operator*() const { return *at_; }
  CountingIterator& operator++() {
    *furthest_ = ++at_;
    return *this;
  }
  CountingIterator operator++(int) {
    CountingIterator before = *this;
    ++*this;
    return before;
  }
  friend bool operator==(const CountingIterator& a, const CountingIterator& b) { return a.at_ == b.at_; }
  friend bool operator!=(const CountingIterator& a, const CountingIterator& b) { return a.at_ != b.at_; }

 private:
  const char* at_;
  const char** furthest_;
};

// An event comes when the lexer has read its token, and for numbers one character more.
// What is wrong, out of "[json.exception.parse_error.101] parse error at line 1, column 5: what is wrong".
std::string reason(std::string_view what) {
  constexpr std::size_t kLongest = 200;
  if (const std::size_t name = what.find("] "); what.starts_with('[') && name != std::string_view::npos) {
    what.remove_prefix(name + 2);
  }
  if (const std::size_t colon = what.find(": "); what.starts_with("parse error") && colon != std::string_view::npos) {
    what.remove_prefix(colon + 2);
  }
  return printable_text(what, kLongest);
}

class JsonEvents final : public nlohmann::json_sax<nlohmann::json> {
 public:
  JsonEvents(Document& document, std::string_view text, const char* const& furthest, IssueList& issues)
      : document_(document), text_(text), furthest_(furthest), cursor_(text), issues_(issues) {}

  bool null() override { return add(Document::Kind::kNull, word_start()); }
  bool boolean(bool value) override { return add(Document::Kind::kScalar, word_start(), value ? "true" : "false"); }
  bool number_integer(number_integer_t /*value*/) override { return number(); }
  bool number_unsigned(number_unsigned_t /*value*/) override { return number(); }
  bool number_float(number_float_t /*value*/, const string_t& /*text*/) override { return number(); }
  bool string(string_t& value) override { return add(Document::Kind::kScalar, string_start(), value, true); }
  bool key(string_t& value) override { return add(Document::Kind::kScalar, string_start(), value, true); }
  bool binary(binary_t& /*value*/) override { return false; }
  bool start_object(std::size_t /*size*/) override { return add(Document::Kind::kMap, read() - 1); }
  bool start_array(std::size_t /*size*/) override { return add(Document::Kind::kList, read() - 1); }
  bool end_object() override {
    document_.close();
    return true;
  }
  bool end_array() override { return end_object(); }
  bool parse_error(std::size_t position, const std::string& /*token*/,
                   const nlohmann::json::exception& error) override {
    PlaceCursor cursor(text_);
    issues_.add(TopologyError::kSyntax, cursor.at(position > 0 ? position - 1 : 0),
                "not JSON: " + reason(error.what()));
    return false;
  }

 private:
  [[nodiscard]] std::size_t read() const { return static_cast<std::size_t>(furthest_ - text_.data()); }
  [[nodiscard]] static bool in_word(char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || c == '-' || c == '+' || c == '.' || c == 'E';
  }
  [[nodiscard]] std::size_t word_end() const {
    std::size_t end = read();
    while (end > 0 && !in_word(text_[end - 1])) { --end; }
    return end;
  }
  [[nodiscard]] std::size_t word_start() const {
    std::size_t start = word_end();
    while (start > 0 && in_word(text_[start - 1])) { --start; }
    return start;
  }
  [[nodiscard]] std::size_t string_start() const {
    std::size_t start = read() - 1;  // the closing quote
    const auto escaped = [&](std::size_t quote) {
      std::size_t slashes = 0;
      while (slashes < quote && text_[quote - slashes - 1] == '\\') { ++slashes; }
      return slashes % 2 == 1;
    };
    do { --start; } while (start > 0 && (text_[start] != '"' || escaped(start)));
    return start;
  }
  bool number() {
    const std::size_t start = word_start();
    return add(Document::Kind::kScalar, start, text_.substr(start, word_end() - start));
  }
  bool add(Document::Kind kind, std::size_t offset, std::string_view text = {}, bool quoted = false) {
    const Place place = cursor_.at(offset);
    if (document_.add(kind, place, text, quoted)) { return true; }
    issues_.add(TopologyError::kTooLarge, place, document_.full());
    return false;
  }

  Document& document_;
  std::string_view text_;
  const char* const& furthest_;
  PlaceCursor cursor_;
  IssueList& issues_;
};

}  // namespace

bool Document::add(Kind kind, Place place, std::string_view text, bool quoted) {
  if (values_.size() >= TopologyLimits::kValues || open_.size() >= kDepth) { return false; }
  const auto index = static_cast<std::uint32_t>(values_.size());
  values_.push_back({kind, quoted, static_cast<std::uint32_t>(pool_.size()), static_cast<std::uint32_t>(text.size()),
                     index + 1, place});
  pool_ += text;
  if (kind == Kind::kList || kind == Kind::kMap) { open_.push_back(index); }
  return true;
}

void Document::close() {
  values_[open_.back()].end = static_cast<std::uint32_t>(values_.size());
  open_.pop_back();
}

std::string Document::full() const {
  if (open_.size() >= kDepth) { return fmt::format("lists and maps nest deeper than {} levels", kDepth); }
  return fmt::format("the file holds more than {} values; like clients can be one group with a count",
                     with_commas(TopologyLimits::kValues));
}

std::string Document::describe(std::uint32_t value) const {
  switch (values_[value].kind) {
    case Kind::kNull:
      return "nothing";
    case Kind::kScalar:
      return (values_[value].quoted ? "the text " : "") + quoted(text(value));
    case Kind::kList:
      return "a list";
    case Kind::kMap:
      return "a map";
  }
  return {};
}

std::optional<Document> Document::parse_yaml(std::string_view text, IssueList& issues) {
  Document document;
  try {
    ViewBuffer buffer(text);
    std::istream input(&buffer);
    YAML::Parser parser(input);
    YamlEvents events(document);
    if (!parser.HandleNextDocument(events)) { return document; }
    const std::size_t size = document.values_.size();
    if (parser.HandleNextDocument(events) && document.values_.size() > size) {
      issues.add(TopologyError::kSyntax, document.values_[size].place,
                 "a second YAML document; a file holds one topology");
      return std::nullopt;
    }
    return document;
  } catch (const ParseStopped& stopped) {
    const bool full = stopped.message == document.full();
    issues.add(full ? TopologyError::kTooLarge : TopologyError::kSyntax, stopped.place, stopped.message);
  } catch (const YAML::Exception& error) {
    const Place place = place_of(error.mark);
    const std::string why = is_indented_by_tab(text, place) ? "a tab cannot indent, use spaces" : error.msg;
    issues.add(TopologyError::kSyntax, place, fmt::format("not YAML: {}", why));
  } catch (const std::exception& error) {
    issues.add(TopologyError::kSyntax, {}, "not YAML: " + printable_text(error.what()));
  }
  return std::nullopt;
}

std::optional<Document> Document::parse_json(std::string_view text, IssueList& issues) {
  Document document;
  try {
    const char* furthest = text.data();
    JsonEvents events(document, text, furthest, issues);
    // NOLINTNEXTLINE(bugprone-suspicious-stringview-data-usage): the end is given by the other iterator.
    const CountingIterator begin(text.data(), &furthest);
    const CountingIterator end(text.data() + text.size(), &furthest);
    if (nlohmann::json::sax_parse(begin, end, &events)) { return document; }
  } catch (const std::exception& error) { issues.add(TopologyError::kSyntax, {}, "not JSON: " + reason(error.what())); }
  return std::nullopt;
}

}  // namespace tributary::internal
