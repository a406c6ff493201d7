// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <utility>

#include "configuration_reading.hpp"
#include "configuration_suggestions.hpp"
#include "yaml_text.hpp"

namespace tributary::internal::config {
namespace {

constexpr std::uint32_t kMostTiers = 64;
constexpr std::size_t kMostWords = 8;  // of an override's path; no key has more

std::string join(std::string_view path, std::string_view word) {
  return path.empty() ? std::string(word) : fmt::format("{}.{}", path, word);
}

class TreeReader {
 public:
  explicit TreeReader(Reading& reading) : reading_(reading) {}

  void section(const YamlNode& node, const std::string& path, TierConfig& tier) {
    for (const YamlEntry& entry : node.entries) {
      const std::string child = join(path, entry.key);
      const Key* key = find_key(join(pattern_of(path), entry.key));
      if (key == nullptr) {
        reading_.mistake(entry.place, unknown_key(path, entry.key));
        continue;
      }
      if (entry.key.find('.') != std::string::npos) {
        reading_.mistake(entry.place, fmt::format("{} must be written as one map in the other, not with a dot", child));
        continue;
      }
      if (key->is_section()) {
        if (open_section(entry, child)) {
          if (child == "tiers") {
            tiers(entry.value);
          } else {
            section(entry.value, child, tier);
          }
        }
        continue;
      }
      Target target = reading_.target(tier);
      // What another way said, and this tier inherited, no longer holds.
      if (!key->group.empty()) {
        for (const Key& other : schema()) {
          if (other.parent() == key->parent() && other.group == key->group && other.way != key->way) {
            reset(other, target);
          }
        }
      }
      const bool valid = read_value(*key, child, entry, key->field(target), reading_);
      reading_.given.emplace(child, Given{entry.place, entry.value.place, valid});
    }
  }

 private:
  bool open_section(const YamlEntry& entry, const std::string& path) {
    const bool is_map = entry.value.kind == YamlNode::Kind::kMap || entry.value.kind == YamlNode::Kind::kNull;
    reading_.given.emplace(path, Given{entry.place, entry.value.place, is_map});
    if (!is_map) {
      reading_.mistake(entry.value.place, fmt::format("{} must be a map of keys and values, got {}{}", path,
                                                      describe(entry.value), as_map(entry, path)));
    }
    return is_map;
  }

  // How to write the section that was given one value.
  [[nodiscard]] static std::string as_map(const YamlEntry& entry, const std::string& path) {
    const bool is_scalar = entry.value.kind == YamlNode::Kind::kScalar;
    if (const std::string map = is_scalar ? as_section(path, entry.value.text) : std::string(); !map.empty()) {
      return fmt::format("; write {}: {}", entry.key, map);
    }
    const std::string keys = keys_of_section(path);
    return keys.empty() ? std::string() : fmt::format("; its keys are {}", keys);
  }

  // `default` first, wherever it stands: the others start from it.
  void tiers(const YamlNode& node) {
    Configuration& configuration = reading_.configuration;
    if (const YamlEntry* entry = node.find("default"); entry != nullptr && open_section(*entry, "tiers.default")) {
      section(entry->value, "tiers.default", configuration.default_tier);
    }
    for (const YamlEntry& entry : node.entries) {
      if (entry.key == "default") { continue; }
      std::uint32_t distance = 0;
      const char* end = entry.key.data() + entry.key.size();
      const std::from_chars_result parsed = std::from_chars(entry.key.data(), end, distance);
      const bool canonical = parsed.ec == std::errc{} && parsed.ptr == end && std::to_string(distance) == entry.key;
      if (!canonical || distance >= kMostTiers) {
        reading_.mistake(entry.place, fmt::format("tiers takes default and distances from the root (0 to {}), got {}",
                                                  kMostTiers - 1, excerpt(entry.key)));
        continue;
      }
      const std::string path = join("tiers", entry.key);
      TierConfig& tier = configuration.tiers.emplace(distance, configuration.default_tier).first->second;
      if (open_section(entry, path)) { section(entry.value, path, tier); }
    }
  }

