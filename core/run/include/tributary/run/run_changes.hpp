// SPDX-License-Identifier: Apache-2.0
// Whether a run that is taken up again is still the one that was begun.
//
// Threads: functions of their arguments only.
#pragma once

#include <filesystem>
#include <string>

#include "tributary/base/file_system.hpp"
#include "tributary/base/status.hpp"
#include "tributary/config/configuration.hpp"

namespace tributary {

// "rounds is 20, it was 12": what of `now` decides the result and differs from the configuration that the run directory
// holds. Empty: nothing. kNotFound, kIo: of its configuration.yaml.
Result<std::string> changes_of_run(FileSystem& files, const std::filesystem::path& run_directory,
                                   const Configuration& now);

}  // namespace tributary
