// SPDX-License-Identifier: Apache-2.0
// Runs a libFuzzer entry point without libFuzzer: every seed file as it is, then a fixed number of seeded mutations of
// them. The same arguments always try the same inputs.
//
//   fuzz_idx [--runs=N] [--seed=N] [--memory-mib=N] FILE_OR_DIRECTORY...
//
// A crash, or an input that takes more than ten seconds, is said with its number; the input is written to
// crash-<program>.bin in the working directory, which the program then takes as an argument to show it again.
#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>
#include <vector>

#include "tributary/base/random.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace {

using Input = std::vector<std::uint8_t>;
using tributary::Rng;

constexpr std::size_t kMaxInput = 1U << 16U;
constexpr unsigned kSecondsPerInput = 10;

// What the signal handler needs, and nothing that allocates.
const Input* current = nullptr;
std::array<char, 256> crash_file{};
std::array<char, 128> crash_text{};

void report_crash(int signal) {
  // The outcomes no longer matter: this process ends here.
  const int file = ::open(crash_file.data(), O_WRONLY | O_CREAT | O_TRUNC, 0644);
  if (file >= 0 && current != nullptr) { static_cast<void>(!::write(file, current->data(), current->size())); }
  static_cast<void>(!::write(STDERR_FILENO, crash_text.data(), std::strlen(crash_text.data())));
  std::signal(signal, SIG_DFL);
  std::raise(signal);
}

void run(const Input& input, std::string_view what, std::uint64_t number) {
  current = &input;
  std::snprintf(crash_text.data(), crash_text.size(), "failed on %.*s %llu; the input is in crash-*.bin\n",
                static_cast<int>(what.size()), what.data(), static_cast<unsigned long long>(number));
  ::alarm(kSecondsPerInput);
  LLVMFuzzerTestOneInput(input.data(), input.size());
  ::alarm(0);
}

std::size_t place(Rng& rng, std::size_t bound) {
  return static_cast<std::size_t>(rng.below(bound));
}

void mutate_once(Input& input, const std::vector<Input>& seeds, Rng& rng) {
  static constexpr std::array<std::uint64_t, 12> kInteresting{
      0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0x7FFFFFFFFFFFFFFF, ~0ULL};
  static constexpr std::string_view kCharacters = "{}[]\",:\n\r-+.0123456789eE\\ #&*!|>'%@`~nulltruefalse";
  if (input.empty()) { input.push_back(static_cast<std::uint8_t>(rng.below(256))); }
  const std::size_t at = place(rng, input.size());
  const std::size_t length = 1 + place(rng, std::min<std::size_t>(input.size() - at, 32));
  const auto begin = input.begin() + static_cast<std::ptrdiff_t>(at);
  switch (rng.below(9)) {
    case 0:
      input[at] = static_cast<std::uint8_t>(input[at] ^ (1U << rng.below(8)));
      break;
    case 1:
      input[at] = static_cast<std::uint8_t>(rng.below(256));
      break;
    case 2:
      input[at] = static_cast<std::uint8_t>(kCharacters[place(rng, kCharacters.size())]);
      break;
    case 3: {  // a number at the edge of its range, in either byte order
      const std::uint64_t value = kInteresting[place(rng, kInteresting.size())];
      const std::size_t width = std::min<std::size_t>(std::size_t{1} << rng.below(4), input.size() - at);
      const bool swapped = rng.chance(0.5);
      for (std::size_t i = 0; i < width; ++i) {
        input[at + (swapped ? width - 1 - i : i)] = static_cast<std::uint8_t>(value >> (8 * i));
      }
      break;
    }
    case 4:
      input.erase(begin, begin + static_cast<std::ptrdiff_t>(length));
      break;
    case 5:
      input.resize(at);
      break;
    case 6: {  // the same bytes again, elsewhere
      const Input piece(begin, begin + static_cast<std::ptrdiff_t>(length));
      input.insert(input.begin() + static_cast<std::ptrdiff_t>(place(rng, input.size())), piece.begin(), piece.end());
      break;
    }
    case 7: {  // the end of another seed
      const Input& other = seeds[place(rng, seeds.size())];
      const std::size_t from = place(rng, other.size() + 1);
      input.resize(at);
      input.insert(input.end(), other.begin() + static_cast<std::ptrdiff_t>(from), other.end());
      break;
    }
    default:
      input.insert(begin, length, static_cast<std::uint8_t>(rng.below(256)));
      break;
  }
  if (input.size() > kMaxInput) { input.resize(kMaxInput); }
}

bool read_seeds(const std::filesystem::path& path, std::vector<Input>& seeds) {
  std::vector<std::filesystem::path> files;
  if (std::filesystem::is_directory(path)) {
    for (const auto& entry : std::filesystem::directory_iterator(path)) {
      if (entry.is_regular_file()) { files.push_back(entry.path()); }
    }
    std::sort(files.begin(), files.end());
  } else {
    files.push_back(path);
  }
  for (const std::filesystem::path& name : files) {
    std::ifstream file(name, std::ios::binary);
    if (!file) {
      std::fprintf(stderr, "cannot read %s\n", name.c_str());
      return false;
    }
    seeds.emplace_back(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
  }
  return true;
}

bool read_number(std::string_view argument, std::string_view option, std::uint64_t& value) {
  if (!argument.starts_with(option)) { return false; }
  argument.remove_prefix(option.size());
  const auto [end, error] = std::from_chars(argument.data(), argument.data() + argument.size(), value);
  if (error != std::errc{} || end != argument.data() + argument.size()) {
    std::fprintf(stderr, "%.*s needs a number\n", static_cast<int>(option.size()), option.data());
    std::exit(2);
  }
  return true;
}

}  // namespace

int main(int argc, char** argv) {
  std::uint64_t runs = 10'000;
  std::uint64_t seed = 1;
  std::uint64_t memory_mib = 2048;
  std::vector<Input> seeds;
  for (int i = 1; i < argc; ++i) {
    const std::string_view argument = argv[i];
    if (read_number(argument, "--runs=", runs) || read_number(argument, "--seed=", seed) ||
        read_number(argument, "--memory-mib=", memory_mib)) {
      continue;
    }
    if (!read_seeds(argument, seeds)) { return 2; }
  }
  if (seeds.empty()) {
    std::fprintf(stderr, "no seed files were given\n");
    return 2;
  }

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
  // A reader that takes memory because a file says so fails here; sanitizers need the address space for themselves.
  const rlimit limit{memory_mib << 20U, memory_mib << 20U};
  if (::setrlimit(RLIMIT_AS, &limit) != 0) { std::perror("setrlimit"); }
  for (const int signal : {SIGSEGV, SIGABRT, SIGBUS, SIGFPE, SIGILL}) { std::signal(signal, report_crash); }
#endif
  std::signal(SIGALRM, report_crash);
  std::snprintf(crash_file.data(), crash_file.size(), "crash-%s.bin",
                std::filesystem::path(argv[0]).filename().c_str());

  for (std::size_t i = 0; i < seeds.size(); ++i) { run(seeds[i], "seed file", i); }
  for (std::uint64_t number = 0; number < runs; ++number) {
    Rng rng(tributary::stream_seed(seed, tributary::Purpose::kTest, number));
    Input input = seeds[place(rng, seeds.size())];
    for (std::uint64_t changes = 1 + rng.below(6); changes > 0; --changes) { mutate_once(input, seeds, rng); }
    run(input, "mutation", number);
  }
  std::printf("%zu seed files and %llu mutations passed\n", seeds.size(), static_cast<unsigned long long>(runs));
  return 0;
}
