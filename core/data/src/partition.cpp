// SPDX-License-Identifier: Apache-2.0
#include "tributary/data/partition.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <numeric>
#include <optional>
#include <queue>
#include <tuple>
#include <unordered_map>

#include "tributary/base/random.hpp"

namespace tributary {
namespace {

// Streams of Purpose::kPartition; the last number of the name says what for.
enum class Use : std::uint64_t { kShuffle = 1, kShares = 2, kFill = 3, kDeal = 4 };

Rng stream(std::uint64_t seed, Use use, std::uint64_t part = 0) {
  return Rng(stream_seed(seed, Purpose::kPartition, part, 0, static_cast<std::uint64_t>(use)));
}

Status check_counts(std::size_t samples, std::uint32_t clients, std::size_t min_samples) {
  if (clients == 0) { return invalid_argument("there are no clients"); }
  if (samples > std::numeric_limits<std::uint32_t>::max()) {
    return invalid_argument(
        fmt::format("{} samples, at most {} can be numbered", samples, std::numeric_limits<std::uint32_t>::max()));
  }
  if (min_samples != 0 && samples / min_samples < clients) {
    return invalid_argument(
        fmt::format("{} samples are too few for {} clients with at least {} each", samples, clients, min_samples));
  }
  return ok_status();
}

Status check_concentration(std::string_view name, double value) {
  // Far below 1e-6 the logarithm of a draw itself leaves the range of a double.
  if (value >= 1e-6 && value <= 1e6) { return ok_status(); }
  return invalid_argument(fmt::format("{} must be from 1e-6 to 1e6, got {}", name, value));
}

std::vector<std::uint32_t> shuffled(std::size_t samples, Rng rng) {
  std::vector<std::uint32_t> order(samples);
  std::iota(order.begin(), order.end(), 0U);
  rng.shuffle(std::span(order));
  return order;
}

// Sorts sample numbers by label, keeping the order of equals: two passes of 16 bits, in linear time for any labels.
void sort_by_label(std::span<const std::int32_t> labels, std::vector<std::uint32_t>& order) {
  std::vector<std::uint32_t> sorted(order.size());
  for (const unsigned shift : {0U, 16U}) {
    std::array<std::uint32_t, 65537> start{};
    const auto digit = [&](std::uint32_t sample) {
      // The sign bit flipped, so that negative labels come first.
      return ((static_cast<std::uint32_t>(labels[sample]) ^ 0x80000000U) >> shift) & 0xFFFFU;
    };
    for (const std::uint32_t sample : order) { ++start[digit(sample) + 1]; }
    std::partial_sum(start.begin(), start.end(), start.begin());
    for (const std::uint32_t sample : order) { sorted[start[digit(sample)]++] = sample; }
    order.swap(sorted);
  }
}

// Whole numbers that add up to `total` and are nearest to shares * total: the largest remainders are rounded up.
std::vector<std::uint32_t> by_largest_remainder(std::span<const double> shares, std::size_t total) {
  std::vector<std::uint32_t> counts(shares.size());
  std::vector<std::pair<double, std::uint32_t>> remainders(shares.size());
  std::size_t left = total;
  for (std::size_t i = 0; i < shares.size(); ++i) {
    const double exact = shares[i] * static_cast<double>(total);
    const auto whole = static_cast<std::size_t>(exact);
    counts[i] = static_cast<std::uint32_t>(std::min(whole, left));
    left -= counts[i];
    remainders[i] = {exact - static_cast<double>(whole), static_cast<std::uint32_t>(i)};
  }
  const auto larger = [](const auto& a, const auto& b) {
    return a.first != b.first ? a.first > b.first : a.second < b.second;
  };
  while (left > 0) {  // once, but for rounding errors of the shares
    const std::size_t up = std::min(left, remainders.size());
    if (up < remainders.size()) {
      std::nth_element(remainders.begin(), remainders.begin() + static_cast<std::ptrdiff_t>(up), remainders.end(),
                       larger);
    }
    for (std::size_t i = 0; i < up; ++i) { ++counts[remainders[i].second]; }
    left -= up;
  }
  return counts;
}

// Brings every count up to `minimum`, one at a time from the largest; calls move(from, to) for each. The total must
// suffice: then whoever gives has more than the minimum, so nobody both gives and takes.
template <typename Move>
void fill_up(std::vector<std::uint32_t>& counts, std::size_t minimum, const Move& move) {
  using Entry = std::pair<std::uint32_t, std::uint32_t>;  // count, ~client: of equals the first client gives
  std::vector<Entry> entries;
  entries.reserve(counts.size());
  for (std::uint32_t client = 0; client < counts.size(); ++client) {
    if (counts[client] > minimum) { entries.emplace_back(counts[client], ~client); }
  }
  std::priority_queue<Entry> givers(std::less<Entry>{}, std::move(entries));
  for (std::uint32_t client = 0; client < counts.size(); ++client) {
    while (counts[client] < minimum) {
      const std::uint32_t giver = ~givers.top().second;
      givers.pop();
      move(giver, client);
      --counts[giver];
      ++counts[client];
      if (counts[giver] > minimum) { givers.emplace(counts[giver], ~giver); }
    }
  }
}

// All clients' samples one after the other, and where each client's start. Each client's samples ascend, so that
// reading them walks through memory.
std::pair<std::vector<std::uint32_t>, std::vector<std::uint64_t>> group(std::span<const std::uint32_t> owners,
                                                                        std::uint32_t clients) {
  std::vector<std::uint64_t> offsets(std::size_t{clients} + 1);
  for (const std::uint32_t owner : owners) { ++offsets[std::size_t{owner} + 1]; }
  std::partial_sum(offsets.begin(), offsets.end(), offsets.begin());
  std::vector<std::uint64_t> next(offsets.begin(), offsets.end() - 1);
  std::vector<std::uint32_t> samples(owners.size());
  for (std::uint32_t sample = 0; sample < owners.size(); ++sample) { samples[next[owners[sample]]++] = sample; }
  return {std::move(samples), std::move(offsets)};
}

// Gives `order` away in runs of `counts`.
void deal_runs(std::span<const std::uint32_t> order, std::span<const std::uint32_t> counts,
               std::vector<std::uint32_t>& owners) {
  std::size_t next = 0;
  for (std::uint32_t client = 0; client < counts.size(); ++client) {
    for (std::uint32_t i = 0; i < counts[client]; ++i) { owners[order[next++]] = client; }
  }
}

// Size of part `index` when `total` is cut into `parts` that differ by at most one.
std::uint32_t even_part(std::size_t total, std::size_t parts, std::size_t index) {
  return static_cast<std::uint32_t>(total / parts + (index < total % parts ? 1 : 0));
}

}  // namespace

Partition Partition::by_owner(std::span<const std::uint32_t> owners, std::uint32_t clients) {
  Partition partition;
  partition.clients_ = clients;
  std::tie(partition.samples_, partition.offsets_) = group(owners, clients);
  return partition;
}

Result<Partition> Partition::iid(std::size_t samples, std::uint32_t clients, std::uint64_t seed) {
  TRIBUTARY_RETURN_IF_ERROR(check_counts(samples, clients, 0));
  std::vector<std::uint32_t> counts(clients);
  for (std::uint32_t client = 0; client < clients; ++client) { counts[client] = even_part(samples, clients, client); }
  std::vector<std::uint32_t> owners(samples);
  deal_runs(shuffled(samples, stream(seed, Use::kShuffle)), counts, owners);
  return by_owner(owners, clients);
}

Result<Partition> Partition::label_dirichlet(std::span<const std::int32_t> labels, std::int32_t classes,
                                             std::uint32_t clients, double alpha, std::size_t min_samples,
                                             std::uint64_t seed) {
  TRIBUTARY_RETURN_IF_ERROR(check_counts(labels.size(), clients, min_samples));
  TRIBUTARY_RETURN_IF_ERROR(check_concentration("alpha", alpha));
  for (const std::int32_t label : labels) {
    if (label < 0 || label >= classes) {
      return invalid_argument(fmt::format("label {} is outside [0, {})", label, classes));
    }
  }
  std::vector<std::uint32_t> order = shuffled(labels.size(), stream(seed, Use::kShuffle));
  sort_by_label(labels, order);
  std::vector<std::uint32_t> owners(labels.size());
  const std::vector<double> concentration(clients, alpha);
  for (std::size_t start = 0; start < order.size();) {
    const std::int32_t label = labels[order[start]];
    std::size_t end = start;
    while (end < order.size() && labels[order[end]] == label) { ++end; }
    const std::vector<double> shares =
        stream(seed, Use::kShares, static_cast<std::uint64_t>(label)).dirichlet(concentration);
    deal_runs(std::span(order).subspan(start, end - start), by_largest_remainder(shares, end - start), owners);
    start = end;
  }

  std::vector<std::uint32_t> counts(clients);
  for (const std::uint32_t owner : owners) { ++counts[owner]; }
  if (*std::min_element(counts.begin(), counts.end()) < min_samples) {
    // Which sample a client gives is drawn: the last one would always be of the last class.
    auto [held_before, offsets] = group(owners, clients);
    const std::span<std::uint32_t> all = held_before;
    const std::span<const std::uint64_t> starts = offsets;
    Rng rng = stream(seed, Use::kFill);
    fill_up(counts, min_samples, [&](std::uint32_t giver, std::uint32_t taker) {
      const std::span<std::uint32_t> held = all.subspan(starts[giver], counts[giver]);
      std::swap(held[rng.below(held.size())], held.back());
      owners[held.back()] = taker;
    });
  }
  return by_owner(owners, clients);
}

Result<Partition> Partition::count_dirichlet(std::size_t samples, std::uint32_t clients, double beta,
                                             std::size_t min_samples, std::uint64_t seed) {
  TRIBUTARY_RETURN_IF_ERROR(check_counts(samples, clients, min_samples));
  TRIBUTARY_RETURN_IF_ERROR(check_concentration("beta", beta));
  const std::vector<double> concentration(clients, beta);
  std::vector<std::uint32_t> counts =
      by_largest_remainder(stream(seed, Use::kShares).dirichlet(concentration), samples);
  fill_up(counts, min_samples, [](std::uint32_t, std::uint32_t) {});
  std::vector<std::uint32_t> owners(samples);
  deal_runs(shuffled(samples, stream(seed, Use::kShuffle)), counts, owners);
  return by_owner(owners, clients);
}

Result<Partition> Partition::shards(std::span<const std::int32_t> labels, std::uint32_t clients,
                                    std::uint32_t shards_per_client, std::uint64_t seed) {
  if (shards_per_client == 0) { return invalid_argument("shards_per_client must be > 0, got 0"); }
  TRIBUTARY_RETURN_IF_ERROR(check_counts(labels.size(), clients, shards_per_client));
  std::vector<std::uint32_t> order = shuffled(labels.size(), stream(seed, Use::kShuffle));
  sort_by_label(labels, order);
  const std::size_t count = std::size_t{clients} * shards_per_client;
  std::vector<std::uint32_t> dealt(count);  // the client of each shard
  for (std::size_t i = 0; i < count; ++i) { dealt[i] = static_cast<std::uint32_t>(i / shards_per_client); }
  Rng rng = stream(seed, Use::kDeal);
  rng.shuffle(std::span(dealt));
  std::vector<std::uint32_t> owners(labels.size());
  std::size_t next = 0;
  for (std::size_t shard = 0; shard < count; ++shard) {
    for (std::uint32_t i = even_part(labels.size(), count, shard); i > 0; --i) { owners[order[next++]] = dealt[shard]; }
  }
  return by_owner(owners, clients);
}

Result<Partition> Partition::natural(std::span<const std::int64_t> ids, std::uint32_t clients) {
  TRIBUTARY_RETURN_IF_ERROR(check_counts(ids.size(), clients, 0));
  std::unordered_map<std::int64_t, std::uint32_t> owner_of;
  for (const std::int64_t id : ids) { owner_of.emplace(id, 0); }
  if (owner_of.size() < clients) {
    return invalid_argument(fmt::format("{} distinct ids are too few for {} clients", owner_of.size(), clients));
  }
  std::vector<std::int64_t> distinct;
  distinct.reserve(owner_of.size());
  for (const auto& [id, owner] : owner_of) { distinct.push_back(id); }
  std::sort(distinct.begin(), distinct.end());
  for (std::size_t i = 0; i < distinct.size(); ++i) { owner_of[distinct[i]] = static_cast<std::uint32_t>(i % clients); }
  std::vector<std::uint32_t> owners;
  owners.reserve(ids.size());
  for (const std::int64_t id : ids) { owners.push_back(owner_of.at(id)); }
  return by_owner(owners, clients);
}

Result<Partition> Partition::draw(std::size_t samples, std::uint32_t clients, std::uint32_t per_client,
                                  std::uint64_t seed) {
  TRIBUTARY_RETURN_IF_ERROR(check_counts(samples, clients, 0));
  if (per_client == 0 || per_client > samples) {
    return invalid_argument(fmt::format("samples_per_client must be from 1 to {}, got {}", samples, per_client));
  }
  Partition partition;
  partition.clients_ = clients;
  partition.population_ = samples;
  partition.per_client_ = per_client;
  partition.seed_ = seed;
  return partition;
}

void Partition::hold_out(double share, std::uint64_t seed) noexcept {
  held_out_share_ = share;
  holdout_seed_ = seed;
}

std::size_t Partition::count(ClientIndex client) const {
  return count_all(client) - held_out_count(client);
}

std::size_t Partition::held_out_count(ClientIndex client) const {
  if (held_out_share_ == 0.0) { return 0; }
  const std::size_t all = count_all(client);
  if (all == 0) { return 0; }
  return std::min(all - 1, static_cast<std::size_t>(std::llround(held_out_share_ * static_cast<double>(all))));
}

std::vector<std::uint32_t> Partition::samples(ClientIndex client) const {
  std::vector<std::uint32_t> numbers = all_samples(client);
  if (held_out_count(client) == 0) { return numbers; }
  const std::vector<bool> held = marks(client);
  std::size_t at = 0;
  std::erase_if(numbers, [&](std::uint32_t) { return held[at++]; });
  return numbers;
}

std::vector<std::uint32_t> Partition::held_out(ClientIndex client) const {
  if (held_out_count(client) == 0) { return {}; }
  std::vector<std::uint32_t> numbers = all_samples(client);
  const std::vector<bool> held = marks(client);
  std::size_t at = 0;
  std::erase_if(numbers, [&](std::uint32_t) { return !held[at++]; });
  return numbers;
}

// Which of its samples, by their place among them, the client holds out.
std::vector<bool> Partition::marks(ClientIndex client) const {
  const auto all = static_cast<std::uint32_t>(count_all(client));
  std::vector<bool> held(all, false);
  Rng rng(stream_seed(holdout_seed_, Purpose::kHoldout, client.value));
  for (const std::uint32_t place :
       rng.sample_without_replacement(all, static_cast<std::uint32_t>(held_out_count(client)))) {
    held[place] = true;
  }
  return held;
}

std::size_t Partition::count_all(ClientIndex client) const {
  if (client.value >= clients_) { return 0; }
  return per_client_ != 0 ? per_client_ : offsets_[client.value + std::size_t{1}] - offsets_[client.value];
}

std::vector<std::uint32_t> Partition::all_samples(ClientIndex client) const {
  if (client.value >= clients_) { return {}; }
  if (per_client_ != 0) {
    return Rng(stream_seed(seed_, Purpose::kDraw, client.value))
        .sample_without_replacement(static_cast<std::uint32_t>(population_), per_client_);
  }
  const auto first = samples_.begin() + static_cast<std::ptrdiff_t>(offsets_[client.value]);
  return {first, first + static_cast<std::ptrdiff_t>(count_all(client))};
}

std::vector<std::uint32_t> Partition::histogram(ClientIndex client, std::span<const std::int32_t> labels,
                                                std::int32_t classes) const {
  std::vector<std::uint32_t> counts(static_cast<std::size_t>(std::max(classes, 0)));
  for (const std::uint32_t sample : samples(client)) {
    if (sample < labels.size() && labels[sample] >= 0 && labels[sample] < classes) {
      ++counts[static_cast<std::size_t>(labels[sample])];
    }
  }
  return counts;
}

Digest Partition::digest() const {
  Hasher hasher;
  hasher.update(fmt::format("{},{},{},{};", clients_, population_, per_client_, per_client_ != 0 ? seed_ : 0));
  hasher.update(std::as_bytes(std::span(offsets_)));
  hasher.update(std::as_bytes(std::span(samples_)));
  if (held_out_share_ > 0.0) { hasher.update(fmt::format(";{},{}", held_out_share_, holdout_seed_)); }
  return hasher.finish();
}

}  // namespace tributary
