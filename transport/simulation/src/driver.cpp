// SPDX-License-Identifier: Apache-2.0
#include "tributary/simulation/driver.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <deque>
#include <future>
#include <memory>
#include <optional>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <variant>

#include "completion_list.hpp"
#include "faults.hpp"
#include "network.hpp"
#include "runtime/event_queue.hpp"
#include "runtime/node_runtime.hpp"
#include "tributary/base/duration.hpp"
#include "tributary/base/random.hpp"
#include "tributary/training/training_pool.hpp"

namespace tributary {
namespace {

using internal::EventKey;
using internal::FaultInjector;
using internal::Instant;
using internal::SimulatedNetwork;
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
  Version durable;
  std::uint32_t incarnation;
};
// A client's device is there, and the job that waited for it begins.
struct DeviceReady {
  TrainingPool::JobId job;
};
using Event = std::variant<Delivery, TimerFired, Trained, Restart, Published, DeviceReady>;
using CompletionList = internal::CompletionList<Trained>;

// Ranks of events at the same instant of the virtual clock. What trains comes last and one by one, so that each update
// is merged, and a round is closed, before the next result is taken from the pool. Of updates that arrive together the
// seed says which is first: low numbers must not always be.
constexpr std::uint64_t kAtOnce = 0;
constexpr std::uint64_t kTraining = UINT64_MAX;
// Marks the job of a task whose device leaves: nobody trains it.
constexpr TrainingPool::JobId kLeft = TrainingPool::JobId{1} << 63U;
std::uint64_t rank_of(std::uint64_t seed, NodeId from, const Message& message) {
  const auto* const update = std::get_if<UpdateMessage>(&message);
  if (update == nullptr) { return kAtOnce; }
  return std::clamp<std::uint64_t>(stream_seed(seed, Purpose::kTies, from.value, update->key.number), kAtOnce + 1,
                                   kTraining - 1);
}

// The world that the nodes of a simulation live in: one queue of events, which decides what happens next.
class Simulation final : private internal::RuntimeEnvironment {
 public:
  // All must outlive the simulation; `completions` also the pool.
  Simulation(const SimulationSettings& settings, const AgreedPlan& plan, RunObserver& observer, TrainingPool& pool,
             CompletionList& completions, DriverStatistics& statistics)
      : settings_(settings),
        plan_(plan),
        observer_(observer),
        pool_(pool),
        completions_(completions),
        statistics_(statistics),
        faults_(settings.simulation.faults),
        network_(plan.tree(), faults_),
        mortal_(settings.simulation.faults.kill > 0.0),
        all_count_(plan.every_answer_counts()),
        nodes_(plan, *this, settings.client_states) {}

  Status run() {
    Status ended = run_to_the_end();
    measure();
    statistics_.traffic.edges = nodes_.statistics().traffic.edges;
    return ended;
  }

 private:
  Status run_to_the_end() {
    TRIBUTARY_RETURN_IF_ERROR(start_root());
    while (!outcome_) {
      if (real_clock()) { wait_until_due(); }
      if (queue_.empty()) {
        return internal_error("the simulation has nothing left to do and the root has not finished");
      }
      auto [at, event] = queue_.pop();
      // In real time what is due is done now, which may be long after: timers run from here.
      now_ = real_clock() ? elapsed() : at;
      ++statistics_.events;
      if (settings_.largest_events != 0 && statistics_.events > settings_.largest_events) {
        return internal_error(fmt::format("no end after {} events", settings_.largest_events));
      }
      std::visit([this](auto& happened) { handle(happened); }, event);
    }
    return *outcome_;
  }

  // RuntimeEnvironment

  [[nodiscard]] Instant now() const override { return now_; }

  bool send(NodeId from, NodeId to, Message message, std::uint64_t bytes) override {
    const bool down = to != plan_.tree().root() && plan_.tree().parent(to) == from;
    const SimulatedNetwork::Journey journey = network_.send(down ? to : from, down, message, bytes, now_);
    if (journey.under_way) { return false; }
    const std::uint64_t rank = rank_of(plan_.seed(), from, message);
    if (journey.repeated) { queue_.push(in(journey.repeat_takes), Delivery{from, to, message}, rank); }
    if (journey.arrives) { queue_.push(in(journey.takes), Delivery{from, to, std::move(message)}, rank); }
    return true;
  }

  EventKey set_timer(NodeId node, TimerId timer, Instant at) override {
    return queue_.push_timer(at, TimerFired{node, timer});
  }
  void cancel_timer(const EventKey& key) override { queue_.cancel(key); }

