// SPDX-License-Identifier: Apache-2.0
// Everything this folder adds to a registry.
#pragma once

#include "tributary/nodes/extensions.hpp"

namespace tributary {

void register_builtin_aggregators(ExtensionRegistry& registry);

}  // namespace tributary
