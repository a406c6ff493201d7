// SPDX-License-Identifier: Apache-2.0
// Settings that a configuration may hold, but that change nothing in the run at hand: because of how the program was
// started, or because of the tree. What has no effect in any run is refused when the configuration is read.
#pragma once

#include <string>
#include <vector>

#include "tributary/config/configuration.hpp"
#include "tributary/nodes/tree.hpp"

namespace tributary::cli {

// One sentence each, with the key and the remedy. `in_job`: under mpirun.
std::vector<std::string> ineffective_settings(const Configuration& configuration, const Tree& tree, bool in_job);

}  // namespace tributary::cli
