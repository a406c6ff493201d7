// SPDX-License-Identifier: Apache-2.0
#include "tributary/aggregators/weighted_sum.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "nodes/update_parts.hpp"
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

Status explain_increment(const Status& refused, const std::string& name, const Payload& payload,
                         const ParameterSpec& spec, const ExactAccumulator& sums) {
  const std::span<const float> values = payload.is_vector() ? payload.values() : std::span<const float>();
  const std::optional<std::size_t> bad =
      values.size() == spec.parameters() ? sums.find_unfit(values) : std::optional<std::size_t>();
  if (!bad) { return refused.with_context(name); }
  return bad_data(
      fmt::format("the increment \"{}\" of tensor {} holds {}, and the sums of this tree take at most {}: training "
                  "diverged, or steps "
                  "are so small that their gradient is not known; another learning rate helps",
                  name, spec.tensor_at(*bad).name, static_cast<double>(values[*bad]), sums.scale().value_bound));
}

}  // namespace

void WeightedSum::begin(const ParameterSpec& spec, const ExactScale& scale, const IncrementSegments& increments) {
  spec_ = &spec;
  sums_.begin(spec.parameters(), scale, second_moments(spec));
  std::erase_if(increments_, [&](const auto& entry) { return std::ranges::count(increments.names, entry.first) == 0; });
  for (const std::string& name : increments.names) { increments_[name].begin(spec.parameters(), increments.scale); }
  contributors_ = 0;
  scalars_.clear();
}

Status WeightedSum::add(const Update& update, std::uint32_t factor) {
  TRIBUTARY_RETURN_IF_ERROR(internal::check_parts(*spec_, update));
  if (update.find(kDeltaSegment) == nullptr || update.segments.size() != 1 + increments_.size()) {
    std::string names = fmt::format("\"{}\"", kDeltaSegment);
    for (const auto& [name, sums] : increments_) { names += fmt::format(" and \"{}\"", name); }
    return invalid_argument(fmt::format("a weighted sum takes {} alone", names));
  }
  for (const auto& [name, sums] : increments_) {
    if (update.find(name) == nullptr) { return invalid_argument(fmt::format("an update without \"{}\"", name)); }
  }
  TRIBUTARY_RETURN_IF_ERROR(add_payloads(update, factor));
  contributors_ += update.contributors;
  internal::add_scalars(update, scalars_);
  return {};
}

// All of its segments or none: what one of the sums cannot hold, none of them holds.
Status WeightedSum::add_payloads(const Update& update, std::uint32_t factor) {
  const auto weight_of = [&update](const Segment& segment) {
    return segment.weight.zero() ? update.weight : segment.weight;
  };
  for (auto& [name, sums] : increments_) {
    const Segment& segment = *update.find(name);
    const Status fits = sums.check(segment.payload, weight_of(segment));
    if (!fits.ok()) { return explain_increment(fits, name, segment.payload, *spec_, sums); }
  }
  const Payload& delta = update.find(kDeltaSegment)->payload;
  TRIBUTARY_RETURN_IF_ERROR(
      delta.is_vector() ? explain(sums_.add(delta.values(), update.weight, factor), *spec_, delta.values(), sums_)
                        : sums_.add(delta, update.weight, factor));
  for (auto& [name, sums] : increments_) {
    const Segment& segment = *update.find(name);
    // Checked above.
    [[maybe_unused]] const Status added = segment.payload.is_vector()
                                              ? sums.add(segment.payload.values(), weight_of(segment))
                                              : sums.add(segment.payload, weight_of(segment));
  }
  return {};
}

std::vector<Update> WeightedSum::gathered() const {
  if (contributors_ == 0) { return {}; }
  return {forward()};
}

Status WeightedSum::restore(std::span<const Update> gathered) {
  if (gathered.empty()) { return {}; }
  const Update& sums = gathered.front();
  TRIBUTARY_RETURN_IF_ERROR(internal::check_parts(*spec_, sums));
  const Segment* const delta = sums.find(kDeltaSegment);
  if (gathered.size() != 1 || delta == nullptr || sums.segments.size() != 1 + increments_.size()) {
    return bad_data("these are not the sums of this rule");
  }
  TRIBUTARY_RETURN_IF_ERROR(sums_.restore(delta->payload, sums.weight));
  for (auto& [name, increment] : increments_) {
    const Segment* const segment = sums.find(name);
    if (segment == nullptr) { return bad_data(fmt::format("these sums are without \"{}\"", name)); }
    TRIBUTARY_RETURN_IF_ERROR(increment.restore(segment->payload, segment->weight));
  }
  contributors_ = sums.contributors;
  scalars_ = sums.scalars;
  return {};
}

Update WeightedSum::forward() const {
  Update update;
  update.fingerprint = spec_->fingerprint();
  update.weight = sums_.weight();
  update.contributors = contributors_;
  update.scalars = scalars_;
  update.segments.push_back({std::string(kDeltaSegment), sums_.encode()});
  for (Segment& segment : increments()) { update.segments.push_back(std::move(segment)); }
  return update;
}

std::vector<Segment> WeightedSum::increments() const {
  std::vector<Segment> segments;
  for (const auto& [name, sums] : increments_) { segments.push_back({name, sums.encode(), sums.weight()}); }
  return segments;
}

void WeightedSum::visit_increments(std::string_view name,
                                   const std::function<void(std::size_t, std::span<const double>)>& visit) const {
  increments_.find(name)->second.sums(visit);
}

}  // namespace tributary
