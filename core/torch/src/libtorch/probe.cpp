// SPDX-License-Identifier: Apache-2.0
#include "libtorch/probe.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "libtorch/plain_errors.hpp"
#include "tributary/base/random.hpp"

namespace tributary::internal {
namespace {

constexpr std::size_t kBatch = 4;
constexpr std::uint64_t kSeed = 1;

// Values that hide nothing of what a model can do, unlike those that many models start from: a head or a factor of
// zeros lets nothing through, and beside a large bias nothing else is seen. Every parameter that is trained may become
// such.
std::vector<float> telling_values(const TensorLayout& layout, std::span<const float> start) {
  std::vector<float> values(start.begin(), start.end());
  Rng rng(kSeed);
  std::size_t at = 0;
  for (const TensorSpec& tensor : layout.tensors) {
    if (at >= layout.trainable) { break; }
    const bool is_matrix = tensor.shape.size() > 1;
    const double inputs = is_matrix ? static_cast<double>(tensor.elements()) /
                                          static_cast<double>(std::max<std::int64_t>(tensor.shape[0], 1))
                                    : 1.0;
    // So signals neither vanish nor explode on their way through many layers.
    const double bound = std::sqrt(6.0 / std::max(inputs, 1.0));
    for (std::size_t i = 0; i < tensor.elements(); ++i) {
      const double drawn = rng.uniform();
      values[at++] = static_cast<float>(is_matrix ? (2.0 * drawn - 1.0) * bound : 0.5 + drawn);
    }
  }
  return values;
}

class Probe {
 public:
  Probe(TorchNetwork& replica, const NetworkRequest& request, const TensorLayout& layout, std::span<const float> values)
      : replica_(replica), request_(request), layout_(layout), start_(values), values_(values) {
    for (const std::int64_t dimension : request.sample_shape) { size_ *= static_cast<std::size_t>(dimension); }
  }

  ProbeResult run() {
    ProbeResult found;
    // A full batch at once is never wrong, only larger: whatever may mix samples counts as mixing in training. Samples
    // that are all alike do not show it.
    found.mixes_in_training = replica_.normalises_batches() || all_alike();
    for (const bool training : {false, true}) {
      try {
        const at::Tensor several = compare(training, found);
        const bool probabilities = request_.classes > 1 && are_probabilities(several);
        found.gives_probabilities = found.gives_probabilities && probabilities;
        // A size of its own: a model traced with one batch may know no other.
        use_once(training, kBatch - 1);
        if (training) {
          found.mixes_in_training = found.mixes_in_training || replica_.has_moved_on(values_);
          trains_on_several_ = std::isfinite(replica_.take_loss());
        } else {
          use_once(training, 1);
        }
      } catch (const std::bad_alloc&) { throw; } catch (const std::exception& error) {
        throw std::runtime_error(fmt::format("in {}: {}", training ? "training" : "evaluation", error.what()));
      }
    }
    compare_with_telling_values(found);
    found.trains_on_one_sample = trains_on_one();
    return found;
  }

 private:
  [[nodiscard]] std::size_t examples() const {
    return std::max<std::size_t>(request_.examples.size() / std::max<std::size_t>(size_, 1), 1);
  }

  [[nodiscard]] bool all_alike() const {
    const std::span<const float> values(request_.examples);
    for (std::size_t row = 1; row < std::min(examples(), kBatch); ++row) {
      if (!std::ranges::equal(values.subspan(row * size_, size_), values.first(size_))) { return false; }
    }
    return true;
  }

  // Examples from the first on, again and again if there are few; or the first alone.
  void fill(std::size_t samples, bool alike) {
    const std::span<float> features = replica_.features(samples);
    const std::size_t rows = examples();
    for (std::size_t s = 0; s < samples; ++s) {
      const std::size_t row = alike ? 0 : s % rows;
      std::copy_n(request_.examples.data() + row * size_, size_, features.data() + s * size_);
    }
    std::ranges::fill(replica_.labels(samples), 0);
  }

  // Notes whether the first sample's output is another beside others than beside its like; gives the outputs for the
  // samples as they are.
  at::Tensor compare(bool training, ProbeResult& found) {
    bool& draws = training ? found.draws.in_training : found.draws.in_evaluation;
    at::Tensor several = outputs(training, kBatch, false, draws);
    const at::Tensor alike = outputs(training, kBatch, true, draws)[0];
    if (training) {
      found.mixes_in_training = found.mixes_in_training || !at::equal(several[0], alike);
    } else {
      found.mixes_in_evaluation = found.mixes_in_evaluation || differ(several[0], alike);
    }
    return several;
  }

  void compare_with_telling_values(ProbeResult& found) {
    const std::vector<float> telling = telling_values(layout_, start_);
    values_ = telling;
    for (const bool training : {false, true}) {
      try {
        compare(training, found);
      } catch (const std::bad_alloc&) { throw; } catch (const std::exception&) {
        // The model takes no such values: nothing is known, and nothing is wrong with it.
        found.mixes_in_training = found.mixes_in_training || training;
      }
    }
    values_ = start_;
  }

