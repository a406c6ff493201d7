// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <mutex>
#include <new>
#include <stdexcept>
#include <string_view>
#include <utility>

#include "cross_entropy.hpp"
#include "libtorch/device_optimizer.hpp"
#include "libtorch/models.hpp"
#include "network.hpp"

namespace tributary::internal {
namespace {

using ModelMaker = std::function<std::unique_ptr<TorchModel>()>;

// The line of libtorch's message that carries the reason. The interpreter of TorchScript puts tracebacks before it
// ("RuntimeError: mat1 and mat2 shapes cannot be multiplied"), other messages have them behind.
std::string reason_in(std::string_view message) {
  static constexpr std::string_view kInterpreter = "TorchScript interpreter";
  static constexpr std::string_view kError = "\nRuntimeError: ";
  message = message.substr(0, message.find("\nException raised from"));
  const bool interpreted = message.find(kInterpreter) != std::string_view::npos;
  const std::size_t error = interpreted ? message.rfind(kError) : std::string_view::npos;
  if (error != std::string_view::npos) { message.remove_prefix(error + kError.size()); }
  const bool take_last = interpreted && error == std::string_view::npos;
  std::string_view reason;
  while (!message.empty()) {
    const std::size_t end = std::min(message.find('\n'), message.size());
    const std::string_view line = message.substr(0, end);
    message.remove_prefix(std::min(end + 1, message.size()));
    if (line.find_first_not_of(" \t\r") == std::string_view::npos) { continue; }
    reason = line;
    if (!take_last) { break; }
  }
  return std::string(reason);
}

[[noreturn]] void throw_plainly(std::string_view message) {
  for (const std::string_view shortage : {"alloc_cpu", "can't allocate memory", "out of memory"}) {
    if (message.find(shortage) != std::string_view::npos) { throw std::bad_alloc(); }
  }
  throw std::runtime_error(reason_in(message));
}

// libtorch's messages hold stack traces, which help nobody who configures a federation. What is short of memory becomes
// bad_alloc, whoever noticed it.
template <typename Call>
auto with_plain_errors(const Call& call) {
  try {
    return call();
  } catch (const std::bad_alloc&) { throw; } catch (const c10::Error& error) {
    throw_plainly(error.what_without_backtrace());
  } catch (const std::exception& error) { throw_plainly(error.what()); }
}

// How a model's tensors lie in the flat vector: trainable parameters, frozen ones, floating buffers.
struct Layout {
  std::vector<TensorSpec> tensors;
  std::size_t trainable = 0;  // values
};

struct ModelTensors {
  std::vector<NamedTensor> flat;       // in the layout's order
  std::vector<NamedTensor> trainable;  // the first of them
  std::vector<NamedTensor> local;      // integer buffers
};

ModelTensors tensors_of(TorchModel& model) {
  ModelTensors found;
  std::vector<NamedTensor> frozen;
  for (NamedTensor& parameter : model.parameters()) {
    (parameter.tensor.requires_grad() ? found.trainable : frozen).push_back(std::move(parameter));
  }
  found.flat = found.trainable;
  found.flat.insert(found.flat.end(), frozen.begin(), frozen.end());
  for (NamedTensor& buffer : model.buffers()) {
    (buffer.tensor.is_floating_point() ? found.flat : found.local).push_back(std::move(buffer));
  }
  for (const NamedTensor& item : found.flat) {
    if (item.tensor.scalar_type() != at::kFloat) {
      throw std::invalid_argument(fmt::format("tensor {} is {}, only float32 models can be trained", item.name,
                                              c10::toString(item.tensor.scalar_type())));
    }
  }
  return found;
}

Layout layout_of(TorchModel& model) {
  const ModelTensors found = tensors_of(model);
  const std::size_t parameters = model.parameters().size();
  Layout layout;
  for (std::size_t i = 0; i < found.flat.size(); ++i) {
    const NamedTensor& item = found.flat[i];
    TensorSpec spec{item.name, item.tensor.sizes().vec(), TensorKind::kTrainable};
    if (i >= parameters) {
      // A buffer that is no batch statistic is merged as a mean, too: equal values stay what they are.
      spec.kind = TensorKind::kRunningMean;
      const bool after_mean = !layout.tensors.empty() && layout.tensors.back().kind == TensorKind::kRunningMean &&
                              layout.tensors.back().name.ends_with("running_mean") &&
                              layout.tensors.back().shape == spec.shape;
      if (after_mean && spec.name.ends_with("running_var")) { spec.kind = TensorKind::kRunningVariance; }
    }
    if (i < found.trainable.size()) { layout.trainable += spec.elements(); }
    layout.tensors.push_back(std::move(spec));
  }
  return layout;
}

std::vector<std::int64_t> batch_shape(std::int64_t samples, const std::vector<std::int64_t>& sample_shape) {
  std::vector<std::int64_t> shape{samples};
  shape.insert(shape.end(), sample_shape.begin(), sample_shape.end());
  return shape;
}

// Models that draw random numbers (dropout) take them from libtorch's one generator.
std::mutex& generator_turn() {
  static std::mutex turn;
  return turn;
}

class TorchNetwork final : public Network {
 public:
  TorchNetwork(std::unique_ptr<TorchModel> model, const NetworkRequest& request, bool stochastic)
      : model_(std::move(model)),
        sample_shape_(request.sample_shape),
        classes_(request.classes),
        device_(request.device == "cuda" ? c10::kCUDA : c10::kCPU),
        stochastic_(stochastic) {
    const at::NoGradGuard no_gradient;
    model_->move_to(device_);
    ModelTensors tensors = tensors_of(*model_);
    std::int64_t count = 0;
    std::int64_t trainable = 0;
    for (const NamedTensor& item : tensors.flat) { count += item.tensor.numel(); }
    for (const NamedTensor& item : tensors.trainable) { trainable += item.tensor.numel(); }
    // One vector for all values and one for all gradients; the model's tensors become windows on them. So loading,
    // storing and stepping are one pass each, however many tensors there are.
    const auto options = at::TensorOptions().dtype(at::kFloat).device(device_);
    values_ = at::zeros({count}, options);
    gradients_ = at::zeros({trainable}, options);
    std::int64_t offset = 0;
    for (std::size_t i = 0; i < tensors.flat.size(); ++i) {
      at::Tensor& tensor = tensors.flat[i].tensor;
      const std::int64_t length = tensor.numel();
      tensor.set_data(values_.narrow(0, offset, length).view(tensor.sizes()));
      if (i < tensors.trainable.size()) {
        tensor.mutable_grad() = gradients_.narrow(0, offset, length).view(tensor.sizes());
      }
      offset += length;
    }
    for (NamedTensor& item : tensors.local) {
      at::Tensor start = item.tensor.clone();
      local_.emplace_back(std::move(item.tensor), std::move(start));
    }
    loss_on_device_ = at::zeros({}, options.dtype(at::kDouble));
    model_->set_training(training_);
  }

