// SPDX-License-Identifier: Apache-2.0
// What the attributes of a node may be. Each check answers with what is wrong ("must be ..., got ..."), or nothing.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "tributary/nodes/tree.hpp"

namespace tributary::internal {

[[nodiscard]] std::string site_problem(std::string_view site);
[[nodiscard]] std::string address_problem(std::string_view address);
[[nodiscard]] std::string device_problem(std::string_view device);
[[nodiscard]] std::string transport_problem(std::string_view transport);
[[nodiscard]] std::string rank_problem(std::uint64_t rank);
[[nodiscard]] std::string rate_problem(double bytes_per_second);
[[nodiscard]] std::string latency_problem(std::chrono::nanoseconds latency);
// Of an extra attribute: its key, or its value, which may be empty.
[[nodiscard]] std::string extra_key_problem(std::string_view key);
[[nodiscard]] std::string extra_value_problem(std::string_view value);

// The first problem of any attribute but the name: "site must be ...".
[[nodiscard]] std::string attributes_problem(const NodeAttributes& attributes);
// Whether anything but a name is said.
[[nodiscard]] bool says_something(const NodeAttributes& attributes);

}  // namespace tributary::internal