  Reading& reading_;
};

// The path that a variable of the environment stands for.
std::optional<std::string> path_of_variable(std::string_view name) {
  for (const Key& key : schema()) {
    const std::size_t star = key.path.find('*');
    if (star == std::string_view::npos) {
      if (environment_name(key.path) == name) { return std::string(key.path); }
      continue;
    }
    const std::string before = environment_name(key.path.substr(0, star));
    std::string after = environment_name(key.path.substr(star + 1));
    after.erase(0, environment_name("").size());
    if (name.size() <= before.size() + after.size() || !name.starts_with(before) || !name.ends_with(after)) {
      continue;
    }
    const std::string_view tier = name.substr(before.size(), name.size() - before.size() - after.size());
    const bool is_number = std::all_of(tier.begin(), tier.end(), [](char c) { return c >= '0' && c <= '9'; });
    if (!is_number && tier != "DEFAULT") { continue; }
    return fmt::format("{}{}{}", key.path.substr(0, star), is_number ? tier : "default", key.path.substr(star + 1));
  }
  return std::nullopt;
}

std::optional<std::vector<std::string>> split_path(std::string_view path) {
  std::vector<std::string> words;
  for (;;) {
    const std::size_t dot = path.find('.');
    words.emplace_back(path.substr(0, dot));
    if (words.back().empty() || words.size() > kMostWords) { return std::nullopt; }
    if (dot == std::string_view::npos) { return words; }
    path.remove_prefix(dot + 1);
  }
}

// Sets one value in the tree, making the maps on the way.
void put(YamlNode& root, const std::vector<std::string>& words, YamlNode value, const Reading& reading) {
  const Place place{value.place.source, 1, 1};
  YamlNode* node = &root;
  std::string path;
  for (std::size_t i = 0; i < words.size(); ++i) {
    if (node->kind == YamlNode::Kind::kNull) { node->kind = YamlNode::Kind::kMap; }
    // A mistake of the file, which is reported there.
    if (node->kind != YamlNode::Kind::kMap) { return; }
    path = join(path, words[i]);
    const bool last = i + 1 == words.size();
    YamlEntry* entry = node->find(words[i]);
    if (last && value.kind == YamlNode::Kind::kNull && find_key(pattern_of(path)) != nullptr) {
      std::erase_if(node->entries, [&](const YamlEntry& e) { return e.key == words[i]; });
      return;
    }
    if (entry == nullptr) {
      node->entries.push_back(YamlEntry{words[i], true, place, {}});
      entry = &node->entries.back();
      entry->value.place = place;
    }
    if (last) {
      entry->place = place;
      entry->value = std::move(value);
      break;
    }
    node = &entry->value;
  }
  const Key* key = find_key(pattern_of(path));
  if (key == nullptr || key->group.empty()) { return; }
  const auto rank = [&](const Place& p) { return reading.sources[static_cast<std::size_t>(p.source)].rank; };
  std::erase_if(node->entries, [&](const YamlEntry& entry) {
    const Key* other = find_key(join(key->parent(), entry.key));
    return other != nullptr && other->group == key->group && other->way != key->way && rank(entry.place) < rank(place);
  });
}

// A value that is not there at all reads as null, too, which takes a key out of the file. A script whose variable is
// empty does not mean that.
bool says_null(std::string_view value) {
  const std::size_t first = std::min(value.find_first_not_of(" \t"), value.size());
  value.remove_prefix(first);
  const std::string_view word = value.substr(0, value.find_first_of(" \t\r\n"));
  return word == "null" || word == "Null" || word == "NULL" || word == "~";
}

void apply(const std::string& text, Source::Rank rank, YamlNode& root, Reading& reading) {
  const std::size_t equals = text.find('=');
  const std::string name = text.substr(0, equals);
  const bool from_environment = rank == Source::Rank::kEnvironment;
  const int source = static_cast<int>(reading.sources.size());
  const Place place{source, 1, 1};
  reading.sources.push_back({rank, (from_environment ? "environment variable " : "--set ") + excerpt(name)});
  if (equals == std::string::npos) {
    reading.mistake(place, from_environment ? "it has no value" : "it must have the form key=value");
    return;
  }
  const std::optional<std::string> path = from_environment ? path_of_variable(name) : name;
  if (!path) {
    reading.mistake(place, unknown_variable(name));
    return;
  }
  const std::optional<std::vector<std::string>> words = split_path(*path);
  if (!words) {
    reading.mistake(place, fmt::format("a key is 1 to {} words with a dot between each two", kMostWords));
    return;
  }
  YamlDocument document = parse_yaml(std::string_view(text).substr(equals + 1), source);
  reading.mistakes.insert(reading.mistakes.end(), document.mistakes.begin(), document.mistakes.end());
  if (!document.readable) { return; }
  if (document.root.kind == YamlNode::Kind::kNull && !says_null(std::string_view(text).substr(equals + 1))) {
    reading.mistake(place, from_environment ? "the value is missing; unset the variable, or let it be null to take the "
                                              "key out of the file"
                                            : fmt::format("the value is missing; write {}=null to take the key out of "
                                                          "the file",
                                                          excerpt(name)));
    return;
  }
  put(root, *words, std::move(document.root), reading);
}

}  // namespace

void apply_overrides(std::span<const std::string> overrides, YamlNode& root, Reading& reading) {
  static constexpr std::string_view kEnvironment = "env:";
  for (const std::string& text : overrides) {
    if (text.starts_with(kEnvironment)) {
      apply(text.substr(kEnvironment.size()), Source::Rank::kEnvironment, root, reading);
    }
  }
  for (const std::string& text : overrides) {
    if (!text.starts_with(kEnvironment)) { apply(text, Source::Rank::kOption, root, reading); }
  }
}

void read_tree(const YamlNode& root, Reading& reading) {
  TreeReader(reading).section(root, "", reading.configuration.default_tier);
}

}  // namespace tributary::internal::config