  void load(std::span<const float> model) override {
    const at::NoGradGuard no_gradient;
    if (on_cpu()) {
      std::memcpy(values_.data_ptr<float>(), model.data(), model.size_bytes());
    } else {
      // Read only: from_blob has no const form.
      values_.copy_(at::from_blob(const_cast<float*>(model.data()), {values_.numel()}, at::kFloat));
    }
    for (auto& [tensor, start] : local_) { tensor.copy_(start); }
  }

  [[nodiscard]] std::vector<float> store() const override {
    const at::Tensor values = values_.cpu();
    const float* const first = values.data_ptr<float>();
    return {first, first + values.numel()};
  }

  std::span<float> features(std::size_t samples) override {
    const auto rows = static_cast<std::int64_t>(samples);
    if (!features_.defined() || features_.size(0) < rows) {
      features_ =
          at::empty(batch_shape(rows, sample_shape_), at::TensorOptions().dtype(at::kFloat).pinned_memory(!on_cpu()));
    }
    const at::Tensor used = features_.narrow(0, 0, rows);
    return {used.data_ptr<float>(), static_cast<std::size_t>(used.numel())};
  }

  std::span<std::int64_t> labels(std::size_t samples) override {
    if (labels_.size() < samples) { labels_.resize(samples); }
    return std::span(labels_).first(samples);
  }

  void zero_gradients() override { gradients_.zero_(); }

