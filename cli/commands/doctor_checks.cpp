// SPDX-License-Identifier: Apache-2.0
#include "commands/doctor_checks.hpp"

#include <dlfcn.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <openssl/crypto.h>
#include <sched.h>
#include <spawn.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <optional>
#include <sstream>
#include <thread>

#include "tributary/base/human.hpp"
#include "tributary/training/library_trainer.hpp"

namespace tributary::cli {
namespace {

namespace fs = std::filesystem;

constexpr double kSlowGflops = 12.0;  // per core, of any vectorised BLAS on a machine of the last ten years
constexpr double kLittleDisk = 2e9;
constexpr double kLittleMemory = 2e9;
constexpr std::uint64_t kFewFiles = 4096;

std::string first_line(const fs::path& file) {
  std::ifstream stream(file);
  std::string line;
  std::getline(stream, line);
  return line;
}

// The value of "key : value" in a file of /proc.
std::string proc_value(const char* file, std::string_view key) {
  std::ifstream stream(file);
  for (std::string line; std::getline(stream, line);) {
    const std::size_t colon = line.find(':');
    if (colon == std::string::npos || !std::string_view(line).starts_with(key)) { continue; }
    const std::size_t start = line.find_first_not_of(" \t", colon + 1);
    return start == std::string::npos ? std::string() : line.substr(start);
  }
  return {};
}

Check processor() {
  Check check{"processor", Check::Level::kOk, proc_value("/proc/cpuinfo", "model name"), {}};
  if (check.value.empty()) { check.value = "unknown"; }
  const std::string flags = " " + proc_value("/proc/cpuinfo", "flags") + " ";
  for (const auto& [flag, name] : {std::pair{" avx512f ", "AVX-512"}, {" avx2 ", "AVX2"}, {" avx ", "AVX"}}) {
    if (flags.find(flag) != std::string::npos) {
      check.value += fmt::format(", {}", name);
      break;
    }
  }
  return check;
}

Check cores() {
  cpu_set_t set;
  CPU_ZERO(&set);
  const bool known = ::sched_getaffinity(0, sizeof(set), &set) == 0;
  const auto usable = known ? static_cast<unsigned>(CPU_COUNT(&set)) : std::thread::hardware_concurrency();
  Check check{
      "cores", Check::Level::kOk, fmt::format("{} usable of {}", usable, std::thread::hardware_concurrency()), {}};
  // cgroup 2: "quota period", or "max period".
  std::istringstream limit(first_line("/sys/fs/cgroup/cpu.max"));
  double quota = 0.0;
  double period = 0.0;
  if (limit >> quota >> period && period > 0 && quota / period < usable) {
    check.level = Check::Level::kWarning;
    check.value += fmt::format(", but this container gets the time of {:.1f}", quota / period);
    check.advice = fmt::format("set `threads: {:.0f}` in the configuration", std::max(1.0, std::floor(quota / period)));
  }
  return check;
}

Check memory() {
  const auto kilobytes = [](std::string_view key) {
    return std::strtod(proc_value("/proc/meminfo", key).c_str(), nullptr) * 1024;
  };
  const double total = kilobytes("MemTotal");
  double available = kilobytes("MemAvailable");
  Check check{"memory", Check::Level::kOk, {}, {}};
  const double limit = std::strtod(first_line("/sys/fs/cgroup/memory.max").c_str(), nullptr);
  check.value = fmt::format("{} free of {}", human_bytes(available), human_bytes(total));
  if (limit > 0 && limit < total) {
    check.value += fmt::format(", this container may use {}", human_bytes(limit));
    available = std::min(available, limit);
  }
  if (available < kLittleMemory) {
    check.level = Check::Level::kWarning;
    check.advice = "training a CNN with libtorch takes about 1 GB: close other programs, or use fewer threads";
  }
  return check;
}

struct Library {
  void* handle = nullptr;
  std::string file;  // with all symbolic links followed
};

Library load(const char* name, const char* symbol) {
  Library library;
  library.handle = ::dlopen(name, RTLD_LAZY | RTLD_LOCAL);
  if (library.handle == nullptr) { return library; }
  void* address = ::dlsym(library.handle, symbol);
  Dl_info info{};
  if (address == nullptr || ::dladdr(address, &info) == 0 || info.dli_fname == nullptr) { return library; }
  std::error_code error;
  const fs::path real = fs::canonical(info.dli_fname, error);
  library.file = error ? std::string(info.dli_fname) : real.string();
  return library;
}

// 512 x 512 x 512, best of five.
double sgemm_gflops(void* library) {
  using Sgemm = void (*)(const char*, const char*, const int*, const int*, const int*, const float*, const float*,
                         const int*, const float*, const int*, const float*, float*, const int*);
  void* const symbol = ::dlsym(library, "sgemm_");
  if (symbol == nullptr) { return 0.0; }
  const auto sgemm = reinterpret_cast<Sgemm>(symbol);
  constexpr int kSize = 512;
  std::vector<float> a(std::size_t{kSize} * kSize, 1.0F);
  std::vector<float> b(a.size(), 0.5F);
  std::vector<float> c(a.size());
  const float one = 1.0F;
  const float zero = 0.0F;
  double best = 0.0;
  for (int i = 0; i < 5; ++i) {
    const auto start = std::chrono::steady_clock::now();
    sgemm("N", "N", &kSize, &kSize, &kSize, &one, a.data(), &kSize, b.data(), &kSize, &zero, c.data(), &kSize);
    const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - start;
    best = std::max(best, 2.0 * kSize * kSize * kSize / taken.count() / 1e9);
  }
  return best;
}

constexpr const char* kInstallBlas = "apt-get install libopenblas0-pthread";

Check blas(bool measure) {
  const Library library = load("libblas.so.3", "sgemm_");
  if (library.handle == nullptr) {
    return {"BLAS", Check::Level::kWarning, "no libblas.so.3: libtorch cannot start without it", kInstallBlas};
  }
  Check check{"BLAS", Check::Level::kOk, library.file.empty() ? "libblas.so.3" : library.file, {}};
  double gflops = 0.0;
  if (measure) {
    gflops = sgemm_gflops(library.handle);
    check.value += fmt::format(", {:.0f} GFLOP/s in single precision", gflops);
  }
  if (is_reference_blas(library.file)) {
    check.level = Check::Level::kWarning;
    check.value += ": the reference BLAS, many times slower than others";
    check.advice = kInstallBlas;
  } else if (measure && gflops < kSlowGflops) {
    check.level = Check::Level::kWarning;
    check.advice = fmt::format("that is slow: is the machine busy? If not, {}", kInstallBlas);
  }
  return check;
}

Check lapack() {
  const Library library = load("liblapack.so.3", "sgetrf_");
  if (library.handle == nullptr) { return {"LAPACK", Check::Level::kNote, "no liblapack.so.3", {}}; }
  return {"LAPACK", Check::Level::kOk, library.file.empty() ? "liblapack.so.3" : library.file, {}};
}

std::vector<Check> libtorch(bool measure) {
  const Result<std::string> information = torch_information(measure);
  if (!information.ok()) {
    return {{"libtorch", Check::Level::kWarning, "not available: " + information.status().message(),
             "the echo, command and library trainers work without it"}};
  }
  const auto facts = nlohmann::json::parse(*information, nullptr, false);
  if (!facts.is_object()) { return {{"libtorch", Check::Level::kWarning, "says nothing readable about itself", {}}}; }
  if (facts.contains("error") && facts["error"].is_string()) {
    return {{"libtorch", Check::Level::kWarning, "does not work: " + facts["error"].get<std::string>(), {}}};
  }
  std::vector<Check> checks{{"libtorch", Check::Level::kOk, facts.value("version", "unknown version"), {}}};
  if (facts.contains("threads") && facts["threads"].is_number()) {
    checks.front().value += ", " + human_plural(facts["threads"].get<std::uint64_t>(), "thread");
  }
  if (facts.contains("sgemm_gflops") && facts["sgemm_gflops"].is_number()) {
    checks.front().value += fmt::format(", {:.0f} GFLOP/s in single precision", facts["sgemm_gflops"].get<double>());
  }
  const bool cuda = facts.contains("cuda") && facts["cuda"].is_boolean() && facts["cuda"].get<bool>();
  checks.push_back({"devices", cuda ? Check::Level::kOk : Check::Level::kNote, cuda ? "cpu, cuda" : "cpu", {}});
  return checks;
}

// The first line that a program prints, or nothing if it cannot be started.
std::optional<std::string> first_line_of(std::vector<std::string> words) {
  std::array<int, 2> pipe_ends{};
  if (::pipe2(pipe_ends.data(), O_CLOEXEC) != 0) { return std::nullopt; }
  posix_spawn_file_actions_t actions{};
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_adddup2(&actions, pipe_ends[1], STDOUT_FILENO);
  ::posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
  std::vector<char*> arguments;
  for (std::string& word : words) { arguments.push_back(word.data()); }
  arguments.push_back(nullptr);
  pid_t child = 0;
  const int failed = ::posix_spawnp(&child, words.front().c_str(), &actions, nullptr, arguments.data(), environ);
  ::posix_spawn_file_actions_destroy(&actions);
  ::close(pipe_ends[1]);
  std::string text;
  if (failed == 0) {
    std::array<char, 512> buffer{};
    for (ssize_t got = 0; (got = ::read(pipe_ends[0], buffer.data(), buffer.size())) > 0;) {
      text.append(buffer.data(), static_cast<std::size_t>(got));
    }
    int outcome = 0;
    while (::waitpid(child, &outcome, 0) < 0 && errno == EINTR) {}
  }
  ::close(pipe_ends[0]);
  if (failed != 0) { return std::nullopt; }
  return text.substr(0, text.find('\n'));
}

Check mpi() {
  const std::optional<std::string> line = first_line_of({"mpirun", "--version"});
  if (!line || line->empty()) {
    return {
        "MPI", Check::Level::kNote, "no mpirun: runs over several machines need one (apt-get install openmpi-bin)", {}};
  }
  const std::string name = mpi_name(*line);
  return {"MPI", Check::Level::kOk, name.empty() ? *line : name, {}};
}

// Digests and random numbers come from it; connections over TLS do not exist yet, so none are promised here.
Check openssl() {
  return {"OpenSSL", Check::Level::kOk, fmt::format("{}, for digests", OpenSSL_version(OPENSSL_VERSION)), {}};
}

Check tls() {
  return {"TLS", Check::Level::kNote, "not there yet: runs stay in one process or in one MPI job, in the clear", {}};
}

Check data_set() {
  const fs::path directory = "/usr/share/datasets/fashion-mnist";
  for (const char* name : {"train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz", "t10k-images-idx3-ubyte.gz",
                           "t10k-labels-idx1-ubyte.gz"}) {
    std::error_code error;
    if (!fs::is_regular_file(directory / name, error)) {
      return {"Fashion-MNIST", Check::Level::kWarning, fmt::format("{} is missing", (directory / name).string()),
              "apt-get install dataset-fashion-mnist"};
    }
  }
  return {"Fashion-MNIST", Check::Level::kOk, directory.string(), {}};
}

Check disk(const std::string& directory) {
  struct statvfs info{};
  std::error_code error;
  const std::string shown = fs::absolute(directory, error).lexically_normal().string();
  if (::statvfs(directory.c_str(), &info) != 0) {
    return {"disk", Check::Level::kNote, fmt::format("nothing is known about {}", shown), {}};
  }
  const double available = static_cast<double>(info.f_bavail) * static_cast<double>(info.f_frsize);
  Check check{"disk", Check::Level::kOk, fmt::format("{} free for {}", human_bytes(available), shown), {}};
  if (::access(directory.c_str(), W_OK) != 0) {
    check.level = Check::Level::kWarning;
    check.value += ", but it cannot be written to";
    check.advice = "start runs elsewhere, or name a directory with --output";
  } else if (available < kLittleDisk) {
    check.level = Check::Level::kWarning;
    check.advice = "checkpoints need room: make some, or set `checkpoint.keep: 1`";
  }
  return check;
}

Check open_files() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) { return {"open files", Check::Level::kNote, "unknown", {}}; }
  Check check{
      "open files", Check::Level::kOk, fmt::format("{} (may be raised to {})", limit.rlim_cur, limit.rlim_max), {}};
  if (limit.rlim_max == RLIM_INFINITY) { check.value = fmt::format("{}", limit.rlim_cur); }
  if (limit.rlim_max < kFewFiles) {
    check.level = Check::Level::kNote;
    check.value += ": few for an aggregator with many connected clients";
  }
  return check;
}

}  // namespace

