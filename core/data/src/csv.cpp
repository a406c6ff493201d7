// SPDX-License-Identifier: Apache-2.0
#include "csv.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <optional>
#include <unordered_set>

#include "base/decimal_number.hpp"
#include "base/reading.hpp"
#include "base/utf8.hpp"
#include "base/words.hpp"
#include "class_labels.hpp"
#include "column_values.hpp"
#include "config/number_advice.hpp"
#include "data/csv_records.hpp"
#include "data/table_text.hpp"

namespace tributary {
namespace {

using internal::ColumnValues;
using internal::CsvField;
using internal::CsvRecords;
using internal::printable;
using internal::trimmed;

constexpr std::array<char, 3> kDelimiters{',', ';', '\t'};

// All of them, but for very wide tables the first and the last, where labels are.
std::string list_columns(const std::vector<CsvField>& header) {
  constexpr std::size_t kAtEachEnd = 50;
  std::vector<std::string> shown;
  for (std::size_t i = 0; i < header.size(); ++i) {
    if (header.size() > 2 * kAtEachEnd && i == kAtEachEnd) {
      shown.push_back(fmt::format("... ({} more) ...", header.size() - 2 * kAtEachEnd));
      i = header.size() - kAtEachEnd;
    }
    shown.push_back(printable(trimmed(header[i].text)));
  }
  return fmt::format("{}", fmt::join(shown, ", "));
}

bool holds(const std::vector<CsvField>& header, std::string_view column) {
  return std::any_of(header.begin(), header.end(), [&](const CsvField& f) { return trimmed(f.text) == column; });
}

// The delimiter that makes the label a column of its own; if none does, the one that makes the most columns.
char delimiter_of(std::string_view text, const std::string& name, const std::string& label_column) {
  char best = kDelimiters.front();
  std::size_t most = 0;
  for (const char delimiter : kDelimiters) {
    CsvRecords records(text, name, delimiter);  // holds what was quoted as long as the fields are looked at
    std::vector<CsvField> header;
    const Result<bool> more = records.next(header);
    if (!more.ok() || !*more) { continue; }
    if (header.size() > 1 && holds(header, label_column)) { return delimiter; }
    if (header.size() > most) {
      most = header.size();
      best = delimiter;
    }
  }
  return best;
}

class TableReader {
 public:
  TableReader(std::string_view text, const std::string& name, const CsvOptions& options)
      : records_(text, name, delimiter_of(text, name, options.label_column)), name_(name), options_(options) {
    if (options.like != nullptr) { known_labels_.emplace(options.like->classes); }
  }

  Result<CsvTable> read() {
    TRIBUTARY_RETURN_IF_ERROR(read_columns());
    for (;;) {
      TRIBUTARY_ASSIGN_OR_RETURN(const bool more, records_.next(fields_));
      if (!more) { break; }
      TRIBUTARY_RETURN_IF_ERROR(read_sample());
    }
    if (label_numbers_.empty()) { return bad_data(fmt::format("{}: has no samples after its header line", name_)); }
    TRIBUTARY_RETURN_IF_ERROR(finish_labels());
    TRIBUTARY_RETURN_IF_ERROR(finish_ids());
    note_vanished();
    table_.data.name = name_;
    table_.data.feature_names = table_.features;
    table_.data.sample_shape = {static_cast<std::int64_t>(table_.features.size())};
    table_.data.features = std::move(values_);
    TRIBUTARY_RETURN_IF_ERROR(table_.data.check());
    return std::move(table_);
  }

 private:
  enum class Use : std::uint8_t { kFeature, kLabel, kId, kIgnored };

  Status wrong(ColumnValues::Place place, std::string_view what) const {
    return bad_data(fmt::format("{}:{}:{}: {}", name_, place.line, place.column, what));
  }
  Status wrong(const CsvField& field, std::string_view what) const {
    return wrong(ColumnValues::Place{field.line, field.column}, what);
  }

  Status missing_column(std::string_view key, const std::string& column) const {
    std::vector<std::string> names;
    for (const CsvField& field : fields_) { names.emplace_back(trimmed(field.text)); }
    const std::vector<std::string_view> views(names.begin(), names.end());
    const std::string_view near = internal::nearest_word(column, views);
    return bad_data(
        fmt::format("{}:1: there is no column {}, which {} names{}; the columns are {}", name_, printable(column), key,
                    near.empty() ? "" : fmt::format(" (did you mean {}?)", printable(near)), list_columns(fields_)));
  }

  [[nodiscard]] bool is_ignored(std::string_view column) const {
    const auto& ignored = options_.ignore_columns;
    return std::find(ignored.begin(), ignored.end(), column) != ignored.end();
  }

