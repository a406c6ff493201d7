// SPDX-License-Identifier: Apache-2.0
#include "tributary/base/machine_memory.hpp"

#include <gtest/gtest.h>

namespace tributary {
namespace {

TEST(MachineMemory, IsKnownOnLinux) {
  const MachineMemory memory = machine_memory();

  EXPECT_GT(memory.total, std::uint64_t{1} << 24U);
  EXPECT_GT(memory.free, 0U);
}

TEST(MachineMemory, RefusesWhatItCannotHold) {
  const MachineMemory memory{.total = 8'000'000'000, .free = 3'000'000'000};

  EXPECT_EQ(check_memory_for(3e9, "it takes", memory), ok_status());
  EXPECT_EQ(check_memory_for(4e9, "it takes", memory),
            resource_exhausted(
                "it takes at least 4.00 GB of memory, and this machine has 8.00 GB, of which 3.00 GB can be had "
                "now"));
  EXPECT_EQ(check_memory_for(9e9, "it takes", {.total = 8'000'000'000, .free = 0}),
            resource_exhausted("it takes at least 9.00 GB of memory, and this machine has 8.00 GB"));
  EXPECT_EQ(check_memory_for(1e18, "it takes", {}), ok_status());
}

}  // namespace
}  // namespace tributary
