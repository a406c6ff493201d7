// SPDX-License-Identifier: Apache-2.0
// What the root alone does: it goes on from what was kept of it, publishes what it has committed, and counts what is
// durable.
#include <algorithm>
#include <utility>
#include <vector>

#include "saturated.hpp"
#include "tributary/nodes/inner_node.hpp"

namespace tributary {
namespace {

// Two rounds that are published together.
void merge(RoundReport& into, const RoundReport& next) {
  into.round = next.round;
  into.version = next.version;
  into.tasks = next.tasks;
  into.commits += next.commits;
  into.committed = into.committed || next.committed;
  into.given_up = next.given_up;
  const std::uint32_t at_work = next.state.expected();
  into.state.reported += next.state.reported;
  into.state.failed += next.state.failed;
  into.state.lost = next.state.lost;
  into.state.asked = into.state.reported + into.state.failed + into.state.lost + at_work;
  into.refused += next.refused;
  into.contributors += next.contributors;
  into.weight = Weight::from_units(internal::saturated(into.weight.units(), next.weight.units()));
  into.weight_bound = next.weight_bound;
  into.resolution = std::max(into.resolution, next.resolution);
  for (const auto& [name, sum] : next.scalars) { into.scalars[name].add(sum); }
  into.staleness.add(next.staleness);
  into.staleness_counts.add(next.staleness_counts);
}

}  // namespace

Status restore_parts(const RootParts& parts, const Snapshot& snapshot, Version version, std::size_t parameters) {
  const auto size_of = [](const Snapshot& part) { return part.vectors.size() + part.texts.size(); };
  const Snapshot optimizer = snapshot.part(kOptimizerState);
  const Snapshot method = snapshot.part(kMethodState);
  const Snapshot members = snapshot.part(kMemberState);
  const Snapshot policy = snapshot.part(kPolicyState);
  std::size_t known = size_of(optimizer);
  if (parts.policy != nullptr) { known += size_of(policy); }
  if (parts.method != nullptr) { known += size_of(method); }
  if (parts.ledger != nullptr) { known += size_of(members); }
  if (known != size_of(snapshot)) { return bad_data("it holds the state of a part that this program does not have"); }
  if (size_of(optimizer) > 0 || version.value > 0) {
    TRIBUTARY_RETURN_IF_ERROR(parts.optimizer->restore(optimizer, parameters));
  }
  if (parts.method != nullptr && (size_of(method) > 0 || version.value > 0)) {
    TRIBUTARY_RETURN_IF_ERROR(parts.method->restore(method, parameters));
  }
  if (parts.policy != nullptr && size_of(policy) > 0) { TRIBUTARY_RETURN_IF_ERROR(parts.policy->restore(policy)); }
  const bool has_members = size_of(members) > 0 || version.value > 0;
  return parts.ledger != nullptr && has_members ? parts.ledger->restore(members) : ok_status();
}

// The states of clients go on with the root's own, and begin anew where that does.
void InnerNode::begin_epoch(const RootState& root) {
  if (!settings_.keeps_states) { return; }
  epoch_ = ledger_.epoch();
  if (epoch_ == 0) { epoch_ = root.epoch != 0 ? root.epoch : std::uint64_t{settings_.incarnation} + 1; }
  ledger_.set_epoch(epoch_);
}

void InnerNode::finish_root_round(NodeContext& context, const RoundReport& report) {
  RoundReport published = report;
  const bool evaluates = report.committed && evaluation_is_due();
  // Where the run halts before that is over, it keeps the model as it is now.
  if (evaluates) { published_ = present(); }
  if (report.committed) {
    move_model();
    ++version_.value;
    if (settings_.keeps_states) { count_members(); }
    published.version = version_;
    abandoned_in_a_row_ = 0;
  } else {
    ++abandoned_in_a_row_;
    published.given_up =
        abandoned_in_a_row_ >= settings_.largest_abandoned || (version_.value == 0 && round_.value >= settings_.rounds);
  }
  if (evaluates) {
    unevaluated_ = std::move(published);
    open_evaluation(context);
    return;
  }
  if (!continuous()) {
    publish(context, std::move(published));
    return;
  }
  const bool over = published.given_up || round_.value >= settings_.rounds;
  if (over) {
    open_ = true;  // for the tasks that are still out
    cancel_round(context);
  }
  publish(context, std::move(published));
  if (!over) { open_round(context); }
}

// One publication at a time: what is committed while one is under way is published together after it.
void InnerNode::publish(NodeContext& context, RoundReport report) {
  report.tasks = tasks_given_;
  if (publishing_) {
    if (unpublished_) {
      merge(*unpublished_, report);
    } else {
      unpublished_ = std::move(report);
    }
    return;
  }
  publishing_ = true;
  const Published now = present();
  if (continuous()) { published_ = now; }
  report.snapshot = now.snapshot;
  context.publish(report, now.model);
}

InnerNode::Published InnerNode::present() const {
  Snapshot snapshot;
  snapshot.add(kOptimizerState, settings_.optimizer->save());
  snapshot.add(kPolicyState, settings_.policy->save());
  if (server_) { snapshot.add(kMethodState, server_->save()); }
  if (settings_.keeps_states) { snapshot.add(kMemberState, ledger_.save()); }
  return {own_model_, snapshot.empty() ? nullptr : std::make_shared<const Snapshot>(std::move(snapshot))};
}

// A synchronous root waits for the answer to what it has published, and keeps a second model only while clients
// evaluate one that is not published yet.
InnerNode::Published InnerNode::published() const {
  if (!is_root()) { return {}; }
  return continuous() || evaluating_ ? published_ : present();
}

void InnerNode::on_published(NodeContext& context, bool stop, Version durable) {
  tell(context, {.kind = NodeInput::Kind::kPublished, .peer = settings_.self, .value = durable.value, .stop = stop});
  publishing_ = false;
  ledger_.make_durable(durable);
  const bool given_up = abandoned_in_a_row_ >= settings_.largest_abandoned;
  if (stop && continuous()) { cancel_round(context); }
  if (unpublished_ && !stop) {
    publish(context, *std::exchange(unpublished_, std::nullopt));
    return;
  }
  if (open_) { return; }
  if (!stop && !given_up && round_.value < settings_.rounds) {
    open_round(context);
    return;
  }
  finish(context, stop);
}

}  // namespace tributary
