// SPDX-License-Identifier: Apache-2.0
// Cuts the text of a table into records of fields (RFC 4180: quotes, doubled quotes, LF or CRLF).
//
// Errors: kBadData as file:line:column; columns count bytes, from 1.
#pragma once

#include <cstddef>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

#include "tributary/base/status.hpp"

namespace tributary::internal {

// "a comma"
[[nodiscard]] std::string_view delimiter_name(char delimiter) noexcept;

struct CsvField {
  std::string_view text;  // without quotes; valid until the next record is read
  std::size_t line = 0;
  std::size_t column = 0;
};

class CsvRecords {
 public:
  // Borrows both texts. `name` stands in messages.
  CsvRecords(std::string_view text, const std::string& name, char delimiter);

  // False at the end. Empty lines are passed over.
  Result<bool> next(std::vector<CsvField>& fields);

 private:
  [[nodiscard]] bool at_empty_line() const noexcept;
  void end_line();
  Status quoted(CsvField& field);

  std::string_view text_;
  const std::string& name_;
  char delimiter_;
  std::size_t at_ = 0;
  std::size_t line_ = 1;
  std::size_t line_start_ = 0;
  std::deque<std::string> unquoted_;  // a deque: its strings stay where they are
};

}  // namespace tributary::internal
