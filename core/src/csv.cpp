// SPDX-License-Identifier: Apache-2.0
#include "tributary/core/csv.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <deque>
#include <limits>
#include <numeric>
#include <optional>
#include <unordered_map>
#include <unordered_set>

#include "reading.hpp"

namespace tributary {
namespace {

using internal::printable;

struct Field {
  std::string_view text;  // without quotes; valid until the next record is read
  std::size_t line = 0;
  std::size_t column = 0;
};

// Cuts the text into records of fields.
class Records {
 public:
  Records(std::string_view text, const std::string& name) : text_(text), name_(name) {
    if (text_.starts_with("\xEF\xBB\xBF")) { line_start_ = at_ = 3; }
  }

  // False at the end. A field's text points into the file, or into `unquoted_` where quotes had to be removed.
  Result<bool> next(std::vector<Field>& fields) {
    fields.clear();
    unquoted_.clear();
    while (at_ < text_.size() && (text_[at_] == '\n' || text_.substr(at_, 2) == "\r\n")) { end_line(); }
    if (at_ >= text_.size()) { return false; }
    for (;;) {
      fields.push_back({{}, line_, at_ - line_start_ + 1});
      if (text_[at_] == '"') {
        TRIBUTARY_RETURN_IF_ERROR(quoted(fields.back()));
      } else {
        const std::size_t end = std::min(text_.find_first_of(",\n", at_), text_.size());
        std::string_view content = text_.substr(at_, end - at_);
        if (content.ends_with('\r') && (end == text_.size() || text_[end] == '\n')) { content.remove_suffix(1); }
        fields.back().text = content;
        at_ = end;
      }
      if (at_ < text_.size() && text_[at_] == ',') {
        ++at_;
        if (at_ == text_.size()) {  // the last field of the file is empty
          fields.push_back({{}, line_, at_ - line_start_ + 1});
          return true;
        }
        continue;
      }
      end_line();
      return true;
    }
  }

 private:
  void end_line() {
    if (at_ < text_.size() && text_[at_] == '\r') { ++at_; }
    if (at_ < text_.size() && text_[at_] == '\n') {
      ++at_;
      ++line_;
      line_start_ = at_;
    }
  }

  // at_ is at the opening quote; afterwards behind the closing one.
  Status quoted(Field& field) {
    const std::size_t start = at_ + 1;
    bool doubled = false;
    for (at_ = start;; ++at_) {
      const std::size_t stop = text_.find_first_of("\"\n", at_);
      if (stop == std::string_view::npos) {
        return bad_data(fmt::format("{}:{}:{}: the quote is never closed", name_, field.line, field.column));
      }
      at_ = stop;
      if (text_[at_] == '\n') {
        ++line_;
        line_start_ = at_ + 1;
      } else if (text_.substr(at_, 2) == "\"\"") {
        doubled = true;
        ++at_;
      } else {
        break;
      }
    }
    field.text = text_.substr(start, at_ - start);
    ++at_;
    const std::string_view rest = text_.substr(at_, 2);
    if (!rest.empty() && rest[0] != ',' && rest[0] != '\n' && rest != "\r\n" && rest != "\r") {
      return bad_data(fmt::format("{}:{}:{}: expected a comma or the end of the line after the closing quote", name_,
                                  line_, at_ - line_start_ + 1));
    }
    if (doubled) {
      std::string& content = unquoted_.emplace_back();
      for (std::size_t i = 0; i < field.text.size(); ++i) {
        content += field.text[i];
        if (field.text[i] == '"') { ++i; }
      }
      field.text = content;
    }
    return ok_status();
  }

