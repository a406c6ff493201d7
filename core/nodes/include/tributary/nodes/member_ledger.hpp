// SPDX-License-Identifier: Apache-2.0
// Which increments of which clients a node has counted, and which it must never count: a sum names its members, and the
// owner of a state answers for each of them once and for all.
//
// A client asks about all of its undecided increments before it trains again. What is asked about and unknown by then
// is dropped: sums that bring it later are refused. What lies below the first that is undecided at the client is
// settled on both sides, and forgotten here.
//
// Threads: one node's. Memory: a few words for each client that has ever been counted.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "tributary/base/status.hpp"
#include "tributary/nodes/client_state.hpp"
#include "tributary/nodes/snapshot.hpp"
#include "tributary/nodes/update.hpp"

namespace tributary {

class MemberLedger {
 public:
  // Whether anything was ever counted of the client.
  [[nodiscard]] bool knows(NodeId client) const;
  // OK if all of `members` may be counted here. kInvalidArgument: one was counted before, or has been given up.
  [[nodiscard]] Status check(std::span<const Member> members) const;
  // Requires check(). `version`: of the model that they went into.
  void count(std::span<const Member> members, Version version);
  // All that went into models up to `version` is durable from now on.
  void make_durable(Version version);

  // What a client says of itself: the last increment that it knows to be counted, and all that it does not know of.
  struct Claim {
    NodeId client;
    std::uint64_t settled = 0;
    std::span<const std::uint64_t> undecided;  // in ascending order
    [[nodiscard]] std::uint64_t newest() const { return undecided.empty() ? settled : undecided.back(); }
  };
  // Whether all that was counted of the client is known to it, or undecided there, and no more: otherwise it has lost
  // its state, or has one of another checkpoint than this.
  [[nodiscard]] bool agrees(const Claim& claim) const;
  // What has become of `sequences`, some of those that are undecided; those that are not counted are given up.
  std::vector<SequenceFate> settle(const Claim& claim, std::span<const std::uint64_t> sequences);
  // Gives them up without an answer: this node has seen nothing of them.
  void give_up(const Claim& claim, std::span<const std::uint64_t> sequences);

  // Of the states of clients; kept with the rest. 0: none yet.
  [[nodiscard]] std::uint64_t epoch() const noexcept { return epoch_; }
  void set_epoch(std::uint64_t epoch) noexcept { epoch_ = epoch; }

  [[nodiscard]] Snapshot save() const;
  // kBadData: not what save() gave.
  Status restore(const Snapshot& snapshot);
  // All of it, as it stands: nodes/persist.hpp.
  template <typename Archive>
  void persist(Archive& archive);

 private:
  enum class State : std::uint8_t { kCounted, kDurable, kDropped };
  struct Client {
    std::uint64_t floor = 1;       // everything below is settled
    std::uint64_t last_below = 0;  // the last below it that was counted; 0: none
    std::map<std::uint64_t, State> sequences;
    template <typename Archive>
    void serialize(Archive& archive) {
      archive(floor, last_below, sequences);
    }
  };
  Client& prune(const Claim& claim);

  std::uint64_t epoch_ = 0;
  std::map<std::uint32_t, Client> clients_;
  std::map<std::uint64_t, std::vector<Member>> fresh_;  // counted and not durable, by version
};

}  // namespace tributary
