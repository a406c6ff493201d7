# SPDX-License-Identifier: Apache-2.0
# Writes what `git describe` says of the checkout now into a source file, and leaves the file alone if it says so
# already: a build asks each time, and compiles one line where the answer is new.
#
#   cmake -DSOURCE=<checkout> -DOUTPUT=<file.cpp> [-DGIT=<git>] -P revision.cmake
set(revision "")
# Not of a checkout that happens to lie around unpacked sources.
if(GIT AND EXISTS "${SOURCE}/.git")
  # Without a lock: somebody may commit while this builds.
  execute_process(COMMAND "${GIT}" --no-optional-locks -C "${SOURCE}" describe --always --dirty --tags
    OUTPUT_VARIABLE revision OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
endif()
set(text "// SPDX-License-Identifier: Apache-2.0
// Written by cmake/revision.cmake.
#include \"build_information.hpp\"

namespace tributary::cli {

const char* const kRevision = \"${revision}\";

}  // namespace tributary::cli
")
set(before "")
if(EXISTS "${OUTPUT}")
  file(READ "${OUTPUT}" before)
endif()
if(NOT text STREQUAL before)
  file(WRITE "${OUTPUT}" "${text}")
endif()