  std::string_view text_;
  const std::string& name_;
  std::size_t at_ = 0;
  std::size_t line_ = 1;
  std::size_t line_start_ = 0;
  std::deque<std::string> unquoted_;  // a deque: its strings stay where they are
};

std::string_view trimmed(std::string_view text) {
  const std::size_t first = text.find_first_not_of(" \t");
  if (first == std::string_view::npos) { return {}; }
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

template <typename Number>
std::optional<Number> number_from(std::string_view text) {
  text = trimmed(text);
  if (text.size() > 1 && text[0] == '+' && text[1] != '-') { text.remove_prefix(1); }
  Number number{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc{} && end == text.data() + text.size() ? std::optional(number) : std::nullopt;
}

// The distinct texts of one column, numbered as they come along.
class Names {
 public:
  std::int32_t number_of(std::string_view text) {
    const auto found = numbers_.find(std::string(text));
    if (found != numbers_.end()) { return found->second; }
    const auto number = static_cast<std::int32_t>(names_.size());
    names_.emplace_back(text);
    numbers_.emplace(names_.back(), number);
    return number;
  }

  [[nodiscard]] const std::vector<std::string>& names() const noexcept { return names_; }

  // All as whole numbers, or nothing if one is not, or is not spelled as numbers are ("007" and "7" are two texts).
  [[nodiscard]] std::optional<std::vector<std::int64_t>> as_integers() const {
    std::vector<std::int64_t> integers;
    for (const std::string& name : names_) {
      const std::optional<std::int64_t> integer = number_from<std::int64_t>(name);
      if (!integer || fmt::to_string(*integer) != name) { return std::nullopt; }
      integers.push_back(*integer);
    }
    return integers;
  }

  // For each number its place in ascending order: of the integers if all are, else of the texts.
  [[nodiscard]] std::vector<std::int32_t> ranks() const {
    std::vector<std::int32_t> order(names_.size());
    std::iota(order.begin(), order.end(), 0);
    if (const auto integers = as_integers()) {
      std::sort(order.begin(), order.end(), [&](std::int32_t a, std::int32_t b) {
        return (*integers)[static_cast<std::size_t>(a)] < (*integers)[static_cast<std::size_t>(b)];
      });
    } else {
      std::sort(order.begin(), order.end(), [&](std::int32_t a, std::int32_t b) {
        return names_[static_cast<std::size_t>(a)] < names_[static_cast<std::size_t>(b)];
      });
    }
    std::vector<std::int32_t> ranks(order.size());
    for (std::size_t i = 0; i < order.size(); ++i) {
      ranks[static_cast<std::size_t>(order[i])] = static_cast<std::int32_t>(i);
    }
    return ranks;
  }

 private:
  std::vector<std::string> names_;
  std::unordered_map<std::string, std::int32_t> numbers_;
};

class TableReader {
 public:
  TableReader(std::string_view text, const std::string& name, const CsvOptions& options)
      : records_(text, name), name_(name), options_(options) {}

  Result<CsvTable> read() {
    TRIBUTARY_RETURN_IF_ERROR(read_columns());
    if (options_.like != nullptr) {
      for (const std::string& known : options_.like->classes) { static_cast<void>(labels_.number_of(known)); }
    }
    for (;;) {
      TRIBUTARY_ASSIGN_OR_RETURN(const bool more, records_.next(fields_));
      if (!more) { break; }
      TRIBUTARY_RETURN_IF_ERROR(read_sample());
    }
    if (label_numbers_.empty()) { return bad_data(fmt::format("{}: has no samples after its header line", name_)); }
    finish_labels();
    finish_ids();
    table_.data.name = name_;
    table_.data.sample_shape = {static_cast<std::int64_t>(table_.features.size())};
    table_.data.features = std::move(values_);
    TRIBUTARY_RETURN_IF_ERROR(table_.data.check());
    return std::move(table_);
  }

 private:
  Status wrong(const Field& field, std::string_view what) const {
    return bad_data(fmt::format("{}:{}:{}: {}", name_, field.line, field.column, what));
  }

  Status read_columns() {
    TRIBUTARY_ASSIGN_OR_RETURN(const bool more, records_.next(fields_));
    if (!more) { return bad_data(fmt::format("{}: is empty, expected a header line", name_)); }
    std::unordered_set<std::string_view> seen;
    std::vector<std::string> shown;
    for (std::size_t i = 0; i < fields_.size(); ++i) {
      const std::string column(trimmed(fields_[i].text));
      if (column.empty()) { return wrong(fields_[i], "a column has no name"); }
      if (!seen.insert(trimmed(fields_[i].text)).second) {
        return wrong(fields_[i], fmt::format("two columns are named {}", printable(column)));
      }
      if (shown.size() < 10) { shown.push_back(printable(column)); }
      if (column == options_.label_column) {
        label_ = i;
      } else if (!options_.id_column.empty() && column == options_.id_column) {
        id_ = i;
      } else {
        table_.features.push_back(column);
      }
    }
    columns_ = fields_.size();
    const auto missing = [&](std::string_view role, const std::string& column) {
      return bad_data(fmt::format("{}:1: there is no {} column {}; the columns are {}{}", name_, role, column,
                                  fmt::join(shown, ", "), columns_ > shown.size() ? ", ..." : ""));
    };
    if (!label_) { return missing("label", options_.label_column); }
    if (!options_.id_column.empty() && !id_) { return missing("id", options_.id_column); }
    if (table_.features.empty()) { return bad_data(fmt::format("{}:1: there is no feature column", name_)); }
    if (options_.like != nullptr && table_.features != options_.like->features) {
      return bad_data(fmt::format("{}:1: the feature columns are not those of {}", name_, options_.like->data.name));
    }
    return ok_status();
  }

  Status read_sample() {
    if (fields_.size() != columns_) {
      return wrong(fields_.front(), fmt::format("{} fields, the header line has {}", fields_.size(), columns_));
    }
    if (label_numbers_.size() == std::numeric_limits<std::uint32_t>::max()) {
      return wrong(fields_.front(), "more samples than 4294967295");
    }
    for (std::size_t i = 0; i < columns_; ++i) {
      const Field& field = fields_[i];
      if (i == *label_) {
        TRIBUTARY_RETURN_IF_ERROR(read_label(field));
      } else if (id_ && i == *id_) {
        if (trimmed(field.text).empty()) { return wrong(field, "the id is empty"); }
        id_numbers_.push_back(ids_.number_of(trimmed(field.text)));
      } else {
        const std::optional<float> value = number_from<float>(field.text);
        if (!value || !std::isfinite(*value)) {
          return wrong(field, fmt::format("expected a finite number, found \"{}\"", printable(field.text)));
        }
        values_.push_back(*value);
      }
    }
    return ok_status();
  }

  Status read_label(const Field& field) {
    const std::string_view text = trimmed(field.text);
    if (text.empty()) { return wrong(field, "the label is empty"); }
    const std::int32_t number = labels_.number_of(text);
    if (options_.like != nullptr && static_cast<std::size_t>(number) >= options_.like->classes.size()) {
      return wrong(field, fmt::format("label \"{}\" does not occur in {}", printable(text), options_.like->data.name));
    }
    if (number >= internal::kMaxClasses) {
      return wrong(field, fmt::format("more than {} distinct labels", internal::kMaxClasses));
    }
    label_numbers_.push_back(number);
    return ok_status();
  }

  void finish_labels() {
    if (options_.like != nullptr) {  // numbered in the other table's order already
      table_.classes = options_.like->classes;
    } else {
      const std::vector<std::int32_t> ranks = labels_.ranks();
      table_.classes.resize(ranks.size());
      for (std::size_t i = 0; i < ranks.size(); ++i) {
        table_.classes[static_cast<std::size_t>(ranks[i])] = labels_.names()[i];
      }
      for (std::int32_t& number : label_numbers_) { number = ranks[static_cast<std::size_t>(number)]; }
    }
    table_.data.classes = static_cast<std::int32_t>(table_.classes.size());
    table_.data.labels = std::move(label_numbers_);
  }

  void finish_ids() {
    if (!id_) { return; }
    std::vector<std::int64_t> value_of;
    if (const auto integers = ids_.as_integers()) {
      value_of = *integers;
    } else {
      const std::vector<std::int32_t> ranks = ids_.ranks();
      value_of.assign(ranks.begin(), ranks.end());
    }
    table_.data.natural_ids.reserve(id_numbers_.size());
    for (const std::int32_t number : id_numbers_) {
      table_.data.natural_ids.push_back(value_of[static_cast<std::size_t>(number)]);
    }
  }

  Records records_;
  const std::string& name_;
  const CsvOptions& options_;
  std::vector<Field> fields_;
  std::size_t columns_ = 0;
  std::optional<std::size_t> label_;
  std::optional<std::size_t> id_;
  Names labels_;
  Names ids_;
  std::vector<std::int32_t> label_numbers_;
  std::vector<std::int32_t> id_numbers_;
  std::vector<float> values_;
  CsvTable table_;
};

}  // namespace

Result<CsvTable> parse_csv(std::string_view text, const std::string& name, const CsvOptions& options) {
  return internal::with_memory_guard(name, [&] { return TableReader(text, name, options).read(); });
}

Result<CsvTable> read_csv(FileSystem& files, const std::filesystem::path& path, const CsvOptions& options) {
  return internal::with_memory_guard(path.string(), [&]() -> Result<CsvTable> {
    TRIBUTARY_ASSIGN_OR_RETURN(const std::unique_ptr<ReadableFile> file, files.open(path));
    std::string text(file->size(), '\0');
    TRIBUTARY_RETURN_IF_ERROR(file->read(0, std::as_writable_bytes(std::span(text))));
    return parse_csv(text, path.string(), options);
  });
}

}  // namespace tributary
