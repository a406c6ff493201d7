// SPDX-License-Identifier: Apache-2.0
#include "commands/application.hpp"

#include <fmt/format.h>
#include <sys/resource.h>
#include <CLI/CLI.hpp>

#include <algorithm>
#include <exception>
#include <filesystem>
#include <map>
#include <new>
#include <optional>
#include <ostream>
#include <streambuf>
#include <system_error>
#include <vector>

#include "base/words.hpp"
#include "commands/command.hpp"
#include "commands/process_group.hpp"
#include "tributary/base/printable.hpp"

namespace tributary::cli {
namespace {

constexpr int kUsage = 64;
constexpr const char* kFooter =
    "Examples:\n"
    "  tributary doctor                          what this machine has\n"
    "  tributary run federation.yaml             train, with a table, a model and a report\n"
    "  tributary topology generate --widths 4,32 a tree with three tiers\n"
    "\n"
    "Results go to standard output, everything else to standard error.\n"
    "Exit codes: 0 ok, 64 usage, 65 bad data, 66 not found, 69 unavailable, 70 bug, 74 input/output, 75 deadline,\n"
    "76 protocol, 77 authentication, 78 configuration, 130 interrupted (docs/errors.md).";

struct Globals {
  int verbosity = 0;
  bool quiet = false;
  std::string color = "auto";
  bool all_ranks = false;
  bool version = false;
};

// Takes everything and keeps nothing.
std::ostream& nowhere() {
  struct Nowhere final : std::streambuf {
    int overflow(int character) override { return traits_type::not_eof(character); }
    std::streamsize xsputn(const char* /*text*/, std::streamsize size) override { return size; }
  };
  static Nowhere buffer;
  static std::ostream stream(&buffer);
  return stream;
}

std::vector<std::string> names_of_subcommands(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::App* sub : app.get_subcommands([](const CLI::App*) { return true; })) {
    names.push_back(sub->get_name());
  }
  return names;
}

const CLI::App* find_subcommand(const CLI::App& app, const std::string& name) {
  const auto subs = app.get_subcommands([&name](const CLI::App* sub) { return sub->get_name() == name; });
  return subs.empty() ? nullptr : subs.front();
}

std::string did_you_mean(const std::string& word, std::span<const std::string> candidates) {
  const std::vector<std::string_view> views(candidates.begin(), candidates.end());
  const std::string_view near = internal::nearest_word(word, views);
  return near.empty() ? std::string() : fmt::format(". Did you mean '{}'?", near);
}

struct UsageError {
  std::string message;
  std::string path;  // of the command whose --help answers it
};

std::vector<std::string> options_of(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::Option* option : app.get_options()) {
    for (const std::string& name : option->get_lnames()) { names.push_back("--" + name); }
    for (const std::string& name : option->get_snames()) { names.push_back("-" + name); }
  }
  return names;
}

std::string unknown_option_text(const std::string& name, std::span<const std::string> known) {
  return fmt::format("unknown option '{}'{}", name, did_you_mean(name, known));
}

// CLI11 says only that a sub-command is missing where one is misspelt, or where an option before it is.
std::optional<UsageError> unknown_subcommand(const CLI::App& app, std::span<const std::string> arguments) {
  const CLI::App* here = &app;
  std::vector<std::string> options = options_of(app);
  const auto place = [&] { return here == &app ? std::string("tributary") : "tributary " + here->get_name(); };
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    const std::string& word = arguments[i];
    const std::vector<std::string> names = names_of_subcommands(*here);
    if (names.empty()) { return std::nullopt; }
    if (word == "--color") {
      ++i;
      continue;
    }
    if (word.starts_with("-")) {
      // Short ones may stand together: -qv.
      const std::string name = word.starts_with("--") ? word.substr(0, word.find('=')) : word.substr(0, 2);
      if (std::find(options.begin(), options.end(), name) == options.end()) {
        return UsageError{unknown_option_text(name, options), place()};
      }
      continue;
    }
    const CLI::App* next = find_subcommand(*here, word);
    if (next == nullptr) {
      return UsageError{fmt::format("{} has no command '{}'{}", place(), word, did_you_mean(word, names)), place()};
    }
    here = next;
    const std::vector<std::string> more = options_of(*here);
    options.insert(options.end(), more.begin(), more.end());
  }
  return std::nullopt;
}

std::string unknown_option(const CLI::App& app, const std::string& fallback) {
  const CLI::App* here = &app;
  std::vector<std::string> known;
  while (here != nullptr) {
    const std::vector<std::string> more = options_of(*here);
    known.insert(known.end(), more.begin(), more.end());
    const auto chosen = here->get_subcommands();
    here = chosen.empty() ? nullptr : chosen.front();
  }
  for (const std::string& word : app.remaining(true)) {
    if (word.starts_with("-")) { return unknown_option_text(word.substr(0, word.find('=')), known); }
  }
  const std::vector<std::string> left = app.remaining(true);
  return left.empty() ? fallback : fmt::format("unexpected argument '{}'", left.front());
}

