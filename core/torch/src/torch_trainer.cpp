// SPDX-License-Identifier: Apache-2.0
#include "tributary/torch/torch_trainer.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <exception>
#include <new>
#include <numeric>
#include <thread>
#include <utility>

#include "kernels.hpp"
#include "network.hpp"
#include "tributary/base/random.hpp"
#include "tributary/data/model_file.hpp"

namespace tributary {
namespace {

using internal::Network;

// A full-batch gradient (FedSGD) is gathered in parts of this many samples, so that memory stays that of a batch;
// unless the model's samples depend on each other.
constexpr std::size_t kFullBatchPart = 256;

// What all trainers of a factory share, unchanged.
struct Settings {
  internal::NetworkPlan plan;
  SharedDataset train;
  SharedDataset test;
  std::shared_ptr<const Partition> partition;
  TrainerConfig trainer;
  AlgorithmConfig algorithm;
  OptimizerConfig optimizer;  // trainer.optimizer, reduced to plain SGD for FedSGD
  std::uint64_t rounds = 0;
  std::uint64_t seed = 0;
  std::size_t evaluation_batch = 1;
  std::filesystem::path initial;  // empty: by seed
};

Status out_of_memory(const ParameterSpec& spec) {
  return resource_exhausted(
      fmt::format("the model of {} parameters does not fit into memory with its batches", spec.parameters()));
}

double weight_of(const AlgorithmConfig& algorithm, std::size_t samples) {
  if (samples == 0) { return 0.0; }
  const auto count = static_cast<double>(samples);
  switch (algorithm.weighting) {
    case AlgorithmConfig::Weighting::kSamples:
      return count;
    case AlgorithmConfig::Weighting::kUniform:
      return 1.0;
    case AlgorithmConfig::Weighting::kCapped:
      return std::min(count, algorithm.weight_cap);
  }
  return count;
}

// Copies the named rows of `data` into the network's input.
void gather(const Dataset& data, std::span<const std::uint32_t> rows, Network& network) {
  const std::size_t size = data.sample_size();
  float* out = network.features(rows.size()).data();
  if (const auto* bytes = std::get_if<std::vector<std::uint8_t>>(&data.features)) {
    const internal::Kernels& kernels = internal::best_kernels();
    for (const std::uint32_t row : rows) {
      kernels.widen(bytes->data() + row * size, data.scale, data.offset, size, out);
      out += size;
    }
  } else {
    const auto& floats = std::get<std::vector<float>>(data.features);
    for (const std::uint32_t row : rows) { out = std::copy_n(floats.data() + row * size, size, out); }
  }
  const std::span<std::int64_t> labels = network.labels(rows.size());
  for (std::size_t i = 0; i < rows.size(); ++i) { labels[i] = data.labels[rows[i]]; }
}

// How many of the samples that are left the next batch takes. Where a model cannot be trained on one sample, a last
// batch of one joins the batch before it.
std::size_t next_batch(std::size_t left, std::size_t batch_size, const internal::NetworkPlan& plan) {
  const std::size_t taken = std::min(batch_size, left);
  return !plan.trains_on_one_sample && left - taken == 1 ? left : taken;
}

std::uint64_t batches_in(std::size_t samples, std::size_t batch_size, const internal::NetworkPlan& plan) {
  const bool joined = !plan.trains_on_one_sample && samples > batch_size && samples % batch_size == 1;
  return samples / batch_size + (samples % batch_size != 0 && !joined ? 1 : 0);
}

class TorchTrainer final : public Trainer {
 public:
  TorchTrainer(std::shared_ptr<const Settings> settings, std::unique_ptr<Network> network)
      : settings_(std::move(settings)),
        network_(std::move(network)),
        optimizer_(network_->make_optimizer(settings_->optimizer)) {}

  Result<TrainOutcome> train(const TrainTask& task) override {
    try {
      internal::use_one_thread();
      return train_unguarded(task);
    } catch (const std::bad_alloc&) {
      return out_of_memory(settings_->plan.spec).with_context(fmt::format("training client {}", task.client.value));
    } catch (const std::exception& error) {
      return internal_error(fmt::format("training client {}: {}", task.client.value, error.what()));
    }
  }