  [[nodiscard]] Use use_of(std::string_view column) const {
    if (column == options_.label_column) { return Use::kLabel; }
    if (!options_.id_column.empty() && column == options_.id_column) {
      // Nobody asks whose test samples are, so they need not belong to anybody.
      return options_.like != nullptr ? Use::kIgnored : Use::kId;
    }
    return is_ignored(column) ? Use::kIgnored : Use::kFeature;
  }

  // Index columns and delimiters too many make most of them.
  Status nameless_column(const CsvField& field) const {
    const std::size_t number = static_cast<std::size_t>(&field - fields_.data()) + 1;
    if (number == 1) {
      return wrong(field,
                   "the first column has no name; pandas writes its row numbers so: use to_csv(index=False), or give "
                   "the column a name and list it in data.ignore_columns");
    }
    return wrong(field,
                 fmt::format("column {} of {} has no name; {}", number, fields_.size(),
                             number == fields_.size() ? "name it, or remove the delimiter at the end of each line"
                                                      : "name it in the header line"));
  }

  Status read_columns() {
    TRIBUTARY_ASSIGN_OR_RETURN(const bool more, records_.next(fields_));
    if (!more) { return bad_data(fmt::format("{}: is empty, expected a header line", name_)); }
    std::unordered_set<std::string_view> seen;
    for (const CsvField& field : fields_) {
      const std::string column(trimmed(field.text));
      if (column.empty()) { return nameless_column(field); }
      TRIBUTARY_RETURN_IF_ERROR(check_name(field, "column name"));
      if (!seen.insert(trimmed(field.text)).second) {
        return wrong(field, fmt::format("two columns are named {}", printable(column)));
      }
      if (column == options_.label_column && column == options_.id_column) {
        return wrong(field,
                     fmt::format("the column {} is named by data.label_column and by data.id_column; it can only "
                                 "be one",
                                 printable(column)));
      }
      uses_.push_back(use_of(column));
      if ((uses_.back() == Use::kLabel || uses_.back() == Use::kId) && is_ignored(column)) {
        return wrong(field, fmt::format("the column {} is named by data.ignore_columns and by {}; it can only be one",
                                        printable(column),
                                        uses_.back() == Use::kLabel ? "data.label_column" : "data.id_column"));
      }
      names_.push_back(column);
      if (uses_.back() == Use::kFeature) { table_.features.push_back(column); }
    }
    if (!seen.contains(options_.label_column)) { return missing_column("data.label_column", options_.label_column); }
    if (options_.like == nullptr) {
      if (!options_.id_column.empty() && !seen.contains(options_.id_column)) {
        return missing_column("data.id_column", options_.id_column);
      }
      for (const std::string& column : options_.ignore_columns) {
        if (!seen.contains(column)) { return missing_column("data.ignore_columns", column); }
      }
    }
    if (table_.features.empty()) { return bad_data(fmt::format("{}:1: there is no feature column", name_)); }
    return options_.like != nullptr ? check_features() : ok_status();
  }

  // Against the table that was read before.
  Status check_features() const {
    const std::vector<std::string>& wanted = options_.like->features;
    const std::string& other = options_.like->data.name;
    if (table_.features == wanted) { return ok_status(); }
    const auto lacks = [&](const std::vector<std::string>& in, const std::vector<std::string>& of) {
      return std::find_if(of.begin(), of.end(),
                          [&](const std::string& c) { return std::find(in.begin(), in.end(), c) == in.end(); });
    };
    if (const auto lost = lacks(table_.features, wanted); lost != wanted.end()) {
      return bad_data(fmt::format("{}:1: there is no column {}, a feature of {}", name_, printable(*lost), other));
    }
    if (const auto added = lacks(wanted, table_.features); added != table_.features.end()) {
      return bad_data(
          fmt::format("{}:1: the column {} is no feature of {}; if it is none here either, name it in "
                      "data.ignore_columns",
                      name_, printable(*added), other));
    }
    return bad_data(fmt::format("{}:1: the feature columns stand in another order than in {}", name_, other));
  }

  Status read_sample() {
    if (fields_.size() != uses_.size()) {
      return wrong(fields_.front(), fmt::format("{} fields, the header line has {}", fields_.size(), uses_.size()));
    }
    if (label_numbers_.size() == std::numeric_limits<std::uint32_t>::max()) {
      return wrong(fields_.front(), "more samples than 4294967295");
    }
    for (std::size_t i = 0; i < uses_.size(); ++i) {
      const CsvField& field = fields_[i];
      switch (uses_[i]) {
        case Use::kFeature:
          TRIBUTARY_RETURN_IF_ERROR(read_feature(field, names_[i]));
          break;
        case Use::kLabel:
          TRIBUTARY_RETURN_IF_ERROR(read_label(field));
          break;
        case Use::kId:
          if (trimmed(field.text).empty()) {
            return wrong(field, fmt::format("column {}: the id is missing; fill it in, or leave the line out",
                                            printable(names_[i])));
          }
          TRIBUTARY_RETURN_IF_ERROR(check_name(field, "id"));
          id_numbers_.push_back(ids_.number_of(trimmed(field.text), {field.line, field.column}));
          break;
        case Use::kIgnored:
          break;
      }
    }
    return ok_status();
  }

