// SPDX-License-Identifier: Apache-2.0
// The SHA-256 of a file's bytes, as sha256sum prints it.
//
// Threads: a function without state. Memory: one buffer of 1 MiB.
#pragma once

#include <filesystem>

#include "tributary/base/digest.hpp"
#include "tributary/base/file_system.hpp"

namespace tributary {

Result<Digest> file_digest(FileSystem& files, const std::filesystem::path& path);

}  // namespace tributary
