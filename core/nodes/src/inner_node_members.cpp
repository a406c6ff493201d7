// SPDX-License-Identifier: Apache-2.0
// Increments of the states of clients: which of them a node holds, and what becomes of them.
//
// A sum names the increments in it. The owner of the state, the root (or each node, for its children's:
// inner_node_edges.cpp), counts each once and knows for good what it has counted. Between it and a client, aggregators
// answer only for what they hold: it is on its way. Of what nobody holds and the root has not counted, nothing will
// ever be counted: whoever is asked remembers that, and refuses sums that bring it later.
#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <utility>

#include "tributary/nodes/inner_node.hpp"

namespace tributary {
namespace {

// Epochs are times, in nanoseconds since 1970: a peer that tells of one after 2100 is not believed.
constexpr std::uint64_t kMostEpoch = std::uint64_t{1} << 62U;

}  // namespace

// Whether the update names what it holds, and nothing that was counted or given up.
Status InnerNode::check_members(NodeId from, const Update& update) const {
  if (!settings_.keeps_states) {
    if (update.members.empty()) { return {}; }
    return invalid_argument("the update names increments of clients' states, and this federation's method has none");
  }
  if (update.epoch != epoch_) {
    return unavailable("the update belongs to states of clients of an earlier beginning of the run");
  }
  if (update.members.empty()) { return invalid_argument("the update does not name the increments that it holds"); }
  if (std::ranges::adjacent_find(update.members, std::greater_equal<>()) != update.members.end()) {
    return invalid_argument("the update names its increments twice or out of order");
  }
  if (parents_own_states()) { TRIBUTARY_RETURN_IF_ERROR(check_member_of_child(from, update)); }
  const bool of_client = update.segments.front().payload.is_vector() && update.members.size() == 1 &&
                         update.members.front().client == from &&
                         (settings_.tree == nullptr || settings_.tree->is_client(from));
  if (of_client && settings_.weight_bounds && update.weight != settings_.weight_bounds->at(from.value)) {
    return invalid_argument(fmt::format(
        "the update weighs {}, and {} was announced: with this method a client must weigh the same in every task",
        update.weight.value(), settings_.weight_bounds->at(from.value).value()));
  }
  for (const Member& member : update.members) {
    if (speaks_for(from, member.client)) { continue; }
    return invalid_argument(
        fmt::format("the update names node {}, which is no client below its sender", member.client.value));
  }
  TRIBUTARY_RETURN_IF_ERROR(ledger_.check(update.members));
  for (const Member& member : update.members) {
    if (!holds(member)) { continue; }
    return invalid_argument(
        fmt::format("increment {} of the state of client node {}, which is in it, is in these sums already",
                    member.sequence, member.client.value));
  }
  return {};
}

bool InnerNode::speaks_for(NodeId child, NodeId client) const {
  if (parents_own_states()) { return client == child; }
  const Tree* const tree = settings_.tree;
  if (tree == nullptr) { return true; }
  if (client.value >= tree->size() || !tree->is_client(client)) { return false; }
  NodeId above = client;
  while (tree->tier(above) > tree->tier(child)) { above = tree->parent(above); }
  return above == child;
}

// In sums of this node that its parent may still count; at the root, in the sums of the open round.
bool InnerNode::holds(const Member& member) const {
  if (members_.contains(member) || local_members_.contains(member)) { return true; }
  const auto in = [&member](const Update* update) {
    return update != nullptr && std::ranges::binary_search(update->members, member);
  };
  return (link_ && in(link_->unacknowledged())) || (undecided_ && in(&undecided_->update));
}

void InnerNode::on_inquiry(NodeContext& context, NodeId from, const InquiryMessage& inquiry) {
  // A client that was asked in an earlier run asks about other increments.
  if (epoch_ == 0 || inquiry.epoch < epoch_ || !speaks_for(from, inquiry.client)) { return; }
  if (inquiry.epoch > epoch_) {
    on_later_epoch(context, from, inquiry);
    return;
  }
  const MemberLedger::Claim claim{inquiry.client, inquiry.settled, inquiry.undecided};
  DecisionMessage decision{.client = inquiry.client, .epoch = epoch_, .fates = {}};
  std::vector<std::uint64_t> elsewhere;
  for (const std::uint64_t sequence : inquiry.sequences) {
    if (holds({inquiry.client, sequence})) {
      decision.fates.push_back({sequence, Fate::kHeld});
    } else {
      elsewhere.push_back(sequence);
    }
  }
  if (owns_states()) {
    using Agreement = DecisionMessage::Agreement;
    decision.agreement = ledger_.agrees(claim) ? Agreement::kAgrees : Agreement::kDiffers;
    ChildTask* const task = find_task(from);
    if (task != nullptr) { task->state_differs = decision.agreement == Agreement::kDiffers; }
    decision.settled = claim.settled;
    decision.newest = claim.newest();
    for (const SequenceFate& fate : ledger_.settle(claim, elsewhere)) { decision.fates.push_back(fate); }
    context.send(from, std::move(decision));
    return;
  }
  const bool asks_for_nothing = inquiry.sequences.empty();
  if (!elsewhere.empty() || asks_for_nothing) {
    ledger_.give_up(claim, elsewhere);
    inquirers_[inquiry.client] = from;
    context.send(settings_.parent, InquiryMessage{.client = inquiry.client,
                                                  .epoch = epoch_,
                                                  .settled = inquiry.settled,
                                                  .undecided = inquiry.undecided,
                                                  .sequences = std::move(elsewhere)});
  }
  if (!decision.fates.empty()) { context.send(from, std::move(decision)); }
}

// The state belongs to a beginning of the run that this node does not know of: it goes on from an older checkpoint, or
// by a clock that was set back.
void InnerNode::on_later_epoch(NodeContext& context, NodeId from, const InquiryMessage& inquiry) {
  if (!owns_states()) {
    inquirers_[inquiry.client] = from;
    context.send(settings_.parent, inquiry);
    return;
  }
  ChildTask* const task = find_task(from);
  if (task != nullptr && inquiry.epoch < kMostEpoch) {
    latest_epoch_ = std::max(latest_epoch_, inquiry.epoch);
    task->state_differs = true;
  }
  const MemberLedger::Claim claim{inquiry.client, inquiry.settled, inquiry.undecided};
  context.send(from, DecisionMessage{.client = inquiry.client,
                                     .epoch = inquiry.epoch,
                                     .agreement = DecisionMessage::Agreement::kDiffers,
                                     .settled = claim.settled,
                                     .newest = claim.newest(),
                                     .fates = {}});
}

void InnerNode::on_decision(NodeContext& context, const DecisionMessage& decision) {
  if (parents_own_states()) {
    go_on(context, inquiry_.on_decision(context, decision, variate_));
    return;
  }
  const auto inquirer = inquirers_.find(decision.client);
  if (inquirer == inquirers_.end()) { return; }
  context.send(inquirer->second, decision);
  inquirers_.erase(inquirer);
}

// The members of a commit. What an aggregator owns is kept for good as soon as it is counted: one that dies loses it
// with everything else. What the root owns is, once it is in durable state.
void InnerNode::count_members() {
  ledger_.count(std::vector<Member>(members_.begin(), members_.end()), version_);
  if (!is_root()) { ledger_.make_durable(version_); }
}

// Of a round that moved this node's own model: the increments travel with the next answer. Where there is no room for
// them, they are dropped here, and so at the clients: both halves of their states stay the same.
void InnerNode::keep_increments() {
  if (parents_own_states()) {
    local_work_ += settings_.method->work(*settings_.rule);
    return;
  }
  const std::set<Member> members = std::exchange(members_, {});
  const std::vector<Segment> segments = settings_.rule->increments();
  if (local_members_.size() + members.size() > kMostMembers) { return; }
  for (const Segment& sums : segments) {
    const auto [kept, fresh] = local_increments_.try_emplace(sums.name);
    if (fresh) { kept->second.begin(settings_.spec->parameters(), settings_.increments.scale); }
    if (!kept->second.check(sums.payload, sums.weight).ok()) { return; }
  }
  local_members_.insert(members.begin(), members.end());
  for (const Segment& sums : segments) {
    // Checked above.
    [[maybe_unused]] const Status added = local_increments_.find(sums.name)->second.add(sums.payload, sums.weight);
  }
}

void InnerNode::fill_increments(Update& update) {
  if (parents_own_states()) { return; }  // add_own_increment()
  update.members.assign(local_members_.begin(), local_members_.end());
  update.epoch = epoch_;
  local_members_.clear();
  for (const auto& [name, sums] : local_increments_) {
    update.segments.push_back({name, sums.encode(), sums.weight()});
  }
  local_increments_.clear();
}

}  // namespace tributary
