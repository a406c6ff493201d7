// SPDX-License-Identifier: Apache-2.0
// One reading of a configuration: what was given where, what is wrong with it, and the value that comes of it.
//
// Order: apply_overrides(), read_tree(), follow_defaults(), check_conditions(), check_rules(); most add to the
// mistakes.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "config/configuration_schema.hpp"
#include "config/yaml_document.hpp"

namespace tributary::internal::config {

// A text that values come from. Place::source counts them: 0 is the file.
struct Source {
  enum class Rank { kFile, kEnvironment, kOption };
  Rank rank = Rank::kFile;
  std::string label;  // the file's name, or "--set trainer.lr", or "environment variable TRIBUTARY_TRAINER_LR"
};

struct Given {
  Place key;
  Place value;
  bool valid = false;
};

class Reading {
 public:
  explicit Reading(std::string_view file) { sources.push_back({Source::Rank::kFile, std::string(file)}); }

  [[nodiscard]] Target target() { return target(configuration.default_tier); }
  [[nodiscard]] Target target(TierConfig& tier) { return {configuration, tier, schema_version}; }

  void mistake(const Place& place, std::string text) {
    if (mistakes.size() < kMaxMistakes) { mistakes.push_back({place, std::move(text)}); }
  }

  [[nodiscard]] bool is_given(std::string_view path) const { return given.contains(path); }
  // Given, and wrong in itself: what depends on it cannot be judged.
  [[nodiscard]] bool is_broken(std::string_view path) const {
    const auto found = given.find(path);
    return found != given.end() && !found->second.valid;
  }
  // Of the value; of the innermost section around it that was given, or of the start of the file, if it was not.
  [[nodiscard]] Place place_of(std::string_view path) const;

  // All mistakes with their places, sorted, one per line.
  [[nodiscard]] std::string messages() const;

  std::vector<Source> sources;
  std::vector<Mistake> mistakes;
  std::map<std::string, Given, std::less<>> given;  // by path, sections included
  Configuration configuration;
  std::uint32_t schema_version = Configuration::kSchema;
};

// Puts the values of --set and of the environment into the tree of the file.
void apply_overrides(std::span<const std::string> overrides, YamlNode& root, Reading& reading);

// Every key by itself: known, of its type, in its range.
void read_tree(const YamlNode& root, Reading& reading);

// Puts the value into the field; false, with mistakes, if it cannot be.
bool read_value(const Key& key, const std::string& path, const YamlEntry& entry, const Field& field, Reading& reading);

// Defaults that depend on other keys.
void follow_defaults(Reading& reading);

// What the schema says of several keys: `when`, `required`, `group`.
void check_conditions(Reading& reading);

// What only code can say: impossible combinations.
void check_rules(Reading& reading);

}  // namespace tributary::internal::config
