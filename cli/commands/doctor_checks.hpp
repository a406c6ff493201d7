// SPDX-License-Identifier: Apache-2.0
// What `tributary doctor` looks at, one function per subject.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace tributary::cli {

struct Check {
  enum class Level : std::uint8_t { kOk, kNote, kWarning };
  std::string subject;
  Level level = Level::kOk;
  std::string value;   // what was found
  std::string advice;  // of a warning: what to do
};

[[nodiscard]] std::string_view to_string(Check::Level level) noexcept;

struct DoctorOptions {
  bool measure = true;          // time a matrix product
  std::string directory = ".";  // whose disk is looked at
};

// All of them, in the order in which they are printed. Nothing here fails: what cannot be found out is a note.
[[nodiscard]] std::vector<Check> examine_machine(const DoctorOptions& options);

// Whether a resolved library file is Debian's reference BLAS or LAPACK, which is many times slower than others.
[[nodiscard]] bool is_reference_blas(std::string_view file) noexcept;
// "Open MPI 4.1.4" from the first line of `mpirun --version`; empty if it says something else.
[[nodiscard]] std::string mpi_name(std::string_view first_line);

}  // namespace tributary::cli
