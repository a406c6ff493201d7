// SPDX-License-Identifier: Apache-2.0
#include "tributary/config/configuration.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <system_error>

#include "config/yaml_document.hpp"
#include "configuration_reading.hpp"
#include "tributary/base/file_system.hpp"
#include "yaml_text.hpp"

namespace tributary {
namespace {

using internal::config::YamlDocument;
using internal::config::YamlEntry;
using internal::config::YamlNode;

Result<Configuration> parse(std::string_view text, std::string_view name, std::span<const std::string> overrides,
                            const std::filesystem::path& directory) {
  internal::config::Reading reading(name);
  const auto failed = [&] { return configuration_error(reading.messages()); };

  YamlDocument document = internal::config::parse_yaml(text, 0);
  reading.mistakes = document.mistakes;
  if (!document.readable) { return failed(); }
  if (document.root.kind == YamlNode::Kind::kNull) {
    reading.mistake({}, "the file is empty; a configuration starts with `schema: 1`");
    return failed();
  }
  if (document.root.kind != YamlNode::Kind::kMap) {
    reading.mistake(document.root.place, fmt::format("a configuration is a map of keys and values, got {}",
                                                     internal::config::describe(document.root)));
    return failed();
  }
  internal::config::apply_overrides(overrides, document.root, reading);

  // A file of another version is not judged by this one's rules.
  static const std::string kVersion = std::to_string(Configuration::kSchema);
  const YamlEntry* schema = document.root.find("schema");
  if (schema != nullptr && (schema->value.kind != YamlNode::Kind::kScalar || schema->value.text != kVersion)) {
    reading.mistakes = {
        {schema->value.place, fmt::format("schema must be {}, the version that this program reads; got {}", kVersion,
                                          internal::config::describe(schema->value))}};
    return failed();
  }

  internal::config::read_tree(document.root, reading);
  internal::config::follow_defaults(reading);
  internal::config::check_conditions(reading);
  internal::config::check_rules(reading);
  if (!reading.mistakes.empty()) { return failed(); }
  Configuration& configuration = reading.configuration;
  // An absolute path stays as it is.
  if (!directory.empty() || !configuration.base_directory.empty()) {
    configuration.base_directory = (directory / configuration.base_directory).lexically_normal();
    if (!configuration.base_directory.has_filename() && configuration.base_directory.has_relative_path()) {
      configuration.base_directory = configuration.base_directory.parent_path();
    }
  }
  return std::move(configuration);
}

}  // namespace

std::string internal::config::Reading::messages() const {
  static constexpr std::size_t kMost = 100;
  std::vector<Mistake> sorted = mistakes;
  std::sort(sorted.begin(), sorted.end());
  sorted.erase(std::unique(sorted.begin(), sorted.end()), sorted.end());
  std::string result;
  for (std::size_t i = 0; i < std::min(sorted.size(), kMost); ++i) {
    const auto& [place, text] = sorted[i];
    const std::string& label = sources[static_cast<std::size_t>(place.source)].label;
    if (i > 0) { result += '\n'; }
    result += place.source == 0 ? fmt::format("{}:{}:{}: {}", label, place.line, place.column, text)
                                : fmt::format("{}: {}", label, text);
  }
  if (sorted.size() > kMost) { result += "\nand there are more mistakes"; }
  return result;
}

const TierConfig& Configuration::tier(std::uint32_t distance_from_root) const {
  const auto found = tiers.find(distance_from_root);
  return found == tiers.end() ? default_tier : found->second;
}

std::filesystem::path Configuration::resolve(const std::string& path) const {
  return base_directory / path;
}

Result<Configuration> read_configuration(const std::filesystem::path& file, std::span<const std::string> overrides) {
  auto bytes = read_file(real_file_system(), file, internal::config::kMaxYamlBytes);
  if (!bytes.ok() && bytes.status().code() == Code::kResourceExhausted) {
    return configuration_error(bytes.status().message());
  }
  TRIBUTARY_RETURN_IF_ERROR(bytes.status());
  std::error_code error;
  const std::filesystem::path absolute = std::filesystem::absolute(file, error);
  if (error) { return io_error(fmt::format("cannot find the directory of {}: {}", file.string(), error.message())); }
  const std::string text(reinterpret_cast<const char*>(bytes.value().data()), bytes.value().size());
  return parse(text, file.string(), overrides, absolute.parent_path());
}

Result<Configuration> parse_configuration(std::string_view text, std::string_view name_for_messages,
                                          std::span<const std::string> overrides) {
  return parse(text, name_for_messages, overrides, {});
}

}  // namespace tributary
