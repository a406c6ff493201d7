// SPDX-License-Identifier: Apache-2.0
// What an inner node was told that decides what it commits, in the order in which it was told.
//
// In real time that order depends on the machine. With it, and the configuration, a run can be repeated to the same
// bits: everything else that a node does follows. Not told are messages that changed nothing, such as repeated ones.
// Threads: a value.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "tributary/base/ids.hpp"
#include "tributary/base/status.hpp"
#include "tributary/nodes/message.hpp"

namespace tributary {

struct NodeInput {
  enum class Kind : std::uint8_t {
    kTask,          // of its parent, which it begins
    kStop,          // its parent does not want the task any more
    kUpdate,        // of a child, which is counted or refused
    kFailed,        // the child says that it cannot
    kLost,          // the child is silent
    kReturned,      // a child that was lost answers again
    kForgotten,     // the child does not know its task, which is given once more
    kDeadline,      // of what it gathers has passed
    kHardDeadline,  // likewise
    kPublished      // the root's model, so that the next may be
  };
  static constexpr Kind kLastKind = Kind::kPublished;

  Kind kind = Kind::kTask;
  NodeId peer;              // of whom it is; where there is none, the node itself
  TaskKey key;              // of the task, where it is about one
  std::uint64_t value = 0;  // attempt of a failure; of kPublished: the version that is durable
  bool stop = false;        // of kPublished: the run is to end
  friend bool operator==(const NodeInput&, const NodeInput&) = default;
};

[[nodiscard]] std::string_view to_string(NodeInput::Kind kind) noexcept;
// Marks the text of an input that is about a task to evaluate: its last word.
inline constexpr std::string_view kEvaluateInput = "evaluate";
// One line without spaces at its ends, and back. kBadData: another text.
[[nodiscard]] std::string to_text(const NodeInput& input);
Result<NodeInput> input_from_text(std::string_view text);

}  // namespace tributary
