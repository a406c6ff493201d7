// SPDX-License-Identifier: Apache-2.0
#include "class_labels.hpp"

namespace tributary::internal {

bool is_regression_target(const LabelFacts& facts) noexcept {
  constexpr std::size_t kMany = 100;
  constexpr std::size_t kSome = 10;
  constexpr std::size_t kSomeWhole = 20;
  if (facts.has_fraction) {
    return facts.values > kMany || (facts.values >= kSome && facts.samples < 3 * facts.values);
  }
  const double range = facts.greatest - facts.least + 1.0;
  return facts.values > kSomeWhole && facts.samples < 3 * facts.values &&
         range > 2.0 * static_cast<double>(facts.values);
}

}  // namespace tributary::internal
