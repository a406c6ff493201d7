// SPDX-License-Identifier: Apache-2.0
// One run of a federation on disk: starts or resumes it, evaluates, saves and records each round, and leaves a run
// directory behind. docs/run-directory.md lists its files.
//
// Life cycle: open(), then run() once.
// Threads:    one thread; `stop` may be set from any thread or signal handler.
// Ownership:  plan, factory, sinks and files outlive the federation.
// Errors:     a directory that cannot be written is one clear error, and no earlier checkpoint is lost by it. When a
//             run fails, what was recorded and saved before stays. A resume that is refused changes nothing.
#pragma once

#include <atomic>
#include <chrono>
#include <deque>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tributary/base/file_system.hpp"
#include "tributary/data/safetensors.hpp"
#include "tributary/nodes/driver.hpp"
#include "tributary/run/checkpoint.hpp"
#include "tributary/run/client_states.hpp"
#include "tributary/run/plan.hpp"
#include "tributary/run/record_sinks.hpp"
#include "tributary/run/run_inputs.hpp"
#include "tributary/run/run_lock.hpp"

namespace tributary {

struct FederationOptions {
  std::filesystem::path directory;
  bool resume = false;  // go on from the newest checkpoint in `directory`
  // On `directory`, if it is claimed already; open() claims it otherwise.
  std::unique_ptr<FileLock> lock;
  // As they were before they were read (PreparedRun::inputs); open() looks for them otherwise.
  std::optional<std::vector<InputFile>> inputs;
  // Besides records.jsonl: the console, say. They see a resumed run from its start, by RecordSink::replay(), and twice
  // the rounds that a simulated death of the root takes back.
  std::vector<RecordSink*> sinks;
  std::vector<Record> preamble;             // written after the `run` record
  SafetensorsMetadata model_metadata;       // of model.safetensors, besides what says which model it is
  const std::atomic<bool>* stop = nullptr;  // set: finish the round, save, and stop
  // Called while a round goes on: tasks carried out, of how many at most; with 0 when one closes.
  std::function<void(std::uint64_t done, std::uint64_t of)> on_progress;
  // In simulation: the states of clients, which go to their files with each checkpoint. Must outlive the federation.
  ClientStates* client_states = nullptr;
  FileSystem* files = &real_file_system();
};

struct FederationOutcome {
  enum class Kind : std::uint8_t { kFinished, kInterrupted, kStoppedAtAccuracy };
  Kind kind = Kind::kFinished;
  Round round;
  Version version;
  Metrics metrics;    // of the last evaluation
  Digest model_file;  // SHA-256 of model.safetensors; zero if interrupted
  std::chrono::nanoseconds wall_time{0};
};

[[nodiscard]] std::string_view to_string(FederationOutcome::Kind kind) noexcept;

class Federation final : private RunObserver {
 public:
  // kInvalidArgument: the directory holds a run already and `resume` is false, or holds none and it is true; or another
  // process owns it.
  static Result<std::unique_ptr<Federation>> open(const Plan& plan, const TrainerFactory& factory,
                                                  FederationOptions options);

  Result<FederationOutcome> run(Driver& driver);

 private:
  Federation(const Plan& plan, const TrainerFactory& factory, FederationOptions options);

  Result<RootState> restore() override;
  Result<bool> published(const RoundReport& report, const ModelValues& model, ModelEvaluator& evaluator,
                         const DriverStatistics& statistics) override;
  [[nodiscard]] bool may_keep_worlds() const override;
  bool keeps_world(const RoundReport& report) override;
  [[nodiscard]] Version durable() const override;
  void trained(std::uint64_t tasks) override;
  Status halted(const ModelValues& model, const std::shared_ptr<const Snapshot>& snapshot) override;
  void noted(const NodeEvent& note) override;
  void write_input(const NodeEvent& note);
  void warned(const std::string& text) override;

  // The model to start from, and what is to be done with the records, before anything is changed.
  struct Start {
    std::shared_ptr<std::vector<float>> model;
    Snapshot snapshot;
    std::uint64_t keep_records = 0;
    std::vector<std::string> warnings;
    SavedWorld world;
  };
  Result<Start> find_start();
  Result<Start> start_from(Checkpoint checkpoint);
  [[nodiscard]] Status can_go_on_from(const Checkpoint& checkpoint) const;
  [[nodiscard]] Status check_model(const ModelValues& model, Round round) const;
  [[nodiscard]] Status began_as_planned() const;
  [[nodiscard]] std::string changes_of_configuration() const;
  [[nodiscard]] Status other_configuration(const Checkpoint& checkpoint) const;

