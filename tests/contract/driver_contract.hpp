// SPDX-License-Identifier: Apache-2.0
// The contract of Driver: whatever carries a federation out, its model is the same bit for bit, nothing is lost,
// nothing is doubled, deadlines are kept, faults stay where they happen, and the observer is told.
//
// A driver joins with one line in one test program of its own:
//
//   INSTANTIATE_TEST_SUITE_P(Mine, DriverContract, ::testing::Values(DriverCase{.name = ..., .make = ...}), case_name);
//
// Not here: what needs a process to die, which each driver's own tests see to.
#pragma once

#include "contract/driver_contract_faults.hpp"    // IWYU pragma: export
#include "contract/driver_contract_models.hpp"    // IWYU pragma: export
#include "contract/driver_contract_observer.hpp"  // IWYU pragma: export
#include "contract/driver_under_test.hpp"         // IWYU pragma: export
