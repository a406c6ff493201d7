// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <unordered_map>
#include <utility>

#include "attributes.hpp"
#include "readers.hpp"
#include "text.hpp"

namespace tributary::internal {
namespace {

using Kind = Document::Kind;

constexpr std::array<std::string_view, 12> kNodeKeys{"name",      "kind",    "count", "site",  "device", "link",
                                                     "transport", "address", "rank",  "extra", "parent", "children"};
constexpr std::array<std::string_view, 2> kFileKeys{"nodes", "schema"};
constexpr std::array<std::string_view, 2> kLinkKeys{"bandwidth", "latency"};
constexpr std::array<std::string_view, 3> kKinds{"root", "aggregator", "client"};

// Words of other programs for our keys, too far away to be found as slips of the finger.
constexpr std::array<std::pair<std::string_view, std::string_view>, 14> kOtherWords{{
    {"id", "name"},
    {"type", "kind"},
    {"role", "kind"},
    {"clients", "count"},
    {"number", "count"},
    {"size", "count"},
    {"institution", "site"},
    {"organization", "site"},
    {"host", "address"},
    {"endpoint", "address"},
    {"process", "rank"},
    {"mpi_rank", "rank"},
    {"nodes", "children"},
    {"bandwidth", "link"},
}};

class DocumentReader {
 public:
  DocumentReader(const Document& document, IssueList& issues) : document_(document), issues_(issues) {}

  RawTopology run() {
    if (!document_.empty()) { read_top(); }
    resolve_parents();
    return std::move(raw_);
  }

 private:
  static constexpr std::uint32_t kNone = UINT32_MAX;

  struct ParentName {
    std::uint32_t child;
    std::string_view name;
    Place place;
  };

  void bad(Place place, std::string message) { issues_.add(TopologyError::kBadValue, place, std::move(message)); }

  [[nodiscard]] bool has_key(std::uint32_t map, std::string_view wanted) const {
    bool found = false;
    document_.for_each_pair(map,
                            [&](std::uint32_t key, std::uint32_t) { found = found || document_.text(key) == wanted; });
    return found;
  }

  // Calls `use(key, value)` for each known key, once; reports the others.
  template <typename F>
  void for_each_known(std::uint32_t map, std::string_view owner, std::span<const std::string_view> known, F&& use) {
    std::vector<std::pair<std::string_view, Place>> seen;
    document_.for_each_pair(map, [&](std::uint32_t key, std::uint32_t value) {
      const Place place = document_.at(key).place;
      if (document_.at(key).kind != Kind::kScalar) {
        bad(place, fmt::format("a key of {} must be a word, got {}", owner, document_.describe(key)));
        return;
      }
      const std::string_view word = document_.text(key);
      const auto before =
          std::find_if(seen.begin(), seen.end(), [&](const auto& other) { return other.first == word; });
      if (before != seen.end()) {
        issues_.add(
            TopologyError::kDuplicateKey, place,
            fmt::format("the key {} stands twice in {}, first{}", quoted(word), owner, issues_.at(before->second)));
        return;
      }
      if (seen.size() == TopologyLimits::kExtras) {
        issues_.add(TopologyError::kTooLarge, place,
                    fmt::format("{} has more than {} keys; {} is one too many", owner, seen.size(), quoted(word)));
      }
      if (seen.size() >= TopologyLimits::kExtras) { return; }
      seen.emplace_back(word, place);
      if (known.empty() || std::find(known.begin(), known.end(), word) != known.end()) {
        use(key, value);
        return;
      }
      issues_.add(TopologyError::kUnknownKey, place,
                  fmt::format("unknown key {} in {}{}", quoted(word), owner, suggest_key(word, known)));
    });
  }

  static std::string suggest_key(std::string_view word, std::span<const std::string_view> known) {
    if (known.data() == kNodeKeys.data()) {
      const auto* const other =
          std::find_if(kOtherWords.begin(), kOtherWords.end(), [&](const auto& pair) { return pair.first == word; });
      if (other != kOtherWords.end()) { return fmt::format("; did you mean {}?", quoted(other->second)); }
    }
    const std::string close = did_you_mean(word, known);
    return close.empty() ? fmt::format("; known are {}", one_of(known)) : close;
  }

