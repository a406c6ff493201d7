// SPDX-License-Identifier: Apache-2.0
#include "tributary/topology/place_nodes.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <optional>
#include <string_view>
#include <unordered_map>
#include <utility>

namespace tributary {
namespace {

constexpr std::uint32_t kNotSaid = UINT32_MAX;

// How much heavier the heaviest rank may become to spare a subtree from being cut between two hosts.
constexpr double kPriceOfACleanCut = 1.05;

// The hosts of the ranks as numbers, counted in the order in which the ranks first name them.
std::vector<std::uint32_t> host_numbers(std::span<const std::string> hosts) {
  std::unordered_map<std::string_view, std::uint32_t> known;
  std::vector<std::uint32_t> numbers;
  numbers.reserve(hosts.size());
  for (const std::string& host : hosts) {
    numbers.push_back(known.try_emplace(host, static_cast<std::uint32_t>(known.size())).first->second);
  }
  return numbers;
}

// For each node the rank that it or its nearest ancestor says, or kNotSaid.
Result<std::vector<std::uint32_t>> said_ranks(const Tree& tree, std::uint32_t ranks) {
  std::vector<std::uint32_t> said(tree.size(), kNotSaid);
  std::uint32_t wrong = 0;
  NodeId first_wrong;
  std::uint32_t highest = 0;
  for (std::uint32_t n = 0; n < tree.size(); ++n) {
    const NodeId node{n};
    const std::optional<std::uint32_t> own = tree.attributes(node).rank;
    if (!own) {
      if (n > 0) { said[n] = said[tree.parent(node).value]; }
      continue;
    }
    said[n] = *own;
    if (*own < ranks) { continue; }
    if (wrong++ == 0) { first_wrong = node; }
    highest = std::max(highest, *own);
  }
  if (const std::uint32_t root = said[0]; root != kNotSaid && root != 0) {
    return configuration_error(
        fmt::format("node \"{}\" is the root, which is always on rank 0, but its rank is {}: "
                    "remove its rank from the topology",
                    tree.name(tree.root()), root));
  }
  if (wrong > 0) {
    return configuration_error(fmt::format(
        "node \"{}\"{} is to be on rank {}, but there {} {} (0 to {}): start at least {} ranks, or change the rank in "
        "the topology",
        tree.name(first_wrong), wrong == 1 ? "" : fmt::format(" (as the first of {} such nodes)", wrong),
        said[first_wrong.value], ranks == 1 ? "is" : "are", ranks == 1 ? "1 rank" : fmt::format("{} ranks", ranks),
        ranks - 1, std::uint64_t{highest} + 1));
  }
  return said;
}

// For each node the work of the clients below it; of a client its own.
Result<std::vector<double>> work_below(const Tree& tree, const std::function<double(ClientIndex)>& work) {
  std::vector<double> below(tree.size(), 0.0);
  for (std::uint32_t n = tree.size(); n-- > 0;) {
    const NodeId node{n};
    if (tree.is_client(node)) {
      below[n] = work ? work(tree.client_index(node)) : 1.0;
      if (!std::isfinite(below[n]) || below[n] <= 0.0) {
        return invalid_argument(
            fmt::format("the expected work of {} must be finite and > 0, got {}", tree.name(node), below[n]));
      }
    }
    if (n > 0) { below[tree.parent(node).value] += below[n]; }
  }
  if (!std::isfinite(below[0])) { return invalid_argument("the expected work of all clients together is not finite"); }
  return below;
}

// Up to which amount each rank is filled if `work` is poured over ranks that hold `held` already.
double level_of(std::vector<double> held, double work) {
  std::sort(held.begin(), held.end());
  double poured = work;
  for (std::size_t filled = 1;; ++filled) {
    poured += held[filled - 1];
    const double level = poured / static_cast<double>(filled);
    if (filled == held.size() || level <= held[filled]) { return level; }
  }
}

// Deals the clients that say nothing to the ranks, in contiguous blocks. A "place" is between two clients: as many as
// its number are left of it.
class ClientCutter {
 public:
  ClientCutter(const Tree& tree, std::span<const std::uint32_t> host, std::span<const double> work,
               std::vector<std::uint32_t>& rank)
      : tree_(tree), host_(host), work_(work), rank_(rank) {}

