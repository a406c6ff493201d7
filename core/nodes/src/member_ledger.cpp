// SPDX-License-Identifier: Apache-2.0
#include "tributary/nodes/member_ledger.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <memory>
#include <string>
#include <string_view>
#include <system_error>

namespace tributary {
namespace {

constexpr const char* kMembers = "members";
constexpr const char* kEpoch = "epoch";
// Of one client: its number, its floor, the last counted below it, how many sequences follow, and those that are
// counted.
constexpr std::size_t kHeadWords = 4;
// Numbers of increments that doubles hold exactly.
constexpr std::uint64_t kMostSequence = std::uint64_t{1} << 53U;

}  // namespace

bool MemberLedger::knows(NodeId client) const {
  const auto found = clients_.find(client.value);
  if (found == clients_.end()) { return false; }
  return found->second.last_below > 0 || std::ranges::any_of(found->second.sequences, [](const auto& entry) {
           return entry.second != State::kDropped;
         });
}

Status MemberLedger::check(std::span<const Member> members) const {
  for (const Member& member : members) {
    if (member.sequence == 0 || member.sequence >= kMostSequence) {
      return invalid_argument(fmt::format("increment {} of the state of client node {}: no client numbers so",
                                          member.sequence, member.client.value));
    }
    const auto found = clients_.find(member.client.value);
    if (found == clients_.end()) { continue; }
    const Client& client = found->second;
    const auto known = client.sequences.find(member.sequence);
    const bool settled = member.sequence < client.floor;
    if (!settled && known == client.sequences.end()) { continue; }
    const std::string_view why = settled
                                     ? "was settled long ago: the client has lost its state, or an older one is back"
                                 : known->second == State::kDropped ? "has been given up"
                                                                    : "has been counted before";
    return invalid_argument(fmt::format("increment {} of the state of client node {}, which is in it, {}",
                                        member.sequence, member.client.value, why));
  }
  return {};
}

void MemberLedger::count(std::span<const Member> members, Version version) {
  std::vector<Member>& fresh = fresh_[version.value];
  for (const Member& member : members) {
    clients_[member.client.value].sequences[member.sequence] = State::kCounted;
    fresh.push_back(member);
  }
}

void MemberLedger::make_durable(Version version) {
  const auto end = fresh_.upper_bound(version.value);
  for (auto part = fresh_.begin(); part != end; part = fresh_.erase(part)) {
    for (const Member& member : part->second) {
      const auto client = clients_.find(member.client.value);
      if (client == clients_.end()) { continue; }
      const auto known = client->second.sequences.find(member.sequence);
      if (known != client->second.sequences.end()) { known->second = State::kDurable; }
    }
  }
}

bool MemberLedger::agrees(const Claim& claim) const {
  const auto found = clients_.find(claim.client.value);
  if (found == clients_.end()) { return claim.settled == 0; }
  const Client& here = found->second;
  std::uint64_t last = here.last_below;
  for (const auto& [sequence, state] : here.sequences) {
    if (state != State::kDropped && !std::ranges::binary_search(claim.undecided, sequence)) { last = sequence; }
  }
  return claim.settled == last;
}

// What lies below the first undecided increment is settled on both sides.
MemberLedger::Client& MemberLedger::prune(const Claim& claim) {
  Client& here = clients_[claim.client.value];
  if (claim.undecided.empty()) { return here; }
  here.floor = std::max(here.floor, claim.undecided.front());
  const auto end = here.sequences.lower_bound(here.floor);
  for (auto settled = here.sequences.begin(); settled != end; settled = here.sequences.erase(settled)) {
    if (settled->second != State::kDropped) { here.last_below = settled->first; }
  }
  return here;
}

std::vector<SequenceFate> MemberLedger::settle(const Claim& claim, std::span<const std::uint64_t> sequences) {
  Client& here = prune(claim);
  std::vector<SequenceFate> fates;
  for (const std::uint64_t sequence : sequences) {
    if (sequence < here.floor) { continue; }  // an old question, long answered
    const State state = here.sequences.try_emplace(sequence, State::kDropped).first->second;
    const Fate fate = state == State::kDropped   ? Fate::kDropped
                      : state == State::kDurable ? Fate::kCounted
                                                 : Fate::kHeld;
    fates.push_back({sequence, fate});
  }
  return fates;
}

void MemberLedger::give_up(const Claim& claim, std::span<const std::uint64_t> sequences) {
  Client& here = prune(claim);
  for (const std::uint64_t sequence : sequences) {
    if (sequence >= here.floor) { here.sequences.try_emplace(sequence, State::kDropped); }
  }
}

// What was given up stays so: none of it can come again under the keys of a later incarnation.
Snapshot MemberLedger::save() const {
  std::vector<double> words;
  for (const auto& [number, client] : clients_) {
    const std::size_t head = words.size();
    words.insert(words.end(), {static_cast<double>(number), static_cast<double>(client.floor),
                               static_cast<double>(client.last_below), 0.0});
    for (const auto& [sequence, state] : client.sequences) {
      if (state != State::kDropped) { words.push_back(static_cast<double>(sequence)); }
    }
    words[head + kHeadWords - 1] = static_cast<double>(words.size() - head - kHeadWords);
  }
  Snapshot snapshot;
  snapshot.texts[kEpoch] = std::to_string(epoch_);
  if (!words.empty()) { snapshot.vectors[kMembers] = std::make_shared<const std::vector<double>>(std::move(words)); }
  return snapshot;
}

Status MemberLedger::restore(const Snapshot& snapshot) {
  clients_.clear();
  fresh_.clear();
  const auto epoch = snapshot.texts.find(kEpoch);
  if (epoch == snapshot.texts.end()) { return bad_data("the states of clients are of an unknown run"); }
  const std::string& text = epoch->second;
  const char* const last = text.data() + text.size();
  const auto [stopped, error] = std::from_chars(text.data(), last, epoch_);
  if (error != std::errc{} || stopped != last || epoch_ == 0) {
    return bad_data("the states of clients are of an unknown run");
  }
  const Snapshot::Vector words = snapshot.find(kMembers);
  if (!words) { return {}; }
  constexpr auto kMost = static_cast<double>(kMostSequence);
  const auto whole = [](double value, double most) {
    return value >= 0.0 && value <= most && value == std::floor(value);
  };
  std::size_t at = 0;
  while (at < words->size()) {
    const auto word = [&](std::size_t place) { return (*words)[at + place]; };
    if (words->size() - at < kHeadWords || !whole(word(0), 0x1p32 - 1) || !whole(word(1), kMost) ||
        !whole(word(2), kMost) || !whole(word(3), static_cast<double>(words->size() - at - kHeadWords))) {
      return bad_data("the list of the increments that were counted is damaged");
    }
    Client& client = clients_[static_cast<std::uint32_t>(word(0))];
    client.floor = static_cast<std::uint64_t>(word(1));
    client.last_below = static_cast<std::uint64_t>(word(2));
    const auto count = static_cast<std::size_t>(word(3));
    at += kHeadWords;
    for (const std::size_t end = at + count; at < end; ++at) {
      if (!whole((*words)[at], kMost)) { return bad_data("the list of the increments that were counted is damaged"); }
      client.sequences[static_cast<std::uint64_t>((*words)[at])] = State::kDurable;
    }
  }
  return {};
}

}  // namespace tributary
