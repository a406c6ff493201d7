// SPDX-License-Identifier: Apache-2.0
// The receives that wait for letters: a ring of persistent ones on each of an endpoint's two communicators.
//
// The oldest receive of a ring matches the next letter. The two oldest are kept apart from the others, since mostly it
// is enough to look at them: what a look costs in Open MPI grows with the number of requests. A receive that has been
// through is posted again when there is nothing else to do, so that no letter waits for that.
//
// Threads: one thread calls everything.
#pragma once

#include <mpi.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

namespace tributary::internal {

enum class Plane : std::uint8_t { kControl, kData };

struct PlaneSettings {
  MPI_Comm communicator;
  int tag;                    // MPI_ANY_TAG: whatever it is
  std::size_t largest_bytes;  // of a letter
};

class ReceiveRing {
 public:
  struct Arrival {
    Plane plane = Plane::kControl;
    std::size_t slot = 0;
    MPI_Status status{};
    int error = MPI_SUCCESS;  // otherwise there are no bytes
  };

  ReceiveRing(const PlaneSettings& control, const PlaneSettings& data);
  // Takes the posted receives back.
  ~ReceiveRing();
  ReceiveRing(const ReceiveRing&) = delete;
  ReceiveRing& operator=(const ReceiveRing&) = delete;

  // What has arrived, in the order in which it was matched; valid until the next look. `everywhere`: also at the
  // receives behind the oldest ones, where letters lie while an earlier one is still coming in from a slow rank. That
  // is done from time to time in any case.
  [[nodiscard]] std::span<const Arrival> look(bool everywhere);
  [[nodiscard]] std::span<const std::byte> bytes(const Arrival& arrival) const;
  // The bytes are not read any more.
  void give_back(const Arrival& arrival);
  // To be called when nothing has arrived.
  void post_again();

 private:
  static constexpr std::size_t kSlots = 16;
  struct Slot {
    std::unique_ptr<std::byte[]> buffer;
    MPI_Request receive = MPI_REQUEST_NULL;  // persistent; made when it is posted first
    std::uint64_t posted = 0;                // order of posting, which is the order of matching; 0: not posted
  };
  struct Ring {
    std::array<Slot, kSlots> slots;
    // The posted slots, the oldest at `first`, round and round.
    std::array<std::size_t, kSlots> order{};
    std::size_t first = 0;
    std::size_t posted = 0;
    std::size_t head = 0;  // the slot whose receive is in heads_

    void add(std::size_t slot);
    void remove(std::size_t slot);
  };
  struct Place {
    Plane plane;
    std::size_t slot;
  };

  [[nodiscard]] static std::size_t index(Plane plane) { return static_cast<std::size_t>(plane); }
  [[nodiscard]] static std::size_t index(Place place) { return index(place.plane) * kSlots + place.slot; }
  [[nodiscard]] Slot& at(Place place) { return rings_[index(place.plane)].slots[place.slot]; }
  void post(Place place);
  void pick_head(Plane plane);
  template <std::size_t kCount, typename PlaceOf>
  void look_at(std::array<MPI_Request, kCount>& receives, const PlaceOf& place_of);

  const std::array<PlaneSettings, 2> settings_;
  std::array<Ring, 2> rings_;
  std::array<MPI_Request, 2> heads_{MPI_REQUEST_NULL, MPI_REQUEST_NULL};
  std::array<MPI_Request, 2 * kSlots> others_;
  std::uint64_t posts_ = 0;
  std::uint32_t looks_ = 0;
  std::vector<Place> idle_;  // not posted
  std::vector<Arrival> arrived_;
};

}  // namespace tributary::internal
