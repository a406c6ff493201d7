// SPDX-License-Identifier: Apache-2.0
// The JSON header of a safetensors file, read event by event: no tree is built, and its depth is fixed.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "tributary/data/safetensors.hpp"

namespace tributary::internal {

struct SafetensorsHeader {
  std::vector<SafetensorsTensor> tensors;  // in the order of the text; shapes and sizes agree
  SafetensorsMetadata metadata;
};

// `file` stands in messages. kBadData: everything that the format forbids in a header taken alone.
Result<SafetensorsHeader> parse_safetensors_header(std::string_view text, const std::string& file);

}  // namespace tributary::internal
