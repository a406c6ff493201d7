// SPDX-License-Identifier: Apache-2.0
// A node with children: an aggregator, which is a client of its parent, or the root, which is nobody's.
//
// One round: the policy chooses a cohort, the node hands out the model, adds what comes back exactly, and closes by the
// policy. An aggregator with one round per parent round forwards the sum itself, so any tree gives the flat result;
// with more, it moves a model of its own between them (HierFAVG, arXiv 1905.06641) and sends the difference, weighted
// by the mean weight of its rounds.
//
// Where clients hold samples out, the root's model is evaluated by them between the commit and its publication: the
// same machinery asks and watches over them, and only metrics come up.
//
// With a continuous policy (FedBuff, arXiv 2106.06639; FedAsync, 1903.03934) a round ends with a commit too, but tasks
// outlive it: each child has a task of its own, from the model that was newest when it was asked, and its update is
// counted, discounted by its staleness, in the round in which it arrives. An aggregator of this kind works on whatever
// its parent does, and answers each task with what has come together since its last answer (design: hierarchical
// asynchrony). It takes up the parent's model when its next task brings one, and then either
//   moves a model of its own: its children start from parent's model + what it has merged and not yet sent; or
//   forwards sums: its children start from the parent's model, and each commit is an answer.
//
// Life cycle: on_start(); the root then runs its rounds, an aggregator waits for tasks.
// Threads:    as Node.
// Memory:     one accumulator, one model, a few words per asked child; a continuous aggregator keeps its last answer
// too.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "tributary/nodes/aggregation_rule.hpp"
#include "tributary/nodes/codec.hpp"
#include "tributary/nodes/local_method.hpp"
#include "tributary/nodes/member_ledger.hpp"
#include "tributary/nodes/node_input.hpp"
#include "tributary/nodes/parent_link.hpp"
#include "tributary/nodes/server_optimizer.hpp"
#include "tributary/nodes/state_inquiry.hpp"
#include "tributary/nodes/tier_policy.hpp"
#include "tributary/nodes/tree.hpp"

namespace tributary {

// The model is measured by clients, on samples that they hold out of their training. Only where all policies go by
// rounds: a root asks after the round that has made the model, and publishes both together.
struct EvaluationSettings {
  std::uint64_t every = 0;               // root: after rounds that it divides, and after the last; 0: never
  double fraction = 1.0;                 // (0, 1]: of a node's children that are clients, those are asked
  std::chrono::nanoseconds deadline{0};  // after which a node goes on without those that are late; 0: none
  // By node: what clients at and below it hold out; nobody is asked that has none. Null: nobody is asked.
  std::shared_ptr<const std::vector<std::uint64_t>> samples;
};

// What a continuous aggregator with a model of its own does when its parent's model has moved: it goes on from that
// model and what it has merged and not yet sent; it discards that; or it keeps it, and its children begin again from
// there.
enum class Adoption : std::uint8_t { kRebase, kReplace, kAbortChildren };

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
  ExactScale (*scale_of_round)(Weight weight_bound, std::uint64_t terms, int discount_bits) = nullptr;
  // What one update of each node weighs at most, by node; an update of a child that weighs more is refused. Null: only
  // the scale's total is enforced.
  std::shared_ptr<const std::vector<Weight>> weight_bounds;
  // How models go down to its children, and vectors up to its parent. Null: as floats. Exact sums go as they are.
  std::shared_ptr<const Codec> down;
  std::shared_ptr<const Codec> up;
  bool passes_on = false;           // models come from its parent as they go down to its children: in the same bytes
  std::chrono::nanoseconds way{0};  // what a task down from the parent and an update up to it take; 0: not known
  LivenessSettings liveness;
  std::uint32_t retries = 2;       // of a task that failed
  std::uint32_t local_rounds = 1;  // aggregators
  bool own_model = true;           // aggregators with a continuous policy: not just forwarded sums
  Adoption adoption = Adoption::kRebase;
  bool tell_decided = false;      // children are aggregators, which keep what they have sent until it is decided
  bool evaluate_clients = false;  // root: ask clients to measure what they receive
  EvaluationSettings evaluation;
  std::uint64_t rounds = 0;             // root: run up to this round
  std::uint32_t largest_abandoned = 3;  // root: give up after so many abandoned rounds in a row
  std::unique_ptr<TierPolicy> policy;
  std::unique_ptr<AggregationRule> rule;
  std::unique_ptr<ServerOptimizer> optimizer;
  // Of the root, whose means it commits; of each inner node, where parents own the states of their children. Null:
  // means move the model as they are.
  std::shared_ptr<const LocalMethod> method;
  // What the method's updates carry beside the change of the model, at every node; and whether clients have a state.
  IncrementSegments increments;
  bool keeps_states = false;
  // Where it keeps states: what each node's clients weigh together, by node.
  std::shared_ptr<const std::vector<Weight>> registered;
  // Where it keeps states, a child speaks for the clients below it alone; and it says which children are clients. Must
  // outlive the node; null: not checked, and all are.
  const Tree* tree = nullptr;
};

