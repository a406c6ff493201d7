// SPDX-License-Identifier: Apache-2.0
// Words of messages: the one that was probably meant, and lists of them.
//
// Threads: pure functions.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace tributary::internal {

// With the letters A to Z in lower case.
[[nodiscard]] std::string lower(std::string_view text);

// "a, b or c".
[[nodiscard]] std::string one_of(std::span<const std::string_view> words);

// The candidate that `word` is probably a slip of: letters left out, added, replaced or swapped, or only its beginning.
// Upper and lower case count as the same. Empty if none is near, and for words of more than 64 bytes.
[[nodiscard]] std::string_view nearest_word(std::string_view word, std::span<const std::string_view> candidates);

}  // namespace tributary::internal
