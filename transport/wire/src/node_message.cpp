// SPDX-License-Identifier: Apache-2.0
#include "wire/node_message.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>
#include <variant>

#include "wire/control_archive.hpp"
#include "wire/node_layout.hpp"

namespace tributary {

// What of a message stands elsewhere: its payloads are referred to.

template <typename Archive>
void CEREAL_SERIALIZE_FUNCTION_NAME(Archive& archive, Segment& segment) {
  archive(segment.name, segment.weight);
}
template <typename Archive>
void save_duration(Archive& archive, std::chrono::nanoseconds duration) {
  archive(static_cast<std::int64_t>(duration.count()));
}
template <typename Archive>
void CEREAL_SAVE_FUNCTION_NAME(Archive& archive, const TaskMessage& task) {
  archive(task.key, task.attempt, task.version, task.global_round, task.decided, task.evaluate_first);
  save_duration(archive, task.remaining);
  archive(task.epoch, task.broadcast ? *task.broadcast : std::vector<Segment>());
}
template <typename Archive>
void CEREAL_LOAD_FUNCTION_NAME(Archive& archive, TaskMessage& task) {
  std::int64_t remaining = 0;
  archive(task.key, task.attempt, task.version, task.global_round, task.decided, task.evaluate_first, remaining);
  task.remaining = std::chrono::nanoseconds(remaining);
  std::vector<Segment> broadcast;
  archive(task.epoch, broadcast);
  task.broadcast = broadcast.empty() ? nullptr : std::make_shared<const std::vector<Segment>>(std::move(broadcast));
}
namespace internal {
namespace {

// Longer texts are cut: a reason is for people.
constexpr std::size_t kLongestReason = 2000;

constexpr std::size_t kUsualBytes = 256;

// Never renumber: on the wire. By the alternatives of Message.
constexpr std::array<std::uint8_t, std::variant_size_v<Message>> kKinds{1, 2, 3, 4, 5, 6, 7, 8, 9, 10};

void shorten(std::string& reason) {
  if (reason.size() <= kLongestReason) { return; }
  std::size_t size = kLongestReason;
  // Between characters, not within one: the bytes of UTF-8 that go on with one are 10xxxxxx.
  while (size > 0 && (static_cast<unsigned char>(reason[size]) & 0xC0U) == 0x80U) { --size; }
  reason.resize(size);
}

// Of the alternative with that number, default-made; nothing if there is none.
template <std::size_t... Index>
bool make_alternative(std::uint8_t kind, Message& message, std::index_sequence<Index...> /*all*/) {
  return ((kind == kKinds[Index] ? (message.emplace<Index>(), true) : false) || ...);
}

}  // namespace

template <typename Archive>
void CEREAL_SAVE_FUNCTION_NAME(Archive& archive, const PayloadReference& reference) {
  archive(reference.id, static_cast<std::uint8_t>(reference.encoding), reference.elements, reference.bytes);
}
template <typename Archive>
void CEREAL_LOAD_FUNCTION_NAME(Archive& archive, PayloadReference& reference) {
  std::uint8_t encoding = 0;
  archive(reference.id, encoding, reference.elements, reference.bytes);
  reference.encoding = static_cast<Encoding>(encoding);
}
template <typename Archive>
void CEREAL_LOAD_FUNCTION_NAME(Archive& archive, NodeMessage& letter) {
  std::uint16_t version = 0;
  std::uint8_t kind = 0;
  archive(version);
  if (version != kWireVersion) { throw cereal::Exception("its version is not the one spoken here"); }
  archive(kind, letter.from, letter.to);
  if (!make_alternative(kind, letter.message, std::make_index_sequence<kKinds.size()>())) {
    throw cereal::Exception("its kind is unknown");
  }
  std::visit([&archive](auto& message) { archive(message); }, letter.message);
  archive(letter.references);
}

Code failure_from(std::uint8_t number) noexcept {
  const bool known =
      number > static_cast<std::uint8_t>(Code::kOk) && number <= static_cast<std::uint8_t>(Code::kInternal);
  return known ? static_cast<Code>(number) : Code::kInternal;
}

std::vector<Payload> payloads_of(const Message& message) {
  std::vector<Payload> payloads;
  if (const auto* task = std::get_if<TaskMessage>(&message)) {
    if (task->model) { payloads.push_back(task->coded.elements() > 0 ? task->coded : Payload::floats(task->model)); }
    if (task->broadcast) {
      for (const Segment& segment : *task->broadcast) { payloads.push_back(segment.payload); }
    }
  } else if (const auto* update = std::get_if<UpdateMessage>(&message)) {
    for (const Segment& segment : update->update.segments) { payloads.push_back(segment.payload); }
  }
  return payloads;
}

std::vector<std::byte> encode_letter(NodeId from, NodeId to, const Message& message, std::span<const Payload> payloads,
                                     std::span<const std::uint64_t> ids) {
  const auto* const acknowledge = std::get_if<AcknowledgeMessage>(&message);
  const auto* const failed = std::get_if<TaskFailedMessage>(&message);
  const bool too_long = (acknowledge != nullptr && acknowledge->reason.size() > kLongestReason) ||
                        (failed != nullptr && failed->reason.size() > kLongestReason);
  if (too_long) {
    Message shorter(message);
    if (failed != nullptr) {
      shorten(std::get<TaskFailedMessage>(shorter).reason);
    } else {
      shorten(std::get<AcknowledgeMessage>(shorter).reason);
    }
    return encode_letter(from, to, shorter, payloads, ids);
  }
  std::vector<std::byte> bytes;
  bytes.reserve(kUsualBytes);
  ControlWriter archive(bytes);
  archive(kWireVersion, kKinds[message.index()], from, to);
  std::visit([&archive](const auto& content) { archive(content); }, message);
  archive(static_cast<std::uint32_t>(payloads.size()));
  for (std::size_t i = 0; i < payloads.size(); ++i) {
    archive(PayloadReference{ids[i], payloads[i].encoding(), payloads[i].elements(),
                             static_cast<std::uint64_t>(payloads[i].size())});
  }
  return bytes;
}

namespace {

Status check_update(const Update& update, const LetterLimits& limits) {
  if (update.scalars.size() > limits.scalars) {
    return protocol_error(
        fmt::format("an update with {} metrics, at most {} are taken", update.scalars.size(), limits.scalars));
  }
  std::size_t longest = 0;
  for (const auto& [name, sum] : update.scalars) { longest = std::max(longest, name.size()); }
  for (const Segment& segment : update.segments) { longest = std::max(longest, segment.name.size()); }
  if (longest > limits.name_bytes) {
    return protocol_error(
        fmt::format("an update with a name of {} bytes for a metric or a segment, at most {} are taken", longest,
                    limits.name_bytes));
  }
  return {};
}

Status check_task(const NodeMessage& letter, const LetterLimits& limits) {
  for (std::size_t i = 0; i < letter.references.size(); ++i) {
    const PayloadReference& vector = letter.references[i];
    const bool readable = vector.encoding == Encoding::kFloat32 || (i == 0 && vector.encoding == Encoding::kCoded);
    if (readable && vector.elements == limits.elements) { continue; }
    return protocol_error(fmt::format("a task whose model has {} values in encoding {}, not {} in encoding {}",
                                      vector.elements, static_cast<int>(vector.encoding), limits.elements,
                                      static_cast<int>(Encoding::kFloat32)));
  }
  const auto& task = std::get<TaskMessage>(letter.message);
  if (task.remaining.count() < 0) {
    return protocol_error(fmt::format("a task whose time left is {} ns", task.remaining.count()));
  }
  if (!task.broadcast) { return {}; }
  for (const Segment& segment : *task.broadcast) {
    if (segment.name.empty() || segment.name.size() > limits.name_bytes) {
      return protocol_error(fmt::format("a task with a name of {} bytes for a segment, 1 to {} are taken",
                                        segment.name.size(), limits.name_bytes));
    }
  }
  return {};
}

}  // namespace

Result<NodeMessage> decode_letter(std::span<const std::byte> bytes, const LetterLimits& limits) {
  TRIBUTARY_ASSIGN_OR_RETURN(NodeMessage letter, decode<NodeMessage>(bytes, limits.references));
  std::size_t expected = 0;
  if (const auto* task = std::get_if<TaskMessage>(&letter.message)) {
    expected = 1 + (task->broadcast ? task->broadcast->size() : 0);
  } else if (const auto* update = std::get_if<UpdateMessage>(&letter.message)) {
    TRIBUTARY_RETURN_IF_ERROR(check_update(update->update, limits));
    expected = update->update.segments.size();
  }
  if (letter.references.size() != expected || expected > limits.references) {
    return protocol_error(fmt::format("a message of kind `{}` refers to {} payloads, not to {} (at most {})",
                                      name_of(letter.message), letter.references.size(), expected, limits.references));
  }
  for (const PayloadReference& reference : letter.references) {
    const bool floats = reference.encoding == Encoding::kFloat32;
    const bool coded = reference.encoding == Encoding::kCoded;
    if (!floats && !coded && reference.encoding != Encoding::kFixed) {
      return protocol_error(fmt::format("unknown encoding {}", static_cast<int>(reference.encoding)));
    }
    if (coded && &reference != &letter.references.front()) {
      return protocol_error("a codec's bytes where only the model and its change may have them");
    }
    if (reference.elements > limits.elements) {
      return protocol_error(
          fmt::format("a payload of {} values, the model has {}", reference.elements, limits.elements));
    }
    const std::size_t elements = reference.elements;
    const std::size_t sums = Payload::data_offset(elements) + elements * 4;
    const std::size_t least = floats ? elements * 4 : (coded ? 0 : sums);
    const std::size_t most = floats ? least : (coded ? Payload::largest_coded(elements) : sums + elements * 4 + 8);
    if (reference.bytes < least || reference.bytes > most) {
      return protocol_error(fmt::format("a payload of {} values cannot have {} bytes", elements, reference.bytes));
    }
  }
  if (std::holds_alternative<TaskMessage>(letter.message)) { TRIBUTARY_RETURN_IF_ERROR(check_task(letter, limits)); }
  return letter;
}

Status attach(NodeMessage& letter, std::span<Payload> payloads) {
  if (auto* task = std::get_if<TaskMessage>(&letter.message)) {
    const std::size_t segments = task->broadcast ? task->broadcast->size() : 0;
    if (payloads.size() != 1 + segments ||
        !std::ranges::all_of(payloads, [](const Payload& payload) { return payload.shared_floats() != nullptr; })) {
      return protocol_error("a task without a model");
    }
    task->model = payloads[0].shared_floats();
    task->coded = payloads[0].encoding() == Encoding::kCoded ? payloads[0] : Payload();
    if (segments == 0) { return {}; }
    std::vector<Segment> broadcast = *task->broadcast;
    for (std::size_t i = 0; i < segments; ++i) { broadcast[i].payload = payloads[i + 1]; }
    task->broadcast = std::make_shared<const std::vector<Segment>>(std::move(broadcast));
  } else if (auto* update = std::get_if<UpdateMessage>(&letter.message)) {
    if (payloads.size() != update->update.segments.size()) { return protocol_error("an update without its segments"); }
    for (std::size_t i = 0; i < payloads.size(); ++i) { update->update.segments[i].payload = std::move(payloads[i]); }
  }
  return {};
}

}  // namespace internal
}  // namespace tributary
