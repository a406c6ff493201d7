// SPDX-License-Identifier: Apache-2.0
#include "tributary/training/library_trainer.hpp"

#include <dlfcn.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <exception>
#include <utility>
#include <vector>

#include "client_weight.hpp"
#include "tributary/base/weight.hpp"

namespace tributary {
namespace {

constexpr const char* kAbiSymbol = "tributary_trainer_abi";
constexpr const char* kEntrySymbol = "tributary_register_trainer";
constexpr const char* kTorchInformationSymbol = "tributary_torch_info";

// Runs `call` and turns what it throws into a Status: code of others must not unwind through ours.
template <typename Returned, typename Call>
Returned guarded(const std::string& who, const Call& call) {
  try {
    return call();
  } catch (const std::exception& error) {
    return internal_error(fmt::format("{}: {}", who, error.what()));
  } catch (...) { return internal_error(fmt::format("{} threw an exception of another type", who)); }
}

// The largest weight of each client and the samples that it holds out, as the library announced them once, before the
// run.
struct ClientBounds {
  internal::ClientWeight weights;
  std::vector<double> announced;
  std::vector<std::uint64_t> held_out;

  [[nodiscard]] double announced_by(ClientIndex client) const {
    return client.value < announced.size() ? announced[client.value] : 0.0;
  }
};

Result<std::shared_ptr<const ClientBounds>> announced_bounds(const TrainerFactory& factory, const std::string& who,
                                                             const TrainerContext& context) {
  auto bounds = std::make_shared<ClientBounds>(ClientBounds{internal::ClientWeight(context.configuration), {}, {}});
  bounds->announced.reserve(context.clients);
  for (std::uint32_t client = 0; client < context.clients; ++client) {
    TRIBUTARY_ASSIGN_OR_RETURN(const double bound, guarded<Result<double>>(who, [&]() -> Result<double> {
                                 return factory.weight_bound(ClientIndex{client});
                               }));
    if (bound != 0.0 && !(bound >= Weight::kSmallest && bound <= Weight::kLargest)) {
      return configuration_error(fmt::format(
          "{}: weight_bound() of client {} must be >= {} and <= {}, or 0 for a client without samples, got {}", who,
          client, Weight::kSmallest, Weight::kLargest, bound));
    }
    bounds->announced.push_back(bound);
    TRIBUTARY_ASSIGN_OR_RETURN(const std::uint64_t held_out,
                               guarded<Result<std::uint64_t>>(who, [&]() -> Result<std::uint64_t> {
                                 return factory.holdout_samples(ClientIndex{client});
                               }));
    bounds->held_out.push_back(held_out);
  }
  return std::shared_ptr<const ClientBounds>(std::move(bounds));
}

class GuardedTrainer final : public Trainer {
 public:
  GuardedTrainer(std::unique_ptr<Trainer> trainer, std::shared_ptr<const ClientBounds> bounds, std::string who)
      : trainer_(std::move(trainer)), bounds_(std::move(bounds)), who_(std::move(who)) {}

  Result<TrainOutcome> train(const TrainTask& task) override {
    auto outcome = guarded<Result<TrainOutcome>>(
        fmt::format("{}: client {}, round {}", who_, task.client.value, task.global_round.value),
        [&] { return trainer_->train(task); });
    if (!outcome.ok() || !(outcome->weight > 0.0)) { return outcome; }
    const double announced = bounds_->announced_by(task.client);
    if (bounds_->weights.by_report() && outcome->weight > announced) {
      return bad_data(fmt::format("{}: client {} weighs {}, but weight_bound() announced at most {}", who_,
                                  task.client.value, outcome->weight, announced));
    }
    const Result<double> weight = bounds_->weights.weight("weight", outcome->weight, bounds_->weights.bound(announced));
    if (!weight.ok()) { return weight.status().with_context(fmt::format("{}: client {}", who_, task.client.value)); }
    outcome->weight = *weight;
    return outcome;
  }
  Result<Evaluation> evaluate(std::span<const float> model, std::uint32_t part, std::uint32_t parts) override {
    return guarded<Result<Evaluation>>(who_, [&] { return trainer_->evaluate(model, part, parts); });
  }
  Result<Evaluation> evaluate_client(const EvaluateTask& task) override {
    return guarded<Result<Evaluation>>(fmt::format("{}: evaluating at client {}", who_, task.client.value),
                                       [&] { return trainer_->evaluate_client(task); });
  }

