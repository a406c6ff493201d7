// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <torch/csrc/jit/ir/constants.h>
#include <torch/csrc/jit/passes/inliner.h>
#include <torch/csrc/jit/runtime/graph_executor.h>
#include <torch/csrc/jit/runtime/print_handler.h>
#include <torch/script.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <unordered_set>

#include "libtorch/models.hpp"
#include "libtorch/tensor_layout.hpp"
#include "tributary/base/printable.hpp"

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

constexpr std::array<const char*, 4> kBatchNormalisations{"aten::batch_norm", "aten::native_batch_norm",
                                                          "aten::cudnn_batch_norm", "aten::_batch_norm_impl_index"};
constexpr std::size_t kTrains = 5;  // the input of each that says whether it takes the statistics of the batch

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

bool same_value(const c10::IValue& a, const c10::IValue& b);

bool same_values(c10::ArrayRef<c10::IValue> a, c10::ArrayRef<c10::IValue> b) {
  return std::ranges::equal(a, b, same_value);
}

// False where it cannot be told, too.
bool same_value(const c10::IValue& a, const c10::IValue& b) {
  if (a.isTensor() && b.isTensor()) {
    const at::Tensor& left = a.toTensor();
    const at::Tensor& right = b.toTensor();
    return left.is_same(right) || (left.defined() && right.defined() && left.scalar_type() == right.scalar_type() &&
                                   left.sizes() == right.sizes() && at::equal(left, right));
  }
  if (a.isList() && b.isList()) {
    const auto left = a.toList();
    const auto right = b.toList();
    bool same = left.size() == right.size();
    for (std::size_t i = 0; same && i < left.size(); ++i) { same = same_value(left.get(i), right.get(i)); }
    return same;
  }
  if (a.isTuple() && b.isTuple()) { return same_values(a.toTupleRef().elements(), b.toTupleRef().elements()); }
  if (a.isGenericDict() && b.isGenericDict()) {
    const auto left = a.toGenericDict();
    const auto right = b.toGenericDict();
    return left.size() == right.size() && std::equal(left.begin(), left.end(), right.begin(), [](auto& x, auto& y) {
             return same_value(x.key(), y.key()) && same_value(x.value(), y.value());
           });
  }
  try {
    return a == b;
  } catch (const std::exception&) { return false; }
}

// Everything a module and its submodules hold.
class Contents {
 public:
  explicit Contents(const ObjectPtr& module) {
    visit(module, "");
    for (const TensorSlot& held : tensors) { own_.insert(held.item.tensor.unsafeGetTensorImpl()); }
    for (ValueSlot& held : values) { held.start = copy_of(held.start); }
  }

  // A tensor in a list, a dictionary, a tuple or an object of another class, under the name of that.
  struct InnerTensor {
    std::string holder;
    at::Tensor tensor;
  };

  std::vector<TensorSlot> tensors;
  std::vector<ValueSlot> values;
  std::vector<InnerTensor> inner;

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
      } else if (attribute != "training" && !value.isCapsule()) {
        note_inner(name, value);
        // Objects of other classes, such as packed weights, have no general copy and do not change.
        if (!value.isObject()) { values.push_back({module, slot, value}); }
      }
    }
  }

  void note_inner(const std::string& holder, const c10::IValue& value) {
    value.visit([&](const c10::IValue& found) {
      if (found.isTensor() && found.toTensor().defined()) { inner.push_back({holder, found.toTensor()}); }
      // An object may hold itself.
      return found.isObject() && !visited_.insert(found.toObject().get()).second;
    });
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

bool normalises_batches_in(const torch::jit::Block& block) {
  return std::ranges::any_of(block.nodes(), [](const torch::jit::Node* node) {
    const std::string_view kind = node->kind().toQualString();
    if (std::ranges::find(kBatchNormalisations, kind) != kBatchNormalisations.end()) {
      return torch::jit::constant_as<bool>(node->input(kTrains)).value_or(true);
    }
    return std::ranges::any_of(node->blocks(),
                               [](const torch::jit::Block* inner) { return normalises_batches_in(*inner); });
  });
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

  [[nodiscard]] bool has_moved_on() const override {
    const at::NoGradGuard no_gradient;
    for (const TensorSlot& held : contents_.tensors) {
      const c10::IValue& now = held.owner->getSlot(held.slot);
      if (!now.isTensor() || !now.toTensor().is_same(held.item.tensor)) { return true; }
    }
    return std::ranges::any_of(contents_.values, [](const ValueSlot& held) {
      return !same_value(held.owner->getSlot(held.slot), held.start);
    });
  }

  [[nodiscard]] bool normalises_batches() const override {
    const auto method = module_.find_method("forward");
    if (!method) { return false; }
    // With the code of all functions and layers that it calls: there the words "is it training?" arrive.
    const std::shared_ptr<torch::jit::Graph> graph = method->graph()->copy();
    torch::jit::Inline(*graph);
    return normalises_batches_in(*graph->block());
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
    refuse_ties();
    const at::NoGradGuard no_gradient;
    std::unordered_set<const c10::StorageImpl*> storages;
    std::unordered_set<const c10::TensorImpl*> seen;
    const auto give_memory = [&](const at::Tensor& tensor) {
      if (!tensor.has_storage() || !seen.insert(tensor.unsafeGetTensorImpl()).second) { return; }
      if (!storages.insert(tensor.storage().unsafeGetStorageImpl()).second) { tensor.set_data(tensor.clone()); }
    };
    for (const TensorSlot& held : contents_.tensors) { give_memory(held.item.tensor); }
    for (const Contents::InnerTensor& held : contents_.inner) { give_memory(held.tensor); }
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
  // A module's own tensors become windows on one vector of values. What a list holds can only be one of them itself, or
  // a copy: it would be neither loaded nor trained as the one that it shares memory with is.
  void refuse_ties() const {
    const auto check = [](const std::string& name, const at::Tensor& tensor, const Contents::InnerTensor& held) {
      if (held.tensor.is_same(tensor) || !have_common_elements(held.tensor, tensor)) { return; }
      throw std::invalid_argument(
          fmt::format("{} holds a tensor that shares memory with {} but is another one (by .data, detach() or a view), "
                      "and would not follow it: put {} itself into {}, or save a clone() of it there",
                      held.holder, name, name, held.holder));
    };
    for (std::size_t i = 0; i < contents_.inner.size(); ++i) {
      const Contents::InnerTensor& held = contents_.inner[i];
      for (const TensorSlot& other : contents_.tensors) { check(other.item.name, other.item.tensor, held); }
      for (std::size_t k = 0; k < i; ++k) { check(contents_.inner[k].holder, contents_.inner[k].tensor, held); }
    }
  }

  torch::jit::Module module_;
  Contents contents_;
};

}  // namespace

ScriptFile::ScriptFile(const std::string& path) {
  // The profiling executor runs a graph as it is the first times and may fuse it later on, where libtorch was built
  // with a fuser: a used replica could then round otherwise than a fresh one.
  torch::jit::getProfilingMode() = false;
  // Standard output is for results, and what a model prints must not steer the terminal.
  torch::jit::setPrintHandler([](const std::string& text) { std::fputs(printable_lines(text).c_str(), stderr); });
  original_ = std::make_shared<ScriptModel>(torch::jit::load(path, c10::Device(c10::kCPU)));
}

std::function<std::unique_ptr<TorchModel>()> ScriptFile::replicas() {
  auto original = std::static_pointer_cast<ScriptModel>(original_);
  original->separate();
  return [original]() -> std::unique_ptr<TorchModel> { return original->copy(); };
}

}  // namespace tributary::internal
