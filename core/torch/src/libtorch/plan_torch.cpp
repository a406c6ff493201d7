// SPDX-License-Identifier: Apache-2.0
#include <caffe2/serialize/inline_container.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <array>
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "libtorch/plain_errors.hpp"
#include "libtorch/probe.hpp"
#include "libtorch/tensor_layout.hpp"
#include "libtorch/torch_network.hpp"
#include "network.hpp"
#include "tributary/nodes/finite.hpp"

namespace tributary::internal {
namespace {

using ModelMaker = std::function<std::unique_ptr<TorchModel>()>;

// What a file that is no TorchScript file is, and what to do; empty if it looks like one. torch.save writes a ZIP
// archive as torch.jit.save does, but with names and values alone; older versions wrote a pickle.
std::string no_script(const std::string& path) {
  static constexpr std::string_view kArchive = "PK";
  constexpr const char* kByTorchSave =
      "was written by torch.save, which keeps no program of the model; write the scripted model instead: "
      "torch.jit.script(model).save(\"model.pt\")";
  std::array<char, kArchive.size()> start{};
  std::ifstream(path, std::ios::binary).read(start.data(), start.size());
  if (start[0] == '\x80') { return kByTorchSave; }
  if (std::string_view(start.data(), start.size()) != kArchive) {
    return "is no TorchScript file; torch.jit.script(model).save(\"model.pt\") writes one";
  }
  try {
    caffe2::serialize::PyTorchStreamReader archive(path);
    if (archive.hasRecord("data.pkl") && !archive.hasRecord("constants.pkl")) { return kByTorchSave; }
  } catch (const std::exception&) { return "is damaged or cut off: it begins as a TorchScript file does"; }
  return {};
}

Result<ScriptFile> open_script(const std::string& path) {
  std::error_code ignored;
  if (std::filesystem::is_directory(path, ignored)) {
    return configuration_error(fmt::format("model.torchscript: {} is a directory, expected a TorchScript file", path));
  }
  if (!std::filesystem::is_regular_file(path, ignored)) {
    return not_found(fmt::format("model.torchscript: there is no file {}", path));
  }
  try {
    return with_plain_errors([&] { return ScriptFile(path); });
  } catch (const std::bad_alloc&) { throw; } catch (const std::exception& error) {
    if (const std::string other = no_script(path); !other.empty()) {
      return bad_data(fmt::format("model.torchscript: {} {}", path, other));
    }
    return bad_data(fmt::format("model.torchscript: {} cannot be read as a TorchScript file: {}", path, error.what()));
  }
}

Result<NetworkPlan> plan_script(ScriptFile& file, const NetworkRequest& request) {
  const auto layout = std::make_shared<TensorLayout>(layout_of(file.original().tensors()));
  if (layout->trainable == 0) {
    return configuration_error(
        fmt::format("model.torchscript: {} has no trainable parameters (was it frozen?)", request.torchscript));
  }
  NetworkPlan plan;
  TRIBUTARY_ASSIGN_OR_RETURN(plan.spec, ParameterSpec::create(layout->tensors));
  plan.initial = std::exchange(layout->values, {});
  if (const std::string trouble = describe_not_finite(plan.spec, plan.initial); !trouble.empty()) {
    return bad_data(
        fmt::format("model.torchscript: {}: {}; a run starts from finite numbers", request.torchscript, trouble));
  }
  const ModelMaker replicas = file.replicas();
  TorchNetwork trial(replicas(), *layout, request, Draws{});
  const ProbeResult found = probe(trial, request, *layout, plan.initial);
  plan.mixes_samples = found.mixes_in_training;
  plan.trains_on_one_sample = found.trains_on_one_sample;
  plan.warnings = model_warnings(request.torchscript, file.original(), found);
  if (!layout->shared.empty()) {
    plan.warnings.push_back(fmt::format("model.torchscript: {}: parameters that share memory are trained as one: {}",
                                        request.torchscript, fmt::join(layout->shared, ", ")));
  }
  plan.create = [replicas, layout, request, draws = found.draws]() -> std::unique_ptr<Network> {
    return with_plain_errors([&] { return std::make_unique<TorchNetwork>(replicas(), *layout, request, draws); });
  };
  return plan;
}

Result<NetworkPlan> plan_script_network(const NetworkRequest& request) {
  TRIBUTARY_ASSIGN_OR_RETURN(ScriptFile file, open_script(request.torchscript));
  try {
    return with_plain_errors([&] { return plan_script(file, request); });
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
    const auto layout = std::make_shared<TensorLayout>(layout_of(make_builtin_model(request)->tensors()));
    // They are arbitrary.
    layout->values = {};
    TRIBUTARY_ASSIGN_OR_RETURN(plan.spec, ParameterSpec::create(layout->tensors));
    plan.create = [request, layout]() -> std::unique_ptr<Network> {
      return with_plain_errors(
          [&] { return std::make_unique<TorchNetwork>(make_builtin_model(request), *layout, request, Draws{}); });
    };
    return plan;
  });
}

}  // namespace tributary::internal
