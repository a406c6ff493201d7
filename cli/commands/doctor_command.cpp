// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>

#include "commands/command.hpp"
#include "commands/doctor_checks.hpp"
#include "console/json_output.hpp"
#include "tributary/base/human.hpp"
#include "tributary/base/printable.hpp"

namespace tributary::cli {
namespace {

struct Options {
  DoctorOptions doctor;
  bool no_measure = false;
  bool json = false;
};

Status act(Options options, const Context& context) {
  options.doctor.measure = !options.no_measure;
  const std::vector<Check> checks = examine_machine(options.doctor);
  const auto warnings = static_cast<std::uint64_t>(
      std::count_if(checks.begin(), checks.end(), [](const Check& c) { return c.level == Check::Level::kWarning; }));
  if (options.json) {
    nlohmann::ordered_json document{{"schema", 1}, {"warnings", warnings}, {"checks", nlohmann::ordered_json::array()}};
    for (const Check& check : checks) {
      nlohmann::ordered_json entry{
          {"subject", check.subject}, {"level", to_string(check.level)}, {"value", check.value}};
      if (!check.advice.empty()) { entry["advice"] = check.advice; }
      document["checks"].push_back(std::move(entry));
    }
    print_json(context.out, document);
    return ok_status();
  }
  const Paint paint = context.paint();
  const bool utf8 = context.out_terminal.utf8;
  std::size_t width = 0;
  for (const Check& check : checks) { width = std::max(width, display_width(check.subject)); }
  for (const Check& check : checks) {
    std::string mark = utf8 ? paint.green("✓") : paint.green("ok");
    if (check.level == Check::Level::kNote) { mark = paint.dim(utf8 ? "·" : "--"); }
    if (check.level == Check::Level::kWarning) { mark = paint.yellow(utf8 ? "!" : "!!"); }
    context.out << fmt::format("  {} {}  {}\n", mark, paint.bold(pad_right(check.subject, width)),
                               printable_text(check.value));
    if (!check.advice.empty()) {
      context.out << fmt::format("  {}   {} {}\n", std::string(utf8 ? 1 : 2, ' ') + std::string(width, ' '),
                                 paint.yellow(utf8 ? "→" : "->"), printable_text(check.advice));
    }
  }
  context.out << '\n'
              << (warnings == 0
                      ? paint.green("  This machine is ready.")
                      : paint.yellow(fmt::format("  {}, each with what to do.", human_plural(warnings, "warning"))))
              << '\n';
  return ok_status();
}

}  // namespace

Command doctor_command() {
  return {"doctor", "Say what this machine has, and what would make it faster", [](CLI::App& app) -> Action {
            auto options = std::make_shared<Options>();
            app.add_flag("--no-measure", options->no_measure, "Do not time a matrix product");
            app.add_option("--directory", options->doctor.directory, "Whose disk to look at")->type_name("DIR");
            app.add_flag("--json", options->json, "One JSON object");
            app.footer("Example:\n  tributary doctor\nExit code: 0, also with warnings.");
            return [options](const Context& context) { return act(*options, context); };
          }};
}

}  // namespace tributary::cli
