// SPDX-License-Identifier: Apache-2.0
// The sections of a report about processes and the edges between them.
#pragma once

#include "report/page.hpp"
#include "report/run_data.hpp"

namespace tributary::cli {

// What each process did: one row of a table; where there are several, also how their time is made up, and who was lost.
void processes_section(Page& page, const RunData& data);

// The edges that were waited for longest, and those whose payloads took longest to send. Nothing if no driver measured.
void slow_edges_section(Page& page, const RunData& data);

}  // namespace tributary::cli
