// SPDX-License-Identifier: Apache-2.0
#include "tributary/aggregators/server_optimizers.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

namespace tributary {
namespace {

using Vector = std::shared_ptr<std::vector<double>>;

// Ready to be changed: made at the first commit, and anew where a snapshot holds it. Whether it still does is not
// asked: another thread may be about to let go of it.
void prepare(Vector& vector, std::size_t parameters, double start, bool saved) {
  if (!vector) {
    vector = std::make_shared<std::vector<double>>(parameters, start);
  } else if (saved) {
    vector = std::make_shared<std::vector<double>>(*vector);
  }
}

constexpr double kAnyNumber = -std::numeric_limits<double>::max();

Result<Vector> restored(const Snapshot& snapshot, const std::string& name, std::size_t parameters, double least) {
  const Snapshot::Vector found = snapshot.find(name);
  if (!found) { return bad_data(fmt::format("{} is missing in the state of the server optimizer", name)); }
  if (found->size() != parameters) {
    return bad_data(
        fmt::format("{} of the server optimizer has {} values, the model {}", name, found->size(), parameters));
  }
  const auto bad =
      std::ranges::find_if(*found, [least](double value) { return !std::isfinite(value) || value < least; });
  if (bad != found->end()) {
    return bad_data(fmt::format("{} of the server optimizer is {} at index {}, which {} cannot be", name, *bad,
                                bad - found->begin(), least < 0.0 ? "a mean" : "a sum of squares"));
  }
  return std::make_shared<std::vector<double>>(*found);
}

// Each of them is looked for by its name.
Status check_nothing_else(const Snapshot& snapshot, std::size_t vectors) {
  if (snapshot.vectors.size() <= vectors && snapshot.texts.empty()) { return {}; }
  return bad_data("the state of the server optimizer holds more than this one has: it was another one");
}

}  // namespace

void ServerSgd::step(std::size_t /*offset*/, std::span<const double> mean, std::span<float> model) {
  for (std::size_t i = 0; i < model.size(); ++i) {
    // -0 + 0 is +0: without a change not even that bit may move.
    if (mean[i] != 0.0) { model[i] = static_cast<float>(static_cast<double>(model[i]) + rate_ * mean[i]); }
  }
}

void FedAvgM::begin(std::size_t parameters) {
  prepare(m_, parameters, 0.0, saved_);
  saved_ = false;
}

void FedAvgM::step(std::size_t offset, std::span<const double> mean, std::span<float> model) {
  const std::span<double> m = std::span(*m_).subspan(offset, model.size());
  for (std::size_t i = 0; i < model.size(); ++i) {
    m[i] = settings_.momentum * m[i] + mean[i];
    if (m[i] != 0.0) { model[i] = static_cast<float>(static_cast<double>(model[i]) + settings_.lr * m[i]); }
  }
}

Snapshot FedAvgM::save() {
  Snapshot snapshot;
  if (m_) { snapshot.vectors = {{"m", m_}}; }
  saved_ = true;
  return snapshot;
}

Status FedAvgM::restore(const Snapshot& snapshot, std::size_t parameters) {
  TRIBUTARY_ASSIGN_OR_RETURN(m_, restored(snapshot, "m", parameters, kAnyNumber));
  return check_nothing_else(snapshot, 1);
}

void AdaptiveOptimizer::begin(std::size_t parameters) {
  prepare(m_, parameters, 0.0, saved_);
  prepare(v_, parameters, settings_.adaptivity * settings_.adaptivity, saved_);
  saved_ = false;
}

double AdaptiveOptimizer::next_v(double v, double square) const noexcept {
  switch (kind_) {
    case Kind::kAdagrad:
      return v + square;
    case Kind::kAdam:
      return settings_.beta2 * v + (1.0 - settings_.beta2) * square;
    case Kind::kYogi:
      if (v == square) { return v; }
      return v > square ? v - (1.0 - settings_.beta2) * square : v + (1.0 - settings_.beta2) * square;
  }
  return v;
}

void AdaptiveOptimizer::step(std::size_t offset, std::span<const double> mean, std::span<float> model) {
  const std::span<double> m = std::span(*m_).subspan(offset, model.size());
  const std::span<double> v = std::span(*v_).subspan(offset, model.size());
  for (std::size_t i = 0; i < model.size(); ++i) {
    m[i] = settings_.beta1 * m[i] + (1.0 - settings_.beta1) * mean[i];
    v[i] = next_v(v[i], mean[i] * mean[i]);
    if (m[i] == 0.0) { continue; }
    const double change = settings_.lr * m[i] / (std::sqrt(v[i]) + settings_.adaptivity);
    model[i] = static_cast<float>(static_cast<double>(model[i]) + change);
  }
}

Snapshot AdaptiveOptimizer::save() {
  Snapshot snapshot;
  if (m_) { snapshot.vectors = {{"m", m_}, {"v", v_}}; }
  saved_ = true;
  return snapshot;
}

Status AdaptiveOptimizer::restore(const Snapshot& snapshot, std::size_t parameters) {
  TRIBUTARY_ASSIGN_OR_RETURN(m_, restored(snapshot, "m", parameters, kAnyNumber));
  TRIBUTARY_ASSIGN_OR_RETURN(v_, restored(snapshot, "v", parameters, 0.0));
  return check_nothing_else(snapshot, 2);
}

}  // namespace tributary
