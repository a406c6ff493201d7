// SPDX-License-Identifier: Apache-2.0
// What travels up the tree: a weighted sum. Sums of sums are sums, so clients and aggregators send the same type, and
// only the node that commits a model divides.
//
// Segments: named vectors. "delta" (model minus base) is there, and whatever a method adds. The answer to an evaluation
//           has none, and weighs as many samples as the model was measured on.
// Scalars:  weighted sums of metrics, exact as the vectors are.
// Threads:  a value; payloads are shared and immutable.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "tributary/base/digest.hpp"
#include "tributary/base/ids.hpp"
#include "tributary/base/weight.hpp"
#include "tributary/nodes/payload.hpp"

namespace tributary {

// The identity of an update: counted once or not at all.
struct UpdateId {
  NodeId node;                    // who made it
  std::uint32_t incarnation = 0;  // of the node that asked for it
  std::uint64_t number = 0;       // of the task that it answers
  Attempt attempt;
  friend auto operator<=>(const UpdateId&, const UpdateId&) = default;
};

// Several versions of one node, or ages in versions, as far as anybody has to know them.
struct VersionSpread {
  std::uint64_t updates = 0;
  std::uint64_t least = 0;
  std::uint64_t sum = 0;
  std::uint64_t most = 0;

  static VersionSpread of(std::uint64_t version, std::uint64_t updates = 1) noexcept {
    return {.updates = updates, .least = version, .sum = version * updates, .most = version};
  }
  void add(const VersionSpread& other) noexcept {
    if (other.updates == 0) { return; }
    least = updates == 0 ? other.least : std::min(least, other.least);
    most = std::max(most, other.most);
    sum += other.sum;
    updates += other.updates;
  }
  [[nodiscard]] double mean() const noexcept {
    return updates == 0 ? 0.0 : static_cast<double>(sum) / static_cast<double>(updates);
  }
  // Of a peer: the mean lies between the least and the most, and none is above `newest`.
  [[nodiscard]] bool possible(std::uint64_t newest) const noexcept {
    constexpr std::uint64_t kMost = std::uint64_t{1} << 32U;
    return updates > 0 && updates <= kMost && least <= most && most <= newest && mean() >= static_cast<double>(least) &&
           mean() <= static_cast<double>(most);
  }
  friend bool operator==(const VersionSpread&, const VersionSpread&) = default;
};

// How many updates were how stale: none, 1, 2, 3 to 4, 5 to 8, and so on by powers of two; the last place holds all
// beyond. Of a sum of several the mean is known, and all of them count as that.
class StalenessCounts {
 public:
  static constexpr std::size_t kPlaces = 20;

  void add(double staleness, std::uint64_t updates) noexcept {
    std::size_t place = 0;
    double most = 0.5;  // of this place: between whole numbers
    while (staleness > most && place + 1 < kPlaces) {
      ++place;
      most = place <= 2 ? most + 1.0 : 2.0 * most - 0.5;
    }
    counts_[place] += updates;
  }
  void add(const StalenessCounts& other) noexcept {
    for (std::size_t i = 0; i < kPlaces; ++i) { counts_[i] += other.counts_[i]; }
  }
  [[nodiscard]] const std::array<std::uint64_t, kPlaces>& counts() const noexcept { return counts_; }
  template <typename Archive>
  void serialize(Archive& archive) {
    archive(counts_);
  }

 private:
  std::array<std::uint64_t, kPlaces> counts_{};
};

struct Segment {
  std::string name;
  Payload payload;  // is_vector(): yet to be weighted; otherwise already a weighted sum
  Weight weight;    // of what is in the sum, where that is not the update's: of increments; zero: the update's
};

// A weighted sum of one metric: mean() is what people read.
//
// Exact as the vectors are: a value is rounded to steps of 2^-28, whatever its weight, and the rest is whole numbers.
class ScalarSum {
 public:
  // Values of a larger magnitude do not fit.
  static constexpr double kLargest = 0x1p36;

  // A value that is not finite or too large is not added but counted by left_out().
  void add(double value, Weight weight) noexcept;
  void add(const ScalarSum& other) noexcept;
  [[nodiscard]] double mean() const noexcept;  // NaN if nothing was added
  [[nodiscard]] Weight weight() const noexcept { return weight_; }
  [[nodiscard]] std::uint32_t left_out() const noexcept { return left_out_; }
  // The exact sum as it travels: the two halves of a two's complement number, the lower one first.
  [[nodiscard]] std::array<std::uint64_t, 2> words() const noexcept;
  static ScalarSum from_words(std::array<std::uint64_t, 2> words, Weight weight, std::uint32_t left_out) noexcept;
  friend bool operator==(const ScalarSum&, const ScalarSum&) = default;

 private:
  // Of rint(value * 2^28) * weight in its units: 64 bits of a value times 62 of a weight fit.
  __extension__ using Wide = __int128;
  Wide sum_ = 0;
  Weight weight_;
  std::uint32_t left_out_ = 0;
};

// One increment of one client's state, which a sum holds. Told with the sums of methods whose clients have a state.
struct Member {
  NodeId client;
  std::uint64_t sequence = 0;  // of the client's increments, from 1
  friend auto operator<=>(const Member&, const Member&) = default;
};

// Metrics that one client may report, and that one update may carry for all clients below its sender.
inline constexpr std::size_t kMostClientScalars = 256;
inline constexpr std::size_t kMostScalars = 480;  // with names of 100 bytes they fit into a control message of 64 KiB

// Increments that one sum may name: they fit into a control message too.
inline constexpr std::size_t kMostMembers = 4800;

struct Update {
  UpdateId id;
  VersionSpread bases;  // of the asking node: what this was trained from, one for each update that is in it
  Digest fingerprint;   // of the ParameterSpec
  Weight weight;
  std::uint32_t contributors = 0;  // clients contained
  std::vector<Segment> segments;
  std::map<std::string, ScalarSum> scalars;
  std::vector<Member> members;  // in ascending order
  std::uint64_t epoch = 0;      // of the states that they belong to; 0: the method keeps none

  // Null if there is no such segment.
  [[nodiscard]] const Segment* find(std::string_view name) const noexcept;
  // Bytes on the data plane.
  [[nodiscard]] std::size_t payload_bytes() const noexcept;
};

inline constexpr std::string_view kDeltaSegment = "delta";

}  // namespace tributary
