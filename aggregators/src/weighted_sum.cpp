// SPDX-License-Identifier: Apache-2.0
#include "tributary/aggregators/weighted_sum.hpp"

#include <fmt/format.h>

#include <iterator>
#include <optional>

#include "tributary/nodes/client_update.hpp"

namespace tributary {
namespace {

// Names the tensor of the first value that the sums cannot hold; `refused` as it is if all can be held.
Status explain(const Status& refused, const ParameterSpec& spec, std::span<const float> values,
               const ExactAccumulator& sums) {
  if (refused.ok() || values.size() != spec.parameters()) { return refused; }
  const std::optional<std::size_t> bad = sums.find_unfit(values);
  if (!bad) { return refused; }
  return bad_data(
      fmt::format("the change of tensor {} holds {}, and the sums of this tree take at most {}: training diverged (a "
                  "lower learning "
                  "rate helps), or the model's numbers are large (scale the inputs, or set algorithm.precision: "
                  "compact, which takes "
                  "values up to 2^30)",
                  spec.tensor_at(*bad).name, static_cast<double>(values[*bad]), sums.scale().value_bound));
}

}  // namespace

void WeightedSum::begin(const ParameterSpec& spec, const ExactScale& scale) {
  spec_ = &spec;
  sums_.begin(spec.parameters(), scale, second_moments(spec));
  contributors_ = 0;
  scalars_.clear();
}

Status WeightedSum::add(const Update& update, std::uint32_t factor) {
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
  if (update.scalars.size() > kMostScalars) {
    return invalid_argument(
        fmt::format("an update with {} metrics: at most {} are carried", update.scalars.size(), kMostScalars));
  }
  const Payload& payload = delta->payload;
  TRIBUTARY_RETURN_IF_ERROR(
      payload.encoding() == Encoding::kFloat32
          ? explain(sums_.add(payload.values(), update.weight, factor), *spec_, payload.values(), sums_)
          : sums_.add(payload, update.weight, factor));
  contributors_ += update.contributors;
  for (const auto& [name, sum] : update.scalars) {
    scalars_[name].add(sum);
    // Names come from the network. The smallest stay: those are the same in any order and tree.
    if (scalars_.size() > kMostScalars) { scalars_.erase(std::prev(scalars_.end())); }
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
