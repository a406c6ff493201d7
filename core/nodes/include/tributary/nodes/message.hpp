// SPDX-License-Identifier: Apache-2.0
// The closed set of messages between a node and its parent. Tensors are named by reference (Payload, ModelValues): a
// driver moves them on its data plane.
//
//   parent -> child   Task, Probe, Acknowledge, Cancel
//   child -> parent   Hello, Working, UpdateReport, TaskFailed
//
// Every message is safe to lose, repeat and reorder: the asking side probes, the answering side repeats until it is
// acknowledged, and (incarnation, number) tells the present from the past.
// Threads: values.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <variant>

#include "tributary/base/ids.hpp"
#include "tributary/base/status.hpp"
#include "tributary/nodes/trainer.hpp"
#include "tributary/nodes/update.hpp"

namespace tributary {

// Names one piece of work: which incarnation of the parent asked for it, and the number it gave it, which is that of
// its round, or counts its tasks where those outlive rounds. Later keys replace earlier ones; a parent that restarts
// from a checkpoint repeats numbers under a higher incarnation.
struct TaskKey {
  std::uint32_t incarnation = 0;
  std::uint64_t number = 0;
  friend auto operator<=>(const TaskKey&, const TaskKey&) = default;
};

struct TaskMessage {
  TaskKey key;
  Attempt attempt;
  Version version;     // of `model`, at the parent
  Round global_round;  // for schedules
  // The newest of the child's updates that the parent has counted or refused. One that is older than `key` and newer
  // than this will never be counted: its sender may put it into the next. Told to aggregators; {0, 0}: none.
  TaskKey decided;
  ModelValues model;
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

using Message = std::variant<TaskMessage, ProbeMessage, AcknowledgeMessage, CancelMessage, HelloMessage, WorkingMessage,
                             UpdateMessage, TaskFailedMessage>;

// Bytes of tensors that a message refers to.
[[nodiscard]] std::size_t payload_bytes(const Message& message) noexcept;
// Bytes on the control plane, as counted in records: fixed fields plus texts and scalars.
[[nodiscard]] std::size_t control_bytes(const Message& message) noexcept;
[[nodiscard]] std::string_view name_of(const Message& message) noexcept;

}  // namespace tributary
