// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <mpi.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <span>
#include <sstream>
#include <thread>

#include "kept_for_mpi.hpp"
#include "session_state.hpp"
#include "wire/control_archive.hpp"
#include "wire/node_message.hpp"

namespace tributary {
namespace internal {

// What a rank says about itself. The version comes first: a rank of another version is told so, not misread.
struct Introduction {
  std::uint16_t version = kWireVersion;
  std::string program;
  std::string host;
  std::int64_t process = 0;
  std::uint8_t code = 0;
  std::string error;
  std::array<std::uint8_t, 32> configuration{};
  std::array<std::uint8_t, 32> model{};
  std::array<std::uint8_t, 32> data{};
  std::array<std::uint8_t, 32> placement{};

  template <typename Archive>
  void serialize(Archive& archive) {
    archive(version, program);
    if (version != kWireVersion) { throw cereal::Exception("version"); }
    archive(host, process, code, error);
    for (auto* digest : {&configuration, &model, &data, &placement}) {
      for (std::uint8_t& byte : *digest) { archive(byte); }
    }
  }
};

// What rank 0 answers.
struct Verdict {
  std::uint8_t code = 0;
  std::string error;
  std::vector<std::string> hosts;
  std::vector<std::int64_t> processes;
  std::string shared;

  template <typename Archive>
  void serialize(Archive& archive) {
    archive(code, error, hosts, processes, shared);
  }
};

Watchdog::Watchdog(std::chrono::nanoseconds patience, int exit_code, std::string message, std::function<void()> last)
    : thread_([this, patience, exit_code, text = std::move(message) + "\n", last = std::move(last)] {
        std::unique_lock lock(mutex_);
        if (done_.wait_for(lock, patience, [this] { return disarmed_; })) { return; }
        [[maybe_unused]] const ssize_t written = ::write(STDERR_FILENO, text.data(), text.size());
        if (last) { last(); }
        ::_exit(exit_code);
      }) {}

Watchdog::~Watchdog() {
  {
    const std::lock_guard lock(mutex_);
    disarmed_ = true;
  }
  done_.notify_all();
  thread_.join();
}

Communicator::Communicator() {
  MPI_Comm_dup(MPI_COMM_WORLD, &communicator_);
  MPI_Comm_set_errhandler(communicator_, MPI_ERRORS_RETURN);
}

void Communicator::free() {
  if (communicator_ != MPI_COMM_NULL) { MPI_Comm_free(&communicator_); }
}

}  // namespace internal

namespace {

using std::chrono::nanoseconds;
using Clock = std::chrono::steady_clock;

constexpr auto kStartPatience = std::chrono::seconds(60);
constexpr auto kEndPatience = std::chrono::seconds(10);
constexpr auto kLeavePatience = std::chrono::seconds(5);
constexpr std::size_t kLargestIntroduction = 16 * 1024;
constexpr std::size_t kLongestError = 8 * 1024;
constexpr std::size_t kLongestShared = 4096;
constexpr std::size_t kLongestHost = 256;
constexpr auto kPause = std::chrono::microseconds(200);

std::size_t at(int rank) {
  return static_cast<std::size_t>(rank);
}

const char* variable(const char* name) noexcept {
  return std::getenv(name);  // NOLINT(concurrency-mt-unsafe): nothing here changes the environment
}

std::string this_host() {
  std::array<char, 256> name{};
  if (::gethostname(name.data(), name.size() - 1) != 0) { return "unknown"; }
  return name.data();
}

// The number of a process that has ended may belong to another one by now.
bool runs_this_program(std::int64_t process) {
  std::error_code error;
  const auto theirs = std::filesystem::read_symlink(fmt::format("/proc/{}/exe", process), error);
  return !error && theirs == std::filesystem::read_symlink("/proc/self/exe", error);
}

struct ProcessState {
  char state = '\0';  // R, S, D, T (stopped by a signal), Z (gone, but for its exit code); 0: there is no such process
  std::int64_t parent = 0;
};

ProcessState state_of(std::int64_t process) {
  std::ifstream stat(fmt::format("/proc/{}/stat", process));
  std::string line;
  std::getline(stat, line);
  // After the name, which may hold anything.
  const std::size_t name_end = line.rfind(')');
  ProcessState state;
  if (name_end != std::string::npos) { std::istringstream(line.substr(name_end + 1)) >> state.state >> state.parent; }
  return state;
}

bool is_stopped(std::int64_t process) {
  return state_of(process).state == 'T' && runs_this_program(process);
}

// Before ranks know each other: ends those that the same launcher has started here and that are stopped. Under
// --enable-recovery nobody else does; otherwise mpirun does it at the first failure, and has that rank's exit code to
// return.
void kill_stopped_siblings() {
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator("/proc", error)) {
    const std::int64_t process = std::strtoll(entry.path().filename().c_str(), nullptr, 10);
    if (process > 0 && state_of(process).parent == ::getppid() && is_stopped(process)) {
      ::kill(static_cast<pid_t>(process), SIGKILL);
    }
  }
}

bool is_gone(std::int64_t process) {
  const char state = state_of(process).state;
  return state == '\0' || state == 'Z' || !runs_this_program(process);
}

// A message that is too large for its buffer has been cut, whatever size is told.
std::size_t received_bytes(const MPI_Status& status, std::size_t buffer) {
  int size = 0;
  MPI_Get_count(&status, MPI_BYTE, &size);
  return size < 0 ? 0 : std::min(at(size), buffer);  // MPI_UNDEFINED is negative
}

// False at the deadline.
bool wait_for(MPI_Request& request, Clock::time_point deadline) {
  for (int done = 0;;) {
    MPI_Test(&request, &done, MPI_STATUS_IGNORE);
    if (done != 0) { return true; }
    if (Clock::now() >= deadline) { return false; }
    std::this_thread::sleep_for(kPause);
  }
}

std::string short_hex(const std::array<std::uint8_t, 32>& digest) {
  return Digest{digest}.hex().substr(0, 12);
}

// Why `theirs` cannot take part in the run of `root`; OK if it can.
Status compare(const internal::Introduction& root, const internal::Introduction& theirs) {
  if (theirs.program != root.program) {
    return protocol_error(fmt::format("runs {}, and the root runs {}", theirs.program, root.program));
  }
  if (theirs.model != root.model) {
    return configuration_error(
        fmt::format("has another model: {} there, {} at the root", short_hex(theirs.model), short_hex(root.model)));
  }
  if (theirs.configuration != root.configuration) {
    return configuration_error(fmt::format("has another configuration or topology: {} there, {} at the root",
                                           short_hex(theirs.configuration), short_hex(root.configuration)));
  }
  if (theirs.data != root.data) {
    return configuration_error(
        fmt::format("has other samples: {} there, {} at the root", short_hex(theirs.data), short_hex(root.data)));
  }
  if (theirs.placement != root.placement) {
    return configuration_error("places nodes on other ranks: `rank` in its topology differs from that at the root");
  }
  return {};
}

}  // namespace

