// SPDX-License-Identifier: Apache-2.0
// Ends the job when a case takes too long, and says where every thread of this rank was: ranks that wait for each other
// would otherwise tell nothing until somebody kills them.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <memory>

namespace tributary::testing {

// A listener for gtest. A case that is not over after `patience` ends the job.
[[nodiscard]] std::unique_ptr<::testing::TestEventListener> make_case_watch(std::chrono::seconds patience);

}  // namespace tributary::testing
