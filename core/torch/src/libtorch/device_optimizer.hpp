// SPDX-License-Identifier: Apache-2.0
// The optimizers of optimizer.hpp as libtorch operations on one flat tensor: a few kernels per step on any device.
#pragma once

#include <torch/torch.h>

#include <memory>
#include <span>

#include "optimizer.hpp"

namespace tributary::internal {

// Both tensors: one dimension, the same length, on the same device. `parts`: see StepPlan.
[[nodiscard]] std::unique_ptr<Optimizer> make_device_optimizer(const OptimizerConfig& config, at::Tensor values,
                                                               at::Tensor gradients,
                                                               std::span<const TensorPart> parts = {});

}  // namespace tributary::internal
