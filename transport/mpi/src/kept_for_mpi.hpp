// SPDX-License-Identifier: Apache-2.0
// Memory that a request of MPI is not through with. MPI may read and write it at any later call, also after MPI_Cancel,
// which takes back only what nothing has arrived for. When this process will not wait for the request, the memory is
// never given back: freed, it would soon be somebody else's.
//
// Threads: any.
#pragma once

#include <new>
#include <type_traits>
#include <utility>

namespace tributary::internal {

template <typename T>
void keep_for_mpi(T&& memory) noexcept {
  static_assert(!std::is_lvalue_reference_v<T>, "the memory is moved from");
  static_cast<void>(new (std::nothrow) T(std::forward<T>(memory)));
}

}  // namespace tributary::internal
