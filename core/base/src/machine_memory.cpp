// SPDX-License-Identifier: Apache-2.0
#include "tributary/base/machine_memory.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string>

#include "tributary/base/human.hpp"

namespace tributary {
namespace {

// "max", which stands for no limit, is no number.
std::optional<std::uint64_t> number_in(const std::filesystem::path& file) {
  std::ifstream stream(file);
  std::uint64_t number = 0;
  if (!(stream >> number)) { return std::nullopt; }
  return number;
}

// The least of the limits of this process's control group and of those around it.
std::optional<std::uint64_t> limit_of_control_groups() {
  static const std::filesystem::path kRoot = "/sys/fs/cgroup";
  std::optional<std::uint64_t> least;
  const auto take = [&least](const std::filesystem::path& file) {
    if (const std::optional<std::uint64_t> limit = number_in(file)) {
      least = std::min(least.value_or(*limit), *limit);
    }
  };
  take(kRoot / "memory" / "memory.limit_in_bytes");  // of the first version of control groups
  std::ifstream groups("/proc/self/cgroup");
  for (std::string line; std::getline(groups, line);) {
    static constexpr std::string_view kSecondVersion = "0::/";
    if (!line.starts_with(kSecondVersion)) { continue; }
    std::filesystem::path group = line.substr(kSecondVersion.size());
    for (; !group.empty(); group = group.parent_path()) { take(kRoot / group / "memory.max"); }
    take(kRoot / "memory.max");
  }
  return least;
}

// Of /proc/meminfo, which counts in KiB.
std::uint64_t bytes_of(std::string_view wanted) {
  std::ifstream facts("/proc/meminfo");
  for (std::string line; std::getline(facts, line);) {
    if (!line.starts_with(wanted)) { continue; }
    const std::size_t first = std::min(line.find_first_not_of(" :", wanted.size()), line.size());
    std::uint64_t number = 0;
    std::from_chars(line.data() + first, line.data() + line.size(), number);
    return number * 1024;
  }
  return 0;
}

}  // namespace

MachineMemory machine_memory() {
  MachineMemory memory;
  const auto pages = static_cast<std::int64_t>(::sysconf(_SC_PHYS_PAGES));
  const auto size = static_cast<std::int64_t>(::sysconf(_SC_PAGESIZE));
  if (pages > 0 && size > 0) { memory.total = static_cast<std::uint64_t>(pages) * static_cast<std::uint64_t>(size); }
  const std::uint64_t available = bytes_of("MemAvailable");
  memory.free = available == 0 ? 0 : available + bytes_of("SwapFree");
  if (const std::optional<std::uint64_t> limit = limit_of_control_groups()) {
    memory.total = std::min(memory.total, *limit);
    memory.free = std::min(memory.free, *limit);
  }
  return memory;
}

Status check_memory_for(double bytes, std::string_view what, const MachineMemory& memory) {
  const std::uint64_t most = memory.free > 0 ? memory.free : memory.total;
  if (most == 0 || bytes <= static_cast<double>(most)) { return ok_status(); }
  const std::string of_which =
      memory.free > 0 ? fmt::format(", of which {} can be had now", human_bytes(static_cast<double>(memory.free))) : "";
  return resource_exhausted(fmt::format("{} at least {} of memory, and this machine has {}{}", what, human_bytes(bytes),
                                        human_bytes(static_cast<double>(memory.total)), of_which));
}

}  // namespace tributary
