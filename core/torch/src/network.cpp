// SPDX-License-Identifier: Apache-2.0
#include "network.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cmath>

#include "libtorch_part.hpp"
#include "model_size.hpp"
#include "tributary/base/random.hpp"
#include "tributary/training/trainer_registry.hpp"

namespace tributary::internal {

Result<NetworkPlan> plan_network(const NetworkRequest& request) {
  bool cuda = false;
  if (request.device != "cpu") {
    TRIBUTARY_ASSIGN_OR_RETURN(const LibtorchPart* part, libtorch_part());
    cuda = part->cuda_available();
  }
  if (request.device == "cuda" && !cuda) {
    return unsupported("trainer.device: cuda was asked for, but libtorch sees no CUDA device here; use cpu or auto");
  }
  NetworkRequest resolved = request;
  resolved.device = cuda ? "cuda" : "cpu";
  if (request.torchscript.empty()) {
    std::vector<std::string_view> names;
    bool known = false;
    for (const ModelKind& model : builtin_models()) {
      names.push_back(model.name);
      known = known || model.name == request.model.kind;
    }
    if (!known) {
      return configuration_error(
          fmt::format("model.kind: there is no model named \"{}\"; known: {}; or give a file as "
                      "model.torchscript",
                      request.model.kind, fmt::join(names, ", ")));
    }
    TRIBUTARY_RETURN_IF_ERROR(check_model_fits(resolved, parameters_of_builtin(resolved)));
    if (request.model.kind == "logistic" && !cuda) {
      std::int64_t inputs = 1;
      for (const std::int64_t dimension : request.sample_shape) { inputs *= dimension; }
      return plan_logistic_network(inputs, request.classes);
    }
  }
  TRIBUTARY_ASSIGN_OR_RETURN(const LibtorchPart* part, libtorch_part());
  TRIBUTARY_ASSIGN_OR_RETURN(NetworkPlan plan, part->plan_network(resolved));
  // How large a model of a file is, only the file says.
  TRIBUTARY_RETURN_IF_ERROR(check_model_fits(resolved, static_cast<double>(plan.spec.parameters())));
  return plan;
}

std::vector<float> initial_values(const ParameterSpec& spec, std::uint64_t seed) {
  std::vector<float> values(spec.parameters());
  Rng rng(stream_seed(seed, Purpose::kModelInit));
  double bound = 0.0;  // of the layer that the last weight belongs to; 0: a normalisation
  for (std::size_t t = 0; t < spec.tensors().size(); ++t) {
    const TensorSpec& tensor = spec.tensors()[t];
    const std::span<float> part = std::span(values).subspan(spec.offset(t), tensor.elements());
    const bool is_bias = tensor.name.ends_with("bias");
    if (!is_bias) {
      const bool normalisation = tensor.shape.size() < 2;
      const double inputs =
          normalisation ? 0.0 : static_cast<double>(tensor.elements()) / static_cast<double>(tensor.shape[0]);
      bound = normalisation ? 0.0 : 1.0 / std::sqrt(inputs);
    }
    for (float& value : part) {
      if (bound > 0.0) {
        value = static_cast<float>((rng.uniform() * 2.0 - 1.0) * bound);
      } else {
        value = is_bias ? 0.0F : 1.0F;
      }
    }
  }
  return values;
}

}  // namespace tributary::internal
