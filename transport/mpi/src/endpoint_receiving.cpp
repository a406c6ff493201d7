// SPDX-License-Identifier: Apache-2.0
// The receiving side of an endpoint. Whatever a peer says is checked here before it is used.
#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "endpoint.hpp"

namespace tributary::internal {
namespace {

bool is_bytes(std::uint64_t encoding) {
  return encoding == static_cast<std::uint64_t>(Encoding::kFixed) ||
         encoding == static_cast<std::uint64_t>(Encoding::kCoded);
}

}  // namespace

// Tells the receiver about a frame's payloads, which lie behind each other in `bytes`. False: they do not fit.
bool Endpoint::receive_inline(int from, std::span<const std::byte> control, std::span<const std::byte> parts,
                              std::span<const std::byte> bytes) {
  arrived_.clear();
  for (; !parts.empty(); parts = parts.subspan(sizeof(Part))) {
    Part part{};
    std::memcpy(&part, parts.data(), sizeof part);
    if (part.bytes > bytes.size()) { return false; }
    if (part.encoding == static_cast<std::uint64_t>(Encoding::kFloat32)) {
      if (part.elements != part.bytes / sizeof(float) || part.bytes % sizeof(float) != 0) { return false; }
      auto values = std::make_shared<std::vector<float>>(part.elements);
      if (part.bytes > 0) { std::memcpy(values->data(), bytes.data(), part.bytes); }
      arrived_.push_back(Payload::floats(std::move(values)));
    } else {
      if (!is_bytes(part.encoding)) { return false; }
      const auto* const first = bytes.data();
      Result<Payload> payload = Payload::from_bytes(static_cast<Encoding>(part.encoding), part.elements,
                                                    std::vector<std::byte>(first, first + part.bytes));
      if (!payload.ok()) { return false; }
      arrived_.push_back(std::move(payload).value());
    }
    bytes = bytes.subspan(part.bytes);
  }
  if (!bytes.empty()) { return false; }
  give_credit(from);
  receiver_.on_letter(from, control, arrived_);
  arrived_.clear();
  return true;
}

void Endpoint::receive_letter(int from, std::span<const std::byte> bytes, bool frame) {
  ++statistics_.letters_received;
  statistics_.bytes_received += bytes.size();
  Header header{};
  if (bytes.size() < sizeof header) {
    receiver_.on_trouble(from, "a letter without a whole header");
    return;
  }
  std::memcpy(&header, bytes.data(), sizeof header);
  bytes = bytes.subspan(sizeof header);
  const std::size_t parts_bytes = std::size_t{header.parts} * sizeof(Part);
  const std::size_t head = parts_bytes + header.control_bytes;
  const bool announces = header.parts > 0 && !frame;
  if (header.parts > settings_.largest_letter_parts || (frame ? head > bytes.size() : head != bytes.size()) ||
      (frame && header.parts == 0) || (announces ? !is_chunk_tag(header.tag) : header.tag != 0)) {
    receiver_.on_trouble(from, fmt::format("a letter whose header cannot be right ({} parts, {} control bytes, tag {})",
                                           header.parts, header.control_bytes, header.tag));
    return;
  }
  const std::span<const std::byte> parts = bytes.first(parts_bytes);
  const std::span<const std::byte> control = bytes.subspan(parts_bytes, header.control_bytes);
  const std::span<const std::byte> rest = bytes.subspan(parts_bytes + header.control_bytes);
  if (frame) {
    if (!receive_inline(from, control, parts, rest)) {
      receiver_.on_trouble(from, "a frame whose payloads cannot be right");
    }
    return;
  }
  if (header.parts == 0) {
    receiver_.on_letter(from, control, {});
    return;
  }
  if (peers_[at(from)].arriving >= settings_.letters_per_peer) {
    receiver_.on_trouble(from,
                         fmt::format("more letters under way than the {} it may have", settings_.letters_per_peer));
    return;
  }
  Incoming letter;
  letter.from = from;
  letter.tag = static_cast<int>(header.tag);
  letter.control.assign(control.begin(), control.end());
  for (std::size_t i = 0; i < header.parts; ++i) {
    ArrivingPart part;
    std::memcpy(&part.announced, parts.data() + i * sizeof(Part), sizeof(Part));
    const bool floats = part.announced.encoding == static_cast<std::uint64_t>(Encoding::kFloat32);
    const bool known = floats || is_bytes(part.announced.encoding);
    // Of a codec's bytes nothing says how many values they are: as many as a payload may hold.
    const bool coded = part.announced.encoding == static_cast<std::uint64_t>(Encoding::kCoded);
    const std::size_t most = (coded ? settings_.largest_payload : part.announced.bytes) / sizeof(float) + 1;
    // Together they may be as large as 64 bits can count, and not larger.
    if (!known || part.announced.bytes > std::min(settings_.largest_payload, SIZE_MAX - letter.bytes) ||
        part.announced.elements > most || (floats && part.announced.bytes != part.announced.elements * 4)) {
      receiver_.on_trouble(from,
                           fmt::format("a payload of {} bytes for {} values was announced, at most {} are expected",
                                       part.announced.bytes, part.announced.elements, settings_.largest_payload));
      return;
    }
    letter.bytes += part.announced.bytes;
    letter.parts.push_back(std::move(part));
  }
  count_arriving(from, true);
  waiting_.push_back(std::move(letter));
  admit_waiting();
}

void Endpoint::admit_waiting() {
  while (!waiting_.empty()) {
    const auto next = std::find_if(waiting_.begin(), waiting_.end(),
                                   [this](const Incoming& letter) { return !peers_[at(letter.from)].silent; });
    if (next == waiting_.end()) { return; }
    if (staging_used_ > 0 && staging_used_ + next->bytes > settings_.staging_bytes) { return; }
    Incoming letter = std::move(*next);
    waiting_.erase(next);
    begin(std::move(letter));
  }
}

void Endpoint::begin(Incoming letter) {
  staging_used_ += letter.bytes;
  for (ArrivingPart& part : letter.parts) {
    if (part.announced.encoding == static_cast<std::uint64_t>(Encoding::kFloat32)) {
      part.floats = float_pool_.take(part.announced.elements);
      part.where = std::as_writable_bytes(std::span(*part.floats)).data();
    } else {
      part.sums = sum_pool_.take(part.announced.bytes);
      part.where = part.sums->data();
    }
  }
  const std::uint64_t number = next_number_++;
  Incoming& moving = incoming_.emplace(number, std::move(letter)).first->second;
  receive_chunks(number, moving);
  if (moving.cursor.in_flight == 0) {  // payloads without bytes
    Incoming whole = std::move(moving);
    incoming_.erase(number);
    finish(std::move(whole));
  }
}

void Endpoint::receive_chunks(std::uint64_t number, Incoming& letter) {
  Cursor& cursor = letter.cursor;
  while (cursor.part < letter.parts.size() && cursor.in_flight < settings_.chunks_in_flight) {
    const ArrivingPart& part = letter.parts[cursor.part];
    const std::size_t size = std::min(settings_.chunk_bytes, part.announced.bytes - cursor.offset);
    if (size > 0) {
      MPI_Request request = MPI_REQUEST_NULL;
      const int error = MPI_Irecv(part.where + cursor.offset, static_cast<int>(size), MPI_BYTE, letter.from, letter.tag,
                                  data_, &request);
      if (error != MPI_SUCCESS) {
        complain(letter.from, error);
        letter.damaged = true;
        cursor.part = letter.parts.size();
        return;
      }
      track(request, {Role::kChunkReceive, number, size});
      ++cursor.in_flight;
      cursor.offset += size;
    }
    if (cursor.offset == part.announced.bytes) {
      ++cursor.part;
      cursor.offset = 0;
    }
  }
}

// A chunk of another size than announced would leave a part of the payload as the memory was before: the rest of the
// letter is still taken in, and thrown away.
void Endpoint::chunk_received(const Happened& event) {
  const auto found = incoming_.find(event.activity.number);
  Incoming& letter = found->second;
  const int from = letter.from;
  ++messages_received_;
  int count = 0;
  MPI_Get_count(&event.status, MPI_BYTE, &count);
  const std::size_t size = count < 0 ? 0 : at(count);  // MPI_UNDEFINED is negative
  statistics_.bytes_received += size;
  --letter.cursor.in_flight;
  peers_[at(from)].heard = now_;
  const bool wrong_size = !event.failed && size != event.activity.bytes;
  letter.damaged = letter.damaged || event.failed || wrong_size;
  receive_chunks(event.activity.number, letter);
  if (letter.cursor.in_flight == 0) {
    Incoming whole = std::move(letter);
    incoming_.erase(found);
    finish(std::move(whole));
  }
  if (wrong_size) {
    receiver_.on_trouble(from, fmt::format("a chunk of {} bytes instead of {}", size, event.activity.bytes));
  }
}

void Endpoint::finish(Incoming letter) {
  staging_used_ -= letter.counted ? letter.bytes : 0;
  count_arriving(letter.from, false);
  give_credit(letter.from);
  std::vector<Payload> payloads;
  payloads.reserve(letter.parts.size());
  for (ArrivingPart& part : letter.parts) {
    if (part.floats) {
      payloads.push_back(Payload::floats(std::move(part.floats)));
      continue;
    }
    const bool coded = part.announced.encoding == static_cast<std::uint64_t>(Encoding::kCoded);
    Result<Payload> payload = Payload();
    if (coded) {
      payload = Payload::coded(part.announced.elements, std::move(part.sums), nullptr);
    } else if (!letter.damaged) {
      payload = Payload::fixed(part.announced.elements, std::move(part.sums));
    }
    if (!payload.ok()) {
      letter.damaged = true;
      receiver_.on_trouble(letter.from, payload.status().message());
      continue;
    }
    payloads.push_back(std::move(payload).value());
  }
  if (!letter.damaged) { receiver_.on_letter(letter.from, letter.control, payloads); }
  admit_waiting();
}

void Endpoint::take_in(const ReceiveRing::Arrival& arrival) {
  const int from = arrival.status.MPI_SOURCE;
  ++messages_received_;
  if (arrival.error != MPI_SUCCESS) {
    complain(from, arrival.error);
  } else {
    const std::span<const std::byte> letter = rings_.bytes(arrival);
    const int tag = arrival.status.MPI_TAG;
    peers_[at(from)].heard = now_;
    if (tag == kLetterTag) {
      receive_letter(from, letter, arrival.plane == Plane::kData);
    } else if (tag == kCreditTag) {
      receive_credit(from, letter);
    } else {
      receiver_.on_trouble(from, fmt::format("a message of unknown tag {}", tag));
    }
  }
  rings_.give_back(arrival);
}

void Endpoint::receive_credit(int from, std::span<const std::byte> bytes) {
  Peer& peer = peers_[at(from)];
  std::uint32_t credits = 0;
  if (bytes.size() == sizeof credits) { std::memcpy(&credits, bytes.data(), sizeof credits); }
  const std::uint32_t most = settings_.letters_per_peer - peer.credit;
  if (credits == 0 || credits > most) {
    receiver_.on_trouble(from,
                         fmt::format("{} credits in {} bytes, at most {} can be right", credits, bytes.size(), most));
    return;
  }
  peer.credit += credits;
  start_queued(from);
}

}  // namespace tributary::internal
