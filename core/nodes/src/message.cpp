// SPDX-License-Identifier: Apache-2.0
#include "tributary/nodes/message.hpp"

#include <array>

namespace tributary {
namespace {

// Length and type of a frame, sender and receiver, key: in every message.
constexpr std::size_t kFrameBytes = 40;

template <typename... Visitors>
struct Overloaded : Visitors... {
  using Visitors::operator()...;
};
template <typename... Visitors>
Overloaded(Visitors...) -> Overloaded<Visitors...>;

}  // namespace

std::size_t payload_bytes(const Message& message) noexcept {
  if (const auto* task = std::get_if<TaskMessage>(&message)) {
    std::size_t bytes = task->model ? task->model->size() * sizeof(float) : 0;
    if (task->coded.elements() > 0) { bytes = task->coded.size(); }
    if (task->broadcast) {
      for (const Segment& segment : *task->broadcast) { bytes += segment.payload.size(); }
    }
    return bytes;
  }
  if (const auto* report = std::get_if<UpdateMessage>(&message)) { return report->update.payload_bytes(); }
  return 0;
}

std::size_t control_bytes(const Message& message) noexcept {
  return kFrameBytes + std::visit(Overloaded{
                                      [](const TaskMessage& m) -> std::size_t {
                                        std::size_t bytes = 64;
                                        if (m.broadcast) {
                                          for (const Segment& segment : *m.broadcast) {
                                            bytes += 32 + segment.name.size();
                                          }
                                        }
                                        return bytes;
                                      },
                                      [](const InquiryMessage& m) -> std::size_t {
                                        return 28 + 8 * (m.undecided.size() + m.sequences.size());
                                      },
                                      [](const DecisionMessage& m) -> std::size_t { return 33 + 9 * m.fates.size(); },
                                      [](const AcknowledgeMessage& m) -> std::size_t { return 8 + m.reason.size(); },
                                      [](const TaskFailedMessage& m) -> std::size_t { return 12 + m.reason.size(); },
                                      [](const UpdateMessage& m) -> std::size_t {
                                        std::size_t bytes = 116 + 12 * m.update.members.size();
                                        for (const Segment& segment : m.update.segments) {
                                          bytes += 32 + segment.name.size();
                                        }
                                        for (const auto& [name, sum] : m.update.scalars) { bytes += 32 + name.size(); }
                                        return bytes;
                                      },
                                      [](const auto&) -> std::size_t { return 4; },
                                  },
                                  message);
}

std::string_view name_of(const Message& message) noexcept {
  static constexpr std::array<std::string_view, std::variant_size_v<Message>> kNames{
      "task", "probe", "acknowledge", "cancel", "hello", "working", "update", "task-failed", "inquiry", "decision"};
  return kNames.at(message.index());
}

}  // namespace tributary
