// SPDX-License-Identifier: Apache-2.0
// Reads IDX files, the format of MNIST and Fashion-MNIST (http://yann.lecun.com/exdb/mnist), plain or gzip.
//
// Layout:  2 zero bytes, element type (only 0x08, unsigned byte), number of dimensions, each dimension as 4 bytes
//          big-endian, then the values, row-major.
// Threads: functions without state.
// Errors:  kBadData: damaged, or of another size than announced. No more memory is taken than the file can fill: a gzip
//          file that unpacks to more than its header announces is refused at the first byte too many.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "tributary/base/file_system.hpp"
#include "tributary/base/status.hpp"
#include "tributary/data/dataset.hpp"

namespace tributary {

struct IdxArray {
  std::vector<std::int64_t> shape;  // 1 to 8 dimensions
  std::vector<std::uint8_t> values;
};

Result<IdxArray> read_idx(FileSystem& files, const std::filesystem::path& path);
// `name` stands in messages.
Result<IdxArray> parse_idx(std::span<const std::byte> bytes, const std::string& name);

// Images and their labels. Values become value / 255; grey images get a channel dimension: {1, height, width}.
Result<Dataset> read_idx_dataset(FileSystem& files, const std::filesystem::path& images,
                                 const std::filesystem::path& labels, std::string name);

}  // namespace tributary
