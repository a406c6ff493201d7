// SPDX-License-Identifier: Apache-2.0
#include "data_facts.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "tributary/core/human.hpp"
#include "tributary/core/printable.hpp"

namespace tributary::cli {
namespace {

constexpr std::size_t kMostClients = 8;
constexpr std::size_t kMostIds = 3;

std::string name_of(const Tree& tree, std::size_t client) {
  return tree.name(tree.client_node(ClientIndex{static_cast<std::uint32_t>(client)}));
}

}  // namespace

std::string listed(const std::vector<std::string>& names, std::size_t most) {
  std::vector<std::string> shown;
  for (std::size_t i = 0; i < std::min(names.size(), most); ++i) { shown.push_back(printable_text(names[i])); }
  std::string text = fmt::format("{}", fmt::join(shown, ", "));
  if (names.size() > most) { text += fmt::format(" and {} more", human_count(names.size() - most)); }
  return text;
}

std::string ids_line(const Composition& composition, const Tree& tree) {
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