  void read_top() {
    constexpr std::uint32_t kTop = Document::kTop;
    if (document_.at(kTop).kind == Kind::kList) {
      read_list(kTop, kNone, 0);
      return;
    }
    if (document_.at(kTop).kind != Kind::kMap) {
      if (document_.at(kTop).kind != Kind::kNull) {
        bad(document_.at(kTop).place,
            fmt::format("a topology must be a map with the key nodes, got {}", document_.describe(kTop)));
      }
      return;
    }
    if (has_key(kTop, "topology") && !has_key(kTop, "nodes")) {
      issues_.add(TopologyError::kUnknownKey, document_.at(kTop).place,
                  "this is the configuration of a federation, not a topology: `tributary validate` checks it, and its "
                  "section `topology` says where its tree is");
      return;
    }
    const bool is_node =
        !has_key(kTop, "nodes") && !has_key(kTop, "schema") && (has_key(kTop, "children") || has_key(kTop, "name"));
    if (is_node) {
      read_node(kTop, kNone, 0);
      return;
    }
    for_each_known(kTop, "the file", kFileKeys, [&](std::uint32_t key, std::uint32_t value) {
      if (document_.text(key) == "schema") {
        if (document_.text(value) != "1") {
          bad(document_.at(value).place, fmt::format("schema must be 1, got {}", document_.describe(value)));
        }
      } else if (document_.at(value).kind == Kind::kList) {
        read_list(value, kNone, 0);
      } else if (document_.at(value).kind == Kind::kMap) {
        read_node(value, kNone, 0);
      } else {
        bad(document_.at(value).place, fmt::format("nodes must be a list of nodes, got {}", document_.describe(value)));
      }
    });
  }

  void read_list(std::uint32_t list, std::uint32_t parent, std::uint32_t tier) {
    document_.for_each_item(list, [&](std::uint32_t item) { read_node(item, parent, tier); });
  }

  void read_node(std::uint32_t value, std::uint32_t parent, std::uint32_t tier) {
    const Document::Value& source = document_.at(value);
    if (source.kind != Kind::kMap && source.kind != Kind::kScalar) {
      bad(source.place, fmt::format("a node must be a map or a name, got {}", document_.describe(value)));
      if (parent != kNone) { raw_.nodes[parent].damaged = true; }
      return;
    }
    if (tier > TopologyLimits::kTiers) {
      issues_.add(TopologyError::kTooLarge, source.place,
                  fmt::format("children nest deeper than {} tiers below the root", TopologyLimits::kTiers));
      return;
    }
    const auto index = static_cast<std::uint32_t>(raw_.nodes.size());
    raw_.nodes.emplace_back().place = source.place;
    if (parent != kNone) { raw_.edges.push_back({parent, index, source.place}); }
    if (source.kind == Kind::kScalar) {
      read_name(index, value);
      return;
    }

    std::uint32_t children = kNone;
    NodeAttributes attributes;
    // The name first: it is in the messages about the other keys.
    document_.for_each_pair(value, [&](std::uint32_t key, std::uint32_t name) {
      const bool usable = document_.text(key) == "name" && document_.at(name).kind == Kind::kScalar;
      if (usable && raw_.nodes[index].name.empty()) { raw_.nodes[index].name = document_.text(name); }
    });
    const std::string owner = TopologyAssembler::describe(raw_.nodes[index]);
    raw_.nodes[index].name.clear();
    for_each_known(value, owner, kNodeKeys, [&](std::uint32_t key, std::uint32_t content) {
      const std::string_view word = document_.text(key);
      if (word == "name") {
        read_name(index, content);
      } else if (word == "children") {
        children = content;
      } else if (word == "parent") {
        read_parent(index, parent, content, owner);
      } else if (word == "rank") {
        read_rank(index, content, owner, attributes);
      } else if (word == "link") {
        read_link(content, owner, attributes.link);
      } else if (word == "extra") {
        read_extra(content, owner, attributes);
      } else {
        read_scalar(word, index, content, owner, attributes);
      }
    });
    if (says_something(attributes)) {
      raw_.nodes[index].attributes = static_cast<std::uint32_t>(raw_.attributes.size());
      raw_.attributes.push_back(std::move(attributes));
    }
    if (children == kNone) { return; }
    if (document_.at(children).kind != Kind::kList) {
      bad(document_.at(children).place,
          fmt::format("{}: children must be a list, got {}", owner, document_.describe(children)));
      raw_.nodes[index].damaged = true;
      return;
    }
    read_list(children, index, tier + 1);
  }

