// SPDX-License-Identifier: Apache-2.0
// Files and directories that were given in place of others: what they are, and what is done with them.
//
// Threads: one thread.
#pragma once

#include <filesystem>

#include "tributary/base/status.hpp"

namespace tributary::cli {

// For what was given as a configuration and cannot be read as one: an error that says what it is, or success if
// nothing is known of it.
[[nodiscard]] Status check_is_no_other_file(const std::filesystem::path& given);

// For what was given to --resume: an error if it is no directory that holds a run.
[[nodiscard]] Status check_is_run_directory(const std::filesystem::path& given);

}  // namespace tributary::cli
