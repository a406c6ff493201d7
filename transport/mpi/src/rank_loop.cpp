// SPDX-License-Identifier: Apache-2.0
#include "rank_loop.hpp"

#include <fmt/format.h>
#include <sched.h>

#include <algorithm>

namespace tributary::internal {
namespace {

using std::chrono::nanoseconds;

// A round's numbers are not worth a longer wait: those of a rank that is late are counted with the next round. A rank
// that has missed its beat is not asked at all.
constexpr auto kCountPatience = std::chrono::milliseconds(500);
constexpr auto kCountSilence = std::chrono::milliseconds(1500);
constexpr auto kEndPatience = std::chrono::seconds(5);
// How much later than a rank's last letter those may come that it sent before: large ones take another way.
constexpr auto kReportPatience = std::chrono::seconds(1);
// How long a rank stays awake after something has moved. Longer while letters are on their way.
constexpr auto kAwake = std::chrono::microseconds(20);
constexpr auto kAwakeMoving = std::chrono::microseconds(500);
constexpr nanoseconds kShortestPause = std::chrono::microseconds(20);
constexpr nanoseconds kLongestPause = std::chrono::milliseconds(1);
// Staging of arriving payloads: two of them, and a good number where they are small.
constexpr std::size_t kStagingBytes = std::size_t{64} << 20U;
constexpr std::uint32_t kEdgesPerLetter = 1000;

EndpointSettings endpoint_settings(const AgreedPlan& plan, const MpiDriverSettings& settings) {
  EndpointSettings endpoint;
  const std::size_t parameters = plan.spec().parameters();
  // Exact sums may need eight bytes for each value.
  endpoint.largest_payload = Payload::data_offset(parameters) + parameters * 8 + 8;
  endpoint.staging_bytes = std::max(kStagingBytes, 2 * plan.payload_bytes() + plan.payload_bytes() / 8);
  if (settings.chunk_bytes != 0) { endpoint.chunk_bytes = settings.chunk_bytes; }
  return endpoint;
}

}  // namespace

RankLoop::RankLoop(Parts parts, MPI_Comm control, MPI_Comm data)
    : session_(parts.session),
      settings_(parts.settings),
      plan_(parts.plan),
      placement_(parts.placement),
      pool_(parts.pool),
      observer_(parts.observer),
      observer_queue_(parts.observer_queue),
      root_(std::move(parts.root)),
      rank_(parts.session.rank()),
      size_(parts.session.size()),
      peers_(static_cast<std::size_t>(size_)),
      limits_{.elements = plan_.spec().parameters()},
      letter_limits_{.nodes = static_cast<std::uint32_t>(plan_.tree().size()),
                     .tiers = static_cast<std::uint32_t>(plan_.tree().height()),
                     .ranks = static_cast<std::uint32_t>(size_)},
      endpoint_(control, data, endpoint_settings(plan_, settings_), *this),
      loop_(plan_, pool_, *this, parts.states),
      pause_(kShortestPause) {
  // Rank 0 watches all and is watched by all. It alone says who is lost: parents elsewhere that noticed first would
  // give their rounds up, and the root would count what is to be repeated.
  for (int r = 0; r < size_; ++r) { peer(r).watched = r != rank_ && (rank_ == 0 || r == 0); }
}

Status RankLoop::run() {
  if (root_) {
    loop_.start_root(std::move(*root_));
    root_.reset();
  }
  while (phase_ != Phase::kOver) {
    endpoint_.set_time(accounted_);
    bool moved = endpoint_.progress();
    if (phase_ == Phase::kRunning) {
      moved = loop_.run_due() || moved;
      if (is_root()) { take_answer(); }
    }
    const auto now = Clock::now();
    if (now >= next_duty_) { duties(now); }
    if (phase_ == Phase::kEnding) { check_end(now); }
    account(now, moved);
    if (phase_ != Phase::kOver) { pace(moved); }
  }
  // With a rank that is lost there is no end that all could agree on.
  closed_ = !session_.broken() && lost_ranks().empty() && endpoint_.close(kEndPatience);
  return outcome_;
}

void RankLoop::account(Clock::time_point now, bool moved) {
  const nanoseconds passed = now - accounted_;
  accounted_ = now;
  if (endpoint_.sending()) {
    send_time_ += passed;
  } else if (!moved && !loop_.nodes().training()) {
    wait_time_ += passed;
  }
}

void RankLoop::pace(bool moved) {
  if (moved) {
    moved_ = Clock::now();
    pause_ = kShortestPause;
    return;
  }
  const nanoseconds idle = Clock::now() - moved_;
  if (idle < (endpoint_.busy() ? nanoseconds(kAwakeMoving) : nanoseconds(kAwake))) {
    ::sched_yield();
    return;
  }
  loop_.wait(pause_);
  pause_ = std::min(pause_ * 2, kLongestPause);
}

// Nodes' messages.

// A model may be evaluated first, and go with what a method adds later.
bool RankLoop::holds(const Offer& offer, const TaskMessage& task) {
  const auto is_same = [](const auto& held, const auto& wanted) {
    return !held.owner_before(wanted) && !wanted.owner_before(held);
  };
  return offer.id != 0 && offer.version == task.version && is_same(offer.model, task.model) &&
         is_same(offer.broadcast, task.broadcast);
}

Network::Sent RankLoop::send(NodeId from, NodeId to, Message message) {
  const int rank = rank_of(to);
  if (peer(rank).silent) {
    // Dropped, as every message may be: the nodes ask again when the rank is back. What was offered may not be there.
    offers_.erase({rank, from});
    return {.counts = false, .unreachable = describe(rank) + " does not answer"};
  }
  std::vector<Payload> payloads = payloads_of(message);
  std::vector<std::uint64_t> ids;
  std::uint64_t token = 0;
  bool carried = true;
  if (const auto* task = std::get_if<TaskMessage>(&message)) {
    Offer& offer = offers_[{rank, from}];
    if (!holds(offer, *task)) {
      token = next_id_++;
      offer = {task->model, task->broadcast, task->version, token, true};
      moving_.emplace(token, Moving{to, from, rank, true, Clock::now()});
    } else {
      const auto last = last_task_.find(to);
      // A model that is still moving is not asked for again: a slow link that moves is alive.
      if (offer.moving && last != last_task_.end() && last->second == std::pair(task->key, offer.id)) {
        return {.counts = false, .unreachable = ""};
      }
      carried = false;
    }
    ids.assign(payloads.size(), offer.id);
    last_task_[to] = {task->key, offer.id};
  } else if (const auto* update = std::get_if<UpdateMessage>(&message)) {
    // A question may cross its answer; what has been sent arrives, and once is enough.
    TaskKey& last = last_update_[from];
    if (last == update->key) { return {.counts = false, .unreachable = ""}; }
    last = update->key;
    token = next_id_++;
    ids.assign(payloads.size(), token);
    moving_.emplace(token, Moving{from, from, rank, false, Clock::now()});
  }
  const std::vector<std::byte> control =
      rank_letter(ControlMessage::kNode, encode_letter(from, to, message, payloads, ids));
  endpoint_.send(rank, control, carried ? std::span<const Payload>(payloads) : std::span<const Payload>(), token);
  return {};
}

void RankLoop::on_sent(std::uint64_t token) {
  const auto found = moving_.find(token);
  if (found == moving_.end()) { return; }
  const Moving moving = found->second;
  moving_.erase(found);
  const nanoseconds took = Clock::now() - moving.since;
  timed_.edges[moving.child].send_time += took;
  timed_.tiers[plan_.tree().tier(moving.child)].send_time += took;
  if (!moving.task) { return; }
  const auto offer = offers_.find({moving.rank, moving.from});
  if (offer != offers_.end() && offer->second.id == token) { offer->second.moving = false; }
}

void RankLoop::on_node_letter(int from, std::span<const std::byte> bytes, std::span<Payload> payloads) {
  Result<NodeMessage> letter = decode_letter(bytes, limits_);
  if (!letter.ok()) {
    on_trouble(from, letter.status().message());
    return;
  }
  const Tree& tree = plan_.tree();
  const bool known = letter->from.value < tree.size() && letter->to.value < tree.size() && letter->from != letter->to;
  if (!known || !lives_here(letter->to) || rank_of(letter->from) != from ||
      (tree.parent(letter->from) != letter->to && tree.parent(letter->to) != letter->from)) {
    on_trouble(from, fmt::format("a message from node {} to node {}, which do not belong together there",
                                 letter->from.value, letter->to.value));
    return;
  }
  for (std::size_t i = 0; i < payloads.size(); ++i) {
    if (i >= letter->references.size() || payloads[i].elements() != letter->references[i].elements ||
        payloads[i].encoding() != letter->references[i].encoding) {
      on_trouble(from, "a payload that is not the one its message names");
      return;
    }
  }
  const bool down = std::holds_alternative<TaskMessage>(letter->message);
  if (!payloads.empty() && payloads.front().encoding() == Encoding::kCoded) {
    const Codec* const codec = down ? plan_.codec_down(letter->to) : plan_.codec_up(letter->from);
    Result<Payload> vector = codec != nullptr
                                 ? decoded(*codec, payloads.front())
                                 : Result<Payload>(protocol_error("a codec's bytes on an edge without one"));
    if (!vector.ok()) {
      on_trouble(from, vector.status().message());
      return;
    }
    payloads.front() = std::move(vector).value();
  }
  if (down) {
    deliver_task(from, std::move(letter).value(), payloads);
    return;
  }
  if (Status attached = attach(*letter, payloads); !attached.ok()) {
    on_trouble(from, attached.message());
    return;
  }
  loop_.deliver(letter->from, letter->to, std::move(letter->message));
}

// A model comes with the first task that names it; letters may overtake each other, so a later one may be here before.
void RankLoop::deliver_task(int from, NodeMessage letter, std::span<Payload> payloads) {
  Received& received = received_[{from, letter.from}];
  const std::uint64_t id = letter.references.front().id;
  if (id < received.id) {
    // Of a round that is over, or overtaken by the newer model of another child's task: one that brings its model is
    // as good as before, and its node knows whether it is still wanted.
    if (payloads.empty()) { return; }
    if (const Status attached = attach(letter, payloads); !attached.ok()) {
      on_trouble(from, attached.message());
      return;
    }
    loop_.deliver(letter.from, letter.to, std::move(letter.message));
    return;
  }
  if (id > received.id) {
    std::erase_if(received.waiting, [id](const NodeMessage& task) { return task.references.front().id < id; });
    received.id = id;
    received.model.reset();
    received.coded = {};
    received.broadcast.reset();
  }
  if (!payloads.empty()) {
    if (const Status attached = attach(letter, payloads); !attached.ok()) {
      on_trouble(from, attached.message());
      return;
    }
    received.model = std::get<TaskMessage>(letter.message).model;
    received.coded = std::get<TaskMessage>(letter.message).coded;
    received.broadcast = std::get<TaskMessage>(letter.message).broadcast;
  }
  // A child's newest task is enough, so that no more of them wait than there are children.
  const auto age = [](const NodeMessage& task) {
    const auto& content = std::get<TaskMessage>(task.message);
    return std::pair(content.key, content.attempt);
  };
  const auto earlier = std::find_if(received.waiting.begin(), received.waiting.end(),
                                    [&letter](const NodeMessage& task) { return task.to == letter.to; });
  if (earlier == received.waiting.end()) {
    // The task that brings the model was sent first.
    received.waiting.insert(payloads.empty() ? received.waiting.end() : received.waiting.begin(), std::move(letter));
  } else if (age(*earlier) < age(letter)) {
    *earlier = std::move(letter);
  }
  if (!received.model) { return; }
  for (NodeMessage& task : std::exchange(received.waiting, {})) {
    std::get<TaskMessage>(task.message).model = received.model;
    std::get<TaskMessage>(task.message).coded = received.coded;
    std::get<TaskMessage>(task.message).broadcast = received.broadcast;
    loop_.deliver(task.from, task.to, std::move(task.message));
  }
}

// Letters.

void RankLoop::on_letter(int from, std::span<const std::byte> control, std::span<Payload> payloads) {
  if (phase_ == Phase::kOver || control.empty()) { return; }
  const auto kind = static_cast<ControlMessage>(control.front());
  const std::span<const std::byte> bytes = control.subspan(1);
  const auto read = [&]<typename T>(const T& /*as*/) {
    Result<T> value = decode<T>(bytes);
    if (value.ok()) {
      if (Status right = check(letter_limits_, *value); !right.ok()) { value = std::move(right); }
    }
    if (!value.ok()) { on_trouble(from, value.status().message()); }
    return value;
  };
  switch (kind) {
    case ControlMessage::kNode:
      if (phase_ == Phase::kRunning) { on_node_letter(from, bytes, payloads); }
      return;
    case ControlMessage::kBeat:
      if (const auto beat = read(BeatLetter()); beat.ok()) {
        peer(from).tasks_trained = beat->tasks_trained;
        if (is_root()) { tell_progress(); }
      }
      return;
    case ControlMessage::kNote:
      ++peer(from).reports;
      if (const auto note = read(NoteLetter()); note.ok() && is_root()) {
        this->note({static_cast<NodeEvent::Kind>(note->kind), NodeId{note->node}, Round{note->round}, note->detail});
      }
      return;
    case ControlMessage::kCount:
      if (const auto question = read(BeatLetter()); question.ok() && from == 0) {
        endpoint_.send(from, rank_letter(ControlMessage::kCounted, own_numbers(question->tasks_trained)));
      }
      return;
    case ControlMessage::kCounted:
      if (auto numbers = read(RankNumbers()); numbers.ok() && is_root()) {
        on_counted(from, std::move(numbers).value());
      }
      return;
    case ControlMessage::kEnd:
      if (const auto end = read(EndLetter()); end.ok() && from == 0 && !is_root()) {
        outcome_ = end->code == 0 ? Status() : Status(failure_from(end->code), end->message);
        for (const std::uint32_t lost : end->lost) {
          peers_[lost].silent = true;
          endpoint_.set_silent(static_cast<int>(lost), true);
        }
        say_bye();
        phase_ = Phase::kEnding;
        end_deadline_ = Clock::now() + kEndPatience;
      }
      return;
    case ControlMessage::kEdges:
      ++peer(from).reports;
      if (const auto part = read(EdgesLetter()); part.ok() && is_root()) {
        // A rank tells each edge once.
        for (const auto& [child, numbers] : part->edges) { edges_of_others_[{from, child}] = numbers.traffic(); }
      }
      return;
    case ControlMessage::kLost:
    case ControlMessage::kBack:
      if (const auto lost = read(LostLetter()); lost.ok() && from == 0 && !is_root()) {
        if (static_cast<int>(lost->rank) == rank_) { return; }
        if (kind == ControlMessage::kLost) {
          exclude_peer(static_cast<int>(lost->rank), lost->what);
        } else {
          readmit_peer(static_cast<int>(lost->rank));
        }
      }
      return;
    case ControlMessage::kBye:
      if (auto numbers = read(RankNumbers()); numbers.ok() && is_root()) {
        peer(from).numbers = std::move(numbers).value();
        peer(from).tasks_trained = peer(from).numbers.tasks_trained;
        peer(from).said_bye = true;
        peer(from).bye = Clock::now();
      }
      return;
  }
  on_trouble(from, fmt::format("a letter of unknown kind {}", static_cast<int>(kind)));
}

void RankLoop::on_trouble(int from, std::string what) {
  if (phase_ != Phase::kRunning) { return; }
  Status broken = protocol_error(fmt::format("{} sent what cannot be right: {}", describe(from), what));
  if (is_root()) {
    halt(std::move(broken));
    return;
  }
  outcome_ = std::move(broken);
  session_.mark_broken({});
  phase_ = Phase::kOver;
}

void RankLoop::note(NodeEvent note) {
  if (is_root()) {
    observer_queue_->put([observer = observer_, note = std::move(note)] { observer->noted(note); });
    return;
  }
  std::string detail = note.detail.substr(0, 2000);
  ++reports_;
  endpoint_.send(0, rank_letter(ControlMessage::kNote, NoteLetter{static_cast<std::uint8_t>(note.kind), note.node.value,
                                                                  note.round.value, std::move(detail)}));
}

void RankLoop::tell_progress() {
  std::uint64_t tasks = pool_.jobs_done();
  for (const Watched& other : peers_) { tasks += other.tasks_trained; }
  if (tasks <= tasks_told_) { return; }
  observer_queue_->put([observer = observer_, more = tasks - tasks_told_] { observer->trained(more); });
  tasks_told_ = tasks;
}

// Publishing: the numbers of all ranks are asked for first, so that a round's records are of that round.

void RankLoop::publish(const RoundReport& report, ModelValues model) {
  if (phase_ != Phase::kRunning || halted_) { return; }
  if (const std::vector<int> lost = lost_ranks(); !report.committed && !lost.empty()) {
    // What a later run repeats with all ranks must not be counted as a round of this one.
    halt(unavailable(fmt::format("round {} could not be closed: {} of {} children reported, {} were needed; {} is lost",
                                 report.round.value, report.state.reported, report.state.asked, report.state.quorum,
                                 describe(lost.front()))));
    return;
  }
  publication_ = Publication{report, std::move(model)};
  ask_for_numbers();
}

void RankLoop::ask_for_numbers() {
  ++question_;
  answers_missing_ = 0;
  answers_deadline_ = Clock::now() + kCountPatience;
  for (int r = 1; r < size_; ++r) {
    const RankLoad& load = placement_.load(static_cast<std::uint32_t>(r));
    const bool heard = Clock::now() - endpoint_.last_heard(r) < kCountSilence;
    if (peer(r).silent || !heard || load.clients + load.inner_nodes == 0) { continue; }
    ++answers_missing_;
    endpoint_.send(r, rank_letter(ControlMessage::kCount, BeatLetter{question_}));
  }
  if (answers_missing_ == 0) { continue_publication(); }
}

void RankLoop::on_counted(int from, RankNumbers numbers) {
  const bool current = numbers.question == question_;
  peer(from).tasks_trained = std::max(peer(from).tasks_trained, numbers.tasks_trained);
  peer(from).numbers = std::move(numbers);
  if (!current || answers_missing_ == 0) { return; }
  --answers_missing_;
  if (answers_missing_ == 0 && publication_) { continue_publication(); }
}

void RankLoop::continue_publication() {
  answers_missing_ = 0;
  tell_progress();
  observer_queue_->put([this, publication = std::move(*publication_), statistics = collected(false)]() mutable {
    Result<bool> stop = observer_->published(publication.report, publication.model, pool_, statistics);
    publication.model.reset();
    {
      const std::lock_guard lock(answer_.mutex);
      answer_.published = std::move(stop);
      answer_.durable = observer_->durable();
    }
    loop_.wake();
  });
  publication_.reset();
}

void RankLoop::take_answer() {
  std::optional<Result<bool>> published;
  Version durable;
  bool halted = false;
  Status status;
  {
    const std::lock_guard lock(answer_.mutex);
    published = std::exchange(answer_.published, std::nullopt);
    durable = answer_.durable;
    halted = std::exchange(answer_.halted, false);
    status = std::exchange(answer_.status, Status());
  }
  if (published) {
    if (!published->ok()) {
      begin_end(published->status());
    } else if (!halted_) {
      loop_.published(**published, durable);
    }
  }
  if (halted) { begin_end(outcome_.ok() ? std::move(status) : outcome_); }
}

// Ends.

// Keeps the newest published model, then ends with `outcome`.
void RankLoop::halt(Status outcome) {
  if (halted_ || phase_ != Phase::kRunning) { return; }
  // The model has moved already: its round must be known before it is kept.
  if (publication_ && publication_->report.committed) { continue_publication(); }
  publication_.reset();
  halted_ = true;
  outcome_ = std::move(outcome);
  observer_queue_->put([this, newest = loop_.nodes().published()] {
    Status kept = observer_->halted(newest.model, newest.snapshot);
    {
      const std::lock_guard lock(answer_.mutex);
      answer_.halted = true;
      answer_.status = std::move(kept);
    }
    loop_.wake();
  });
}

void RankLoop::finished(Status status) {
  if (halted_) { return; }
  if (const std::vector<int> lost = lost_ranks(); !status.ok() && !lost.empty()) {
    halt(unavailable(fmt::format("{}; {} is lost", status.message(), describe(lost.front()))));
    return;
  }
  begin_end(std::move(status));
}

void RankLoop::begin_end(Status outcome) {
  if (phase_ != Phase::kRunning) { return; }
  outcome_ = std::move(outcome);
  phase_ = Phase::kEnding;
  end_deadline_ = Clock::now() + kEndPatience;
  EndLetter end{static_cast<std::uint8_t>(outcome_.code()), outcome_.message().substr(0, 8000), {}};
  for (const int lost : lost_ranks()) { end.lost.push_back(static_cast<std::uint32_t>(lost)); }
  for (int r = 1; r < size_; ++r) {
    if (!peer(r).silent) { endpoint_.send(r, rank_letter(ControlMessage::kEnd, end)); }
  }
}

void RankLoop::say_bye() {
  if (plan_.tree().size() - 1 <= kMostEdgeRecords) {
    EdgesLetter part;
    const auto tell = [&] {
      ++reports_;
      endpoint_.send(0, rank_letter(ControlMessage::kEdges, std::exchange(part, {})));
    };
    Traffic own = loop_.nodes().statistics().traffic;
    own += timed_;
    for (const auto& [child, traffic] : own.edges) {
      part.edges.emplace(child.value, TrafficNumbers::of(traffic));
      if (part.edges.size() == kEdgesPerLetter) { tell(); }
    }
    if (!part.edges.empty()) { tell(); }
  }
  endpoint_.send(0, rank_letter(ControlMessage::kBye, own_numbers(0)));
}

// Nothing more will come: its last letter is here, and those before it, which may be slower. What was sent while a rank
// counted as silent may be missing for ever.
bool RankLoop::has_told_all(const Watched& other, Clock::time_point now) {
  return other.said_bye && (other.reports >= other.numbers.reports || now - other.bye > kReportPatience);
}

void RankLoop::check_end(Clock::time_point now) {
  bool all = true;
  if (is_root()) {
    for (int r = 1; r < size_; ++r) { all = all && (peer(r).silent || has_told_all(peer(r), now)); }
  } else {
    all = !endpoint_.sending();
  }
  if (!all && now < end_deadline_) { return; }
  if (!all && is_root()) {
    for (int r = 1; r < size_; ++r) { peer(r).silent = peer(r).silent || !peer(r).said_bye; }
  }
  if (is_root()) { tell_progress(); }
  phase_ = Phase::kOver;
}

// Numbers.

RankNumbers RankLoop::own_numbers(std::uint64_t question) const {
  const RuntimeStatistics& nodes = loop_.nodes().statistics();
  const EndpointStatistics& letters = endpoint_.statistics();
  RankNumbers numbers;
  numbers.question = question;
  numbers.threads = pool_.threads() - 1;
  numbers.reports = reports_;
  numbers.tasks_trained = pool_.jobs_done();
  numbers.bytes_sent = letters.bytes_sent;
  numbers.bytes_received = letters.bytes_received;
  numbers.train_ns = pool_.train_time().count();
  numbers.merge_ns = nodes.merge_time.count();
  numbers.send_ns = send_time_.count();
  numbers.wait_ns = wait_time_.count();
  for (const auto& [tier, time] : nodes.merge_by_tier) { numbers.merge_ns_by_tier[tier] = time.count(); }
  for (const auto& [tier, traffic] : nodes.traffic.tiers) { numbers.tiers[tier] = TrafficNumbers::of(traffic); }
  for (const auto& [tier, traffic] : timed_.tiers) { numbers.tiers[tier].send_ns += traffic.send_time.count(); }
  return numbers;
}

DriverStatistics RankLoop::collected(bool with_edges) const {
  DriverStatistics all;
  all.clock = Clock::now() - start_;
  for (int r = 0; r < size_; ++r) {
    const Watched& other = peers_[static_cast<std::size_t>(r)];
    if (r != rank_ && !is_root()) { continue; }
    const RankNumbers numbers = r == rank_ ? own_numbers(0) : other.numbers;
    all.train_time = saturating_sum(all.train_time, nanoseconds(numbers.train_ns));
    all.merge_time = saturating_sum(all.merge_time, nanoseconds(numbers.merge_ns));
    all.tasks_trained += numbers.tasks_trained;
    for (const auto& [tier, time] : numbers.merge_ns_by_tier) {
      all.merge_by_tier[tier] = saturating_sum(all.merge_by_tier[tier], nanoseconds(time));
    }
    for (const auto& [tier, traffic] : numbers.tiers) { all.traffic.tiers[tier] += traffic.traffic(); }
    const RankLoad& load = placement_.load(static_cast<std::uint32_t>(r));
    all.processes.push_back({.rank = static_cast<std::uint32_t>(r),
                             .host = session_.peer(r).host,
                             .nodes = load.clients + load.inner_nodes,
                             .threads = numbers.threads,
                             .tasks_trained = numbers.tasks_trained,
                             .bytes_sent = numbers.bytes_sent,
                             .bytes_received = numbers.bytes_received,
                             .train_time = nanoseconds(numbers.train_ns),
                             .merge_time = nanoseconds(numbers.merge_ns),
                             .send_time = nanoseconds(numbers.send_ns),
                             .wait_time = nanoseconds(numbers.wait_ns),
                             .lost = other.silent});
  }
  if (with_edges) {
    for (const auto& [child, traffic] : loop_.nodes().statistics().traffic.edges) {
      all.traffic.edges[child] += traffic;
    }
    for (const auto& [child, traffic] : timed_.edges) { all.traffic.edges[child] += traffic; }
    for (const auto& [edge, traffic] : edges_of_others_) { all.traffic.edges[NodeId{edge.second}] += traffic; }
  }
  return all;
}

DriverStatistics RankLoop::statistics() const {
  return collected(true);
}

}  // namespace tributary::internal
