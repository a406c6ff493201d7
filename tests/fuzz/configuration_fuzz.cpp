// SPDX-License-Identifier: Apache-2.0
// Any bytes as a configuration, followed by any overrides, separated by zero bytes: no crash, an error that says
// something, or a configuration that reads back as what it is.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "tributary/config/configuration.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  std::vector<std::string> parts;
  for (std::size_t start = 0; start <= input.size();) {
    const std::size_t end = std::min(input.find('\0', start), input.size());
    parts.emplace_back(input.substr(start, end - start));
    start = end + 1;
  }
  const std::string text = parts.empty() ? std::string() : parts.front();
  if (!parts.empty()) { parts.erase(parts.begin()); }

  const auto configuration = tributary::parse_configuration(text, "fuzz.yaml", parts);
  if (!configuration.ok()) {
    if (configuration.status().message().empty()) { std::abort(); }
    return 0;
  }
  const auto again = tributary::parse_configuration(tributary::print_configuration(*configuration), "printed.yaml");
  if (!again.ok() || *again != *configuration) { std::abort(); }
  return 0;
}