// Whose the parts of a root's snapshot are.
inline constexpr std::string_view kOptimizerState = "optimizer";
inline constexpr std::string_view kMethodState = "method";
inline constexpr std::string_view kMemberState = "clients";
inline constexpr std::string_view kPolicyState = "policy";

// What of a root goes on from what was published with its model. Null: it has no such part.
struct RootParts {
  ServerOptimizer* optimizer = nullptr;
  MethodServer* method = nullptr;
  MemberLedger* ledger = nullptr;
  TierPolicy* policy = nullptr;
};
// Before the first commit all of them begin with nothing. kBadData: they cannot go on from that.
Status restore_parts(const RootParts& parts, const Snapshot& snapshot, Version version, std::size_t parameters);

// Where a root starts or goes on from.
struct RootState {
  Round round;      // last finished
  Version version;  // of model
  std::shared_ptr<std::vector<float>> model;
  bool done = false;        // the run has reached its goal: no further round
  std::uint64_t tasks = 0;  // that a continuous root has given so far
  Snapshot snapshot;        // the rest of what was published with the model
  // Of the states of clients, where they begin: greater than all before. 0: by incarnation.
  std::uint64_t epoch = 0;
  // Of the driver that saved the model, all else that was there, if it was saved: RoundReport::world.
  std::shared_ptr<const std::vector<std::byte>> world;
};

class InnerNode final : public Node {
 public:
  explicit InnerNode(InnerNodeSettings settings, std::optional<RootState> root = std::nullopt);

  void on_start(NodeContext& context) override;
  void on_message(NodeContext& context, NodeId from, Message message) override;
  void on_timer(NodeContext& context, TimerId timer) override;
  void on_unreachable(NodeContext& context, NodeId peer, const std::string& why) override;
  // The answer to NodeContext::publish(). `stop`: do not start another round. `durable`: of published models, which one
  // a root that is started again would go on from, or a newer one.
  void on_published(NodeContext& context, bool stop, Version durable);

  // The root's model as last published, or as it started with, and what goes with it; null at an aggregator.
  struct Published {
    ModelValues model;
    std::shared_ptr<const Snapshot> snapshot;
  };
  [[nodiscard]] Published published() const;
  // The round that is open, or was last.
  [[nodiscard]] Round round() const noexcept { return round_; }

  // As it stands, for one that was made of the same settings: nodes/persist.hpp.
  template <typename Archive>
  void persist(Archive& archive);

 private:
  class Tier;

  // Of the keys that children are given: leaves room for repeated parent rounds between two incarnations.
  static constexpr std::uint32_t kGenerationsPerIncarnation = 1U << 16U;

