// SPDX-License-Identifier: Apache-2.0
// What is written from the records of a run after it, or while it still goes on.
#pragma once

#include <filesystem>

#include "tributary/core/status.hpp"

namespace tributary::cli {

// The page `file` from a run directory; replaced as a whole.
Status write_report(const std::filesystem::path& run_directory, const std::filesystem::path& file);

// records.csv beside records.jsonl: one row per round.
Status write_csv(const std::filesystem::path& run_directory);

}  // namespace tributary::cli
