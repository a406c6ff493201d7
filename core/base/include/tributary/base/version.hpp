// SPDX-License-Identifier: Apache-2.0
// Which Tributary this is.
#pragma once

#include <string_view>

namespace tributary {

// "0.1.0", as CMake's project() says.
[[nodiscard]] std::string_view version_text() noexcept;

}  // namespace tributary