MpiCredentials credentials_of(const AgreedPlan& plan, const Digest& data, std::string program) {
  return {.program = std::move(program),
          .configuration = plan.digest(),
          .model = plan.spec().fingerprint(),
          .data = data,
          .placement = {}};
}

bool MpiSession::launched() noexcept {
  // mpirun and every other launcher that speaks PMIx.
  return variable("PMIX_RANK") != nullptr;
}

int MpiSession::announced_rank() noexcept {
  const char* const value = variable("PMIX_RANK");
  return value == nullptr ? 0 : static_cast<int>(std::strtol(value, nullptr, 10));
}

bool MpiSession::recovery() noexcept {
  const char* const value = variable("OMPI_MCA_orte_enable_recovery");
  return value != nullptr && std::strcmp(value, "0") != 0;
}

MpiSession::MpiSession() : state_(std::make_unique<State>()) {}
MpiSession::~MpiSession() = default;

Result<std::unique_ptr<MpiSession>> MpiSession::start() {
  int before = 0;
  if (const char* const tasks = variable("SLURM_STEP_NUM_TASKS"); tasks != nullptr && !launched()) {
    return unavailable(fmt::format("srun has started {} tasks without MPI: use srun --mpi=pmix", tasks));
  }
  MPI_Initialized(&before);
  if (before != 0) { return unavailable("MPI has been started in this process already"); }
  std::unique_ptr<MpiSession> session(new MpiSession());
  const internal::Watchdog watchdog(
      kStartPatience, exit_code(Code::kDeadlineExceeded),
      fmt::format("error: MPI did not start within {} s: a rank of the job is missing", kStartPatience.count()), [] {
        if (recovery()) { kill_stopped_siblings(); }
      });
  int provided = MPI_THREAD_SINGLE;
  if (MPI_Init_thread(nullptr, nullptr, MPI_THREAD_SERIALIZED, &provided) != MPI_SUCCESS) {
    return unavailable("MPI could not be started");
  }
  if (provided < MPI_THREAD_SERIALIZED) {
    return unavailable("this MPI library does not let a thread other than the first one call it");
  }
  internal::Communicator communicator;
  session->state_->start_up = communicator.get();
  int size = 0;
  MPI_Comm_rank(session->state_->start_up, &session->rank_);
  MPI_Comm_size(session->state_->start_up, &size);
  session->peers_.resize(at(size));
  session->peers_[at(session->rank_)] = {this_host(), ::getpid()};
  return session;
}

