// SPDX-License-Identifier: Apache-2.0
// What a federation keeps in CheckpointState::extra.
#pragma once

#include <string_view>

namespace tributary::internal::checkpoint_keys {

// Of a checkpoint's state: the run had reached its goal.
inline constexpr const char* kStoppedKey = "stopped";
inline constexpr const char* kTasksKey = "tasks";
// Beside a world: versions of the checkpoints that were kept before this one, and what the root was told last.
inline constexpr const char* kKeptKey = "kept_versions";
inline constexpr const char* kDurableKey = "durable_version";
// The name under which states of clients were prepared.
inline constexpr const char* kClientStatesKey = "client_states";
// Of a checkpoint's state: before the keys of input files.
inline constexpr std::string_view kInputPrefix = "input:";

}  // namespace tributary::internal::checkpoint_keys
