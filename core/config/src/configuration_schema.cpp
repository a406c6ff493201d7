// SPDX-License-Identifier: Apache-2.0
#include "config/configuration_schema.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "yaml_text.hpp"

namespace tributary::internal::config {
namespace {

constexpr std::string_view kTierPattern = "tiers.*";

}  // namespace

bool Range::contains(double value) const noexcept {
  if (or_zero && value == 0.0) { return true; }
  return !(least && value < *least) && !(above && value <= *above) && !(most && value > *most) &&
         !(below && value >= *below);
}

std::string Range::text() const {
  std::string result;
  const auto add = [&](std::string_view sign, const std::optional<double>& bound) {
    if (bound) { result += fmt::format("{}{} {:.15g}", result.empty() ? "" : " and ", sign, *bound); }
  };
  add(">=", least);
  add(">", above);
  add("<=", most);
  add("<", below);
  return or_zero ? "0, or " + result : result;
}

std::string_view Key::parent() const noexcept {
  const std::size_t dot = path.rfind('.');
  return dot == std::string_view::npos ? std::string_view{} : path.substr(0, dot);
}

std::string_view Key::word() const noexcept {
  const std::size_t dot = path.rfind('.');
  return dot == std::string_view::npos ? path : path.substr(dot + 1);
}

const Key* find_key(std::string_view pattern) {
  const std::span<const Key> keys = schema();
  const auto found = std::find_if(keys.begin(), keys.end(), [&](const Key& key) { return key.path == pattern; });
  return found == keys.end() ? nullptr : &*found;
}

std::string pattern_of(std::string_view path) {
  static constexpr std::string_view kTiers = "tiers.";
  if (!path.starts_with(kTiers)) { return std::string(path); }
  const std::size_t dot = path.find('.', kTiers.size());
  return std::string(kTierPattern) + (dot == std::string_view::npos ? "" : std::string(path.substr(dot)));
}

std::string environment_name(std::string_view path) {
  std::string name = "TRIBUTARY_";
  for (const char c : path) { name += c == '.' ? '_' : c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c; }
  return name;
}

std::vector<Condition> conditions_of(const Key& key) {
  static constexpr std::string_view kAnd = " & ";
  const auto take = [](std::string_view& rest, std::string_view separator) {
    const std::size_t end = std::min(rest.find(separator), rest.size());
    const std::string_view part = rest.substr(0, end);
    rest.remove_prefix(std::min(end + separator.size(), rest.size()));
    return part;
  };
  std::vector<Condition> conditions;
  for (std::string_view rest = key.when; !rest.empty();) {
    std::string_view values = take(rest, kAnd);
    Condition condition{take(values, "="), {}};
    while (!values.empty()) { condition.values.push_back(take(values, "|")); }
    conditions.push_back(std::move(condition));
  }
  return conditions;
}

std::string word_of(const Key& key, Target& target) {
  const Field field = key.field(target);
  if (const auto* text = std::get_if<std::string*>(&field)) { return **text; }
  const EnumField& member = std::get<EnumField>(field);
  return std::string(key.choices.at(member.get(member.object)));
}

bool allows(const Condition& condition, std::string_view value) {
  const auto is_among = [value](const std::vector<std::string_view>& words) {
    return std::ranges::find(words, value) != words.end();
  };
  const Key& selecting = *find_key(condition.selector);
  return is_among(condition.values) || (selecting.open && !is_among(selecting.choices));
}

bool applies(const Key& key, Target& target) {
  for (const Condition& condition : conditions_of(key)) {
    if (!allows(condition, word_of(*find_key(condition.selector), target))) { return false; }
  }
  const Key* section = find_key(key.parent());
  return section == nullptr || applies(*section, target);
}

void reset(const Key& key, Target& target) {
  Configuration configuration;
  TierConfig tier;
  std::uint32_t schema_version = Configuration::kSchema;
  Target defaults{configuration, tier, schema_version};
  std::visit(
      [&](auto to) {
        using T = decltype(to);
        const T from = std::get<T>(key.field(defaults));
        if constexpr (std::is_same_v<T, EnumField>) {
          to.set(to.object, from.get(from.object));
        } else if constexpr (std::is_same_v<T, NodesField>) {
          to.topology->inline_nodes.clear();
          to.topology->inline_line = 0;
        } else {
          *to = *from;
        }
      },
      key.field(target));
}

}  // namespace tributary::internal::config
