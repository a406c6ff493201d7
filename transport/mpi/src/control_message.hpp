// SPDX-License-Identifier: Apache-2.0
// What ranks say to each other besides nodes' messages. A letter's control bytes are its kind and one of these.
//
// Threads: values.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "tributary/nodes/node.hpp"
#include "tributary/nodes/traffic.hpp"
#include "wire/control_archive.hpp"

namespace tributary::internal {

// Never renumber: on the wire.
enum class ControlMessage : std::uint8_t {
  kNode = 1,     // a node's message: NodeMessage
  kBeat = 2,     // "I am here": BeatLetter
  kNote = 3,     // to rank 0, for the records: NoteLetter
  kCount = 4,    // of rank 0: send your numbers
  kCounted = 5,  // the answer: RankNumbers
  kEnd = 6,      // of rank 0: the run is over: EndLetter
  kEdges = 7,    // part of the answer to kEnd: EdgesLetter
  kBye = 8,      // the rest of it, sent last: RankNumbers; a large letter before it may arrive after it
  kLost = 9,     // of rank 0: do without that rank: LostLetter
  kBack = 10,    // of rank 0: that rank answers again: LostLetter
};

struct BeatLetter {
  std::uint64_t tasks_trained = 0;
  template <typename Archive>
  void serialize(Archive& archive) {
    archive(tasks_trained);
  }
};

struct NoteLetter {
  std::uint8_t kind = 0;
  std::uint32_t node = 0;
  std::uint64_t round = 0;
  std::string detail;
  template <typename Archive>
  void serialize(Archive& archive) {
    archive(kind, node, round, detail);
  }
};

struct LostLetter {
  std::uint32_t rank = 0;
  std::string what;
  template <typename Archive>
  void serialize(Archive& archive) {
    archive(rank, what);
  }
};

struct EndLetter {
  std::uint8_t code = 0;
  std::string message;
  std::vector<std::uint32_t> lost;  // ranks that nobody waits for
  template <typename Archive>
  void serialize(Archive& archive) {
    archive(code, message, lost);
  }
};

struct TrafficNumbers {
  std::uint64_t messages = 0;
  std::uint64_t bytes_down = 0;
  std::uint64_t bytes_up = 0;
  std::int64_t send_ns = 0;
  std::int64_t wait_ns = 0;
  template <typename Archive>
  void serialize(Archive& archive) {
    archive(messages, bytes_down, bytes_up, send_ns, wait_ns);
  }

  static TrafficNumbers of(const EdgeTraffic& traffic) {
    return {traffic.messages, traffic.bytes_down, traffic.bytes_up, traffic.send_time.count(),
            traffic.wait_time.count()};
  }
  [[nodiscard]] EdgeTraffic traffic() const {
    return {messages, bytes_down, bytes_up, std::chrono::nanoseconds(send_ns), std::chrono::nanoseconds(wait_ns)};
  }
};

// Everything a rank has counted since the run began.
struct RankNumbers {
  std::uint64_t question = 0;  // which kCount this answers
  std::uint32_t threads = 0;   // that train
  std::uint64_t reports = 0;   // letters of kind kNote and kEdges sent to rank 0 so far
  std::uint64_t tasks_trained = 0;
  std::uint64_t bytes_sent = 0;
  std::uint64_t bytes_received = 0;
  std::int64_t train_ns = 0;
  std::int64_t merge_ns = 0;
  std::int64_t send_ns = 0;
  std::int64_t wait_ns = 0;
  std::map<std::uint32_t, std::int64_t> merge_ns_by_tier;
  std::map<std::uint32_t, TrafficNumbers> tiers;
  template <typename Archive>
  void serialize(Archive& archive) {
    archive(question, threads, reports, tasks_trained, bytes_sent, bytes_received, train_ns, merge_ns, send_ns, wait_ns,
            merge_ns_by_tier, tiers);
  }
};

struct EdgesLetter {
  std::map<std::uint32_t, TrafficNumbers> edges;  // by child
  template <typename Archive>
  void serialize(Archive& archive) {
    archive(edges);
  }
};

template <typename T>
std::vector<std::byte> rank_letter(ControlMessage kind, const T& value) {
  std::vector<std::byte> bytes;
  bytes.reserve(64);
  bytes.push_back(static_cast<std::byte>(kind));
  ControlWriter writer(bytes);
  writer(value);
  return bytes;
}
inline std::vector<std::byte> rank_letter(ControlMessage kind, std::vector<std::byte> encoded) {
  encoded.insert(encoded.begin(), static_cast<std::byte>(kind));
  return encoded;
}

}  // namespace tributary::internal