  enum class TaskState : std::uint8_t { kAsked, kReported, kFailed, kLost };
  // What a task of a continuous policy has for itself, where those of a round have the same.
  struct Continuing {
    std::weak_ptr<const std::vector<float>> model;        // gone once nobody works on it
    ModelValues kept_model;                               // the same, where NodeContext::keeps_models()
    std::weak_ptr<const std::vector<Segment>> broadcast;  // what goes with it, likewise
    Broadcast kept_broadcast;
    std::chrono::nanoseconds probe_at{0};  // by probe_clock_
    std::chrono::nanoseconds probe_pause{0};
  };
  // The task of one child, until the round in which it is settled has closed.
  struct ChildTask {
    TaskState state = TaskState::kAsked;
    bool working = false;        // it has said that it knows the task
    bool state_differs = false;  // it was told that its state is not the one that was counted here
    Attempt attempt{1};
    TaskKey key;
    Version version;     // of its model
    Round global_round;  // when it was asked
    std::unique_ptr<Continuing> continuing;
    std::uint32_t unanswered = 0;
    std::uint32_t failures = 0;      // of its training; `attempt` also rises when a task was lost
    std::uint32_t restarts = 0;      // times that it has forgotten the task after it had it
    std::uint32_t contributors = 0;  // of its counted update
    std::uint32_t terms = 0;         // the same, where one that holds a mean of its own counts for one
    VersionSpread bases;             // of its counted update

    template <typename Archive>
    void serialize(Archive& archive) {
      bool continues = continuing != nullptr;
      archive(state, key, attempt, version, global_round, unanswered, failures, restarts, working, state_differs, bases,
              contributors, terms, continues);
      if (!continues) { return; }
      if (!continuing) { continuing = std::make_unique<Continuing>(); }
      Continuing& own = *continuing;
      archive(own.kept_model, own.kept_broadcast, own.probe_at, own.probe_pause);
    }
  };

  [[nodiscard]] bool is_root() const noexcept { return settings_.parent == settings_.self; }
  [[nodiscard]] bool continuous() const noexcept { return settings_.policy->continuous(); }
  [[nodiscard]] bool parents_own_states() const { return settings_.method && settings_.method->parents_own_states(); }
  [[nodiscard]] bool owns_states() const { return settings_.keeps_states && (is_root() || parents_own_states()); }

  void tell(NodeContext& context, const NodeInput& input) const;
  void begin_epoch(const RootState& root);
  void begin_task(NodeContext& context, TaskMessage& task);
  void take_task(NodeContext& context, TaskMessage task);
  void open_round(NodeContext& context);
  void choose(NodeContext& context, Cohort cohort);
  void set_deadlines(NodeContext& context, Cohort cohort);
  void give_own_model();
  void give_parent_model();
  void give(const ModelValues& model);
  [[nodiscard]] Payload travelling(std::vector<float> change) const;
  [[nodiscard]] ExactScale choose_scale() const;
  void decide(NodeContext& context, const TierEvent& event);
  void act(NodeContext& context, Decision decision);

  // Children (inner_node_children.cpp).

  void forget_settled();
  // Null if `child` has no task, or another than that of `key`.
  ChildTask* find_task(NodeId child);
  ChildTask* find_task(NodeId child, const TaskKey& key);
  [[nodiscard]] NodeId child_at(std::uint32_t position) const { return settings_.children[position]; }
  void ask(NodeContext& context, std::uint32_t position);
  void send_task(NodeContext& context, NodeId child, ChildTask& task);
  struct Given {
    ModelValues model;
    Payload coded;
    Broadcast broadcast;
  };
  Given given_to(const NodeContext& context, ChildTask& task);
  void give_present_model(const NodeContext& context, ChildTask& task);
  void ask_again(NodeContext& context, NodeId child, ChildTask& task);
  void on_forgotten(NodeContext& context, NodeId child, ChildTask& task);
  [[nodiscard]] TaskKey decided(std::uint32_t position) const;
  [[nodiscard]] Status check(NodeId from, const ChildTask& task, const Update& update) const;
  Status count(NodeId from, ChildTask& task, const Update& update);
  void probe(NodeContext& context);
  void watch(NodeContext& context, ChildTask& task);
  void set_next_probe(NodeContext& context);
  [[nodiscard]] std::chrono::nanoseconds probe_now(const NodeContext& context) const;
  void mark(ChildTask& task, TaskState state);
  void heard_from(NodeContext& context, NodeId child, ChildTask& task);
  void on_child_message(NodeContext& context, NodeId from, const Message& message);
  void on_update(NodeContext& context, NodeId from, const UpdateMessage& message);
  void on_failed(NodeContext& context, NodeId from, const TaskFailedMessage& message);
  void on_working(NodeContext& context, NodeId from, const WorkingMessage& message);
  void on_hello(NodeContext& context, NodeId from);

