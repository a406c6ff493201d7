// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include <algorithm>
#include <array>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/words.hpp"
#include "commands/catalog.hpp"
#include "commands/command.hpp"
#include "commands/load.hpp"
#include "console/json_output.hpp"
#include "console/text_table.hpp"

namespace tributary::cli {
namespace {

struct Options {
  std::string section;
  bool json = false;
};

std::vector<CatalogSection> whole_catalog() {
  std::vector<CatalogSection> all;
  CatalogSection trainers{"trainers", "trainer.kind", {}};
  for (const auto& entry : known_trainers().kinds()) { trainers.entries.push_back({entry.name, entry.summary}); }
  all.push_back(std::move(trainers));
  CatalogSection models{"models", "model.kind", {}};
  for (const ModelKind& model : builtin_models()) {
    models.entries.push_back({std::string(model.name), std::string(model.summary)});
  }
  // Not a model of the torch trainer, so not among the built-in ones.
  models.entries.push_back({"echo", "numbers without meaning, for trainer.kind: echo"});
  all.push_back(std::move(models));
  CatalogSection policies{"policies", "tiers.default.policy", {}};
  for (const auto& entry : known_extensions().policies()) { policies.entries.push_back({entry.name, entry.summary}); }
  all.push_back(std::move(policies));
  CatalogSection rules{"rules", "tiers.default.rule", {}};
  for (const auto& entry : known_extensions().rules()) { rules.entries.push_back({entry.name, entry.summary}); }
  all.push_back(std::move(rules));
  CatalogSection codecs{"codecs", "tiers.default.codec", {}};
  for (const auto& entry : known_extensions().codecs()) { codecs.entries.push_back({entry.name, entry.summary}); }
  all.push_back(std::move(codecs));
  CatalogSection servers{"server-optimizers", "server_optimizer.kind", {}};
  for (const auto& entry : known_extensions().server_optimizers()) {
    servers.entries.push_back({entry.name, entry.summary});
  }
  all.push_back(std::move(servers));
  for (const CatalogSection& section : configuration_catalog()) { all.push_back(section); }
  std::erase_if(all, [](const CatalogSection& section) { return section.entries.empty(); });
  return all;
}

Status act(const Options& options, const Context& context) {
  std::vector<CatalogSection> catalog = whole_catalog();
  if (!options.section.empty()) {
    std::vector<std::string_view> names;
    for (const CatalogSection& section : catalog) { names.push_back(section.name); }
    if (std::find(names.begin(), names.end(), options.section) == names.end()) {
      const std::string_view near = internal::nearest_word(options.section, names);
      return invalid_argument(fmt::format("nothing is called '{}'{}; there are {}", options.section,
                                          near.empty() ? std::string() : fmt::format(" (did you mean '{}'?)", near),
                                          fmt::join(names, ", ")));
    }
    std::erase_if(catalog, [&options](const CatalogSection& section) { return section.name != options.section; });
  }
  if (options.json) {
    nlohmann::ordered_json document{{"schema", 1}};
    for (const CatalogSection& section : catalog) {
      nlohmann::ordered_json entries = nlohmann::ordered_json::array();
      for (const CatalogEntry& entry : section.entries) {
        entries.push_back({{"name", entry.name}, {"summary", entry.summary}});
      }
      document[section.name] = std::move(entries);
    }
    print_json(context.out, document);
    return ok_status();
  }
  const Paint paint = context.paint();
  bool first = true;
  for (const CatalogSection& section : catalog) {
    if (!std::exchange(first, false)) { context.out << '\n'; }
    context.out << paint.bold(section.name);
    if (!section.key.empty()) { context.out << "  " << paint.dim(section.key); }
    context.out << '\n';
    std::size_t width = 0;
    for (const CatalogEntry& entry : section.entries) { width = std::max(width, entry.name.size()); }
    for (const CatalogEntry& entry : section.entries) {
      context.out << fmt::format("  {}  {}\n", paint.cyan(fmt::format("{:<{}}", entry.name, width)), entry.summary);
    }
  }
  return ok_status();
}

}  // namespace

Command list_command() {
  return {"list", "Print what a configuration can ask for by name", [](CLI::App& app) -> Action {
            auto options = std::make_shared<Options>();
            app.add_option("what", options->section,
                           "Only this: trainers, models, policies, algorithms, partitions, data-sources, ...")
                ->type_name("WHAT");
            app.add_flag("--json", options->json, "One JSON object");
            app.footer("Examples:\n  tributary list\n  tributary list models --json");
            return [options](const Context& context) { return act(*options, context); };
          }};
}

}  // namespace tributary::cli