std::string path_of(const CLI::App& app) {
  std::string path = "tributary";
  const CLI::App* here = &app;
  for (auto chosen = here->get_subcommands(); !chosen.empty(); chosen = here->get_subcommands()) {
    here = chosen.front();
    path += " " + here->get_name();
  }
  return path;
}

const CLI::App& chosen_command(const CLI::App& app) {
  const CLI::App* here = &app;
  for (auto chosen = here->get_subcommands(); !chosen.empty(); chosen = here->get_subcommands()) {
    here = chosen.front();
  }
  return *here;
}

UsageError wrong_arguments(const CLI::App& app, const CLI::ParseError& error) {
  std::string message = error.what();
  const std::vector<std::string> names = names_of_subcommands(chosen_command(app));
  if (dynamic_cast<const CLI::RequiredError*>(&error) != nullptr && !names.empty()) {
    return {fmt::format("{} needs a command: one of {}", path_of(app), fmt::join(names, ", ")), path_of(app)};
  }
  // CLI11's own words for these two name neither what is meant nor what would do.
  if (dynamic_cast<const CLI::RequiredError*>(&error) != nullptr) {
    for (const CLI::Option* option : chosen_command(app).get_options()) {
      if (message.starts_with(option->get_name() + " ")) {
        message = fmt::format("{} needs {}: {}", path_of(app), option->get_name(), option->get_description());
      }
    }
  } else if (dynamic_cast<const CLI::ConversionError*>(&error) != nullptr) {
    constexpr std::string_view kStart = "Could not convert: ";
    const std::size_t equals = message.find(" = ");
    if (message.starts_with(kStart) && equals != std::string::npos) {
      message = fmt::format("{}: '{}' is not a whole number, or not one that fits",
                            message.substr(kStart.size(), equals - kStart.size()), message.substr(equals + 3));
    }
  }
  // An option of the program is in its help, not in that of the command it stood beside.
  const std::vector<const CLI::Option*> options = app.get_options();
  const bool is_global = std::any_of(options.begin(), options.end(), [&message](const CLI::Option* option) {
    return message.starts_with(option->get_name() + ":");
  });
  return {message, is_global ? "tributary" : path_of(app)};
}

// A script whose variable is empty means no default: `--output "$DIRECTORY"`.
std::optional<UsageError> empty_value(const CLI::App& app) {
  const CLI::App* here = &app;
  while (here != nullptr) {
    for (const CLI::Option* option : here->get_options()) {
      const std::vector<std::string>& values = option->results();
      if (std::find(values.begin(), values.end(), "") != values.end()) {
        return UsageError{fmt::format("{}: the value is empty; give one, or leave the option away", option->get_name()),
                          path_of(app)};
      }
    }
    const auto chosen = here->get_subcommands();
    here = chosen.empty() ? nullptr : chosen.front();
  }
  return std::nullopt;
}

int report_usage_error(const Streams& streams, const Paint& paint, const UsageError& error) {
  // At once, as in report_status().
  streams.err << fmt::format("{} {}\nSee '{} --help'.\n", paint.red("error:"), printable_text(error.message),
                             error.path);
  return kUsage;
}

// How many mistakes a configuration or topology has, one per line with its place first; 0 for any other message.
std::size_t listed_mistakes(const Status& status) {
  if (status.code() != Code::kConfiguration) { return 0; }
  std::size_t lines = 0;
  std::string_view rest = status.message();
  while (!rest.empty()) {
    const std::string_view line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(rest.size(), line.size() + 1));
    // The last line of a list that was cut: "and there are more mistakes".
    if (rest.empty() && line.starts_with("and ")) { break; }
    if (line.find(": ") == std::string_view::npos) { return 0; }
    ++lines;
  }
  return lines;
}

// What was printed so far has reached its reader.
Status written(std::ostream& out) {
  out.flush();
  return out ? ok_status() : io_error("cannot write the results: the output was closed or is full");
}

std::string too_many_threads() {
  rlimit limit{};
  const bool known = ::getrlimit(RLIMIT_NPROC, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY;
  return fmt::format(
      "the system gave this process no more threads{}: set `threads`, the number of training threads, lower",
      known ? fmt::format(" (this user may have {}, by `ulimit -u`)", limit.rlim_cur) : "");
}

Status guarded(const Action& action, const Context& context) {
  try {
    return action(context);
  } catch (const std::bad_alloc&) {
    return resource_exhausted(
        "not enough memory: the system gave this process no more; a smaller model, fewer `threads` or smaller batches "
        "take less");
  } catch (const std::filesystem::filesystem_error& error) {
    return io_error(fmt::format("{}: {}", error.path1().string(), error.code().message()));
  } catch (const std::system_error& error) {
    if (error.code() != std::errc::resource_unavailable_try_again) {
      return internal_error(fmt::format("unexpected: {}", error.what()));
    }
    return resource_exhausted(too_many_threads());
  } catch (const std::exception& error) { return internal_error(fmt::format("unexpected: {}", error.what())); }
}

}  // namespace

