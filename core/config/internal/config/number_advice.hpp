// SPDX-License-Identifier: Apache-2.0
// How to write a number that was written for people, or for another country.
//
// Threads: functions of their arguments only.
#pragma once

#include <string>
#include <string_view>

namespace tributary::internal {

// "write it without separators of thousands: 39081.43" for "39,081.43"; empty for what is no such number.
[[nodiscard]] std::string number_advice(std::string_view text);

}  // namespace tributary::internal
