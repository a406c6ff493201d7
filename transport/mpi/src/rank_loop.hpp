// SPDX-License-Identifier: Apache-2.0
// One rank's part in one run: its nodes, its letters, and the watch over the ranks it works with. Rank 0 also asks for
// numbers when the root closes a round, and ends the run.
//
// Life cycle: made with everything it needs; run() once.
// Threads:    run() on one thread, which is the only one to call MPI meanwhile. The observer is called at the
// observer_queue. Waiting:    awake while letters move, and for some microseconds after; then asleep for at most a
// millisecond at a
//             time, or until training here has finished something. Other ranks cannot wake it: MPI has no way to sleep
//             until a letter comes.
#pragma once

#include <mpi.h>

#include <atomic>
#include <chrono>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "control_message.hpp"
#include "control_message_checks.hpp"
#include "endpoint.hpp"
#include "observer_queue.hpp"
#include "runtime/real_time_loop.hpp"
#include "tributary/mpi/driver.hpp"
#include "tributary/training/training_pool.hpp"
#include "wire/node_message.hpp"

namespace tributary::internal {

class RankLoop final : private Network, private LetterReceiver {
 public:
  struct Parts {
    MpiSession& session;
    const MpiDriverSettings& settings;
    const AgreedPlan& plan;
    const Placement& placement;
    TrainingPool& pool;
    // Rank 0 only, but for the states.
    RunObserver* observer = nullptr;
    ObserverQueue* observer_queue = nullptr;
    ClientStateStore* states = nullptr;  // of all ranks: of the clients here
    std::optional<RootState> root;
  };

  // `control` and `data`: communicators of this run alone.
  RankLoop(Parts parts, MPI_Comm control, MPI_Comm data);

  Status run();

  // After run(): of the whole run on rank 0, of this rank elsewhere.
  [[nodiscard]] DriverStatistics statistics() const;
  [[nodiscard]] std::vector<int> lost_ranks() const;
  // After run(): nothing is under way between any two ranks, and the communicators may be freed.
  [[nodiscard]] bool closed() const noexcept { return closed_; }

 private:
  using Clock = std::chrono::steady_clock;
  enum class Phase : std::uint8_t { kRunning, kEnding, kOver };

  struct Watched {
    bool watched = false;  // beats are exchanged
    bool silent = false;
    bool said_bye = false;
    Clock::time_point bye;            // when it said so
    std::uint64_t reports = 0;        // letters of kind kNote and kEdges that have arrived
    std::uint64_t tasks_trained = 0;  // as last told
    RankNumbers numbers;
  };
  // A model that a node of ours has handed to a rank. Its children there share one copy.
  struct Offer {
    std::weak_ptr<const std::vector<float>> model;
    std::weak_ptr<const std::vector<Segment>> broadcast;
    Version version;
    std::uint64_t id = 0;
    bool moving = false;
  };
  // Whether it is what `task` goes with.
  static bool holds(const Offer& offer, const TaskMessage& task);
  // The copy of such a model at the receiving rank, and the tasks that came before it.
  struct Received {
    std::uint64_t id = 0;
    ModelValues model;
    Payload coded;
    Broadcast broadcast;
    std::vector<NodeMessage> waiting;
  };
  struct Moving {
    NodeId child;  // of the edge
    NodeId from;
    int rank = 0;
    bool task = false;
    Clock::time_point since;
  };
  struct Publication {
    RoundReport report;
    ModelValues model;
  };

  // Network
  [[nodiscard]] bool lives_here(NodeId node) const override { return rank_of(node) == rank_; }
  Sent send(NodeId from, NodeId to, Message message) override;
  void publish(const RoundReport& report, ModelValues model) override;
  void finished(Status status) override;
  void note(NodeEvent note) override;

  // LetterReceiver
  void on_letter(int from, std::span<const std::byte> control, std::span<Payload> payloads) override;
  void on_sent(std::uint64_t token) override;
  void on_trouble(int peer, std::string what) override;