  void read_name(std::uint32_t index, std::uint32_t value) {
    RawNode& node = raw_.nodes[index];
    node.place = document_.at(value).place;
    if (document_.at(value).kind == Kind::kList || document_.at(value).kind == Kind::kMap) {
      bad(node.place, fmt::format("a name must be a word, got {}", document_.describe(value)));
    } else if (document_.text(value).empty()) {
      issues_.add(TopologyError::kEmptyName, node.place,
                  "a name must not be empty; leave the key out for a default name");
    } else {
      node.name = document_.text(value);
    }
  }

  void read_parent(std::uint32_t index, std::uint32_t enclosing, std::uint32_t value, const std::string& owner) {
    const Place place = document_.at(value).place;
    if (document_.at(value).kind != Kind::kScalar || document_.text(value).empty()) {
      bad(place, fmt::format("{}: parent must be the name of a node, got {}", owner, document_.describe(value)));
      raw_.nodes[index].orphan = enclosing == kNone;
    } else if (enclosing == kNone) {
      parent_names_.push_back({index, document_.text(value), place});
    } else if (document_.text(value) != raw_.nodes[enclosing].name) {
      issues_.add(TopologyError::kSeveralParents, place,
                  fmt::format("{} stands among the children of {}, but its parent is {}", owner,
                              TopologyAssembler::describe(raw_.nodes[enclosing]), quoted(document_.text(value))));
    }
  }

  void read_scalar(std::string_view key, std::uint32_t index, std::uint32_t value, const std::string& owner,
                   NodeAttributes& attributes) {
    const Place place = document_.at(value).place;
    if (document_.at(value).kind != Kind::kScalar) {
      const std::string_view wanted = key == "count" ? "a whole number" : "a word";
      bad(place, fmt::format("{}: {} must be {}, got {}", owner, key, wanted, document_.describe(value)));
      return;
    }
    const std::string_view text = document_.text(value);
    const auto take = [&](std::string& target, const std::string& problem) {
      target = text;
      if (problem.empty()) { return; }
      bad(place, fmt::format("{}: {} {}", owner, key, problem));
    };
    if (key == "count") {
      read_count(index, value, owner);
    } else if (key == "kind") {
      const auto* const found = std::find(kKinds.begin(), kKinds.end(), text);
      if (found == kKinds.end()) {
        bad(place, fmt::format("{}: kind must be {}, got {}{}", owner, one_of(kKinds), quoted(text),
                               did_you_mean(text, kKinds)));
        return;
      }
      raw_.nodes[index].kind = text == "root" ? Role::kRoot : text == "client" ? Role::kClient : Role::kAggregator;
      raw_.nodes[index].kind_place = place;
    } else if (key == "site") {
      take(attributes.site, site_problem(text));
    } else if (key == "device") {
      take(attributes.device, device_problem(text));
    } else if (key == "transport") {
      take(attributes.transport, transport_problem(text));
    } else {
      take(attributes.address, address_problem(text));
    }
  }

  void read_count(std::uint32_t index, std::uint32_t value, const std::string& owner) {
    RawNode& node = raw_.nodes[index];
    node.group = true;
    const auto number = parse_whole(document_.text(value));
    if (!number || document_.at(value).quoted || *number == 0 || *number > TopologyLimits::kNodes) {
      bad(document_.at(value).place, fmt::format("{}: count must be a whole number from 1 to {}, got {}", owner,
                                                 TopologyLimits::kNodes, document_.describe(value)));
      return;
    }
    node.count = static_cast<std::uint32_t>(*number);
  }

  void read_rank(std::uint32_t index, std::uint32_t value, const std::string& owner, NodeAttributes& attributes) {
    const Document::Value& source = document_.at(value);
    raw_.nodes[index].rank_place = source.place;
    if (source.kind == Kind::kList) {
      bad(source.place, fmt::format("{}: rank must be one whole number, got a list; clients of several ranks are "
                                    "several groups",
                                    owner));
      return;
    }
    const auto number = source.kind == Kind::kScalar ? parse_whole(document_.text(value)) : std::nullopt;
    if (!number || source.quoted || !rank_problem(*number).empty()) {
      bad(source.place, fmt::format("{}: rank must be a whole number from 0 to {}, got {}", owner,
                                    TopologyLimits::kRank, document_.describe(value)));
      return;
    }
    attributes.rank = static_cast<std::uint32_t>(*number);
  }

