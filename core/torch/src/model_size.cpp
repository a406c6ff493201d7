// SPDX-License-Identifier: Apache-2.0
#include "model_size.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string>

#include "tributary/base/machine_memory.hpp"

namespace tributary::internal {
namespace {

double with_bias(double inputs, double outputs) {
  return (inputs + 1.0) * outputs;
}

double of_mlp(const NetworkRequest& request, double inputs) {
  double count = 0.0;
  for (const std::uint32_t width : request.model.hidden) {
    count += with_bias(inputs, width);
    inputs = width;
  }
  return count + with_bias(inputs, static_cast<double>(request.classes));
}

double of_lenet5(double channels, double classes, const std::vector<std::int64_t>& shape) {
  const auto side = [](std::int64_t size) { return static_cast<double>(((size - 4) / 2 - 4) / 2); };
  return with_bias(25.0 * channels, 6.0) + with_bias(150.0, 16.0) +
         with_bias(16.0 * side(shape[1]) * side(shape[2]), 120.0) + with_bias(120.0, 84.0) + with_bias(84.0, classes);
}

double of_cnn(double channels, double classes, const NetworkRequest& request) {
  const double width = request.model.width;
  const auto side = [&](std::size_t dimension) { return static_cast<double>(request.sample_shape[dimension] / 4); };
  return with_bias(25.0 * channels, width) + with_bias(25.0 * width, 2.0 * width) +
         with_bias(2.0 * width * side(1) * side(2), 16.0 * width) + with_bias(16.0 * width, classes);
}

double of_resnet(double channels, double classes, const NetworkRequest& request, bool bottleneck) {
  const bool small = std::min(request.sample_shape[1], request.sample_shape[2]) < 64;
  // A convolution without bias, and the normalisation after it.
  const auto layer = [](double from, double to, double kernel) { return from * to * kernel * kernel + 2.0 * to; };
  double count = layer(channels, 64.0, small ? 3.0 : 7.0);
  double from = 64.0;
  const std::array<int, 4> depths = bottleneck ? std::array{3, 4, 6, 3} : std::array{2, 2, 2, 2};
  double inner = 64.0;
  for (const int depth : depths) {
    const double to = bottleneck ? 4.0 * inner : inner;
    for (int block = 0; block < depth; ++block) {
      count += bottleneck ? layer(from, inner, 1.0) + layer(inner, inner, 3.0) + layer(inner, to, 1.0)
                          : layer(from, to, 3.0) + layer(to, to, 3.0);
      if (from != to || (block == 0 && inner > 64.0)) { count += layer(from, to, 1.0); }
      from = to;
    }
    inner *= 2.0;
  }
  return count + with_bias(from, classes);
}

}  // namespace

double parameters_of_builtin(const NetworkRequest& request) {
  const std::string& kind = request.model.kind;
  const auto classes = static_cast<double>(request.classes);
  double inputs = 1.0;
  for (const std::int64_t dimension : request.sample_shape) { inputs *= static_cast<double>(dimension); }
  if (kind == "logistic") { return with_bias(inputs, classes); }
  if (kind == "mlp") { return of_mlp(request, inputs); }
  if (request.sample_shape.size() != 3) { return 0.0; }
  const auto channels = static_cast<double>(request.sample_shape[0]);
  if (kind == "lenet5") { return of_lenet5(channels, classes, request.sample_shape); }
  if (kind == "cnn") { return of_cnn(channels, classes, request); }
  if (kind == "resnet18") { return of_resnet(channels, classes, request, false); }
  if (kind == "resnet50") { return of_resnet(channels, classes, request, true); }
  return 0.0;
}

Status check_model_fits(const NetworkRequest& request, double parameters) {
  const bool on_cpu = request.device == "cpu";
  const double threads = std::max(request.threads, 1U);
  const double copies = 2.0 + (on_cpu ? 2.0 * threads : 0.0);
  const bool built_in = request.torchscript.empty();
  const std::string subject = built_in ? fmt::format("model.kind {}", request.model.kind)
                                       : fmt::format("model.torchscript: {}", request.torchscript);
  const std::string held = !on_cpu         ? "The model and a sum of changes"
                           : threads > 1.0 ? fmt::format(
                                                 "The model, a sum of changes and the values and gradients of "
                                                 "{} threads",
                                                 threads)
                                           : "The model, a sum of changes and the values and gradients of a thread";
  Status status = check_memory_for(copies * sizeof(float) * parameters,
                                   fmt::format("{} has {:.0f} parameters here. {} take", subject, parameters, held),
                                   machine_memory());
  if (status.ok()) { return status; }
  std::string remedy = threads > 1.0 && on_cpu ? "lower threads" : "";
  const std::string key = !built_in                     ? ""
                          : request.model.kind == "mlp" ? "model.hidden"
                          : request.model.kind == "cnn" ? "model.width"
                                                        : "";
  if (!key.empty()) {
    remedy = remedy.empty() ? fmt::format("lower {}", key) : fmt::format("lower {} or threads", key);
  }
  if (remedy.empty()) { remedy = "take a smaller model"; }
  return resource_exhausted(fmt::format("{}; {}, or use a larger machine", status.message(), remedy));
}

}  // namespace tributary::internal
