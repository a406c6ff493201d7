// SPDX-License-Identifier: Apache-2.0
// Letters of every kind, for tests of what carries them.
#pragma once

#include <fmt/format.h>

#include <array>
#include <chrono>
#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "wire/node_message.hpp"

namespace tributary::testing {

inline constexpr std::size_t kModelSize = 5;
inline constexpr internal::LetterLimits kLimits{.elements = kModelSize};
inline constexpr NodeId kFrom{7};
inline constexpr NodeId kTo{0xFFFFFFFE};
inline constexpr std::uint64_t kLargest = std::numeric_limits<std::uint64_t>::max();
inline constexpr std::uint32_t kLargest32 = std::numeric_limits<std::uint32_t>::max();

inline Payload floats(std::vector<float> values) {
  return Payload::floats(std::make_shared<const std::vector<float>>(std::move(values)));
}

// Sums of `elements` values, all of them 0, with `width` bytes each.
inline Payload sums(std::size_t elements, std::uint8_t width) {
  std::vector<std::byte> bytes(Payload::data_offset(elements) + (elements * width + 7) / 8 * 8);
  for (std::size_t block = 0; block < Payload::blocks(elements); ++block) { bytes[block] = std::byte{width}; }
  return Payload::from_bytes(Encoding::kFixed, elements, std::move(bytes)).value();
}

inline TaskMessage a_task() {
  return {.key = {3, 12},
          .attempt = Attempt{2},
          .version = Version{11},
          .global_round = Round{4},
          .decided = {3, 10},
          .model = std::make_shared<const std::vector<float>>(kModelSize, 0.5F),
          .evaluate_first = true,
          .remaining = std::chrono::seconds(90)};
}

// The bytes that a codec might have made of the model, which nobody reads here.
inline Payload coded(std::size_t elements, std::size_t bytes) {
  return Payload::coded(elements, std::make_shared<const std::vector<std::byte>>(bytes),
                        std::make_shared<const std::vector<float>>(elements, 0.5F));
}

inline TaskMessage a_coded_task() {
  TaskMessage task = a_task();
  task.coded = coded(kModelSize, 26);
  return task;
}

// Of a method whose clients have a state and are given a vector beside the model.
inline TaskMessage a_task_with_broadcast() {
  TaskMessage task = a_task();
  task.broadcast = std::make_shared<const std::vector<Segment>>(
      std::vector<Segment>{{"control", floats({-1.0F, 0.0F, 2.0F, 3.0F, 4.0F}), {}}});
  task.epoch = 9;
  return task;
}

inline DecisionMessage a_decision() {
  return {.client = NodeId{5},
          .epoch = 9,
          .agreement = DecisionMessage::Agreement::kAgrees,
          .settled = 1,
          .newest = 4,
          .fates = {{2, Fate::kHeld}, {4, Fate::kCounted}}};
}

inline UpdateMessage an_update() {
  UpdateMessage message{.key = {3, 12}, .update = {}};
  Update& update = message.update;
  update.id = {NodeId{5}, 3, 12, Attempt{2}};
  update.bases = VersionSpread::of(11);
  for (std::size_t i = 0; i < update.fingerprint.bytes.size(); ++i) {
    update.fingerprint.bytes[i] = static_cast<std::uint8_t>(0xA0 + i);
  }
  update.weight = Weight::from_units(std::uint64_t{30} << 24U);
  update.contributors = 1;
  update.segments.push_back({"delta", floats({1.0F, -2.0F, 0.0F, 4.0F, 5.0F})});
  update.scalars["loss"].add(-0.25, update.weight);
  return message;
}

// Every kind of message, ordinary and with the extremes of every field.
inline std::vector<Message> messages_of_every_kind() {
  const TaskKey last{kLargest32, kLargest, TaskKind::kEvaluate};
  const std::string odd = std::string("\0 zähler \xF0\x9F\x8C\x8A \xFF", 16);
  std::vector<Message> all{a_task(),
                           ProbeMessage{last},
                           AcknowledgeMessage{{3, 12}, true, ""},
                           AcknowledgeMessage{last, false, odd},
                           CancelMessage{{0, 0}},
                           HelloMessage{},
                           WorkingMessage{last, true},
                           WorkingMessage{{1, 2}, false},
                           an_update(),
                           a_task_with_broadcast(),
                           a_coded_task(),
                           InquiryMessage{NodeId{5}, 9, 1, {2, 4}, {4}},
                           InquiryMessage{NodeId{kLargest32}, kLargest, kLargest, {}, {}},
                           a_decision(),
                           DecisionMessage{NodeId{kLargest32},
                                           kLargest,
                                           DecisionMessage::Agreement::kDiffers,
                                           kLargest,
                                           kLargest,
                                           {{kLargest, Fate::kDropped}}}};

  TaskMessage late = a_task();
  late.key = last;
  late.attempt = Attempt{kLargest32};
  late.version = Version{kLargest};
  late.global_round = Round{kLargest};
  late.decided = last;
  late.evaluate_first = false;
  late.remaining = std::chrono::nanoseconds::max();
  all.emplace_back(late);

  UpdateMessage coded_change = an_update();
  coded_change.update.segments.front().payload = coded(kModelSize, 26);
  all.emplace_back(coded_change);

  UpdateMessage wide = an_update();
  wide.key = last;
  wide.update.id = {NodeId{kLargest32}, kLargest32, kLargest, Attempt{kLargest32}};
  wide.update.bases = {kLargest, kLargest, kLargest, kLargest};
  wide.update.weight = Weight::from_units(kLargest);
  wide.update.contributors = kLargest32;
  wide.update.segments.push_back({"", sums(kModelSize, 4), Weight::from_units(kLargest)});
  wide.update.segments.push_back({std::string(256, 'n'), sums(kModelSize, 8), {}});
  wide.update.members = {{NodeId{0}, 0}, {NodeId{kLargest32}, kLargest}};
  wide.update.epoch = kLargest;
  wide.update.scalars[""] =
      ScalarSum::from_words({kLargest, std::uint64_t{1} << 63U}, Weight::from_units(kLargest), kLargest32);
  wide.update.scalars["large"] = ScalarSum::from_words({kLargest, kLargest >> 1U}, Weight::from_units(1), 0);
  wide.update.scalars[odd] = ScalarSum::from_words({1, 0}, Weight(), 7);
  all.emplace_back(wide);
  UpdateMessage bare = an_update();
  bare.key.kind = TaskKind::kEvaluate;
  bare.update.segments.clear();
  bare.update.scalars.clear();
  all.emplace_back(bare);

  for (const std::string& reason : {std::string(), odd, std::string(2000, 'r')}) {
    all.emplace_back(TaskFailedMessage{{3, 12}, Attempt{2}, Code::kBadData, reason});
  }
  return all;
}

inline std::vector<std::byte> letter_of(const Message& message) {
  const std::vector<Payload> payloads = internal::payloads_of(message);
  std::vector<std::uint64_t> ids;
  for (std::size_t i = 0; i < payloads.size(); ++i) { ids.push_back(kLargest - i); }
  return internal::encode_letter(kFrom, kTo, message, payloads, ids);
}

// Everything in a letter that travels in its control part, as text.
inline std::string described(const internal::NodeMessage& letter) {
  struct Describe {
    static std::string key(const TaskKey& key) {
      return fmt::format("{}/{}/{}", key.incarnation, key.number, static_cast<int>(key.kind));
    }
    std::string operator()(const TaskMessage& m) const {
      std::string text =
          fmt::format("{} {} {} {} {} {} {} {}", key(m.key), m.attempt.value, m.version.value, m.global_round.value,
                      key(m.decided), m.evaluate_first, m.remaining.count(), m.epoch);
      if (m.broadcast) {
        for (const Segment& segment : *m.broadcast) { text += fmt::format(" [{}]", segment.name); }
      }
      return text;
    }
    std::string operator()(const ProbeMessage& m) const { return key(m.key); }
    std::string operator()(const AcknowledgeMessage& m) const {
      return fmt::format("{} {} [{}]", key(m.key), m.accepted, m.reason);
    }
    std::string operator()(const CancelMessage& m) const { return key(m.key); }
    std::string operator()(const HelloMessage& /*m*/) const { return ""; }
    std::string operator()(const WorkingMessage& m) const { return fmt::format("{} {}", key(m.key), m.known); }
    std::string operator()(const UpdateMessage& m) const {
      const Update& u = m.update;
      std::string text = fmt::format("{} {} {} {} {} {} {} {} {} {} {} {}", key(m.key), u.id.node.value,
                                     u.id.incarnation, u.id.number, u.id.attempt.value, u.bases.updates, u.bases.least,
                                     u.bases.sum, u.bases.most, u.fingerprint.hex(), u.weight.units(), u.contributors);
      for (const Segment& segment : u.segments) {
        text += fmt::format(" [{} {}]", segment.name, segment.weight.units());
      }
      text += fmt::format(" {}", u.epoch);
      for (const Member& member : u.members) { text += fmt::format(" {}:{}", member.client.value, member.sequence); }
      for (const auto& [name, sum] : u.scalars) {
        text += fmt::format(" [{}] {:x} {:x} {} {}", name, sum.words()[0], sum.words()[1], sum.weight().units(),
                            sum.left_out());
      }
      return text;
    }
    std::string operator()(const InquiryMessage& m) const {
      std::string text = fmt::format("{} {} {}", m.client.value, m.epoch, m.settled);
      for (const std::uint64_t sequence : m.undecided) { text += fmt::format(" {}", sequence); }
      for (const std::uint64_t sequence : m.sequences) { text += fmt::format(" [{}]", sequence); }
      return text;
    }
    std::string operator()(const DecisionMessage& m) const {
      std::string text =
          fmt::format("{} {} {} {} {}", m.client.value, m.epoch, static_cast<int>(m.agreement), m.settled, m.newest);
      for (const SequenceFate& known : m.fates) {
        text += fmt::format(" {}:{}", known.sequence, static_cast<int>(known.fate));
      }
      return text;
    }
    std::string operator()(const TaskFailedMessage& m) const {
      return fmt::format("{} {} {} [{}]", key(m.key), m.attempt.value, static_cast<int>(m.code), m.reason);
    }
  };
  std::string text = fmt::format("{} from {} to {}: {};", name_of(letter.message), letter.from.value, letter.to.value,
                                 std::visit(Describe(), letter.message));
  for (const internal::PayloadReference& reference : letter.references) {
    text += fmt::format(" {}={}x{} in {}", reference.id, static_cast<int>(reference.encoding), reference.elements,
                        reference.bytes);
  }
  return text;
}

// Payloads that `references` could mean; nothing if there are no such.
inline std::optional<std::vector<Payload>> payloads_for(std::span<const internal::PayloadReference> references) {
  std::vector<Payload> payloads;
  for (const internal::PayloadReference& reference : references) {
    std::vector<Payload> candidates{floats(std::vector<float>(reference.elements))};
    if (reference.encoding == Encoding::kFixed) {
      candidates = {sums(reference.elements, 4), sums(reference.elements, 8)};
    }
    if (reference.encoding == Encoding::kCoded) { candidates = {coded(reference.elements, reference.bytes)}; }
    bool found = false;
    for (const Payload& candidate : candidates) {
      if (found || candidate.size() != reference.bytes) { continue; }
      payloads.push_back(candidate);
      found = true;
    }
    if (!found) { return std::nullopt; }
  }
  return payloads;
}

// A received letter as it would be sent on; nothing if there are no such payloads.
inline std::optional<std::vector<std::byte>> sent_again(const internal::NodeMessage& letter) {
  const std::optional<std::vector<Payload>> payloads = payloads_for(letter.references);
  if (!payloads) { return std::nullopt; }
  std::vector<std::uint64_t> ids;
  for (const internal::PayloadReference& reference : letter.references) { ids.push_back(reference.id); }
  return internal::encode_letter(letter.from, letter.to, letter.message, *payloads, ids);
}

}  // namespace tributary::testing