  Status read_feature(const CsvField& field, const std::string& column) {
    std::errc error{};
    const std::optional<float> value = internal::read_number<float>(field.text, error);
    if (value && std::isfinite(*value)) {
      values_.push_back(*value);
      return ok_status();
    }
    const std::string text(trimmed(field.text));
    if (error == std::errc::result_out_of_range) {
      if (std::abs(std::strtod(text.c_str(), nullptr)) > 1.0) {
        return wrong(field, fmt::format("column {}: {} is beyond the range of float32, which ends at {:g}; scale the "
                                        "column",
                                        printable(column), printable(text), std::numeric_limits<float>::max()));
      }
      if (vanished_++ == 0) { first_vanished_ = fmt::format("{}:{}:{}: {}", name_, field.line, field.column, text); }
      values_.push_back(0.0F);
      return ok_status();
    }
    if (text.empty() || (!(value && std::isinf(*value)) && internal::stands_for_nothing(text))) {
      return wrong(field,
                   fmt::format("column {}: a value is missing{}; fill it in, leave the line out or, if the column "
                               "is no feature, name it in data.ignore_columns",
                               printable(column),
                               text.empty() ? "" : fmt::format(" (\"{}\" stands for none)", printable(text))));
    }
    std::string advice = internal::number_advice(text);
    if (advice.empty() && !value) {
      advice =
          "if the column is no feature, name it in data.ignore_columns or, if it says whose sample it is, in "
          "data.id_column";
    }
    return wrong(field, fmt::format("column {}: expected a finite number, found \"{}\"{}{}", printable(column),
                                    printable(text), advice.empty() ? "" : "; ", advice));
  }

  // Names of columns, classes and ids are shown and kept: bytes that are no characters would make different ones alike.
  Status check_name(const CsvField& field, std::string_view what) const {
    if (internal::is_utf8(field.text)) { return ok_status(); }
    return wrong(field,
                 fmt::format("the {} \"{}\" is not UTF-8 text; save the file as UTF-8 (spreadsheets call it \"CSV "
                             "UTF-8\")",
                             what, printable(field.text)));
  }

  Status read_label(const CsvField& field) {
    TRIBUTARY_RETURN_IF_ERROR(check_name(field, "label"));
    const std::string_view text = trimmed(field.text);
    if (text.empty()) {
      return wrong(field, fmt::format("column {}: the label is missing; fill it in, or leave the line out",
                                      printable(options_.label_column)));
    }
    if (known_labels_) {
      const std::optional<std::int32_t> label = known_labels_->find(text);
      if (!label) {
        return wrong(field,
                     fmt::format("label \"{}\" does not occur in {}", printable(text), options_.like->data.name));
      }
      label_numbers_.push_back(*label);
      return ok_status();
    }
    const std::int32_t number = labels_.number_of(text, {field.line, field.column});
    if (number >= internal::kMaxClasses) {
      return wrong(field, fmt::format("more than {} distinct labels", internal::kMaxClasses));
    }
    label_numbers_.push_back(number);
    return ok_status();
  }

  Status refuse_missing(const ColumnValues& values, std::string_view what) const {
    const ColumnValues::Value* missing = values.missing_value();
    if (missing == nullptr) { return ok_status(); }
    return wrong(missing->place, fmt::format("the {} \"{}\" stands for none, as all others are numbers; leave samples "
                                             "without {} {} out",
                                             what, printable(missing->text), what == "id" ? "an" : "a", what));
  }

  Status refuse_beyond_range(const ColumnValues& values, std::string_view what) const {
    const ColumnValues::Value* beyond = values.value_beyond_range();
    if (beyond == nullptr) { return ok_status(); }
    return wrong(beyond->place, fmt::format("the {} {} is beyond the range of float64, and cannot be ordered among the "
                                            "others, which are numbers; write a number within it, or words for all",
                                            what, printable(beyond->text)));
  }