  void accumulate(std::size_t samples, double divisor, std::uint64_t seed) override {
    with_plain_errors([&] {
      set_training(true);
      at::Tensor logits = forward(samples, seed);
      // The gradient of the loss is known in closed form: a loop over the logits replaces five small operations.
      at::Tensor gradient;
      if (on_cpu()) {
        const at::NoGradGuard no_gradient;
        gradient = logits.detach().clone(at::MemoryFormat::Contiguous);
        float* row = gradient.data_ptr<float>();
        const auto classes = static_cast<std::size_t>(classes_);
        for (std::size_t s = 0; s < samples; ++s, row += classes) {
          loss_ += cross_entropy_gradient({row, classes}, static_cast<std::size_t>(labels_[s]),
                                          static_cast<float>(1.0 / divisor))
                       .loss;
        }
      } else {
        const at::NoGradGuard no_gradient;
        const at::Tensor logarithms = at::log_softmax(logits.detach(), 1);
        const at::Tensor wanted = labels_on_device(samples);
        loss_on_device_.sub_(logarithms.gather(1, wanted).sum(at::kDouble));
        gradient = logarithms.exp();
        gradient.scatter_add_(1, wanted, at::full_like(wanted, -1, gradient.options()));
        gradient.div_(divisor);
      }
      // Added to what `gradients_` holds, since the model's gradients are windows on it.
      logits.backward(gradient);
    });
  }

  double take_loss() override {
    if (on_cpu()) { return std::exchange(loss_, 0.0); }
    const auto loss = loss_on_device_.item<double>();
    loss_on_device_.zero_();
    return loss;
  }

  Scores score(std::size_t samples) override {
    return with_plain_errors([&] {
      const at::NoGradGuard no_gradient;
      set_training(false);
      const at::Tensor logits = forward(samples, 0).cpu().contiguous();
      const float* row = logits.data_ptr<float>();
      const auto classes = static_cast<std::size_t>(classes_);
      Scores scores;
      for (std::size_t s = 0; s < samples; ++s, row += classes) {
        const auto label = static_cast<std::size_t>(labels_[s]);
        const RowLoss loss = cross_entropy({row, classes}, label);
        scores.loss_sum += loss.loss;
        scores.correct += loss.best == label ? 1 : 0;
      }
      return scores;
    });
  }

  [[nodiscard]] std::unique_ptr<Optimizer> make_optimizer(const OptimizerConfig& config, double mu) override {
    const at::Tensor trainable = values_.narrow(0, 0, gradients_.numel());
    if (!on_cpu()) { return make_device_optimizer(config, mu, trainable, gradients_); }
    const auto count = static_cast<std::size_t>(gradients_.numel());
    return make_host_optimizer(config, mu, {trainable.data_ptr<float>(), count}, {gradients_.data_ptr<float>(), count});
  }

 private:
  [[nodiscard]] bool on_cpu() const { return device_.is_cpu(); }

  void set_training(bool training) {
    if (training_ != training) { model_->set_training(training_ = training); }
  }

  at::Tensor forward(std::size_t samples, std::uint64_t seed) {
    at::Tensor input = features_.narrow(0, 0, static_cast<std::int64_t>(samples));
    if (!on_cpu()) { input = input.to(device_, /*non_blocking=*/true); }
    at::Tensor logits;
    if (stochastic_ && training_) {
      const std::lock_guard turn(generator_turn());
      torch::manual_seed(seed);
      logits = model_->forward(input);
    } else {
      logits = model_->forward(input);
    }
    if (logits.dim() != 2 || logits.size(0) != static_cast<std::int64_t>(samples) || logits.size(1) != classes_ ||
        logits.scalar_type() != at::kFloat) {
      throw std::invalid_argument(fmt::format(
          "the model turned {} samples into {} of shape [{}], expected float32 of shape "
          "[{}, {}]",
          samples, c10::toString(logits.scalar_type()), fmt::join(logits.sizes().vec(), ", "), samples, classes_));
    }
    return logits;
  }

  at::Tensor labels_on_device(std::size_t samples) {
    return at::from_blob(labels_.data(), {static_cast<std::int64_t>(samples), 1}, at::kLong).to(device_);
  }

