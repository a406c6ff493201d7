// SPDX-License-Identifier: Apache-2.0
// A model that clients measure on samples which they hold out of their training. The root asks once a round has made
// it, aggregators pass the question on, and what comes back are sums of metrics, each with the samples that it was
// measured on. Whom to ask is drawn anew each time; whoever fails, is silent or late is left out, so that an evaluation
// always comes to its end and never costs a round.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <span>
#include <utility>

#include "nodes/update_parts.hpp"
#include "tributary/base/duration.hpp"
#include "tributary/base/random.hpp"
#include "tributary/nodes/inner_node.hpp"

namespace tributary {
namespace {

// A share such as 0.3 of 10 must not become 4 because 0.3 is a little more than three tenths.
constexpr double kRoundingSlack = 1e-9;

}  // namespace

bool InnerNode::evaluation_is_due() const {
  const EvaluationSettings& evaluation = settings_.evaluation;
  if (continuous() || evaluation.every == 0 || !evaluation.samples) { return false; }
  if (evaluation.samples->at(settings_.self.value) == 0) { return false; }
  return round_.value % evaluation.every == 0 || round_.value >= settings_.rounds;
}

void InnerNode::take_evaluation(NodeContext& context, TaskMessage task) {
  begin_task(context, task);
  // After the last of the rounds that the parent's round stands for.
  round_ = Round{parent_key_.number * settings_.local_rounds};
  open_evaluation(context);
}

void InnerNode::open_evaluation(NodeContext& context) {
  if (parents_own_states()) { leave_the_lost_behind(context); }
  if (is_root()) { give_own_model(); }
  forget_settled();
  last_trouble_ = {};
  lasting_failures_ = 0;
  refused_ = 0;
  measured_ = {};
  open_ = true;
  evaluating_ = true;
  Cohort cohort;
  cohort.members = evaluation_cohort();
  cohort.target = static_cast<std::uint32_t>(cohort.members.size());
  cohort.quorum = 1;
  cohort.deadline = settings_.evaluation.deadline;
  cohort.hard_deadline = later_by(cohort.deadline, cohort.deadline);
  set_deadlines(context, std::move(cohort));
  for (const std::uint32_t position : cohort_.members) { ask(context, position); }
  decide_evaluation(context);
}

// Of the children that have samples: all aggregators, and the share of the clients that the settings name.
std::vector<std::uint32_t> InnerNode::evaluation_cohort() const {
  std::vector<std::uint32_t> cohort;
  std::vector<std::uint32_t> clients;
  for (std::uint32_t position = 0; position < settings_.children.size(); ++position) {
    const NodeId child = child_at(position);
    if (!settings_.evaluation.samples || settings_.evaluation.samples->at(child.value) == 0) { continue; }
    const bool is_client = settings_.tree == nullptr || settings_.tree->is_client(child);
    (is_client ? clients : cohort).push_back(position);
  }
  const auto all = static_cast<std::uint32_t>(clients.size());
  const double wanted = std::ceil(settings_.evaluation.fraction * all - kRoundingSlack);
  const std::uint32_t asked = std::min(all, static_cast<std::uint32_t>(std::max(1.0, wanted)));
  Rng rng(stream_seed(settings_.seed, Purpose::kEvaluation, settings_.self.value, round_.value));
  for (const std::uint32_t chosen : rng.sample_without_replacement(all, asked)) { cohort.push_back(clients[chosen]); }
  // Who is asked first often answers first, and at a deadline that must not always be the same.
  if (settings_.evaluation.deadline.count() > 0) { rng.shuffle(std::span(cohort)); }
  return cohort;
}

Status InnerNode::count_measured(NodeId from, const Update& update) {
  TRIBUTARY_RETURN_IF_ERROR(internal::check_parts(*settings_.spec, update));
  if (!update.segments.empty() || !update.members.empty()) {
    return invalid_argument("the answer to an evaluation carries vectors");
  }
  const auto most = static_cast<double>(settings_.evaluation.samples->at(from.value));
  if (update.weight.zero() || update.weight.value() > most) {
    return invalid_argument(fmt::format("the model was measured on {} samples, and {} at most are held out there",
                                        update.weight.value(), most));
  }
  measured_.contributors += update.contributors;
  measured_.samples = measured_.samples + update.weight;
  internal::add_scalars(update, measured_.scalars);
  return {};
}

void InnerNode::decide_evaluation(NodeContext& context) {
  const bool in_time = !state_.deadline_passed && !state_.hard_deadline_passed;
  if (in_time && state_.expected() > 0) { return; }
  finish_evaluation(context);
}

void InnerNode::finish_evaluation(NodeContext& context) {
  measured_.state = state_;
  if (state_.deadline_passed) { note_cut_off(context); }
  cancel_round(context);
  model_.reset();
  coded_ = {};
  EvaluationReport measured = std::exchange(measured_, {});
  if (is_root()) {
    RoundReport report = std::exchange(unevaluated_, {});
    report.evaluation = std::move(measured);
    published_ = {};
    publish(context, std::move(report));
    return;
  }
  parent_model_.reset();
  parent_coded_ = {};
  if (measured.contributors == 0) {
    link_->fail(context, shortfall());
    return;
  }
  Update update;
  update.fingerprint = settings_.spec->fingerprint();
  update.weight = measured.samples;
  update.contributors = measured.contributors;
  update.scalars = std::move(measured.scalars);
  link_->report(context, std::move(update));
}

}  // namespace tributary
