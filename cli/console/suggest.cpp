// SPDX-License-Identifier: Apache-2.0
#include "console/suggest.hpp"

#include <algorithm>
#include <cstddef>
#include <vector>

namespace tributary::cli {
namespace {

constexpr std::size_t kLongestWord = 64;

std::string lower(std::string_view text) {
  std::string result(text);
  std::transform(result.begin(), result.end(), result.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  return result;
}

// Optimal string alignment: Levenshtein plus swaps of neighbours.
std::size_t distance(std::string_view a, std::string_view b) {
  std::vector<std::vector<std::size_t>> table(a.size() + 1, std::vector<std::size_t>(b.size() + 1));
  for (std::size_t i = 0; i <= a.size(); ++i) { table[i][0] = i; }
  for (std::size_t j = 0; j <= b.size(); ++j) { table[0][j] = j; }
  for (std::size_t i = 1; i <= a.size(); ++i) {
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t replaced = table[i - 1][j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
      table[i][j] = std::min({table[i - 1][j] + 1, table[i][j - 1] + 1, replaced});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        table[i][j] = std::min(table[i][j], table[i - 2][j - 2] + 1);
      }
    }
  }
  return table[a.size()][b.size()];
}

}  // namespace

std::string nearest(std::string_view given, std::span<const std::string> candidates) {
  if (given.empty() || given.size() > kLongestWord) { return {}; }
  const std::string word = lower(given);
  const std::string* best = nullptr;
  std::size_t best_distance = 1 + std::max<std::size_t>(1, word.size() / 3);
  for (const std::string& candidate : candidates) {
    // The beginning of one word is meant as that word.
    const std::string plain = lower(candidate);
    const std::size_t apart = word.size() > 2 && plain.starts_with(word) ? 1 : distance(word, plain);
    if (apart < best_distance) {
      best = &candidate;
      best_distance = apart;
    }
  }
  return best == nullptr ? std::string() : *best;
}

}  // namespace tributary::cli
