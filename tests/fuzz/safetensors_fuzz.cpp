// SPDX-License-Identifier: Apache-2.0
// Any bytes as a safetensors file: header, every tensor as float32, as a model, as a data set.
#include <algorithm>
#include <cstdlib>

#include "safetensors_dataset.hpp"
#include "tributary/data/model_file.hpp"
#include "tributary/data/safetensors.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace tributary;
  const Result<SafetensorsFile> file = SafetensorsFile::parse(std::as_bytes(std::span(data, size)), "fuzz");
  if (!file.ok()) { return 0; }
  std::uint64_t bytes = 0;
  for (const SafetensorsTensor& tensor : file->tensors()) {
    bytes += tensor.bytes;
    std::vector<float> values(tensor.elements);
    if (file->read_floats(tensor, values).ok() != is_floating(tensor.dtype)) { std::abort(); }
    if (file->find(tensor.name) != &tensor) { std::abort(); }
  }
  if (bytes != file->data_bytes()) { std::abort(); }
  const Result<ParameterSpec> spec = model_spec(*file);
  const bool all_floating = std::all_of(file->tensors().begin(), file->tensors().end(),
                                        [](const SafetensorsTensor& tensor) { return is_floating(tensor.dtype); });
  if (spec.ok() && all_floating && !read_model(*file, *spec).ok()) { std::abort(); }
  const Result<Dataset> dataset = read_safetensors_dataset(*file);
  if (dataset.ok() && !dataset->check().ok()) { std::abort(); }
  return 0;
}
