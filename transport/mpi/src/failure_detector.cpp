// SPDX-License-Identifier: Apache-2.0
// The watch that ranks keep over each other.
#include <fmt/format.h>

#include <algorithm>

#include "rank_loop.hpp"

namespace tributary::internal {
namespace {

using std::chrono::nanoseconds;

constexpr auto kDuties = std::chrono::milliseconds(50);
constexpr auto kBeat = std::chrono::seconds(1);
constexpr auto kStopPatience = std::chrono::seconds(10);
constexpr std::size_t kNamedNodes = 3;

double seconds(nanoseconds duration) {
  return std::chrono::duration<double>(duration).count();
}

}  // namespace

std::string RankLoop::describe(int rank) const {
  const MpiSession::Peer& process = session_.peer(rank);
  std::string nodes;
  std::size_t count = 0;
  for (std::uint32_t n = 0; n < plan_.tree().size(); ++n) {
    if (rank_of(NodeId{n}) != rank) { continue; }
    if (++count <= kNamedNodes) { nodes += (nodes.empty() ? "" : ", ") + plan_.tree().name(NodeId{n}); }
  }
  if (count > kNamedNodes) { nodes += fmt::format(" and {} more", count - kNamedNodes); }
  return fmt::format("rank {} on {} (process {}; {})", rank, process.host, process.process,
                     count == 0 ? "no node" : nodes);
}

void RankLoop::duties(Clock::time_point now) {
  next_duty_ = now + kDuties;
  for (int r = 0; r < size_; ++r) {
    // Also to who is silent, while that leaves: it may wake up and wonder whether we are there.
    const bool reachable = !peer(r).silent || !endpoint_.sending_to(r);
    if (peer(r).watched && reachable && now - endpoint_.last_sent(r) >= kBeat && phase_ == Phase::kRunning) {
      endpoint_.send(r, rank_letter(ControlMessage::kBeat, BeatLetter{pool_.jobs_done()}));
    }
  }
  if (phase_ != Phase::kRunning) { return; }
  if (is_root()) {
    tell_progress();
    if (publication_ && now >= answers_deadline_) { continue_publication(); }
  }
  if (settings_.stop_now != nullptr && settings_.stop_now->load()) { obey_stop(now); }
  watch(now);
}

void RankLoop::watch(Clock::time_point now) {
  // What has been waiting in MPI while this rank itself was held up must be read first.
  endpoint_.set_time(now);
  while (endpoint_.progress()) {}
  // A rank that was held up itself knows nothing of the time it missed.
  if (now - watched_ > settings_.silence / 3) { judged_from_ = now; }
  watched_ = now;
  for (int r = 0; r < size_ && phase_ == Phase::kRunning; ++r) {
    if (!peer(r).watched) { continue; }
    const nanoseconds silence = now - std::max(endpoint_.last_heard(r), judged_from_);
    if (!peer(r).silent && silence > settings_.silence) { lose(r, silence); }
    if (peer(r).silent && now - endpoint_.last_heard(r) <= settings_.silence) { readmit_peer(r); }
  }
}

void RankLoop::lose(int rank, nanoseconds silence) {
  const std::string what = fmt::format("{} has been silent for {:.1f} s", describe(rank), seconds(silence));
  exclude_peer(rank, what);
  if (rank == 0) {
    outcome_ = unavailable(what + "; without the root there is nothing to do");
    phase_ = Phase::kOver;
    return;
  }
  const std::uint64_t round = loop_.nodes().global_round().value;
  if (!settings_.recovery) {
    halt(unavailable(
        fmt::format("{} in round {}; start mpirun with --enable-recovery to go on with a quorum", what, round)));
    return;
  }
  warn(fmt::format("{} in round {}; going on without it", what, round));
  tell_others(ControlMessage::kLost, {static_cast<std::uint32_t>(rank), what});
}

// Nothing is sent to the rank, and nobody waits for it.
void RankLoop::exclude_peer(int rank, const std::string& what) {
  peer(rank).silent = true;
  endpoint_.set_silent(rank, true);
  for (auto offer = offers_.begin(); offer != offers_.end();) {
    offer = offer->first.first == rank ? offers_.erase(offer) : std::next(offer);
  }
  loop_.unreachable([this, rank](NodeId node) { return rank_of(node) == rank; }, what);
}

void RankLoop::tell_others(ControlMessage kind, const LostLetter& letter) {
  for (int r = 1; r < size_; ++r) {
    if (!peer(r).silent && r != static_cast<int>(letter.rank)) { endpoint_.send(r, rank_letter(kind, letter)); }
  }
}

void RankLoop::warn(std::string text) {
  observer_queue_->put([observer = observer_, text = std::move(text)] { observer->warned(text); });
}

void RankLoop::readmit_peer(int rank) {
  if (is_root()) {
    warn(fmt::format("{} answers again in round {}", describe(rank), loop_.nodes().global_round().value));
    tell_others(ControlMessage::kBack, {static_cast<std::uint32_t>(rank), ""});
  }
  peer(rank).silent = false;
  endpoint_.set_silent(rank, false);
}

std::vector<int> RankLoop::lost_ranks() const {
  std::vector<int> lost;
  for (int r = 0; r < size_; ++r) {
    if (peers_[static_cast<std::size_t>(r)].silent) { lost.push_back(r); }
  }
  return lost;
}

// The root ends the run for all. A rank that was asked alone waits for that a while, and then leaves.
void RankLoop::obey_stop(Clock::time_point now) {
  if (is_root()) {
    halt({});
    return;
  }
  if (!stop_deadline_) { stop_deadline_ = now + kStopPatience; }
  if (now < *stop_deadline_) { return; }
  outcome_ = deadline_exceeded("this rank was asked to stop, and the root goes on");
  session_.mark_broken({});
  phase_ = Phase::kOver;
}

}  // namespace tributary::internal
