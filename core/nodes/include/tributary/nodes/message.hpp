// SPDX-License-Identifier: Apache-2.0
// The closed set of messages between a node and its parent. Tensors are named by reference (Payload, ModelValues): a
// driver moves them on its data plane.
//
//   parent -> child   Task, Probe, Acknowledge, Cancel, Decision
//   child -> parent   Hello, Working, UpdateReport, TaskFailed, Inquiry
//
// Every message is safe to lose, repeat and reorder: the asking side probes, the answering side repeats until it is
// acknowledged, and (incarnation, number) tells the present from the past.
// Threads: values.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "tributary/base/ids.hpp"
#include "tributary/base/status.hpp"
#include "tributary/nodes/client_state.hpp"
#include "tributary/nodes/trainer.hpp"
#include "tributary/nodes/update.hpp"

namespace tributary {

enum class TaskKind : std::uint8_t {
  kTrain = 0,    // train from the model, and send what it has changed
  kEvaluate = 1  // measure the model on the samples that are held out for that, and send what came out
};
inline constexpr TaskKind kLastTaskKind = TaskKind::kEvaluate;

// Names one piece of work: which incarnation of the parent asked for it, the number it gave it, which is that of its
// round, or counts its tasks where those outlive rounds, and its kind. Later keys replace earlier ones: what a round
// has made is evaluated after it and before the next. A parent that restarts from a checkpoint repeats numbers under a
// higher incarnation.
struct TaskKey {
  std::uint32_t incarnation = 0;
  std::uint64_t number = 0;
  TaskKind kind = TaskKind::kTrain;
  friend auto operator<=>(const TaskKey&, const TaskKey&) = default;
};

// What a method sends beside the model, of the same version. Null: nothing.
using Broadcast = std::shared_ptr<const std::vector<Segment>>;

struct TaskMessage {
  TaskKey key;
  Attempt attempt;
  Version version;     // of `model`, at the parent
  Round global_round;  // for schedules
  // The newest of the child's updates that the parent has counted or refused. One that is older than `key` and newer
  // than this will never be counted: its sender may put it into the next. Told to aggregators; {0, 0}: none.
  TaskKey decided;
  ModelValues model;
  Payload coded;        // `model` as it travels where the edge has a codec; without elements: as floats
  Broadcast broadcast;  // what goes with the model
  // Of the states of clients: those of another are forgotten. 0: the method keeps none.
  std::uint64_t epoch = 0;
  bool evaluate_first = false;
  std::chrono::nanoseconds remaining{0};  // until the parent closes the round; 0: no deadline
};

// "I have not heard from you about this."
struct ProbeMessage {
  TaskKey key;
};

// Answers an UpdateReport or a TaskFailed: it needs no repeating.
struct AcknowledgeMessage {
  TaskKey key;
  bool accepted = false;
  std::string reason;  // if not accepted
};

// The round closed without this child, or the task is no longer wanted.
struct CancelMessage {
  TaskKey key;
};

// "I have just started and know nothing": the parent hands its open task out again.
struct HelloMessage {};

// Answers a Probe. Not `known`: the task must be sent again.
struct WorkingMessage {
  TaskKey key;
  bool known = false;
};

struct UpdateMessage {
  TaskKey key;
  Update update;
};

struct TaskFailedMessage {
  TaskKey key;
  Attempt attempt;
  Code code = Code::kInternal;
  std::string reason;
};

// "What has become of these increments of mine?" A client asks before it trains; aggregators answer for what they hold,
// and pass the rest on towards the owner of the state.
struct InquiryMessage {
  NodeId client;
  std::uint64_t epoch = 0;
  std::uint64_t settled = 0;             // the last that the client knows to be counted; 0: none
  std::vector<std::uint64_t> undecided;  // all that it does not know of, in ascending order
  std::vector<std::uint64_t> sequences;  // those of them that it asks about
};

// Answers an Inquiry, or a part of it.
struct DecisionMessage {
  NodeId client;
  std::uint64_t epoch = 0;
  // Of the owner: whether it has counted for this client just what the client says; kUnknown: of an aggregator.
  enum class Agreement : std::uint8_t { kUnknown = 0, kAgrees = 1, kDiffers = 2 };
  Agreement agreement = Agreement::kUnknown;
  // Of the claim that this is about: what was settled, and the newest increment.
  std::uint64_t settled = 0;
  std::uint64_t newest = 0;
  std::vector<SequenceFate> fates;
};

using Message = std::variant<TaskMessage, ProbeMessage, AcknowledgeMessage, CancelMessage, HelloMessage, WorkingMessage,
                             UpdateMessage, TaskFailedMessage, InquiryMessage, DecisionMessage>;

// Bytes of tensors that a message refers to.
[[nodiscard]] std::size_t payload_bytes(const Message& message) noexcept;
// Bytes on the control plane, as counted in records: fixed fields plus texts and scalars.
[[nodiscard]] std::size_t control_bytes(const Message& message) noexcept;
[[nodiscard]] std::string_view name_of(const Message& message) noexcept;

}  // namespace tributary
