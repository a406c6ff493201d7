// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "base/words.hpp"
#include "config/configuration_schema.hpp"
#include "yaml_text.hpp"

namespace tributary {
namespace {

using namespace internal::config;

struct Printer {
  const Key& key;

  std::string operator()(const bool* member) const { return *member ? "true" : "false"; }
  std::string operator()(const std::string* member) const { return scalar(*member); }
  std::string operator()(const std::filesystem::path* member) const { return scalar(member->string()); }
  std::string operator()(const EnumField& member) const {
    return std::string(key.choices.at(member.get(member.object)));
  }
  std::string operator()(const NodesField& member) const { return member.topology->inline_nodes; }
  std::string operator()(const std::vector<std::string>* member) const {
    std::vector<std::string> words;
    for (const std::string& text : *member) { words.push_back(scalar(text)); }
    return fmt::format("[{}]", fmt::join(words, ", "));
  }
  std::string operator()(const std::map<std::string, std::string>* member) const {
    std::vector<std::string> words;
    for (const auto& [name, text] : *member) { words.push_back(fmt::format("{}: {}", scalar(name), scalar(text))); }
    return fmt::format("{{{}}}", fmt::join(words, ", "));
  }
  std::string operator()(const std::vector<TopologyConfig::Site>* member) const {
    std::vector<std::string> words;
    for (const TopologyConfig::Site& site : *member) {
      words.push_back(fmt::format("{}: {}", scalar(site.name), site.clients));
    }
    return fmt::format("{{{}}}", fmt::join(words, ", "));
  }
  template <typename T>
  std::string operator()(const std::vector<T>* member) const {
    return fmt::format("[{}]", fmt::join(*member, ", "));
  }
  template <typename T>
  std::string operator()(const std::optional<T>* member) const {
    return member->has_value() ? fmt::format("{}", **member) : "";
  }
  template <typename T>
  std::string operator()(const T* member) const {
    return fmt::format("{}", *member);
  }
};

bool is_printed(const Key& key, Target& target) {
  if (!applies(key, target) || (key.printed != nullptr && !key.printed(target))) { return false; }
  const Field field = key.field(target);
  const auto* options = std::get_if<std::map<std::string, std::string>*>(&field);
  return !value_text(key, target).empty() && (options == nullptr || !(*options)->empty());
}

std::string section_text(std::string_view section, const std::string& indent, Target& target);

std::string tiers_text(const std::string& indent, Configuration& configuration, std::uint32_t& schema_version) {
  const auto one = [&](std::string_view name, TierConfig& tier) {
    Target target{configuration, tier, schema_version};
    return fmt::format("{}{}:\n{}", indent, name, section_text("tiers.*", indent + "  ", target));
  };
  std::string text = one("default", configuration.default_tier);
  for (auto& [distance, tier] : configuration.tiers) { text += one(std::to_string(distance), tier); }
  return text;
}

std::string section_text(std::string_view section, const std::string& indent, Target& target) {
  std::string text;
  for (const Key& key : schema()) {
    if (key.parent() != section || (key.is_section() ? !applies(key, target) : !is_printed(key, target))) { continue; }
    if (!key.is_section()) {
      text += fmt::format("{}{}: {}\n", indent, key.word(), value_text(key, target));
      continue;
    }
    if (key.path == "topology" && target.configuration.topology.kind == TopologyConfig::Kind::kInline) {
      // Between its braces no indentation counts, so that the nodes keep their columns.
      text += fmt::format("topology:\n{}\n", target.configuration.topology.inline_nodes);
      continue;
    }
    const std::string keys = key.path == "tiers" ? tiers_text(indent + "  ", target.configuration, target.schema)
                                                 : section_text(key.path, indent + "  ", target);
    if (!keys.empty()) { text += fmt::format("{}{}:\n{}", indent, key.word(), keys); }
  }
  return text;
}

struct TypeName {
  const Key& key;

