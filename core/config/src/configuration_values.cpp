// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <system_error>

#include "base/words.hpp"
#include "configuration_reading.hpp"
#include "configuration_suggestions.hpp"
#include "yaml_text.hpp"

namespace tributary::internal::config {
namespace {

constexpr std::size_t kMostNumbers = 64;  // in a list
constexpr std::size_t kMostTexts = 1024;  // in a list or a map

bool is_whole_number(std::string_view text) {
  const bool negative = text.starts_with('-');
  if (negative) { text.remove_prefix(1); }
  const bool digits =
      !text.empty() && std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
  return digits && (text[0] != '0' || (text.size() == 1 && !negative));
}

constexpr std::string_view kNameDemand =
    "1 to 64 letters, digits, dots, underscores and hyphens, not starting with a dot or hyphen";

bool is_name(std::string_view text) {
  static constexpr std::size_t kLongest = 64;
  const bool characters = std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' ||
           c == '-';
  });
  return !text.empty() && text.size() <= kLongest && characters && text[0] != '.' && text[0] != '-';
}

class ValueReader {
 public:
  ValueReader(const Key& key, const YamlEntry& entry, Reading& reading) : key_(key), entry_(entry), reading_(reading) {}

  bool read(const std::string& path, const Field& field) {
    return std::visit([&](auto member) { return value(path, entry_.value, member); }, field);
  }

 private:
  bool refuse(const std::string& path, const YamlNode& node, std::string_view demand) {
    reading_.mistake(node.place, fmt::format("{} must be {}, got {}", path, demand, describe(node)));
    return false;
  }

  bool refuse_empty(const std::string& path, const YamlNode& node) {
    reading_.mistake(node.place, fmt::format("{} must not be empty", path));
    return false;
  }

  bool value(const std::string& path, const YamlNode& node, bool* member) {
    const bool is_bool =
        node.kind == YamlNode::Kind::kScalar && node.plain && (node.text == "true" || node.text == "false");
    if (!is_bool) {
      const std::string_view meant = node.kind == YamlNode::Kind::kScalar ? meant_truth(node.text) : std::string_view();
      reading_.mistake(node.place, fmt::format("{} must be true or false, got {}{}", path, describe(node),
                                               meant.empty() ? "" : fmt::format("; did you mean {}?", meant)));
      return false;
    }
    *member = node.text == "true";
    return true;
  }

  template <typename T>
  bool whole_number(const std::string& path, const YamlNode& node, T* member) {
    if (node.kind != YamlNode::Kind::kScalar || !node.plain || !is_whole_number(node.text)) {
      return refuse(path, node, "a whole number");
    }
    const char* end = node.text.data() + node.text.size();
    double approximate = 0.0;
    if (std::from_chars(node.text.data(), end, approximate).ec != std::errc{}) {
      approximate = node.text[0] == '-' ? -std::numeric_limits<double>::max() : std::numeric_limits<double>::max();
    }
    if (!key_.range.contains(approximate)) { return refuse(path, node, key_.range.text()); }
    T parsed{};
    if (std::from_chars(node.text.data(), end, parsed).ec != std::errc{}) {
      return refuse(path, node,
                    node.text[0] == '-' ? fmt::format(">= {}", std::numeric_limits<T>::min())
                                        : fmt::format("<= {}", std::numeric_limits<T>::max()));
    }
    *member = parsed;
    return true;
  }
  bool value(const std::string& path, const YamlNode& node, std::uint32_t* member) {
    return whole_number(path, node, member);
  }
  bool value(const std::string& path, const YamlNode& node, std::uint64_t* member) {
    return whole_number(path, node, member);
  }
  bool value(const std::string& path, const YamlNode& node, std::int32_t* member) {
    return whole_number(path, node, member);
  }
  bool value(const std::string& path, const YamlNode& node, std::int64_t* member) {
    return whole_number(path, node, member);
  }

