// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include <cmath>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "commands/command.hpp"
#include "console/json_output.hpp"
#include "report/compare_page.hpp"
#include "report/report_page.hpp"
#include "report/run_data.hpp"
#include "tributary/base/human.hpp"
#include "tributary/base/printable.hpp"

namespace tributary::cli {
namespace {

namespace fs = std::filesystem;

struct Options {
  std::vector<std::string> runs;
  std::string output;
  bool json = false;
};

nlohmann::ordered_json facts_of(const RunData& run) {
  nlohmann::ordered_json facts{{"name", run.name}, {"directory", run.directory.string()}, {"outcome", run.outcome()}};
  facts["rounds"] = run.rounds.size();
  facts["accuracy"] = run.last("accuracy");
  facts["best_accuracy"] = run.best_round() == nullptr ? std::nan("") : run.best_round()->number("accuracy");
  facts["loss"] = run.last("loss");
  facts["seconds"] = run.seconds();
  facts["bytes_moved"] = saturated_count(run.bytes_moved());
  facts["model_sha256"] = std::string(run.end.text("model_sha256"));
  return facts;
}

Status act(const Options& options, const Context& context) {
  FileSystem& files = real_file_system();
  std::vector<RunData> runs;
  for (const std::string& path : options.runs) {
    TRIBUTARY_ASSIGN_OR_RETURN(RunData run, read_run(files, path));
    runs.push_back(std::move(run));
  }
  const bool one = runs.size() == 1;
  const fs::path output = !options.output.empty() ? fs::path(options.output)
                          : one                   ? runs.front().directory / "report.html"
                                                  : fs::path("comparison.html");
  const Comparison comparison = compare(runs);
  TRIBUTARY_RETURN_IF_ERROR(
      write_atomically(files, output, one ? report_page(runs.front()) : comparison_page(runs, comparison)));
  if (options.json) {
    nlohmann::ordered_json document{
        {"schema", 1}, {"report", output.string()}, {"runs", nlohmann::ordered_json::array()}};
    for (const RunData& run : runs) { document["runs"].push_back(facts_of(run)); }
    if (!one) {
      document["differences"] = nlohmann::ordered_json::object();
      for (const auto& row : comparison.settings) { document["differences"][row.name] = row.values; }
    }
    print_json(context.out, document);
    return ok_status();
  }
  if (one) {
    context.out << printable_text(output.string()) << '\n';
  } else {
    context.out << comparison_text(comparison, context.paint(), context.out_terminal.utf8);
    context.note("\n  charts in " + output.string());
  }
  return ok_status();
}

}  // namespace

Command report_command() {
  return {
      "report", "Write the report of a run, or compare several", [](CLI::App& app) -> Action {
        auto options = std::make_shared<Options>();
        app.add_option("runs", options->runs, "Run directories (or their records.jsonl)")->required()->type_name("DIR");
        app.add_option("-o,--output", options->output,
                       "The page to write (default: report.html in the run directory; comparison.html for several)")
            ->type_name("FILE");
        app.add_flag("--json", options->json, "Key numbers and differences as one JSON object");
        app.footer(
            "Examples:\n"
            "  tributary report runs/fashion\n"
            "  tributary report runs/flat runs/tree -o comparison.html");
        return [options](const Context& context) { return act(*options, context); };
      }};
}

}  // namespace tributary::cli
