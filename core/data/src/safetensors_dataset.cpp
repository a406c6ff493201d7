// SPDX-License-Identifier: Apache-2.0
#include "safetensors_dataset.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <string_view>

#include "base/reading.hpp"
#include "class_labels.hpp"

namespace tributary {
namespace {

Result<const SafetensorsTensor*> required(const SafetensorsFile& file, const std::string& name) {
  const SafetensorsTensor* tensor = file.find(name);
  if (tensor == nullptr) { return bad_data(fmt::format("{}: tensor {} is missing", file.name(), name)); }
  return tensor;
}

template <typename T>
Result<std::vector<T>> values_of(const SafetensorsFile& file, const SafetensorsTensor& tensor) {
  std::vector<T> values(tensor.elements);
  TRIBUTARY_RETURN_IF_ERROR(file.read(tensor.offset, std::as_writable_bytes(std::span(values))));
  return values;
}

Status wrong_type(const SafetensorsFile& file, const SafetensorsTensor& tensor, std::string_view wanted) {
  return bad_data(
      fmt::format("{}: tensor {} is {}, expected {}", file.name(), tensor.name, to_string(tensor.dtype), wanted));
}

Status check_one_per_sample(const SafetensorsFile& file, const SafetensorsTensor& tensor, std::int64_t samples) {
  if (tensor.shape == std::vector<std::int64_t>{samples}) { return ok_status(); }
  return bad_data(fmt::format("{}: tensor {} has shape {}, expected [{}] as features has", file.name(), tensor.name,
                              internal::shape_text(tensor.shape), samples));
}

template <typename T>
Status take_labels(const SafetensorsFile& file, const SafetensorsTensor& tensor, Dataset& data) {
  TRIBUTARY_ASSIGN_OR_RETURN(const std::vector<T> values, values_of<T>(file, tensor));
  data.labels.reserve(values.size());
  for (std::size_t i = 0; i < values.size(); ++i) {
    const auto label = static_cast<std::int64_t>(values[i]);
    if (label < 0 || label >= internal::kMaxClasses) {
      return bad_data(fmt::format("{}: labels: sample {} has label {}, expected 0 to {}", file.name(), i, label,
                                  internal::kMaxClasses - 1));
    }
    data.labels.push_back(static_cast<std::int32_t>(label));
    data.classes = std::max(data.classes, data.labels.back() + 1);
  }
  return ok_status();
}

// Numbers of classes leave few gaps; the prices of houses do.
Status refuse_regression(const SafetensorsFile& file, const Dataset& data) {
  std::vector<bool> occurs(static_cast<std::size_t>(data.classes));
  for (const std::int32_t label : data.labels) { occurs[static_cast<std::size_t>(label)] = true; }
  const auto first = std::find(occurs.begin(), occurs.end(), true);
  const internal::LabelFacts facts{.samples = data.labels.size(),
                                   .values = static_cast<std::size_t>(std::count(occurs.begin(), occurs.end(), true)),
                                   .has_fraction = false,
                                   .least = static_cast<double>(first - occurs.begin()),
                                   .greatest = static_cast<double>(data.classes) - 1.0};
  if (!internal::is_regression_target(facts)) { return ok_status(); }
  return bad_data(
      fmt::format("{}: the tensor labels looks like the target of a regression: {} different numbers up to "
                  "{} in {} samples. Only classifiers are trained: number the classes from 0",
                  file.name(), facts.values, data.classes - 1, facts.samples));
}

Status read_labels(const SafetensorsFile& file, const SafetensorsTensor& tensor, Dataset& data) {
  switch (tensor.dtype) {
    case DType::kI64:
      return take_labels<std::int64_t>(file, tensor, data);
    case DType::kI32:
      return take_labels<std::int32_t>(file, tensor, data);
    case DType::kU8:
      return take_labels<std::uint8_t>(file, tensor, data);
    default:
      return wrong_type(file, tensor, "I64, I32 or U8: the numbers of classes, from 0");
  }
}

Status read_features(const SafetensorsFile& file, const SafetensorsTensor& tensor, Dataset& data) {
  if (tensor.dtype == DType::kU8) {
    TRIBUTARY_ASSIGN_OR_RETURN(data.features, values_of<std::uint8_t>(file, tensor));
    data.scale = 1.0F / 255.0F;
    return ok_status();
  }
  if (!is_floating(tensor.dtype)) { return wrong_type(file, tensor, "F32, F16, BF16, F64 or U8"); }
  std::vector<float> values(tensor.elements);
  TRIBUTARY_RETURN_IF_ERROR(file.read_floats(tensor, values));
  data.features = std::move(values);
  return ok_status();
}

}  // namespace

Result<Dataset> read_safetensors_dataset(const SafetensorsFile& file) {
  return internal::with_memory_guard(file.name(), [&]() -> Result<Dataset> {
    TRIBUTARY_ASSIGN_OR_RETURN(const SafetensorsTensor* features, required(file, "features"));
    TRIBUTARY_ASSIGN_OR_RETURN(const SafetensorsTensor* labels, required(file, "labels"));
    const SafetensorsTensor* ids = file.find("ids");
    for (const SafetensorsTensor& tensor : file.tensors()) {
      if (&tensor != features && &tensor != labels && &tensor != ids) {
        return bad_data(fmt::format("{}: unknown tensor {}; a data set has features, labels and perhaps ids",
                                    file.name(), internal::printable(tensor.name)));
      }
    }
    if (features->shape.size() < 2) {
      return bad_data(fmt::format("{}: tensor features has shape {}, expected [samples, ...]", file.name(),
                                  internal::shape_text(features->shape)));
    }
    const std::int64_t samples = features->shape.front();
    TRIBUTARY_RETURN_IF_ERROR(check_one_per_sample(file, *labels, samples));
    Dataset data;
    data.name = file.name();
    data.sample_shape.assign(features->shape.begin() + 1, features->shape.end());
    TRIBUTARY_RETURN_IF_ERROR(read_labels(file, *labels, data));
    TRIBUTARY_RETURN_IF_ERROR(refuse_regression(file, data));
    TRIBUTARY_RETURN_IF_ERROR(read_features(file, *features, data));
    if (ids != nullptr) {
      TRIBUTARY_RETURN_IF_ERROR(check_one_per_sample(file, *ids, samples));
      if (ids->dtype != DType::kI64) { return wrong_type(file, *ids, "I64"); }
      TRIBUTARY_ASSIGN_OR_RETURN(data.natural_ids, values_of<std::int64_t>(file, *ids));
    }
    TRIBUTARY_RETURN_IF_ERROR(data.check());
    return data;
  });
}

Result<Dataset> read_safetensors_dataset(FileSystem& files, const std::filesystem::path& path) {
  TRIBUTARY_ASSIGN_OR_RETURN(const SafetensorsFile file, SafetensorsFile::open(files, path));
  return read_safetensors_dataset(file);
}

}  // namespace tributary