  void on_node_letter(int from, std::span<const std::byte> bytes, std::span<Payload> payloads);
  void deliver_task(int from, NodeMessage letter, std::span<Payload> payloads);
  void on_counted(int from, RankNumbers numbers);

  [[nodiscard]] int rank_of(NodeId node) const { return static_cast<int>(placement_.rank_of(node)); }
  [[nodiscard]] bool is_root() const noexcept { return rank_ == 0; }
  [[nodiscard]] std::string describe(int rank) const;
  Watched& peer(int rank) { return peers_[static_cast<std::size_t>(rank)]; }

  void duties(Clock::time_point now);
  void watch(Clock::time_point now);
  void lose(int rank, std::chrono::nanoseconds silence);
  void exclude_peer(int rank, const std::string& what);
  void tell_others(ControlMessage kind, const LostLetter& letter);
  void readmit_peer(int rank);
  void warn(std::string text);
  void ask_for_numbers();
  void continue_publication();
  void take_answer();
  void obey_stop(Clock::time_point now);
  void halt(Status outcome);
  void begin_end(Status outcome);
  void say_bye();
  [[nodiscard]] static bool has_told_all(const Watched& other, Clock::time_point now);
  void check_end(Clock::time_point now);
  void account(Clock::time_point now, bool moved);
  void pace(bool moved);
  [[nodiscard]] RankNumbers own_numbers(std::uint64_t question) const;
  [[nodiscard]] DriverStatistics collected(bool with_edges) const;
  void tell_progress();

  MpiSession& session_;
  const MpiDriverSettings& settings_;
  const AgreedPlan& plan_;
  const Placement& placement_;
  TrainingPool& pool_;
  RunObserver* observer_;
  ObserverQueue* observer_queue_;
  std::optional<RootState> root_;
  int rank_;
  int size_;
  std::vector<Watched> peers_;
  LetterLimits limits_;
  RankLetterLimits letter_limits_;
  Endpoint endpoint_;
  RealTimeLoop loop_;

  Phase phase_ = Phase::kRunning;
  Status outcome_;
  Clock::time_point end_deadline_;
  std::optional<Clock::time_point> stop_deadline_;
  std::uint64_t next_id_ = 1;
  std::map<std::pair<int, NodeId>, Offer> offers_;                           // by receiving rank and sending node
  std::map<std::pair<int, NodeId>, Received> received_;                      // by sending rank and node
  std::unordered_map<NodeId, std::pair<TaskKey, std::uint64_t>> last_task_;  // by child: its key and model
  std::unordered_map<NodeId, TaskKey> last_update_;                          // by child; MPI loses nothing
  std::unordered_map<std::uint64_t, Moving> moving_;                         // by token
  std::map<std::pair<int, std::uint32_t>, EdgeTraffic> edges_of_others_;     // by rank and child

  // Rank 0.
  std::optional<Publication> publication_;  // waits for numbers
  std::uint64_t question_ = 0;
  std::size_t answers_missing_ = 0;
  Clock::time_point answers_deadline_;
  bool halted_ = false;
  bool closed_ = false;
  std::uint64_t tasks_told_ = 0;
  std::uint64_t reports_ = 0;  // letters of kind kNote and kEdges that this rank has sent
  struct DeskAnswer {
    std::mutex mutex;
    std::optional<Result<bool>> published;
    Version durable;
    bool halted = false;
    Status status;  // of halted()
  };
  DeskAnswer answer_;

  const Clock::time_point start_ = Clock::now();
  Clock::time_point next_duty_ = start_;
  Clock::time_point accounted_ = start_;
  Clock::time_point watched_ = start_;
  Clock::time_point judged_from_ = start_;
  Clock::time_point moved_ = start_;
  std::chrono::nanoseconds pause_;
  std::chrono::nanoseconds send_time_{0};
  std::chrono::nanoseconds wait_time_{0};
  Traffic timed_;  // send_time of edges
};

}  // namespace tributary::internal
