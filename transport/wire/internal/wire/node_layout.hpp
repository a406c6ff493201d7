// SPDX-License-Identifier: Apache-2.0
// How the parts of messages and updates are laid out, in cereal archives of any kind: the same order for both
// directions, found by cereal in the namespace of the type. What refers to payloads is left to whoever moves those:
// Segment and TaskMessage.
//
// Errors: a reader throws cereal::Exception.
#pragma once

#include <array>
#include <cereal/cereal.hpp>
#include <cstdint>

#include "tributary/nodes/message.hpp"
#include "wire/node_message.hpp"

namespace tributary {

template <typename Archive, typename Tag, typename Value>
void CEREAL_SERIALIZE_FUNCTION_NAME(Archive& archive, StrongId<Tag, Value>& id) {
  archive(id.value);
  // A reader may know which there are.
  if constexpr (requires { archive.check(id); }) { archive.check(id); }
}
template <typename Archive>
void CEREAL_SAVE_FUNCTION_NAME(Archive& archive, const TaskKey& key) {
  archive(key.incarnation, key.number, static_cast<std::uint8_t>(key.kind));
}
template <typename Archive>
void CEREAL_LOAD_FUNCTION_NAME(Archive& archive, TaskKey& key) {
  std::uint8_t kind = 0;
  archive(key.incarnation, key.number, kind);
  if (kind > static_cast<std::uint8_t>(kLastTaskKind)) { throw cereal::Exception("the kind of a task is unknown"); }
  key.kind = static_cast<TaskKind>(kind);
}
template <typename Archive>
void CEREAL_SAVE_FUNCTION_NAME(Archive& archive, const Weight& weight) {
  archive(weight.units());
}
template <typename Archive>
void CEREAL_LOAD_FUNCTION_NAME(Archive& archive, Weight& weight) {
  std::uint64_t units = 0;
  archive(units);
  weight = Weight::from_units(units);
}
template <typename Archive>
void CEREAL_SAVE_FUNCTION_NAME(Archive& archive, const ScalarSum& sum) {
  archive(sum.words()[0], sum.words()[1], sum.weight(), sum.left_out());
}
template <typename Archive>
void CEREAL_LOAD_FUNCTION_NAME(Archive& archive, ScalarSum& sum) {
  std::array<std::uint64_t, 2> words{};
  Weight weight;
  std::uint32_t left_out = 0;
  archive(words[0], words[1], weight, left_out);
  sum = ScalarSum::from_words(words, weight, left_out);
}
template <typename Archive>
void CEREAL_SERIALIZE_FUNCTION_NAME(Archive& archive, UpdateId& id) {
  archive(id.node, id.incarnation, id.number, id.attempt);
}
template <typename Archive>
void CEREAL_SERIALIZE_FUNCTION_NAME(Archive& archive, Digest& digest) {
  archive(cereal::binary_data(digest.bytes.data(), digest.bytes.size()));
}
template <typename Archive>
void CEREAL_SERIALIZE_FUNCTION_NAME(Archive& archive, Member& member) {
  archive(member.client, member.sequence);
}
template <typename Archive>
void CEREAL_SAVE_FUNCTION_NAME(Archive& archive, const SequenceFate& known) {
  archive(known.sequence, static_cast<std::uint8_t>(known.fate));
}
template <typename Archive>
void CEREAL_LOAD_FUNCTION_NAME(Archive& archive, SequenceFate& known) {
  std::uint8_t fate = 0;
  archive(known.sequence, fate);
  if (fate < static_cast<std::uint8_t>(Fate::kHeld) || fate > static_cast<std::uint8_t>(Fate::kDropped)) {
    throw cereal::Exception("the fate of an increment is unknown");
  }
  known.fate = static_cast<Fate>(fate);
}
template <typename Archive>
void CEREAL_SERIALIZE_FUNCTION_NAME(Archive& archive, VersionSpread& spread) {
  archive(spread.updates, spread.least, spread.sum, spread.most);
}
template <typename Archive>
void CEREAL_SERIALIZE_FUNCTION_NAME(Archive& archive, Update& update) {
  archive(update.id, update.bases, update.fingerprint, update.weight, update.contributors, update.segments,
          update.scalars, update.members, update.epoch);
}

template <typename Archive>
void CEREAL_SERIALIZE_FUNCTION_NAME(Archive& archive, ProbeMessage& probe) {
  archive(probe.key);
}
template <typename Archive>
void CEREAL_SERIALIZE_FUNCTION_NAME(Archive& archive, AcknowledgeMessage& acknowledge) {
  archive(acknowledge.key, acknowledge.accepted, acknowledge.reason);
}
template <typename Archive>
void CEREAL_SERIALIZE_FUNCTION_NAME(Archive& archive, CancelMessage& cancel) {
  archive(cancel.key);
}
template <typename Archive>
void CEREAL_SERIALIZE_FUNCTION_NAME(Archive& /*archive*/, HelloMessage& /*hello*/) {}
template <typename Archive>
void CEREAL_SERIALIZE_FUNCTION_NAME(Archive& archive, WorkingMessage& working) {
  archive(working.key, working.known);
}
template <typename Archive>
void CEREAL_SERIALIZE_FUNCTION_NAME(Archive& archive, UpdateMessage& update) {
  archive(update.key, update.update);
}
template <typename Archive>
void CEREAL_SAVE_FUNCTION_NAME(Archive& archive, const TaskFailedMessage& failed) {
  archive(failed.key, failed.attempt, static_cast<std::uint8_t>(failed.code), failed.reason);
}
template <typename Archive>
void CEREAL_LOAD_FUNCTION_NAME(Archive& archive, TaskFailedMessage& failed) {
  std::uint8_t code = 0;
  archive(failed.key, failed.attempt, code, failed.reason);
  failed.code = internal::failure_from(code);
}

template <typename Archive>
void CEREAL_SERIALIZE_FUNCTION_NAME(Archive& archive, InquiryMessage& inquiry) {
  archive(inquiry.client, inquiry.epoch, inquiry.settled, inquiry.undecided, inquiry.sequences);
}
template <typename Archive>
void CEREAL_SAVE_FUNCTION_NAME(Archive& archive, const DecisionMessage& decision) {
  archive(decision.client, decision.epoch, static_cast<std::uint8_t>(decision.agreement), decision.settled,
          decision.newest, decision.fates);
}
template <typename Archive>
void CEREAL_LOAD_FUNCTION_NAME(Archive& archive, DecisionMessage& decision) {
  std::uint8_t agreement = 0;
  archive(decision.client, decision.epoch, agreement, decision.settled, decision.newest, decision.fates);
  if (agreement > static_cast<std::uint8_t>(DecisionMessage::Agreement::kDiffers)) {
    throw cereal::Exception("whether states agree is unknown");
  }
  decision.agreement = static_cast<DecisionMessage::Agreement>(agreement);
}

}  // namespace tributary
