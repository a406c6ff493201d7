// SPDX-License-Identifier: Apache-2.0
// Any text as a CSV table, and the same again as test data of itself.
#include <cstdlib>
#include <string_view>

#include "csv.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  tributary::CsvOptions options;
  options.id_column = text.find("who") == std::string_view::npos ? "" : "who";
  const auto table = tributary::parse_csv(text, "fuzz", options);
  if (!table.ok()) { return 0; }
  options.like = &*table;
  const auto again = tributary::parse_csv(text, "fuzz", options);
  if (!again.ok() || again->data.labels != table->data.labels || !again->data.check().ok()) { std::abort(); }
  return 0;
}
