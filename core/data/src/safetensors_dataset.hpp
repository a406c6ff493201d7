// SPDX-License-Identifier: Apache-2.0
// Reads a data set from a safetensors file.
//
// Tensors: `features` [samples, ...], floating or U8 (becomes value / 255); `labels` [samples], I64, I32 or U8, from 0;
//          optionally `ids` [samples], I64: whom each sample belongs to. No other tensor.
// Threads: functions without state.
// Errors:  kBadData names the file, the tensor and what is wrong.
#pragma once

#include <filesystem>

#include "tributary/base/file_system.hpp"
#include "tributary/base/status.hpp"
#include "tributary/data/dataset.hpp"
#include "tributary/data/safetensors.hpp"

namespace tributary {

Result<Dataset> read_safetensors_dataset(FileSystem& files, const std::filesystem::path& path);
Result<Dataset> read_safetensors_dataset(const SafetensorsFile& file);

}  // namespace tributary
