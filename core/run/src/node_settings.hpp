// SPDX-License-Identifier: Apache-2.0
// What a topology says of single nodes and no run honours yet. Nobody may believe that it is obeyed.
#pragma once

#include "tributary/base/status.hpp"
#include "tributary/config/configuration.hpp"
#include "tributary/nodes/tree.hpp"

namespace tributary::internal {

// kConfiguration: a node has a `transport`, an `address`, or a `device` other than trainer.device; with the first
// node's name and the number of the others.
Status check_node_settings(const Tree& tree, const TrainerConfig& trainer);

}  // namespace tributary::internal