  bool value(const std::string& path, const YamlNode& node, double* member) {
    double parsed = 0.0;
    const char* end = node.text.data() + node.text.size();
    const std::from_chars_result result = std::from_chars(node.text.data(), end, parsed);
    const bool is_number = node.kind == YamlNode::Kind::kScalar && node.plain && result.ptr == end &&
                           result.ec == std::errc{} && std::isfinite(parsed);
    if (!is_number) { return refuse(path, node, "a number"); }
    if (!key_.range.contains(parsed)) { return refuse(path, node, key_.range.text()); }
    if (key_.float32 && !seen_by_float32(path, node, parsed)) { return false; }
    *member = parsed;
    return true;
  }

  bool seen_by_float32(const std::string& path, const YamlNode& node, double parsed) {
    if (parsed == 0.0 || std::abs(parsed) >= std::numeric_limits<float>::min()) { return true; }
    reading_.mistake(node.place,
                     fmt::format("{} must be {}at least 1.2e-38, as models are computed in float32 and smaller numbers "
                                 "are 0 there, got {}",
                                 path, key_.range.contains(0.0) ? "0, or " : "", describe(node)));
    return false;
  }

  template <typename T>
  bool value(const std::string& path, const YamlNode& node, std::optional<T>* member) {
    T parsed{};
    if (!value(path, node, &parsed)) { return false; }
    *member = parsed;
    return true;
  }

  bool text(const std::string& path, const YamlNode& node, std::string* member) {
    if (node.kind != YamlNode::Kind::kScalar) { return refuse(path, node, "text"); }
    const bool one_line = std::none_of(node.text.begin(), node.text.end(),
                                       [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; });
    if (!one_line) { return refuse(path, node, "one line of text"); }
    *member = node.text;
    return true;
  }

  bool choice(const std::string& path, const YamlNode& node, std::size_t* chosen) {
    const auto found = node.kind == YamlNode::Kind::kScalar
                           ? std::find(key_.choices.begin(), key_.choices.end(), node.text)
                           : key_.choices.end();
    if (found != key_.choices.end()) {
      *chosen = static_cast<std::size_t>(found - key_.choices.begin());
      return true;
    }
    const std::string meant = meant_choice(node.text, key_.choices);
    reading_.mistake(node.place, fmt::format("{} must be {}, got {}{}", path, one_of(key_.choices), describe(node),
                                             meant.empty() ? "" : fmt::format("; did you mean {}?", meant)));
    return false;
  }
  bool value(const std::string& path, const YamlNode& node, EnumField member) {
    std::size_t chosen = 0;
    if (!choice(path, node, &chosen)) { return false; }
    member.set(member.object, chosen);
    return true;
  }

  bool value(const std::string& path, const YamlNode& node, std::string* member) {
    // A word that is nearly a known one is a slip, and no name.
    const bool own_name = key_.open && node.kind == YamlNode::Kind::kScalar && !node.text.empty() &&
                          nearest_word(node.text, key_.choices).empty();
    if (!key_.choices.empty() && !own_name) {
      std::size_t chosen = 0;
      if (!choice(path, node, &chosen)) { return false; }
      *member = key_.choices[chosen];
      return true;
    }
    std::string parsed;
    if (!text(path, node, &parsed)) { return false; }
    if (key_.path == "name" && !is_name(parsed)) { return refuse(path, node, kNameDemand); }
    const bool may_be_empty = member->empty() && !key_.required && key_.group.empty();
    if (parsed.empty() && !may_be_empty) { return refuse_empty(path, node); }
    *member = std::move(parsed);
    return true;
  }

  bool value(const std::string& path, const YamlNode& node, std::filesystem::path* member) {
    std::string parsed;
    if (!text(path, node, &parsed)) { return false; }
    if (parsed.empty()) { return refuse_empty(path, node); }
    *member = parsed;
    return true;
  }

