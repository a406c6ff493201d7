// SPDX-License-Identifier: Apache-2.0
// One function per format: text to nodes and edges as written. Mistakes go to `issues`; what can be read is returned,
// so that all mistakes of a file are found at once.
#pragma once

#include <string_view>

#include "assembler.hpp"
#include "document.hpp"
#include "issues.hpp"

namespace tributary::internal {

// The structure of docs/topology.md, "The file".
[[nodiscard]] RawTopology read_document(const Document& document, IssueList& issues);
[[nodiscard]] RawTopology read_edges(std::string_view text, IssueList& issues);
[[nodiscard]] RawTopology read_matrix(std::string_view text, IssueList& issues);

}  // namespace tributary::internal
