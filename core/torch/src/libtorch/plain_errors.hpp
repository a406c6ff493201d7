// SPDX-License-Identifier: Apache-2.0
// libtorch's messages hold stack traces, which help nobody who configures a federation.
#pragma once

#include <torch/torch.h>

#include <exception>
#include <new>
#include <string_view>

namespace tributary::internal {

// std::bad_alloc if the message tells of a shortage of memory, whoever noticed it; else std::runtime_error with the one
// line that carries the reason.
[[noreturn]] void throw_plainly(std::string_view message);

template <typename Call>
auto with_plain_errors(const Call& call) {
  try {
    return call();
  } catch (const std::bad_alloc&) { throw; } catch (const c10::Error& error) {
    throw_plainly(error.what_without_backtrace());
  } catch (const std::exception& error) { throw_plainly(error.what()); }
}

}  // namespace tributary::internal
