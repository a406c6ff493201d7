// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace tributary::cli {

// The candidate nearest to `word` (swapped, missing, additional and wrong letters; upper and lower case count as the
// same), or empty if none is near.
[[nodiscard]] std::string nearest(std::string_view word, std::span<const std::string> candidates);

}  // namespace tributary::cli
