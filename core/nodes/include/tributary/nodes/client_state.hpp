// SPDX-License-Identifier: Apache-2.0
// What a client remembers from one task to the next, for methods that need it: one vector, which is the sum of the
// increments that it has sent and that were counted.
//
// The other half of such a state is a sum at the node that owns it, the root. The two agree as long as both add the
// same increments. So a client adds an increment as it was sent, and keeps it apart until the owner has said that it is
// counted for good, or never will be (docs/decisions/0011-client-state.md).
//
// Threads: a state is a value; a store is used by one thread at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "tributary/base/ids.hpp"
#include "tributary/base/status.hpp"

namespace tributary {

// What has become of one increment.
enum class Fate : std::uint8_t {
  kHeld = 1,     // in sums on their way to the owner, or counted there and not yet in durable state
  kCounted = 2,  // for good
  kDropped = 3,  // never will be counted
};

struct SequenceFate {
  std::uint64_t sequence = 0;
  Fate fate = Fate::kHeld;
  friend bool operator==(const SequenceFate&, const SequenceFate&) = default;
};

class ClientState {
 public:
  using Increment = std::shared_ptr<const std::vector<float>>;
  struct Undecided {
    std::uint64_t sequence = 0;
    Increment increment;
  };

  ClientState() = default;
  // Nothing yet; its increments are numbered from `next` on.
  explicit ClientState(std::uint64_t next) : next_(next) {}
  // As it was kept. `settled` is empty or as long as each increment; sequences rise, from `last_settled` to `next`.
  ClientState(std::uint64_t epoch, std::uint64_t next, std::uint64_t last_settled, std::vector<double> settled,
              std::vector<Undecided> undecided);

  // Which beginning of a run it belongs to; later ones are greater.
  [[nodiscard]] std::uint64_t epoch() const noexcept { return epoch_; }
  // The number of the next increment. Numbers rise for as long as the client exists, whatever it forgets.
  [[nodiscard]] std::uint64_t next() const noexcept { return next_; }
  // The last that was counted for good; 0: none.
  [[nodiscard]] std::uint64_t last_settled() const noexcept { return last_settled_; }
  [[nodiscard]] const std::vector<double>& settled() const noexcept { return settled_; }
  [[nodiscard]] const std::vector<Undecided>& undecided() const noexcept { return undecided_; }
  // The state to train with: what is settled, and what may still be counted. Empty: nothing yet.
  [[nodiscard]] std::vector<double> current() const;

  // Forgets everything but next().
  void begin(std::uint64_t epoch);
  // Under the number next().
  void add(Increment increment);
  // Of those that are not undecided, nothing changes.
  void settle(std::span<const SequenceFate> fates);

 private:
  std::uint64_t epoch_ = 0;
  std::uint64_t next_ = 1;
  std::uint64_t last_settled_ = 0;
  std::vector<double> settled_;
  std::vector<Undecided> undecided_;
};

// Where the states of the clients of one process are kept.
class ClientStateStore {
 public:
  virtual ~ClientStateStore() = default;

  // A client without one has an empty state. The same state for all callers until the next save().
  virtual Result<std::shared_ptr<const ClientState>> load(ClientIndex client) = 0;
  // Durable when it returns, as far as the store is.
  virtual Status save(ClientIndex client, std::shared_ptr<const ClientState> state) = 0;
};

}  // namespace tributary
