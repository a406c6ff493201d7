// SPDX-License-Identifier: Apache-2.0
// Whether all values of a model are finite: nothing that is not may be committed, saved or called finished.
//
// Threads: pure functions. Cost: one pass over the values, at the speed of memory.
#pragma once

#include <span>
#include <string>

#include "tributary/nodes/parameter_spec.hpp"

namespace tributary {

[[nodiscard]] bool all_finite(std::span<const float> values) noexcept;

// "tensor fc.weight has 3 values of 12 that are not finite, the first is nan at index 4", for the first such tensor and
// without more than that; empty if all values are finite. `values` are laid out by `spec`.
[[nodiscard]] std::string describe_not_finite(const ParameterSpec& spec, std::span<const float> values);

}  // namespace tributary
