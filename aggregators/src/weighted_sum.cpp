// SPDX-License-Identifier: Apache-2.0
#include "tributary/aggregators/weighted_sum.hpp"

#include <fmt/format.h>

#include <iterator>

namespace tributary {
namespace {

// Names come from the network: so many of them are kept.
constexpr std::size_t kMaxScalars = 64;

}  // namespace

void WeightedSum::begin(const ParameterSpec& spec, const ExactScale& scale) {
  spec_ = &spec;
  sums_.begin(spec.parameters(), scale);
  contributors_ = 0;
  scalars_.clear();
}

Status WeightedSum::add(const Update& update) {
  if (update.fingerprint != spec_->fingerprint()) {
    return invalid_argument(fmt::format("the update is for the model {}..., this federation trains {}...",
                                        update.fingerprint.hex().substr(0, 12),
                                        spec_->fingerprint().hex().substr(0, 12)));
  }
  const Segment* const delta = update.find(kDeltaSegment);
  if (delta == nullptr || update.segments.size() != 1) {
    return invalid_argument(fmt::format("a weighted sum takes the segment \"{}\" alone", kDeltaSegment));
  }
  if (update.contributors == 0) { return invalid_argument("an update without contributors"); }
  TRIBUTARY_RETURN_IF_ERROR(delta->payload.encoding() == Encoding::kFloat32
                                ? sums_.add(delta->payload.values(), update.weight)
                                : sums_.add(delta->payload, update.weight));
  contributors_ += update.contributors;
  for (const auto& [name, sum] : update.scalars) {
    scalars_[name].add(sum);
    // The smallest names stay: those are the same in any order and tree.
    if (scalars_.size() > kMaxScalars) { scalars_.erase(std::prev(scalars_.end())); }
  }
  return {};
}

Update WeightedSum::forward() const {
  Update update;
  update.fingerprint = spec_->fingerprint();
  update.weight = sums_.weight();
  update.contributors = contributors_;
  update.scalars = scalars_;
  update.segments.push_back({std::string(kDeltaSegment), sums_.encode()});
  return update;
}

}  // namespace tributary
