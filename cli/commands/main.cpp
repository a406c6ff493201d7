// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <iostream>
#include <string>
#include <vector>

#include "commands/application.hpp"
#include "commands/process_group.hpp"

namespace {

// A standard stream that is closed at the start would be the number of the first file that the program opens, which
// then gets what is printed. In its place stands a file that can only be used the other way round, so that what needs
// the stream notices.
void keep_standard_streams() {
  for (const int number : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (::fcntl(number, F_GETFD) != -1 || errno != EBADF) { continue; }
    // The lowest free number is this one, since those below are open by now.
    [[maybe_unused]] const int opened = ::open("/dev/null", number == STDIN_FILENO ? O_WRONLY : O_RDONLY);
  }
}

}  // namespace

int main(int argc, char** argv) {
  keep_standard_streams();
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
  return tributary::cli::ProcessGroup::leave(code);
}
