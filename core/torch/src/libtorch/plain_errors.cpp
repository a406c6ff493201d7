// SPDX-License-Identifier: Apache-2.0
#include "libtorch/plain_errors.hpp"

#include <algorithm>
#include <stdexcept>
#include <string>

namespace tributary::internal {
namespace {

// The line of libtorch's message that carries the reason. The interpreter of TorchScript puts tracebacks before it
// ("RuntimeError: mat1 and mat2 shapes cannot be multiplied"), other messages have them behind.
std::string reason_in(std::string_view message) {
  static constexpr std::string_view kInterpreter = "TorchScript interpreter";
  static constexpr std::string_view kError = "\nRuntimeError: ";
  message = message.substr(0, message.find("\nException raised from"));
  const bool interpreted = message.find(kInterpreter) != std::string_view::npos;
  const std::size_t error = interpreted ? message.rfind(kError) : std::string_view::npos;
  if (error != std::string_view::npos) { message.remove_prefix(error + kError.size()); }
  const bool take_last = interpreted && error == std::string_view::npos;
  std::string_view reason;
  while (!message.empty()) {
    const std::size_t end = std::min(message.find('\n'), message.size());
    const std::string_view line = message.substr(0, end);
    message.remove_prefix(std::min(end + 1, message.size()));
    if (line.find_first_not_of(" \t\r") == std::string_view::npos) { continue; }
    reason = line;
    if (!take_last) { break; }
  }
  return std::string(reason);
}

}  // namespace

void throw_plainly(std::string_view message) {
  for (const std::string_view shortage : {"alloc_cpu", "can't allocate memory", "out of memory"}) {
    if (message.find(shortage) != std::string_view::npos) { throw std::bad_alloc(); }
  }
  throw std::runtime_error(reason_in(message));
}

}  // namespace tributary::internal