  Status show(const Record& record);
  Status begin_records();
  Status write(const Record& record);
  Status write_round(const std::vector<Record>& records);
  [[nodiscard]] bool on_virtual_clock() const;
  [[nodiscard]] Record run_record() const;
  Status replay(std::uint64_t bytes);
  [[nodiscard]] Round global_round(const NodeEvent& note) const;
  std::vector<Record> round_records(const RoundReport& report, const DriverStatistics& statistics);
  void warn_once(std::vector<Record>& records, Round round, const std::string& subject, const std::string& text);
  void warn_of(const RoundReport& report, std::vector<Record>& records);
  void warn_of_metrics(const Metrics& metrics, std::vector<Record>& records);
  [[nodiscard]] Record fault_warning(const NodeEvent& note) const;
  [[nodiscard]] Record abandoned_warning() const;
  Status write_end_records(const DriverStatistics& statistics, const FederationOutcome& outcome);
  // A round that is published, and whose model is being measured while the next one goes on.
  struct MeasuredRound {
    std::vector<Record> records;  // the round's first, without what is measured
    std::vector<Record> later;    // to be written after them
    std::shared_ptr<RunningEvaluation> evaluation;
    ModelEvaluator* evaluator = nullptr;  // null once it is gone
    std::uint32_t threads = 1;            // that measure
    ModelValues model;
    std::shared_ptr<const Snapshot> snapshot;
    SavedWorld world;
    ClientStates::Marked states;
    bool save = false;
  };

  [[nodiscard]] bool to_be_measured(Round before, Round round) const;
  Result<Metrics> complete_round();
  Result<Metrics> complete(MeasuredRound& round);
  void write_between_rounds(Record record);
  void keep_error(Status status);
  // What goes into a checkpoint beside the model.
  struct Beside {
    std::shared_ptr<const Snapshot> snapshot;
    SavedWorld world;
    ClientStates::Marked states;
    bool later = false;  // it is saved while the next round goes on
  };
  Status save(const ModelValues& model, const Beside& beside);
  Status take_saved_versions(const Checkpoint& checkpoint);
  void note_saved();
  [[nodiscard]] bool stop_is_wished() const;
  Status write_model_file(FederationOutcome& outcome);

  const Plan& plan_;
  const TrainerFactory& factory_;
  FederationOptions options_;
  CheckpointStore checkpoints_;
  std::unique_ptr<InputDigests> inputs_;
  std::unique_ptr<JsonLinesSink> records_;  // null until the run has something new to write
  std::uint64_t keep_records_ = 0;          // of the file, when it is opened
  std::vector<Record> first_records_;       // to be written then
  const Driver* driver_ = nullptr;          // while run() is under way
  bool restored_ = false;
  std::uint64_t tasks_this_round_ = 0;

  std::optional<MeasuredRound> measured_;
  ModelValues model_;  // at the end
  Round round_;
  Version version_;
  std::uint64_t tasks_given_ = 0;         // by a continuous root
  Round saved_;                           // newest checkpoint
  std::deque<Version> saved_versions_;    // of the checkpoints that are kept, oldest first
  std::optional<Version> first_durable_;  // what a resumed run told the root before it went on
  std::optional<bool> asked_to_stop_;     // of the round that is about to be published
  ClientStates::Marked states_;           // likewise
  Round recorded_;                        // newest whose records are all written
  std::uint64_t round_bytes_ = 0;         // of the file then
  bool done_ = false;                     // stopped at its accuracy
  double earlier_seconds_ = 0.0;          // of the rounds before a resume
  FederationOutcome::Kind kind_ = FederationOutcome::Kind::kFinished;
  Metrics last_metrics_;
  bool can_evaluate_ = true;
  Status note_error_;                       // of records written between rounds
  std::map<std::string, Round> warned_of_;  // and in which round
  std::map<Round, std::string> abandoned_;  // the root's, and why

  // Since the last round record.
  using Clock = std::chrono::steady_clock;
  Clock::time_point start_ = Clock::now();
  Clock::time_point round_start_ = Clock::now();
  std::chrono::nanoseconds checkpoint_time_{0};
  DriverStatistics before_;
};

}  // namespace tributary
