// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <torch/csrc/jit/ir/constants.h>
#include <torch/csrc/jit/runtime/graph_executor.h>
#include <torch/script.h>

#include <algorithm>
#include <array>
#include <unordered_set>

#include "libtorch/models.hpp"

namespace tributary::internal {
namespace {

using torch::jit::ObjectPtr;

struct TensorSlot {
  ObjectPtr owner;
  std::size_t slot = 0;
  ModelTensor item;
};

struct ValueSlot {
  ObjectPtr owner;
  std::size_t slot = 0;
  c10::IValue start;
};

bool is_container(const c10::IValue& value) {
  return value.isList() || value.isGenericDict() || value.isTuple();
}

using Tensors = std::unordered_set<const c10::TensorImpl*>;

bool holds_any(const c10::IValue& value, const Tensors& tensors) {
  bool found = false;
  value.visit([&](const c10::IValue& inner) {
    found = found || (inner.isTensor() && tensors.contains(inner.toTensor().unsafeGetTensorImpl()));
    return found;
  });
  return found;
}

// A deep copy that keeps the model's own tensors as they are: nn.LSTM, GRU and RNN compute with a list of their
// parameters, and copies of those would be neither loaded nor trained. IValue::deepcopy can be told of no exceptions,
// as it takes tensors that share memory for one and the same, which all of a replica's do.
c10::IValue copy_around(const c10::IValue& value, const Tensors& own) {
  if (!is_container(value)) {
    return value.isTensor() && !own.contains(value.toTensor().unsafeGetTensorImpl()) ? value.deepcopy() : value;
  }
  if (!holds_any(value, own)) { return value.deepcopy(); }
  if (value.isList()) {
    const auto list = value.toList();
    c10::impl::GenericList copy(list.elementType());
    for (const c10::IValue& element : value.toListRef()) { copy.push_back(copy_around(element, own)); }
    return copy;
  }
  if (value.isGenericDict()) {
    const auto dictionary = value.toGenericDict();
    c10::impl::GenericDict copy(dictionary.keyType(), dictionary.valueType());
    for (const auto& entry : dictionary) { copy.insert(entry.key(), copy_around(entry.value(), own)); }
    return copy;
  }
  std::vector<c10::IValue> copies;
  for (const c10::IValue& element : value.toTupleRef().elements()) { copies.push_back(copy_around(element, own)); }
  return c10::ivalue::Tuple::create(std::move(copies));
}

// Everything a module and its submodules hold.
class Contents {
 public:
  explicit Contents(const ObjectPtr& module) {
    visit(module, "");
    for (const TensorSlot& held : tensors) { own_.insert(held.item.tensor.unsafeGetTensorImpl()); }
    for (ValueSlot& held : values) { held.start = copy_of(held.start); }
  }

  std::vector<TensorSlot> tensors;
  std::vector<ValueSlot> values;

  [[nodiscard]] c10::IValue copy_of(const c10::IValue& value) const {
    return is_container(value) ? copy_around(value, own_) : value;
  }

 private:
  void visit(const ObjectPtr& module, const std::string& prefix) {
    if (!visited_.insert(module.get()).second) { return; }
    const auto type = module->type();
    for (std::size_t slot = 0; slot < type->numAttributes(); ++slot) {
      const c10::IValue& value = module->getSlot(slot);
      const std::string& attribute = type->getAttributeName(slot);
      const std::string name = prefix + attribute;
      if (type->getAttribute(slot)->is_module()) {
        if (value.isObject()) { visit(value.toObject(), name + "."); }
      } else if (value.isTensor() && value.toTensor().defined()) {
        tensors.push_back({module, slot, {name, value.toTensor(), role_of(*type, slot, value.toTensor())}});
      } else if (attribute != "training" && !value.isObject() && !value.isCapsule()) {
        // Objects of other classes, such as packed weights, have no general copy and do not change.
        values.push_back({module, slot, value});
      }
    }
  }

  static TensorRole role_of(const c10::ClassType& type, std::size_t slot, const at::Tensor& tensor) {
    if (type.is_parameter(slot) && tensor.requires_grad()) { return TensorRole::kTrainable; }
    if (!tensor.is_floating_point()) { return TensorRole::kLocal; }
    if (type.is_parameter(slot)) { return TensorRole::kFrozen; }
    return type.is_buffer(slot) ? TensorRole::kBuffer : TensorRole::kLocal;
  }

  std::unordered_set<const c10::ivalue::Object*> visited_;
  Tensors own_;
};

std::string layer_name(const std::string& path, const char* kind) {
  return path.empty() ? std::string(kind) : fmt::format("{} ({})", path, kind);
}

void find_fixed(const torch::jit::Block& block, const std::string& path, bool training,
                std::vector<std::string>& layers) {
  struct Kind {
    c10::Symbol symbol;
    std::size_t input;  // that says whether the layer trains
    const char* name;
  };
  static const std::array<Kind, 5> kKinds{{{c10::Symbol::fromQualString("aten::dropout"), 2, "dropout"},
                                           {c10::Symbol::fromQualString("aten::dropout_"), 2, "dropout"},
                                           {c10::Symbol::fromQualString("aten::feature_dropout"), 2, "dropout"},
                                           {c10::Symbol::fromQualString("aten::alpha_dropout"), 2, "dropout"},
                                           {c10::Symbol::fromQualString("aten::batch_norm"), 5, "batch norm"}}};
  for (const torch::jit::Node* node : block.nodes()) {
    for (const Kind& kind : kKinds) {
      if (node->kind() != kind.symbol) { continue; }
      const auto fixed = torch::jit::constant_as<bool>(node->input(kind.input));
      if (!fixed || *fixed != training) { continue; }
      std::string layer = layer_name(path, kind.name);
      if (std::ranges::find(layers, layer) == layers.end()) { layers.push_back(std::move(layer)); }
    }
    for (const torch::jit::Block* inner : node->blocks()) { find_fixed(*inner, path, training, layers); }
  }
}

class ScriptModel final : public TorchModel {
 public:
  explicit ScriptModel(torch::jit::Module module) : module_(std::move(module)), contents_(module_._ivalue()) {}

