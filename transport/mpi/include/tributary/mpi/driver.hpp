// SPDX-License-Identifier: Apache-2.0
// A federation over MPI: the tree's nodes are spread over the ranks of one job. Start here to run under mpirun from a
// program of your own:
//
//   TRIBUTARY_ASSIGN_OR_RETURN(const auto session, MpiSession::start());
//   TRIBUTARY_RETURN_IF_ERROR(session->agree({}, credentials_of(run.plan, run.data_digest(), "mine 1")));
//   MpiDriver driver(*session, {});
//   Status ran = session->rank() == 0 ? federation->run(driver).status() : driver.serve(plan, factory);
//   session->end(ran);
//
// What Open MPI survives, and so what is promised here, is on docs/mpi.md: late and silent ranks are waited for, up to
// a bound; a rank that dies ends the job, unless mpirun was given --enable-recovery and a quorum is left.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tributary/nodes/agreed_plan.hpp"
#include "tributary/nodes/driver.hpp"
#include "tributary/nodes/placement.hpp"

namespace tributary {

// What must be equal on all ranks for a run to mean anything.
struct MpiCredentials {
  std::string program;   // version and revision
  Digest configuration;  // of the plan: configuration, tree, model
  Digest model;          // the spec's fingerprint
  Digest data;           // of all samples; zero: none
  Digest placement;      // of nodes on ranks
  friend bool operator==(const MpiCredentials&, const MpiCredentials&) = default;
};

// `data`: PreparedRun::data_digest(), or the like. `program`: what identifies the build.
[[nodiscard]] MpiCredentials credentials_of(const AgreedPlan& plan, const Digest& data, std::string program);

// This process's part in an MPI job.
//
// Life cycle: start() once per process; agree() once; drivers, one after another; end(), which does not return to MPI.
// Threads:    one thread at a time; a driver's run() uses a thread of its own for MPI meanwhile.
// Waits:      none is unbounded: a rank that does not come is named, or the process ends with exit code 75.
class MpiSession {
 public:
  struct Peer {
    std::string host;
    std::int64_t process = 0;
  };

  // True if a launcher (mpirun, srun --mpi=pmix) has made this process part of a job.
  [[nodiscard]] static bool launched() noexcept;
  // As the launcher says it, before MPI is started; 0 without one.
  [[nodiscard]] static int announced_rank() noexcept;

  // Initialises MPI. kUnavailable: it refuses, or was ended in this process before.
  static Result<std::unique_ptr<MpiSession>> start();
  ~MpiSession();
  MpiSession(const MpiSession&) = delete;
  MpiSession& operator=(const MpiSession&) = delete;

  [[nodiscard]] int rank() const noexcept { return rank_; }
  [[nodiscard]] int size() const noexcept { return static_cast<int>(peers_.size()); }
  // Known after agree().
  [[nodiscard]] const Peer& peer(int rank) const { return peers_.at(static_cast<std::size_t>(rank)); }
  [[nodiscard]] std::vector<std::string> hosts() const;
  // Cores of this machine for each rank on it, at least 1.
  [[nodiscard]] std::uint32_t cores_per_rank() const;
  // mpirun --enable-recovery: a dead rank does not end the job.
  [[nodiscard]] static bool recovery() noexcept;

  // Every rank says whether it is ready (`mine`) and what it has; rank 0 compares. All get the same answer: OK, or the
  // first error, with the rank and host it comes from. kDeadlineExceeded: a rank did not come within `patience`.
  // `shared`: of rank 0, at most 4096 bytes; all know it afterwards (shared()).
  Status agree(const Status& mine, const MpiCredentials& credentials,
               std::chrono::nanoseconds patience = std::chrono::seconds(60), const std::string& shared = {});
  [[nodiscard]] const std::string& shared() const noexcept { return shared_; }

  // A rank is lost: end() will not wait for it.
  void mark_broken(std::vector<int> lost);
  [[nodiscard]] bool broken() const noexcept { return broken_; }

  // Leaves MPI and returns the exit code for `status`, with which the process should end at once; if a rank is lost, or
  // MPI does not let go, ends the process itself. Flush what should be seen first. Ranks on this machine that are
  // stopped are killed, so that mpirun can end.
  int end(const Status& status);
  int end(int exit_code);

  // For code of this library that uses MPI.
  struct State;
  [[nodiscard]] State& state() const noexcept { return *state_; }

 private:
  MpiSession();
  void kill_stopped_process(const Peer& gone) const;
  void leave_in_order() const;
  std::unique_ptr<State> state_;
  int rank_ = 0;
  std::vector<Peer> peers_;
  bool broken_ = false;
  std::vector<int> lost_;
  std::string shared_;
};

struct MpiDriverSettings {
  std::uint32_t threads = 0;                                   // training threads of this process; 0: cores_per_rank()
  std::chrono::nanoseconds silence{std::chrono::seconds(15)};  // of a rank, after which it counts as lost
  NodePlacer place;                                            // required: node_placer() of topology, say
  // Where the states of clients are kept, if the method has any: the directory as rank 0 knows it, and what makes a
  // store of the clients of one rank there.
  std::string state_directory;
  std::function<std::unique_ptr<ClientStateStore>(const std::string& directory)> open_states;
  // Set: stop at once, keeping the newest finished round. For signals that leave seconds, not rounds.
  const std::atomic<bool>* stop_now = nullptr;
  bool recovery = MpiSession::recovery();
  // Test hook: bytes of one chunk; 0: the default.
  std::size_t chunk_bytes = 0;
};

// Carries out the actions of the nodes that its rank holds.
//
// Life cycle: on each rank one driver for each run: run() where the root is, on rank 0, serve() on the others.
// Threads:    run() calls its observer on its own thread, and MPI on another, which is asleep most of the time.
// Errors:     kUnavailable: a rank is lost (named, with its nodes and the round), or too few clients answered.
class MpiDriver final : public Driver {
 public:
  MpiDriver(MpiSession& session, MpiDriverSettings settings);
  ~MpiDriver() override;

  Status run(const AgreedPlan& plan, const TrainerFactory& factory, RunObserver& observer) override;
  // Until the root ends the run; its status.
  Status serve(const AgreedPlan& plan, const TrainerFactory& factory);

  [[nodiscard]] const DriverStatistics& statistics() const noexcept override { return statistics_; }
  [[nodiscard]] std::string_view name() const noexcept override { return "mpi"; }
  [[nodiscard]] std::uint32_t threads() const noexcept override { return threads_; }
  [[nodiscard]] std::uint32_t processes() const noexcept override {
    return static_cast<std::uint32_t>(session_.size());
  }

 private:
  Status start(const AgreedPlan& plan, const TrainerFactory& factory, RunObserver* observer);

  MpiSession& session_;
  MpiDriverSettings settings_;
  std::uint32_t threads_;
  DriverStatistics statistics_;
};

}  // namespace tributary