std::string_view to_string(Check::Level level) noexcept {
  switch (level) {
    case Check::Level::kNote:
      return "note";
    case Check::Level::kWarning:
      return "warning";
    default:
      return "ok";
  }
}

bool is_reference_blas(std::string_view file) noexcept {
  // Debian puts it into .../blas/libblas.so.3.11.0; others into openblas-pthread/, atlas/, blis-openmp/, mkl/.
  return file.find("/blas/libblas.so") != std::string_view::npos ||
         file.find("/lapack/liblapack.so") != std::string_view::npos;
}

std::string mpi_name(std::string_view line) {
  if (const std::size_t open_mpi = line.find("(Open MPI) "); open_mpi != std::string_view::npos) {
    return "Open MPI " + std::string(line.substr(open_mpi + 11));
  }
  if (line.starts_with("HYDRA")) { return "MPICH"; }
  return {};
}

std::vector<Check> examine_machine(const DoctorOptions& options) {
  std::vector<Check> checks{processor(), cores(), memory(), blas(options.measure), lapack()};
  for (Check& check : libtorch(options.measure)) { checks.push_back(std::move(check)); }
  checks.push_back(mpi());
  checks.push_back(openssl());
  checks.push_back(tls());
  checks.push_back(data_set());
  checks.push_back(disk(options.directory));
  checks.push_back(open_files());
  return checks;
}

}  // namespace tributary::cli