  Result<Evaluation> evaluate(std::span<const float> model, std::uint32_t part, std::uint32_t parts) override {
    if (settings_->test == nullptr || settings_->test->size() == 0) {
      return unsupported("this federation has no held-out data");
    }
    if (part >= parts) { return invalid_argument(fmt::format("part must be in [0, {}), got {}", parts, part)); }
    TRIBUTARY_RETURN_IF_ERROR(check_size(model.size()));
    try {
      internal::use_one_thread();
      network_->load(model);
      const std::size_t first = settings_->test->size() * part / parts;
      std::vector<std::uint32_t> rows(settings_->test->size() * (part + std::size_t{1}) / parts - first);
      std::iota(rows.begin(), rows.end(), static_cast<std::uint32_t>(first));
      if (rows.empty()) { return Evaluation{}; }
      TRIBUTARY_ASSIGN_OR_RETURN(const internal::Scores scores, score(*settings_->test, rows, nullptr));
      return mean_of(scores, rows.size());
    } catch (const std::bad_alloc&) {
      return out_of_memory(settings_->plan.spec).with_context("evaluation");
    } catch (const std::exception& error) { return internal_error(fmt::format("evaluation: {}", error.what())); }
  }

  Result<Evaluation> evaluate_client(const EvaluateTask& task) override {
    const std::string what = fmt::format("evaluating at client {}", task.client.value);
    if (task.model == nullptr) { return invalid_argument("the task has no model"); }
    TRIBUTARY_RETURN_IF_ERROR(check_size(task.model->size()));
    const std::vector<std::uint32_t> rows = settings_->partition->held_out(task.client);
    if (rows.empty()) { return invalid_argument(fmt::format("client {} holds no samples out", task.client.value)); }
    try {
      internal::use_one_thread();
      network_->load(*task.model);
      TRIBUTARY_ASSIGN_OR_RETURN(const internal::Scores scores, score(*settings_->train, rows, task.cancel));
      return mean_of(scores, rows.size());
    } catch (const std::bad_alloc&) {
      return out_of_memory(settings_->plan.spec).with_context(what);
    } catch (const std::exception& error) { return internal_error(fmt::format("{}: {}", what, error.what())); }
  }

 private:
  static Evaluation mean_of(const internal::Scores& scores, std::size_t samples) {
    const auto count = static_cast<double>(samples);
    return {.samples = samples,
            .metrics = {{"loss", scores.loss_sum / count}, {"accuracy", static_cast<double>(scores.correct) / count}}};
  }

  [[nodiscard]] Status check_size(std::size_t values) const {
    if (values == settings_->plan.spec.parameters()) { return ok_status(); }
    return invalid_argument(
        fmt::format("the model has {} values, expected {}", values, settings_->plan.spec.parameters()));
  }

  static bool stopped(const std::atomic<bool>* cancel) {
    return cancel != nullptr && cancel->load(std::memory_order_relaxed);
  }

  Result<internal::Scores> score(const Dataset& data, std::span<const std::uint32_t> rows,
                                 const std::atomic<bool>* cancel) {
    internal::Scores total;
    for (std::size_t at = 0; at < rows.size(); at += settings_->evaluation_batch) {
      if (stopped(cancel)) { return cancelled("evaluation was cancelled"); }
      const auto batch = rows.subspan(at, std::min(settings_->evaluation_batch, rows.size() - at));
      gather(data, batch, *network_);
      const internal::Scores part =
          network_->score(batch.size(), stream_seed(settings_->seed, Purpose::kDevice, batch.front(), batch.size()));
      total.loss_sum += part.loss_sum;
      total.correct += part.correct;
    }
    return total;
  }