  at::Tensor forward(const at::Tensor& input) override {
    const c10::IValue output = module_.forward({input});
    if (!output.isTensor()) {
      throw std::invalid_argument(
          fmt::format("forward() returned a {}, expected one tensor with a row of logits per sample",
                      output.type()->annotation_str()));
    }
    return output.toTensor();
  }

  void set_training(bool training) override { module_.train(training); }
  void move_to(c10::Device device) override { module_.to(device); }

  std::vector<ModelTensor> tensors() override {
    std::vector<ModelTensor> list;
    for (const TensorSlot& held : contents_.tensors) {
      const auto same = std::ranges::find_if(
          list, [&held](const ModelTensor& other) { return other.tensor.is_same(held.item.tensor); });
      if (same == list.end()) {
        list.push_back(held.item);
      } else if (held.item.role < same->role) {
        // A parameter that is listed as a buffer, too, is a parameter.
        *same = held.item;
      }
    }
    return list;
  }

  void collect() override {
    const at::NoGradGuard no_gradient;
    for (TensorSlot& held : contents_.tensors) {
      const c10::IValue& now = held.owner->getSlot(held.slot);
      if (held.item.role == TensorRole::kLocal || !now.isTensor() || now.toTensor().is_same(held.item.tensor)) {
        continue;
      }
      const at::Tensor value = now.toTensor().detach();
      if (value.sizes() != held.item.tensor.sizes()) {
        throw std::invalid_argument(fmt::format("forward() replaced {}, of shape [{}], by a tensor of shape [{}]",
                                                held.item.name, fmt::join(held.item.tensor.sizes().vec(), ", "),
                                                fmt::join(value.sizes().vec(), ", ")));
      }
      held.item.tensor.copy_(value);
      held.owner->setSlot(held.slot, held.item.tensor);
    }
  }

  void reset() override {
    for (TensorSlot& held : contents_.tensors) {
      const c10::IValue& now = held.owner->getSlot(held.slot);
      if (!now.isTensor() || !now.toTensor().is_same(held.item.tensor)) {
        held.owner->setSlot(held.slot, held.item.tensor);
      }
    }
    for (ValueSlot& held : contents_.values) { held.owner->setSlot(held.slot, contents_.copy_of(held.start)); }
  }

  [[nodiscard]] std::vector<std::string> layers_fixed_to(bool training) const override {
    std::vector<std::string> layers;
    for (const auto& module : module_.named_modules()) {
      const auto method = module.value.find_method("forward");
      if (method) { find_fixed(*method->graph()->block(), module.name, training, layers); }
    }
    return layers;
  }

  // Copying a module takes tensors that share memory for one and the same.
  void separate() {
    const at::NoGradGuard no_gradient;
    std::unordered_set<const c10::StorageImpl*> storages;
    std::unordered_set<const c10::TensorImpl*> seen;
    for (const TensorSlot& held : contents_.tensors) {
      const at::Tensor& tensor = held.item.tensor;
      if (!tensor.has_storage() || !seen.insert(tensor.unsafeGetTensorImpl()).second) { continue; }
      if (!storages.insert(tensor.storage().unsafeGetStorageImpl()).second) { tensor.set_data(tensor.clone()); }
    }
  }

  [[nodiscard]] std::unique_ptr<ScriptModel> copy() const {
    // With gradients on, the copy's parameters would be results of cloning, and their gradients would go to the
    // original.
    const at::NoGradGuard no_gradient;
    torch::jit::Module copied = module_.deepcopy();
    auto original = module_.named_parameters().begin();
    for (const auto& parameter : copied.named_parameters()) {
      parameter.value.set_requires_grad((*original).value.requires_grad());
      ++original;
    }
    return std::make_unique<ScriptModel>(std::move(copied));
  }

 private:
  torch::jit::Module module_;
  Contents contents_;
};

}  // namespace

ScriptFile::ScriptFile(const std::string& path) {
  // The profiling executor runs a graph as it is the first times and may fuse it later on, where libtorch was built
  // with a fuser: a used replica could then round otherwise than a fresh one.
  torch::jit::getProfilingMode() = false;
  original_ = std::make_shared<ScriptModel>(torch::jit::load(path, c10::Device(c10::kCPU)));
}

std::function<std::unique_ptr<TorchModel>()> ScriptFile::replicas() {
  auto original = std::static_pointer_cast<ScriptModel>(original_);
  original->separate();
  return [original]() -> std::unique_ptr<TorchModel> { return original->copy(); };
}

}  // namespace tributary::internal