  std::string operator()(const bool* /*member*/) const { return "true or false"; }
  std::string operator()(const double* /*member*/) const { return "number"; }
  std::string operator()(const std::optional<double>* /*member*/) const { return "number"; }
  std::string operator()(const std::string* /*member*/) const { return key.choices.empty() ? "text" : "word"; }
  std::string operator()(const std::filesystem::path* /*member*/) const { return "text"; }
  std::string operator()(const EnumField& /*member*/) const { return "word"; }
  std::string operator()(const NodesField& /*member*/) const { return "list or map"; }
  std::string operator()(const std::vector<std::string>* /*member*/) const { return "list of text"; }
  std::string operator()(const std::map<std::string, std::string>* /*member*/) const { return "map of text"; }
  std::string operator()(const std::vector<TopologyConfig::Site>* /*member*/) const { return "map of whole numbers"; }
  template <typename T>
  std::string operator()(const std::vector<T>* /*member*/) const {
    return "list of whole numbers";
  }
  template <typename T>
  std::string operator()(const T* /*member*/) const {
    return "whole number";
  }
};

// " Only with `data.source` csv, and with `trainer.kind` torch or library."; empty for a key that always applies.
std::string condition_sentence(const Key& key) {
  std::string sentence;
  for (const Condition& condition : conditions_of(key)) {
    sentence += fmt::format("{} with `{}` {}", sentence.empty() ? " Only" : ", and", condition.selector,
                            internal::one_of(condition.values));
  }
  if (sentence.empty()) { return sentence; }
  return sentence + (key.off.empty() ? "." : fmt::format("; elsewhere only `{}` is allowed.", key.off));
}

std::string reference_row(const Key& key, Target& target) {
  std::vector<std::string> choices;
  for (const std::string_view choice : key.choices) { choices.push_back(fmt::format("`{}`", choice)); }
  const std::string value = value_text(key, target);
  const std::string standard = key.required            ? "required"
                               : !key.fallback.empty() ? std::string(key.fallback)
                                                       : fmt::format("`{}`", value);
  std::string meaning = std::string(key.meaning) + condition_sentence(key);
  if (!key.example.empty()) { meaning += fmt::format(" Example: `{}: {}`.", key.word(), key.example); }
  return fmt::format("| `{}` | {} | {} | {} | {} |\n", key.path, std::visit(TypeName{key}, key.field(target)),
                     key.choices.empty() ? key.range.text()
                                         : fmt::format("{}{}", fmt::join(choices, ", "), key.open ? ", a name" : ""),
                     standard, meaning);
}

constexpr std::string_view kIntroduction = R"(# Configuration

<!-- Generated by configuration_reference() from the schema that reads configurations; a test compares. -->

A federation is one YAML file. Only `schema` and `topology` are required; everything else has a default. Commented
examples that run as they are stand in `configs/`. The smallest file is

```yaml
schema: 1
topology: {star: 10}
```

**Mistakes.** Nothing unknown is ignored, no key may stand twice, and a key that has no effect is refused: the tables say
with which other keys each one applies ("Only with ..."). What has no effect because of how the program was started,
because of the tree or because there are too few rounds for it, is a warning of `validate`, `plan` and `run`. All mistakes
of a file are reported at once, each with its place and,
where a known word is near, with that word:

```text
edge.yaml:4:3: unknown key trainer.batchsize; did you mean trainer.batch_size?
edge.yaml:7:10: trainer.optimizer.lr must be > 0, got -1
```

`true` and `false` are the only truth values, numbers are plain decimal numbers, and a word such as `no` is text where
text is expected. A file has at most 4 MiB and 32 levels, and no anchors, aliases or tags.

**Overriding.** `--set trainer.batch_size=64` and the variable `TRIBUTARY_TRAINER_BATCH_SIZE=64` pass the same checks as
the file. `--set` goes before the environment, that before the file, that before the default. The value is YAML, so
`--set 'topology={widths: [4, 32]}'` replaces a whole section, and `--set data.partition=null` takes a key out again; an
empty value, as of a script's variable that is not set, is an error. Of ways that exclude each other (those of
`topology`, `model.kind` and `model.torchscript`, `cohort.fraction` and `cohort.count`, `trainer.epochs` and
`trainer.steps`) the one from the higher source replaces the other. For one tier:
`--set tiers.0.quorum=0.8`, `TRIBUTARY_TIERS_0_QUORUM=0.8`.

**Paths** start at `base_directory`, which is the directory of the file unless it says otherwise; `output.directory`
alone starts where the program was started. The configuration as `tributary run --print-config` prints it, with every
default that applies, is the same configuration wherever it is read again.

**Combinations that are refused**, besides keys that belong to another choice (named in the tables):

- two ways to say what the tree is; widths that fall from one tier to the next, as some aggregators would have no
  children;
- `local_rounds` other than 1 at tier 0; in `default` it holds for all tiers but the root;
- `quorum` below 1 without `deadline_s`; `over_selection` above 1 where all children are asked anyway;
- `nesterov` without `momentum`; `algorithm.kind: fedsgd` with more than one epoch or step, with momentum, or with
  another optimizer than sgd;
- `fednova`, `qfedavg`, `scaffold`, `mtgc` and `feddyn` with another optimizer than sgd; the last three with
  `trainer.kind: command` (as `qfedavg`) or `checkpoint.every: 0`; `feddyn` with another weighting than uniform, or another server
  optimizer than sgd at rate 1;
- `trainer.kind: torch` without data, or with `model.kind: echo`; `trainer.kind: echo` with another model than that;
- `trainer.command` without `{output}`;
- made-up data with fewer samples than classes, or with more than 2^32 values;
- partition `natural` without ids in the data; `test_images` without `test_labels`, or the reverse;
- `stop_at_accuracy` with `evaluation.every: 0`, or without held-out samples;
- `delay_s`, `down_s` or `seed` of faults that never happen.

In the tables, `tiers.*` stands for `tiers.default`, `tiers.0`, `tiers.1` and so on.
)";

}  // namespace

