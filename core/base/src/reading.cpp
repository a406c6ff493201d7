// SPDX-License-Identifier: Apache-2.0
#include "base/reading.hpp"

#include <fmt/ranges.h>

#include "tributary/base/printable.hpp"

namespace tributary::internal {

std::string printable(std::string_view text) {
  constexpr std::size_t kLongest = 80;
  return printable_text(text, kLongest);
}

std::string shape_text(std::span<const std::int64_t> shape) {
  return fmt::format("[{}]", fmt::join(shape, ", "));
}

std::optional<std::uint64_t> checked_elements(std::span<const std::int64_t> shape) noexcept {
  std::int64_t elements = 1;
  bool empty = false;
  for (const std::int64_t dimension : shape) {
    if (dimension < 0) { return std::nullopt; }
    if (dimension == 0) {
      empty = true;
    } else if (__builtin_mul_overflow(elements, dimension, &elements)) {
      return std::nullopt;
    }
  }
  return empty ? 0 : static_cast<std::uint64_t>(elements);
}

}  // namespace tributary::internal
