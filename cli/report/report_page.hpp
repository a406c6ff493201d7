// SPDX-License-Identifier: Apache-2.0
// report.html of one run.
#pragma once

#include <string>

#include "report/run_data.hpp"

namespace tributary::cli {

[[nodiscard]] std::string report_page(const RunData& data);

}  // namespace tributary::cli
