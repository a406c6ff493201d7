// SPDX-License-Identifier: Apache-2.0
#include "tributary/base/file_digest.hpp"

#include <algorithm>
#include <vector>

namespace tributary {

Result<Digest> file_digest(FileSystem& files, const std::filesystem::path& path) {
  constexpr std::uint64_t kBuffer = std::uint64_t{1} << 20U;
  TRIBUTARY_ASSIGN_OR_RETURN(const std::unique_ptr<ReadableFile> file, files.open(path));
  std::vector<std::byte> buffer(std::min(kBuffer, file->size()));
  Hasher hasher;
  for (std::uint64_t offset = 0; offset < file->size(); offset += buffer.size()) {
    const auto part = std::span(buffer).first(std::min<std::uint64_t>(buffer.size(), file->size() - offset));
    TRIBUTARY_RETURN_IF_ERROR(file->read(offset, part));
    hasher.update(part);
  }
  return hasher.finish();
}

}  // namespace tributary
