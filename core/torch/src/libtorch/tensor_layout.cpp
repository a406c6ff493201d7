// SPDX-License-Identifier: Apache-2.0
#include "libtorch/tensor_layout.hpp"

#include <ATen/MemoryOverlap.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <stdexcept>
#include <unordered_map>
#include <utility>

namespace tributary::internal {
namespace {

// The elements of a storage from a tensor's first to its last.
struct Extent {
  std::int64_t first = 0;
  std::int64_t end = 0;
};

Extent extent_of(const at::Tensor& tensor) {
  Extent extent{tensor.storage_offset(), tensor.storage_offset()};
  if (tensor.numel() == 0) { return extent; }
  for (std::int64_t d = 0; d < tensor.dim(); ++d) { extent.end += (tensor.size(d) - 1) * tensor.stride(d); }
  ++extent.end;
  return extent;
}

bool same_elements(const at::Tensor& a, const at::Tensor& b) {
  return a.storage_offset() == b.storage_offset() && a.sizes() == b.sizes() && a.strides() == b.strides();
}

// Of two tensors of one storage.
bool overlap(const at::Tensor& a, const at::Tensor& b) {
  const Extent left = extent_of(a);
  const Extent right = extent_of(b);
  const std::int64_t first = std::min(left.first, right.first);
  const std::int64_t end = std::max(left.end, right.end);
  if (std::min(left.end, right.end) <= std::max(left.first, right.first)) { return false; }
  if (a.is_contiguous() && b.is_contiguous()) { return true; }
  // Columns of one matrix lie between each other.
  at::Tensor marks = at::zeros({end - first}, at::kBool);
  marks.as_strided(a.sizes(), a.strides(), a.storage_offset() - first).fill_(true);
  return marks.as_strided(b.sizes(), b.strides(), b.storage_offset() - first).any().item<bool>();
}

bool lies_within(const at::Tensor& inner, const at::Tensor& outer) {
  const Extent part = extent_of(inner);
  const Extent whole = extent_of(outer);
  return outer.is_contiguous() && part.first >= whole.first && part.end <= whole.end;
}

TensorKind kind_of(const ModelTensor& item, const TensorSpec* before) {
  if (item.role != TensorRole::kBuffer) { return TensorKind::kTrainable; }
  // A buffer that is no batch statistic is merged as a mean, too: equal values stay what they are.
  const bool after_mean = before != nullptr && before->kind == TensorKind::kRunningMean &&
                          before->name.ends_with("running_mean") && before->shape == item.tensor.sizes().vec();
  return after_mean && item.name.ends_with("running_var") ? TensorKind::kRunningVariance : TensorKind::kRunningMean;
}

class Builder {
 public:
  explicit Builder(const std::vector<ModelTensor>& tensors) : tensors_(tensors) {
    layout_.windows.resize(tensors.size());
  }

  TensorLayout build() {
    for (const TensorRole role :
         {TensorRole::kTrainable, TensorRole::kFrozen, TensorRole::kBuffer, TensorRole::kLocal}) {
      for (std::size_t i = 0; i < tensors_.size(); ++i) {
        if (tensors_[i].role == role) { place(i); }
      }
      if (role == TensorRole::kTrainable) { layout_.trainable = layout_.values.size(); }
    }
    return std::move(layout_);
  }

 private:
  void place(std::size_t index) {
    const ModelTensor& item = tensors_[index];
    const bool local = item.role == TensorRole::kLocal;
    if (!local) { check(item); }
    if (item.tensor.has_storage() && item.tensor.numel() > 0) {
      std::vector<std::size_t>& owners = by_storage_[item.tensor.storage().unsafeGetStorageImpl()];
      for (const std::size_t owner : owners) {
        if (share(index, owner)) { return; }
      }
      if (!local) { owners.push_back(index); }
    }
    if (!local) { append(index); }
  }

  static void check(const ModelTensor& item) {
    if (item.tensor.scalar_type() != at::kFloat || item.tensor.layout() != at::kStrided) {
      throw std::invalid_argument(
          fmt::format("tensor {} is {}, only float32 models can be trained (in Python: model.float())", item.name,
                      item.tensor.layout() == at::kStrided ? c10::toString(item.tensor.scalar_type()) : "sparse"));
    }
    if (item.role == TensorRole::kTrainable && at::has_internal_overlap(item.tensor) == at::MemOverlap::Yes) {
      throw std::invalid_argument(fmt::format(
          "several elements of parameter {} are one (it was made by expand()): save a clone() of it", item.name));
    }
  }

  // True if the tensor is a window on the owner's values.
  bool share(std::size_t index, std::size_t owner) {
    const ModelTensor& item = tensors_[index];
    const ModelTensor& other = tensors_[owner];
    const bool same_type = item.tensor.scalar_type() == other.tensor.scalar_type();
    if (same_type && !overlap(other.tensor, item.tensor)) { return false; }
    TensorWindow& window = layout_.windows[index];
    const TensorWindow& place = layout_.windows[owner];
    if (same_type && same_elements(item.tensor, other.tensor)) {
      window = place;
    } else if (same_type && lies_within(item.tensor, other.tensor)) {
      window.offset = place.offset + item.tensor.storage_offset() - other.tensor.storage_offset();
      window.sizes = item.tensor.sizes().vec();
      window.strides = item.tensor.strides().vec();
      window.part = place.part;
    } else {
      throw std::invalid_argument(
          fmt::format("{} and {} share a part of their memory, so neither can be trained by itself: save a clone() of "
                      "one of them",
                      other.name, item.name));
    }
    if (item.role == TensorRole::kTrainable) {
      layout_.shared.push_back(fmt::format("{} with {}", item.name, other.name));
    }
    return true;
  }

  void append(std::size_t index) {
    const ModelTensor& item = tensors_[index];
    const at::Tensor values = item.tensor.detach().contiguous();
    const auto length = static_cast<std::size_t>(values.numel());
    TensorWindow& window = layout_.windows[index];
    window.offset = static_cast<std::int64_t>(layout_.values.size());
    window.sizes = values.sizes().vec();
    window.strides = values.strides().vec();
    if (item.role == TensorRole::kTrainable) {
      window.part = layout_.parts.size();
      layout_.parts.push_back({layout_.values.size(), length, false});
    }
    const TensorSpec* const before = layout_.tensors.empty() ? nullptr : &layout_.tensors.back();
    const TensorKind kind = kind_of(item, before);
    layout_.tensors.push_back({item.name, values.sizes().vec(), kind});
    const float* const first = values.data_ptr<float>();
    layout_.values.insert(layout_.values.end(), first, first + length);
  }

  const std::vector<ModelTensor>& tensors_;
  TensorLayout layout_;
  std::unordered_map<const c10::StorageImpl*, std::vector<std::size_t>> by_storage_;  // the owners of each
};

}  // namespace

bool have_common_elements(const at::Tensor& a, const at::Tensor& b) {
  if (!a.has_storage() || !b.has_storage() || !a.is_alias_of(b) || a.numel() == 0 || b.numel() == 0) { return false; }
  const at::NoGradGuard no_gradient;
  // Elements of other sizes lie at other places.
  return a.scalar_type() != b.scalar_type() || overlap(a, b);
}

TensorLayout layout_of(const std::vector<ModelTensor>& tensors) {
  const at::NoGradGuard no_gradient;
  return Builder(tensors).build();
}

}  // namespace tributary::internal
