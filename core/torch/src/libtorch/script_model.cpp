// SPDX-License-Identifier: Apache-2.0
#include <torch/csrc/jit/runtime/graph_executor.h>
#include <torch/script.h>

#include "libtorch/models.hpp"

namespace tributary::internal {
namespace {

class ScriptModel final : public TorchModel {
 public:
  explicit ScriptModel(torch::jit::Module module) : module_(std::move(module)) {}
  at::Tensor forward(const at::Tensor& input) override { return module_.forward({input}).toTensor(); }
  void set_training(bool training) override { module_.train(training); }
  void move_to(c10::Device device) override { module_.to(device); }
  std::vector<NamedTensor> parameters() override { return listed(module_.named_parameters()); }
  std::vector<NamedTensor> buffers() override { return listed(module_.named_buffers()); }

 private:
  template <typename List>
  static std::vector<NamedTensor> listed(const List& tensors) {
    std::vector<NamedTensor> list;
    for (const auto& item : tensors) {
      const bool seen = std::any_of(list.begin(), list.end(),
                                    [&item](const NamedTensor& other) { return other.tensor.is_same(item.value); });
      if (!seen) { list.push_back({item.name, item.value}); }
    }
    return list;
  }
  torch::jit::Module module_;
};

}  // namespace

std::function<std::unique_ptr<TorchModel>()> script_model_maker(const std::string& file) {
  // The profiling executor runs a graph as it is the first times and may fuse it later on, where libtorch was built
  // with a fuser: a used replica could then round otherwise than a fresh one.
  torch::jit::getProfilingMode() = false;
  auto master = std::make_shared<torch::jit::Module>(torch::jit::load(file, c10::Device(c10::kCPU)));
  return [master]() -> std::unique_ptr<TorchModel> {
    // With gradients on, the copy's parameters would be results of cloning, and their gradients would go to the master.
    const at::NoGradGuard no_gradient;
    torch::jit::Module copy = master->deepcopy();
    auto original = master->named_parameters().begin();
    for (const auto& parameter : copy.named_parameters()) {
      parameter.value.set_requires_grad((*original).value.requires_grad());
      ++original;
    }
    return std::make_unique<ScriptModel>(std::move(copy));
  };
}

}  // namespace tributary::internal