 private:
  std::unique_ptr<Trainer> trainer_;
  std::shared_ptr<const ClientBounds> bounds_;
  std::string who_;
};

class GuardedFactory final : public TrainerFactory {
 public:
  GuardedFactory(std::unique_ptr<TrainerFactory> factory, std::shared_ptr<const ClientBounds> bounds, std::string who)
      : factory_(std::move(factory)), bounds_(std::move(bounds)), who_(std::move(who)) {}

  [[nodiscard]] const ParameterSpec& spec() const noexcept override { return factory_->spec(); }
  [[nodiscard]] Result<std::vector<float>> initial_model(std::uint64_t seed) const override {
    return guarded<Result<std::vector<float>>>(who_, [&] { return factory_->initial_model(seed); });
  }
  [[nodiscard]] double weight_bound(ClientIndex client) const override {
    return bounds_->weights.bound(bounds_->announced_by(client));
  }
  [[nodiscard]] Result<std::unique_ptr<Trainer>> create() const override {
    auto made = guarded<Result<std::unique_ptr<Trainer>>>(who_, [&] { return factory_->create(); });
    if (!made.ok()) { return made.status(); }
    if (made.value() == nullptr) { return internal_error(fmt::format("{} created no trainer", who_)); }
    return std::unique_ptr<Trainer>(std::make_unique<GuardedTrainer>(std::move(made).value(), bounds_, who_));
  }
  [[nodiscard]] std::uint64_t holdout_samples(ClientIndex client) const override {
    return client.value < bounds_->held_out.size() ? bounds_->held_out[client.value] : 0;
  }
  [[nodiscard]] bool honours_drift() const override {
    const auto told = guarded<Result<bool>>(who_, [&] { return Result<bool>(factory_->honours_drift()); });
    return told.ok() && *told;
  }
  [[nodiscard]] std::vector<std::string> warnings() const override {
    auto told = guarded<Result<std::vector<std::string>>>(
        who_, [&] { return Result<std::vector<std::string>>(factory_->warnings()); });
    return told.ok() ? std::move(told).value() : std::vector<std::string>{told.status().message()};
  }