  Status refuse_regression(const ColumnValues::Order& order) const {
    if (order.numbers.empty()) { return ok_status(); }
    const auto fraction = std::find_if(order.numbers.begin(), order.numbers.end(),
                                       [](const internal::DecimalNumber& number) { return !number.is_whole(); });
    const internal::LabelFacts facts{.samples = label_numbers_.size(),
                                     .values = order.names.size(),
                                     .has_fraction = fraction != order.numbers.end(),
                                     .least = order.numbers.front().value(),
                                     .greatest = order.numbers.back().value()};
    if (!internal::is_regression_target(facts)) { return ok_status(); }
    const std::string& example =
        facts.has_fraction ? order.names[static_cast<std::size_t>(fraction - order.numbers.begin())] : order.names[0];
    return bad_data(
        fmt::format("{}: the column {} looks like the target of a regression: {} different numbers, such as "
                    "{}, in {} samples. Only classifiers are trained: name a column of classes in "
                    "data.label_column, or sort the numbers into classes first",
                    name_, printable(options_.label_column), facts.values, printable(example), facts.samples));
  }

  // Among words such a label may be a class, but a spreadsheet or R may also have written it for an empty cell.
  void warn_of_words_for_nothing(const ColumnValues::Order& order) {
    if (!order.numbers.empty()) { return; }
    for (const ColumnValues::Value& value : labels_.values()) {
      if (!internal::stands_for_nothing(value.text)) { continue; }
      table_.warnings.push_back(fmt::format(
          "{}:{}:{}: the label \"{}\" is taken for a class of its own; if it says that there is no label, leave "
          "such lines out",
          name_, value.place.line, value.place.column, printable(value.text)));
    }
  }

  Status finish_labels() {
    if (options_.like != nullptr) {  // numbered in the other table's order already
      table_.classes = options_.like->classes;
    } else {
      TRIBUTARY_RETURN_IF_ERROR(refuse_missing(labels_, "label"));
      TRIBUTARY_RETURN_IF_ERROR(refuse_beyond_range(labels_, "label"));
      ColumnValues::Order order = labels_.order();
      TRIBUTARY_RETURN_IF_ERROR(refuse_regression(order));
      warn_of_words_for_nothing(order);
      for (std::int32_t& number : label_numbers_) { number = order.rank_of[static_cast<std::size_t>(number)]; }
      table_.classes = std::move(order.names);
    }
    table_.data.classes = static_cast<std::int32_t>(table_.classes.size());
    bool named = false;
    for (std::size_t i = 0; i < table_.classes.size(); ++i) { named = named || table_.classes[i] != fmt::to_string(i); }
    if (named) { table_.data.class_names = table_.classes; }
    table_.data.labels = std::move(label_numbers_);
    return ok_status();
  }

  Status finish_ids() {
    if (id_numbers_.empty()) { return ok_status(); }
    TRIBUTARY_RETURN_IF_ERROR(refuse_missing(ids_, "id"));
    TRIBUTARY_RETURN_IF_ERROR(refuse_beyond_range(ids_, "id"));
    ColumnValues::Order order = ids_.order();
    table_.data.natural_ids.reserve(id_numbers_.size());
    for (const std::int32_t number : id_numbers_) {
      table_.data.natural_ids.push_back(order.rank_of[static_cast<std::size_t>(number)]);
    }
    table_.data.id_names = std::move(order.names);
    return ok_status();
  }

  void note_vanished() {
    if (vanished_ == 0) { return; }
    table_.warnings.push_back(fmt::format("{}: nearer to 0 than float32 can tell, and read as 0{}", first_vanished_,
                                          vanished_ == 1 ? "" : fmt::format("; so are {} more values", vanished_ - 1)));
  }

  CsvRecords records_;
  const std::string& name_;
  const CsvOptions& options_;
  std::vector<CsvField> fields_;
  std::vector<Use> uses_;           // by column
  std::vector<std::string> names_;  // by column
  std::optional<internal::KnownValues> known_labels_;
  ColumnValues labels_;
  ColumnValues ids_;
  std::vector<std::int32_t> label_numbers_;
  std::vector<std::int32_t> id_numbers_;
  std::vector<float> values_;
  std::size_t vanished_ = 0;
  std::string first_vanished_;
  CsvTable table_;
};

Result<CsvTable> read_from(const ReadableFile& file, const std::string& name, const CsvOptions& options) {
  return internal::with_memory_guard(name, [&]() -> Result<CsvTable> {
    TRIBUTARY_ASSIGN_OR_RETURN(const std::string text, internal::read_table_text(file, name));
    return TableReader(text, name, options).read();
  });
}

}  // namespace

Result<CsvTable> parse_csv(std::string_view bytes, const std::string& name, const CsvOptions& options) {
  return read_from(*readable_bytes(std::as_bytes(std::span(bytes)), name), name, options);
}

Result<CsvTable> read_csv(FileSystem& files, const std::filesystem::path& path, const CsvOptions& options) {
  TRIBUTARY_ASSIGN_OR_RETURN(const std::unique_ptr<ReadableFile> file, files.open(path));
  return read_from(*file, path.string(), options);
}

}  // namespace tributary
