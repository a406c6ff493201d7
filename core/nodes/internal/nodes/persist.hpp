// SPDX-License-Identifier: Apache-2.0
// How nodes, and what they hold, are laid out where a driver saves all of them and goes on from there: one function for
// both directions, so that what is written is what is read.
//
// Archive: is called with the values in turn, in the manner of cereal, and has
//            is_loading   whether it gives values or takes them,
//            require()    ends the reading where a Status is not OK,
//          and handles numbers, enumerations, times, texts, containers, and shared pointers to vectors, Snapshots and
//          ClientStates, each of which it writes once.
// Between two events of a driver alone: a node that is being called is in no state to be saved.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "tributary/nodes/client_node.hpp"
#include "tributary/nodes/client_state.hpp"
#include "tributary/nodes/inner_node.hpp"
#include "tributary/nodes/member_ledger.hpp"
#include "tributary/nodes/parent_link.hpp"
#include "tributary/nodes/state_inquiry.hpp"

namespace tributary {

// Parts.

template <typename Archive>
void serialize(Archive& archive, Status& status) {
  Code code = status.code();
  std::string message(status.message());
  archive(code, message);
  if constexpr (Archive::is_loading::value) {
    archive.require(code <= Code::kInternal ? ok_status() : bad_data("an unknown kind of failure"));
    status = Status(code, std::move(message));
  }
}

template <typename Archive>
void serialize(Archive& archive, Payload& payload) {
  Encoding encoding = payload.encoding();
  std::uint64_t elements = payload.elements();
  std::shared_ptr<const std::vector<float>> floats = payload.shared_floats();
  std::shared_ptr<const std::vector<std::byte>> bytes = payload.shared_bytes();
  archive(encoding, elements, floats, bytes);
  if constexpr (Archive::is_loading::value) {
    const bool fits = !floats || floats->size() == elements;
    const bool codes = encoding == Encoding::kCoded && bytes;
    archive.require(fits ? ok_status() : bad_data("a vector of another length than it says"));
    payload = {};
    if (encoding == Encoding::kFixed && bytes) {
      Result<Payload> sums = Payload::fixed(elements, std::move(bytes));
      archive.require(sums.status());
      payload = std::move(sums).value();
    } else if (codes) {
      payload = Payload::coded(elements, std::move(bytes), std::move(floats));
    } else if (encoding == Encoding::kFloat32 && floats) {
      payload = Payload::floats(std::move(floats));
    } else {
      archive.require(elements == 0 && !floats && !bytes ? ok_status() : bad_data("a vector in no encoding"));
    }
  }
}

template <typename Archive>
void serialize(Archive& archive, Segment& segment) {
  archive(segment.name, segment.payload, segment.weight);
}
template <typename Archive>
void serialize(Archive& archive, Snapshot& snapshot) {
  archive(snapshot.vectors, snapshot.texts);
}
template <typename Archive>
void serialize(Archive& archive, ExactScale& scale) {
  archive(scale.fraction_bits, scale.weight_bound, scale.terms_bound, scale.value_bound, scale.discount_bits);
}
template <typename Archive>
void serialize(Archive& archive, Cohort& cohort) {
  archive(cohort.members, cohort.target, cohort.quorum, cohort.deadline, cohort.hard_deadline);
}
template <typename Archive>
void serialize(Archive& archive, RoundState& state) {
  archive(state.asked, state.target, state.quorum, state.reported, state.failed, state.lost, state.deadline_passed,
          state.hard_deadline_passed);
}
template <typename Archive>
void serialize(Archive& archive, EvaluationReport& report) {
  archive(report.state, report.contributors, report.samples, report.scalars);
}
template <typename Archive>
void serialize(Archive& archive, RoundReport& report) {
  archive(report.round, report.version, report.tasks, report.commits, report.committed, report.given_up, report.state,
          report.late, report.refused, report.contributors, report.weight, report.weight_bound, report.resolution,
          report.scalars, report.staleness, report.staleness_counts, report.evaluation, report.snapshot);
}

template <typename Archive>
void serialize(Archive& archive, TaskMessage& task) {
  archive(task.key, task.attempt, task.version, task.global_round, task.decided, task.model, task.coded, task.broadcast,
          task.epoch, task.evaluate_first, task.remaining);
}
template <typename Archive>
void serialize(Archive& archive, TrainTask& task) {
  archive(task.client, task.round, task.global_round, task.base, task.seed, task.drift.constant, task.drift.pull,
          task.drift.constant_after_clipping, task.evaluate_first);
  if constexpr (Archive::is_loading::value) {
    archive.require(task.base ? ok_status() : bad_data("a task without a model"));
  }
}
template <typename Archive>
void serialize(Archive& archive, MethodInput& input) {
  archive(input.broadcast, input.state);
}

template <typename Archive>
void serialize(Archive& archive, ClientState::Undecided& undecided) {
  archive(undecided.sequence, undecided.increment);
}
template <typename Archive>
void serialize(Archive& archive, ClientState& state) {
  std::uint64_t epoch = state.epoch();
  std::uint64_t next = state.next();
  std::uint64_t last_settled = state.last_settled();
  std::vector<double> settled = state.settled();
  std::vector<ClientState::Undecided> undecided = state.undecided();
  archive(epoch, next, last_settled, settled, undecided);
  if constexpr (Archive::is_loading::value) {
    for (const ClientState::Undecided& part : undecided) {
      const bool fits = part.increment && (settled.empty() || part.increment->size() == settled.size());
      archive.require(fits ? ok_status() : bad_data("the state of a client with an increment that does not fit"));
    }
    state = ClientState(epoch, next, last_settled, std::move(settled), std::move(undecided));
  }
}

// Nodes.

template <typename Archive>
void MemberLedger::persist(Archive& archive) {
  archive(epoch_, clients_, fresh_);
}

template <typename Archive>
void ParentLink::persist(Archive& archive) {
  archive(key_, attempt_, base_, working_, answer_, pause_, repeats_);
}

template <typename Archive>
void StateInquiry::persist(Archive& archive) {
  archive(waits_, epoch_, settled_, undecided_, unanswered_, pause_, questions_);
}

template <typename Archive>
void ClientNode::Stateful::persist(Archive& archive) {
  inquiry.persist(archive);
  archive(task, state, epoch);
}

template <typename Archive>
void ClientNode::persist(Archive& archive) {
  link_.persist(archive);
  bool stateful = stateful_ != nullptr;
  archive(stateful);
  if (!stateful) { return; }
  if constexpr (Archive::is_loading::value) {
    stateful_ = std::make_unique<Stateful>(Stateful{.inquiry = StateInquiry(self_, link_.parent(), liveness_)});
  }
  stateful_->persist(archive);
}

// What its extensions go on from. The rule holds something in an open round alone.
template <typename Archive>
void InnerNode::persist_extensions(Archive& archive) {
  Snapshot policy = settings_.policy->save();
  Snapshot optimizer = settings_.optimizer->save();
  Snapshot server = server_ ? server_->save() : Snapshot();
  std::vector<Update> gathered = open_ ? settings_.rule->gathered() : std::vector<Update>();
  archive(policy, optimizer, server, gathered);
  if constexpr (Archive::is_loading::value) {
    const std::size_t parameters = settings_.spec->parameters();
    if (!policy.empty()) { archive.require(settings_.policy->restore(policy)); }
    if (!optimizer.empty()) { archive.require(settings_.optimizer->restore(optimizer, parameters)); }
    if (!server.empty()) {
      archive.require(server_ ? server_->restore(server, parameters) : bad_data("no such method"));
    }
    if (open_) {
      settings_.rule->begin(*settings_.spec, round_scale_, settings_.increments);
      archive.require(settings_.rule->restore(gathered));
    }
  }
}

// Increments that wait for an answer: sums on the grid of the plan.
template <typename Archive>
void InnerNode::persist_local_increments(Archive& archive) {
  std::vector<Segment> sums;
  for (const auto& [name, held] : local_increments_) { sums.push_back({name, held.encode(), held.weight()}); }
  archive(sums);
  if constexpr (Archive::is_loading::value) {
    local_increments_.clear();
    for (const Segment& held : sums) {
      ExactAccumulator& restored = local_increments_[held.name];
      restored.begin(settings_.spec->parameters(), settings_.increments.scale);
      archive.require(restored.restore(held.payload, held.weight));
    }
  }
}

template <typename Archive>
void InnerNode::persist(Archive& archive) {
  archive(task_generation_, own_model_, model_, coded_, broadcast_, epoch_, members_, version_, round_, global_round_,
          open_, evaluate_first_, cohort_, tasks_, decided_, tasks_given_, round_scale_, state_, refused_, staleness_,
          staleness_counts_, probe_pause_, probe_clock_, abandoned_in_a_row_, publishing_, unpublished_,
          published_.model, published_.snapshot, done_, last_trouble_, lasting_failures_);
  archive(local_members_, inquirers_, contents_, anchors_, progress_, due_, undecided_, parent_key_, parent_model_,
          parent_coded_, remaining_, local_round_, local_commits_, weight_units_, local_scalars_, local_contributors_);
  archive(evaluating_, measured_);
  archive(resets_, latest_epoch_, lost_rounds_, variate_, parent_broadcast_, local_work_);
  inquiry_.persist(archive);
  ledger_.persist(archive);
  if (link_) { link_->persist(archive); }
  if constexpr (Archive::is_loading::value) {
    // What a continuous policy's open task was given is kept until it is settled.
    for (auto& [position, task] : tasks_) {
      archive.require(position < settings_.children.size() ? ok_status() : bad_data("a task of nobody's"));
      archive.require(continuous() == (task.continuing != nullptr) ? ok_status()
                                                                   : bad_data("a task of another policy"));
      if (!task.continuing) { continue; }
      task.continuing->model = task.continuing->kept_model;
      task.continuing->broadcast = task.continuing->kept_broadcast;
    }
  }
  persist_extensions(archive);
  persist_local_increments(archive);
}

}  // namespace tributary
