// SPDX-License-Identifier: Apache-2.0
#include "document.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "config/yaml_reader.hpp"
#include "text.hpp"
#include "tributary/base/printable.hpp"

namespace tributary::internal {
namespace {

// Two levels per tier, and room for mistakes to be reported as such.
constexpr std::size_t kDepth = 256;

// A text's events as values of a document.
class DocumentBuilder final : public YamlEvents {
 public:
  explicit DocumentBuilder(Document& document) : document_(document) {}

  [[nodiscard]] bool full() const noexcept { return full_; }

  void null(YamlPlace place) override { add(Document::Kind::kNull, place, {}, false); }
  void scalar(YamlPlace place, const std::string& text, bool plain) override {
    add(Document::Kind::kScalar, place, text, !plain);
  }
  void open(Kind kind, YamlPlace place, bool /*flow*/) override {
    add(kind == Kind::kMap ? Document::Kind::kMap : Document::Kind::kList, place, {}, false);
  }
  void close() override { document_.close(); }

 private:
  void add(Document::Kind kind, YamlPlace place, std::string_view text, bool quoted) {
    const Place at{static_cast<std::uint32_t>(place.line), static_cast<std::uint32_t>(place.column)};
    if (document_.add(kind, at, text, quoted)) { return; }
    full_ = true;
    throw YamlMistake{place, document_.full()};
  }

  Document& document_;
  bool full_ = false;
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
  DocumentBuilder builder(document);
  // One more than the document takes, which says so in words of its own.
  const YamlLimits limits{
      .bytes = TopologyLimits::kFileBytes, .depth = kDepth + 1, .values = TopologyLimits::kValues + 1};
  const std::optional<YamlMistake> mistake = read_yaml(text, limits, builder);
  if (!mistake) { return document; }
  issues.add(builder.full() ? TopologyError::kTooLarge : TopologyError::kSyntax,
             {static_cast<std::uint32_t>(mistake->place.line), static_cast<std::uint32_t>(mistake->place.column)},
             mistake->text);
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
