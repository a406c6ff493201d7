// SPDX-License-Identifier: Apache-2.0
#include "tributary/nodes/client_update.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <memory>
#include <mutex>

namespace tributary {
namespace {

// Metrics travel on the control plane, whose letters are small.
constexpr std::size_t kLongestMetricName = 100;

bool has_statistics(const ParameterSpec& spec) {
  return std::any_of(spec.tensors().begin(), spec.tensors().end(),
                     [](const TensorSpec& tensor) { return tensor.kind != TensorKind::kTrainable; });
}

// A trainer that changed nothing is answered with one shared vector of zeros, however many clients there are.
std::shared_ptr<const std::vector<float>> shared_zeros(std::size_t size) {
  static std::mutex mutex;
  static std::weak_ptr<const std::vector<float>> latest;
  const std::lock_guard lock(mutex);
  auto zeros = latest.lock();
  if (!zeros || zeros->size() != size) {
    zeros = std::make_shared<const std::vector<float>>(size, 0.0F);
    latest = zeros;
  }
  return zeros;
}

}  // namespace

std::vector<SecondMoments> second_moments(const ParameterSpec& spec) {
  std::vector<SecondMoments> moments;
  for (std::size_t t = 0; t < spec.tensors().size(); ++t) {
    if (spec.tensors()[t].kind != TensorKind::kRunningVariance) { continue; }
    moments.push_back({spec.offset(t), spec.offset(t - 1), spec.tensors()[t].elements()});
  }
  return moments;
}

std::vector<float> model_difference(std::span<const float> before, std::span<const float> after) {
  std::vector<float> difference(after.size());
  std::transform(after.begin(), after.end(), before.begin(), difference.begin(), std::minus<>());
  return difference;
}

namespace {

// A step that went too far leaves values that are not numbers: said here, where the tensor and its value are known.
Status check_finite(const ParameterSpec& spec, const std::vector<float>& delta) {
  // Magnitudes compare as their bit patterns do; whole numbers, unlike a chain of additions, are compared many at a
  // time.
  constexpr std::uint32_t kLargestFinite = 0x7F7FFFFFU;
  std::uint32_t largest = 0;
  for (const float value : delta) { largest = std::max(largest, std::bit_cast<std::uint32_t>(value) & 0x7FFFFFFFU); }
  if (largest <= kLargestFinite) { return {}; }
  const auto bad = std::ranges::find_if(delta, [](float value) { return !std::isfinite(value); });
  const auto index = static_cast<std::size_t>(bad - delta.begin());
  return bad_data(fmt::format("training diverged: the change of tensor {} is {}; a lower learning rate helps",
                              spec.tensor_at(index).name, static_cast<double>(*bad)));
}

Status check_metrics(const Metrics& metrics) {
  const bool fit = metrics.size() <= kMostClientScalars && std::ranges::all_of(metrics, [](const auto& metric) {
                     return metric.first.size() <= kLongestMetricName;
                   });
  if (fit) { return {}; }
  return invalid_argument(
      fmt::format("the trainer reported {} metrics: at most {} are carried, with names of at most {} bytes",
                  metrics.size(), kMostClientScalars, kLongestMetricName));
}

}  // namespace

Result<ClientUpdate> make_evaluation_update(Evaluation evaluation) {
  TRIBUTARY_RETURN_IF_ERROR(check_metrics(evaluation.metrics));
  const Result<Weight> samples = Weight::from(static_cast<double>(evaluation.samples));
  if (!samples.ok()) {
    return bad_data(fmt::format("the trainer says that it has measured the model on {} samples", evaluation.samples));
  }
  ClientUpdate update;
  update.weight = *samples;
  update.samples = evaluation.samples;
  update.metrics = std::move(evaluation.metrics);
  return update;
}

Result<ClientUpdate> make_client_update(const ParameterSpec& spec, const ModelValues& base, TrainOutcome outcome) {
  if (!outcome.model || outcome.model->size() != spec.parameters()) {
    return invalid_argument(fmt::format("the trainer returned a model of {} values, not of {}",
                                        outcome.model ? outcome.model->size() : 0, spec.parameters()));
  }
  TRIBUTARY_RETURN_IF_ERROR(check_metrics(outcome.metrics));
  ClientUpdate contribution;
  TRIBUTARY_ASSIGN_OR_RETURN(contribution.weight, Weight::from(outcome.weight));
  contribution.samples = outcome.samples;
  contribution.metrics = std::move(outcome.metrics);
  if (outcome.model == base) {
    contribution.delta = Payload::floats(shared_zeros(spec.parameters()));
    return contribution;
  }
  auto delta = std::make_shared<const std::vector<float>>(model_difference(*base, *outcome.model));
  TRIBUTARY_RETURN_IF_ERROR(check_finite(spec, *delta));
  contribution.delta = Payload::floats(std::move(delta));
  return contribution;
}

Update make_update(const ParameterSpec& spec, ClientUpdate contribution) {
  Update update;
  update.fingerprint = spec.fingerprint();
  update.weight = contribution.weight;
  update.contributors = 1;
  for (const auto& [name, value] : contribution.metrics) { update.scalars[name].add(value, contribution.weight); }
  if (contribution.delta.elements() > 0) {
    update.segments.push_back({std::string(kDeltaSegment), std::move(contribution.delta)});
  }
  for (Segment& increment : contribution.increments) { update.segments.push_back(std::move(increment)); }
  return update;
}

void apply_mean(const ParameterSpec& spec, const AggregationRule& rule, ServerOptimizer& optimizer, double share,
                double scale, std::span<float> model) {
  optimizer.begin(model.size());
  std::vector<double> products;
  const auto times = [&products](double factor, std::span<const double> means) {
    if (factor == 1.0) { return means; }
    products.resize(means.size());
    std::ranges::transform(means, products.begin(), [factor](double mean) { return factor * mean; });
    return std::span<const double>(products);
  };
  if (!has_statistics(spec)) {
    rule.mean([&](std::size_t offset, std::span<const double> means) {
      optimizer.step(offset, times(share * scale, means), model.subspan(offset, means.size()));
    });
    return;
  }
  // Statistics need the whole mean change of a tensor pair at once; models that have them are small enough to hold it.
  std::vector<double> change(spec.parameters());
  rule.mean([&](std::size_t offset, std::span<const double> means) {
    std::ranges::copy(times(share, means), change.begin() + static_cast<std::ptrdiff_t>(offset));
  });
  for (std::size_t t = 0; t < spec.tensors().size(); ++t) {
    const std::size_t offset = spec.offset(t);
    const std::size_t size = spec.tensors()[t].elements();
    switch (spec.tensors()[t].kind) {
      case TensorKind::kTrainable:
        optimizer.step(offset, times(scale, std::span(change).subspan(offset, size)), model.subspan(offset, size));
        break;
      case TensorKind::kRunningMean:
        break;  // with its variance, below; a mean without one is handled at the end
      case TensorKind::kRunningVariance: {
        const std::size_t mean = spec.offset(t - 1);
        for (std::size_t i = 0; i < size; ++i) {
          if (change[offset + i] == 0.0 && change[mean + i] == 0.0) { continue; }
          // The moment is about the mean that all clients were given, which the model still holds.
          const double moment = static_cast<double>(model[offset + i]) + change[offset + i] / SecondMoments::kUnit;
          model[offset + i] = static_cast<float>(std::max(0.0, moment - change[mean + i] * change[mean + i]));
        }
        break;
      }
    }
  }
  for (std::size_t t = 0; t < spec.tensors().size(); ++t) {
    if (spec.tensors()[t].kind != TensorKind::kRunningMean) { continue; }
    for (std::size_t i = spec.offset(t); i < spec.offset(t) + spec.tensors()[t].elements(); ++i) {
      if (change[i] != 0.0) { model[i] = static_cast<float>(static_cast<double>(model[i]) + change[i]); }
    }
  }
}

void apply_mixing(const ParameterSpec& spec, const AggregationRule& rule, std::span<const float> base, double factor,
                  std::span<float> model) {
  const auto mix = [&](std::size_t i, double change) {
    const auto here = static_cast<double>(model[i]);
    model[i] = static_cast<float>(here + change + factor * (static_cast<double>(base[i]) - here));
  };
  if (!has_statistics(spec)) {
    rule.mean([&](std::size_t offset, std::span<const double> means) {
      for (std::size_t i = 0; i < means.size(); ++i) { mix(offset + i, means[i]); }
    });
    return;
  }
  std::vector<double> change(spec.parameters());
  rule.mean([&](std::size_t offset, std::span<const double> means) {
    std::ranges::copy(means, change.begin() + static_cast<std::ptrdiff_t>(offset));
  });
  // Variances first: they need the means as they were.
  for (const SecondMoments& moments : second_moments(spec)) {
    for (std::size_t i = 0; i < moments.count; ++i) {
      const std::size_t at = moments.at + i;
      const std::size_t mean = moments.mean + i;
      const double moved = change[mean] / factor;
      const double theirs = static_cast<double>(base[at]) + change[at] / factor / SecondMoments::kUnit - moved * moved;
      const double apart = static_cast<double>(model[mean]) - static_cast<double>(base[mean]) - moved;
      const double mixed = (1.0 - factor) * static_cast<double>(model[at]) + factor * std::max(0.0, theirs) +
                           factor * (1.0 - factor) * apart * apart;
      model[at] = static_cast<float>(mixed);
    }
  }
  for (std::size_t t = 0; t < spec.tensors().size(); ++t) {
    if (spec.tensors()[t].kind == TensorKind::kRunningVariance) { continue; }
    const std::size_t end = spec.offset(t) + spec.tensors()[t].elements();
    for (std::size_t i = spec.offset(t); i < end; ++i) { mix(i, change[i]); }
  }
}

}  // namespace tributary