  at::Tensor outputs(bool training, std::size_t samples, bool alike, bool& draws) {
    replica_.load(values_);
    fill(samples, alike);
    const at::Generator generator = request_.device == "cuda"
                                        ? at::globalContext().defaultGenerator(c10::Device(c10::kCUDA, 0))
                                        : at::globalContext().defaultGenerator(c10::kCPU);
    const at::NoGradGuard no_gradient;
    return with_plain_errors([&] {
      torch::manual_seed(kSeed);
      const at::Tensor before = generator.get_state();
      const at::Tensor logits = replica_.forward(samples, training, kSeed);
      draws = draws || !at::equal(before, generator.get_state());
      return logits.cpu().clone();
    });
  }

  static bool are_probabilities(const at::Tensor& rows) {
    constexpr double kNear = 1e-4;
    return rows.min().item<double>() >= 0.0 && (rows.sum(1) - 1.0).abs().max().item<double>() < kNear;
  }

  // True beyond what another order of additions could explain.
  static bool differ(const at::Tensor& a, const at::Tensor& b) {
    // A sample among its like may have a spread of 0 to be divided by.
    if (!at::equal(a.isfinite(), b.isfinite())) { return true; }
    const at::Tensor left = a.nan_to_num(0.0, 0.0, 0.0);
    const at::Tensor right = b.nan_to_num(0.0, 0.0, 0.0);
    const double scale = std::max({left.abs().max().item<double>(), right.abs().max().item<double>(), 1e-6});
    return (left - right).abs().max().item<double>() > 1e-4 * scale;
  }

  void use_once(bool training, std::size_t samples) {
    replica_.load(values_);
    fill(samples, false);
    if (training) {
      static_cast<void>(replica_.take_loss());
      replica_.zero_gradients();
      replica_.accumulate(samples, static_cast<double>(samples), kSeed);
    } else {
      static_cast<void>(replica_.score(samples, kSeed));
    }
  }

  // Batch normalisation has no variance of one value: libtorch's layer refuses, traced code and code of one's own make
  // NaN of it, in the statistics or in the output.
  bool trains_on_one() {
    try {
      use_once(true, 1);
    } catch (const std::bad_alloc&) { throw; } catch (const std::exception&) {
      return false;
    }
    if (trains_on_several_ && !std::isfinite(replica_.take_loss())) { return false; }
    const std::vector<float> after = replica_.store();
    return std::ranges::all_of(after, [](float value) { return std::isfinite(value); });
  }

  TorchNetwork& replica_;
  const NetworkRequest& request_;
  const TensorLayout& layout_;
  std::span<const float> start_;
  std::span<const float> values_;  // what the replica is tried with
  bool trains_on_several_ = false;
  std::size_t size_ = 1;
};

std::string listed(const std::vector<std::string>& layers) {
  constexpr std::size_t kMost = 8;
  if (layers.empty()) { return ""; }
  const auto shown = std::span(layers).first(std::min(layers.size(), kMost));
  return fmt::format(": {}{}", fmt::join(shown, ", "),
                     layers.size() > kMost ? fmt::format(" and {} more", layers.size() - kMost) : "");
}

}  // namespace

ProbeResult probe(TorchNetwork& replica, const NetworkRequest& request, const TensorLayout& layout,
                  std::span<const float> values) {
  const auto turn = take_generator();
  return Probe(replica, request, layout, values).run();
}

std::vector<std::string> model_warnings(const std::string& file, const TorchModel& model, const ProbeResult& found) {
  constexpr const char* kRemedy = "torch.jit.script keeps both modes, torch.jit.trace only the one it saw";
  std::vector<std::string> warnings;
  const std::vector<std::string> training = model.layers_fixed_to(true);
  const bool seen = found.draws.in_evaluation || found.mixes_in_evaluation;
  if (seen || !training.empty()) {
    const char* does = !seen                        ? ", these layers do what they do in training"
                       : !found.mixes_in_evaluation ? " it draws random numbers"
                       : !found.draws.in_evaluation
                           ? ", what it says of a sample depends on the samples beside it"
                           : " it draws random numbers, and what it says of a sample depends on the samples beside it";
    warnings.push_back(fmt::format(
        "model.torchscript: {} ignores evaluation mode{}. When it is evaluated{}, so loss and accuracy {} on "
        "evaluation.batch_size; {}",
        file, listed(training), does, seen ? "depend" : "may depend", kRemedy));
  }
  if (const std::vector<std::string> layers = model.layers_fixed_to(false); !layers.empty()) {
    warnings.push_back(fmt::format(
        "model.torchscript: {} ignores training mode{}. In training these layers do what they do in evaluation; {}",
        file, listed(layers), kRemedy));
  }
  if (found.gives_probabilities) {
    warnings.push_back(fmt::format(
        "model.torchscript: {} gives probabilities: its outputs for a sample are not below 0 and sum to 1, as after a "
        "softmax. The loss takes logits and applies a softmax of its own, so the model would learn slowly; leave the "
        "softmax at its end out",
        file));
  }
  return warnings;
}

}  // namespace tributary::internal
