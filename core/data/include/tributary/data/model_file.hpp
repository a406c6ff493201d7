// SPDX-License-Identifier: Apache-2.0
// A model's values as a safetensors file, one tensor per entry of its ParameterSpec, readable by PyTorch and others.
//
// Kinds:     what is not trainable is named in the metadata key "tributary.kinds", so that the spec can be rebuilt.
// Reading:   F16, BF16 and F64 become float32. Integer tensors (a batch counter) are passed over: they are no part of a
//            spec. Any other tensor too many, one missing or one of another shape is kBadData and named.
//            What a checkpoint holds beside its model, tensors whose names begin with kStatePrefix, is passed over too.
// Threads:   functions without state.
#pragma once

#include <filesystem>
#include <span>
#include <vector>

#include "tributary/base/file_system.hpp"
#include "tributary/base/status.hpp"
#include "tributary/data/safetensors.hpp"
#include "tributary/nodes/parameter_spec.hpp"

namespace tributary {

inline constexpr std::string_view kStatePrefix = "tributary.state/";

// Atomically. kInvalidArgument: values.size() != spec.parameters(). The same arguments give the same bytes.
Status write_model(FileSystem& files, const std::filesystem::path& path, const ParameterSpec& spec,
                   std::span<const float> values, const SafetensorsMetadata& metadata = {});

// The values in the order of `spec`, read into place.
Result<std::vector<float>> read_model(FileSystem& files, const std::filesystem::path& path, const ParameterSpec& spec);
Result<std::vector<float>> read_model(const SafetensorsFile& file, const ParameterSpec& spec);

// What the file says about itself: tensors in the order of their bytes.
Result<ParameterSpec> model_spec(const SafetensorsFile& file);

struct StoredModel {
  ParameterSpec spec;
  std::vector<float> values;
  SafetensorsMetadata metadata;
};

Result<StoredModel> read_model_with_spec(FileSystem& files, const std::filesystem::path& path);

// The tensors and metadata that write_model() writes; borrows `values`.
Result<std::vector<SafetensorsItem>> model_items(const ParameterSpec& spec, std::span<const float> values);
void add_kinds(const ParameterSpec& spec, SafetensorsMetadata& metadata);

}  // namespace tributary
