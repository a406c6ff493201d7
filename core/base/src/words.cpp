// SPDX-License-Identifier: Apache-2.0
#include "base/words.hpp"

#include <algorithm>
#include <cstddef>
#include <numeric>
#include <utility>
#include <vector>

namespace tributary::internal {
namespace {

// Edits that make b of a: insert, remove, replace a character, swap two neighbours (optimal string alignment). In a
// word of three letters a replaced one makes another word (gpu, cpu) and counts twice.
std::size_t edit_distance(std::string_view a, std::string_view b) {
  static constexpr std::size_t kShort = 3;
  const std::size_t first_replacement = std::max(a.size(), b.size()) <= kShort ? 2 : 1;
  std::vector<std::size_t> before(b.size() + 1);
  std::vector<std::size_t> last(b.size() + 1);
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(last.begin(), last.end(), std::size_t{0});
  for (std::size_t i = 1; i <= a.size(); ++i) {
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t replacement = i == 1 && j == 1 ? first_replacement : 1;
      const std::size_t replaced = last[j - 1] + (a[i - 1] == b[j - 1] ? 0 : replacement);
      row[j] = std::min({replaced, last[j] + 1, row[j - 1] + 1});
      const bool swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
      if (swapped) { row[j] = std::min(row[j], before[j - 2] + 1); }
    }
    std::swap(before, last);
    std::swap(last, row);
  }
  return last[b.size()];
}

}  // namespace

std::string lower(std::string_view text) {
  std::string result(text);
  std::ranges::transform(result, result.begin(),
                         [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  return result;
}

std::string one_of(std::span<const std::string_view> words) {
  std::string result;
  for (std::size_t i = 0; i < words.size(); ++i) {
    result += i == 0 ? "" : i + 1 == words.size() ? " or " : ", ";
    result += words[i];
  }
  return result;
}

std::string_view nearest_word(std::string_view word, std::span<const std::string_view> candidates) {
  static constexpr std::size_t kLongest = 64;
  static constexpr std::size_t kShortestBeginning = 3;
  if (word.empty() || word.size() > kLongest) { return {}; }
  const std::string plain = lower(word);
  std::string_view best;
  std::size_t fewest = kLongest;
  for (const std::string_view candidate : candidates) {
    const std::string other = lower(candidate);
    const bool begins = plain.size() >= kShortestBeginning && other.starts_with(plain);
    const std::size_t edits =
        begins ? std::min<std::size_t>(1, other.size() - plain.size()) : edit_distance(plain, other);
    const std::size_t most = std::max<std::size_t>(1, std::max(word.size(), candidate.size()) / 3);
    if (edits <= most && edits < fewest && edits < candidate.size()) {
      best = candidate;
      fewest = edits;
    }
  }
  return best;
}

}  // namespace tributary::internal
