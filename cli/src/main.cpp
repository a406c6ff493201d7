// SPDX-License-Identifier: Apache-2.0
#include <csignal>
#include <iostream>
#include <string>
#include <vector>

#include "application.hpp"

int main(int argc, char** argv) {
  // A file that may not grow is an error with a message, not the end of the process.
  std::signal(SIGXFSZ, SIG_IGN);
  const std::vector<std::string> arguments(argv + (argc > 0 ? 1 : 0), argv + argc);
  const tributary::cli::Streams streams{std::cout, std::cerr, [](int descriptor, tributary::ColorChoice choice) {
                                          return tributary::terminal_traits(descriptor, choice);
                                        }};
  return tributary::cli::run_program(arguments, streams);
}