  // A failure that would happen again, whatever peer or machine had the same task.
  [[nodiscard]] static bool is_lasting(Code code) noexcept;
  void remember_failure(Status why);
  [[nodiscard]] Status shortfall() const;
  void cancel_round(NodeContext& context);
  void stop_task(NodeContext& context);
  void note_cut_off(NodeContext& context) const;
  RoundReport close_round(NodeContext& context, bool commit);
  void publish(NodeContext& context, RoundReport report);
  [[nodiscard]] Published present() const;
  void finish(NodeContext& context, bool stop);
  void finish_root_round(NodeContext& context, const RoundReport& report);
  void finish_aggregator_round(NodeContext& context, const RoundReport& report);
  void report_sums(NodeContext& context);

  // An aggregator with a continuous policy (inner_node_continuous.cpp).
  void adopt(NodeContext& context, TaskMessage task);
  void begin_anew(NodeContext& context);
  void discard_unsent(NodeContext& context);
  void ask_all_anew(NodeContext& context);
  void finish_continuous_round(NodeContext& context, const RoundReport& report);
  void merge_progress(const RoundReport& report);
  void answer_if_due(NodeContext& context);
  void send_progress(NodeContext& context);
  void send_up(NodeContext& context, Update update);

  // What clients measure of a model (inner_node_evaluation.cpp).
  [[nodiscard]] bool evaluation_is_due() const;
  void take_evaluation(NodeContext& context, TaskMessage task);
  void open_evaluation(NodeContext& context);
  [[nodiscard]] std::vector<std::uint32_t> evaluation_cohort() const;
  Status count_measured(NodeId from, const Update& update);
  void decide_evaluation(NodeContext& context);
  void finish_evaluation(NodeContext& context);

  // Versions of the parent (inner_node_versions.cpp).
  void remember_anchor(Version version);
  [[nodiscard]] Version anchor_of(std::uint64_t version) const;
  void remember_contents(const VersionSpread& bases);

  // Increments of clients' states (inner_node_members.cpp).
  void on_inquiry(NodeContext& context, NodeId from, const InquiryMessage& inquiry);
  void on_later_epoch(NodeContext& context, NodeId from, const InquiryMessage& inquiry);
  void on_decision(NodeContext& context, const DecisionMessage& decision);
  [[nodiscard]] Status check_members(NodeId from, const Update& update) const;
  [[nodiscard]] bool speaks_for(NodeId child, NodeId client) const;
  [[nodiscard]] bool holds(const Member& member) const;
  void count_members();
  void keep_increments();
  void fill_increments(Update& update);

  // Where parents own the states of their children (inner_node_edges.cpp).
  [[nodiscard]] std::uint64_t epoch_from(std::uint64_t base) const;
  void forget_states();
  void make_new_epoch(NodeContext& context, const std::string& why);
  void begin_states_anew(NodeContext& context);
  void leave_the_lost_behind(NodeContext& context);
  void settle_with_parent(NodeContext& context, std::uint64_t epoch);
  void stop_asking(NodeContext& context);
  void go_on(NodeContext& context, StateInquiry::Result result);
  [[nodiscard]] MethodTask above(const std::vector<double>& state) const;
  Status renew_broadcast();
  Status add_own_increment(Update& update, std::span<const float> change);
  Status settle_round(Update& sums);
  [[nodiscard]] Status check_member_of_child(NodeId from, const Update& update) const;

  [[nodiscard]] bool sends_sums() const noexcept;
  [[nodiscard]] Update forward() const;
  void move_model();
  void keep_for_answer(const RoundReport& report);
  void fill_from_local_rounds(Update& update);
  [[nodiscard]] std::chrono::nanoseconds time_for_children() const;

  template <typename Archive>
  void persist_extensions(Archive& archive);
  template <typename Archive>
  void persist_local_increments(Archive& archive);

  InnerNodeSettings settings_;
  std::optional<ParentLink> link_;  // aggregators
  std::uint32_t task_generation_;   // of the keys given to children: rises with restarts and repeated parent rounds

