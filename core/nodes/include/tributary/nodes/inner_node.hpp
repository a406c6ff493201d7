// SPDX-License-Identifier: Apache-2.0
// A node with children: an aggregator, which is a client of its parent, or the root, which is nobody's.
//
// One round: choose a cohort, hand out the model, add what comes back exactly, close by the policy. An aggregator with
// one round per parent round forwards the sum itself, so any tree gives the flat result; with more, it moves a model of
// its own between them (HierFAVG, arXiv 1905.06641) and sends the difference, weighted by the mean weight of its
// rounds.
//
// Life cycle: on_start(); the root then runs its rounds, an aggregator waits for tasks.
// Threads:    as Node.
// Memory:     one accumulator, one model, a few words per asked child.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "tributary/nodes/aggregation_rule.hpp"
#include "tributary/nodes/parent_link.hpp"
#include "tributary/nodes/server_optimizer.hpp"
#include "tributary/nodes/tier_policy.hpp"
#include "tributary/nodes/tree.hpp"

namespace tributary {

struct InnerNodeSettings {
  NodeId self;
  NodeId parent;  // equal to self for the root
  Tree::Children children{0, 0};
  std::uint32_t incarnation = 0;        // higher after each restart
  std::uint64_t seed = 0;               // of the run
  const ParameterSpec* spec = nullptr;  // must outlive the node
  ExactScale scale;
  // Where every child sends one term of the sums, and none sends sums of its own: the grid of a round follows from the
  // children that it asks, so that one heavy child costs only those rounds that it is in. Null: `scale` for all rounds.
  ExactScale (*scale_of_round)(Weight weight_bound, std::uint64_t terms) = nullptr;
  // What one update of each node weighs at most, by node; an update of a child that weighs more is refused. Null: only
  // the scale's total is enforced.
  std::shared_ptr<const std::vector<Weight>> weight_bounds;
  std::chrono::nanoseconds way{0};  // what a task down from the parent and an update up to it take; 0: not known
  LivenessSettings liveness;
  std::uint32_t retries = 2;            // of a task that failed
  std::uint32_t local_rounds = 1;       // aggregators
  bool evaluate_clients = false;        // root: ask clients to measure what they receive
  std::uint64_t rounds = 0;             // root: run up to this round
  std::uint32_t largest_abandoned = 3;  // root: give up after so many abandoned rounds in a row
  std::unique_ptr<TierPolicy> policy;
  std::unique_ptr<AggregationRule> rule;
  std::unique_ptr<ServerOptimizer> optimizer;
};

// Where a root starts or goes on from.
struct RootState {
  Round round;      // last finished
  Version version;  // of model
  std::shared_ptr<std::vector<float>> model;
  bool done = false;  // the run has reached its goal: no further round
};

class InnerNode final : public Node {
 public:
  explicit InnerNode(InnerNodeSettings settings, std::optional<RootState> root = std::nullopt);

  void on_start(NodeContext& context) override;
  void on_message(NodeContext& context, NodeId from, Message message) override;
  void on_timer(NodeContext& context, TimerId timer) override;
  void on_unreachable(NodeContext& context, NodeId peer, const std::string& why) override;
  // The answer to NodeContext::publish(). `stop`: do not start another round.
  void on_published(NodeContext& context, bool stop);

  // The root's model as last published; null at an aggregator.
  [[nodiscard]] ModelValues published_model() const noexcept { return is_root() ? own_model_ : nullptr; }
  // The round that is open, or was last.
  [[nodiscard]] Round round() const noexcept { return round_; }

 private:
  enum class MemberState : std::uint8_t { kAsked, kReported, kFailed, kLost };
  struct Member {
    MemberState state = MemberState::kAsked;
    Attempt attempt{1};
    std::uint32_t unanswered = 0;
    std::uint32_t failures = 0;      // of its training; `attempt` also rises when a task was lost
    std::uint32_t restarts = 0;      // times that it has forgotten the task after it had it
    bool working = false;            // it has said that it knows the task
    std::uint32_t contributors = 0;  // of its counted update
    std::uint32_t terms = 0;         // the same, where one that holds a mean of its own counts for one
  };

  [[nodiscard]] bool is_root() const noexcept { return settings_.parent == settings_.self; }
  [[nodiscard]] TaskKey key() const noexcept { return {.incarnation = task_generation_, .round = round_}; }
  // Null if `child` was not asked in this round.
  Member* find_member(NodeId child);

  void open_round(NodeContext& context);
  [[nodiscard]] ExactScale choose_scale() const;
  [[nodiscard]] std::vector<std::uint32_t> order_of_asking() const;
  void ask(NodeContext& context, NodeId child, const Member& member);
  void ask_again(NodeContext& context, NodeId child, Member& member);
  void on_forgotten(NodeContext& context, NodeId child, Member& member);
  [[nodiscard]] Status check(NodeId from, const Update& update) const;
  void probe(NodeContext& context);
  void mark(Member& member, MemberState state);
  void heard_from(NodeContext& context, NodeId child, Member& member);
  void on_update(NodeContext& context, NodeId from, const UpdateMessage& message);
  void on_failed(NodeContext& context, NodeId from, const TaskFailedMessage& message);
  void decide(NodeContext& context);
  void remember_failure(Status why);
  [[nodiscard]] Status shortfall() const;
  void cancel_round(NodeContext& context);
  void note_cut_off(NodeContext& context) const;
  RoundReport close_round(NodeContext& context, bool commit);
  void finish_root_round(NodeContext& context, const RoundReport& report);
  void finish_aggregator_round(NodeContext& context, const RoundReport& report);
  void move_model();
  void commit_local_round(const RoundReport& report);
  [[nodiscard]] std::chrono::nanoseconds time_for_children() const;

  InnerNodeSettings settings_;
  std::optional<ParentLink> link_;  // aggregators
  std::uint32_t task_generation_;   // of the keys given to children: rises with restarts and repeated parent rounds

  std::shared_ptr<std::vector<float>> own_model_;  // the root's, or an aggregator's between its local rounds
  ModelValues model_;                              // what children are given
  Version version_;
  Round round_;
  Round global_round_;
  bool open_ = false;
  bool evaluate_first_ = false;
  Cohort cohort_;
  std::vector<Member> members_;  // as cohort_.members
  ExactScale round_scale_;
  RoundState state_;
  std::uint32_t refused_ = 0;
  std::chrono::nanoseconds probe_pause_{0};
  std::uint32_t abandoned_in_a_row_ = 0;  // root
  bool done_ = false;                     // root
  Status last_trouble_;                   // why a child last failed, for the message that ends a run
  std::uint32_t lasting_failures_ = 0;    // of the round, that would happen again

  // An aggregator's task.
  TaskKey parent_key_;
  ModelValues parent_model_;
  std::chrono::nanoseconds remaining_{0};
  std::uint32_t local_round_ = 0;  // finished
  std::uint32_t local_commits_ = 0;
  std::uint64_t weight_units_ = 0;                  // summed over local commits
  std::map<std::string, ScalarSum> local_scalars_;  // each from the newest local round that measured it
  std::unordered_map<std::uint32_t, std::uint32_t> local_contributors_;  // by child: clients of its largest update
};

}  // namespace tributary
