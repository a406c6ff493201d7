// SPDX-License-Identifier: Apache-2.0
#include "tributary/simulation/driver.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <condition_variable>
#include <deque>
#include <future>
#include <map>
#include <mutex>
#include <optional>
#include <unordered_map>
#include <utility>
#include <variant>

#include "faults.hpp"
#include "runtime/event_queue.hpp"
#include "tributary/base/duration.hpp"
#include "tributary/base/random.hpp"
#include "tributary/nodes/client_node.hpp"
#include "tributary/training/training_pool.hpp"

namespace tributary {
namespace {

using internal::FaultInjector;
using internal::Instant;
using std::chrono::nanoseconds;

struct Delivery {
  NodeId from;
  NodeId to;
  Message message;
};
struct TimerFired {
  NodeId node;
  TimerId timer;
};
struct Trained {
  NodeId node;
  TrainingPool::JobId job;
};
struct Restart {
  NodeId node;
};
// The root's publish() has been dealt with.
struct Published {
  bool stop;
  std::uint32_t incarnation;
};
using Event = std::variant<Delivery, TimerFired, Trained, Restart, Published>;
using Queue = internal::EventQueue<Event>;

// Ranks of events at the same instant of the virtual clock. What trains comes last and one by one, so that each update
// is merged, and a round is closed, before the next result is taken from the pool. Of updates that arrive together the
// seed says which is first: low numbers must not always be.
constexpr std::uint64_t kAtOnce = 0;
constexpr std::uint64_t kTraining = UINT64_MAX;
std::uint64_t rank_of_update(std::uint64_t seed, NodeId from, const TaskKey& key) {
  return std::clamp<std::uint64_t>(stream_seed(seed, Purpose::kTies, from.value, key.round.value), kAtOnce + 1,
                                   kTraining - 1);
}

// What the driver keeps of one node.
struct Slot {
  std::unique_ptr<InnerNode> inner;
  std::unique_ptr<ClientNode> client;
  std::uint32_t incarnation = 0;
  bool down = false;
  std::array<std::optional<Queue::Handle>, kTimers> timers;
  std::optional<TrainingPool::JobId> job;
  TaskKey job_key;
  std::optional<std::uint64_t> events_to_live;  // set when the node is to die
};

// Jobs that workers have finished, for the real clock.
class CompletionList {
 public:
  void push(Trained trained) {
    {
      const std::lock_guard lock(mutex_);
      done_.push_back(trained);
    }
    ready_.notify_one();
  }
  // Waits for at most `patience` for the first.
  std::deque<Trained> wait(nanoseconds patience) {
    std::unique_lock lock(mutex_);
    if (patience.count() > 0) {
      ready_.wait_for(lock, patience, [this] { return !done_.empty(); });
    }
    return std::exchange(done_, {});
  }

 private:
  std::mutex mutex_;
  std::condition_variable ready_;
  std::deque<Trained> done_;
};

class Simulation final : public NodeContext {
 public:
  Simulation(const SimulationSettings& settings, const AgreedPlan& plan, RunObserver& observer, TrainingPool& pool,
             CompletionList& completions, DriverStatistics& statistics)
      : settings_(settings),
        plan_(plan),
        observer_(observer),
        pool_(pool),
        completions_(completions),
        statistics_(statistics),
        faults_(settings.simulation.faults),
        all_count_(plan.every_answer_counts()) {}

  Status run() {
    TRIBUTARY_RETURN_IF_ERROR(start_root());
    while (!outcome_) {
      if (real_clock()) { wait_until_due(); }
      if (queue_.empty()) {
        return internal_error("the simulation has nothing left to do and the root has not finished");
      }
      auto [at, event] = queue_.pop();
      // In real time what is due is done now, which may be long after: timers run from here.
      now_ = real_clock() ? elapsed() : at;
      statistics_.clock = now_;
      ++statistics_.events;
      if (settings_.largest_events != 0 && statistics_.events > settings_.largest_events) {
        return internal_error(fmt::format("no end after {} events", settings_.largest_events));
      }
      std::visit([this](auto& happened) { handle(happened); }, event);
      statistics_.train_time = pool_.train_time();
      statistics_.tasks_trained = pool_.jobs_done();
    }
    return *outcome_;
  }

  // NodeContext, for the node that is being called.

