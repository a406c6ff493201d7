// SPDX-License-Identifier: Apache-2.0
#include "natural_partition.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <limits>
#include <span>
#include <string_view>
#include <unordered_map>

#include "base/reading.hpp"
#include "tributary/base/human.hpp"
#include "tributary/base/random.hpp"

namespace tributary {
namespace {

constexpr std::uint64_t kSpreadOverSite = 5;  // of Purpose::kPartition; 1 to 4 belong to Partition

// For a message: the first few.
std::string listed(std::span<const std::string> names) {
  constexpr std::size_t kMost = 20;
  std::vector<std::string> shown;
  for (const std::string& name : names.first(std::min(names.size(), kMost))) {
    shown.push_back(internal::printable(name));
  }
  const std::string more =
      names.size() > kMost ? fmt::format(" and {} more", human_count(names.size() - kMost)) : std::string();
  return fmt::format("{}{}", fmt::join(shown, ", "), more);
}

// The distinct ids, ascending, and which of them each sample has.
struct Ids {
  std::vector<std::string> names;
  std::vector<std::uint32_t> of_sample;
};

Ids ids_of(const Dataset& data) {
  std::vector<std::int64_t> distinct = data.natural_ids;
  std::sort(distinct.begin(), distinct.end());
  distinct.erase(std::unique(distinct.begin(), distinct.end()), distinct.end());
  Ids ids;
  std::unordered_map<std::int64_t, std::uint32_t> number_of;
  for (const std::int64_t id : distinct) {
    number_of.emplace(id, static_cast<std::uint32_t>(ids.names.size()));
    ids.names.push_back(data.id_names.empty() ? fmt::to_string(id) : data.id_names[static_cast<std::size_t>(id)]);
  }
  ids.of_sample.reserve(data.natural_ids.size());
  for (const std::int64_t id : data.natural_ids) { ids.of_sample.push_back(number_of.at(id)); }
  return ids;
}

// Which clients have the name of an id, or stand below a node or in a site of that name.
class NameMatch {
 public:
  NameMatch(const Ids& ids, const Tree& tree)
      : ids_(ids), tree_(tree), own_(ids.names.size()), below_(ids.names.size()) {
    for (std::uint32_t id = 0; id < ids.names.size(); ++id) { number_of_.emplace(ids.names[id], id); }
    for (std::uint32_t client = 0; client < tree.clients(); ++client) { look_at(client); }
  }

  // Whether the author of the topology has said which client is whose.
  [[nodiscard]] bool topology_has_names() const noexcept { return has_names_; }
  [[nodiscard]] const std::vector<std::uint32_t>& clients_of(std::size_t id) const {
    return own_[id].empty() ? below_[id] : own_[id];
  }
  [[nodiscard]] bool has_any() const {
    for (std::size_t id = 0; id < own_.size(); ++id) {
      if (!clients_of(id).empty()) { return true; }
    }
    return false;
  }
  [[nodiscard]] std::vector<std::string> ids_of_nobody() const {
    std::vector<std::string> names;
    for (std::size_t id = 0; id < own_.size(); ++id) {
      if (clients_of(id).empty()) { names.push_back(ids_.names[id]); }
    }
    return names;
  }
  // Names of clients, and of the sites above them, as the topology has them; a few are enough for a message.
  [[nodiscard]] std::vector<std::string> names_of_topology() const {
    std::vector<std::string> names;
    const auto add = [&names](std::string name) {
      if (std::find(names.begin(), names.end(), name) == names.end()) { names.push_back(std::move(name)); }
    };
    for (std::uint32_t client = 0; client < tree_.clients() && names.size() <= 20; ++client) {
      const NodeId node = tree_.client_node(ClientIndex{client});
      if (const std::string site = site_of(node); !site.empty()) { add(site); }
      add(tree_.name(node));
    }
    return names;
  }

 private:
  [[nodiscard]] std::string site_of(NodeId node) const {
    for (; node != tree_.root(); node = tree_.parent(node)) {
      if (const std::string& site = tree_.attributes(node).site; !site.empty()) { return site; }
    }
    return tree_.attributes(node).site;
  }

  void match(std::string_view name, std::uint32_t client, std::vector<std::vector<std::uint32_t>>& matches) const {
    const auto found = number_of_.find(name);
    if (found == number_of_.end()) { return; }
    std::vector<std::uint32_t>& clients = matches[found->second];
    if (clients.empty() || clients.back() != client) { clients.push_back(client); }
  }

  void look_at(std::uint32_t client) {
    const NodeId node = tree_.client_node(ClientIndex{client});
    const std::string site = site_of(node);
    has_names_ = has_names_ || !site.empty() || !tree_.attributes(node).name.empty();
    match(tree_.name(node), client, own_);
    if (!site.empty()) { match(site, client, below_); }
    for (NodeId above = tree_.parent(node); above != tree_.root(); above = tree_.parent(above)) {
      match(tree_.name(above), client, below_);
    }
  }

