// SPDX-License-Identifier: Apache-2.0
#include "tributary/nodes/server_optimizer.hpp"

namespace tributary {

Status ServerOptimizer::restore(const Snapshot& snapshot, std::size_t /*parameters*/) {
  return snapshot.empty() ? ok_status() : bad_data("a state for a server optimizer that has none");
}

}  // namespace tributary
