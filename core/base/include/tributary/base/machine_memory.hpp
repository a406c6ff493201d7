// SPDX-License-Identifier: Apache-2.0
// How much memory a process may take before the system ends it: asked before a lot is taken, since a system that
// promises more than it has never says no.
//
// Threads: functions for any thread.
#pragma once

#include <cstdint>
#include <string_view>

#include "tributary/base/status.hpp"

namespace tributary {

struct MachineMemory {
  std::uint64_t total = 0;  // of the machine, or of the control group that this process is held to; 0: unknown
  std::uint64_t free = 0;   // what of it can be had now, swap space included; 0: unknown
};

[[nodiscard]] MachineMemory machine_memory();

// kResourceExhausted if `bytes` are more than that: "`what` at least 40 GB of memory, and this machine has ...".
[[nodiscard]] Status check_memory_for(double bytes, std::string_view what, const MachineMemory& memory);

}  // namespace tributary
