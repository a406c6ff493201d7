// SPDX-License-Identifier: Apache-2.0
// Reads a table of numbers with a label column from a CSV file (RFC 4180: quotes, doubled quotes, LF or CRLF).
//
// Layout:  a header line with the names of the columns, then one sample per line. Every column but the label and the id
//          is a feature and must be a finite number. Empty lines are passed over.
// Labels:  whole numbers, or any texts; their classes 0, 1, ... follow the ascending order of the distinct values.
// Ids:     whole numbers are kept; texts are numbered in ascending order.
// Threads: functions without state.
// Errors:  kBadData as file:line:column: what is wrong; columns count bytes, from 1.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "tributary/core/dataset.hpp"
#include "tributary/core/file_system.hpp"
#include "tributary/core/status.hpp"

namespace tributary {

struct CsvTable {
  Dataset data;
  std::vector<std::string> features;  // names of the feature columns, in their order
  std::vector<std::string> classes;   // the label of each class
};

struct CsvOptions {
  std::string label_column = "label";
  std::string id_column;           // empty: none
  const CsvTable* like = nullptr;  // a table read before, whose columns and classes this one must share (test data)
};

Result<CsvTable> read_csv(FileSystem& files, const std::filesystem::path& path, const CsvOptions& options);
// `name` stands in messages and becomes the data set's name.
Result<CsvTable> parse_csv(std::string_view text, const std::string& name, const CsvOptions& options);

}  // namespace tributary
