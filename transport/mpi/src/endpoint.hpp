// SPDX-License-Identifier: Apache-2.0
// Letters between ranks: a few control bytes and any number of payloads of any size.
//
// Two communicators. Control: a letter's header and control bytes, always small. Data: the payloads, in one of two
// ways. What fits in a frame of kFrameBytes rides with its letter. Everything else is announced by its letter, and cut
// in chunks that are sent from where the payload lies and received where it will lie: no copy, several chunks in
// flight, and no count that could pass 2^31.
//
// Order:   letters may overtake each other; nodes' messages are made for that.
// Credits: a rank has at most `letters_per_peer` letters with payloads under way to another one, and a receiver takes
//          at most `staging_bytes` of arriving payloads at a time (one payload always): what it has not made room for
//          stays with its sender.
// Threads: one thread calls everything.
// MPI:     non-blocking point-to-point only, until close(). The communicators are used by nobody else, and freed by
//          their owner, after close(): Open MPI hands a message that arrives later to whichever communicator gets the
//          same number next, and there it takes the place of another one, for ever.
#pragma once

#include <mpi.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "receive_ring.hpp"
#include "tributary/nodes/payload.hpp"
#include "wire/buffer_pool.hpp"

namespace tributary::internal {

struct EndpointSettings {
  std::size_t chunk_bytes = std::size_t{4} << 20U;
  std::uint32_t chunks_in_flight = 4;    // of one letter
  std::uint32_t transfers_per_peer = 4;  // announced letters that move at the same time
  std::uint32_t letters_per_peer = 64;
  std::size_t staging_bytes = std::size_t{64} << 20U;
  std::size_t largest_payload = SIZE_MAX;  // in bytes; more is a broken peer
  std::uint32_t largest_letter_parts = 16;
};

// Whom an endpoint tells.
class LetterReceiver {
 public:
  virtual ~LetterReceiver() = default;
  // `control` is valid during the call; the payloads may be moved from.
  virtual void on_letter(int from, std::span<const std::byte> control, std::span<Payload> payloads) = 0;
  // The letter that was sent with this token has left: its payloads are not read any more.
  virtual void on_sent(std::uint64_t token) = 0;
  // A letter that cannot be right, or an error of MPI.
  virtual void on_trouble(int peer, std::string what) = 0;
};

struct EndpointStatistics {
  std::uint64_t letters_sent = 0;
  std::uint64_t bytes_sent = 0;  // control and payload
  std::uint64_t letters_received = 0;
  std::uint64_t bytes_received = 0;
};

class Endpoint {
 public:
  using Clock = std::chrono::steady_clock;
  static constexpr std::size_t kFrameBytes = 4096;                 // header, control and payloads together
  static constexpr std::size_t kLargestControl = 64 * 1024 - 512;  // control bytes of a letter

  // `control` and `data` have the same ranks and return errors instead of ending the program.
  Endpoint(MPI_Comm control, MPI_Comm data, EndpointSettings settings, LetterReceiver& receiver);
  // Takes back the receives that wait for letters. What is still being sent is left to MPI; see close().
  ~Endpoint();
  Endpoint(const Endpoint&) = delete;
  Endpoint& operator=(const Endpoint&) = delete;

  // Requires control.size() <= kLargestControl. A token other than 0 is told to on_sent().
  void send(int to, std::span<const std::byte> control, std::span<const Payload> payloads = {},
            std::uint64_t token = 0);

  // Moves what can be moved. True if something has.
  bool progress();
  // Collective, and the end: what has been started is finished and taken in everywhere, what waits for credit is
  // dropped, and nothing is sent any more. False: some rank did not come in time, or not all has arrived; then the
  // communicators must be kept.
  [[nodiscard]] bool close(std::chrono::nanoseconds patience);
  // What last_heard() and last_sent() are measured by; a clock is read where it costs least.
  void set_time(Clock::time_point now) noexcept { now_ = now; }

  // Something is yet to leave this process, or to arrive; what silent peers hold up is left out.
  [[nodiscard]] bool busy() const noexcept { return leaving_ + arriving_ > 0; }
  [[nodiscard]] bool sending() const noexcept { return leaving_ > 0; }
  [[nodiscard]] bool sending_to(int peer) const { return peers_[at(peer)].leaving > 0; }

  [[nodiscard]] Clock::time_point last_heard(int peer) const { return peers_[at(peer)].heard; }
  [[nodiscard]] Clock::time_point last_sent(int peer) const { return peers_[at(peer)].sent; }
  // What a silent peer holds up is not waited for; letters to it are still sent.
  void set_silent(int peer, bool silent);

  [[nodiscard]] const EndpointStatistics& statistics() const noexcept { return statistics_; }

 private:
  static constexpr int kLetterTag = 0;
  static constexpr int kCreditTag = 1;
  static constexpr std::uint32_t kFirstChunkTag = 16;
  static constexpr std::uint32_t kChunkTags = 1U << 20U;
  // Other tags are not those of chunks: MPI_ANY_TAG would take letters, and a number above MPI's bound is an error.
  [[nodiscard]] static bool is_chunk_tag(std::uint32_t tag) {
    return tag >= kFirstChunkTag && tag - kFirstChunkTag < kChunkTags;
  }