  void send(NodeId to, Message message) override {
    const bool down = plan_.tree().parent(to) == current_ && to != plan_.tree().root();
    const NodeId child = down ? to : current_;
    const std::uint64_t bytes = payload_bytes(message) + control_bytes(message);
    const nanoseconds travel = transfer_time(plan_.tree().attributes(child).link, bytes);
    const FaultInjector::Fate fate = faults_.fate_of_message();
    if (!fate.dropped && travel.count() > 0 && still_on_its_way(child, down, message, in(travel))) { return; }
    statistics_.traffic.count(child, tier_of(child), down, bytes);
    if (std::holds_alternative<TaskMessage>(message)) { asked(to, std::get<TaskMessage>(message).key); }
    const auto* const update = std::get_if<UpdateMessage>(&message);
    const std::uint64_t rank = update != nullptr ? rank_of_update(plan_.seed(), current_, update->key) : kAtOnce;
    if (fate.repeated) { queue_.push(in(later_by(travel, fate.repeat_delay)), Delivery{current_, to, message}, rank); }
    if (!fate.dropped) {
      queue_.push(in(later_by(travel, fate.delay)), Delivery{current_, to, std::move(message)}, rank);
    }
  }

  void set_timer(TimerId timer, nanoseconds after) override {
    cancel_timer(timer);
    slot().timers[static_cast<std::size_t>(timer)] =
        queue_.push_timer(later_by(now_, after), TimerFired{current_, timer});
  }

  void cancel_timer(TimerId timer) override {
    auto& handle = slot().timers[static_cast<std::size_t>(timer)];
    if (handle) { queue_.cancel(*handle); }
    handle.reset();
  }

  [[nodiscard]] nanoseconds time_left(TimerId timer) const override {
    const auto found = slots_.find(current_.value);
    if (found == slots_.end()) { return nanoseconds{0}; }
    const auto& handle = found->second.timers[static_cast<std::size_t>(timer)];
    return handle ? std::max(nanoseconds{0}, handle->at - now_) : nanoseconds{0};
  }

  void train(TrainRequest request) override {
    cancel_training();
    slot().job_key = request.key;
    TrainTask task = plan_.train_task(current_, std::move(request));
    const ClientIndex client = task.client;
    if (real_clock()) {
      // The worker may be done before submit() has returned its number.
      auto number = std::make_shared<std::promise<TrainingPool::JobId>>();
      slot().job = pool_.submit(std::move(task), {.longest_first = all_count_},
                                [&completions = completions_, node = current_, number] {
                                  completions.push(Trained{node, number->get_future().get()});
                                });
      number->set_value(*slot().job);
    } else {
      const Instant end = in(settings_.compute_time ? settings_.compute_time(client) : nanoseconds{0});
      slot().job = pool_.submit(std::move(task), {.due = end, .longest_first = all_count_});
      queue_.push(end, Trained{current_, *slot().job}, kTraining);
    }
    ++jobs_;
  }

  void cancel_training() override {
    if (!slot().job) { return; }
    pool_.cancel(*slot().job);
    slot().job.reset();
    --jobs_;
  }

  void publish(const RoundReport& report, ModelValues model) override {
    const auto start = std::chrono::steady_clock::now();
    Result<bool> stop = observer_.published(report, model, pool_, statistics_);
    publish_time_ += std::chrono::steady_clock::now() - start;
    if (!stop.ok()) {
      outcome_ = stop.status();
      return;
    }
    queue_.push(now_, Published{*stop, slot().incarnation});
  }

  void finished(Status status) override { outcome_ = std::move(status); }
  void note(NodeEvent note) override { observer_.noted(note); }

 private:
  [[nodiscard]] bool real_clock() const noexcept {
    return settings_.simulation.clock == SimulationConfig::Clock::kReal;
  }
  [[nodiscard]] nanoseconds elapsed() const { return std::chrono::steady_clock::now() - start_; }
  Slot& slot() { return slots_[current_.value]; }

  // When something happens that takes `time` from now. What would be beyond the end of time never happens.
  Instant in(nanoseconds time) {
    const Instant at = later_by(now_, time);
    if (at == kEndOfTime) {
      outcome_ = configuration_error(
          "the virtual clock has come to its end, after 292 years: lower simulation.compute_seconds_per_sample, the "
          "latencies of links or the delays of simulation.faults, or raise the bandwidths of links");
    }
    return at;
  }

  std::uint32_t tier_of(NodeId node) const { return plan_.tree().tier(node); }

