// SPDX-License-Identifier: Apache-2.0
#include "tributary/simulation/driver.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <deque>
#include <map>
#include <memory>
#include <new>
#include <optional>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

#include "base/node_pool.hpp"
#include "completion_list.hpp"
#include "faults.hpp"
#include "network.hpp"
#include "runtime/event_queue.hpp"
#include "runtime/node_runtime.hpp"
#include "runtime/persist.hpp"
#include "tributary/base/duration.hpp"
#include "tributary/base/random.hpp"
#include "tributary/training/training_pool.hpp"
#include "wire/node_layout.hpp"
#include "world_archive.hpp"

namespace tributary {
namespace {

using internal::EventKey;
using internal::FaultInjector;
using internal::Instant;
using internal::SimulatedNetwork;
using internal::WorldReader;
using internal::WorldWriter;
using std::chrono::nanoseconds;

using JobId = TrainingPool::JobId;  // here: the simulation's own number

struct Delivery {
  NodeId from;
  NodeId to;
  Message message;
};
struct TimerFired {
  NodeId node;
  TimerId timer = TimerId::kProbe;
};
struct Trained {
  NodeId node;
  JobId job = 0;
};
struct Restart {
  NodeId node;
};
// What the root publishes is dealt with, and then the root hears of it. Large beside other events, and rare.
struct Publication {
  struct Content {
    RoundReport report;
    ModelValues model;
    std::uint32_t incarnation = 0;
  };
  std::shared_ptr<Content> content = std::make_shared<Content>();
};
// A client's device is there, and the job that waited for it begins.
struct DeviceReady {
  JobId job = 0;
};
using Event = std::variant<Trained, Delivery, Restart, Publication, DeviceReady>;
using CompletionList = internal::CompletionList<Trained>;

template <typename Archive>
void serialize(Archive& archive, Delivery& delivery) {
  archive(delivery.from, delivery.to, delivery.message);
}
template <typename Archive>
void serialize(Archive& archive, TimerFired& fired) {
  archive(fired.node, fired.timer);
  if constexpr (Archive::is_loading::value) {
    archive.require(fired.timer <= TimerId::kResend ? ok_status() : bad_data("a timer of no kind"));
  }
}
template <typename Archive>
void serialize(Archive& archive, Trained& trained) {
  archive(trained.node, trained.job);
}
template <typename Archive>
void serialize(Archive& archive, Restart& restart) {
  archive(restart.node);
}
template <typename Archive>
void serialize(Archive& archive, Publication& publication) {
  archive(publication.content->report, publication.content->model, publication.content->incarnation);
}
template <typename Archive>
void serialize(Archive& archive, DeviceReady& ready) {
  archive(ready.job);
}

// Ranks of events at the same instant of the virtual clock. What trains comes last and one by one, so that each update
// is merged, and a round is closed, before the next result is taken from the pool. Of updates that arrive together the
// seed says which is first: low numbers must not always be.
constexpr std::uint64_t kAtOnce = 0;
constexpr std::uint64_t kTraining = internal::EventQueue<int>::kLast;
// Rises with every change of what a world holds, and of how it is laid out.
constexpr std::uint32_t kWorldLayout = 2;
// Whoever keeps a world may fill it up to a multiple of so many bytes.
constexpr std::size_t kMostPadding = 8;

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
        keeps_worlds_(settings.simulation.clock == SimulationConfig::Clock::kVirtual && observer.may_keep_worlds()),
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
      if (settings_.largest_events != 0 && statistics_.events >= settings_.largest_events) {
        return internal_error(fmt::format("no end after {} events", settings_.largest_events));
      }
      ++statistics_.events;
      queue_.pop([this](Instant at, auto& event) {
        // In real time what is due is done now, which may be long after: timers run from here.
        now_ = real_clock() ? elapsed() : at;
        if constexpr (std::is_same_v<std::remove_reference_t<decltype(event)>, TimerFired>) {
          handle(event);
        } else {
          std::visit([this](auto& happened) { handle(happened); }, event);
        }
      });
    }
    return *outcome_;
  }

  // RuntimeEnvironment

  [[nodiscard]] Instant now() const override { return now_; }

  bool send(NodeId from, NodeId to, Message&& message, std::uint64_t bytes) override {
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

  JobId begin_training(NodeId node, TrainingPool::Work work) override {
    const JobId number = ++jobs_given_;
    Job& job = job_nodes_.insert(jobs_, number, {})->second;
    if (real_clock()) {
      job.pooled = pool_.submit(std::move(work), {.longest_first = all_count_},
                                [&completions = completions_, node, number] { completions.push({node, number}); });
      return number;
    }
    const ClientIndex client = work.task.client;
    const nanoseconds wait = settings_.until_available ? settings_.until_available(client, now_) : nanoseconds{0};
    const auto& time = work.kind == TaskKind::kEvaluate ? settings_.evaluation_time : settings_.compute_time;
    const nanoseconds takes = time ? time(client) : nanoseconds{0};
    const std::optional<double> part = leaves_after(client, work.task.round);
    job.node = node;
    job.leaves = part.has_value();
    job.due = in(later_by(wait, part ? to_nanoseconds(*part * seconds(takes)) : takes));
    if (keeps_worlds_) { job.begun = std::make_unique<Job::Begun>(Job::Begun{work.task, work.method}); }
    job.kind = work.kind;
    if (!job.leaves) { job.pooled = pool_.submit(std::move(work), {.due = job.due, .longest_first = all_count_}); }
    if (wait.count() > 0) {
      job.waits = true;
      queue_.push(in(wait), DeviceReady{number});
    } else {
      work_.begin(now_);
    }
    queue_.push(job.due, Trained{node, number}, kTraining);
    return number;
  }

  Result<ClientUpdate> take_trained(JobId number) override {
    const Job job = end_job(number);
    if (job.leaves) { return unavailable("the device left before the task was done"); }
    Result<ClientUpdate> result = pool_.take(job.pooled);
    if (job.kind == TaskKind::kTrain) { observer_.trained(1); }
    return result;
  }
  void cancel_training(JobId number) override {
    const Job job = end_job(number);
    if (!job.leaves) { pool_.cancel(job.pooled); }
  }

  // Between events: whatever is saved of the world is saved whole.
  void publish(const RoundReport& report, ModelValues model) override {
    measure();
    Publication publication;
    *publication.content = {report, std::move(model), nodes_.incarnation(plan_.tree().root())};
    queue_.push(now_, std::move(publication));
  }

  void finished(Status status) override { outcome_ = std::move(status); }
  void note(NodeEvent note) override { observer_.noted(note); }
  [[nodiscard]] bool keeps_models() const noexcept override { return true; }
  // By the virtual clock everything follows from the seed.
  [[nodiscard]] bool notes_inputs() const noexcept override { return real_clock() && plan_.order_decides(); }

  // Jobs

  // A task that a client works on, and where worlds are kept all that it takes to begin it again.
  struct Job {
    JobId pooled = 0;     // the pool's number
    bool leaves = false;  // the device will, and nobody trains it
    bool waits = false;   // for the device
    NodeId node;
    Instant due{0};
    TaskKind kind = TaskKind::kTrain;
    struct Begun {
      TrainTask task{};
      MethodInput method;
    };
    std::unique_ptr<Begun> begun;
    template <typename Archive>
    void serialize(Archive& archive) {
      if (!begun) { begun = std::make_unique<Begun>(); }
      archive(leaves, waits, node, due, kind, begun->task, begun->method);
    }
  };

  Job end_job(JobId number) {
    Job job = job_nodes_.take(jobs_, jobs_.find(number));
    if (!real_clock() && !job.waits) { work_.end(now_); }
    return job;
  }

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

  static double seconds(Instant time) { return std::chrono::duration<double>(time).count(); }

  // Edges, of which there may be many, are left out until the end.
  void measure() {
    const internal::RuntimeStatistics& of_nodes = nodes_.statistics();
    statistics_.clock = now_ - begun_;
    statistics_.work_seconds = work_.until(now_) - earlier_work_seconds_;
    statistics_.train_time = pool_.train_time();
    statistics_.tasks_trained = pool_.jobs_done();
    statistics_.merge_time = of_nodes.merge_time;
    statistics_.merge_by_tier = of_nodes.merge_by_tier;
    if (!real_clock()) {
      for (const auto& [tier, busy] : of_nodes.busy_by_tier) { statistics_.busy_seconds[tier] = busy.until(now_); }
    }
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

  // The world, as it stands when something that was published has been taken from the queue.

  template <typename Archive>
  void persist(Archive& archive, RootState& root) {
    archive(now_, jobs_given_, work_.seconds, work_.nodes, doomed_, attempts_, jobs_);
    faults_.persist(archive);
    network_.persist(archive);
    nodes_.persist(archive, root);
    queue_.persist(archive);
  }

  std::shared_ptr<const std::vector<std::byte>> save_world(const ModelValues& published) {
    auto bytes = std::make_shared<std::vector<std::byte>>();
    WorldWriter archive(*bytes, published);
    RootState unused;
    // What has crossed edges since it was last told of.
    std::map<std::uint32_t, EdgeTraffic> untold = nodes_.statistics().traffic.tiers;
    for (const auto& [tier, told] : statistics_.traffic.tiers) { untold[tier] = untold[tier] - told; }
    archive(kWorldLayout, untold);
    persist(archive, unused);
    return bytes;
  }

  // Goes on where the world was saved, with the root's answer to what it had published.
  Status restore_world(RootState state) {
    try {
      const std::shared_ptr<const std::vector<std::byte>> bytes = std::move(state.world);
      WorldReader archive(*bytes, state.model, plan_.tree());
      std::uint32_t layout = 0;
      archive(layout);
      if (layout != kWorldLayout) { return unsupported("it was saved by another version of this program"); }
      std::map<std::uint32_t, EdgeTraffic> untold;
      archive(untold);
      persist(archive, state);
      if (archive.left() >= kMostPadding) { return bad_data("it is longer than it should be"); }
      for (const auto& [number, job] : jobs_) {
        if (!nodes_.awaits(job.node, number)) { return bad_data("a task is trained for nobody"); }
      }
      if (nodes_.jobs() != jobs_.size()) { return bad_data("a client waits for a task that nobody trains"); }
      nodes_.add_traffic(untold);
      if (nodes_.down(plan_.tree().root()) || !nodes_.awaits_publication()) {
        return bad_data("its root is not there");
      }
    } catch (const cereal::Exception& error) { return bad_data(error.what()); } catch (const std::bad_alloc&) {
      return resource_exhausted("there is not enough memory for it");
    }
    begun_ = now_;
    earlier_work_seconds_ = work_.until(now_);
    submit_anew();
    answer_publication(false, nodes_.incarnation(plan_.tree().root()));
    return {};
  }

  // Tasks that clients work on, in the order in which they are due, as they were given.
  void submit_anew() {
    std::vector<std::pair<Instant, JobId>> order;
    for (const auto& [number, job] : jobs_) {
      if (!job.leaves) { order.emplace_back(job.due, number); }
    }
    std::ranges::sort(order);
    for (const auto& [due, number] : order) {
      Job& job = jobs_.at(number);
      job.pooled = pool_.submit({job.begun->task, job.begun->method, plan_.codec_up(job.node), job.kind},
                                {.due = due, .longest_first = all_count_});
    }
  }

  // Events

  Status start_root() {
    Result<RootState> state = observer_.restore();
    if (!state.ok()) { return state.status(); }
    const NodeId root = plan_.tree().root();
    const bool first_time = !std::exchange(started_, true);
    if (first_time && state->world && !real_clock()) {
      return restore_world(std::move(state).value())
          .with_context("the state of the simulation in the checkpoint cannot be gone on from");
    }
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
    const auto job = jobs_.find(ready.job);
    if (job == jobs_.end()) { return; }
    job->second.waits = false;
    work_.begin(now_);
  }

  void handle(const Restart& restart) {
    if (restart.node == plan_.tree().root()) {
      if (Status started = start_root(); !started.ok()) { outcome_ = started; }
      return;
    }
    nodes_.restart(restart.node);
    forget(restart.node);
  }

  void handle(Publication& publication) {
    Publication::Content& published = *publication.content;
    if (keeps_worlds_ && observer_.keeps_world(published.report)) {
      published.report.world = save_world(published.model);
    }
    const Result<bool> stop = observer_.published(published.report, published.model, pool_, statistics_);
    // The root changes its model in place once nobody else holds it.
    published.model.reset();
    if (!stop.ok()) {
      outcome_ = stop.status();
      return;
    }
    // The time that took is not the next round's.
    if (real_clock()) { now_ = elapsed(); }
    answer_publication(*stop, published.incarnation);
  }

  void answer_publication(bool stop, std::uint32_t incarnation) {
    const NodeId root = plan_.tree().root();
    if (nodes_.incarnation(root) != incarnation || !nodes_.awaits_publication()) { return; }
    if (may_be_doomed(root)) { doom(root); }
    if (dies(root)) { return; }
    nodes_.on_published(stop, observer_.durable());
  }

  const SimulationSettings& settings_;
  const AgreedPlan& plan_;
  RunObserver& observer_;
  TrainingPool& pool_;
  CompletionList& completions_;
  DriverStatistics& statistics_;
  FaultInjector faults_;
  SimulatedNetwork network_;
  internal::EventQueue<Event, TimerFired> queue_;
  const bool keeps_worlds_;
  const bool mortal_;                                 // nodes may die
  std::unordered_map<NodeId, std::uint64_t> doomed_;  // events that a node sees before it dies
  const bool all_count_;                              // every answer is counted, so no job is begun in vain
  Instant now_{0};
  bool started_ = false;
  Instant begun_{0};  // where this run went on
  JobId jobs_given_ = 0;
  std::unordered_map<JobId, Job> jobs_;
  internal::NodePool<std::unordered_map<JobId, Job>> job_nodes_;
  std::unordered_map<ClientIndex, std::pair<Round, std::uint32_t>> attempts_;  // at a task, where devices leave
  internal::BusyTime work_;            // of clients that train, by the virtual clock
  double earlier_work_seconds_ = 0.0;  // of what this run has gone on from
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