std::string internal::config::value_text(const Key& key, Target& target) {
  return std::visit(Printer{key}, key.field(target));
}

std::string print_configuration(const Configuration& configuration) {
  Configuration copy = configuration;
  std::uint32_t schema_version = Configuration::kSchema;
  Target target{copy, copy.default_tier, schema_version};
  return section_text("", "", target);
}

std::map<std::string, std::string> internal::config::training_values(const Configuration& configuration) {
  static constexpr std::string_view kHandedOver[] = {"rounds",        "trainer.batch_size", "trainer.epochs",
                                                     "trainer.steps", "trainer.device",     "algorithm.kind",
                                                     "algorithm.mu"};
  Configuration copy = configuration;
  std::uint32_t schema_version = Configuration::kSchema;
  Target target{copy, copy.default_tier, schema_version};
  std::map<std::string, std::string> values;
  for (const Key& key : schema()) {
    const bool handed_over =
        key.path.starts_with("trainer.optimizer.") ||
        std::find(std::begin(kHandedOver), std::end(kHandedOver), key.path) != std::end(kHandedOver);
    if (!handed_over || key.is_section() || !is_printed(key, target)) { continue; }
    values.emplace(key.path, value_text(key, target));
  }
  return values;
}

std::string configuration_reference() {
  Configuration defaults;
  std::uint32_t schema_version = Configuration::kSchema;
  Target target{defaults, defaults.default_tier, schema_version};
  static constexpr std::string_view kHeader =
      "\n| Key | Type | Range | Default | Meaning |\n| --- | --- | --- | --- | --- |\n";

  std::string text(kIntroduction);
  text += "\n## The whole\n";
  text += kHeader;
  // The keys of the top level come first, then each section with its keys; sections within sections stay inside.
  for (const Key& key : schema()) {
    if (!key.is_section()) {
      text += reference_row(key, target);
    } else if (key.parent().empty()) {
      text += fmt::format("\n## {}\n\n{}{}\n{}", key.path, key.meaning, key.required ? " Required." : "", kHeader);
    } else {
      text += fmt::format("| `{}` | section | | | {}{} |\n", key.path, key.meaning, condition_sentence(key));
    }
  }
  return text;
}

}  // namespace tributary
