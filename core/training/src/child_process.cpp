// SPDX-License-Identifier: Apache-2.0
#include "child_process.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <string_view>
#include <system_error>
#include <utility>

#include "program_workspace.hpp"
#include "spawn_settings.hpp"

namespace tributary::internal {
namespace {

using Clock = std::chrono::steady_clock;

// How soon a cancellation is seen.
constexpr std::chrono::milliseconds kTick{50};
// What is kept of a program's output, for the message if it fails.
constexpr std::size_t kOutputKept = 2000;

std::string reason(int error) {
  return std::generic_category().message(error);
}

// By their names: what a program has no business with, or what would make it part of this MPI job.
bool is_kept_back(std::string name) {
  constexpr std::array<std::string_view, 9> kSecret{"SECRET", "TOKEN", "PASSW",   "PASSPHRASE", "CREDENTIAL",
                                                    "APIKEY", "_KEY",  "PRIVATE", "_AUTH"};
  constexpr std::array<std::string_view, 5> kJob{"OMPI_", "PMIX_", "PMI_", "PRTE_", "HYDRA_"};
  // Hugging Face's TOKENIZERS_PARALLELISM is no secret.
  constexpr std::string_view kTokenizers = "TOKENIZERS_";
  std::ranges::transform(name, name.begin(), [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  if (name.starts_with(kTokenizers)) { return false; }
  return std::ranges::any_of(kSecret, [&](auto part) { return name.find(part) != std::string::npos; }) ||
         std::ranges::any_of(kJob, [&](auto start) { return name.starts_with(start); });
}

std::vector<std::string> environment_of(const ChildProcess& child) {
  std::vector<std::string> environment;
  if (child.workspace != nullptr) { environment.push_back(child.workspace->mark()); }
  for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
    const std::string_view text(*entry);
    if (!is_kept_back(std::string(text.substr(0, text.find('='))))) { environment.emplace_back(text); }
  }
  return environment;
}

Result<pid_t> spawn(const ChildProcess& child, int output) {
  SpawnSettings settings;
  posix_spawn_file_actions_addopen(&settings.actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&settings.actions, output, STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&settings.actions, output, STDERR_FILENO);
  posix_spawn_file_actions_addclosefrom_np(&settings.actions, STDERR_FILENO + 1);
  if (!child.working_directory.empty()) {
    posix_spawn_file_actions_addchdir_np(&settings.actions, child.working_directory.c_str());
  }
  settings.reset_signals();
  posix_spawnattr_setpgroup(&settings.attributes, 0);
  posix_spawnattr_setflags(&settings.attributes,
                           POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);

  std::vector<std::string> arguments = child.arguments;
  std::vector<std::string> environment = environment_of(child);
  pid_t process = 0;
  const int error = posix_spawnp(&process, arguments.front().c_str(), &settings.actions, &settings.attributes,
                                 pointers(arguments).data(), pointers(environment).data());
  if (error != 0) { return unavailable(fmt::format("cannot start {}: {}", child.arguments.front(), reason(error))); }
  return process;
}

// Reads what is there; keeps the end. False: nothing more will come.
bool drain(int output, std::string& kept) {
  std::array<char, 4096> buffer{};
  for (;;) {
    const ssize_t got = read(output, buffer.data(), buffer.size());
    if (got < 0) { return errno == EAGAIN || errno == EINTR; }
    if (got == 0) { return false; }
    kept.append(buffer.data(), static_cast<std::size_t>(got));
    if (kept.size() > kOutputKept) { kept.erase(0, kept.size() - kOutputKept); }
  }
}

// What is shown of a program's output: whole lines.
std::string shown(std::string_view output, bool cut) {
  if (const std::size_t end = output.find('\n'); cut && end != std::string_view::npos) {
    output.remove_prefix(end + 1);
  }
  while (!output.empty() && (output.back() == '\n' || output.back() == '\r')) { output.remove_suffix(1); }
  return std::string(output);
}

std::string what_it_printed(const std::string& output) {
  return output.empty() ? "it printed nothing" : "it printed: " + output;
}

// Waits until the process `watched` has ended. OK, or why it must be ended.
Status wait_for(const ChildProcess& child, int watched, const Descriptor& output, std::string& kept) {
  const Clock::time_point deadline = Clock::now() + child.timeout;
  bool reading = true;
  for (;;) {
    if (child.cancel != nullptr && child.cancel->load(std::memory_order_relaxed)) {
      return cancelled("training was cancelled");
    }
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now());
    if (left.count() <= 0) {
      return deadline_exceeded(fmt::format("{} did not end within {} s and was killed", child.arguments.front(),
                                           std::chrono::duration<double>(child.timeout).count()));
    }
    const auto wait = child.cancel == nullptr ? std::min<std::chrono::milliseconds>(left, std::chrono::hours(1))
                                              : std::min(left, kTick);
    std::array<pollfd, 2> events{{{watched, POLLIN, 0}, {reading ? output.get() : -1, POLLIN, 0}}};
    if (poll(events.data(), events.size(), static_cast<int>(wait.count())) < 0 && errno != EINTR) {
      return io_error(fmt::format("cannot wait for {}: {}", child.arguments.front(), reason(errno)));
    }
    if (events[1].revents != 0) { reading = drain(output.get(), kept); }
    if (events[0].revents != 0) {
      static_cast<void>(drain(output.get(), kept));
      return ok_status();
    }
  }
}

}  // namespace

Result<std::string> run(const ChildProcess& child) {
  if (child.arguments.empty()) { return invalid_argument("there is no program to run"); }
  std::array<int, 2> ends{};
  if (pipe2(ends.data(), O_CLOEXEC) != 0) {
    return io_error(fmt::format("cannot make a pipe for {}: {}", child.arguments.front(), reason(errno)));
  }
  const Descriptor output(ends[0]);
  Descriptor written(ends[1]);
  // Only our end: the program may find its own blocking, as it expects.
  fcntl(output.get(), F_SETFL, O_NONBLOCK);
  TRIBUTARY_ASSIGN_OR_RETURN(const pid_t process, spawn(child, written.get()));
  written.close();
  if (child.workspace != nullptr) { child.workspace->started(process); }

  std::string kept;
  Status waited;
  {
    const Descriptor watched(static_cast<int>(syscall(SYS_pidfd_open, process, 0)));
    waited = watched.get() < 0 ? io_error(fmt::format("cannot watch {}: {}", child.arguments.front(), reason(errno)))
                               : wait_for(child, watched.get(), output, kept);
  }
  // The process is not yet reaped, so its number and its group's cannot belong to anyone else. It may have left the
  // group, which then may be empty.
  kill(-process, SIGKILL);
  kill(process, SIGKILL);
  if (child.workspace != nullptr) { child.workspace->ended(process); }
  int state = 0;
  while (waitpid(process, &state, 0) < 0 && errno == EINTR) {}
  std::string printed = shown(kept, kept.size() == kOutputKept);
  if (!waited.ok()) {
    if (waited.code() != Code::kDeadlineExceeded) { return waited; }
    return deadline_exceeded(fmt::format("{}; {}", waited.message(), what_it_printed(printed)));
  }
  if (WIFSIGNALED(state)) {
    return unavailable(fmt::format("{} was ended by signal {} ({}); {}", child.arguments.front(), WTERMSIG(state),
                                   strsignal(WTERMSIG(state)), what_it_printed(printed)));
  }
  if (WEXITSTATUS(state) != 0) {
    return unavailable(fmt::format("{} ended with exit code {}; {}", child.arguments.front(), WEXITSTATUS(state),
                                   what_it_printed(printed)));
  }
  return printed;
}

}  // namespace tributary::internal
