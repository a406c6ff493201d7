// SPDX-License-Identifier: Apache-2.0
// What carries out the actions of nodes: moves messages, keeps time, trains. The same nodes run on every driver.
//
// Life cycle: one run() per driver.
// Threads:    run() calls its observer on its own thread only.
#pragma once

#include <chrono>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "tributary/nodes/agreed_plan.hpp"
#include "tributary/nodes/inner_node.hpp"
#include "tributary/nodes/model_evaluator.hpp"
#include "tributary/nodes/traffic.hpp"
#include "tributary/nodes/trainer.hpp"

namespace tributary {

// One process's part in a run.
struct ProcessStatistics {
  std::uint32_t rank = 0;
  std::string host;
  std::uint32_t nodes = 0;
  std::uint32_t threads = 0;  // that train
  std::uint64_t tasks_trained = 0;
  std::uint64_t bytes_sent = 0;  // to other processes
  std::uint64_t bytes_received = 0;
  std::chrono::nanoseconds train_time{0};  // summed over its threads
  std::chrono::nanoseconds merge_time{0};
  std::chrono::nanoseconds send_time{0};  // while something was on its way to another process
  std::chrono::nanoseconds wait_time{0};  // while it neither trained, merged nor sent
  bool lost = false;                      // was given up, or never sent its numbers
};

// What a driver has measured so far.
struct DriverStatistics {
  Traffic traffic;
  std::chrono::nanoseconds train_time{0};  // summed over threads
  std::chrono::nanoseconds merge_time{0};  // spent in inner nodes
  std::chrono::nanoseconds wait_time{0};   // in one process: nobody trained or merged
  std::chrono::nanoseconds clock{0};       // virtual or real time since the start
  double work_seconds = 0.0;               // by a virtual clock: that clients have trained, summed over them
  std::map<std::uint32_t, std::chrono::nanoseconds> merge_by_tier;
  std::map<std::uint32_t, double> busy_seconds;  // likewise by the tier of the child: that a parent waited for its task
  std::uint64_t tasks_trained = 0;
  std::uint64_t events = 0;                  // of the simulation
  std::vector<ProcessStatistics> processes;  // at the end, where there are several
};

// Whoever runs a federation: told what the root does, asked where it starts.
class RunObserver {
 public:
  virtual ~RunObserver() = default;

  // Where the root starts: the beginning, or the last checkpoint. Called again when a driver restarts a killed root.
  virtual Result<RootState> restore() = 0;
  // The root closed a round; `model` is the root's model after it. Returns true to stop the run.
  virtual Result<bool> published(const RoundReport& report, const ModelValues& model, ModelEvaluator& evaluator,
                                 const DriverStatistics& statistics) = 0;
  // Before published(), which gets the same report: whether the state of the driver's world, as it is now, is to come
  // with it.
  virtual bool keeps_world(const RoundReport& /*report*/) { return false; }
  // Whether that may be so for any round. Asked once, before the first.
  [[nodiscard]] virtual bool may_keep_worlds() const { return false; }
  // Of the models that were published, the newest that restore() would give, if a part of the run died now. Called
  // after published(), where it was.
  [[nodiscard]] virtual Version durable() const { return Version{UINT64_MAX}; }
  // So many more tasks of clients have been carried out, somewhere.
  virtual void trained(std::uint64_t /*tasks*/) {}
  // The run halts before its end, asked to or because a part of it is lost: keep `model` and `snapshot`, which are as
  // they were last published, or as the run began. Called at most once, and last.
  virtual Status halted(const ModelValues& /*model*/, const std::shared_ptr<const Snapshot>& /*snapshot*/) {
    return {};
  }
  virtual void noted(const NodeEvent& /*note*/) {}
  // Something that whoever started the run should read.
  virtual void warned(const std::string& /*text*/) {}
};

class Driver {
 public:
  virtual ~Driver() = default;

  // Runs the federation to its end. kUnavailable: too few nodes answered; the observer's errors as they are.
  virtual Status run(const AgreedPlan& plan, const TrainerFactory& factory, RunObserver& observer) = 0;
  [[nodiscard]] virtual const DriverStatistics& statistics() const noexcept = 0;
  // As records name it: "simulation".
  [[nodiscard]] virtual std::string_view name() const noexcept = 0;
  // Training threads of this process.
  [[nodiscard]] virtual std::uint32_t threads() const noexcept = 0;
  // That share the work, this one included.
  [[nodiscard]] virtual std::uint32_t processes() const noexcept { return 1; }
};

}  // namespace tributary
