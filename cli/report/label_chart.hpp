// SPDX-License-Identifier: Apache-2.0
// How labels are spread over clients, as pictures for the report.
#pragma once

#include <string>

#include "report/run_data.hpp"

namespace tributary::cli {

// A heat map of clients and classes with the clients' sizes above it; of more than 64 clients an even selection,
// together with the range of each class over all of them. Empty if the run says nothing about labels.
[[nodiscard]] std::string label_charts(const RunData& data);

}  // namespace tributary::cli
