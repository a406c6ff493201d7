// SPDX-License-Identifier: Apache-2.0
#include "tributary/nodes/finite.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>

#include "base/reading.hpp"

namespace tributary {
namespace {

// Between two looks at the result: small enough to end early, large enough to cost nothing.
constexpr std::size_t kBlock = 4096;
constexpr std::uint32_t kMagnitude = 0x7FFFFFFFU;
constexpr std::uint32_t kInfinity = 0x7F800000U;

}  // namespace

bool all_finite(std::span<const float> values) noexcept {
  while (!values.empty()) {
    const std::span<const float> block = values.first(std::min(kBlock, values.size()));
    // Without their signs, infinities and NaNs are the largest bit patterns. Compilers vectorise this maximum.
    std::uint32_t largest = 0;
    for (const float value : block) { largest = std::max(largest, std::bit_cast<std::uint32_t>(value) & kMagnitude); }
    if (largest >= kInfinity) { return false; }
    values = values.subspan(block.size());
  }
  return true;
}

std::string describe_not_finite(const ParameterSpec& spec, std::span<const float> values) {
  if (all_finite(values)) { return {}; }
  for (std::size_t i = 0; i < spec.tensors().size(); ++i) {
    const std::span<const float> tensor = values.subspan(spec.offset(i), spec.tensors()[i].elements());
    if (all_finite(tensor)) { continue; }
    const auto bad = [](float value) { return !std::isfinite(value); };
    const auto first = std::find_if(tensor.begin(), tensor.end(), bad);
    const auto count = std::count_if(first, tensor.end(), bad);
    return fmt::format("tensor {} has {} of {} values that are not finite, the first is {} at index {}",
                       internal::printable(spec.tensors()[i].name), count, tensor.size(), *first,
                       first - tensor.begin());
  }
  return {};
}

}  // namespace tributary
