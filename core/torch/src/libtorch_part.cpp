// SPDX-License-Identifier: Apache-2.0
#include "libtorch_part.hpp"

#include <dlfcn.h>
#include <fmt/format.h>

#include <atomic>
#include <filesystem>
#include <mutex>
#include <nlohmann/json.hpp>
#include <system_error>

#include "tributary/torch/torch_trainer.hpp"

namespace tributary {
namespace internal {
namespace {

std::atomic<const LibtorchPart*> loaded{nullptr};

// "<directory>/libtributary_torch.so.0.1" says where its sibling is and how it is called.
std::filesystem::path sibling() {
  Dl_info info{};
  const bool known = dladdr(reinterpret_cast<const void*>(&libtorch_part), &info) != 0 && info.dli_fname != nullptr;
  const std::filesystem::path self = known ? info.dli_fname : "";
  const std::string name = self.filename().string();
  const std::string_view own = "libtributary_torch";
  const std::filesystem::path wanted =
      name.starts_with(own) ? "libtributary_libtorch" + name.substr(own.size()) : "libtributary_libtorch.so";
  std::error_code ignored;
  const std::filesystem::path beside = self.parent_path() / wanted;
  return std::filesystem::exists(beside, ignored) ? beside : wanted;
}

Result<const LibtorchPart*> load() {
  const auto refused = [](const std::string& reason) {
    return unsupported(
        fmt::format("libtorch cannot be loaded: {}. Install it: apt-get install libtorch1.13 "
                    "libopenblas0-pthread",
                    reason));
  };
  const auto reason = [] {
    const char* text = dlerror();
    return std::string(text == nullptr ? "no reason given" : text);
  };
  // Never unloaded: its objects and threads live until the process ends.
  void* handle = dlopen(sibling().c_str(), RTLD_NOW | RTLD_LOCAL);
  if (handle == nullptr) { return refused(reason()); }
  void* symbol = dlsym(handle, kLibtorchPartSymbol);
  if (symbol == nullptr) { return refused(reason()); }
  const LibtorchPart* part = reinterpret_cast<const LibtorchPart* (*)()>(symbol)();
  part->use_one_thread();
  return part;
}

}  // namespace

Result<const LibtorchPart*> libtorch_part() {
  static std::mutex turn;
  const std::lock_guard lock(turn);
  if (const LibtorchPart* part = loaded.load(); part != nullptr) { return part; }
  TRIBUTARY_ASSIGN_OR_RETURN(const LibtorchPart* part, load());
  loaded = part;
  return part;
}

void use_one_thread() {
  // What is loaded later is told then.
  if (const LibtorchPart* part = loaded.load(); part != nullptr) { part->use_one_thread(); }
}

}  // namespace internal

std::string torch_info(bool measure) {
  const Result<const internal::LibtorchPart*> part = internal::libtorch_part();
  if (part.ok()) { return (*part)->info(measure); }
  return nlohmann::json{{"error", part.status().message()}}.dump(-1, ' ', false,
                                                                 nlohmann::json::error_handler_t::replace);
}

}  // namespace tributary
