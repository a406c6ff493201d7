// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "libtorch/models.hpp"

namespace tributary::internal {
namespace {

namespace nn = torch::nn;

// A torch::nn module as a TorchModel. Net has forward(Tensor) and is made from a request.
template <typename Net>
class BuiltinModel final : public TorchModel {
 public:
  explicit BuiltinModel(const NetworkRequest& request) : net_(std::make_shared<Net>(request)) {}
  at::Tensor forward(const at::Tensor& input) override { return net_->forward(input); }
  void set_training(bool training) override { net_->train(training); }
  void move_to(c10::Device device) override { net_->to(device); }
  std::vector<ModelTensor> tensors() override {
    std::vector<ModelTensor> list;
    for (const auto& item : net_->named_parameters()) {
      list.push_back({item.key(), item.value(), TensorRole::kTrainable});
    }
    return list;
  }

 private:
  std::shared_ptr<Net> net_;
};

std::int64_t product(const std::vector<std::int64_t>& shape) {
  std::int64_t count = 1;
  for (const std::int64_t dimension : shape) { count *= dimension; }
  return count;
}

struct Logistic : nn::Module {
  explicit Logistic(const NetworkRequest& request)
      : linear(register_module("linear", nn::Linear(product(request.sample_shape), request.classes))) {}
  at::Tensor forward(const at::Tensor& input) { return linear(input.flatten(1)); }
  nn::Linear linear;
};

struct Mlp : nn::Module {
  explicit Mlp(const NetworkRequest& request) {
    std::int64_t inputs = product(request.sample_shape);
    for (const std::uint32_t width : request.model.hidden) { add(inputs, width); }
    add(inputs, request.classes);
  }
  at::Tensor forward(const at::Tensor& input) {
    at::Tensor x = layers.front()(input.flatten(1));
    for (std::size_t i = 1; i < layers.size(); ++i) { x = layers[i](x.relu_()); }
    return x;
  }
  void add(std::int64_t& inputs, std::int64_t outputs) {
    layers.push_back(register_module(fmt::format("linear{}", layers.size() + 1), nn::Linear(inputs, outputs)));
    inputs = outputs;
  }
  std::vector<nn::Linear> layers;
};

// LeCun et al., 1998, as it is used today: ReLU, max pooling, no connection table.
struct LeNet5 : nn::Module {
  explicit LeNet5(const NetworkRequest& request)
      : conv1(register_module("conv1", nn::Conv2d(request.sample_shape[0], 6, 5))),
        conv2(register_module("conv2", nn::Conv2d(6, 16, 5))),
        fc1(register_module("fc1",
                            nn::Linear(16 * side(request.sample_shape[1]) * side(request.sample_shape[2]), 120))),
        fc2(register_module("fc2", nn::Linear(120, 84))),
        fc3(register_module("fc3", nn::Linear(84, request.classes))) {}
  // What two convolutions and poolings leave of a side.
  static std::int64_t side(std::int64_t size) { return ((size - 4) / 2 - 4) / 2; }
  at::Tensor forward(const at::Tensor& input) {
    const at::Tensor x = pool_relu(conv2(pool_relu(conv1(input)))).flatten(1);
    return fc3(fc2(fc1(x).relu_()).relu_());
  }
  nn::Conv2d conv1, conv2;
  nn::Linear fc1, fc2, fc3;
};

// The CNN of arXiv 1602.05629, its channels scaled by `width`.
struct Cnn : nn::Module {
  explicit Cnn(const NetworkRequest& request)
      : conv1(register_module(
            "conv1", nn::Conv2d(nn::Conv2dOptions(request.sample_shape[0], request.model.width, 5).padding(2)))),
        conv2(register_module(
            "conv2", nn::Conv2d(nn::Conv2dOptions(request.model.width, 2 * request.model.width, 5).padding(2)))),
        fc1(register_module(
            "fc1", nn::Linear(2 * request.model.width * (request.sample_shape[1] / 4) * (request.sample_shape[2] / 4),
                              16 * request.model.width))),
        fc2(register_module("fc2", nn::Linear(16 * request.model.width, request.classes))) {}
  at::Tensor forward(const at::Tensor& input) {
    const at::Tensor x = pool_relu(conv2(pool_relu(conv1(input)))).flatten(1);
    return fc2(fc1(x).relu_());
  }
  nn::Conv2d conv1, conv2;
  nn::Linear fc1, fc2;
};

nn::Conv2d convolution(std::int64_t from, std::int64_t to, std::int64_t kernel, std::int64_t stride) {
  return nn::Conv2d(nn::Conv2dOptions(from, to, kernel).stride(stride).padding(kernel / 2).bias(false));
}

// Batch statistics of clients with different labels do not average well (arXiv 1910.00189); groups of one sample do.
nn::GroupNorm normalisation(std::int64_t channels) {
  return nn::GroupNorm(nn::GroupNormOptions(32, channels));
}

// Two 3x3 convolutions (ResNet-18), or 1x1, 3x3, 1x1 to four times the channels (ResNet-50), beside a short cut.
struct Block : nn::Module {
  Block(std::int64_t from, std::int64_t channels, std::int64_t stride, bool bottleneck) {
    const std::int64_t to = bottleneck ? 4 * channels : channels;
    if (bottleneck) {
      add(from, channels, 1, 1);
      add(channels, channels, 3, stride);
      add(channels, to, 1, 1);
    } else {
      add(from, channels, 3, stride);
      add(channels, to, 3, 1);
    }
    if (stride != 1 || from != to) {
      shortcut = register_module("shortcut", convolution(from, to, 1, stride));
      shortcut_norm = register_module("shortcut_norm", normalisation(to));
    }
  }
  void add(std::int64_t from, std::int64_t to, std::int64_t kernel, std::int64_t stride) {
    const std::size_t number = convolutions.size() + 1;
    convolutions.push_back(register_module(fmt::format("conv{}", number), convolution(from, to, kernel, stride)));
    norms.push_back(register_module(fmt::format("norm{}", number), normalisation(to)));
  }
  at::Tensor forward(const at::Tensor& input) {
    at::Tensor x = input;
    for (std::size_t i = 0; i < convolutions.size(); ++i) {
      if (i > 0) { x = x.relu_(); }
      x = norms[i](convolutions[i](x));
    }
    return (x + (shortcut ? shortcut_norm(shortcut(input)) : input)).relu_();
  }
  std::vector<nn::Conv2d> convolutions;
  std::vector<nn::GroupNorm> norms;
  nn::Conv2d shortcut{nullptr};
  nn::GroupNorm shortcut_norm{nullptr};
};

// He et al., 2015. Images below 64x64 keep their size in the stem.
template <bool kBottleneck>
struct ResNet : nn::Module {
  explicit ResNet(const NetworkRequest& request)
      : small(std::min(request.sample_shape[1], request.sample_shape[2]) < 64),
        stem(register_module("stem", convolution(request.sample_shape[0], 64, small ? 3 : 7, small ? 1 : 2))),
        stem_norm(register_module("stem_norm", normalisation(64))) {
    constexpr std::array<std::int64_t, 4> kDepths =
        kBottleneck ? std::array<std::int64_t, 4>{3, 4, 6, 3} : std::array<std::int64_t, 4>{2, 2, 2, 2};
    std::int64_t from = 64;
    for (std::size_t stage = 0; stage < kDepths.size(); ++stage) {
      const std::int64_t channels = std::int64_t{64} << stage;
      for (std::int64_t i = 0; i < kDepths[stage]; ++i) {
        const std::int64_t stride = stage > 0 && i == 0 ? 2 : 1;
        blocks.push_back(register_module(fmt::format("stage{}_block{}", stage + 1, i + 1),
                                         std::make_shared<Block>(from, channels, stride, kBottleneck)));
        from = kBottleneck ? 4 * channels : channels;
      }
    }
    fc = register_module("fc", nn::Linear(from, request.classes));
  }
  at::Tensor forward(const at::Tensor& input) {
    at::Tensor x = stem_norm(stem(input)).relu_();
    if (!small) { x = at::max_pool2d(x, {3, 3}, {2, 2}, {1, 1}); }
    for (const auto& block : blocks) { x = block->forward(x); }
    return fc(x.mean({2, 3}));
  }
  bool small;
  nn::Conv2d stem;
  nn::GroupNorm stem_norm;
  std::vector<std::shared_ptr<Block>> blocks;
  nn::Linear fc{nullptr};
};

}  // namespace

Status check_builtin_model(const NetworkRequest& request) {
  const std::string& kind = request.model.kind;
  const auto& shape = request.sample_shape;
  if (kind == "mlp") {
    for (const std::uint32_t width : request.model.hidden) {
      if (width == 0) { return configuration_error("model.hidden: every width must be >= 1, got 0"); }
    }
  }
  if (kind == "logistic" || kind == "mlp") { return ok_status(); }
  // Below this a layer would have nothing to look at.
  const std::int64_t smallest = kind == "lenet5" ? 16 : kind == "cnn" ? 4 : 8;
  if (shape.size() != 3 || shape[1] < smallest || shape[2] < smallest) {
    return configuration_error(
        fmt::format("model.kind {} needs images of channels x height x width, at least {}x{}; the "
                    "samples' shape is [{}]",
                    kind, smallest, smallest, fmt::join(shape, ", ")));
  }
  if (kind == "cnn" && request.model.width == 0) { return configuration_error("model.width must be >= 1, got 0"); }
  return ok_status();
}

std::unique_ptr<TorchModel> make_builtin_model(const NetworkRequest& request) {
  const std::string& kind = request.model.kind;
  if (kind == "logistic") { return std::make_unique<BuiltinModel<Logistic>>(request); }
  if (kind == "mlp") { return std::make_unique<BuiltinModel<Mlp>>(request); }
  if (kind == "lenet5") { return std::make_unique<BuiltinModel<LeNet5>>(request); }
  if (kind == "cnn") { return std::make_unique<BuiltinModel<Cnn>>(request); }
  if (kind == "resnet18") { return std::make_unique<BuiltinModel<ResNet<false>>>(request); }
  if (kind == "resnet50") { return std::make_unique<BuiltinModel<ResNet<true>>>(request); }
  throw std::invalid_argument(fmt::format("no model named {}", kind));
}

}  // namespace tributary::internal