  // A list or map, not empty and not too long.
  bool collection(const std::string& path, const YamlNode& node, YamlNode::Kind kind, std::size_t most) {
    const bool is_list = kind == YamlNode::Kind::kSequence;
    if (node.kind != kind) {
      return refuse(path, node, fmt::format("a {} such as {}", is_list ? "list" : "map", example()));
    }
    const std::size_t size = is_list ? node.items.size() : node.entries.size();
    if (size == 0) { return refuse_empty(path, node); }
    if (size > most) {
      reading_.mistake(node.place, fmt::format("{} must have at most {} entries, got {}", path, most, size));
      return false;
    }
    return true;
  }

  bool name_of(const std::string& path, const YamlEntry& entry, std::string_view what) {
    if (is_name(entry.key)) { return true; }
    reading_.mistake(entry.place,
                     fmt::format("{}: {} must be {}, got {}", path, what, kNameDemand, excerpt(entry.key)));
    return false;
  }

  [[nodiscard]] std::string_view example() const { return key_.example.empty() ? "[16, 8]" : key_.example; }

  template <typename T>
  bool value(const std::string& path, const YamlNode& node, std::vector<T>* member) {
    const std::size_t most = std::is_arithmetic_v<T> ? kMostNumbers : kMostTexts;
    if (!collection(path, node, YamlNode::Kind::kSequence, most)) { return false; }
    std::vector<T> parsed(node.items.size());
    bool valid = true;
    for (std::size_t i = 0; i < node.items.size(); ++i) {
      const std::string item = fmt::format("{}[{}]", path, i);
      if constexpr (std::is_arithmetic_v<T>) {
        valid = value(item, node.items[i], &parsed[i]) && valid;
      } else {
        valid = text(item, node.items[i], &parsed[i]) && valid;
      }
    }
    if (valid) { *member = std::move(parsed); }
    return valid;
  }

  bool value(const std::string& path, const YamlNode& node, std::map<std::string, std::string>* member) {
    if (!collection(path, node, YamlNode::Kind::kMap, kMostTexts)) { return false; }
    std::map<std::string, std::string> parsed;
    bool valid = true;
    for (const YamlEntry& entry : node.entries) {
      valid = name_of(path, entry, "an option's name") && valid;
      valid = text(fmt::format("{}.{}", path, excerpt(entry.key)), entry.value, &parsed[entry.key]) && valid;
    }
    if (valid) { *member = std::move(parsed); }
    return valid;
  }

  bool value(const std::string& path, const YamlNode& node, std::vector<TopologyConfig::Site>* member) {
    if (!collection(path, node, YamlNode::Kind::kMap, std::numeric_limits<std::uint32_t>::max())) { return false; }
    std::vector<TopologyConfig::Site> parsed;
    bool valid = true;
    for (const YamlEntry& entry : node.entries) {
      TopologyConfig::Site site{entry.key, 0};
      valid = name_of(path, entry, "a site's name") && valid;
      valid = value(fmt::format("{}.{}", path, excerpt(entry.key)), entry.value, &site.clients) && valid;
      parsed.push_back(std::move(site));
    }
    if (valid) { *member = std::move(parsed); }
    return valid;
  }

  bool value(const std::string& path, const YamlNode& node, NodesField member) {
    if (node.kind != YamlNode::Kind::kSequence && node.kind != YamlNode::Kind::kMap) {
      return refuse(path, node, fmt::format("a list such as {}", key_.example));
    }
    if (node.items.empty() && node.entries.empty()) { return refuse_empty(path, node); }
    member.topology->inline_nodes = placed_text(entry_);
    member.topology->inline_line = entry_.place.source == 0 ? entry_.place.line : 0;
    return true;
  }

  const Key& key_;
  const YamlEntry& entry_;
  Reading& reading_;
};

}  // namespace

bool read_value(const Key& key, const std::string& path, const YamlEntry& entry, const Field& field, Reading& reading) {
  return ValueReader(key, entry, reading).read(path, field);
}

}  // namespace tributary::internal::config
