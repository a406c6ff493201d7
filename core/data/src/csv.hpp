// SPDX-License-Identifier: Apache-2.0
// Reads a table of numbers with a label column from a CSV file (RFC 4180: quotes, doubled quotes, LF or CRLF).
//
// Layout:  a header line with the names of the columns, then one sample per line. Every column but the label, the id
// and
//          the ignored ones is a feature and must be a finite number. Empty lines are passed over. Fields are separated
//          by commas, semicolons or tabs, whichever lets the header line hold the label column.
// Bytes:   UTF-8, or UTF-16 as spreadsheets export it; plain or gzip.
// Labels:  numbers, or any texts; their classes 0, 1, ... follow the ascending order of the distinct values. Numbers of
//          one value are one class, however they are spelled (1, 01, 1.0). Labels that are plainly the target of a
//          regression are refused; docs/data.md has the rule.
// Ids:     ordered and told apart as labels are.
// Numbers: below float32's range become 0, with a warning; above it they are refused.
// Threads: functions without state.
// Errors:  kBadData as file:line:column: what is wrong; columns count bytes, from 1.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "tributary/base/file_system.hpp"
#include "tributary/base/status.hpp"
#include "tributary/data/dataset.hpp"

namespace tributary {

struct CsvTable {
  Dataset data;
  std::vector<std::string> features;  // names of the feature columns, in their order
  std::vector<std::string> classes;   // the label of each class
  std::vector<std::string> warnings;  // for people
};

struct CsvOptions {
  std::string label_column = "label";
  std::string id_column;                    // empty: none
  std::vector<std::string> ignore_columns;  // neither features nor anything else
  // A table read before, whose columns and classes this one must share (test data). Ids and columns to ignore may be
  // missing then.
  const CsvTable* like = nullptr;
};

Result<CsvTable> read_csv(FileSystem& files, const std::filesystem::path& path, const CsvOptions& options);
// The bytes of a file. `name` stands in messages and becomes the data set's name.
Result<CsvTable> parse_csv(std::string_view bytes, const std::string& name, const CsvOptions& options);

}  // namespace tributary