  Result<TrainOutcome> train_unguarded(const TrainTask& task) {
    if (task.base == nullptr) { return invalid_argument("the task has no model"); }
    TRIBUTARY_RETURN_IF_ERROR(check_size(task.base->size()));
    if (task.client.value >= settings_->partition->clients()) {
      return invalid_argument(fmt::format("there is no client {}: the data is split over {}", task.client.value,
                                          settings_->partition->clients()));
    }
    std::vector<std::uint32_t> rows = settings_->partition->samples(task.client);
    if (rows.empty()) { return invalid_argument(fmt::format("client {} has no samples", task.client.value)); }

    TrainOutcome outcome;
    outcome.samples = rows.size();
    outcome.weight = weight_of(settings_->algorithm, rows.size());
    network_->load(*task.base);
    if (task.evaluate_first) {
      TRIBUTARY_ASSIGN_OR_RETURN(const internal::Scores scores, score(*settings_->train, rows, task.cancel));
      const auto count = static_cast<double>(rows.size());
      outcome.metrics["base_loss"] = scores.loss_sum / count;
      outcome.metrics["base_accuracy"] = static_cast<double>(scores.correct) / count;
      // A model that ignores evaluation mode has changed its statistics.
      network_->load(*task.base);
    }
    optimizer_->begin(*task.base, task.drift);
    // Left over only if an earlier task was cancelled or threw.
    static_cast<void>(network_->take_loss());
    const double lr = internal::learning_rate(settings_->optimizer, task.global_round.value, settings_->rounds);
    TRIBUTARY_ASSIGN_OR_RETURN(const std::uint64_t seen, settings_->algorithm.kind == AlgorithmConfig::Kind::kFedSgd
                                                             ? full_batch_step(task, rows, lr, outcome)
                                                             : minibatch_steps(task, rows, lr, outcome));
    const double loss = network_->take_loss() / static_cast<double>(seen);
    if (!std::isfinite(loss)) {
      return bad_data(
          fmt::format("client {} diverged in round {}: its training loss is {}; a smaller "
                      "trainer.optimizer.lr (now {}) or clip_norm may help",
                      task.client.value, task.round.value, loss, lr));
    }
    outcome.metrics["loss"] = loss;
    if (settings_->optimizer.kind == OptimizerConfig::Kind::kSgd) { outcome.learning_rate = lr; }
    outcome.model = std::make_shared<const std::vector<float>>(network_->store());
    return outcome;
  }

  // Both return the number of samples seen, repetitions counted.
  Result<std::uint64_t> full_batch_step(const TrainTask& task, std::span<const std::uint32_t> rows, double lr,
                                        TrainOutcome& outcome) {
    network_->zero_gradients();
    const std::size_t part = settings_->plan.mixes_samples ? rows.size() : kFullBatchPart;
    for (std::size_t at = 0, taken = 0; at < rows.size(); at += taken) {
      if (stopped(task.cancel)) { return cancelled("training was cancelled"); }
      taken = next_batch(rows.size() - at, part, settings_->plan);
      const auto batch = rows.subspan(at, taken);
      gather(*settings_->train, batch, *network_);
      network_->accumulate(batch.size(), static_cast<double>(rows.size()),
                           stream_seed(task.seed, Purpose::kDevice, at / kFullBatchPart));
    }
    optimizer_->step(lr);
    outcome.steps = 1;
    return rows.size();
  }

  Result<std::uint64_t> minibatch_steps(const TrainTask& task, std::span<std::uint32_t> rows, double lr,
                                        TrainOutcome& outcome) {
    const std::size_t batch_size = std::max<std::size_t>(settings_->trainer.batch_size, 1);
    const std::uint64_t per_epoch = batches_in(rows.size(), batch_size, settings_->plan);
    const std::uint64_t steps =
        settings_->trainer.steps > 0 ? settings_->trainer.steps : per_epoch * settings_->trainer.epochs;
    Rng rng(task.seed);
    std::uint64_t seen = 0;
    while (outcome.steps < steps) {
      rng.shuffle(rows);
      for (std::size_t at = 0, taken = 0; at < rows.size() && outcome.steps < steps; at += taken) {
        if (stopped(task.cancel)) { return cancelled("training was cancelled"); }
        taken = next_batch(rows.size() - at, batch_size, settings_->plan);
        const auto batch = rows.subspan(at, taken);
        gather(*settings_->train, batch, *network_);
        network_->zero_gradients();
        network_->accumulate(batch.size(), static_cast<double>(batch.size()),
                             stream_seed(task.seed, Purpose::kDevice, outcome.steps));
        optimizer_->step(lr);
        seen += batch.size();
        ++outcome.steps;
      }
    }
    return seen;
  }

