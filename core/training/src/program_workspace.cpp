// SPDX-License-Identifier: Apache-2.0
#include "program_workspace.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <spawn.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <ctime>
#include <system_error>
#include <vector>

#include "spawn_settings.hpp"

namespace tributary::internal {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kPrefix = "tributary-tasks-";
constexpr const char* kOwner = "owner";
constexpr const char* kOwnerToBe = "owner.new";
// Seconds after which a directory without an owner is nobody's: its maker needs milliseconds.
constexpr std::time_t kTimeToClaim = 60;

constexpr std::size_t kRandomCharacters = 6;  // of mkdtemp()

// $1: the mark, $2: the directory. Standard input tells which programs are running ("+PID") and which have ended
// ("-PID"), and ends when the process that is watched has ended. A killed program may take a moment to go, and one may
// just be starting another: so it looks again until none is left.
constexpr const char* kWatch = R"(
running=" "
while read -r line; do
  case $line in
    +*) running="$running${line#+} " ;;
    -*) running="${running%% ${line#-} *} ${running#* ${line#-} }" ;;
  esac
done
for process in $running; do
  kill -s KILL -- "-$process" "$process"
done
tries=100
while [ "$tries" -gt 0 ]; do
  found=$(grep -lszxF -e "$1" /proc/[0-9]*/environ)
  [ -n "$found" ] || break
  for file in $found; do
    process=${file#/proc/}
    kill -s KILL -- "${process%/environ}"
  done
  tries=$((tries - 1))
  sleep 0.1
done
rm -rf -- "$2"
)";

std::string reason(int error) {
  return std::generic_category().message(error);
}

// Its name alone: a path may hold whatever the user likes, line feeds included.
std::string mark_of(const fs::path& directory) {
  return "IN_TRIBUTARY_TASK=" + directory.filename().string();
}

// Whether create() makes such names.
bool is_workspace(const std::string& name) {
  return name.starts_with(kPrefix) && name.size() == kPrefix.size() + kRandomCharacters &&
         std::ranges::all_of(name.substr(kPrefix.size()), [](unsigned char c) { return std::isalnum(c) != 0; });
}

