// SPDX-License-Identifier: Apache-2.0
#include "commands/process_group.hpp"

#ifdef TRIBUTARY_WITH_MPI

#include <fmt/format.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string_view>
#include <thread>

#include "build_information.hpp"
#include "tributary/base/version.hpp"
#include "tributary/mpi/driver.hpp"
#include "tributary/run/client_states.hpp"
#include "tributary/topology/place_nodes.hpp"

namespace tributary::cli {
namespace {

// The first rank may be slower to fail than the others; a rank that fails alone does not hold the job up for long.
constexpr std::chrono::seconds kTimeToSayWhy{3};

class MpiJob final : public ProcessGroup {
 public:
  explicit MpiJob(std::unique_ptr<MpiSession> session) : session_(std::move(session)) {}

  [[nodiscard]] bool is_first() const noexcept override { return session_->rank() == 0; }
  [[nodiscard]] std::string describe() const override {
    return fmt::format("rank {} of {} on {}", session_->rank(), session_->size(),
                       session_->peer(session_->rank()).host);
  }

  Status agree(const Status& mine, const PreparedRun* composition) override {
    std::string program = fmt::format("{} {} {}", version_text(), kRevision, kBuildType);
    if (composition == nullptr) { return session_->agree(mine, {.program = std::move(program)}); }
    MpiCredentials credentials = credentials_of(composition->plan, composition->data_digest(), std::move(program));
    TRIBUTARY_RETURN_IF_ERROR(session_->agree(mine, credentials));
    // Only now every rank's host is known.
    const Result<Placement> placement =
        place_nodes(composition->plan.tree(), session_->hosts(), client_work(*composition));
    if (placement.ok()) { credentials.placement = placement->digest(); }
    return session_->agree(placement.status(), credentials);
  }

  std::unique_ptr<Driver> driver(JobSettings settings) override {
    return std::make_unique<MpiDriver>(*session_, of(std::move(settings)));
  }
  Status serve(const PreparedRun& composition, JobSettings settings) override {
    return MpiDriver(*session_, of(std::move(settings))).serve(composition.plan, *composition.factory);
  }

  [[nodiscard]] MpiSession& session() noexcept override { return *session_; }
  [[nodiscard]] bool has_lost_ranks() const noexcept override { return session_->broken(); }
  int end(int exit_code) { return session_->end(exit_code); }

 private:
  static MpiDriverSettings of(JobSettings settings) {
    MpiDriverSettings made{.threads = settings.threads,
                           .silence = std::chrono::nanoseconds(static_cast<std::int64_t>(settings.lost_after_s * 1e9)),
                           .place = node_placer(std::move(settings.work)),
                           .state_directory = settings.state_directory.string(),
                           .open_states = nullptr,
                           .stop_now = settings.stop_now};
    if (settings.keeps_states) {
      made.open_states = [parameters = settings.parameters](const std::string& directory) {
        return std::make_unique<ClientStates>(real_file_system(), directory, parameters,
                                              ClientStates::Writing::kAtOnce);
      };
    }
    return made;
  }

  std::unique_ptr<MpiSession> session_;
};

std::unique_ptr<MpiJob>& joined() {
  static std::unique_ptr<MpiJob> job;
  return job;
}

}  // namespace

bool in_job() noexcept {
  // With srun alone every task would run the whole federation: start() refuses that.
  const char* const tasks = std::getenv("SLURM_STEP_NUM_TASKS");  // NOLINT(concurrency-mt-unsafe): only read
  return MpiSession::launched() || (tasks != nullptr && std::string_view(tasks) != "1");
}

bool speaks_for_job() noexcept {
  return !MpiSession::launched() || MpiSession::announced_rank() == 0;
}

Result<ProcessGroup*> ProcessGroup::join() {
  if (!joined()) {
    TRIBUTARY_ASSIGN_OR_RETURN(std::unique_ptr<MpiSession> session, MpiSession::start());
    joined() = std::make_unique<MpiJob>(std::move(session));
  }
  return joined().get();
}

int ProcessGroup::leave(int exit_code) {
  if (!joined()) {
    // mpirun ends a job at its first failure: a rank that says nothing lets the one that speaks fail first.
    if (exit_code != 0 && !speaks_for_job()) { std::this_thread::sleep_for(kTimeToSayWhy); }
    return exit_code;
  }
  const int code = joined()->end(exit_code);
  // At once, without the libraries' own last steps: the job waits for this process.
  std::fflush(nullptr);
  ::_exit(code);
}

}  // namespace tributary::cli

#else

namespace tributary::cli {

// Without MPI every process of a job would run the whole federation.
bool in_job() noexcept {
  return false;
}
bool speaks_for_job() noexcept {
  return true;
}
Result<ProcessGroup*> ProcessGroup::join() {
  return unsupported("this build has no MPI: configure it with -DTRIBUTARY_WITH_MPI=ON");
}
int ProcessGroup::leave(int exit_code) {
  return exit_code;
}

}  // namespace tributary::cli

#endif