std::vector<std::string> MpiSession::hosts() const {
  std::vector<std::string> hosts;
  for (const Peer& peer : peers_) { hosts.push_back(peer.host); }
  return hosts;
}

std::uint32_t MpiSession::cores_per_rank() const {
  const auto here = std::count_if(peers_.begin(), peers_.end(),
                                  [this](const Peer& peer) { return peer.host == peers_[at(rank_)].host; });
  return std::max(1U,
                  std::thread::hardware_concurrency() / static_cast<std::uint32_t>(std::max<std::ptrdiff_t>(here, 1)));
}

Status MpiSession::agree(const Status& mine, const MpiCredentials& credentials, nanoseconds patience,
                         const std::string& shared) {
  const auto deadline = Clock::now() + patience;
  internal::Introduction own{.program = credentials.program,
                             .host = this_host(),
                             .process = ::getpid(),
                             .code = static_cast<std::uint8_t>(mine.code()),
                             .error = mine.message().substr(0, kLongestError),
                             .configuration = credentials.configuration.bytes,
                             .model = credentials.model.bytes,
                             .data = credentials.data.bytes,
                             .placement = credentials.placement.bytes};
  const std::size_t largest_verdict = kLongestError + kLongestShared + 1024 + peers_.size() * (kLongestHost + 20);
  if (rank_ != 0) {
    std::vector<std::byte> introduction = internal::encode(own);
    std::vector<std::byte> answer(largest_verdict);
    std::array<MPI_Request, 2> requests{};
    MPI_Irecv(answer.data(), static_cast<int>(answer.size()), MPI_BYTE, 0, 1, state_->start_up, &requests[1]);
    MPI_Isend(introduction.data(), static_cast<int>(introduction.size()), MPI_BYTE, 0, 0, state_->start_up,
              &requests[0]);
    // Rank 0 waits for all others first, and may have begun later.
    const auto longer = deadline + patience;
    for (int done = 0; done == 0;) {
      MPI_Status status{};
      MPI_Test(&requests[1], &done, &status);
      if (done != 0) {
        answer.resize(received_bytes(status, answer.size()));
      } else if (Clock::now() >= longer) {
        mark_broken({0});
        internal::keep_for_mpi(std::move(answer));
        internal::keep_for_mpi(std::move(introduction));
        return deadline_exceeded(fmt::format("rank 0, which holds the root, has not answered within {} s",
                                             std::chrono::duration_cast<std::chrono::seconds>(2 * patience).count()));
      } else {
        std::this_thread::sleep_for(kPause);
      }
    }
    if (!wait_for(requests[0], longer)) {
      mark_broken({0});
      internal::keep_for_mpi(std::move(introduction));
    }
    TRIBUTARY_ASSIGN_OR_RETURN(const internal::Verdict verdict, internal::decode<internal::Verdict>(answer));
    if (verdict.hosts.size() != peers_.size() || verdict.processes.size() != peers_.size()) {
      return protocol_error(fmt::format("rank 0 names {} hosts and {} processes for a job of {} ranks",
                                        verdict.hosts.size(), verdict.processes.size(), peers_.size()));
    }
    for (std::size_t i = 0; i < peers_.size(); ++i) { peers_[i] = {verdict.hosts[i], verdict.processes[i]}; }
    shared_ = verdict.shared;
    return verdict.code == 0 ? Status() : Status(internal::failure_from(verdict.code), verdict.error);
  }

  std::vector<std::vector<std::byte>> texts(peers_.size());
  std::vector<MPI_Request> requests(peers_.size(), MPI_REQUEST_NULL);
  for (int r = 1; r < size(); ++r) {
    texts[at(r)].resize(kLargestIntroduction);
    MPI_Irecv(texts[at(r)].data(), static_cast<int>(kLargestIntroduction), MPI_BYTE, r, 0, state_->start_up,
              &requests[at(r)]);
  }
  shared_ = shared;
  Status verdict = shared.size() <= kLongestShared
                       ? mine
                       : invalid_argument(fmt::format("a text of {} bytes for all ranks, at most {} fit", shared.size(),
                                                      kLongestShared));
  std::vector<int> missing;
  for (int r = 1; r < size(); ++r) {
    MPI_Status status{};
    int done = 0;
    for (;;) {
      MPI_Test(&requests[at(r)], &done, &status);
      if (done != 0 || Clock::now() >= deadline) { break; }
      std::this_thread::sleep_for(kPause);
    }
    if (done == 0) {
      missing.push_back(r);
      internal::keep_for_mpi(std::move(texts[at(r)]));
      continue;
    }
    const auto theirs = internal::decode<internal::Introduction>(
        std::span(texts[at(r)]).first(received_bytes(status, kLargestIntroduction)));
    if (!theirs.ok()) {
      if (verdict.ok()) { verdict = protocol_error(fmt::format("rank {} runs another version of this program", r)); }
      continue;
    }
    // A longer name would make the verdict larger than the others expect.
    peers_[at(r)] = {theirs->host.substr(0, kLongestHost), theirs->process};
    Status fits =
        theirs->code != 0 ? Status(internal::failure_from(theirs->code), theirs->error) : compare(own, *theirs);
    // A mistake that is everybody's is the root's own.
    if (verdict.ok() && !fits.ok()) { verdict = fits.with_context(fmt::format("rank {} on {}", r, theirs->host)); }
  }
  if (!missing.empty()) {
    mark_broken(missing);
    if (verdict.ok()) {
      verdict = deadline_exceeded(
          fmt::format("{} of {} ranks did not come within {} s, the first of them rank {}", missing.size(), size(),
                      std::chrono::duration_cast<std::chrono::seconds>(patience).count(), missing.front()));
    }
  }
  internal::Verdict answer{.code = static_cast<std::uint8_t>(verdict.code()),
                           .error = verdict.message().substr(0, kLongestError),
                           .hosts = {},
                           .processes = {},
                           .shared = shared.substr(0, kLongestShared)};
  for (const Peer& peer : peers_) {
    answer.hosts.push_back(peer.host);
    answer.processes.push_back(peer.process);
  }
  std::vector<std::byte> text = internal::encode(answer);
  std::vector<MPI_Request> sends(peers_.size(), MPI_REQUEST_NULL);
  for (int r = 1; r < size(); ++r) {
    MPI_Isend(text.data(), static_cast<int>(text.size()), MPI_BYTE, r, 1, state_->start_up, &sends[at(r)]);
  }
  const auto flushed = Clock::now() + std::chrono::seconds(2);
  bool all_sent = true;
  for (int r = 1; r < size(); ++r) {
    if (wait_for(sends[at(r)], flushed)) { continue; }
    mark_broken({r});
    all_sent = false;
  }
  if (!all_sent) { internal::keep_for_mpi(std::move(text)); }
  return verdict;
}

