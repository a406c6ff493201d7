// SPDX-License-Identifier: Apache-2.0
// The program as a function: arguments in, exit code out.
#pragma once

#include <functional>
#include <ostream>
#include <span>
#include <string>

#include "tributary/base/status.hpp"
#include "tributary/base/terminal.hpp"

namespace tributary::cli {

struct Streams {
  std::ostream& out;
  std::ostream& err;
  // What may be printed on file descriptor 1 or 2, given --color.
  std::function<TerminalTraits(int descriptor, ColorChoice choice)> traits;
};

// `arguments` without the program's name. Returns the exit code: 0, 64 for a wrong command line, else that of the
// Status.
int run_program(std::span<const std::string> arguments, const Streams& streams);

// Prints an error on `streams.err`; several mistakes of one configuration with their number. Returns the exit code.
int report_status(const Streams& streams, const Paint& paint, const Status& status);

}  // namespace tributary::cli
