// SPDX-License-Identifier: Apache-2.0
// UTF-8, one character at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace tributary::internal {

struct CodePoint {
  std::uint32_t value = 0;
  std::size_t bytes = 0;  // 0: what stands here is no UTF-8
};

// The character that starts `text`, which must not be empty. Overlong forms, surrogates and values beyond U+10FFFF are
// no UTF-8.
[[nodiscard]] CodePoint first_code_point(std::string_view text) noexcept;

[[nodiscard]] bool is_utf8(std::string_view text) noexcept;

}  // namespace tributary::internal
