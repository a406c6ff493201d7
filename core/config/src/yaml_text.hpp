// SPDX-License-Identifier: Apache-2.0
// Values as YAML text, and user's text inside messages.
//
// Threads: pure functions.
#pragma once

#include <string>
#include <string_view>

#include "config/yaml_document.hpp"

namespace tributary::internal::config {

// In double quotes, with escapes for whatever is not printable.
[[nodiscard]] std::string quoted(std::string_view text);

// As it is where every YAML reader takes it for this same text, in double quotes otherwise.
[[nodiscard]] std::string scalar(std::string_view text);

// For messages: at most 60 bytes, quoted if it holds anything but printable ASCII.
[[nodiscard]] std::string excerpt(std::string_view text);

// For messages: the value as its author wrote it, or "a list", "a map", "nothing".
[[nodiscard]] std::string describe(const YamlNode& node);

// `{key: value}` in flow style, every word on its own line and, where brackets leave room, in its own column, so that
// whoever reads it later names the right place. Starts on the line of the key, after the first column. Writing what
// this text is read as gives this text again.
[[nodiscard]] std::string placed_text(const YamlEntry& entry);

}  // namespace tributary::internal::config
