// SPDX-License-Identifier: Apache-2.0
// What all readers of untrusted files share: text that is safe to print, shapes, memory that may run out.
#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <new>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "tributary/base/status.hpp"

namespace tributary::internal {

// More classes than any data set has; a larger label is damage, and would size histograms.
inline constexpr std::int64_t kMaxClasses = std::int64_t{1} << 20U;

// Text of a file for a message: as printable_text() shows it, long text cut.
[[nodiscard]] std::string printable(std::string_view text);

// "[3, 5]"
[[nodiscard]] std::string shape_text(std::span<const std::int64_t> shape);

// Values in a tensor of this shape; nothing if a dimension is negative or the product needs more than 63 bits.
[[nodiscard]] std::optional<std::uint64_t> checked_elements(std::span<const std::int64_t> shape) noexcept;

// Runs a reader; too little memory becomes kResourceExhausted.
template <typename Function>
auto with_memory_guard(std::string_view name, const Function& function) -> decltype(function()) {
  try {
    return function();
  } catch (const std::bad_alloc&) {
    return resource_exhausted(fmt::format("{}: there is not enough memory to read it", name));
  }
}

}  // namespace tributary::internal