// Starts the process that cleans up `directory` once `input` has ended.
Result<pid_t> start_watcher(const fs::path& directory, int input) {
  SpawnSettings settings;
  posix_spawn_file_actions_adddup2(&settings.actions, input, STDIN_FILENO);
  posix_spawn_file_actions_addopen(&settings.actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
  posix_spawn_file_actions_addopen(&settings.actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
  posix_spawn_file_actions_addclosefrom_np(&settings.actions, STDERR_FILENO + 1);
  settings.reset_signals();
  // Of its own session: what ends this process, Ctrl-C or a batch system's signal to the group, must not reach it.
  posix_spawnattr_setflags(&settings.attributes, POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  std::vector<std::string> arguments{"/bin/sh",         "-c", kWatch, "tributary-watch", mark_of(directory),
                                     directory.string()};
  const char* const path = std::getenv("PATH");  // NOLINT(concurrency-mt-unsafe): only read
  std::vector<std::string> environment{fmt::format("PATH={}", path == nullptr ? "/usr/bin:/bin" : path)};
  pid_t process = 0;
  const int error = posix_spawn(&process, arguments.front().c_str(), &settings.actions, &settings.attributes,
                                pointers(arguments).data(), pointers(environment).data());
  if (error != 0) {
    return unavailable(
        fmt::format("cannot start {}, which watches over programs that train: {}", arguments.front(), reason(error)));
  }
  return process;
}

void wait_for(pid_t process) {
  int state = 0;
  while (waitpid(process, &state, 0) < 0 && errno == EINTR) {}
}

// Creates the file that says by its lock that the directory is in use. It gets its name only when it is locked.
Result<Descriptor> claim(const fs::path& directory) {
  const fs::path made = directory / kOwnerToBe;
  Descriptor owner(open(made.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (owner.get() < 0 || flock(owner.get(), LOCK_EX | LOCK_NB) != 0 ||
      rename(made.c_str(), (directory / kOwner).c_str()) != 0) {
    const int error = errno;
    return io_error(fmt::format("cannot lock a file in {}: {}", directory.string(), reason(error)));
  }
  return owner;
}

// Ends what a dead owner left in `directory`, and removes it. Nothing happens if its owner lives.
void clean_up_if_abandoned(const fs::path& directory) {
  struct stat info{};
  if (lstat(directory.c_str(), &info) != 0 || !S_ISDIR(info.st_mode) || info.st_uid != geteuid()) { return; }
  const Descriptor owner(open((directory / kOwner).c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW));
  if (owner.get() < 0 && errno == ENOENT && info.st_mtime + kTimeToClaim < std::time(nullptr)) {
    // Its maker died before it had an owner, and so before there was any program.
    std::error_code ignored;
    fs::remove_all(directory, ignored);
    return;
  }
  if (owner.get() < 0 || flock(owner.get(), LOCK_EX | LOCK_NB) != 0) { return; }
  const Descriptor nothing(open("/dev/null", O_RDONLY | O_CLOEXEC));
  if (const Result<pid_t> watcher = start_watcher(directory, nothing.get()); watcher.ok()) { wait_for(*watcher); }
}

void clean_up_abandoned(const fs::path& parent) {
  std::error_code error;
  for (fs::directory_iterator entry(parent, error), end; !error && entry != end; entry.increment(error)) {
    if (is_workspace(entry->path().filename().string())) { clean_up_if_abandoned(entry->path()); }
  }
}

}  // namespace

void Descriptor::close() noexcept {
  if (value_ >= 0) { ::close(std::exchange(value_, -1)); }
}

PrivateDirectory::~PrivateDirectory() {
  std::error_code ignored;
  if (!path_.empty()) { fs::remove_all(path_, ignored); }
}

Result<std::unique_ptr<ProgramWorkspace>> ProgramWorkspace::create() {
  std::error_code error;
  fs::path parent = fs::temp_directory_path(error);
  // Programs start elsewhere.
  if (!error) { parent = fs::absolute(parent, error); }
  if (error) { return io_error(fmt::format("no directory for temporary files: {}", error.message())); }
  clean_up_abandoned(parent);
  std::string pattern = (parent / fmt::format("{}XXXXXX", kPrefix)).string();
  if (mkdtemp(pattern.data()) == nullptr) {
    const int number = errno;
    return io_error(fmt::format("cannot create a directory in {}: {}", parent.string(), reason(number)));
  }
  PrivateDirectory made{fs::path(pattern)};
  TRIBUTARY_ASSIGN_OR_RETURN(Descriptor owner, claim(made.path()));
  // Unlike a pipe's, the end of a socket tells who writes that nobody reads any more without a signal that kills.
  std::array<int, 2> ends{};
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) != 0) {
    const int number = errno;
    return io_error(fmt::format("cannot make a pair of sockets: {}", reason(number)));
  }
  const Descriptor watched(ends[0]);
  Descriptor alive(ends[1]);
  TRIBUTARY_ASSIGN_OR_RETURN(const pid_t watcher, start_watcher(made.path(), watched.get()));
  return std::unique_ptr<ProgramWorkspace>(
      new ProgramWorkspace(std::move(made), std::move(owner), std::move(alive), watcher));
}

ProgramWorkspace::~ProgramWorkspace() {
  alive_.close();
  wait_for(watcher_);
}

Result<PrivateDirectory> ProgramWorkspace::task_directory() {
  const fs::path path = directory_.path() / std::to_string(++tasks_);
  if (mkdir(path.c_str(), 0700) != 0) {
    const int number = errno;
    return io_error(fmt::format("cannot create {}: {}", path.string(), reason(number)));
  }
  return PrivateDirectory(path);
}

void ProgramWorkspace::tell(char what, pid_t process) const {
  const std::string line = fmt::format("{}{}\n", what, process);
  // A watcher that was killed, or stopped for so long that this is full, is told nothing: there is the mark too.
  static_cast<void>(send(alive_.get(), line.data(), line.size(), MSG_NOSIGNAL | MSG_DONTWAIT));
}

std::string ProgramWorkspace::mark() const {
  return mark_of(directory_.path());
}

}  // namespace tributary::internal
