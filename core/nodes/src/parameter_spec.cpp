// SPDX-License-Identifier: Apache-2.0
#include "tributary/nodes/parameter_spec.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <unordered_set>

namespace tributary {

std::size_t TensorSpec::elements() const noexcept {
  std::size_t count = 1;
  for (const std::int64_t dimension : shape) { count *= static_cast<std::size_t>(dimension); }
  return count;
}

Result<ParameterSpec> ParameterSpec::create(std::vector<TensorSpec> tensors) {
  if (tensors.empty()) { return invalid_argument("a model needs at least one tensor"); }
  ParameterSpec spec;
  Hasher hasher;
  std::unordered_set<std::string> names;
  const TensorSpec* mean = nullptr;
  for (const TensorSpec& tensor : tensors) {
    if (tensor.name.empty()) { return invalid_argument("a tensor has an empty name"); }
    if (!names.insert(tensor.name).second) {
      return invalid_argument(fmt::format("two tensors are named {}", tensor.name));
    }
    std::size_t elements = 1;
    for (const std::int64_t dimension : tensor.shape) {
      if (dimension < 0) {
        return invalid_argument(fmt::format("tensor {} has a negative dimension, {}", tensor.name, dimension));
      }
      const auto size = static_cast<std::size_t>(dimension);
      if (size != 0 && elements > kMaxParameters / size) {
        return invalid_argument(fmt::format("tensor {} has more than {} values", tensor.name, kMaxParameters));
      }
      elements *= size;
    }
    if (elements > kMaxParameters - spec.parameters_) {
      return invalid_argument(fmt::format("the model has more than {} values", kMaxParameters));
    }
    if (tensor.kind == TensorKind::kRunningVariance && (mean == nullptr || mean->shape != tensor.shape)) {
      return invalid_argument(
          fmt::format("running variance {} needs the running mean of the same shape right before it", tensor.name));
    }
    mean = tensor.kind == TensorKind::kRunningMean ? &tensor : nullptr;
    spec.offsets_.push_back(spec.parameters_);
    spec.parameters_ += elements;
    hasher.update(fmt::format("{}:{}|{}|", tensor.name.size(), tensor.name, static_cast<int>(tensor.kind)));
    for (const std::int64_t dimension : tensor.shape) { hasher.update(fmt::format("{},", dimension)); }
    hasher.update(";");
  }
  if (spec.parameters_ == 0) { return invalid_argument("the model has no values"); }
  spec.tensors_ = std::move(tensors);
  spec.fingerprint_ = hasher.finish();
  return spec;
}

const TensorSpec& ParameterSpec::tensor_at(std::size_t index) const {
  // Of tensors that start at the same place only the last has values.
  const auto after = std::ranges::upper_bound(offsets_, index);
  return tensors_.at(static_cast<std::size_t>(after - offsets_.begin()) - 1);
}

}  // namespace tributary
