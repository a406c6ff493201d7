// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include <memory>
#include <utility>
#include <vector>

#include "commands/command.hpp"
#include "tributary/base/printable.hpp"

namespace tributary::cli {

#define TRIBUTARY_COMMAND(name) Command name##_command();
#include "commands/commands.inc"
#undef TRIBUTARY_COMMAND

std::span<const Command> commands() {
#define TRIBUTARY_COMMAND(name) name##_command(),
  static const std::vector<Command> all{
#include "commands/commands.inc"
  };
#undef TRIBUTARY_COMMAND
  return all;
}

Action setup_group(CLI::App& app, std::span<const Command> members) {
  auto actions = std::make_shared<std::vector<std::pair<const CLI::App*, Action>>>();
  app.require_subcommand(1);
  app.footer(fmt::format("Example:\n  tributary {} {} --help", app.get_name(), members.front().name));
  for (const Command& member : members) {
    CLI::App* sub = app.add_subcommand(std::string(member.name), std::string(member.summary));
    sub->fallthrough();
    actions->emplace_back(sub, member.setup(*sub));
  }
  return [actions](const Context& context) -> Status {
    for (const auto& [sub, action] : *actions) {
      if (sub->parsed()) { return action(context); }
    }
    return internal_error("no sub-command was chosen");
  };
}

void Context::note(std::string_view text) const {
  // In one piece, as warn() does: the ranks of a job share one standard error.
  if (!quiet && !text.empty()) { err << fmt::format("{}\n", printable_lines(text)); }
}

void Context::warn(std::string_view text) const {
  err << fmt::format("{} {}\n", Paint(err_terminal.color).yellow("warning:"), printable_lines(text));
}

}  // namespace tributary::cli