int report_status(const Streams& streams, const Paint& paint, const Status& status) {
  if (status.ok()) { return 0; }
  // It has been told already, and is no error.
  if (status.message().empty()) { return exit_code(status.code()); }
  std::string text;
  if (const std::size_t mistakes = listed_mistakes(status); mistakes > 1) {
    // Each line begins with its place, so that editors can jump to it.
    text = fmt::format("{}\n{} {} mistakes, listed above\n", printable_lines(status.message()), paint.red("error:"),
                       mistakes);
  } else {
    text = fmt::format("{} {}\n", paint.red("error:"), printable_lines(status.message()));
  }
  // At once: the ranks of a job may share one standard error.
  streams.err << text;
  return exit_code(status.code());
}

int run_program(std::span<const std::string> arguments, const Streams& given) {
  // Of the processes of a job, one speaks for all.
  const bool silent =
      !speaks_for_job() && std::find(arguments.begin(), arguments.end(), "--all-ranks") == arguments.end();
  const Streams quiet{nowhere(), nowhere(), given.traits};
  const Streams& streams = silent ? quiet : given;
  CLI::App app("Hierarchical federated learning: exact, fast, at any depth.", "tributary");
  auto globals = std::make_shared<Globals>();
  app.require_subcommand(1);
  app.set_help_flag("-h,--help", "Say what a command does, with an example");
  app.add_flag("-v,--verbose", globals->verbosity, "Say more: faults as they happen, versions of libraries");
  app.add_flag("-q,--quiet", globals->quiet, "Only results, warnings and errors");
  app.add_option("--color", globals->color, "Colours: auto (on a terminal, unless NO_COLOR is set), always, never")
      ->type_name("WHEN")
      ->default_str("auto")
      ->check(CLI::IsMember({"auto", "always", "never"}));
  app.add_flag("--all-ranks", globals->all_ranks, "Under mpirun: let every rank print, not the first alone");
  app.add_flag("--version", globals->version, "Print the version, as 'tributary version' does");

  std::map<const CLI::App*, Action> actions;
  std::map<std::string, const CLI::App*> by_name;
  for (const Command& command : commands()) {
    CLI::App* sub = app.add_subcommand(std::string(command.name), std::string(command.summary));
    sub->fallthrough();
    by_name[sub->get_name()] = sub;
    actions.emplace(sub, command.setup(*sub));
  }

  // Only now: sub-commands inherit what was there before them.
  app.footer(kFooter);

  const Paint plain_paint(streams.traits(2, ColorChoice::kAuto).color);
  std::vector<std::string> words(arguments.begin(), arguments.end());
  const bool only_version = std::find(words.begin(), words.end(), "--version") != words.end() &&
                            std::all_of(words.begin(), words.end(),
                                        [](const auto& word) { return word == "--version" || word == "--all-ranks"; });
  if (only_version) { words = {"version"}; }
  if (const auto unknown = unknown_subcommand(app, words)) {
    return report_usage_error(streams, plain_paint, *unknown);
  }
  try {
    std::vector<std::string> reversed(words.rbegin(), words.rend());
    app.parse(std::move(reversed));
  } catch (const CLI::CallForHelp&) {
    streams.out << app.help();
    return report_status(streams, plain_paint, written(streams.out));
  } catch (const CLI::ExtrasError& error) {
    return report_usage_error(streams, plain_paint, {unknown_option(app, error.what()), path_of(app)});
  } catch (const CLI::ParseError& error) {
    if (words.empty()) {
      streams.err << app.help();
      return kUsage;
    }
    return report_usage_error(streams, plain_paint, wrong_arguments(app, error));
  }

  if (const auto empty = empty_value(app)) { return report_usage_error(streams, plain_paint, *empty); }

  const ColorChoice color = parse_color_choice(globals->color).value_or(ColorChoice::kAuto);
  Context context{streams.out,        streams.err,   streams.traits(1, color), streams.traits(2, color), color,
                  globals->verbosity, globals->quiet};
  for (const auto& [sub, action] : actions) {
    if (!sub->parsed()) { continue; }
    Status status = guarded(action, context);
    const Status shown = written(streams.out);
    if (status.ok()) { status = shown; }
    return report_status(streams, Paint(context.err_terminal.color), status);
  }
  return report_status(streams, plain_paint, internal_error("no command was chosen"));
}

}  // namespace tributary::cli