  // As sent, before the parts and the control bytes. Never reorder: on the wire.
  struct Header {
    std::uint32_t control_bytes;
    std::uint32_t tag;  // of the chunks on the data plane; 0: the payloads follow in this frame
    std::uint32_t parts;
    std::uint32_t reserved;
  };
  struct Part {
    std::uint64_t elements;
    std::uint64_t bytes;
    std::uint64_t encoding;
  };
  // What a request of MPI is for, but for those that wait for letters.
  enum class Role : std::uint8_t { kSmallSend, kChunkSend, kChunkReceive };
  struct Activity {
    Role role;
    std::uint64_t number;   // of the small send or letter
    std::size_t bytes = 0;  // of the chunk
  };
  struct Happened {
    Activity activity;
    MPI_Status status;
    bool failed;  // and on_trouble() has been told
  };
  // Bytes that are written once: nothing is cleared first, as a vector would.
  struct Buffer {
    std::unique_ptr<std::byte[]> bytes;
    std::size_t capacity = 0;
    std::size_t size = 0;

    // The content is lost.
    std::byte* resize(std::size_t new_size);
  };
  // Where in a letter's payloads the next chunk starts.
  struct Cursor {
    std::size_t part = 0;
    std::size_t offset = 0;
    std::uint32_t in_flight = 0;
  };
  struct Outgoing {
    int to = 0;
    int tag = 0;
    std::uint64_t token = 0;
    Buffer letter;  // header, parts, control
    std::vector<Payload> payloads;
    Cursor cursor;
  };
  struct ArrivingPart {
    Part announced;
    std::shared_ptr<std::vector<float>> floats;
    std::shared_ptr<std::vector<std::byte>> sums;
    std::byte* where = nullptr;
  };
  struct Incoming {
    int from = 0;
    int tag = 0;
    std::vector<std::byte> control;
    std::vector<ArrivingPart> parts;
    Cursor cursor;
    std::size_t bytes = 0;
    bool counted = true;   // in staging_used_
    bool damaged = false;  // a chunk was not the one that was announced: nobody is given the letter
  };
  struct Peer {
    std::uint32_t credit = 0;     // letters with payloads that may still be sent
    std::uint32_t owed = 0;       // credits to give back
    std::uint32_t transfers = 0;  // announced letters under way
    std::deque<Outgoing> queue;
    std::size_t leaving = 0;     // letters that are queued or being sent
    std::size_t arriving = 0;    // announced letters that are not here yet
    std::uint64_t messages = 0;  // of MPI, to it: letters and the chunks of those that have been started
    bool silent = false;
    Clock::time_point heard;
    Clock::time_point sent;
  };

  [[nodiscard]] static std::size_t at(int peer) { return static_cast<std::size_t>(peer); }
  [[nodiscard]] bool look_at_moving();
  void track(MPI_Request request, const Activity& activity);
  void send_small(int to, MPI_Comm communicator, int tag, Buffer& buffer);
  void start_queued(int to);
  void start(Outgoing letter);
  void send_chunks(std::uint64_t number, Outgoing& letter);
  void sent(std::uint64_t number);
  void receive_letter(int from, std::span<const std::byte> bytes, bool frame);
  void receive_credit(int from, std::span<const std::byte> bytes);
  bool receive_inline(int from, std::span<const std::byte> control, std::span<const std::byte> parts,
                      std::span<const std::byte> bytes);
  void admit_waiting();
  void begin(Incoming letter);
  void receive_chunks(std::uint64_t number, Incoming& letter);
  void chunk_received(const Happened& event);
  void finish(Incoming letter);
  void give_credit(int peer);
  void count_leaving(int peer, bool more);
  void count_arriving(int peer, bool more);
  void take_in(const ReceiveRing::Arrival& arrival);
  void handle(const Happened& event);
  void complain(int peer, int error);
  [[nodiscard]] Buffer spare_buffer();
  void give_back(Buffer buffer);

  MPI_Comm control_;
  MPI_Comm data_;
  EndpointSettings settings_;
  LetterReceiver& receiver_;
  std::vector<Peer> peers_;
  ReceiveRing rings_;
  // What is moving: requests and what they are for.
  std::vector<MPI_Request> requests_;
  std::vector<Activity> activities_;
  std::vector<int> completed_;
  std::vector<MPI_Status> statuses_;
  std::vector<Happened> happened_;

  std::uint64_t next_number_ = 1;
  std::uint32_t next_tag_ = 0;
  struct SmallSend {
    int to = 0;
    Buffer buffer;
  };
  std::unordered_map<std::uint64_t, SmallSend> small_sends_;
  Buffer letter_;  // that is being written; mostly MPI is through with it at once
  std::vector<Buffer> spare_buffers_;
  std::vector<Payload> arrived_;  // of a frame
  std::unordered_map<std::uint64_t, Outgoing> outgoing_;
  std::unordered_map<std::uint64_t, Incoming> incoming_;
  std::deque<Incoming> waiting_;  // announced, no room yet
  std::size_t staging_used_ = 0;
  std::size_t leaving_ = 0;  // to peers that are not silent
  std::size_t arriving_ = 0;
  std::uint64_t messages_received_ = 0;
  bool closing_ = false;
  BufferPool<float> float_pool_;
  BufferPool<std::byte> sum_pool_;
  Clock::time_point now_ = Clock::now();
  EndpointStatistics statistics_;
};

}  // namespace tributary::internal
