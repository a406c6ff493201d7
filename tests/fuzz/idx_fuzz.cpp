// SPDX-License-Identifier: Apache-2.0
// Any bytes as an IDX file, plain or gzip: what is accepted has as many values as its shape says.
#include <cstdlib>

#include "idx.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto array = tributary::parse_idx(std::as_bytes(std::span(data, size)), "fuzz");
  if (!array.ok()) { return 0; }
  std::size_t elements = 1;
  for (const std::int64_t dimension : array->shape) { elements *= static_cast<std::size_t>(dimension); }
  if (elements != array->values.size()) { std::abort(); }
  return 0;
}