 private:
  std::unique_ptr<TrainerFactory> factory_;
  std::shared_ptr<const ClientBounds> bounds_;
  std::string who_;
};

// The reason that dlopen() or dlsym() gave last.
std::string loader_reason() {
  const char* reason = dlerror();
  return reason == nullptr ? "no reason given" : reason;
}

// Libraries are never unloaded: objects of their types, and threads they started, may live until the process ends.
Result<void*> open_library(const std::string& file) {
  void* handle = dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (handle == nullptr) { return unsupported(loader_reason()); }
  return handle;
}

Status register_from(void* handle, const std::string& name, TrainerRegistry& registry) {
  const void* abi = dlsym(handle, kAbiSymbol);
  void* entry = dlsym(handle, kEntrySymbol);
  if (abi == nullptr || entry == nullptr) {
    return unsupported(fmt::format("{} is no trainer library: it does not define {} (see TRIBUTARY_TRAINER_LIBRARY)",
                                   name, abi == nullptr ? kAbiSymbol : kEntrySymbol));
  }
  const std::uint32_t built_against = *static_cast<const std::uint32_t*>(abi);
  if (built_against != TRIBUTARY_TRAINER_ABI) {
    return unsupported(fmt::format("{} was built against trainer interface {}, this program has {}: build it again",
                                   name, built_against, TRIBUTARY_TRAINER_ABI));
  }
  return guarded<Status>(name, [&] {
    reinterpret_cast<void (*)(TrainerRegistry&)>(entry)(registry);
    return ok_status();
  });
}

// "<directory>/libtributary_training.so.0.1" says where its sibling is and how it is called.
std::filesystem::path own_file() {
  Dl_info info{};
  if (dladdr(reinterpret_cast<const void*>(&make_library_trainer_factory), &info) == 0 || info.dli_fname == nullptr) {
    return {};
  }
  return info.dli_fname;
}

Result<void*> open_torch() {
  const std::filesystem::path self = own_file();
  std::string name = self.filename().string();
  const std::string_view core = "libtributary_training";
  name = name.starts_with(core) ? "libtributary_torch" + name.substr(core.size()) : "libtributary_torch.so";
  const std::filesystem::path beside = self.parent_path() / name;
  std::error_code ignored;
  if (std::filesystem::exists(beside, ignored)) {
    // There, so what is wrong with it is worth saying.
    auto opened = open_library(beside.string());
    if (opened.ok()) { return opened; }
    return unsupported(fmt::format("the torch trainer cannot be loaded: {}", opened.status().message()));
  }
  auto opened = open_library(name);
  if (opened.ok()) { return opened; }
  return unsupported(
      fmt::format("this build has no torch trainer ({} is neither in {} nor where the loader looks): "
                  "apt-get install libtorch-dev, and build with -DTRIBUTARY_WITH_TORCH=ON",
                  name, self.parent_path().string()));
}

}  // namespace

Status load_trainer_library(const std::filesystem::path& file, TrainerRegistry& registry) {
  std::error_code ignored;
  if (!std::filesystem::is_regular_file(file, ignored)) {
    return not_found(fmt::format("there is no trainer library {}", file.string()));
  }
  const std::filesystem::path absolute = std::filesystem::absolute(file, ignored);
  auto handle = open_library(absolute.string());
  if (!handle.ok()) {
    return unsupported(fmt::format("{} cannot be loaded: {}", file.string(), handle.status().message()));
  }
  return register_from(handle.value(), file.string(), registry);
}

Result<std::unique_ptr<TrainerFactory>> make_library_trainer_factory(const TrainerContext& context) {
  const TrainerConfig& trainer = context.configuration.trainer;
  if (trainer.library.empty()) {
    return configuration_error("trainer.library must name a shared library for trainer.kind library");
  }
  const std::filesystem::path file = context.configuration.resolve(trainer.library);
  TrainerRegistry brought;
  TRIBUTARY_RETURN_IF_ERROR(load_trainer_library(file, brought).with_context("trainer.library"));
  const std::vector<TrainerRegistry::Entry> kinds = brought.kinds();
  if (kinds.empty()) {
    return configuration_error(fmt::format("trainer.library: {} brings no trainer", file.string()));
  }
  std::string chosen = kinds.front().name;
  if (const auto option = trainer.options.find("trainer"); option != trainer.options.end()) {
    chosen = option->second;
  } else if (kinds.size() > 1) {
    std::vector<std::string> names;
    for (const TrainerRegistry::Entry& kind : kinds) { names.push_back(kind.name); }
    return configuration_error(
        fmt::format("trainer.library: {} brings several trainers ({}): name one in "
                    "trainer.options.trainer",
                    file.string(), fmt::join(names, ", ")));
  }
  TRIBUTARY_ASSIGN_OR_RETURN(auto factory, brought.make(chosen, context));
  const std::string who = fmt::format("trainer {} of {}", chosen, file.string());
  TRIBUTARY_ASSIGN_OR_RETURN(auto bounds, announced_bounds(*factory, who, context));
  return std::unique_ptr<TrainerFactory>(std::make_unique<GuardedFactory>(std::move(factory), std::move(bounds), who));
}

Result<std::unique_ptr<TrainerFactory>> make_torch_trainer_factory(const TrainerContext& context) {
  TRIBUTARY_ASSIGN_OR_RETURN(void* handle, open_torch());
  TrainerRegistry brought;
  TRIBUTARY_RETURN_IF_ERROR(register_from(handle, "libtributary_torch", brought));
  return brought.make("torch", context);
}

Result<std::string> torch_information(bool measure) {
  TRIBUTARY_ASSIGN_OR_RETURN(void* handle, open_torch());
  void* symbol = dlsym(handle, kTorchInformationSymbol);
  if (symbol == nullptr) {
    return unsupported(fmt::format("libtributary_torch does not define {}", kTorchInformationSymbol));
  }
  return std::string(reinterpret_cast<const char* (*)(int)>(symbol)(measure ? 1 : 0));
}

}  // namespace tributary