  // A payload that is still moving is not sent again: a slow link that moves is alive. Questions overtake it, and so
  // the answer that a task is not known may come before the task does. Remembers `arrival` of what is not on its way.
  bool still_on_its_way(NodeId child, bool down, const Message& message, Instant arrival) {
    TaskKey key;
    if (const auto* task = std::get_if<TaskMessage>(&message)) {
      key = task->key;
    } else if (const auto* update = std::get_if<UpdateMessage>(&message)) {
      key = update->key;
    } else {
      return false;
    }
    Transfer& last = transfers_[{child.value, down}];
    if (last.key == key && last.arrival > now_) { return true; }
    last = {key, arrival};
    return false;
  }

  // Waits until an event is due: a finished job, or the time of the next event.
  void wait_until_due() {
    for (nanoseconds patience{0};;) {
      const auto start = std::chrono::steady_clock::now();
      const std::deque<Trained> done = completions_.wait(patience);
      if (jobs_ == 0) { statistics_.wait_time += std::chrono::steady_clock::now() - start; }
      for (const Trained& trained : done) { queue_.push(elapsed(), trained); }
      patience = queue_.empty() ? nanoseconds(std::chrono::seconds(1)) : queue_.next_time() - elapsed();
      if (patience <= nanoseconds{0}) { return; }
    }
  }

  Status start_root() {
    Result<RootState> state = observer_.restore();
    if (!state.ok()) { return state.status(); }
    current_ = plan_.tree().root();
    slot().inner =
        std::make_unique<InnerNode>(plan_.inner_node(current_, slot().incarnation), std::move(state).value());
    doom_root();
    on_inner([&](InnerNode& node) { node.on_start(*this); });
    return {};
  }

  void doom_root() {
    slot().events_to_live = faults_.events_to_live(plan_.tree().children(plan_.tree().root()).size());
  }

  // Makes the node exist, unless it is down.
  bool wake(NodeId node) {
    current_ = node;
    Slot& here = slot();
    if (here.down) { return false; }
    if (!here.inner && !here.client) { make(node, here); }
    return true;
  }

  void make(NodeId node, Slot& here) {
    if (plan_.tree().is_client(node)) {
      here.client =
          std::make_unique<ClientNode>(node, plan_.tree().parent(node), plan_.spec(), plan_.client_liveness(node));
    } else {
      here.inner = std::make_unique<InnerNode>(plan_.inner_node(node, here.incarnation));
    }
  }

  // Drops a client that has nothing to do: a population costs nothing, a cohort does.
  void settle(NodeId node) {
    const auto found = slots_.find(node.value);
    if (found != slots_.end() && found->second.client && found->second.client->idle()) { slots_.erase(found); }
  }

  // True if the node has just died instead of seeing the event.
  bool dies() {
    Slot& here = slot();
    if (!here.events_to_live) { return false; }
    if ((*here.events_to_live)-- > 0) { return false; }
    const nanoseconds away = faults_.time_down();
    for (std::size_t timer = 0; timer < kTimers; ++timer) { cancel_timer(static_cast<TimerId>(timer)); }
    cancel_training();
    here.inner.reset();
    here.client.reset();
    here.events_to_live.reset();
    here.down = true;
    ++here.incarnation;
    observer_.noted({NodeEvent::Kind::kKilled, current_, Round{},
                     fmt::format("injected; back in {:.1f} s", std::chrono::duration<double>(away).count())});
    queue_.push(in(away), Restart{current_});
    return true;
  }

  void handle(Delivery& delivery) {
    if (!wake(delivery.to)) { return; }
    Slot& here = slot();
    if (!here.events_to_live && here.incarnation < FaultInjector::kMostDeaths && delivery.to != plan_.tree().root() &&
        std::holds_alternative<TaskMessage>(delivery.message)) {
      here.events_to_live = faults_.events_to_live(plan_.tree().children(delivery.to).size());
    }
    if (dies()) { return; }
    if (here.client) {
      here.client->on_message(*this, delivery.from, std::move(delivery.message));
      settle(delivery.to);
      return;
    }
    if (const auto* update = std::get_if<UpdateMessage>(&delivery.message)) { answered(delivery.from, update->key); }
    on_inner([&](InnerNode& node) { node.on_message(*this, delivery.from, std::move(delivery.message)); });
  }

  // Lets the current node, an inner one, work, and counts its time. Publishing happens inside the call that closes the
  // root's round and is counted by whoever does it.
  template <typename Call>
  void on_inner(const Call& call) {
    const auto start = std::chrono::steady_clock::now();
    publish_time_ = nanoseconds{0};
    call(*slot().inner);
    const nanoseconds spent = std::chrono::steady_clock::now() - start - publish_time_;
    statistics_.merge_time += spent;
    statistics_.merge_by_tier[tier_of(current_)] += spent;
  }

