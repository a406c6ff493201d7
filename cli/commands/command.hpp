// SPDX-License-Identifier: Apache-2.0
// What a sub-command is. Adding one: a file src/<name>_command.cpp that defines `Command <name>_command()`, and one
// line in src/commands.inc.
#pragma once

#include <functional>
#include <ostream>
#include <span>
#include <string_view>

#include "tributary/base/status.hpp"
#include "tributary/base/terminal.hpp"

// Whatever includes CLI11 compiles half of it: only those do that declare options.
namespace CLI {
class App;
}

namespace tributary::cli {

// What every command is given: where it writes and how much. Results go to `out`, everything else to `err`.
struct Context {
  std::ostream& out;
  std::ostream& err;
  TerminalTraits out_terminal;
  TerminalTraits err_terminal;
  ColorChoice color = ColorChoice::kAuto;
  int verbosity = 0;   // number of -v
  bool quiet = false;  // only results and errors

  [[nodiscard]] Paint paint() const { return Paint(out_terminal.color); }
  // One line for people on `err`, unless --quiet.
  void note(std::string_view text) const;
  // "warning: ..." on `err`, even with --quiet.
  void warn(std::string_view text) const;
};

// Carries a command out. An error becomes the exit code of docs/errors.md and is printed by the caller.
using Action = std::function<Status(const Context&)>;

struct Command {
  std::string_view name;
  std::string_view summary;
  // Declares the options on `app` and returns what runs after they were read; the options live in the action.
  Action (*setup)(CLI::App& app);
};

// In the order of `tributary --help`.
[[nodiscard]] std::span<const Command> commands();

// For commands that are groups, such as `topology`: one more level of sub-commands.
[[nodiscard]] Action setup_group(CLI::App& app, std::span<const Command> members);

}  // namespace tributary::cli
