// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <thread>

#include "observer_queue.hpp"
#include "rank_loop.hpp"
#include "session_state.hpp"
#include "tributary/mpi/driver.hpp"

namespace tributary {
namespace {

// Before round 1 all ranks agree on communicators of this run's own.
constexpr auto kStartPatience = std::chrono::seconds(60);

}  // namespace

MpiDriver::MpiDriver(MpiSession& session, MpiDriverSettings settings)
    : session_(session),
      settings_(std::move(settings)),
      threads_(settings_.threads > 0 ? settings_.threads : session.cores_per_rank()) {}

MpiDriver::~MpiDriver() = default;

Status MpiDriver::run(const AgreedPlan& plan, const TrainerFactory& factory, RunObserver& observer) {
  if (session_.rank() != 0) { return invalid_argument("the root is on rank 0: other ranks serve"); }
  return start(plan, factory, &observer);
}

Status MpiDriver::serve(const AgreedPlan& plan, const TrainerFactory& factory) {
  if (session_.rank() == 0) { return invalid_argument("the root is on rank 0: it runs, and does not serve"); }
  return start(plan, factory, nullptr);
}

Status MpiDriver::start(const AgreedPlan& plan, const TrainerFactory& factory, RunObserver* observer) {
  statistics_ = {};
  // What can go wrong on one rank alone is known to all before a message moves.
  Result<Placement> placement = settings_.place
                                    ? settings_.place(plan.tree(), session_.hosts())
                                    : Result<Placement>(invalid_argument("MpiDriverSettings::place is needed"));
  Status ready = placement.status();
  Result<std::unique_ptr<TrainingPool>> pool = TrainingPool::create(factory, threads_, plan.local_method());
  if (ready.ok()) { ready = pool.status(); }
  std::optional<RootState> root;
  if (ready.ok() && observer != nullptr) {
    Result<RootState> restored = observer->restore();
    ready = restored.status();
    if (restored.ok()) { root = std::move(restored).value(); }
  }
  TRIBUTARY_RETURN_IF_ERROR(session_.agree(ready,
                                           {.program = "",
                                            .configuration = plan.digest(),
                                            .model = plan.spec().fingerprint(),
                                            .data = {},
                                            .placement = placement.ok() ? placement->digest() : Digest{}},
                                           kStartPatience, settings_.state_directory));
  const std::unique_ptr<ClientStateStore> states =
      settings_.open_states ? settings_.open_states(session_.shared()) : nullptr;

  std::optional<internal::Communicator> control;
  std::optional<internal::Communicator> data;
  {
    const internal::Watchdog watchdog(
        kStartPatience, exit_code(Code::kDeadlineExceeded),
        fmt::format("error: the ranks of the job did not start the run within {} s", kStartPatience.count()));
    control.emplace();
    data.emplace();
  }
  Status outcome;
  bool closed = false;
  {
    internal::ObserverQueue observer_queue;
    internal::RankLoop loop({.session = session_,
                             .settings = settings_,
                             .plan = plan,
                             .placement = *placement,
                             .pool = **pool,
                             .observer = observer,
                             .observer_queue = &observer_queue,
                             .states = states.get(),
                             .root = std::move(root)},
                            control->get(), data->get());
    if (observer == nullptr) {
      outcome = loop.run();
    } else {
      std::thread mpi([&] {
        outcome = loop.run();
        observer_queue.close();
      });
      observer_queue.work();
      mpi.join();
    }
    statistics_ = loop.statistics();
    if (std::vector<int> lost = loop.lost_ranks(); !lost.empty()) { session_.mark_broken(std::move(lost)); }
    closed = loop.closed();
  }
  if (closed) {
    control->free();
    data->free();
  }
  return outcome;
}

}  // namespace tributary
