// SPDX-License-Identifier: Apache-2.0
// What differs between two configurations, for the message that refuses to go on with another one.
#pragma once

#include <string>
#include <string_view>

#include "tributary/config/configuration.hpp"

namespace tributary::internal {

// "rounds is 20, it was 12; trainer.batch_size is 8, it was 16": every key whose change decides the result. `before` is
// the text of a configuration; empty if nothing can be made out.
[[nodiscard]] std::string describe_changes(std::string_view before, const Configuration& now);

}  // namespace tributary::internal
