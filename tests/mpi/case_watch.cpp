// SPDX-License-Identifier: Apache-2.0
#include "case_watch.hpp"

#include <execinfo.h>
#include <fmt/format.h>
#include <mpi.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <optional>
#include <string>
#include <thread>

#include "session_state.hpp"

namespace tributary::testing {
namespace {

constexpr int kFrames = 64;
constexpr auto kPauseBetweenThreads = std::chrono::milliseconds(200);
// The first rank to leave takes the others with it, and those have something to tell too.
constexpr auto kPauseBeforeTheEnd = std::chrono::seconds(3);

// In the thread that the signal was sent to.
void write_stack(int /*signal*/) {
  std::array<void*, kFrames> frames{};
  const int count = ::backtrace(frames.data(), kFrames);
  ::backtrace_symbols_fd(frames.data(), count, STDERR_FILENO);
}

void write_stacks_of_all_threads(const std::string& test) {
  struct sigaction action{};
  action.sa_handler = write_stack;
  ::sigaction(SIGUSR2, &action, nullptr);
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/task")) {
    const std::string thread = entry.path().filename().string();
    const std::string title = fmt::format("{}: thread {} of process {}\n", test, thread, ::getpid());
    [[maybe_unused]] const ssize_t written = ::write(STDERR_FILENO, title.data(), title.size());
    ::syscall(SYS_tgkill, ::getpid(), std::atoi(thread.c_str()), SIGUSR2);  // NOLINT(cert-err34-c): a number
    std::this_thread::sleep_for(kPauseBetweenThreads);
  }
}

class CaseWatch final : public ::testing::EmptyTestEventListener {
 public:
  explicit CaseWatch(std::chrono::seconds patience) : patience_(patience) {}

  void OnTestStart(const ::testing::TestInfo& test) override {
    const std::string name = fmt::format("{}.{}", test.test_suite_name(), test.name());
    watch_.emplace(patience_, EXIT_FAILURE, fmt::format("{} is not over after {} s", name, patience_.count()), [name] {
      write_stacks_of_all_threads(name);
      std::this_thread::sleep_for(kPauseBeforeTheEnd);
    });
  }
  void OnTestEnd(const ::testing::TestInfo& /*test*/) override { watch_.reset(); }

 private:
  std::chrono::seconds patience_;
  std::optional<internal::Watchdog> watch_;
};

}  // namespace

std::unique_ptr<::testing::TestEventListener> make_case_watch(std::chrono::seconds patience) {
  return std::make_unique<CaseWatch>(patience);
}

}  // namespace tributary::testing