  TrainingPool::JobId begin_training(NodeId node, TrainingPool::Work work) override {
    if (real_clock()) {
      // The worker may be done before submit() has returned its number.
      auto number = std::make_shared<std::promise<TrainingPool::JobId>>();
      const TrainingPool::JobId job = pool_.submit(
          std::move(work), {.longest_first = all_count_},
          [&completions = completions_, node, number] { completions.push({node, number->get_future().get()}); });
      number->set_value(job);
      return job;
    }
    const ClientIndex client = work.task.client;
    const nanoseconds wait = settings_.until_available ? settings_.until_available(client, now_) : nanoseconds{0};
    const nanoseconds takes = settings_.compute_time ? settings_.compute_time(client) : nanoseconds{0};
    const std::optional<double> part = leaves_after(client, work.task.round);
    const Instant end = in(later_by(wait, part ? to_nanoseconds(*part * seconds(takes)) : takes));
    const TrainingPool::JobId job =
        part ? kLeft | ++left_jobs_ : pool_.submit(std::move(work), {.due = end, .longest_first = all_count_});
    if (wait.count() > 0) {
      waiting_.insert(job);
      queue_.push(in(wait), DeviceReady{job});
    } else {
      begin_work();
    }
    queue_.push(end, Trained{node, job}, kTraining);
    return job;
  }

  Result<ClientUpdate> take_trained(TrainingPool::JobId job) override {
    if ((job & kLeft) != 0) {
      end_work(job);
      return unavailable("the device left before the task was done");
    }
    Result<ClientUpdate> result = pool_.take(job);
    end_work(job);
    observer_.trained(1);
    return result;
  }
  void cancel_training(TrainingPool::JobId job) override {
    if ((job & kLeft) == 0) { pool_.cancel(job); }
    end_work(job);
  }

  void publish(const RoundReport& report, ModelValues model) override {
    measure();
    Result<bool> stop = observer_.published(report, model, pool_, statistics_);
    if (!stop.ok()) {
      outcome_ = stop.status();
      return;
    }
    queue_.push(now_, Published{*stop, observer_.durable(), nodes_.incarnation(plan_.tree().root())});
  }

  void finished(Status status) override { outcome_ = std::move(status); }
  void note(NodeEvent note) override { observer_.noted(note); }
  [[nodiscard]] bool keeps_models() const noexcept override { return true; }
  // By the virtual clock everything follows from the seed.
  [[nodiscard]] bool notes_inputs() const noexcept override { return real_clock() && plan_.order_decides(); }

  // Which part of the client's task is done when its device leaves.
  std::optional<double> leaves_after(ClientIndex client, Round round) {
    if (!settings_.leaves_after) { return std::nullopt; }
    auto& [last, attempts] = attempts_[client];
    if (std::exchange(last, round) != round) { attempts = 0; }
    return settings_.leaves_after(client, round, ++attempts);
  }

  // Time

  [[nodiscard]] bool real_clock() const noexcept {
    return settings_.simulation.clock == SimulationConfig::Clock::kReal;
  }
  [[nodiscard]] nanoseconds elapsed() const { return std::chrono::steady_clock::now() - start_; }

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

  // Waits until an event is due: a finished job, or the time of the next event.
  void wait_until_due() {
    for (nanoseconds patience{0};;) {
      const auto start = std::chrono::steady_clock::now();
      const std::deque<Trained> done = completions_.wait(patience);
      if (!nodes_.training()) { statistics_.wait_time += std::chrono::steady_clock::now() - start; }
      for (const Trained& trained : done) { queue_.push(elapsed(), trained); }
      patience = queue_.empty() ? nanoseconds(std::chrono::seconds(1)) : queue_.next_time() - elapsed();
      if (patience <= nanoseconds{0}) { return; }
    }
  }

  // Whoever works from a to b adds b - a, and until then the present less a.
  void begin_work() {
    if (real_clock()) { return; }
    work_seconds_ -= seconds(now_);
    ++working_;
  }
  void end_work(TrainingPool::JobId job) {
    if (real_clock() || waiting_.erase(job) > 0) { return; }
    work_seconds_ += seconds(now_);
    --working_;
  }
  static double seconds(Instant time) { return std::chrono::duration<double>(time).count(); }

  // Edges, of which there may be many, are left out until the end.
  void measure() {
    const internal::RuntimeStatistics& of_nodes = nodes_.statistics();
    statistics_.clock = now_;
    statistics_.work_seconds = work_seconds_ + static_cast<double>(working_) * seconds(now_);
    statistics_.train_time = pool_.train_time();
    statistics_.tasks_trained = pool_.jobs_done();
    statistics_.merge_time = of_nodes.merge_time;
    statistics_.merge_by_tier = of_nodes.merge_by_tier;
    statistics_.traffic.tiers = of_nodes.traffic.tiers;
  }

