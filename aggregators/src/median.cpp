// SPDX-License-Identifier: Apache-2.0
#include "tributary/aggregators/median.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <memory>

#include "nodes/update_parts.hpp"
#include "tributary/nodes/client_update.hpp"
#include "tributary/nodes/finite.hpp"

namespace tributary {
namespace {

// Values whose medians are handed on together.
constexpr std::size_t kPart = 4096;

// The mean of what a child has summed, as a change of the model.
Result<std::shared_ptr<const std::vector<float>>> mean_of(const Payload& payload, Weight weight,
                                                          const ParameterSpec& spec, const ExactScale& scale,
                                                          const std::vector<SecondMoments>& moments) {
  ExactAccumulator sums;
  sums.begin(spec.parameters(), scale, moments);
  TRIBUTARY_RETURN_IF_ERROR(sums.add(payload, weight));
  std::vector<double> means(spec.parameters());
  sums.mean([&means](std::size_t offset, std::span<const double> part) {
    std::ranges::copy(part, means.begin() + static_cast<std::ptrdiff_t>(offset));
  });
  for (const SecondMoments& moment : moments) {
    for (std::size_t i = 0; i < moment.count; ++i) {
      const double mean = means[moment.mean + i];
      means[moment.at + i] = means[moment.at + i] / SecondMoments::kUnit - mean * mean;
    }
  }
  auto change = std::make_shared<std::vector<float>>(means.size());
  std::ranges::transform(means, change->begin(), [](double mean) { return static_cast<float>(mean); });
  return std::shared_ptr<const std::vector<float>>(std::move(change));
}

}  // namespace

void CoordinateMedian::begin(const ParameterSpec& spec, const ExactScale& scale,
                             const IncrementSegments& /*increments*/) {
  spec_ = &spec;
  scale_ = scale;
  moments_ = second_moments(spec);
  changes_.clear();
  contributors_ = 0;
  weight_ = {};
  scalars_.clear();
}

Status CoordinateMedian::add(const Update& update, std::uint32_t /*factor*/) {
  TRIBUTARY_RETURN_IF_ERROR(internal::check_parts(*spec_, update));
  if (update.segments.size() != 1 || update.segments.front().name != kDeltaSegment) {
    return invalid_argument(fmt::format("a median takes \"{}\" alone", kDeltaSegment));
  }
  if (update.weight.zero()) { return invalid_argument("an update without weight"); }
  const Payload& payload = update.segments.front().payload;
  std::shared_ptr<const std::vector<float>> change = payload.shared_floats();
  if (!payload.is_vector()) {
    TRIBUTARY_ASSIGN_OR_RETURN(change, mean_of(payload, update.weight, *spec_, scale_, moments_));
  }
  if (!change || change->size() != spec_->parameters()) {
    return invalid_argument(
        fmt::format("a change of {} values for a model of {}", payload.elements(), spec_->parameters()));
  }
  if (!all_finite(*change)) { return bad_data("of the change, " + describe_not_finite(*spec_, *change)); }
  changes_.push_back(std::move(change));
  contributors_ += update.contributors;
  weight_ = weight_ + update.weight;
  internal::add_scalars(update, scalars_);
  return {};
}

// The first says what belongs to all of them.
std::vector<Update> CoordinateMedian::gathered() const {
  std::vector<Update> updates(changes_.size());
  for (std::size_t i = 0; i < updates.size(); ++i) {
    updates[i].fingerprint = spec_->fingerprint();
    updates[i].segments.push_back({std::string(kDeltaSegment), Payload::floats(changes_[i]), {}});
  }
  if (updates.empty()) { return updates; }
  updates.front().weight = weight_;
  updates.front().contributors = contributors_;
  updates.front().scalars = scalars_;
  return updates;
}

Status CoordinateMedian::restore(std::span<const Update> gathered) {
  for (const Update& update : gathered) {
    const Segment* const delta = update.find(kDeltaSegment);
    const auto change = delta != nullptr ? delta->payload.shared_floats() : nullptr;
    if (!change || change->size() != spec_->parameters() || !all_finite(*change)) {
      return bad_data("these are not the changes of this rule");
    }
    changes_.push_back(change);
  }
  if (gathered.empty()) { return {}; }
  weight_ = gathered.front().weight;
  contributors_ = gathered.front().contributors;
  scalars_ = gathered.front().scalars;
  return {};
}

// Nothing above could make a median of it.
Update CoordinateMedian::forward() const {
  return {};
}

double CoordinateMedian::median_at(std::size_t value, std::vector<float>& column) const {
  std::ranges::transform(changes_, column.begin(), [value](const auto& change) { return (*change)[value]; });
  const auto upper = column.begin() + static_cast<std::ptrdiff_t>(column.size() / 2);
  std::nth_element(column.begin(), upper, column.end());
  if (column.size() % 2 == 1) { return static_cast<double>(*upper); }
  const float lower = *std::max_element(column.begin(), upper);
  return (static_cast<double>(lower) + static_cast<double>(*upper)) / 2.0;
}

void CoordinateMedian::mean(const std::function<void(std::size_t offset, std::span<const double> means)>& visit) const {
  std::vector<float> column(changes_.size());
  std::vector<double> medians;
  for (std::size_t offset = 0; offset < spec_->parameters(); offset += kPart) {
    medians.resize(std::min(kPart, spec_->parameters() - offset));
    for (std::size_t i = 0; i < medians.size(); ++i) { medians[i] = median_at(offset + i, column); }
    // Whoever takes means takes those of second moments for running variances: such that the variance is the median.
    for (const SecondMoments& moment : moments_) {
      const std::size_t begin = std::max(moment.at, offset);
      const std::size_t end = std::min(moment.at + moment.count, offset + medians.size());
      for (std::size_t i = begin; i < end; ++i) {
        const double mean = median_at(moment.mean + (i - moment.at), column);
        medians[i - offset] = SecondMoments::kUnit * (medians[i - offset] + mean * mean);
      }
    }
    visit(offset, medians);
  }
}

}  // namespace tributary
