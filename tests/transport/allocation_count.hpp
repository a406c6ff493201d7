// SPDX-License-Identifier: Apache-2.0
// How much memory a piece of code asks for. In a program with allocation_count.cpp every operator new is counted, by
// thread.
#pragma once

#include <cstddef>

namespace tributary::testing {

// All that this thread has asked for so far, also what it gave back.
[[nodiscard]] std::size_t allocated_bytes() noexcept;

template <typename Act>
std::size_t bytes_allocated_by(const Act& act) {
  const std::size_t before = allocated_bytes();
  act();
  return allocated_bytes() - before;
}

}  // namespace tributary::testing
