// SPDX-License-Identifier: Apache-2.0
#include "configuration_suggestions.hpp"
#include "base/words.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <iterator>
#include <utility>
#include <vector>

#include "config/configuration_schema.hpp"
#include "yaml_text.hpp"

namespace tributary::internal::config {
namespace {

constexpr std::size_t kShortestPart = 3;  // of a word that stands for the longer one it is a part of

// What others call a key of ours, anywhere or in one section.
constexpr std::pair<std::string_view, std::string_view> kForeignWords[] = {
    {"learning_rate", "trainer.optimizer.lr"},
    {"eta", "trainer.optimizer.lr"},
    {"server_learning_rate", "server_optimizer.lr"},
    {"global_lr", "server_optimizer.lr"},
    {"server_lr", "server_optimizer.lr"},
    {"optim", "trainer.optimizer.kind"},
    {"optimiser", "trainer.optimizer.kind"},
    {"lr_scheduler", "trainer.optimizer.schedule.kind"},
    {"scheduler", "trainer.optimizer.schedule.kind"},
    {"max_grad_norm", "trainer.optimizer.clip_norm"},
    {"rounds_per_parent_round", "tiers.default.local_rounds"},
    {"local_epochs", "trainer.epochs"},
    {"num_epochs", "trainer.epochs"},
    {"local_steps", "trainer.steps"},
    {"max_steps", "trainer.steps"},
    {"bs", "trainer.batch_size"},
    {"gpu", "trainer.device"},
    {"use_cuda", "trainer.device"},
    {"num_rounds", "rounds"},
    {"n_rounds", "rounds"},
    {"comm_rounds", "rounds"},
    {"num_clients", "topology.star"},
    {"n_clients", "topology.star"},
    {"num_workers", "threads"},
    {"workers", "threads"},
    {"num_threads", "threads"},
    {"random_seed", "seed"},
    {"dataset", "data.source"},
    {"dirichlet_alpha", "data.partition.alpha"},
    {"architecture", "model.kind"},
    {"model_name", "model.kind"},
    {"strategy", "algorithm.kind"},
    {"aggregation", "algorithm.kind"},
    {"proximal_mu", "algorithm.mu"},
    {"fraction_fit", "tiers.default.cohort.fraction"},
    {"participation", "tiers.default.cohort.fraction"},
    {"client_fraction", "tiers.default.cohort.fraction"},
    {"round_timeout", "tiers.default.deadline_s"},
    {"timeout", "tiers.default.deadline_s"},
    {"checkpoint_dir", "output.directory"},
    {"output_dir", "output.directory"},
    {"data.kind", "data.source"},
    {"data.type", "data.source"},
    {"data.format", "data.source"},
    {"data.file", "data.train"},
    {"data.path", "data.train"},
    {"data.target", "data.label_column"},
    {"data.target_column", "data.label_column"},
    {"data.labels", "data.label_column"},
};

// What others call a choice of ours.
constexpr std::pair<std::string_view, std::string_view> kForeignChoices[] = {
    {"gpu", "cuda"},         {"nvidia", "cuda"},     {"noniid", "label-dirichlet"},
    {"linear", "logistic"},  {"perceptron", "mlp"},  {"non-iid", "label-dirichlet"},
    {"external", "command"}, {"program", "command"}, {"python", "command"},
    {"plugin", "library"},   {"pytorch", "torch"},   {"quantity", "count-dirichlet"},
    {"by_id", "natural"},    {"random", "iid"},      {"step_lr", "step"},
};

template <typename Table>
std::string_view entry_of(const Table& table, std::string_view word) {
  const auto* const found = std::ranges::find_if(table, [&](const auto& entry) { return entry.first == word; });
  return found == std::end(table) ? std::string_view() : found->second;
}

std::string join(std::string_view path, std::string_view word) {
  return path.empty() ? std::string(word) : fmt::format("{}.{}", path, word);
}

// "tiers.*.quorum" as a user would write it in or near `section`.
std::string as_written(std::string_view pattern, std::string_view section = {}) {
  static constexpr std::string_view kTiers = "tiers.";
  std::string_view tier = "default";
  if (section.starts_with(kTiers)) {
    tier = section.substr(kTiers.size());
    tier = tier.substr(0, tier.find('.'));
  }
  std::string path(pattern);
  if (const std::size_t star = path.find('*'); star != std::string::npos) { path.replace(star, 1, tier); }
  return path;
}

std::vector<std::string_view> words_in(std::string_view section) {
  std::vector<std::string_view> words;
  for (const Key& key : schema()) {
    if (key.parent() == section) { words.push_back(key.word()); }
  }
  return words;
}

bool is_known(std::span<const std::string_view> words, std::string_view word) {
  return std::ranges::find(words, word) != words.end();
}

// The keys that begin or end with the word: label_column for label.
std::vector<std::string_view> longer_forms(std::string_view word, std::span<const std::string_view> known) {
  std::vector<std::string_view> longer;
  for (const std::string_view candidate : known) {
    if (candidate.starts_with(fmt::format("{}_", word)) || candidate.ends_with(fmt::format("_{}", word))) {
      longer.push_back(candidate);
    }
  }
  return longer;
}

// The key elsewhere that has this as its last word, or that others call so; empty if there is none.
std::string known_elsewhere(std::string_view word, std::string_view section = {}) {
  for (const Key& key : schema()) {
    if (key.word() == word) { return as_written(key.path, section); }
  }
  const std::string_view foreign = entry_of(kForeignWords, word);
  static constexpr std::string_view kDefault = "tiers.default.";
  if (!foreign.starts_with(kDefault)) { return std::string(foreign); }
  return as_written(fmt::format("tiers.*.{}", foreign.substr(kDefault.size())), section);
}

// Of the key that is meant; empty if it is not clear which.
std::string meant_key(const std::string& section, std::string_view word, std::span<const std::string_view> known) {
  static constexpr std::size_t kMost = 3;
  const std::string plain = lower(word);
  if (const std::string_view meant = nearest_word(word, known); !meant.empty()) { return join(section, meant); }
  if (const std::string_view meant = entry_of(kForeignWords, join(section, plain)); !meant.empty()) {
    return std::string(meant);
  }
  if ((plain == "name" || plain == "type") && is_known(known, "kind")) { return join(section, "kind"); }
  const std::vector<std::string_view> longer = longer_forms(plain, known);
  if (!longer.empty() && longer.size() <= kMost) {
    std::vector<std::string> paths;
    for (const std::string_view form : longer) { paths.push_back(join(section, form)); }
    return one_of(std::vector<std::string_view>(paths.begin(), paths.end()));
  }
  return known_elsewhere(plain, section);
}

}  // namespace

std::string unknown_key(const std::string& section, std::string_view word) {
  const std::vector<std::string_view> known = words_in(pattern_of(section));
  const std::string start = fmt::format("unknown key {}", join(section, excerpt(word)));
  if (const std::string meant = meant_key(section, word, known); !meant.empty()) {
    return fmt::format("{}; did you mean {}?", start, meant);
  }
  return fmt::format("{}; known here: {}", start, fmt::join(known, ", "));
}

std::string unknown_variable(std::string_view name) {
  const std::size_t prefix = environment_name("").size();
  std::vector<std::string> names;
  for (const Key& key : schema()) { names.push_back(environment_name(as_written(key.path)).substr(prefix)); }
  const std::vector<std::string_view> candidates(names.begin(), names.end());
  const std::string_view rest = name.substr(std::min(prefix, name.size()));
  std::string meant(nearest_word(rest, candidates));
  if (meant.empty()) {
    // Some or all of the sections left out: TRIBUTARY_LR, TRIBUTARY_OPTIMIZER_LR.
    const auto ends_so = std::ranges::find_if(
        names, [&](const std::string& known) { return !rest.empty() && known.ends_with(fmt::format("_{}", rest)); });
    meant = ends_so != names.end() ? *ends_so : environment_name(known_elsewhere(lower(rest))).substr(prefix);
  }
  return meant.empty() ? "no key has this name; unset it, as every variable that begins with TRIBUTARY_ must be a key"
                       : fmt::format("no key has this name; did you mean {}{}?", environment_name(""), meant);
}

std::string meant_choice(std::string_view word, std::span<const std::string_view> choices) {
  if (const std::string_view near = nearest_word(word, choices); !near.empty()) { return std::string(near); }
  const std::string plain = lower(word);
  if (const std::string_view foreign = entry_of(kForeignChoices, plain); is_known(choices, foreign)) {
    return std::string(foreign);
  }
  std::vector<std::string_view> longer;
  for (const std::string_view choice : choices) {
    if (plain.size() >= kShortestPart && choice.find(plain) != std::string_view::npos) { longer.push_back(choice); }
  }
  return one_of(longer);
}

std::string_view meant_truth(std::string_view word) {
  static constexpr std::array<std::string_view, 5> kTrue{"true", "yes", "on", "1", "y"};
  static constexpr std::array<std::string_view, 5> kFalse{"false", "no", "off", "0", "n"};
  const std::string plain = lower(word);
  return is_known(kTrue, plain) ? "true" : is_known(kFalse, plain) ? "false" : std::string_view();
}

std::string as_section(std::string_view path, std::string_view value) {
  const std::string section = pattern_of(path);
  for (const Key& key : schema()) {
    if (key.parent() != section || key.choices.empty()) { continue; }
    if (const std::string_view meant = nearest_word(value, key.choices); !meant.empty()) {
      return fmt::format("{{{}: {}}}", key.word(), meant);
    }
  }
  return {};
}

std::string keys_of_section(std::string_view path) {
  static constexpr std::size_t kMost = 12;
  const std::vector<std::string_view> words = words_in(pattern_of(path));
  const bool listable = words.size() <= kMost && !is_known(words, "*");
  return listable ? fmt::format("{}", fmt::join(words, ", ")) : std::string();
}

}  // namespace tributary::internal::config
