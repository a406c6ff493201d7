// SPDX-License-Identifier: Apache-2.0
#include "commands/data_facts.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <functional>
#include <nlohmann/json.hpp>

#include "tributary/base/human.hpp"
#include "tributary/base/printable.hpp"

namespace tributary::cli {
namespace {

constexpr std::size_t kMostClients = 8;
constexpr std::size_t kMostIds = 3;
constexpr std::size_t kMostFeatures = 5;
constexpr std::size_t kMostClasses = 10;
constexpr std::size_t kLongestName = 40;

std::string name_of(const Tree& tree, std::size_t client) {
  return tree.name(tree.client_node(ClientIndex{static_cast<std::uint32_t>(client)}));
}

std::vector<std::uint64_t> samples_by_class(const Dataset& data) {
  std::vector<std::uint64_t> counts(static_cast<std::size_t>(data.classes));
  for (const std::int32_t label : data.labels) { ++counts[static_cast<std::size_t>(label)]; }
  return counts;
}

std::string class_name(const Dataset& data, std::size_t label) {
  return data.class_names.empty() ? fmt::to_string(label) : printable_text(data.class_names[label], kLongestName);
}

// " (age, crp, bp and 4 more)", or the shape of an image.
std::string describe_features(const Dataset& data) {
  if (data.sample_shape.size() > 1) { return fmt::format("{} values", fmt::join(data.sample_shape, " x ")); }
  const std::string count = human_plural(data.sample_size(), "feature");
  return data.feature_names.empty() ? count : fmt::format("{} ({})", count, listed(data.feature_names, kMostFeatures));
}

// " (0: 290, 1: 310)", " (60 of each)".
std::string describe_classes(const Dataset& data) {
  const std::vector<std::uint64_t> counts = samples_by_class(data);
  const bool even = std::adjacent_find(counts.begin(), counts.end(), std::not_equal_to<>()) == counts.end();
  if (counts.size() > 1 && even && data.class_names.empty()) {
    return fmt::format("{} of each", human_count(counts[0]));
  }
  std::vector<std::string> shown;
  for (std::size_t i = 0; i < std::min(counts.size(), kMostClasses); ++i) {
    shown.push_back(fmt::format("{}: {}", class_name(data, i), human_count(counts[i])));
  }
  const std::string more = counts.size() > kMostClasses
                               ? fmt::format(" and {} more", human_count(counts.size() - kMostClasses))
                               : std::string();
  return fmt::format("{}{}", fmt::join(shown, ", "), more);
}

// What clients hold out of their training, all together.
std::uint64_t held_out_by_clients(const PreparedRun& composition) {
  std::uint64_t samples = 0;
  for (std::uint32_t client = 0; client < composition.plan.tree().clients(); ++client) {
    samples += composition.factory->holdout_samples(ClientIndex{client});
  }
  return samples;
}

}  // namespace

std::string data_line(const PreparedRun& composition) {
  if (!composition.data.train) { return {}; }
  const Dataset& train = *composition.data.train;
  const DataConfig& config = composition.plan.configuration().data;
  const std::string column = config.source == DataConfig::Source::kCsv
                                 ? fmt::format(" in column {}", printable_text(config.label_column, kLongestName))
                                 : std::string();
  const auto classes = static_cast<std::uint64_t>(train.classes);
  const std::uint64_t of_clients = held_out_by_clients(composition);
  return fmt::format(
      "data        {}, {}, {}{} ({}); {} held out{}", human_plural(train.size(), "sample"), describe_features(train),
      classes == 1 ? "1 class" : fmt::format("{} classes", human_count(classes)), column, describe_classes(train),
      composition.data.test ? human_count(composition.data.test->size()) : std::string("none"),
      of_clients == 0 ? "" : fmt::format(", and {} of the samples by clients", human_count(of_clients)));
}

nlohmann::ordered_json data_json(const PreparedRun& composition) {
  if (!composition.data.train) { return nullptr; }
  const Dataset& train = *composition.data.train;
  nlohmann::ordered_json json{{"samples", train.size()},
                              {"shape", train.sample_shape},
                              {"classes", train.classes},
                              {"samples_by_class", samples_by_class(train)},
                              {"held_out", composition.data.test ? composition.data.test->size() : std::size_t{0}},
                              {"held_out_by_clients", held_out_by_clients(composition)}};
  if (!train.feature_names.empty()) { json["features"] = train.feature_names; }
  if (!train.class_names.empty()) { json["class_names"] = train.class_names; }
  return json;
}

std::string listed(const std::vector<std::string>& names, std::size_t most) {
  std::vector<std::string> shown;
  for (std::size_t i = 0; i < std::min(names.size(), most); ++i) { shown.push_back(printable_text(names[i])); }
  std::string text = fmt::format("{}", fmt::join(shown, ", "));
  if (names.size() > most) { text += fmt::format(" and {} more", human_count(names.size() - most)); }
  return text;
}

std::string ids_line(const PreparedRun& composition, const Tree& tree) {
  const auto& client_ids = composition.client_ids;
  if (client_ids.empty()) { return {}; }
  std::vector<std::string> pairs;
  for (std::size_t client = 0; client < client_ids.size() && pairs.size() <= kMostClients; ++client) {
    pairs.push_back(fmt::format("{} to {}", listed(client_ids[client], kMostIds), name_of(tree, client)));
  }
  const bool all = client_ids.size() <= kMostClients;
  pairs.resize(std::min(pairs.size(), kMostClients));
  return fmt::format(
      "ids         {}{}\n", fmt::join(pairs, "; "),
      all ? ""
          : fmt::format("; and {} more clients (tributary partition)", human_count(client_ids.size() - kMostClients)));
}

nlohmann::ordered_json ids_json(const std::vector<std::vector<std::string>>& client_ids, const Tree& tree) {
  nlohmann::ordered_json list = nlohmann::ordered_json::array();
  for (std::size_t client = 0; client < client_ids.size(); ++client) {
    list.push_back({{"client", client}, {"name", name_of(tree, client)}, {"ids", client_ids[client]}});
  }
  return list;
}

}  // namespace tributary::cli
