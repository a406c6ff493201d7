// SPDX-License-Identifier: Apache-2.0
#include "config/configuration_schema.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "yaml_text.hpp"

namespace tributary::internal::config {
namespace {

constexpr std::string_view kTierPattern = "tiers.*";

// Edits that make b of a: insert, remove, replace a character, swap two neighbours. In a word of three letters a
// replaced one makes another word (gpu, cpu) and counts twice.
std::size_t edit_distance(std::string_view a, std::string_view b) {
  static constexpr std::size_t kShort = 3;
  const std::size_t replacement = std::max(a.size(), b.size()) <= kShort ? 2 : 1;
  std::vector<std::size_t> before(b.size() + 1);
  std::vector<std::size_t> last(b.size() + 1);
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(last.begin(), last.end(), std::size_t{0});
  for (std::size_t i = 1; i <= a.size(); ++i) {
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t replaced = last[j - 1] + (a[i - 1] == b[j - 1] ? 0 : replacement);
      row[j] = std::min({replaced, last[j] + 1, row[j - 1] + 1});
      const bool swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
      if (swapped) { row[j] = std::min(row[j], before[j - 2] + 1); }
    }
    std::swap(before, last);
    std::swap(last, row);
  }
  return last[b.size()];
}

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

bool applies(const Key& key, Target& target) {
  for (const Condition& condition : conditions_of(key)) {
    const std::string value = word_of(*find_key(condition.selector), target);
    if (std::find(condition.values.begin(), condition.values.end(), value) == condition.values.end()) { return false; }
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

std::string enumerate(std::span<const std::string_view> words) {
  std::string result;
  for (std::size_t i = 0; i < words.size(); ++i) {
    result += i == 0 ? "" : i + 1 == words.size() ? " or " : ", ";
    result += words[i];
  }
  return result;
}

std::string_view nearest(std::string_view word, std::span<const std::string_view> candidates) {
  static constexpr std::size_t kLongest = 64;
  if (word.size() > kLongest) { return {}; }
  const std::string plain = lower(word);
  std::string_view best;
  std::size_t fewest = kLongest;
  for (const std::string_view candidate : candidates) {
    const std::size_t edits = edit_distance(plain, lower(candidate));
    const std::size_t most = std::max<std::size_t>(1, std::max(word.size(), candidate.size()) / 3);
    if (edits <= most && edits < fewest && edits < candidate.size()) {
      best = candidate;
      fewest = edits;
    }
  }
  return best;
}

}  // namespace tributary::internal::config