  std::shared_ptr<std::vector<float>> own_model_;  // the root's, or an aggregator's between its local rounds
  ModelValues model_;                              // what children are given
  Payload coded_;                                  // the same as it travels, where there is a codec
  Broadcast broadcast_;                            // beside it
  std::uint64_t epoch_ = 0;                        // of the states of clients
  std::unique_ptr<MethodServer> server_;           // of a method that has a state here
  MemberLedger ledger_;                            // an owner of states: what was counted; else: what was given up
  std::set<Member> members_;                       // in the present sums
  Version version_;
  Round round_;
  Round global_round_;
  bool open_ = false;
  bool evaluate_first_ = false;
  Cohort cohort_;
  std::map<std::uint32_t, ChildTask> tasks_;                                // by position among the children
  std::vector<std::map<std::uint32_t, ChildTask>::node_type> spare_tasks_;  // of rounds before, for the next
  std::map<std::uint32_t, TaskKey> decided_;  // likewise, where told: the newest update that was counted or refused
  std::uint64_t tasks_given_ = 0;
  ExactScale round_scale_;
  RoundState state_;
  std::uint32_t refused_ = 0;
  VersionSpread staleness_;  // of the updates in the sums
  StalenessCounts staleness_counts_;
  // Of a policy that mixes, from the update to the commit that follows at once: the model that it was trained from, and
  // how far the node's goes towards the one that it ends at.
  ModelValues mixed_base_;
  double mixing_ = 0.0;
  std::chrono::nanoseconds probe_pause_{0};  // by rounds for all children alike; otherwise until the next is due
  std::chrono::nanoseconds probe_clock_{0};  // with a continuous policy: the time up to when the timer was set
  std::uint32_t abandoned_in_a_row_ = 0;     // root
  bool publishing_ = false;                  // root: an answer to publish() is out
  bool evaluating_ = false;                  // what is open is an evaluation
  EvaluationReport measured_;                // so far
  RoundReport unevaluated_;                  // root: what is published with it
  std::optional<RoundReport> unpublished_;   // root with a continuous policy: what was committed meanwhile
  Published published_;                      // root: where its model may have moved on since
  Status restored_;                          // root: whether it can go on from its state
  bool done_ = false;                        // root
  Status last_trouble_;                      // why a child last failed, for the message that ends a run
  std::uint32_t lasting_failures_ = 0;       // of the round, that would happen again

  // Of an aggregator.
  std::set<Member> local_members_;  // of what its next answer will hold
  std::map<std::string, ExactAccumulator> local_increments_;
  std::unordered_map<NodeId, NodeId> inquirers_;  // by client: the child that has asked for it
  VersionSpread contents_;                        // what its next answer was trained from: versions of the parent
  std::map<std::uint64_t, Version> anchors_;      // by own version, from which on: the parent's model in it

  // Of a node whose children's states it owns, and has one of its own.
  std::uint64_t resets_ = 0;                            // by how much its epoch has risen since it was made
  std::uint64_t latest_epoch_ = 0;                      // that it has heard of
  std::map<std::uint32_t, std::uint32_t> lost_rounds_;  // by child: in a row, that it was silent in
  ClientState variate_;                                 // what its parent has counted of it
  StateInquiry inquiry_;                                // about that
  Broadcast parent_broadcast_;                          // what came beside the parent's model
  double local_work_ = 0.0;                             // EdgeWork::done, so far

  // Of one with a continuous policy.
  std::vector<double> progress_;  // merged into its model, and not yet sent
  bool due_ = false;              // its sums are complete, and wait for a task to answer
  struct Sent {
    TaskKey key;  // of the task that it answers
    Update update;
    template <typename Archive>
    void serialize(Archive& archive) {
      archive(key, update);
    }
  };
  std::optional<Sent> undecided_;  // the last answer, until the parent tells what has become of it

  // An aggregator's task.
  TaskKey parent_key_;
  ModelValues parent_model_;
  Payload parent_coded_;  // as it came
  std::chrono::nanoseconds remaining_{0};
  std::uint32_t local_round_ = 0;  // finished
  std::uint32_t local_commits_ = 0;
  std::uint64_t weight_units_ = 0;                  // summed over local commits
  std::map<std::string, ScalarSum> local_scalars_;  // each from the newest local round that measured it
  std::unordered_map<std::uint32_t, std::uint32_t> local_contributors_;  // by child: clients of its largest update
};

}  // namespace tributary