  std::unique_ptr<TorchModel> model_;
  std::vector<std::int64_t> sample_shape_;
  std::int64_t classes_;
  c10::Device device_;
  bool stochastic_;
  bool training_ = true;
  at::Tensor values_;
  at::Tensor gradients_;                                  // of the trainable values, which come first
  std::vector<std::pair<at::Tensor, at::Tensor>> local_;  // integer buffers and what they start every task with
  at::Tensor features_;
  std::vector<std::int64_t> labels_;
  double loss_ = 0.0;
  at::Tensor loss_on_device_;
};

// Runs a replica of a foreign model once: does it suit the data, and does it draw random numbers?
bool probe(const ModelMaker& maker, const NetworkRequest& request) {
  constexpr std::size_t kSamples = 2;
  TorchNetwork replica(maker(), request, false);
  const std::lock_guard turn(generator_turn());
  const std::span<float> features = replica.features(kSamples);
  std::fill(features.begin(), features.end(), 0.0F);
  for (std::int64_t& label : replica.labels(kSamples)) { label = 0; }
  const at::Generator generator = request.device == "cuda"
                                      ? at::globalContext().defaultGenerator(c10::Device(c10::kCUDA, 0))
                                      : at::globalContext().defaultGenerator(c10::kCPU);
  const at::Tensor before = generator.get_state();
  replica.accumulate(kSamples, 1.0, 0);
  const bool drew = !at::equal(before, generator.get_state());
  static_cast<void>(replica.score(kSamples));
  return drew;
}

std::vector<float> values_of(TorchModel& model) {
  const at::NoGradGuard no_gradient;
  std::vector<float> values;
  for (const NamedTensor& item : tensors_of(model).flat) {
    const at::Tensor tensor = item.tensor.contiguous();
    values.insert(values.end(), tensor.data_ptr<float>(), tensor.data_ptr<float>() + tensor.numel());
  }
  return values;
}

Result<NetworkPlan> plan_script_network(const NetworkRequest& request) {
  std::error_code ignored;
  if (std::filesystem::is_directory(request.torchscript, ignored)) {
    return configuration_error(
        fmt::format("model.torchscript: {} is a directory, expected a TorchScript file", request.torchscript));
  }
  if (!std::filesystem::is_regular_file(request.torchscript, ignored)) {
    return not_found(fmt::format("model.torchscript: there is no file {}", request.torchscript));
  }
  ModelMaker maker;
  try {
    maker = with_plain_errors([&] { return script_model_maker(request.torchscript); });
  } catch (const std::bad_alloc&) { throw; } catch (const std::exception& error) {
    return bad_data(fmt::format("model.torchscript: {} cannot be read as a TorchScript file: {}", request.torchscript,
                                error.what()));
  }
  try {
    return with_plain_errors([&]() -> Result<NetworkPlan> {
      const std::unique_ptr<TorchModel> model = maker();
      const Layout layout = layout_of(*model);
      if (layout.trainable == 0) {
        return configuration_error(
            fmt::format("model.torchscript: {} has no trainable parameters (was it frozen?)", request.torchscript));
      }
      NetworkPlan plan;
      TRIBUTARY_ASSIGN_OR_RETURN(plan.spec, ParameterSpec::create(layout.tensors));
      plan.initial = values_of(*model);
      const bool stochastic = probe(maker, request);
      plan.create = [maker, request, stochastic]() -> std::unique_ptr<Network> {
        return with_plain_errors([&] { return std::make_unique<TorchNetwork>(maker(), request, stochastic); });
      };
      return plan;
    });
  } catch (const std::bad_alloc&) { throw; } catch (const std::exception& error) {
    return configuration_error(fmt::format("model.torchscript: {} cannot be used on samples of shape [{}]: {}",
                                           request.torchscript, fmt::join(request.sample_shape, ", "), error.what()));
  }
}

}  // namespace

Result<NetworkPlan> plan_torch_network(const NetworkRequest& request) {
  if (!request.torchscript.empty()) { return plan_script_network(request); }
  TRIBUTARY_RETURN_IF_ERROR(check_builtin_model(request));
  return with_plain_errors([&]() -> Result<NetworkPlan> {
    NetworkPlan plan;
    const std::unique_ptr<TorchModel> model = make_builtin_model(request);
    TRIBUTARY_ASSIGN_OR_RETURN(plan.spec, ParameterSpec::create(layout_of(*model).tensors));
    plan.create = [request]() -> std::unique_ptr<Network> {
      return with_plain_errors(
          [&] { return std::make_unique<TorchNetwork>(make_builtin_model(request), request, false); });
    };
    return plan;
  });
}

}  // namespace tributary::internal
