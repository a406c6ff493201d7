// SPDX-License-Identifier: Apache-2.0
// What concerns libtorch in this process as a whole: threads, devices, facts.
#include <ATen/Version.h>
#include <dlfcn.h>

#include <torch/torch.h>
#include <chrono>
#include <limits>
#include <mutex>
#include <nlohmann/json.hpp>

#include "network.hpp"

namespace tributary {
namespace {

// OpenBLAS has its own threads, which libtorch's settings do not reach; its functions may be absent with another BLAS.
template <typename Function>
Function openblas_function(const char* name) {
  return reinterpret_cast<Function>(dlsym(RTLD_DEFAULT, name));
}

// What follows `key` in libtorch's description of itself, up to the next comma or line end.
std::string said(const std::string& text, const std::string& key) {
  const auto at = text.find(key);
  if (at == std::string::npos) { return "unknown"; }
  const auto start = at + key.size();
  return text.substr(start, text.find_first_of(",\n", start) - start);
}

double sgemm_gflops() {
  constexpr std::int64_t kSide = 1024;
  const at::NoGradGuard no_gradient;
  const at::Tensor a = at::ones({kSide, kSide});
  const at::Tensor b = at::ones({kSide, kSide});
  at::Tensor c = at::empty({kSide, kSide});
  double best = std::numeric_limits<double>::infinity();
  for (int attempt = 0; attempt < 4; ++attempt) {
    const auto start = std::chrono::steady_clock::now();
    at::mm_out(c, a, b);
    best = std::min(best, std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  }
  return 2.0 * static_cast<double>(kSide * kSide * kSide) / best / 1e9;
}

}  // namespace

namespace internal {

bool cuda_available() {
  return torch::cuda::is_available();
}

void use_one_libtorch_thread() {
  static std::mutex turn;
  thread_local bool done = false;
  if (done) { return; }
  const std::lock_guard lock(turn);
  static bool process_done = false;
  if (!process_done) {
    try {
      at::set_num_interop_threads(1);
    } catch (const c10::Error&) {
      // Somebody has used them already; nothing of ours does.
    }
    if (const auto set = openblas_function<void (*)(int)>("openblas_set_num_threads")) { set(1); }
    // cuDNN would otherwise choose kernels that add in whatever order their threads come: another model each time.
    at::globalContext().setDeterministicCuDNN(true);
    at::globalContext().setBenchmarkCuDNN(false);
    process_done = true;
  }
  // OpenMP keeps this per thread.
  at::set_num_threads(1);
  done = true;
}

std::string libtorch_info(bool measure) {
  nlohmann::json info;
  try {
    use_one_libtorch_thread();
    const std::string build = at::show_config();
    info["version"] = TORCH_VERSION;
    info["blas"] = said(build, "BLAS_INFO=");
    const auto config = openblas_function<const char* (*)()>("openblas_get_config");
    info["openblas"] = config == nullptr ? nlohmann::json() : nlohmann::json(config());
    info["threads"] = at::get_num_threads();
    info["cuda"] = cuda_available();
    info["mkldnn"] = at::globalContext().hasMKLDNN();
    info["cpu_capability"] = said(build, "CPU capability usage: ");
    info["build"] = build;
    info["parallel"] = at::get_parallel_info();
    if (measure) { info["sgemm_gflops"] = sgemm_gflops(); }
  } catch (const std::exception& error) { info["error"] = error.what(); }
  return info.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace internal
}  // namespace tributary
