// SPDX-License-Identifier: Apache-2.0
// Programs that are tested under mpirun: every rank runs the same cases in the same order, in one MPI session.
#pragma once

#include "tributary/mpi/driver.hpp"

namespace tributary::testing {

// Of this process; made by main().
[[nodiscard]] MpiSession& session();

}  // namespace tributary::testing
