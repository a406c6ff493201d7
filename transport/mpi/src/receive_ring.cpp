// SPDX-License-Identifier: Apache-2.0
#include "receive_ring.hpp"

#include <algorithm>
#include <chrono>
#include <utility>

#include "kept_for_mpi.hpp"

namespace tributary::internal {
namespace {

constexpr std::size_t kMostIdle = 8;  // receives that are not posted, of both rings
constexpr std::uint32_t kLooks = 64;  // at the heads alone, before everything is looked at
constexpr auto kTakeBackPatience = std::chrono::milliseconds(200);
constexpr std::array kPlanes{Plane::kControl, Plane::kData};

}  // namespace

ReceiveRing::ReceiveRing(const PlaneSettings& control, const PlaneSettings& data) : settings_{control, data} {
  others_.fill(MPI_REQUEST_NULL);
  for (const Plane plane : kPlanes) {
    for (std::size_t slot = 0; slot < kSlots; ++slot) { post({plane, slot}); }
    pick_head(plane);
  }
}

// A receive that a letter has begun to arrive in cannot be taken back: it is waited for, a while.
ReceiveRing::~ReceiveRing() {
  const auto deadline = std::chrono::steady_clock::now() + kTakeBackPatience;
  for (Ring& ring : rings_) {
    for (Slot& slot : ring.slots) {
      if (slot.posted != 0) { MPI_Cancel(&slot.receive); }
    }
  }
  for (Ring& ring : rings_) {
    for (Slot& slot : ring.slots) {
      int done = slot.posted == 0 ? 1 : 0;
      while (done == 0) {
        if (MPI_Test(&slot.receive, &done, MPI_STATUS_IGNORE) != MPI_SUCCESS) { done = 1; }
        if (done == 0 && std::chrono::steady_clock::now() > deadline) { break; }
      }
      if (done == 0) { keep_for_mpi(std::move(slot.buffer)); }
      if (slot.receive != MPI_REQUEST_NULL) { MPI_Request_free(&slot.receive); }
    }
  }
}

void ReceiveRing::post(Place place) {
  Slot& slot = at(place);
  if (slot.receive == MPI_REQUEST_NULL) {
    const PlaneSettings& plane = settings_[index(place.plane)];
    if (!slot.buffer) { slot.buffer = std::make_unique<std::byte[]>(plane.largest_bytes); }
    MPI_Recv_init(slot.buffer.get(), static_cast<int>(plane.largest_bytes), MPI_BYTE, MPI_ANY_SOURCE, plane.tag,
                  plane.communicator, &slot.receive);
  }
  slot.posted = ++posts_;
  rings_[index(place.plane)].add(place.slot);
  MPI_Start(&slot.receive);
  others_[index(place)] = slot.receive;
}

void ReceiveRing::post_again() {
  if (idle_.empty()) { return; }
  for (const Place& place : idle_) { post(place); }
  idle_.clear();
  for (const Plane plane : kPlanes) {
    if (heads_[index(plane)] == MPI_REQUEST_NULL) { pick_head(plane); }
  }
}

void ReceiveRing::Ring::add(std::size_t slot) {
  order[(first + posted++) % kSlots] = slot;
}

void ReceiveRing::Ring::remove(std::size_t slot) {
  std::size_t place = first;
  while (order[place] != slot) { place = (place + 1) % kSlots; }  // mostly the first
  for (; place != first; place = (place + kSlots - 1) % kSlots) { order[place] = order[(place + kSlots - 1) % kSlots]; }
  first = (first + 1) % kSlots;
  --posted;
}

void ReceiveRing::pick_head(Plane plane) {
  Ring& ring = rings_[index(plane)];
  heads_[index(plane)] = MPI_REQUEST_NULL;
  if (ring.posted == 0) { return; }
  ring.head = ring.order[ring.first];
  heads_[index(plane)] = std::exchange(others_[index({plane, ring.head})], MPI_REQUEST_NULL);
}

template <std::size_t kCount, typename PlaceOf>
void ReceiveRing::look_at(std::array<MPI_Request, kCount>& receives, const PlaceOf& place_of) {
  std::array<int, kCount> which;
  std::array<MPI_Status, kCount> statuses;
  int count = 0;
  const int error = MPI_Testsome(static_cast<int>(kCount), receives.data(), &count, which.data(), statuses.data());
  for (std::size_t i = 0; std::cmp_less(i, count); ++i) {  // MPI_UNDEFINED, which is negative, if none is posted
    const auto [plane, slot] = place_of(static_cast<std::size_t>(which[i]));
    // Open MPI frees a receive that went wrong, even a persistent one.
    if (receives[static_cast<std::size_t>(which[i])] == MPI_REQUEST_NULL) {
      at({plane, slot}).receive = MPI_REQUEST_NULL;
    }
    arrived_.push_back({plane, slot, statuses[i], error == MPI_ERR_IN_STATUS ? statuses[i].MPI_ERROR : MPI_SUCCESS});
  }
}

std::span<const ReceiveRing::Arrival> ReceiveRing::look(bool everywhere) {
  arrived_.clear();
  // The heads last: what arrives meanwhile arrives there first, and would be overtaken by what came after it.
  if (everywhere || ++looks_ >= kLooks) {
    looks_ = 0;
    look_at(others_, [](std::size_t place) { return Place{kPlanes[place / kSlots], place % kSlots}; });
  }
  look_at(heads_, [this](std::size_t plane) { return Place{kPlanes[plane], rings_[plane].head}; });
  if (arrived_.size() > 1) {
    std::sort(arrived_.begin(), arrived_.end(), [this](const Arrival& a, const Arrival& b) {
      return at({a.plane, a.slot}).posted < at({b.plane, b.slot}).posted;
    });
  }
  return arrived_;
}

std::span<const std::byte> ReceiveRing::bytes(const Arrival& arrival) const {
  if (arrival.error != MPI_SUCCESS) { return {}; }
  int size = 0;
  MPI_Get_count(&arrival.status, MPI_BYTE, &size);
  return {rings_[index(arrival.plane)].slots[arrival.slot].buffer.get(), static_cast<std::size_t>(size)};
}

void ReceiveRing::give_back(const Arrival& arrival) {
  Ring& ring = rings_[index(arrival.plane)];
  ring.remove(arrival.slot);
  ring.slots[arrival.slot].posted = 0;
  if (ring.head == arrival.slot) { pick_head(arrival.plane); }
  idle_.push_back({arrival.plane, arrival.slot});
  if (idle_.size() >= kMostIdle) { post_again(); }
}

}  // namespace tributary::internal
