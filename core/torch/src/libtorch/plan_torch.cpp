// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "libtorch/plain_errors.hpp"
#include "libtorch/probe.hpp"
#include "libtorch/tensor_layout.hpp"
#include "libtorch/torch_network.hpp"
#include "network.hpp"
#include "tributary/core/finite.hpp"

namespace tributary::internal {
namespace {

using ModelMaker = std::function<std::unique_ptr<TorchModel>()>;

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
  const ProbeResult found = probe(trial, request, plan.initial);
  plan.mixes_samples = found.mixes_in_training;
  plan.trains_on_one_sample = found.trains_on_one_sample;
  plan.warnings = mode_warnings(request.torchscript, file.original(), found);
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
