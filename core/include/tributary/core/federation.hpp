// SPDX-License-Identifier: Apache-2.0
// One run of a federation on disk: starts or resumes it, evaluates, saves and records each round, and leaves a run
// directory behind. docs/run-directory.md lists its files.
//
// Life cycle: open(), then run() once.
// Threads:    one thread; `stop` may be set from any thread or signal handler.
// Ownership:  plan, factory, sinks and files outlive the federation.
// Errors:     a directory that cannot be written is one clear error, and no earlier checkpoint is lost by it. When a
// run
//             fails, what was recorded and saved before stays.
#pragma once

#include <atomic>
#include <chrono>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "tributary/core/checkpoint.hpp"
#include "tributary/core/driver.hpp"
#include "tributary/core/file_system.hpp"
#include "tributary/core/plan.hpp"
#include "tributary/core/record_sinks.hpp"

namespace tributary {

struct FederationOptions {
  std::filesystem::path directory;
  bool resume = false;  // go on from the newest checkpoint in `directory`
  // Besides records.jsonl: the console, say. They see a resumed run from its start, and twice the rounds that a
  // simulated death of the root takes back.
  std::vector<RecordSink*> sinks;
  std::vector<Record> preamble;             // written after the `run` record
  const std::atomic<bool>* stop = nullptr;  // set: finish the round, save, and stop
  // Called while a round goes on: tasks carried out, of how many at most.
  std::function<void(std::uint64_t done, std::uint64_t of)> on_progress;
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
  // kInvalidArgument: the directory holds a run already and `resume` is false, or holds none and it is true.
  static Result<std::unique_ptr<Federation>> open(const Plan& plan, const TrainerFactory& factory,
                                                  FederationOptions options);

  Result<FederationOutcome> run(Driver& driver);

 private:
  Federation(const Plan& plan, const TrainerFactory& factory, FederationOptions options);

  Result<RootState> restore() override;
  Result<bool> published(const RoundReport& report, const ModelValues& model, TrainingPool& pool,
                         const DriverStatistics& statistics) override;
  void trained(std::uint64_t tasks) override;
  Status halted(const ModelValues& model) override;
  void noted(const NodeNote& note) override;
  void warned(const std::string& text) override;

  Status write(const Record& record);
  [[nodiscard]] bool on_virtual_clock() const;
  Status write_run_record(bool preamble, bool everywhere);
  Status replay();
  Status write_round_records(const RoundReport& report, const DriverStatistics& statistics);
  Status warn_once(const std::string& subject, const std::string& text);
  Status warn_of(const RoundReport& report);
  Status write_end_records(const DriverStatistics& statistics, const FederationOutcome& outcome);
  Status evaluate(const RoundReport& report, const ModelValues& model, TrainingPool& pool);
  Status save(const ModelValues& model);
  Status write_model_file(FederationOutcome& outcome);

  const Plan& plan_;
  const TrainerFactory& factory_;
  FederationOptions options_;
  CheckpointStore checkpoints_;
  std::unique_ptr<JsonLinesSink> records_;
  const Driver* driver_ = nullptr;  // while run() is under way
  bool restored_ = false;
  std::uint64_t tasks_this_round_ = 0;

  ModelValues model_;
  Round round_;
  Version version_;
  Round saved_;                   // newest checkpoint
  bool done_ = false;             // stopped at its accuracy
  double earlier_seconds_ = 0.0;  // of the rounds before a resume
  FederationOutcome::Kind kind_ = FederationOutcome::Kind::kFinished;
  Metrics last_metrics_;
  bool can_evaluate_ = true;
  Status note_error_;  // of records written between rounds
  std::set<std::string> warned_of_;

  // Since the last round record.
  using Clock = std::chrono::steady_clock;
  Clock::time_point start_ = Clock::now();
  Clock::time_point round_start_ = Clock::now();
  std::chrono::nanoseconds evaluate_time_{0};
  std::chrono::nanoseconds checkpoint_time_{0};
  std::optional<Evaluation> evaluation_;
  DriverStatistics before_;
};

}  // namespace tributary