  void run() {
    std::vector<double> held(host_.size(), 0.0);
    std::vector<bool> bare(host_.size(), true);
    before_.push_back(0.0);
    for (std::uint32_t index = 0; index < tree_.clients(); ++index) {
      const std::uint32_t node = tree_.client_node(ClientIndex{index}).value;
      if (const std::uint32_t said = rank_[node]; said != kNotSaid) {
        held[said] += work_[node];
        bare[said] = false;
        continue;
      }
      clients_.push_back(node);
      before_.push_back(before_.back() + work_[node]);
      heaviest_ = std::max(heaviest_, work_[node]);
    }
    if (clients_.empty()) { return; }
    choose_ranks(held, bare);
    if (clients_.size() < bare_between(0, shares_.size())) {
      scatter();
    } else {
      cut();
    }
  }

 private:
  // What one rank is to get, in the order in which the ranks are served.
  struct Share {
    std::uint32_t rank;
    double held;
    double room;  // up to the common level
    bool bare;    // has no client yet, so gets one
  };
  // The shares of one host.
  struct Group {
    std::size_t first;
    std::size_t end;
    double room;
  };

  void choose_ranks(const std::vector<double>& held, const std::vector<bool>& bare) {
    level_ = level_of(held, before_.back());
    for (std::uint32_t rank = 0; rank < host_.size(); ++rank) {
      const double room = std::max(level_ - held[rank], 0.0);
      if (room > 0.0 || bare[rank]) { shares_.push_back({rank, held[rank], room, bare[rank]}); }
    }
    // Host by host. Ranks are ascending within a host, and hosts by their lowest rank.
    std::stable_sort(shares_.begin(), shares_.end(),
                     [this](const Share& a, const Share& b) { return host_[a.rank] < host_[b.rank]; });
    bare_before_.push_back(0);
    for (std::size_t s = 0; s < shares_.size(); ++s) {
      bare_before_.push_back(bare_before_.back() + (shares_[s].bare ? 1 : 0));
      if (s == 0 || host_[shares_[s].rank] != host_[shares_[s - 1].rank]) { groups_.push_back({s, s, 0.0}); }
      groups_.back().end = s + 1;
      groups_.back().room += shares_[s].room;
    }
  }

  [[nodiscard]] std::size_t bare_between(std::size_t first, std::size_t end) const {
    return bare_before_[end] - bare_before_[first];
  }

  // Fewer clients than ranks without one: one each, over all hosts evenly.
  void scatter() {
    std::erase_if(shares_, [](const Share& share) { return !share.bare; });
    for (std::size_t i = 0; i < clients_.size(); ++i) {
      rank_[clients_[i]] = shares_[i * shares_.size() / clients_.size()].rank;
    }
  }

  void cut() {
    limit_ = least_limit();
    if (groups_.size() > 1) { limit_ = std::max(limit_, std::min(limit_ * kPriceOfACleanCut, level_ + heaviest_)); }
    floor_.assign(shares_.size() + 1, clients_.size());
    for (std::size_t s = shares_.size(); s-- > 0;) { floor_[s] = lowest_start(s, floor_[s + 1], limit_); }
    std::size_t first = 0;
    double target = 0.0;
    for (std::size_t g = 0; g < groups_.size(); ++g) {
      target += groups_[g].room;
      const std::size_t end = g + 1 == groups_.size() ? clients_.size() : end_of_host(g, first, target);
      deal(groups_[g], first, end);
      first = end;
    }
  }

  // The least that the heaviest rank must hold, to a thousandth of the heaviest client.
  [[nodiscard]] double least_limit() const {
    const auto enough = [this](double limit) {
      std::size_t end = clients_.size();
      for (std::size_t s = shares_.size(); s-- > 0 && end > 0;) { end = lowest_start(s, end, limit); }
      return end == 0;
    };
    double low = std::max(level_, heaviest_);
    if (enough(low)) { return low; }
    // Enough always: blocks that end at the places nearest to equal parts are off by half a client at each end.
    double high = level_ + heaviest_;
    for (int halving = 0; halving < 10; ++halving) {
      const double middle = low + (high - low) / 2;
      (enough(middle) ? high : low) = middle;
    }
    return high;
  }

