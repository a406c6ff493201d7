// SPDX-License-Identifier: Apache-2.0
// The codecs that come with Tributary, by the names under which a configuration asks for them.
//
//   fp16  half precision beside a power of two for the whole vector, half the bytes of floats. Each value is rounded to
//         11 bits, to even: by at most 2^-11 of itself, or, of values below 2^-28 of the largest, by 2^-39 of that.
#pragma once

#include "tributary/nodes/extensions.hpp"

namespace tributary {

void register_builtin_codecs(ExtensionRegistry& registry);

}  // namespace tributary
