// SPDX-License-Identifier: Apache-2.0
#include "endpoint.hpp"

#include <fmt/format.h>
#include <sched.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "kept_for_mpi.hpp"

namespace tributary::internal {
namespace {

constexpr std::size_t kSpareBuffers = 64;

std::byte* put(std::byte* to, const void* data, std::size_t size) {
  if (size > 0) { std::memcpy(to, data, size); }
  return to + size;
}

}  // namespace

Endpoint::Endpoint(MPI_Comm control, MPI_Comm data, EndpointSettings settings, LetterReceiver& receiver)
    : control_(control),
      data_(data),
      settings_(settings),
      receiver_(receiver),
      rings_({control, MPI_ANY_TAG, kLargestControl + 512}, {data, kLetterTag, kFrameBytes}),
      float_pool_(settings.staging_bytes),
      sum_pool_(settings.staging_bytes) {
  int size = 0;
  MPI_Comm_size(control_, &size);
  peers_ = std::vector<Peer>(at(size));
  for (Peer& peer : peers_) {
    peer.credit = settings_.letters_per_peer;
    peer.heard = now_;
    peer.sent = now_;
  }
}

Endpoint::~Endpoint() {
  for (std::size_t i = 0; i < requests_.size(); ++i) {
    if (activities_[i].role == Role::kChunkReceive) { MPI_Cancel(&requests_[i]); }
    MPI_Request_free(&requests_[i]);
  }
  // MPI may go on reading and writing what moves to or from a rank that has stopped: such memory is never given back.
  if (!small_sends_.empty()) { keep_for_mpi(std::move(small_sends_)); }
  if (!outgoing_.empty()) { keep_for_mpi(std::move(outgoing_)); }
  if (!incoming_.empty()) { keep_for_mpi(std::move(incoming_)); }
}

void Endpoint::track(MPI_Request request, const Activity& activity) {
  requests_.push_back(request);
  activities_.push_back(activity);
}

std::byte* Endpoint::Buffer::resize(std::size_t new_size) {
  if (new_size > capacity) {
    capacity = std::max(new_size, kFrameBytes);
    bytes = std::make_unique_for_overwrite<std::byte[]>(capacity);
  }
  size = new_size;
  return bytes.get();
}

Endpoint::Buffer Endpoint::spare_buffer() {
  if (spare_buffers_.empty()) { return {}; }
  Buffer buffer = std::move(spare_buffers_.back());
  spare_buffers_.pop_back();
  return buffer;
}

void Endpoint::give_back(Buffer buffer) {
  if (spare_buffers_.size() < kSpareBuffers) { spare_buffers_.push_back(std::move(buffer)); }
}

void Endpoint::complain(int peer, int error) {
  std::array<char, MPI_MAX_ERROR_STRING> text{};
  int length = 0;
  MPI_Error_string(error, text.data(), &length);
  receiver_.on_trouble(peer, std::string(text.data(), at(length)));
}

// What MPI is not through with at once is taken out of `buffer`.
void Endpoint::send_small(int to, MPI_Comm communicator, int tag, Buffer& buffer) {
  MPI_Request request = MPI_REQUEST_NULL;
  const int error =
      MPI_Isend(buffer.bytes.get(), static_cast<int>(buffer.size), MPI_BYTE, to, tag, communicator, &request);
  if (error != MPI_SUCCESS) {
    complain(to, error);
    return;
  }
  peers_[at(to)].sent = now_;
  ++peers_[at(to)].messages;
  ++statistics_.letters_sent;
  statistics_.bytes_sent += buffer.size;
  int done = 0;
  if (const int failed = MPI_Test(&request, &done, MPI_STATUS_IGNORE); failed != MPI_SUCCESS) {
    complain(to, failed);  // and the request is gone
    return;
  }
  if (done != 0) { return; }
  const std::uint64_t number = next_number_++;
  small_sends_.emplace(number, SmallSend{to, std::exchange(buffer, spare_buffer())});
  count_leaving(to, true);
  track(request, {Role::kSmallSend, number});
}

void Endpoint::send(int to, std::span<const std::byte> control, std::span<const Payload> payloads,
                    std::uint64_t token) {
  if (closing_) { return; }
  if (control.size() > kLargestControl || payloads.size() > settings_.largest_letter_parts) {
    receiver_.on_trouble(to, fmt::format("a letter to it is too large to send: {} control bytes, {} payloads",
                                         control.size(), payloads.size()));
    return;
  }
  std::size_t payload_bytes = 0;
  for (const Payload& payload : payloads) { payload_bytes += payload.size(); }
  const std::size_t head = sizeof(Header) + payloads.size() * sizeof(Part) + control.size();
  Header header{static_cast<std::uint32_t>(control.size()), 0, static_cast<std::uint32_t>(payloads.size()), 0};
  Peer& peer = peers_[at(to)];
  const bool framed = !payloads.empty() && head + payload_bytes <= kFrameBytes;
  const bool at_once = payloads.empty() || (framed && peer.credit > 0 && peer.queue.empty());
  if (!payloads.empty() && !framed) {
    next_tag_ = (next_tag_ + 1) % kChunkTags;
    header.tag = kFirstChunkTag + next_tag_;
  }
  std::byte* end = letter_.resize(framed ? head + payload_bytes : head);
  end = put(end, &header, sizeof header);
  for (const Payload& payload : payloads) {
    const Part part{payload.elements(), payload.size(), static_cast<std::uint64_t>(payload.encoding())};
    end = put(end, &part, sizeof part);
  }
  end = put(end, control.data(), control.size());
  if (framed) {
    for (const Payload& payload : payloads) { end = put(end, payload.bytes().data(), payload.size()); }
  }
  if (at_once) {
    if (framed) { --peer.credit; }
    send_small(to, framed ? data_ : control_, kLetterTag, letter_);
    if (token != 0) { receiver_.on_sent(token); }
    return;
  }
  Outgoing queued{to, static_cast<int>(header.tag), token, std::exchange(letter_, spare_buffer()), {}, {}};
  if (!framed) { queued.payloads.assign(payloads.begin(), payloads.end()); }
  peer.queue.push_back(std::move(queued));
  count_leaving(to, true);
  start_queued(to);
}

void Endpoint::start_queued(int to) {
  if (closing_) { return; }
  Peer& peer = peers_[at(to)];
  while (!peer.queue.empty() && peer.credit > 0 && peer.transfers < settings_.transfers_per_peer) {
    Outgoing letter = std::move(peer.queue.front());
    peer.queue.pop_front();
    --peer.credit;
    if (letter.tag != 0) {
      ++peer.transfers;
      start(std::move(letter));
      continue;
    }
    send_small(to, data_, kLetterTag, letter.letter);
    give_back(std::move(letter.letter));
    count_leaving(to, false);
    if (letter.token != 0) { receiver_.on_sent(letter.token); }
  }
}

void Endpoint::start(Outgoing letter) {
  send_small(letter.to, control_, kLetterTag, letter.letter);
  give_back(std::move(letter.letter));
  for (const Payload& payload : letter.payloads) {
    peers_[at(letter.to)].messages += (payload.size() + settings_.chunk_bytes - 1) / settings_.chunk_bytes;
  }
  const std::uint64_t number = next_number_++;
  Outgoing& moving = outgoing_.emplace(number, std::move(letter)).first->second;
  send_chunks(number, moving);
  if (moving.cursor.in_flight == 0) { sent(number); }  // payloads without bytes
}

// All of an announced letter has left.
void Endpoint::sent(std::uint64_t number) {
  const auto found = outgoing_.find(number);
  const int to = found->second.to;
  const std::uint64_t token = found->second.token;
  outgoing_.erase(found);
  --peers_[at(to)].transfers;
  count_leaving(to, false);
  if (token != 0) { receiver_.on_sent(token); }
}

void Endpoint::send_chunks(std::uint64_t number, Outgoing& letter) {
  Cursor& cursor = letter.cursor;
  while (cursor.part < letter.payloads.size() && cursor.in_flight < settings_.chunks_in_flight) {
    const std::span<const std::byte> bytes = letter.payloads[cursor.part].bytes();
    const std::size_t size = std::min(settings_.chunk_bytes, bytes.size() - cursor.offset);
    if (size > 0) {
      MPI_Request request = MPI_REQUEST_NULL;
      const int error = MPI_Isend(bytes.data() + cursor.offset, static_cast<int>(size), MPI_BYTE, letter.to, letter.tag,
                                  data_, &request);
      if (error != MPI_SUCCESS) {
        complain(letter.to, error);
        cursor.part = letter.payloads.size();  // the rest would be of no use
        return;
      }
      track(request, {Role::kChunkSend, number, size});
      ++cursor.in_flight;
      cursor.offset += size;
      statistics_.bytes_sent += size;
    }
    if (cursor.offset == bytes.size()) {
      ++cursor.part;
      cursor.offset = 0;
    }
  }
}

void Endpoint::give_credit(int to) {
  if (closing_) { return; }
  Peer& peer = peers_[at(to)];
  if (++peer.owed < (settings_.letters_per_peer + 1) / 2) { return; }
  put(letter_.resize(sizeof peer.owed), &peer.owed, sizeof peer.owed);
  peer.owed = 0;
  send_small(to, control_, kCreditTag, letter_);
}

void Endpoint::count_leaving(int number, bool more) {
  Peer& peer = peers_[at(number)];
  peer.leaving = more ? peer.leaving + 1 : peer.leaving - 1;
  if (!peer.silent) { leaving_ = more ? leaving_ + 1 : leaving_ - 1; }
}

void Endpoint::count_arriving(int number, bool more) {
  Peer& peer = peers_[at(number)];
  peer.arriving = more ? peer.arriving + 1 : peer.arriving - 1;
  if (!peer.silent) { arriving_ = more ? arriving_ + 1 : arriving_ - 1; }
}

void Endpoint::set_silent(int number, bool silent) {
  Peer& peer = peers_[at(number)];
  if (peer.silent == silent) { return; }
  peer.silent = silent;
  leaving_ = silent ? leaving_ - peer.leaving : leaving_ + peer.leaving;
  arriving_ = silent ? arriving_ - peer.arriving : arriving_ + peer.arriving;
  for (auto& [id, letter] : incoming_) {
    if (silent && letter.from == number && letter.counted) {
      staging_used_ -= letter.bytes;
      letter.counted = false;
    }
  }
  admit_waiting();
}

void Endpoint::handle(const Happened& event) {
  switch (const Activity& activity = event.activity; activity.role) {
    case Role::kSmallSend: {
      const auto found = small_sends_.find(activity.number);
      count_leaving(found->second.to, false);
      give_back(std::move(found->second.buffer));
      small_sends_.erase(found);
      return;
    }
    case Role::kChunkSend: {
      const auto found = outgoing_.find(activity.number);
      Outgoing& letter = found->second;
      --letter.cursor.in_flight;
      peers_[at(letter.to)].sent = now_;
      send_chunks(activity.number, letter);
      if (letter.cursor.in_flight > 0) { return; }
      const int to = letter.to;
      sent(activity.number);
      start_queued(to);
      return;
    }
    case Role::kChunkReceive:
      chunk_received(event);
      return;
  }
}

// Finds out what has moved, for handle(). False: nothing.
bool Endpoint::look_at_moving() {
  if (requests_.empty()) { return false; }
  completed_.resize(requests_.size());
  statuses_.resize(requests_.size());
  int count = 0;
  const int error =
      MPI_Testsome(static_cast<int>(requests_.size()), requests_.data(), &count, completed_.data(), statuses_.data());
  if (count == MPI_UNDEFINED || count == 0) { return false; }
  happened_.clear();
  for (int i = 0; i < count; ++i) {
    const MPI_Status& status = statuses_[at(i)];
    const bool failed = error == MPI_ERR_IN_STATUS && status.MPI_ERROR != MPI_SUCCESS;
    if (failed) { complain(status.MPI_SOURCE, status.MPI_ERROR); }
    happened_.push_back({activities_[at(completed_[at(i)])], status, failed});
  }
  std::size_t kept = 0;
  for (std::size_t i = 0; i < requests_.size(); ++i) {
    if (requests_[i] == MPI_REQUEST_NULL) { continue; }
    requests_[kept] = requests_[i];
    activities_[kept++] = activities_[i];
  }
  requests_.resize(kept);
  activities_.resize(kept);
  return true;
}

bool Endpoint::progress() {
  const std::span<const ReceiveRing::Arrival> arrived = rings_.look(!requests_.empty());
  const bool moved = look_at_moving();
  if (arrived.empty() && !moved) {
    rings_.post_again();
    return false;
  }
  for (const ReceiveRing::Arrival& arrival : arrived) { take_in(arrival); }
  if (moved) {
    for (const Happened& event : happened_) { handle(event); }
  }
  return true;
}

bool Endpoint::close(std::chrono::nanoseconds patience) {
  closing_ = true;
  for (Peer& peer : peers_) {
    for (; !peer.queue.empty(); peer.queue.pop_front()) { count_leaving(peer.queue.front().to, false); }
  }
  // Every rank learns how many messages were sent to it.
  struct Counts {
    std::vector<std::uint64_t> sent;
    std::uint64_t expected = 0;
  };
  auto counts = std::make_unique<Counts>();
  for (const Peer& peer : peers_) { counts->sent.push_back(peer.messages); }
  MPI_Request request = MPI_REQUEST_NULL;
  MPI_Ireduce_scatter_block(counts->sent.data(), &counts->expected, 1, MPI_UINT64_T, MPI_SUM, control_, &request);
  const auto deadline = Clock::now() + patience;
  for (int known = 0; known == 0 || messages_received_ < counts->expected || leaving_ > 0;) {
    const bool moved = progress();
    const bool failed = known == 0 && MPI_Test(&request, &known, MPI_STATUS_IGNORE) != MPI_SUCCESS;
    if (moved && !failed) { continue; }
    if (failed || Clock::now() > deadline) {
      if (known == 0) { keep_for_mpi(std::move(counts)); }
      return false;
    }
    ::sched_yield();
  }
  return true;
}

}  // namespace tributary::internal