  // The first place from which one rank can hold everything up to `end`.
  [[nodiscard]] std::size_t lowest_start(std::size_t share, std::size_t end, double limit) const {
    const auto stop = before_.begin() + static_cast<std::ptrdiff_t>(end);
    const double least = before_[end] - (limit - shares_[share].held);
    return static_cast<std::size_t>(std::lower_bound(before_.begin(), stop, least) - before_.begin());
  }

  // The last place up to which it can hold everything from `first` on.
  [[nodiscard]] std::size_t highest_end(std::size_t share, std::size_t first) const {
    const auto start = before_.begin() + static_cast<std::ptrdiff_t>(first);
    const double most = before_[first] + (limit_ - shares_[share].held);
    return static_cast<std::size_t>(std::upper_bound(start, before_.end(), most) - before_.begin()) - 1;
  }

  // The place with the amount of work closest to `target` before it.
  [[nodiscard]] std::size_t nearest(double target) const {
    const auto after = std::lower_bound(before_.begin(), before_.end(), target);
    const auto place = static_cast<std::size_t>(after - before_.begin());
    if (place == before_.size()) { return place - 1; }
    const bool lower = place > 0 && target - before_[place - 1] <= before_[place] - target;
    return lower ? place - 1 : place;
  }

  // Of the places that keep to the limit, within half a host of the target, one that cuts the fewest subtrees, and of
  // those the nearest.
  [[nodiscard]] std::size_t end_of_host(std::size_t g, std::size_t first, double target) const {
    const Group& group = groups_[g];
    std::size_t highest = first;
    for (std::size_t s = group.first; s < group.end; ++s) { highest = highest_end(s, highest); }
    const std::size_t fewest = first + bare_between(group.first, group.end);
    const std::size_t most = clients_.size() - bare_between(group.end, shares_.size());
    const std::size_t low = std::clamp(floor_[group.end], fewest, most);
    const std::size_t high = std::clamp(highest, low, most);

    std::size_t best = std::clamp(nearest(target), low, high);
    std::uint32_t best_depth = depth_of_cut(best);
    const auto from = std::lower_bound(before_.begin(), before_.end(), target - group.room / 2) - before_.begin();
    const double until = target + groups_[g + 1].room / 2;
    for (auto place = std::max(low, static_cast<std::size_t>(from)); place <= high && before_[place] < until; ++place) {
      const std::uint32_t depth = depth_of_cut(place);
      const bool closer = std::abs(before_[place] - target) < std::abs(before_[best] - target);
      if (depth < best_depth || (depth == best_depth && closer)) {
        best = place;
        best_depth = depth;
      }
    }
    return best;
  }

  // The tier of the lowest node with clients on both sides.
  [[nodiscard]] std::uint32_t depth_of_cut(std::size_t place) const {
    if (place == 0 || place == clients_.size()) { return 0; }
    NodeId left{clients_[place - 1]};
    NodeId right{clients_[place]};
    // Parents have lower numbers, so the higher of the two is not yet the common ancestor.
    while (left != right) {
      NodeId& lower = left > right ? left : right;
      lower = tree_.parent(lower);
    }
    return tree_.tier(left);
  }

  // The clients of one host over its ranks: as equal as the limit allows.
  void deal(const Group& group, std::size_t first, std::size_t end) {
    floor_[group.end] = end;
    for (std::size_t s = group.end; s-- > group.first + 1;) { floor_[s] = lowest_start(s, floor_[s + 1], limit_); }
    double room_left = group.room;
    for (std::size_t s = group.first; s < group.end; ++s) {
      const Share& share = shares_[s];
      std::size_t stop = end;
      if (s + 1 < group.end) {
        const double target = before_[first] + (before_[end] - before_[first]) * (share.room / room_left);
        const std::size_t fewest = first + (share.bare ? 1 : 0);
        const std::size_t most = end - bare_between(s + 1, group.end);
        const std::size_t low = std::clamp(floor_[s + 1], fewest, most);
        stop = std::clamp(nearest(target), low, std::clamp(highest_end(s, first), low, most));
      }
      room_left -= share.room;
      for (; first < stop; ++first) { rank_[clients_[first]] = share.rank; }
    }
  }