  const Ids& ids_;
  const Tree& tree_;
  std::unordered_map<std::string_view, std::uint32_t> number_of_;
  std::vector<std::vector<std::uint32_t>> own_;    // by id: clients of that name
  std::vector<std::vector<std::uint32_t>> below_;  // by id: clients of that site, or below an aggregator of that name
  bool has_names_ = false;
};

Result<NaturalPartition> by_order(const Ids& ids, std::uint32_t clients) {
  std::vector<std::int64_t> numbers(ids.of_sample.begin(), ids.of_sample.end());
  TRIBUTARY_ASSIGN_OR_RETURN(Partition partition, Partition::natural(numbers, clients));
  NaturalPartition made{std::move(partition), std::vector<std::vector<std::string>>(clients), false, {}};
  for (std::size_t id = 0; id < ids.names.size(); ++id) { made.client_ids[id % clients].push_back(ids.names[id]); }
  if (ids.names.size() > clients) {
    made.warning = fmt::format(
        "the data has {} for {}: they are dealt in turn, and a client holds up to {} of them; `tributary partition` "
        "shows which",
        human_plural(ids.names.size(), "id"), human_plural(clients, "client"),
        (ids.names.size() + clients - 1) / clients);
  }
  return made;
}

// The id of each client; kInvalidArgument if one has none, or two.
Result<std::vector<std::uint32_t>> id_of_clients(const Ids& ids, const NameMatch& names, const Tree& tree) {
  constexpr std::uint32_t kNone = std::numeric_limits<std::uint32_t>::max();
  const auto name_of = [&tree](std::uint32_t client) { return tree.name(tree.client_node(ClientIndex{client})); };
  std::vector<std::uint32_t> id_of(tree.clients(), kNone);
  for (std::uint32_t id = 0; id < ids.names.size(); ++id) {
    for (const std::uint32_t client : names.clients_of(id)) {
      if (id_of[client] != kNone) {
        return invalid_argument(fmt::format("client {} would hold the samples of two ids, {} and {}", name_of(client),
                                            internal::printable(ids.names[id_of[client]]),
                                            internal::printable(ids.names[id])));
      }
      id_of[client] = id;
    }
  }
  std::vector<std::string> idle;
  for (std::uint32_t client = 0; client < id_of.size(); ++client) {
    if (id_of[client] == kNone) { idle.push_back(name_of(client)); }
  }
  if (idle.empty()) { return id_of; }
  return invalid_argument(fmt::format("no id is the name or the site of {} {}; the ids are {}",
                                      idle.size() == 1 ? "client" : "clients", listed(idle), listed(ids.names)));
}

Result<NaturalPartition> by_name(const Ids& ids, const NameMatch& names, const Tree& tree, std::uint64_t seed) {
  if (const std::vector<std::string> strangers = names.ids_of_nobody(); !strangers.empty()) {
    return invalid_argument(fmt::format("{} of {} {} the name of no client and no site: {}; the topology has {}",
                                        strangers.size(), human_plural(ids.names.size(), "id"),
                                        strangers.size() == 1 ? "is" : "are", listed(strangers),
                                        listed(names.names_of_topology())));
  }
  TRIBUTARY_ASSIGN_OR_RETURN(const std::vector<std::uint32_t> id_of, id_of_clients(ids, names, tree));
  std::vector<std::vector<std::uint32_t>> samples_of(ids.names.size());
  for (std::uint32_t sample = 0; sample < ids.of_sample.size(); ++sample) {
    samples_of[ids.of_sample[sample]].push_back(sample);
  }
  std::vector<std::uint32_t> owners(ids.of_sample.size());
  for (std::size_t id = 0; id < samples_of.size(); ++id) {
    const std::vector<std::uint32_t>& clients = names.clients_of(id);
    std::vector<std::uint32_t>& samples = samples_of[id];
    if (samples.size() < clients.size()) {
      return invalid_argument(fmt::format("id {} has {} for {}", internal::printable(ids.names[id]),
                                          human_plural(samples.size(), "sample"),
                                          human_plural(clients.size(), "client")));
    }
    Rng rng(stream_seed(seed, Purpose::kPartition, id, 0, kSpreadOverSite));
    rng.shuffle(std::span(samples));
    for (std::size_t i = 0; i < samples.size(); ++i) { owners[samples[i]] = clients[i % clients.size()]; }
  }
  NaturalPartition made{Partition::by_owner(owners, tree.clients()), {}, true, {}};
  for (const std::uint32_t id : id_of) { made.client_ids.push_back({ids.names[id]}); }
  return made;
}

}  // namespace

Result<NaturalPartition> natural_partition(const Dataset& data, const Tree& tree, std::uint64_t seed) {
  if (data.natural_ids.empty()) {
    return invalid_argument("natural needs an id per sample: data.id_column of a CSV file, or a tensor named ids");
  }
  const Ids ids = ids_of(data);
  const NameMatch names(ids, tree);
  if (names.has_any()) { return by_name(ids, names, tree, seed); }
  if (names.topology_has_names()) {
    return invalid_argument(
        fmt::format("no id is the name of a client or of a site: the ids are {}, the topology has {}. Let them be the "
                    "same, or give "
                    "clients no names and no sites: then ids go to clients in ascending order",
                    listed(ids.names), listed(names.names_of_topology())));
  }
  return by_order(ids, tree.clients());
}

}  // namespace tributary
