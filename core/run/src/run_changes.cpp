// SPDX-License-Identifier: Apache-2.0
#include "tributary/run/run_changes.hpp"

#include <cstddef>
#include <string_view>
#include <vector>

#include "config/configuration_changes.hpp"

namespace tributary {

Result<std::string> changes_of_run(FileSystem& files, const std::filesystem::path& run_directory,
                                   const Configuration& now) {
  constexpr std::uint64_t kMost = std::uint64_t{64} << 20U;
  TRIBUTARY_ASSIGN_OR_RETURN(const std::vector<std::byte> bytes,
                             read_file(files, run_directory / "configuration.yaml", kMost));
  return internal::describe_changes({reinterpret_cast<const char*>(bytes.data()), bytes.size()}, now);
}

}  // namespace tributary