void MpiSession::mark_broken(std::vector<int> lost) {
  broken_ = true;
  lost_.insert(lost_.end(), lost.begin(), lost.end());
}

int MpiSession::end(const Status& status) {
  return end(exit_code(status.code()));
}

// Ends a stopped process of this job on this machine, which would keep mpirun waiting for ever.
void MpiSession::kill_stopped_process(const Peer& gone) const {
  const Peer& own = peers_[at(rank_)];
  const bool near = gone.process > 0 && gone.process != own.process && gone.host == own.host;
  if (near && is_stopped(gone.process)) { ::kill(static_cast<pid_t>(gone.process), SIGKILL); }
}

// mpirun waits for every process, and for ever for one that is stopped on its last steps. So on each machine the ranks
// leave from the last to the first, each when those behind it are gone; who is stopped meanwhile is ended.
void MpiSession::leave_in_order() const {
  const auto deadline = Clock::now() + kLeavePatience;
  for (;;) {
    bool alone = true;
    for (int r = 0; r < size(); ++r) {
      const Peer& other = peers_[at(r)];
      if (r == rank_ || other.process <= 0 || other.host != peers_[at(rank_)].host) { continue; }
      alone = alone && (r < rank_ ? !is_stopped(other.process) : is_gone(other.process));
    }
    if (alone) { return; }
    if (Clock::now() >= deadline) { break; }
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  for (const Peer& peer : peers_) { kill_stopped_process(peer); }
}

int MpiSession::end(int code) {
  if (!broken_) {
    // Somebody has not come: that is a loss, though the run itself may be whole.
    const int late = code != 0 ? code : exit_code(Code::kUnavailable);
    const internal::Watchdog watchdog(kEndPatience, late, "error: a rank did not leave MPI in time", [this] {
      for (const Peer& peer : peers_) { kill_stopped_process(peer); }
    });
    MPI_Comm_free(&state_->start_up);
    MPI_Finalize();
    leave_in_order();
    return code;
  }
  // Ends all, also who is stopped. Leaving without MPI_Finalize would become another exit code under srun.
  if (!recovery() && code != 0) { MPI_Abort(MPI_COMM_WORLD, code); }
  for (const int lost : lost_) { kill_stopped_process(peers_[at(lost)]); }
  if (std::any_of(lost_.begin(), lost_.end(), [this](int lost) { return peers_[at(lost)].process == 0; })) {
    kill_stopped_siblings();
  }
  std::fflush(nullptr);
  ::_exit(code);
}

}  // namespace tributary
