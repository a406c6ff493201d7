// SPDX-License-Identifier: Apache-2.0
// Any bytes as a letter from another process: they are refused, or they are a letter within the limits which has these
// very bytes when it is sent again.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <span>
#include <utility>
#include <variant>
#include <vector>

#include "control_message.hpp"
#include "transport/letters.hpp"

namespace {

using namespace tributary;
using namespace tributary::internal;

// Those of the seeds, whose tasks have models of just that size.
constexpr LetterLimits kLimits = testing::kLimits;

void require(bool condition) {
  if (!condition) { std::abort(); }
}

// Texts that are cut and codes that are not known here change on their way.
bool is_changed_by_sending(const NodeMessage& letter) {
  constexpr std::size_t kLongestReason = 2000;
  if (const auto* failed = std::get_if<TaskFailedMessage>(&letter.message)) {
    return failed->code == Code::kInternal || failed->reason.size() > kLongestReason;
  }
  const auto* acknowledge = std::get_if<AcknowledgeMessage>(&letter.message);
  return acknowledge != nullptr && acknowledge->reason.size() > kLongestReason;
}

void check_node_letter(std::span<const std::byte> bytes) {
  Result<NodeMessage> letter = decode_letter(bytes, kLimits);
  if (!letter.ok()) {
    require(letter.status().code() == Code::kProtocol);
    return;
  }
  require(letter->references.size() <= kLimits.references);
  for (const PayloadReference& reference : letter->references) {
    require(reference.elements <= kLimits.elements && reference.bytes <= Payload::largest_coded(kLimits.elements));
  }
  std::optional<std::vector<Payload>> payloads = testing::payloads_for(letter->references);
  if (!payloads) { return; }
  const std::optional<std::vector<std::byte>> again = testing::sent_again(*letter);
  require(is_changed_by_sending(*letter) || std::ranges::equal(*again, bytes));
  require(decode_letter(*again, kLimits).ok());
  const Status attached = attach(*letter, *payloads);
  require(attached.ok() || std::holds_alternative<TaskMessage>(letter->message));
}

template <typename T>
void check(std::span<const std::byte> bytes) {
  const Result<T> letter = decode<T>(bytes);
  require(letter.ok() ? std::ranges::equal(encode(*letter), bytes) : letter.status().code() == Code::kProtocol);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) { return 0; }
  const std::span<const std::byte> bytes = std::as_bytes(std::span(data, size)).subspan(1);
  switch (static_cast<ControlMessage>(data[0])) {
    case ControlMessage::kNode:
      check_node_letter(bytes);
      break;
    case ControlMessage::kBeat:
    case ControlMessage::kCount:
      check<BeatLetter>(bytes);
      break;
    case ControlMessage::kNote:
      check<NoteLetter>(bytes);
      break;
    case ControlMessage::kCounted:
    case ControlMessage::kBye:
      check<RankNumbers>(bytes);
      break;
    case ControlMessage::kEnd:
      check<EndLetter>(bytes);
      break;
    case ControlMessage::kEdges:
      check<EdgesLetter>(bytes);
      break;
    case ControlMessage::kLost:
    case ControlMessage::kBack:
      check<LostLetter>(bytes);
      break;
  }
  return 0;
}
