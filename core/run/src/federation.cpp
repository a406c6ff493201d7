// SPDX-License-Identifier: Apache-2.0
#include "tributary/run/federation.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "checkpoint_keys.hpp"
#include "federation_log.hpp"
#include "record_values.hpp"
#include "tributary/base/file_digest.hpp"
#include "tributary/base/human.hpp"
#include "tributary/data/model_file.hpp"
#include "tributary/nodes/finite.hpp"

namespace tributary {
namespace {

using internal::seconds;
using internal::set_metrics;

namespace keys = internal::checkpoint_keys;

// Whether a multiple of `every` lies among the rounds after `before` up to `round`; several may be published together.
bool crosses(Round before, Round round, std::uint64_t every) {
  return every != 0 && round.value / every > before.value / every;
}

}  // namespace

std::string_view to_string(FederationOutcome::Kind kind) noexcept {
  switch (kind) {
    case FederationOutcome::Kind::kFinished:
      return "finished";
    case FederationOutcome::Kind::kInterrupted:
      return "interrupted";
    case FederationOutcome::Kind::kStoppedAtAccuracy:
      return "stopped";
  }
  return "unknown";
}

Federation::Federation(const Plan& plan, const TrainerFactory& factory, FederationOptions options)
    : plan_(plan),
      factory_(factory),
      options_(std::move(options)),
      checkpoints_(*options_.files, options_.directory / "checkpoints", plan.configuration().checkpoint.keep) {}

Result<std::unique_ptr<Federation>> Federation::open(const Plan& plan, const TrainerFactory& factory,
                                                     FederationOptions options) {
  std::unique_ptr<Federation> federation(new Federation(plan, factory, std::move(options)));
  FederationOptions& set = federation->options_;
  FileSystem& files = *set.files;
  const std::filesystem::path configuration = set.directory / "configuration.yaml";
  TRIBUTARY_ASSIGN_OR_RETURN(FileSystem::Kind found, files.kind(configuration));
  if (set.resume && found == FileSystem::Kind::kNothing) {
    return invalid_argument(
        fmt::format("{} holds no run to resume: it has no configuration.yaml", set.directory.string()));
  }
  if (!set.resume) { TRIBUTARY_RETURN_IF_ERROR(files.create_directories(set.directory)); }
  if (set.lock == nullptr) {
    TRIBUTARY_ASSIGN_OR_RETURN(set.lock, claim_run_directory(files, set.directory));
    TRIBUTARY_ASSIGN_OR_RETURN(found, files.kind(configuration));
  }
  if (!set.resume && found != FileSystem::Kind::kNothing) {
    return invalid_argument(fmt::format("{} holds a run already: resume it with --resume, or name another directory",
                                        set.directory.string()));
  }
  remove_temporaries(files, set.directory);
  federation->inputs_ =
      std::make_unique<InputDigests>(files, set.inputs ? *std::move(set.inputs) : input_files(plan.configuration()));
  if (!set.resume) {
    TRIBUTARY_RETURN_IF_ERROR(write_atomically(files, configuration, print_configuration(plan.configuration())));
  }
  return federation;
}

Status Federation::show(const Record& record) {
  if (record.event() == "warning") {
    internal::log_run(plan_.tree(), LogLevel::kWarning, Round{saturated_count(record.number("round"))},
                      std::string(record.text("text")));
  }
  for (RecordSink* const sink : options_.sinks) { TRIBUTARY_RETURN_IF_ERROR(sink->write(record)); }
  return {};
}

// A run that is resumed cuts its records only now: until it has something to say it may still be refused, by another
// rank of a job for one.
Status Federation::begin_records() {
  if (records_) { return {}; }
  TRIBUTARY_ASSIGN_OR_RETURN(records_,
                             JsonLinesSink::open(*options_.files, options_.directory / "records.jsonl", keep_records_));
  for (const Record& record : std::exchange(first_records_, {})) { TRIBUTARY_RETURN_IF_ERROR(records_->write(record)); }
  return {};
}

Status Federation::write(const Record& record) {
  TRIBUTARY_RETURN_IF_ERROR(begin_records());
  TRIBUTARY_RETURN_IF_ERROR(records_->write(record));
  return show(record);
}

// A checkpoint counts on them, and on nothing after them: what happened in the round that is cut off happens again.
Status Federation::write_round(const std::vector<Record>& records) {
  for (const Record& record : records) { TRIBUTARY_RETURN_IF_ERROR(write(record)); }
  recorded_ = round_;
  round_bytes_ = records_->bytes();
  return {};
}

// Below an aggregator with local rounds several of its rounds belong to one of its parent.
Round Federation::global_round(const NodeEvent& note) const {
  if (note.round.value == 0) { return Round{round_.value + 1}; }
  const Tree& tree = plan_.tree();
  const NodeId at = note.kind == NodeEvent::Kind::kAbandoned ? note.node : tree.parent(note.node);
  std::uint64_t round = note.round.value;
  for (std::uint32_t tier = tree.tier(at); tier > 0; --tier) {
    // Its rounds are not those of its parent.
    if (plan_.continuous(tier) || plan_.continuous(tier - 1)) { return Round{round_.value + 1}; }
    round = (round - 1) / plan_.tier(tier).local_rounds + 1;
  }
  return Round{round};
}

// What happens while the records of the round before are not complete comes after them.
void Federation::write_between_rounds(Record record) {
  if (measured_) {
    measured_->later.push_back(std::move(record));
  } else {
    keep_error(write(record));
  }
}

void Federation::keep_error(Status status) {
  if (note_error_.ok()) { note_error_ = std::move(status); }
}

// What a replay needs: docs/run-directory.md.
void Federation::write_input(const NodeEvent& note) {
  const Result<NodeInput> input = input_from_text(note.detail);
  if (!input.ok()) {
    keep_error(input.status());
    return;
  }
  Record record("input");
  record.set("node", note.node.value).set("what", std::string(to_string(input->kind))).set("of", input->peer.value);
  record.set("incarnation", input->key.incarnation).set("task", input->key.number).set("value", input->value);
  record.set("stop", input->stop);
  if (input->key.kind == TaskKind::kEvaluate) { record.set("kind", std::string(kEvaluateInput)); }
  write_between_rounds(std::move(record));
}

void Federation::noted(const NodeEvent& note) {
  if (note.kind == NodeEvent::Kind::kInput) {
    write_input(note);
    return;
  }
  internal::log_event(plan_.tree(), note, global_round(note));
  Record record("fault");
  record.set("round", global_round(note).value).set("node", plan_.tree().name(note.node));
  record.set("kind", std::string(to_string(note.kind))).set("detail", note.detail);
  write_between_rounds(std::move(record));
  if (note.kind == NodeEvent::Kind::kAbandoned && note.node == plan_.tree().root()) {
    abandoned_[global_round(note)] = note.detail;
  }
  // The first of each kind is a warning at once: what is wrong may be wrong with every task.
  const bool telling = note.kind == NodeEvent::Kind::kTaskFailed || note.kind == NodeEvent::Kind::kRefused;
  if (!telling || !warned_of_.emplace("fault " + std::string(to_string(note.kind)), global_round(note)).second) {
    return;
  }
  write_between_rounds(fault_warning(note));
}

Record Federation::fault_warning(const NodeEvent& note) const {
  const std::string node = plan_.tree().name(note.node);
  const bool refused = note.kind == NodeEvent::Kind::kRefused;
  return Record("warning")
      .set("text", fmt::format("{} of {} {} in round {}: {} (the first of its kind; records.jsonl holds all)",
                               refused ? "the update" : "the task", node, refused ? "was refused" : "failed",
                               global_round(note).value, note.detail))
      .set("round", global_round(note).value)
      .set("about", "fault " + std::string(to_string(note.kind)));
}

void Federation::warned(const std::string& text) {
  write_between_rounds(Record("warning").set("text", text));
}

// Where the newest file is damaged, the run goes on from the one before.
Version Federation::durable() const {
  if (first_durable_) { return *first_durable_; }
  return saved_versions_.empty() ? Version{} : saved_versions_.front();
}

void Federation::trained(std::uint64_t tasks) {
  tasks_this_round_ += tasks;
  keep_error(begin_records());
  if (measured_ && measured_->evaluation->done()) { keep_error(complete_round().status()); }
  if (options_.on_progress) { options_.on_progress(tasks_this_round_, plan_.clients_per_round()); }
}

Status Federation::halted(const ModelValues& model, const std::shared_ptr<const Snapshot>& snapshot) {
  kind_ = FederationOutcome::Kind::kInterrupted;
  Status completed = complete_round().status();
  // A model that cannot be measured is as good as it was.
  if (model && round_ != saved_ && recorded_ == round_) {
    model_ = model;
    TRIBUTARY_RETURN_IF_ERROR(save(model, {.snapshot = snapshot, .world = nullptr, .states = {}}));
  }
  return completed;
}

bool Federation::to_be_measured(Round before, Round round) const {
  const std::uint64_t every = plan_.configuration().evaluation.every;
  const bool last = round.value >= plan_.configuration().rounds;
  return every != 0 && can_evaluate_ && (last || crosses(before, round, every));
}

// Waits for the measurement that was begun when the newest round was published, if there is one, and writes and saves
// what depends on it. Gives what was measured, if anything.
Result<Metrics> Federation::complete_round() {
  if (!measured_) { return Metrics{}; }
  MeasuredRound round = *std::exchange(measured_, std::nullopt);
  Result<Metrics> metrics = complete(round);
  round.evaluation.reset();
  // The root's node may live on another thread, where it changes its model in place once nobody else holds it.
  if (round.evaluator != nullptr) { round.evaluator->release(std::move(round.model)); }
  return metrics;
}

Result<Metrics> Federation::complete(MeasuredRound& round) {
  // Once the driver has ended, and its pool with it, every evaluation is done.
  if (!round.evaluation->done()) { round.evaluator->finish(*round.evaluation); }
  const Result<Evaluation> evaluation = round.evaluation->result();
  if (evaluation.ok()) {
    last_metrics_ = evaluation->metrics;
    Record& record = round.records.front();
    record.set("evaluate_seconds", seconds(round.evaluation->thread_time()) / round.threads);
    set_metrics(record, evaluation->metrics);
    warn_of_metrics(evaluation->metrics, round.records);
  } else if (evaluation.status().code() == Code::kUnsupported) {
    can_evaluate_ = false;
    if (plan_.configuration().evaluation.stop_at_accuracy) {
      warn_once(round.records, round_, "stop_at_accuracy",
                "evaluation.stop_at_accuracy has no effect: the trainer holds no samples out to measure on");
    }
  }
  const bool measurable = evaluation.ok() || evaluation.status().code() == Code::kUnsupported;
  TRIBUTARY_RETURN_IF_ERROR(write_round(round.records));
  // Without a checkpoint a resume measures the round again.
  if (round.save && measurable) {
    TRIBUTARY_RETURN_IF_ERROR(save(round.model, {round.snapshot, round.world, std::move(round.states), true}));
  }
  for (const Record& record : round.later) { TRIBUTARY_RETURN_IF_ERROR(write(record)); }
  if (!measurable) { return evaluation.status().with_context("evaluating the model"); }
  return evaluation.ok() ? evaluation->metrics : Metrics{};
}

Status Federation::save(const ModelValues& model, const Beside& beside) {
  const auto start = Clock::now();
  TRIBUTARY_RETURN_IF_ERROR(inputs_->check_unchanged());
  TRIBUTARY_RETURN_IF_ERROR(begin_records());
  TRIBUTARY_RETURN_IF_ERROR(records_->flush());
  CheckpointState state;
  state.round = round_;
  state.version = version_;
  state.configuration = plan_.digest();
  state.seed = plan_.configuration().seed;
  state.records_bytes = round_bytes_;
  if (beside.snapshot) { state.snapshot = *beside.snapshot; }
  if (kind_ == FederationOutcome::Kind::kStoppedAtAccuracy) { state.extra[keys::kStoppedKey] = "accuracy"; }
  if (tasks_given_ > 0) { state.extra[keys::kTasksKey] = std::to_string(tasks_given_); }
  for (const auto& [key, text] : inputs_->texts()) { state.extra[std::string(keys::kInputPrefix) + key] = text; }
  if (beside.world) {
    std::vector<std::uint64_t> kept;
    for (const Version version : saved_versions_) { kept.push_back(version.value); }
    state.extra[keys::kKeptKey] = fmt::format("{}", fmt::join(kept, " "));
    // What is saved while the next round goes on was published before, and the root's answer given.
    const bool drops_oldest = !beside.later && kept.size() >= plan_.configuration().checkpoint.keep;
    const std::uint64_t durable = !drops_oldest ? kept.front() : kept.size() > 1 ? kept[1] : version_.value;
    state.extra[keys::kDurableKey] = std::to_string(durable);
  }
  if (options_.client_states != nullptr) {
    const auto now = std::chrono::system_clock::now().time_since_epoch();
    const std::string name = fmt::format("{}-{}", round_.value, now.count());
    state.extra[keys::kClientStatesKey] = name;
    TRIBUTARY_RETURN_IF_ERROR(options_.client_states->prepare(beside.states, name));
  }
  TRIBUTARY_RETURN_IF_ERROR(checkpoints_.save(plan_.spec(), *model, state, beside.world));
  if (options_.client_states != nullptr) { TRIBUTARY_RETURN_IF_ERROR(options_.client_states->commit(beside.states)); }
  checkpoint_time_ = Clock::now() - start;
  saved_ = round_;
  note_saved();
  internal::log_run(plan_.tree(), LogLevel::kDebug, round_, "the checkpoint is saved");
  return {};
}

// What a step with a huge rate makes of a model must not be committed: no later round can mend it.
Status Federation::check_model(const ModelValues& model, Round round) const {
  const std::string trouble = describe_not_finite(plan_.spec(), *model);
  if (trouble.empty()) { return {}; }
  const ServerOptimizerConfig& optimizer = plan_.configuration().server_optimizer;
  const std::string last_good = saved_.value == 0
                                    ? std::string("no earlier round was saved")
                                    : fmt::format("the last good model is that of round {}, in {}", saved_.value,
                                                  (options_.directory / "checkpoints").string());
  return bad_data(fmt::format(
      "the training has diverged in round {}: after the step of the server {}. Lower server_optimizer.lr ({}) or the "
      "learning rate of the clients; {}",
      round.value, trouble, optimizer.lr, last_good));
}

bool Federation::stop_is_wished() const {
  return options_.stop != nullptr && options_.stop->load();
}

// Where all that matters is in the root when it publishes, a world is not needed: every answer counts, and nothing goes
// wrong by a generator that would have to go on too.
bool Federation::may_keep_worlds() const {
  const Configuration& configuration = plan_.configuration();
  const SimulationConfig::Faults& faults = configuration.simulation.faults;
  const bool faulty = faults.drop > 0.0 || faults.duplicate > 0.0 || faults.delay > 0.0 || faults.kill > 0.0 ||
                      configuration.simulation.devices.drop_out > 0.0;
  const LocalMethod* const method = plan_.local_method();
  const bool all_in_root = method == nullptr || !method->parents_own_states();
  return !all_in_root || !plan_.every_answer_counts() || faulty;
}

bool Federation::keeps_world(const RoundReport& report) {
  if (!may_keep_worlds()) { return false; }
  if (options_.client_states != nullptr) { states_ = options_.client_states->mark(); }
  // One that comes between this and published() waits for the next round: it would be saved without its world.
  asked_to_stop_ = stop_is_wished();
  const bool due = report.committed && crosses(round_, report.round, plan_.configuration().checkpoint.every);
  return *asked_to_stop_ || due;
}

Result<bool> Federation::published(const RoundReport& report, const ModelValues& model, ModelEvaluator& evaluator,
                                   const DriverStatistics& statistics) {
  TRIBUTARY_RETURN_IF_ERROR(complete_round().status());
  TRIBUTARY_RETURN_IF_ERROR(note_error_);
  if (report.committed) { TRIBUTARY_RETURN_IF_ERROR(check_model(model, report.round)); }
  ClientStates::Marked states = std::exchange(states_, {});
  if (options_.client_states != nullptr && states.empty()) { states = options_.client_states->mark(); }
  const Round before = std::exchange(round_, report.round);
  version_ = report.version;
  first_durable_.reset();
  tasks_given_ = report.tasks;
  internal::log_round(plan_.tree(), report);
  const Configuration& configuration = plan_.configuration();
  const bool interrupted = asked_to_stop_ ? *std::exchange(asked_to_stop_, std::nullopt) : stop_is_wished();
  const bool last = report.round.value >= configuration.rounds;
  // A run that fails goes on after its last committed round once the cause is mended: what was abandoned is not saved.
  const bool due = report.committed && crosses(before, report.round, configuration.checkpoint.every);
  const bool ends = last && !report.given_up;
  if (interrupted && !last) { kind_ = FederationOutcome::Kind::kInterrupted; }
  // The next round may begin while the model of this one is measured, unless the result decides whether there is one.
  const bool measure = to_be_measured(before, report.round);
  const bool decides = measure && configuration.evaluation.stop_at_accuracy.has_value();
  const bool waits = decides || interrupted || last;
  std::shared_ptr<RunningEvaluation> evaluation;
  if (measure) {
    evaluation = evaluator.begin_evaluation(model);
    // Before the round's records: the time is the round's.
    if (waits) { evaluator.finish(*evaluation); }
  }
  std::vector<Record> records = round_records(report, statistics);
  if (!measure) {
    TRIBUTARY_RETURN_IF_ERROR(write_round(records));
    if (due || interrupted || ends) {
      TRIBUTARY_RETURN_IF_ERROR(save(model, {report.snapshot, report.world, std::move(states)}));
    }
    if (interrupted || last) { model_ = model; }
    return !last && interrupted;
  }
  // Who waits works too: that may be one thread more than the driver trains on.
  measured_ = MeasuredRound{.records = std::move(records),
                            .later = {},
                            .evaluation = std::move(evaluation),
                            .evaluator = &evaluator,
                            .threads = waits ? evaluator.threads() : std::max(1U, driver_->threads()),
                            .model = model,
                            .snapshot = report.snapshot,
                            .world = report.world,
                            .states = states,
                            .save = due && !waits};
  if (!waits) { return false; }
  TRIBUTARY_ASSIGN_OR_RETURN(const Metrics metrics, complete_round());
  const auto accuracy = metrics.find("accuracy");
  const bool reached =
      decides && accuracy != metrics.end() && accuracy->second >= *configuration.evaluation.stop_at_accuracy;
  if (reached && !last) { kind_ = FederationOutcome::Kind::kStoppedAtAccuracy; }
  if (due || interrupted || reached || ends) {
    TRIBUTARY_RETURN_IF_ERROR(save(model, {report.snapshot, report.world, std::move(states)}));
  }
  // The root may change its model in place once nobody else holds it.
  if (interrupted || reached || last) { model_ = model; }
  return !last && (interrupted || reached);
}

Status Federation::write_model_file(FederationOutcome& outcome) {
  const std::filesystem::path path = options_.directory / "model.safetensors";
  SafetensorsMetadata metadata = options_.model_metadata;
  metadata["tributary.model"] = plan_.spec().fingerprint().hex();
  metadata["tributary.version"] = fmt::format("{}", version_.value);
  TRIBUTARY_RETURN_IF_ERROR(write_model(*options_.files, path, plan_.spec(), *model_, metadata));
  TRIBUTARY_ASSIGN_OR_RETURN(outcome.model_file, file_digest(*options_.files, path));
  return {};
}

Result<FederationOutcome> Federation::run(Driver& driver) {
  start_ = Clock::now();
  driver_ = &driver;
  Status ran = driver.run(plan_, factory_, *this);
  if (measured_) { measured_->evaluator = nullptr; }
  keep_error(complete_round().status());
  if (ran.ok()) { ran = note_error_; }
  if (!ran.ok()) {
    internal::log_run(plan_.tree(), LogLevel::kError, round_, "the run has failed: " + ran.message());
    if (records_) {
      // The first error is the one to report, also where it keeps this record from being written.
      [[maybe_unused]] const Status told = write(Record("end")
                                                     .set("outcome", "failed")
                                                     .set("seconds", earlier_seconds_ + seconds(Clock::now() - start_))
                                                     .set("rounds", round_.value)
                                                     .set("version", version_.value)
                                                     .set("error", ran.message()));
    }
    return ran;
  }
  FederationOutcome outcome;
  outcome.kind = kind_;
  outcome.round = round_;
  outcome.version = version_;
  outcome.metrics = last_metrics_;
  if (kind_ != FederationOutcome::Kind::kInterrupted) {
    TRIBUTARY_RETURN_IF_ERROR(write_model_file(outcome));
    if (!abandoned_.empty()) { TRIBUTARY_RETURN_IF_ERROR(write(abandoned_warning())); }
  }
  outcome.wall_time = Clock::now() - start_;
  internal::log_run(plan_.tree(), LogLevel::kInfo, round_, fmt::format("the run has ended: {}", to_string(kind_)));
  TRIBUTARY_RETURN_IF_ERROR(write_end_records(driver.statistics(), outcome));
  return outcome;
}

}  // namespace tributary
