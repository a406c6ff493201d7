// SPDX-License-Identifier: Apache-2.0
#include "tributary/nodes/parent_link.hpp"

#include <algorithm>

namespace tributary {

ParentLink::Reaction ParentLink::on_message(NodeContext& context, const Message& message) {
  if (const auto* task = std::get_if<TaskMessage>(&message)) {
    const bool current = working_ || answer_;
    if (current && task->key == key_) {
      const bool failed = answer_ && std::holds_alternative<TaskFailedMessage>(*answer_);
      if (!failed || task->attempt <= attempt_) {
        if (answer_) {
          context.send(parent_, *answer_);
        } else {
          attempt_ = std::max(attempt_, task->attempt);  // the work under way answers the newest
        }
        return Reaction::kNone;
      }
    } else if (task->key < key_ || (task->key == key_ && task->attempt <= attempt_)) {
      return Reaction::kNone;
    }
    clear(context);
    key_ = task->key;
    attempt_ = task->attempt;
    base_ = task->version;
    working_ = true;
    return Reaction::kStart;
  }
  if (const auto* probe = std::get_if<ProbeMessage>(&message)) {
    if (answer_ && probe->key == key_) {
      context.send(parent_, *answer_);
    } else {
      context.send(parent_, WorkingMessage{.key = probe->key, .known = working_ && probe->key == key_});
    }
    return Reaction::kNone;
  }
  if (const auto* acknowledged = std::get_if<AcknowledgeMessage>(&message)) {
    if (answer_ && acknowledged->key == key_) {
      clear(context);
      // Settled: a copy of the task that comes after this, late or repeated, must not begin it again.
      if (acknowledged->accepted) { attempt_.value = UINT32_MAX; }
    }
    return Reaction::kNone;
  }
  if (const auto* cancel = std::get_if<CancelMessage>(&message)) {
    if (idle() || cancel->key < key_) { return Reaction::kNone; }
    const bool was_working = working_;
    clear(context);
    return was_working ? Reaction::kStop : Reaction::kNone;
  }
  return Reaction::kNone;
}

void ParentLink::report(NodeContext& context, Update update) {
  update.id = {.node = self_, .incarnation = key_.incarnation, .number = key_.number, .attempt = attempt_};
  if (update.bases.updates == 0) { update.bases = VersionSpread::of(base_.value); }
  answer(context, UpdateMessage{.key = key_, .update = std::move(update)});
}

void ParentLink::fail(NodeContext& context, const Status& why) {
  answer(context, TaskFailedMessage{.key = key_, .attempt = attempt_, .code = why.code(), .reason = why.message()});
}

const Update* ParentLink::unacknowledged() const noexcept {
  const auto* const report = answer_ ? std::get_if<UpdateMessage>(&*answer_) : nullptr;
  return report == nullptr ? nullptr : &report->update;
}

void ParentLink::answer(NodeContext& context, Message message) {
  working_ = false;
  answer_ = std::move(message);
  pause_ = liveness_.first_probe;
  repeats_ = 0;
  context.send(parent_, *answer_);
  context.set_timer(TimerId::kResend, pause_);
}

void ParentLink::on_resend(NodeContext& context) {
  if (!answer_) { return; }
  if (++repeats_ > liveness_.silent_probes) {
    clear(context);
    return;
  }
  context.send(parent_, *answer_);
  pause_ = std::min(pause_ * 2, liveness_.largest_probe);
  context.set_timer(TimerId::kResend, pause_);
}

void ParentLink::clear(NodeContext& context) {
  if (answer_) { context.cancel_timer(TimerId::kResend); }
  answer_.reset();
  working_ = false;
}

}  // namespace tributary