  // Death

  void doom(NodeId node) {
    if (const auto events = faults_.events_to_live(plan_.tree().children(node).size())) { doomed_[node] = *events; }
  }
  [[nodiscard]] bool may_be_doomed(NodeId node) const {
    return mortal_ && !doomed_.contains(node) && nodes_.incarnation(node) < FaultInjector::kMostDeaths;
  }

  // True if the node has just died instead of seeing the event.
  bool dies(NodeId node) {
    const auto fate = doomed_.find(node);
    if (fate == doomed_.end() || fate->second-- > 0) { return false; }
    doomed_.erase(fate);
    nodes_.kill(node);
    const nanoseconds away = faults_.time_down();
    observer_.noted({NodeEvent::Kind::kKilled, node, Round{},
                     fmt::format("injected; back in {:.1f} s", std::chrono::duration<double>(away).count())});
    queue_.push(in(away), Restart{node});
    return true;
  }

  // A client that has nothing left to do is forgotten, its fate with it.
  void forget(NodeId node) {
    if (!doomed_.empty() && !nodes_.exists(node)) { doomed_.erase(node); }
  }

  // Events

  Status start_root() {
    Result<RootState> state = observer_.restore();
    if (!state.ok()) { return state.status(); }
    const NodeId root = plan_.tree().root();
    if (mortal_) { doom(root); }
    nodes_.start_root(std::move(state).value());
    return {};
  }

  void handle(Delivery& delivery) {
    const NodeId node = delivery.to;
    if (mortal_) {
      if (nodes_.down(node)) { return; }
      if (std::holds_alternative<TaskMessage>(delivery.message) && may_be_doomed(node)) { doom(node); }
      if (dies(node)) { return; }
    }
    nodes_.on_message(delivery.from, node, std::move(delivery.message));
    forget(node);
  }

  void handle(const TimerFired& fired) {
    if (mortal_ && (!nodes_.exists(fired.node) || nodes_.down(fired.node) || dies(fired.node))) { return; }
    nodes_.on_timer(fired.node, fired.timer);
    forget(fired.node);
  }

  void handle(const Trained& trained) {
    if (!nodes_.awaits(trained.node, trained.job) || dies(trained.node)) { return; }
    nodes_.on_trained(trained.node, trained.job);
    forget(trained.node);
  }

  void handle(const DeviceReady& ready) {
    if (waiting_.erase(ready.job) > 0) { begin_work(); }
  }

  void handle(const Restart& restart) {
    if (restart.node == plan_.tree().root()) {
      if (Status started = start_root(); !started.ok()) { outcome_ = started; }
      return;
    }
    nodes_.restart(restart.node);
    forget(restart.node);
  }

  void handle(const Published& published) {
    const NodeId root = plan_.tree().root();
    if (nodes_.incarnation(root) != published.incarnation || !nodes_.awaits_publication()) { return; }
    if (may_be_doomed(root)) { doom(root); }
    if (dies(root)) { return; }
    nodes_.on_published(published.stop, published.durable);
  }

  const SimulationSettings& settings_;
  const AgreedPlan& plan_;
  RunObserver& observer_;
  TrainingPool& pool_;
  CompletionList& completions_;
  DriverStatistics& statistics_;
  FaultInjector faults_;
  SimulatedNetwork network_;
  internal::EventQueue<Event> queue_;
  const bool mortal_;                                 // nodes may die
  std::unordered_map<NodeId, std::uint64_t> doomed_;  // events that a node sees before it dies
  const bool all_count_;                              // every answer is counted, so no job is begun in vain
  Instant now_{0};
  std::uint64_t left_jobs_ = 0;
  std::unordered_set<TrainingPool::JobId> waiting_;                            // for their devices
  std::unordered_map<ClientIndex, std::pair<Round, std::uint32_t>> attempts_;  // at a task, where devices leave
  double work_seconds_ = 0.0;  // of clients that train: less the moments at which they began
  std::size_t working_ = 0;
  const std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
  std::optional<Status> outcome_;
  internal::NodeRuntime nodes_;
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
  Result<std::unique_ptr<TrainingPool>> pool =
      TrainingPool::create(factory, real ? threads : threads - 1, plan.local_method());
  if (!pool.ok()) { return pool.status(); }
  return Simulation(settings_, plan, observer, **pool, completions, statistics_).run();
}

}  // namespace tributary
