// SPDX-License-Identifier: Apache-2.0
#include "base/utf8.hpp"

namespace tributary::internal {

CodePoint first_code_point(std::string_view text) noexcept {
  const auto byte = [&](std::size_t i) { return static_cast<std::uint32_t>(static_cast<unsigned char>(text[i])); };
  const std::uint32_t first = byte(0);
  if (first < 0x80) { return {first, 1}; }
  CodePoint found;
  std::uint32_t least = 0;
  if (first >= 0xF0 && first < 0xF8) {
    found = {first & 0x07U, 4};
    least = 0x10000;
  } else if (first >= 0xE0 && first < 0xF0) {
    found = {first & 0x0FU, 3};
    least = 0x800;
  } else if (first >= 0xC0 && first < 0xE0) {
    found = {first & 0x1FU, 2};
    least = 0x80;
  } else {
    return {};
  }
  if (text.size() < found.bytes) { return {}; }
  for (std::size_t i = 1; i < found.bytes; ++i) {
    if ((byte(i) & 0xC0U) != 0x80U) { return {}; }
    found.value = (found.value << 6U) | (byte(i) & 0x3FU);
  }
  const bool surrogate = found.value >= 0xD800 && found.value <= 0xDFFF;
  return found.value < least || surrogate || found.value > 0x10FFFF ? CodePoint{} : found;
}

bool is_utf8(std::string_view text) noexcept {
  while (!text.empty()) {
    const std::size_t bytes = first_code_point(text).bytes;
    if (bytes == 0) { return false; }
    text.remove_prefix(bytes);
  }
  return true;
}

}  // namespace tributary::internal
