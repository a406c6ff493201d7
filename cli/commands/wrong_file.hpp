// SPDX-License-Identifier: Apache-2.0
// Files and directories that were given in place of others: what they are, and what is done with them.
//
// Threads: one thread.
#pragma once

#include <filesystem>
#include <string_view>

#include "tributary/base/status.hpp"

namespace tributary::cli {

// For what was given as a configuration and cannot be read as one: an error that says what it is, or success if
// nothing is known of it.
[[nodiscard]] Status check_is_no_other_file(const std::filesystem::path& given);

// For what was given as a run directory: an error if it is none that holds a run. `asked`: before the text; of an
// option, its name.
[[nodiscard]] Status check_is_run_directory(const std::filesystem::path& given, std::string_view asked = {});

}  // namespace tributary::cli
