// SPDX-License-Identifier: Apache-2.0
// The tree of a run with what crossed its edges.
#pragma once

#include <string>

#include "report/run_data.hpp"

namespace tributary::cli {

// SVG; the width of an edge follows its bytes. The tree comes from the edge records, else from topology.yaml. Empty if
// the run has neither.
[[nodiscard]] std::string tree_drawing(const RunData& data);

}  // namespace tributary::cli
