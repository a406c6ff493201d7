// SPDX-License-Identifier: Apache-2.0
// How a model's tensors lie in one flat vector of values: trainable parameters, frozen ones, floating buffers.
//
// Each memory appears once. Tensors that share it (tied weights, a buffer that is a view of a parameter) become windows
// on the same values, so that they stay tied; tensors that lie beside each other in one storage are apart.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "libtorch/models.hpp"
#include "optimizer.hpp"
#include "tributary/nodes/parameter_spec.hpp"

namespace tributary::internal {

// Where one of the model's tensors lies in the flat vector.
struct TensorWindow {
  std::int64_t offset = -1;  // -1: it is local, and in no vector
  std::vector<std::int64_t> sizes;
  std::vector<std::int64_t> strides;
  std::size_t part = 0;  // of a trainable one
};

struct TensorLayout {
  std::vector<TensorSpec> tensors;
  std::vector<TensorWindow> windows;  // one for each of TorchModel::tensors()
  std::vector<TensorPart> parts;      // the trainable tensors, end to end from 0
  std::size_t trainable = 0;          // values
  std::vector<float> values;          // as the model has them
  // Parameters that are trained as one although the model lists several: "decoder.weight with encoder.weight".
  std::vector<std::string> shared;
};

// Whether the two lie in one storage and have elements of it in common.
[[nodiscard]] bool have_common_elements(const at::Tensor& a, const at::Tensor& b);

// std::invalid_argument: tensors of a type that cannot be trained, or that share memory in a way that has no meaning
// for training.
TensorLayout layout_of(const std::vector<ModelTensor>& tensors);

}  // namespace tributary::internal
