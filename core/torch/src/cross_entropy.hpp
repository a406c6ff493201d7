// SPDX-License-Identifier: Apache-2.0
// The loss of one sample and its gradient, in place.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <span>

namespace tributary::internal {

struct RowLoss {
  double loss = 0.0;
  std::size_t best = 0;  // the likeliest class; the first of equals. No class where a logit is not a number
};

// Turns a sample's logits into the gradient of scale * cross-entropy: scale * (softmax - 1 at the label).
inline RowLoss cross_entropy_gradient(std::span<float> logits, std::size_t label, float scale) {
  RowLoss row;
  row.best = static_cast<std::size_t>(std::max_element(logits.begin(), logits.end()) - logits.begin());
  const float top = logits[row.best];
  const float at_label = logits[label] - top;
  float sum = 0.0F;
  for (float& logit : logits) { sum += logit = std::exp(logit - top); }
  for (float& logit : logits) { logit /= sum; }
  logits[label] -= 1.0F;
  for (float& logit : logits) { logit *= scale; }
  row.loss = std::log(static_cast<double>(sum)) - static_cast<double>(at_label);
  return row;
}

// The loss and the likeliest class alone.
inline RowLoss cross_entropy(std::span<const float> logits, std::size_t label) {
  RowLoss row;
  row.best = static_cast<std::size_t>(std::max_element(logits.begin(), logits.end()) - logits.begin());
  const float top = logits[row.best];
  float sum = 0.0F;
  for (const float logit : logits) { sum += std::exp(logit - top); }
  row.loss = std::log(static_cast<double>(sum)) - static_cast<double>(logits[label] - top);
  // Such a logit is above none and below none: the order of the classes would decide.
  if (std::isnan(row.loss) && std::any_of(logits.begin(), logits.end(), [](float x) { return std::isnan(x); })) {
    row.best = logits.size();
  }
  return row;
}

}  // namespace tributary::internal
