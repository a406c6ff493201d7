// SPDX-License-Identifier: Apache-2.0
#include "data/csv_records.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace tributary::internal {

std::string_view delimiter_name(char delimiter) noexcept {
  return delimiter == ';' ? "a semicolon" : delimiter == '\t' ? "a tab" : "a comma";
}

CsvRecords::CsvRecords(std::string_view text, const std::string& name, char delimiter)
    : text_(text), name_(name), delimiter_(delimiter) {
  if (text_.starts_with("\xEF\xBB\xBF")) { line_start_ = at_ = 3; }
}

bool CsvRecords::at_empty_line() const noexcept {
  // A line of spaces is as empty as one without; a tab may be a delimiter between empty fields.
  const std::size_t end = std::min(text_.find_first_not_of(' ', at_), text_.size());
  return end == text_.size() ? at_ < end : text_[end] == '\n' || text_.substr(end, 2) == "\r\n";
}

// A field's text points into the file, or into `unquoted_` where quotes had to be removed.
Result<bool> CsvRecords::next(std::vector<CsvField>& fields) {
  const std::array<char, 2> ends{delimiter_, '\n'};
  fields.clear();
  unquoted_.clear();
  while (at_ < text_.size() && at_empty_line()) {
    at_ = std::min(text_.find_first_not_of(' ', at_), text_.size());
    end_line();
  }
  if (at_ >= text_.size()) { return false; }
  for (;;) {
    fields.push_back({{}, line_, at_ - line_start_ + 1});
    if (text_[at_] == '"') {
      TRIBUTARY_RETURN_IF_ERROR(quoted(fields.back()));
    } else {
      const std::size_t end =
          std::min(text_.find_first_of(std::string_view(ends.data(), ends.size()), at_), text_.size());
      std::string_view content = text_.substr(at_, end - at_);
      if (content.ends_with('\r') && (end == text_.size() || text_[end] == '\n')) { content.remove_suffix(1); }
      fields.back().text = content;
      at_ = end;
    }
    if (at_ < text_.size() && text_[at_] == delimiter_) {
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

void CsvRecords::end_line() {
  if (at_ < text_.size() && text_[at_] == '\r') { ++at_; }
  if (at_ < text_.size() && text_[at_] == '\n') {
    ++at_;
    ++line_;
    line_start_ = at_;
  }
}

// at_ is at the opening quote; afterwards behind the closing one.
Status CsvRecords::quoted(CsvField& field) {
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
  if (!rest.empty() && rest[0] != delimiter_ && rest[0] != '\n' && rest != "\r\n" && rest != "\r") {
    return bad_data(fmt::format("{}:{}:{}: expected {} or the end of the line after the closing quote", name_, line_,
                                at_ - line_start_ + 1, delimiter_name(delimiter_)));
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

}  // namespace tributary::internal