  // What parents wait for their children, by the clock of the run.

  void asked(NodeId child, const TaskKey& key) {
    const auto [waiting, fresh] = asked_.try_emplace(child.value, key, now_);
    if (!fresh && waiting->second.first != key) { waiting->second = {key, now_}; }
  }

  void answered(NodeId child, const TaskKey& key) {
    const auto waiting = asked_.find(child.value);
    // A repeated answer of the round before does not end the wait for this round's.
    if (waiting == asked_.end() || waiting->second.first != key) { return; }
    const nanoseconds waited = now_ - waiting->second.second;
    asked_.erase(waiting);
    statistics_.traffic.edges[child].wait_time += waited;
    statistics_.traffic.tiers[tier_of(child)].wait_time += waited;
  }

  void handle(TimerFired& fired) {
    current_ = fired.node;
    const auto found = slots_.find(fired.node.value);
    if (found == slots_.end() || found->second.down) { return; }
    found->second.timers[static_cast<std::size_t>(fired.timer)].reset();
    if (dies()) { return; }
    if (found->second.client) {
      found->second.client->on_timer(*this, fired.timer);
      settle(fired.node);
    } else if (found->second.inner) {
      on_inner([&](InnerNode& node) { node.on_timer(*this, fired.timer); });
    }
  }

  void handle(Trained& trained) {
    current_ = trained.node;
    const auto found = slots_.find(trained.node.value);
    // A job that was cancelled, or belongs to a client that died, is nobody's any more.
    if (found == slots_.end() || found->second.job != trained.job) { return; }
    if (dies()) { return; }
    found->second.job.reset();
    --jobs_;
    Result<ClientUpdate> result = pool_.take(trained.job);
    observer_.trained(1);
    found->second.client->on_trained(*this, found->second.job_key, std::move(result));
    settle(trained.node);
  }

  void handle(Restart& restart) {
    current_ = restart.node;
    slot().down = false;
    if (restart.node == plan_.tree().root()) {
      if (Status started = start_root(); !started.ok()) { outcome_ = started; }
      return;
    }
    make(restart.node, slot());
    if (slot().inner) {
      on_inner([&](InnerNode& node) { node.on_start(*this); });
    } else {
      slot().client->on_start(*this);
      settle(restart.node);
    }
  }

  void handle(Published& published) {
    current_ = plan_.tree().root();
    if (slot().down || slot().incarnation != published.incarnation || !slot().inner) { return; }
    if (slot().incarnation < FaultInjector::kMostDeaths && !slot().events_to_live) { doom_root(); }
    if (dies()) { return; }
    on_inner([&](InnerNode& node) { node.on_published(*this, published.stop); });
  }

  const SimulationSettings& settings_;
  const AgreedPlan& plan_;
  RunObserver& observer_;
  TrainingPool& pool_;
  CompletionList& completions_;
  DriverStatistics& statistics_;
  FaultInjector faults_;
  Queue queue_;
  std::unordered_map<std::uint32_t, Slot> slots_;
  NodeId current_;
  struct Transfer {
    TaskKey key;
    Instant arrival{0};
  };
  std::map<std::pair<std::uint32_t, bool>, Transfer> transfers_;  // by child and direction; links that take time only
  std::unordered_map<std::uint32_t, std::pair<TaskKey, Instant>> asked_;  // children whose answers are out
  std::size_t jobs_ = 0;                                                  // submitted, and neither taken nor cancelled
  const bool all_count_;  // every answer is counted, so no job is begun in vain
  Instant now_{0};
  nanoseconds publish_time_{0};
  const std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
  std::optional<Status> outcome_;
};

}  // namespace

SimulationDriver::SimulationDriver(SimulationSettings settings) : settings_(std::move(settings)) {}
SimulationDriver::~SimulationDriver() = default;

Status SimulationDriver::run(const AgreedPlan& plan, const TrainerFactory& factory, RunObserver& observer) {
  statistics_ = {};
  const bool real = settings_.simulation.clock == SimulationConfig::Clock::kReal;
  const std::uint32_t threads = std::max(settings_.threads, 1U);
  // With the virtual clock the driver's thread trains too; with the real one it keeps the time.
  CompletionList completions;
  Result<std::unique_ptr<TrainingPool>> pool = TrainingPool::create(factory, real ? threads : threads - 1);
  if (!pool.ok()) { return pool.status(); }
  return Simulation(settings_, plan, observer, **pool, completions, statistics_).run();
}

}  // namespace tributary
