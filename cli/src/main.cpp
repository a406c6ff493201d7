// SPDX-License-Identifier: Apache-2.0
#include <csignal>
#include <iostream>
#include <string>
#include <vector>

#include "application.hpp"
#include "job.hpp"

int main(int argc, char** argv) {
  // A file that may not grow is an error with a message, not the end of the process.
  std::signal(SIGXFSZ, SIG_IGN);
  const std::vector<std::string> arguments(argv + (argc > 0 ? 1 : 0), argv + argc);
  const tributary::cli::Streams streams{std::cout, std::cerr, [](int descriptor, tributary::ColorChoice choice) {
                                          tributary::TerminalTraits traits =
                                              tributary::terminal_traits(descriptor, choice);
                                          if (tributary::cli::in_job()) {
                                            // Launchers give rank 0 a terminal whatever their own output is.
                                            traits.interactive = false;
                                            traits.color = choice == tributary::ColorChoice::kAlways;
                                          }
                                          return traits;
                                        }};
  const int code = tributary::cli::run_program(arguments, streams);
  std::cout.flush();
  return tributary::cli::Job::leave(code);
}