  std::shared_ptr<const Settings> settings_;
  std::unique_ptr<Network> network_;
  std::unique_ptr<internal::Optimizer> optimizer_;
};

class TorchTrainerFactory final : public TrainerFactory {
 public:
  explicit TorchTrainerFactory(std::shared_ptr<const Settings> settings) : settings_(std::move(settings)) {}

  [[nodiscard]] const ParameterSpec& spec() const noexcept override { return settings_->plan.spec; }

  [[nodiscard]] Result<std::vector<float>> initial_model(std::uint64_t seed) const override {
    if (!settings_->initial.empty()) {
      auto values = read_model(real_file_system(), settings_->initial, spec());
      return values.ok() ? std::move(values) : values.status().with_context("model.initial");
    }
    try {
      return settings_->plan.initial.empty() ? internal::initial_values(spec(), seed) : settings_->plan.initial;
    } catch (const std::bad_alloc&) { return out_of_memory(spec()); }
  }

  [[nodiscard]] std::vector<std::string> warnings() const override { return settings_->plan.warnings; }

  [[nodiscard]] bool honours_drift() const override { return true; }

  [[nodiscard]] double weight_bound(ClientIndex client) const override {
    return weight_of(settings_->algorithm, settings_->partition->count(client));
  }

  [[nodiscard]] std::uint64_t holdout_samples(ClientIndex client) const override {
    return settings_->partition->held_out_count(client);
  }

  [[nodiscard]] Result<std::unique_ptr<Trainer>> create() const override {
    try {
      internal::use_one_thread();
      return std::unique_ptr<Trainer>(std::make_unique<TorchTrainer>(settings_, settings_->plan.create()));
    } catch (const std::bad_alloc&) { return out_of_memory(spec()); } catch (const std::exception& error) {
      return internal_error(fmt::format("making a replica of the model: {}", error.what()));
    }
  }

 private:
  std::shared_ptr<const Settings> settings_;
};

Status check(const TrainerContext& context) {
  const Configuration& configuration = context.configuration;
  if (context.train == nullptr || context.partition == nullptr) {
    return configuration_error("trainer.kind torch needs data: data.source must not be none");
  }
  if (context.train->size() == 0 || context.train->classes < 1) {
    return configuration_error(fmt::format("{}: there is nothing to train on", context.train->name));
  }
  if (context.test != nullptr &&
      (context.test->sample_shape != context.train->sample_shape || context.test->classes > context.train->classes)) {
    return configuration_error(
        fmt::format("{} and {} differ in the shape of their samples or have classes of their own", context.train->name,
                    context.test->name));
  }
  if (context.partition->clients() < context.clients) {
    return configuration_error(fmt::format("the data is split over {} clients, the tree has {}",
                                           context.partition->clients(), context.clients));
  }
  const AlgorithmConfig& algorithm = configuration.algorithm;
  if (algorithm.weighting == AlgorithmConfig::Weighting::kCapped && !(algorithm.weight_cap > 0.0)) {
    return configuration_error(
        fmt::format("algorithm.weight_cap must be > 0 for weighting capped, got {}", algorithm.weight_cap));
  }
  if (configuration.trainer.steps == 0 && configuration.trainer.epochs == 0) {
    return configuration_error("trainer.epochs must be >= 1 unless trainer.steps is given");
  }
  return ok_status();
}

// A few samples from all over the data, which may be sorted by label.
std::vector<float> examples_of(const Dataset& data) {
  constexpr std::size_t kMost = 4;
  const std::size_t size = data.sample_size();
  const std::size_t count = std::min(kMost, data.size());
  std::vector<float> examples;
  examples.reserve(count * size);
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t first = data.size() * i / count * size;
    for (std::size_t k = first; k < first + size; ++k) {
      const auto* const bytes = std::get_if<std::vector<std::uint8_t>>(&data.features);
      examples.push_back(bytes != nullptr ? static_cast<float>((*bytes)[k]) * data.scale + data.offset
                                          : std::get<std::vector<float>>(data.features)[k]);
    }
  }
  return examples;
}

// Batch normalisation needs two samples at least: found out before the first round.
Status check_batches(const Settings& settings, const std::string& model, std::uint32_t clients) {
  if (settings.plan.trains_on_one_sample) { return ok_status(); }
  const bool full_batches = settings.algorithm.kind == AlgorithmConfig::Kind::kFedSgd;
  if (!full_batches && settings.trainer.batch_size <= 1) {
    return configuration_error(fmt::format(
        "trainer.batch_size is {}, but {} cannot be trained on a batch of one sample (batch normalisation needs two); "
        "use a larger batch size",
        settings.trainer.batch_size, model));
  }
  std::uint32_t alone = 0;
  std::uint32_t first = 0;
  for (std::uint32_t client = 0; client < clients; ++client) {
    if (settings.partition->count(ClientIndex{client}) != 1) { continue; }
    if (alone++ == 0) { first = client; }
  }
  if (alone == 0) { return ok_status(); }
  return configuration_error(fmt::format(
      "client {} has 1 sample{}, but {} cannot be trained on one sample (batch normalisation needs two); use fewer "
      "clients, or data.partition.min_samples: 2 where the partition has it",
      first, alone > 1 ? fmt::format(", and so have {} more", alone - 1) : "", model));
}

}  // namespace

