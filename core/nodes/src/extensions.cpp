// SPDX-License-Identifier: Apache-2.0
#include "tributary/nodes/extensions.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace tributary {
namespace {

template <typename Known>
std::vector<ExtensionRegistry::Entry> entries(const Known& known) {
  std::vector<ExtensionRegistry::Entry> list;
  for (const auto& [name, entry] : known) { list.push_back({name, entry.summary}); }
  return list;
}

template <typename Made, typename Known, typename... Arguments>
Result<std::unique_ptr<Made>> make(std::string_view what, const Known& known, const std::string& name,
                                   const Arguments&... arguments) {
  const auto found = known.find(name);
  if (found == known.end()) {
    std::vector<std::string_view> names;
    for (const auto& entry : known) { names.push_back(entry.first); }
    return configuration_error(
        fmt::format("there is no {} named \"{}\"; known: {}", what, name, fmt::join(names, ", ")));
  }
  return found->second.maker(arguments...);
}

}  // namespace

void ExtensionRegistry::add_policy(std::string name, std::string summary, PolicyMaker maker) {
  policies_.insert_or_assign(std::move(name), Known<PolicyMaker>{std::move(summary), std::move(maker)});
}

void ExtensionRegistry::add_rule(std::string name, std::string summary, RuleMaker maker) {
  rules_.insert_or_assign(std::move(name), Known<RuleMaker>{std::move(summary), std::move(maker)});
}

void ExtensionRegistry::add_server_optimizer(std::string name, std::string summary, ServerOptimizerMaker maker) {
  server_optimizers_.insert_or_assign(std::move(name),
                                      Known<ServerOptimizerMaker>{std::move(summary), std::move(maker)});
}

void ExtensionRegistry::add_local_method(std::string name, std::string summary, LocalMethodMaker maker) {
  local_methods_.insert_or_assign(std::move(name), Known<LocalMethodMaker>{std::move(summary), std::move(maker)});
}

void ExtensionRegistry::add_codec(std::string name, std::string summary, CodecMaker maker) {
  codecs_.insert_or_assign(std::move(name), Known<CodecMaker>{std::move(summary), std::move(maker)});
}

Result<std::unique_ptr<TierPolicy>> ExtensionRegistry::make_policy(const std::string& name,
                                                                   const PolicySettings& settings) const {
  return make<TierPolicy>("policy", policies_, name, settings);
}

Result<std::unique_ptr<AggregationRule>> ExtensionRegistry::make_rule(const std::string& name) const {
  return make<AggregationRule>("rule", rules_, name);
}

Result<std::unique_ptr<ServerOptimizer>> ExtensionRegistry::make_server_optimizer(
    const std::string& name, const ServerOptimizerSettings& settings) const {
  return make<ServerOptimizer>("server optimizer", server_optimizers_, name, settings);
}

Result<std::unique_ptr<LocalMethod>> ExtensionRegistry::make_local_method(const std::string& name,
                                                                          const LocalMethodSettings& settings) const {
  return make<LocalMethod>("local method", local_methods_, name, settings);
}

Result<std::unique_ptr<Codec>> ExtensionRegistry::make_codec(const std::string& name) const {
  return make<Codec>("codec", codecs_, name);
}

std::vector<ExtensionRegistry::Entry> ExtensionRegistry::policies() const {
  return entries(policies_);
}
std::vector<ExtensionRegistry::Entry> ExtensionRegistry::rules() const {
  return entries(rules_);
}
std::vector<ExtensionRegistry::Entry> ExtensionRegistry::server_optimizers() const {
  return entries(server_optimizers_);
}
std::vector<ExtensionRegistry::Entry> ExtensionRegistry::codecs() const {
  return entries(codecs_);
}

}  // namespace tributary
