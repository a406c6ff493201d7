// SPDX-License-Identifier: Apache-2.0
#include "tributary/nodes/state_inquiry.hpp"

#include <algorithm>

namespace tributary {

void StateInquiry::begin(NodeContext& context, const ClientState& state) {
  epoch_ = state.epoch();
  settled_ = state.last_settled();
  undecided_.clear();
  for (const ClientState::Undecided& part : state.undecided()) { undecided_.push_back(part.sequence); }
  unanswered_ = undecided_;
  pause_ = liveness_.first_probe;
  questions_ = 0;
  waits_ = true;
  ask(context);
}

void StateInquiry::ask(NodeContext& context) {
  context.send(
      parent_,
      InquiryMessage{
          .client = self_, .epoch = epoch_, .settled = settled_, .undecided = undecided_, .sequences = unanswered_});
  context.set_timer(TimerId::kProbe, pause_);
}

void StateInquiry::stop(NodeContext& context) {
  if (!waits_) { return; }
  waits_ = false;
  context.cancel_timer(TimerId::kProbe);
}

StateInquiry::Result StateInquiry::on_timer(NodeContext& context) {
  if (++questions_ > liveness_.silent_probes) {
    waits_ = false;
    return Result::kSilent;
  }
  pause_ = std::min(pause_ * 2, liveness_.largest_probe);
  ask(context);
  return Result::kWaits;
}

StateInquiry::Result StateInquiry::on_decision(NodeContext& context, const DecisionMessage& decision,
                                               ClientState& state) {
  if (!waits_ || decision.client != self_ || decision.epoch != epoch_) { return Result::kWaits; }
  using Agreement = DecisionMessage::Agreement;
  // An answer to an earlier question tells of increments, and nothing of the state as it is now.
  const std::uint64_t newest = undecided_.empty() ? settled_ : undecided_.back();
  const bool of_this = decision.settled == settled_ && decision.newest == newest;
  if (of_this && decision.agreement == Agreement::kDiffers) {
    stop(context);
    return Result::kDiffers;
  }
  const std::size_t before = unanswered_.size();
  std::erase_if(unanswered_, [&decision](std::uint64_t sequence) {
    return std::ranges::count(decision.fates, sequence, &SequenceFate::sequence) > 0;
  });
  const bool was_nothing = undecided_.empty() && of_this && decision.agreement == Agreement::kAgrees;
  if (unanswered_.size() == before && !was_nothing) { return Result::kWaits; }
  state.settle(decision.fates);
  if (!unanswered_.empty()) { return Result::kWaits; }
  stop(context);
  return Result::kSettled;
}

}  // namespace tributary
