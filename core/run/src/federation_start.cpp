// SPDX-License-Identifier: Apache-2.0
// Where a federation starts: at the beginning, or at a checkpoint that it can go on from.
#include <fmt/format.h>

#include <charconv>
#include <utility>

#include "checkpoint_keys.hpp"
#include "config/configuration_changes.hpp"
#include "federation_log.hpp"
#include "record_values.hpp"
#include "tributary/base/human.hpp"
#include "tributary/nodes/finite.hpp"
#include "tributary/run/federation.hpp"

namespace tributary {
namespace {

namespace keys = internal::checkpoint_keys;

// Whole numbers of a checkpoint's state, between spaces; none if there is no such text.
Result<std::vector<std::uint64_t>> numbers_of(const Checkpoint& checkpoint, const std::string& key) {
  std::vector<std::uint64_t> numbers;
  const auto found = checkpoint.state.extra.find(key);
  if (found == checkpoint.state.extra.end()) { return numbers; }
  const char* at = found->second.data();
  const char* const last = at + found->second.size();
  for (;; ++at) {
    const auto [end, error] = std::from_chars(at, last, numbers.emplace_back());
    at = end;
    if (error == std::errc{} && at == last) { return numbers; }
    if (error != std::errc{} || *at != ' ') { break; }
  }
  return bad_data(fmt::format("{}: {} are not whole numbers", checkpoint.path.string(), key));
}

// One such number; 0 if there is none.
Result<std::uint64_t> number_of(const Checkpoint& checkpoint, const std::string& key) {
  TRIBUTARY_ASSIGN_OR_RETURN(const std::vector<std::uint64_t> numbers, numbers_of(checkpoint, key));
  if (numbers.size() <= 1) { return numbers.empty() ? 0 : numbers.front(); }
  return bad_data(fmt::format("{}: {} is not one whole number", checkpoint.path.string(), key));
}

}  // namespace

Status Federation::can_go_on_from(const Checkpoint& checkpoint) const {
  TRIBUTARY_RETURN_IF_ERROR(
      JsonLinesSink::check(*options_.files, options_.directory / "records.jsonl", checkpoint.state.records_bytes));
  const std::string trouble = describe_not_finite(plan_.spec(), checkpoint.values);
  if (!trouble.empty()) { return bad_data("its " + trouble); }
  // Of another configuration, start_from() says how it differs.
  if (checkpoint.state.configuration != plan_.digest()) { return {}; }
  const InnerNodeSettings root = plan_.inner_node(plan_.tree().root(), 0);
  const std::unique_ptr<MethodServer> method =
      root.method ? root.method->make_server(plan_.registered_weight(plan_.tree().root())) : nullptr;
  MemberLedger ledger;
  return restore_parts({.optimizer = root.optimizer.get(),
                        .method = method.get(),
                        .ledger = root.keeps_states ? &ledger : nullptr,
                        .policy = root.policy.get()},
                       checkpoint.state.snapshot, checkpoint.state.version, plan_.spec().parameters());
}

// " Changed: ..." from what the directory says; empty if nothing can be made out.
std::string Federation::changes_of_configuration() const {
  const Result<std::vector<std::byte>> text =
      read_file(*options_.files, options_.directory / "configuration.yaml", std::uint64_t{1} << 24U);
  if (!text.ok()) { return {}; }
  const std::string_view before(reinterpret_cast<const char*>(text->data()), text->size());
  const std::string changes = internal::describe_changes(before, plan_.configuration());
  return changes.empty() ? std::string() : " Changed: " + changes + ".";
}

Status Federation::other_configuration(const Checkpoint& checkpoint) const {
  std::error_code ignored;
  const std::filesystem::path model = std::filesystem::absolute(checkpoint.path, ignored);
  return invalid_argument(fmt::format(
      "{} was written by a run of another configuration, tree or model: a run goes on only as it began.{} "
      "Leave out what changes it (--set, variables TRIBUTARY_...), or start a new run; one that begins with "
      "this model: tributary run {} --output DIR --set model.initial={}",
      checkpoint.path.string(), changes_of_configuration(), (options_.directory / "configuration.yaml").string(),
      model.string()));
}

// Of a run that left no checkpoint. Its first record tells exactly what it was, the configuration only by its text.
Status Federation::began_as_planned() const {
  std::string digest;
  // What is not there, or damaged, is written afresh: that is no trouble.
  [[maybe_unused]] const Status read =
      for_each_record(*options_.files, options_.directory / "records.jsonl", [&digest](const Record& record) {
        digest = record.event() == "run" ? record.text("configuration_digest") : std::string_view();
        return cancelled("one is enough");
      });
  const std::string changes = changes_of_configuration();
  if (digest.empty() ? changes.empty() : digest == plan_.digest().hex()) { return {}; }
  return invalid_argument(
      fmt::format("{} holds a run of another configuration, tree or model: a run goes on only as it began.{} Leave out "
                  "what changes it (--set, variables TRIBUTARY_...), or start a new run in another directory; this one "
                  "has no checkpoint yet",
                  options_.directory.string(), changes));
}

Result<Federation::Start> Federation::start_from(Checkpoint checkpoint) {
  CheckpointState& state = checkpoint.state;
  if (state.configuration != plan_.digest()) { return other_configuration(checkpoint); }
  InputDigests::Texts earlier;
  for (const auto& [key, text] : state.extra) {
    if (key.starts_with(keys::kInputPrefix)) { earlier.emplace(key.substr(keys::kInputPrefix.size()), text); }
  }
  if (const std::string changes = inputs_->changes_since(earlier); !changes.empty()) {
    return invalid_argument(
        fmt::format("{}; {} was written with what was there before: put it back, or start a new run", changes,
                    checkpoint.path.string()));
  }
  // A program may have written files that its command names: "--log=FILE".
  inputs_->keep_only(earlier);
  round_ = state.round;
  version_ = state.version;
  done_ = state.extra.contains(keys::kStoppedKey);
  // Tasks that a continuous root had given; rounds have none of their own.
  TRIBUTARY_ASSIGN_OR_RETURN(tasks_given_, number_of(checkpoint, keys::kTasksKey));
  TRIBUTARY_RETURN_IF_ERROR(take_saved_versions(checkpoint));
  const auto states = state.extra.find(keys::kClientStatesKey);
  TRIBUTARY_RETURN_IF_ERROR(finish_states(*options_.files, options_.directory / "clients",
                                          states == state.extra.end() ? std::string() : states->second));
  return Start{.model = std::make_shared<std::vector<float>>(std::move(checkpoint.values)),
               .snapshot = std::move(state.snapshot),
               .keep_records = state.records_bytes,
               .warnings = std::move(checkpoint.warnings),
               .world = std::move(checkpoint.world)};
}

// What a root is told to be durable goes on where it was, if the root does.
Status Federation::take_saved_versions(const Checkpoint& checkpoint) {
  saved_versions_.clear();
  first_durable_.reset();
  if (checkpoint.world) {
    TRIBUTARY_ASSIGN_OR_RETURN(const std::vector<std::uint64_t> kept, numbers_of(checkpoint, keys::kKeptKey));
    TRIBUTARY_ASSIGN_OR_RETURN(const std::uint64_t durable, number_of(checkpoint, keys::kDurableKey));
    for (const std::uint64_t version : kept) { saved_versions_.emplace_back(version); }
    first_durable_ = Version{durable};
  }
  note_saved();
  return {};
}

void Federation::note_saved() {
  saved_versions_.push_back(version_);
  while (saved_versions_.size() > plan_.configuration().checkpoint.keep) { saved_versions_.pop_front(); }
}

Result<Federation::Start> Federation::find_start() {
  if (options_.resume || restored_) {
    Result<Checkpoint> checkpoint = checkpoints_.load_latest(
        plan_.spec(), [this](const Checkpoint& candidate) { return can_go_on_from(candidate); });
    if (checkpoint.ok()) { return start_from(std::move(checkpoint).value()); }
    if (checkpoint.status().code() != Code::kNotFound) { return checkpoint.status(); }
    if (!restored_) { TRIBUTARY_RETURN_IF_ERROR(began_as_planned()); }
  }
  TRIBUTARY_ASSIGN_OR_RETURN(std::vector<float> values, factory_.initial_model(plan_.configuration().seed));
  if (values.size() != plan_.spec().parameters()) {
    return invalid_argument(
        fmt::format("the initial model has {} values, its spec says {}", values.size(), plan_.spec().parameters()));
  }
  if (const std::string trouble = describe_not_finite(plan_.spec(), values); !trouble.empty()) {
    return bad_data(fmt::format("the model to start from cannot be trained: {}", trouble));
  }
  round_ = {};
  version_ = {};
  tasks_given_ = 0;
  saved_versions_ = {Version{}};
  first_durable_.reset();
  return Start{.model = std::make_shared<std::vector<float>>(std::move(values)),
               .snapshot = {},
               .warnings = {},
               .world = nullptr};
}

// The first time from the beginning or a resumed run's checkpoint; later, when a driver restarts a killed root, always
// from the checkpoint.
Result<RootState> Federation::restore() {
  TRIBUTARY_RETURN_IF_ERROR(complete_round().status());
  TRIBUTARY_ASSIGN_OR_RETURN(Start start, find_start());
  saved_ = round_;
  // The records of later rounds are cut off, and their warnings with them.
  std::erase_if(warned_of_, [this](const auto& warning) { return warning.second > round_; });
  std::erase_if(abandoned_, [this](const auto& round) { return round.first > round_; });
  can_evaluate_ = true;
  const bool first_time = !std::exchange(restored_, true);
  if (first_time) { TRIBUTARY_RETURN_IF_ERROR(replay(start.keep_records)); }
  records_.reset();
  keep_records_ = start.keep_records;
  first_records_.clear();
  std::vector<Record> shown;
  if (first_time || keep_records_ == 0) {
    first_records_.push_back(run_record());
    if (keep_records_ == 0) {
      for (std::string& text : factory_.warnings()) {
        first_records_.push_back(Record("warning").set("text", std::move(text)));
      }
      first_records_.insert(first_records_.end(), options_.preamble.begin(), options_.preamble.end());
    }
    if (first_time) { shown = first_records_; }
  }
  const auto warn = [&](std::string text) {
    first_records_.push_back(Record("warning").set("text", std::move(text)));
    shown.push_back(first_records_.back());
  };
  if (!first_time) { warn(fmt::format("the root died and goes on from round {}", round_.value)); }
  for (std::string& warning : start.warnings) { warn(std::move(warning)); }
  for (const Record& record : shown) { TRIBUTARY_RETURN_IF_ERROR(show(record)); }
  if (!options_.resume || !first_time) { TRIBUTARY_RETURN_IF_ERROR(begin_records()); }
  internal::log_run(plan_.tree(), LogLevel::kInfo, round_,
                    round_.value == 0 ? "the run begins" : "the run goes on after this round");
  round_start_ = Clock::now();
  checkpoint_time_ = {};
  if (done_) { kind_ = FederationOutcome::Kind::kStoppedAtAccuracy; }
  // No state of a client that begins now is of an earlier beginning.
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  const auto epoch = static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::nanoseconds>(now).count());
  // Nothing is left to train, and the model is what the run ends with. Otherwise the root changes it in place.
  if (done_ || round_.value >= plan_.configuration().rounds) { model_ = start.model; }
  return RootState{round_,
                   version_,
                   std::move(start.model),
                   done_,
                   tasks_given_,
                   std::move(start.snapshot),
                   epoch,
                   std::move(start.world)};
}

// Shows other sinks the run from its start, and takes up what the end of a run sums over all its parts.
Status Federation::replay(std::uint64_t bytes) {
  if (bytes == 0) { return {}; }
  return for_each_record(
      *options_.files, options_.directory / "records.jsonl",
      [this](const Record& record) -> Status {
        if (record.event() == "round") {
          earlier_seconds_ += record.number("seconds");
          if (record.text("outcome") == "abandoned") { abandoned_[Round{saturated_count(record.number("round"))}]; }
          for (const char* const metric : {"accuracy", "loss"}) {
            if (record.find(metric) != nullptr) { last_metrics_[metric] = record.number(metric); }
          }
        } else if (const std::string_view about = record.text("about"); record.event() == "warning" && !about.empty()) {
          warned_of_.emplace(about, Round{saturated_count(record.number("round"))});
        }
        for (RecordSink* const sink : options_.sinks) { TRIBUTARY_RETURN_IF_ERROR(sink->replay(record)); }
        return {};
      },
      bytes);
}

}  // namespace tributary
