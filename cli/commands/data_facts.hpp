// SPDX-License-Identifier: Apache-2.0
// What several commands say of the data: names of classes, and which client holds whose samples.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "tributary/nodes/tree.hpp"
#include "tributary/run/prepared_run.hpp"

namespace tributary::cli {

// "ada, bob, eve and 3 more", safe to print: long lists are cut, --json has them all.
[[nodiscard]] std::string listed(const std::vector<std::string>& names, std::size_t most);

// "data        600 samples, 3 features (age, crp, bp), 2 classes in column y (0: 290, 1: 310); 200 held out", without
// an end of line; empty without data.
[[nodiscard]] std::string data_line(const PreparedRun& composition);

// The same with all names and counts; null without data.
[[nodiscard]] nlohmann::ordered_json data_json(const PreparedRun& composition);

// "ids         berlin to client-0, rome to client-1 and 3 more\n"; empty where samples belong to nobody in particular.
[[nodiscard]] std::string ids_line(const PreparedRun& composition, const Tree& tree);

// By client: its name and ids. An empty list where samples belong to nobody in particular.
[[nodiscard]] nlohmann::ordered_json ids_json(const std::vector<std::vector<std::string>>& client_ids,
                                              const Tree& tree);

}  // namespace tributary::cli
