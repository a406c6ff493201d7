// SPDX-License-Identifier: Apache-2.0
#include "tributary/data/model_file.hpp"

#include <fmt/format.h>

#include <string>
#include <unordered_set>

#include "base/reading.hpp"
#include "base/strict_json.hpp"

namespace tributary {
namespace {

using internal::printable;

constexpr const char* kKindsKey = "tributary.kinds";
constexpr std::string_view kRunningMean = "running_mean";
constexpr std::string_view kRunningVariance = "running_variance";

// Tensors of the file that a spec can hold; a counter is none.
bool belongs_to_model(const SafetensorsTensor& tensor) noexcept {
  if (tensor.name.starts_with(kStatePrefix)) { return false; }
  return is_floating(tensor.dtype) || tensor.dtype == DType::kF8E4M3 || tensor.dtype == DType::kF8E5M2;
}

Status read_kinds(const SafetensorsFile& file, std::vector<TensorSpec>& tensors) {
  const auto text = file.metadata().find(kKindsKey);
  if (text == file.metadata().end()) { return ok_status(); }
  const std::string place = fmt::format("{}: {}", file.name(), kKindsKey);
  Result<nlohmann::json> kinds = internal::parse_strict_json(text->second, 1);
  if (!kinds.ok()) { return kinds.status().with_context(place); }
  if (!kinds->is_object()) { return bad_data(place + ": not an object"); }
  std::size_t used = 0;
  for (TensorSpec& tensor : tensors) {
    const auto kind = kinds->find(tensor.name);
    if (kind == kinds->end()) { continue; }
    ++used;
    if (*kind == kRunningMean) {
      tensor.kind = TensorKind::kRunningMean;
    } else if (*kind == kRunningVariance) {
      tensor.kind = TensorKind::kRunningVariance;
    } else {
      return bad_data(fmt::format("{}: {}: unknown kind", place, printable(tensor.name)));
    }
  }
  return used == kinds->size() ? ok_status() : bad_data(place + ": names a tensor that is not in the file");
}

Status check_against(const SafetensorsFile& file, const ParameterSpec& spec) {
  std::unordered_set<std::string_view> wanted;
  for (const TensorSpec& tensor : spec.tensors()) {
    wanted.insert(tensor.name);
    const SafetensorsTensor* stored = file.find(tensor.name);
    if (stored == nullptr) {
      return bad_data(fmt::format("{}: tensor {} of the model is missing", file.name(), printable(tensor.name)));
    }
    if (stored->shape != tensor.shape) {
      return bad_data(fmt::format("{}: tensor {} has shape {}, the model has {}", file.name(), printable(tensor.name),
                                  internal::shape_text(stored->shape), internal::shape_text(tensor.shape)));
    }
  }
  for (const SafetensorsTensor& stored : file.tensors()) {
    if (belongs_to_model(stored) && !wanted.contains(stored.name)) {
      return bad_data(fmt::format("{}: tensor {} is not in the model", file.name(), printable(stored.name)));
    }
  }
  return ok_status();
}

}  // namespace

void add_kinds(const ParameterSpec& spec, SafetensorsMetadata& metadata) {
  nlohmann::json kinds = nlohmann::json::object();
  for (const TensorSpec& tensor : spec.tensors()) {
    if (tensor.kind == TensorKind::kTrainable) { continue; }
    kinds[tensor.name] = tensor.kind == TensorKind::kRunningMean ? kRunningMean : kRunningVariance;
  }
  // Names that are not UTF-8 are refused when the header is made.
  if (!kinds.empty()) { metadata[kKindsKey] = kinds.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace); }
}

Result<std::vector<SafetensorsItem>> model_items(const ParameterSpec& spec, std::span<const float> values) {
  if (values.size() != spec.parameters()) {
    return invalid_argument(fmt::format("{} values for a model of {}", values.size(), spec.parameters()));
  }
  std::vector<SafetensorsItem> items;
  items.reserve(spec.tensors().size());
  for (std::size_t i = 0; i < spec.tensors().size(); ++i) {
    const TensorSpec& tensor = spec.tensors()[i];
    items.push_back(
        {tensor.name, DType::kF32, tensor.shape, std::as_bytes(values.subspan(spec.offset(i), tensor.elements()))});
  }
  return items;
}

Status write_model(FileSystem& files, const std::filesystem::path& path, const ParameterSpec& spec,
                   std::span<const float> values, const SafetensorsMetadata& metadata) {
  TRIBUTARY_ASSIGN_OR_RETURN(const std::vector<SafetensorsItem> items, model_items(spec, values));
  SafetensorsMetadata complete = metadata;
  add_kinds(spec, complete);
  return write_safetensors(files, path, items, complete);
}

Result<std::vector<float>> read_model(const SafetensorsFile& file, const ParameterSpec& spec) {
  return internal::with_memory_guard(file.name(), [&]() -> Result<std::vector<float>> {
    TRIBUTARY_RETURN_IF_ERROR(check_against(file, spec));
    std::vector<float> values(spec.parameters());
    for (std::size_t i = 0; i < spec.tensors().size(); ++i) {
      const SafetensorsTensor& stored = *file.find(spec.tensors()[i].name);
      TRIBUTARY_RETURN_IF_ERROR(file.read_floats(stored, std::span(values).subspan(spec.offset(i), stored.elements)));
    }
    return values;
  });
}

Result<std::vector<float>> read_model(FileSystem& files, const std::filesystem::path& path, const ParameterSpec& spec) {
  TRIBUTARY_ASSIGN_OR_RETURN(const SafetensorsFile file, SafetensorsFile::open(files, path));
  return read_model(file, spec);
}

Result<ParameterSpec> model_spec(const SafetensorsFile& file) {
  std::vector<TensorSpec> tensors;
  for (const SafetensorsTensor& stored : file.tensors()) {
    if (belongs_to_model(stored)) { tensors.push_back({stored.name, stored.shape, TensorKind::kTrainable}); }
  }
  TRIBUTARY_RETURN_IF_ERROR(read_kinds(file, tensors));
  Result<ParameterSpec> spec = ParameterSpec::create(std::move(tensors));
  return spec.ok() ? std::move(spec) : bad_data(fmt::format("{}: {}", file.name(), spec.status().message()));
}

Result<StoredModel> read_model_with_spec(FileSystem& files, const std::filesystem::path& path) {
  TRIBUTARY_ASSIGN_OR_RETURN(const SafetensorsFile file, SafetensorsFile::open(files, path));
  TRIBUTARY_ASSIGN_OR_RETURN(ParameterSpec spec, model_spec(file));
  TRIBUTARY_ASSIGN_OR_RETURN(std::vector<float> values, read_model(file, spec));
  return StoredModel{std::move(spec), std::move(values), file.metadata()};
}

}  // namespace tributary
