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
// Whether a text is a square of zeros and ones between spaces, as numpy's savetxt writes it. No edge list is: of two
// lines "0 1" or "1 0" and the like one would make a node its own parent, or both each other's.
[[nodiscard]] bool is_matrix(std::string_view text);
[[nodiscard]] RawTopology read_matrix(std::string_view text, IssueList& issues);

}  // namespace tributary::internal
