// SPDX-License-Identifier: Apache-2.0
#include "tributary/training/trainer_registry.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <array>
#include <exception>

#include "command_trainer.hpp"
#include "echo_trainer.hpp"
#include "tributary/training/library_trainer.hpp"

namespace tributary {
namespace {

constexpr std::array<ModelKind, 6> kModels{{
    {"logistic", "one linear layer (7,850 parameters on 28x28 images with 10 classes)"},
    {"mlp", "linear layers with ReLU between them; widths in model.hidden"},
    {"lenet5", "LeNet-5 with ReLU and max pooling (44,426 parameters on 28x28 images with 10 classes)"},
    {"cnn", "two 5x5 convolutions and two linear layers; model.width channels (32: 1,663,370 parameters on 28x28)"},
    {"resnet18", "ResNet-18 with group normalisation"},
    {"resnet50", "ResNet-50 with group normalisation"},
}};

}  // namespace

Status TrainerRegistry::add(std::string kind, TrainerFactoryMaker maker, std::string summary) {
  if (kind.empty()) { return invalid_argument("a trainer needs a name"); }
  if (!maker) { return invalid_argument(fmt::format("trainer {} has nothing that makes it", kind)); }
  if (known_.contains(kind)) { return invalid_argument(fmt::format("there is already a trainer named {}", kind)); }
  known_.emplace(std::move(kind), Known{std::move(summary), std::move(maker)});
  return ok_status();
}

Result<std::unique_ptr<TrainerFactory>> TrainerRegistry::make(const std::string& kind,
                                                              const TrainerContext& context) const {
  const auto found = known_.find(kind);
  if (found == known_.end()) {
    std::vector<std::string_view> names;
    for (const auto& entry : known_) { names.push_back(entry.first); }
    return configuration_error(
        fmt::format("trainer.kind: there is no trainer named \"{}\"; known: {}", kind, fmt::join(names, ", ")));
  }
  try {
    auto made = found->second.maker(context);
    if (made.ok() && made.value() == nullptr) {
      return internal_error(fmt::format("trainer {} made no factory", kind));
    }
    return made;
  } catch (const std::exception& error) {
    return internal_error(fmt::format("trainer {}: {}", kind, error.what()));
  } catch (...) { return internal_error(fmt::format("trainer {} threw an exception of another type", kind)); }
}

std::vector<TrainerRegistry::Entry> TrainerRegistry::kinds() const {
  std::vector<Entry> list;
  for (const auto& [name, entry] : known_) { list.push_back({name, entry.summary}); }
  return list;
}

void register_builtin_trainers(TrainerRegistry& registry) {
  const auto add = [&registry](const char* kind, TrainerFactoryMaker maker, const char* summary) {
    // Refused only where the caller has put a trainer of that name first: then theirs counts.
    static_cast<void>(registry.add(kind, std::move(maker), summary));
  };
  add("command", make_command_trainer_factory, "runs a program per task: safetensors in, safetensors out");
  add("echo", make_echo_trainer_factory, "returns the model it was given; measures everything but training");
  add("library", make_library_trainer_factory, "a C++ trainer from a shared library");
  add("torch", make_torch_trainer_factory, "libtorch: built-in models and TorchScript files");
}

std::span<const ModelKind> builtin_models() noexcept {
  return kModels;
}

}  // namespace tributary
