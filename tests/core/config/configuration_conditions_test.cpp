// SPDX-License-Identifier: Apache-2.0
// No key is ignored: where the schema says that one has no effect, it is refused, for every key and every condition.
// That it has an effect everywhere else shows tests/program/every_key_test.py.
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "config/configuration_schema.hpp"
#include "tributary/config/configuration.hpp"

namespace tributary::internal::config {
namespace {

constexpr std::string_view kSmallest = "schema: 1\ntopology: {star: 2}\n";

bool holds(const std::vector<std::string_view>& values, std::string_view value) {
  return std::find(values.begin(), values.end(), value) != values.end();
}

// All that must hold for the key: its own conditions and those of the sections around it.
std::vector<Condition> all_conditions(const Key& key) {
  std::vector<Condition> conditions;
  for (const Key* at = &key; at != nullptr; at = find_key(at->parent())) {
    const std::vector<Condition> own = conditions_of(*at);
    conditions.insert(conditions.end(), own.begin(), own.end());
  }
  return conditions;
}

// A value that is right in itself, and not the one that says "not at all".
std::string sample(const Key& key) {
  for (const std::string_view choice : key.choices) {
    if (choice != key.off) { return std::string(choice); }
  }
  if (!key.example.empty()) { return std::string(key.example); }
  Configuration configuration;
  TierConfig tier;
  std::uint32_t version = 1;
  Target target{configuration, tier, version};
  const Field field = key.field(target);
  if (std::holds_alternative<bool*>(field)) { return "true"; }
  if (std::holds_alternative<double*>(field)) { return "0.5"; }
  if (std::holds_alternative<std::string*>(field)) { return "word"; }
  const bool list = std::holds_alternative<std::vector<std::uint32_t>*>(field) ||
                    std::holds_alternative<std::vector<std::int64_t>*>(field);
  return list ? "[2]" : "2";
}

std::string messages(const std::vector<std::string>& overrides) {
  const Result<Configuration> result = parse_configuration(kSmallest, "c.yaml", overrides);
  return result.ok() ? "" : std::string(result.status().message());
}

struct Trial {
  std::string key;
  std::string broken;  // the selector whose condition does not hold
  std::vector<std::string> overrides;
  std::string off;

  friend void PrintTo(const Trial& trial, std::ostream* out) { *out << trial.key << " without " << trial.broken; }
};

// A key of every tier, at the root.
std::string at_root(std::string_view path) {
  static constexpr std::string_view kTiers = "tiers.*";
  return path.starts_with(kTiers) ? fmt::format("tiers.0{}", path.substr(kTiers.size())) : std::string(path);
}

std::vector<Trial> trials() {
  std::vector<Trial> list;
  for (const Key& key : schema()) {
    if (key.is_section()) { continue; }
    const std::vector<Condition> conditions = all_conditions(key);
    for (const Condition& broken : conditions) {
      for (const std::string_view other : find_key(broken.selector)->choices) {
        if (holds(broken.values, other)) { continue; }
        Trial trial{std::string(key.path), std::string(broken.selector), {}, std::string(key.off)};
        for (const Condition& condition : conditions) {
          if (condition.selector == broken.selector) { continue; }
          trial.overrides.push_back(fmt::format("{}={}", at_root(condition.selector), condition.values.front()));
        }
        trial.overrides.push_back(fmt::format("{}={}", at_root(broken.selector), other));
        list.push_back(std::move(trial));
      }
    }
  }
  return list;
}

TEST(ConfigurationConditions, RefuseEachKeyWhereItHasNoEffect) {
  const std::vector<Trial> all = trials();
  ASSERT_GT(all.size(), 100U);
  for (const Trial& trial : all) {
    std::vector<std::string> overrides = trial.overrides;
    overrides.push_back(fmt::format("{}={}", at_root(trial.key), sample(*find_key(trial.key))));

    const std::string said = messages(overrides);

    bool refused = false;
    for (std::string_view path = trial.key; !path.empty(); path = find_key(path)->parent()) {
      refused = refused ||
                said.find(fmt::format("{} belongs to {} ", at_root(path), at_root(trial.broken))) != std::string::npos;
    }
    EXPECT_TRUE(refused) << testing::PrintToString(trial) << ": " << fmt::format("{}", fmt::join(overrides, " "))
                         << '\n'
                         << said;
  }
}

TEST(ConfigurationConditions, LetAKeySayThatItIsOffWhereItHasNoEffect) {
  for (const Trial& trial : trials()) {
    if (trial.off.empty()) { continue; }
    std::vector<std::string> overrides = trial.overrides;
    overrides.push_back(fmt::format("{}={}", at_root(trial.key), trial.off));

    EXPECT_EQ(messages(overrides).find(trial.key + " belongs to"), std::string::npos) << testing::PrintToString(trial);
  }
}

TEST(ConfigurationConditions, NameOnlyKeysWithChoices) {
  for (const Key& key : schema()) {
    for (const Condition& condition : conditions_of(key)) {
      const Key* selector = find_key(condition.selector);
      ASSERT_NE(selector, nullptr) << key.path;
      for (const std::string_view value : condition.values) {
        EXPECT_TRUE(holds(selector->choices, value)) << key.path << ": " << value;
      }
    }
  }
}

TEST(ConfigurationConditions, DecideWhatIsPrintedAndMeantByDefault) {
  const Configuration configuration =
      parse_configuration(std::string(kSmallest) + "trainer: {kind: command, command: [train, \"{output}\"]}\n",
                          "c.yaml")
          .value();

  EXPECT_EQ(configuration.data.source, DataConfig::Source::kNone);
  EXPECT_EQ(configuration.evaluation.every, 0U);
  const std::string printed = print_configuration(configuration);
  EXPECT_EQ(printed.find("source:"), std::string::npos) << printed;
  EXPECT_EQ(printed.find("every: 0"), std::string::npos) << printed;
  EXPECT_EQ(parse_configuration(printed, "printed").value(), configuration);
}

// What is printed is read again when a run is resumed: it must not hold what would be refused.
TEST(ConfigurationConditions, PrintNothingThatWouldBeRefused) {
  for (const char* text :
       {"data: {source: csv, train: a.csv}\n", "data: {source: idx, train_images: a, train_labels: b}\n",
        "data: {source: csv, train: a.csv}\nevaluation: {every: 0}\n",
        "data: {source: csv, train: a.csv}\nevaluation: {at_clients: true, batch_size: 7}\n",
        "evaluation: {every: 0}\n", "trainer: {kind: echo}\n",
        "data: {source: synthetic}\ntrainer: {kind: echo, steps: 2, batch_size: 8}\n"
        "simulation: {compute_seconds_per_sample: 0.1}\n",
        "data: {source: synthetic}\ntrainer: {kind: echo, epochs: 2}\n"
        "simulation: {compute_seconds_per_sample: 0.1}\n"}) {
    const Result<Configuration> configuration = parse_configuration(std::string(kSmallest) + text, "c.yaml");
    ASSERT_TRUE(configuration.ok()) << configuration.status().to_string();

    const Result<Configuration> again = parse_configuration(print_configuration(*configuration), "printed");

    ASSERT_TRUE(again.ok()) << again.status().to_string();
    EXPECT_EQ(*again, *configuration) << text;
  }
}

}  // namespace
}  // namespace tributary::internal::config