  const Tree& tree_;
  std::span<const std::uint32_t> host_;
  std::span<const double> work_;
  std::vector<std::uint32_t>& rank_;
  std::vector<std::uint32_t> clients_;  // that say nothing, left to right
  std::vector<double> before_;          // work of the clients left of each place
  double heaviest_ = 0.0;               // client
  double level_ = 0.0;
  double limit_ = 0.0;  // of what a rank may hold in all
  std::vector<Share> shares_;
  std::vector<Group> groups_;
  std::vector<std::size_t> bare_before_;  // bare shares before each
  std::vector<std::size_t> floor_;        // the first place from which each share and those after it can hold the rest
};

// Where most of the work of the children is: the host first, then the rank within it.
class Majority {
 public:
  explicit Majority(std::span<const std::uint32_t> host)
      : host_(host), of_rank_(host.size(), 0.0), of_host_(host.size(), 0.0) {}

  void add(std::uint32_t rank, double work) {
    if (of_rank_[rank] == 0.0) { touched_.push_back(rank); }
    of_rank_[rank] += work;
    of_host_[host_[rank]] += work;
  }

  // The winner of what was added since the last call; ties go to the lowest rank.
  std::uint32_t take() {
    std::uint32_t best = touched_.front();
    for (const std::uint32_t rank : touched_) {
      if (better(rank, best)) { best = rank; }
    }
    for (const std::uint32_t rank : touched_) {
      of_rank_[rank] = 0.0;
      of_host_[host_[rank]] = 0.0;
    }
    touched_.clear();
    return best;
  }

 private:
  [[nodiscard]] bool better(std::uint32_t a, std::uint32_t b) const {
    const std::uint32_t host_a = host_[a];
    const std::uint32_t host_b = host_[b];
    if (of_host_[host_a] != of_host_[host_b]) { return of_host_[host_a] > of_host_[host_b]; }
    if (host_a != host_b) { return host_a < host_b; }
    if (of_rank_[a] != of_rank_[b]) { return of_rank_[a] > of_rank_[b]; }
    return a < b;
  }

  std::span<const std::uint32_t> host_;
  std::vector<double> of_rank_;
  std::vector<double> of_host_;
  std::vector<std::uint32_t> touched_;
};

void place_inner_nodes(const Tree& tree, std::span<const std::uint32_t> host, std::span<const double> work,
                       std::vector<std::uint32_t>& rank) {
  Majority majority(host);
  for (std::uint32_t n = tree.size(); n-- > 1;) {
    if (rank[n] != kNotSaid) { continue; }
    for (const NodeId child : tree.children(NodeId{n})) { majority.add(rank[child.value], work[child.value]); }
    rank[n] = majority.take();
  }
  rank[0] = 0;
}

}  // namespace

Result<Placement> place_nodes(const Tree& tree, std::span<const std::string> hosts,
                              const std::function<double(ClientIndex)>& work) {
  if (hosts.empty() || hosts.size() >= kNotSaid) {
    return invalid_argument(
        fmt::format("a placement needs 1 to {} ranks, got the hosts of {}", kNotSaid - 1, hosts.size()));
  }
  const std::vector<std::uint32_t> host = host_numbers(hosts);
  TRIBUTARY_ASSIGN_OR_RETURN(std::vector<std::uint32_t> rank,
                             said_ranks(tree, static_cast<std::uint32_t>(hosts.size())));
  TRIBUTARY_ASSIGN_OR_RETURN(const std::vector<double> below, work_below(tree, work));
  ClientCutter(tree, host, below, rank).run();
  place_inner_nodes(tree, host, below, rank);
  return Placement(tree, std::move(rank), {hosts.begin(), hosts.end()}, below);
}

NodePlacer node_placer(std::function<double(ClientIndex)> work) {
  return [work = std::move(work)](const Tree& tree, std::span<const std::string> hosts) {
    return place_nodes(tree, hosts, work);
  };
}

}  // namespace tributary
