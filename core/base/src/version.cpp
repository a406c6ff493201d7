// SPDX-License-Identifier: Apache-2.0
#include "tributary/base/version.hpp"

namespace tributary {

std::string_view version_text() noexcept {
  return TRIBUTARY_VERSION;
}

}  // namespace tributary