Result<std::unique_ptr<TrainerFactory>> make_torch_factory(const TrainerContext& context) {
  TRIBUTARY_RETURN_IF_ERROR(check(context));
  try {
    internal::use_one_thread();
    const Configuration& configuration = context.configuration;
    internal::NetworkRequest request;
    request.model = configuration.model;
    if (!configuration.model.torchscript.empty()) {
      request.torchscript = configuration.resolve(configuration.model.torchscript).string();
    }
    request.sample_shape = context.train->sample_shape;
    request.classes = context.train->classes;
    request.device = configuration.trainer.device;
    request.threads = configuration.threads > 0 ? configuration.threads : std::thread::hardware_concurrency();
    if (!request.torchscript.empty()) { request.examples = examples_of(*context.train); }

    auto settings = std::make_shared<Settings>();
    TRIBUTARY_ASSIGN_OR_RETURN(settings->plan, internal::plan_network(request));
    settings->train = context.train;
    settings->test = context.test;
    settings->partition = context.partition;
    settings->trainer = configuration.trainer;
    settings->algorithm = configuration.algorithm;
    settings->optimizer = configuration.trainer.optimizer;
    if (configuration.algorithm.kind == AlgorithmConfig::Kind::kFedSgd) {
      settings->optimizer.kind = OptimizerConfig::Kind::kSgd;
      settings->optimizer.momentum = 0.0;
    }
    settings->rounds = configuration.rounds;
    settings->seed = configuration.seed;
    settings->evaluation_batch = std::max<std::size_t>(configuration.evaluation.batch_size, 1);
    if (!configuration.model.initial.empty()) {
      settings->initial = configuration.resolve(configuration.model.initial);
    }
    TRIBUTARY_RETURN_IF_ERROR(check_batches(*settings, configuration.model.torchscript, context.clients));
    return std::unique_ptr<TrainerFactory>(std::make_unique<TorchTrainerFactory>(std::move(settings)));
  } catch (const std::bad_alloc&) {
    const ModelConfig& model = context.configuration.model;
    return resource_exhausted(fmt::format(
        "{} does not fit into memory",
        model.torchscript.empty() ? "model.kind " + model.kind : "model.torchscript: " + model.torchscript));
  } catch (const std::exception& error) { return internal_error(fmt::format("the torch trainer: {}", error.what())); }
}

}  // namespace tributary
