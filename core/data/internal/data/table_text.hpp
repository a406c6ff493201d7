// SPDX-License-Identifier: Apache-2.0
// The text of a table, whatever a spreadsheet or a script has made of it: gzip is unpacked, UTF-16 becomes UTF-8, bare
// carriage returns become line feeds. Other formats are named.
//
// Memory: a gzip file may unpack to 200 times its size, or to 64 MiB if that is more; beyond that it is refused.
#pragma once

#include <string>
#include <string_view>

#include "tributary/base/file_system.hpp"
#include "tributary/base/status.hpp"

namespace tributary::internal {

Result<std::string> read_table_text(const ReadableFile& file, const std::string& name);

}  // namespace tributary::internal