  void read_link(std::uint32_t value, const std::string& owner, Link& link) {
    if (document_.at(value).kind != Kind::kMap) {
      bad(document_.at(value).place,
          fmt::format("{}: link must be a map like {{bandwidth: 100 Mbit/s, latency: 5 ms}}, got {}", owner,
                      document_.describe(value)));
      return;
    }
    for_each_known(value, "link of " + owner, kLinkKeys, [&](std::uint32_t key, std::uint32_t content) {
      const Place place = document_.at(content).place;
      const std::string_view text = document_.at(content).kind == Kind::kScalar ? document_.text(content) : "";
      const bool is_bandwidth = document_.text(key) == "bandwidth";
      std::string problem;
      if (is_bandwidth) {
        const std::optional<double> rate = parse_rate(text);
        problem = rate
                      ? rate_problem(*rate)
                      : "must be a number with a unit like 100 Mbit/s or 12.5 MB/s, got " + document_.describe(content);
        link.bytes_per_second = rate.value_or(0.0);
      } else {
        const std::optional<std::chrono::nanoseconds> latency = parse_duration(text);
        problem = latency ? latency_problem(*latency)
                          : "must be a number with a unit like 5 ms or 20 us, got " + document_.describe(content);
        link.latency = latency.value_or(std::chrono::nanoseconds{0});
      }
      if (!problem.empty()) { bad(place, fmt::format("{}: link.{} {}", owner, document_.text(key), problem)); }
    });
  }

  void read_extra(std::uint32_t value, const std::string& owner, NodeAttributes& attributes) {
    if (document_.at(value).kind != Kind::kMap) {
      bad(document_.at(value).place,
          fmt::format("{}: extra must be a map of words, got {}", owner, document_.describe(value)));
      return;
    }
    for_each_known(value, "extra of " + owner, {}, [&](std::uint32_t key, std::uint32_t content) {
      if (const std::string problem = extra_key_problem(document_.text(key)); !problem.empty()) {
        bad(document_.at(key).place, fmt::format("{}: a key of extra {}", owner, problem));
      } else if (document_.at(content).kind != Kind::kScalar) {
        bad(document_.at(content).place, fmt::format("{}: extra.{} must be a word, got {}", owner, document_.text(key),
                                                     document_.describe(content)));
      } else if (const std::string wrong = extra_value_problem(document_.text(content)); !wrong.empty()) {
        bad(document_.at(content).place, fmt::format("{}: extra.{} {}", owner, document_.text(key), wrong));
      } else {
        attributes.extra.emplace(document_.text(key), document_.text(content));
      }
    });
  }

  void resolve_parents() {
    if (parent_names_.empty()) { return; }
    std::unordered_map<std::string_view, std::uint32_t> by_name;
    by_name.reserve(raw_.nodes.size());
    for (std::uint32_t i = 0; i < raw_.nodes.size(); ++i) { by_name.try_emplace(raw_.nodes[i].name, i); }
    for (const ParentName& wanted : parent_names_) {
      const auto found = by_name.find(wanted.name);
      if (found != by_name.end()) {
        raw_.edges.push_back({found->second, wanted.child, wanted.place});
        continue;
      }
      raw_.nodes[wanted.child].orphan = true;
      constexpr std::size_t kCompared = 4096;
      std::vector<std::string_view> names;
      for (std::size_t i = 0; i < std::min(raw_.nodes.size(), kCompared); ++i) { names.push_back(raw_.nodes[i].name); }
      issues_.add(TopologyError::kUnknownParent, wanted.place,
                  fmt::format("{}: there is no node {}{}", TopologyAssembler::describe(raw_.nodes[wanted.child]),
                              quoted(wanted.name), did_you_mean(wanted.name, names)));
    }
    // Children stand in the order of the file, whether nested or listed.
    std::stable_sort(raw_.edges.begin(), raw_.edges.end(),
                     [](const RawEdge& a, const RawEdge& b) { return a.child < b.child; });
  }

  const Document& document_;
  IssueList& issues_;
  RawTopology raw_;
  std::vector<ParentName> parent_names_;
};

}  // namespace

RawTopology read_document(const Document& document, IssueList& issues) {
  return DocumentReader(document, issues).run();
}

}  // namespace tributary::internal
