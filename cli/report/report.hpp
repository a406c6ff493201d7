// SPDX-License-Identifier: Apache-2.0
// What is written from the records of a run after it, or while it still goes on.
#pragma once

#include <filesystem>

#include "tributary/base/status.hpp"
#include "tributary/config/configuration.hpp"

namespace tributary::cli {

// The page `file` from a run directory; replaced as a whole.
Status write_report(const std::filesystem::path& run_directory, const std::filesystem::path& file);

// records.csv beside records.jsonl: one row per round; replaced as a whole.
Status write_csv(const std::filesystem::path& run_directory);

// Both, as the configuration wants them.
Status write_presentations(const Configuration& configuration, const std::filesystem::path& run_directory);

// The same if one of them is missing, or shows an earlier part of the run: it was killed between its last record and
// them.
Status complete_presentations(const Configuration& configuration, const std::filesystem::path& run_directory);

}  // namespace tributary::cli
