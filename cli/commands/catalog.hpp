// SPDX-License-Identifier: Apache-2.0
// The names that a configuration may use where it chooses, with a word about each. A test holds them against what the
// configuration accepts.
#pragma once

#include <span>
#include <string>
#include <vector>

namespace tributary::cli {

struct CatalogEntry {
  std::string name;
  std::string summary;
};

struct CatalogSection {
  std::string name;
  std::string key;  // of the configuration; empty where there is none yet
  std::vector<CatalogEntry> entries;
};

// What is no extension: the choices of the configuration itself.
[[nodiscard]] std::span<const CatalogSection> configuration_catalog();

}  // namespace tributary::cli
