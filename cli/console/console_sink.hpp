// SPDX-License-Identifier: Apache-2.0
// A run on the screen: a header, one aligned line per round, a closing block; on a terminal also a progress bar.
//
// Outputs:  results go to `out`; the progress bar, warnings and faults to `notes`, so that a redirected `out` stays a
//           plain table. Both outlive the sink.
// Threads:  one at a time.
// Errors:   kIo when `out` has gone bad (a closed pipe).
#pragma once

#include <array>
#include <cstdint>
#include <limits>
#include <map>
#include <ostream>
#include <string>
#include <vector>

#include "tributary/base/status.hpp"
#include "tributary/base/terminal.hpp"
#include "tributary/run/record.hpp"
#include "tributary/run/time_shares.hpp"

namespace tributary {

struct ConsoleOptions {
  TerminalTraits out;
  TerminalTraits notes;
  bool show_faults = false;  // one line each; otherwise only their number at the end
  bool only_end = false;     // the summary at the end and warnings, without the table
  bool logged = false;       // warnings and faults are log lines on `notes`, so they are not written again
};

class ConsoleSink final : public RecordSink {
 public:
  ConsoleSink(std::ostream& out, std::ostream& notes, ConsoleOptions options);
  // Removes the progress bar.
  ~ConsoleSink() override;
  ConsoleSink(const ConsoleSink&) = delete;
  ConsoleSink& operator=(const ConsoleSink&) = delete;

  Status write(const Record& given) override;
  // Adds up what was before a resume; the next header is followed by one row for it.
  Status replay(const Record& given) override;
  Status flush() override;

  // Within the round that trains: `done` of `of` tasks; 0 again when the next one begins, which may be before the
  // record of the one before is there. Cheap: draws only what changes on the screen.
  void show_tasks(std::uint64_t done, std::uint64_t of);

 private:
  void write_header(const Record& run);
  void write_round(const Record& round);
  void count_round(const Record& round);
  void write_row(const Record& round, const std::string& rounds, bool best, std::string_view remark);
  void write_earlier_rounds(const Record& run);
  void write_end(const Record& end);
  void write_note(std::string_view label, std::string_view text);
  void draw_bar();
  void remove_bar();
  [[nodiscard]] std::string bar_text() const;

  std::ostream& out_;
  std::ostream& notes_;
  ConsoleOptions options_;
  Paint paint_;
  Paint notes_paint_;

  std::uint64_t rounds_asked_ = 0;
  std::uint64_t round_ = 0;
  std::uint64_t rounds_here_ = 0;  // since this process started: the base of the remaining time
  double seconds_here_ = 0.0;
  TimeAccount account_;
  std::uint64_t tasks_done_ = 0;
  std::uint64_t tasks_ = 0;
  bool ahead_ = false;  // the round after `round_` has trained, and its record is yet to come
  bool started_ = false;
  std::string bar_;  // as it stands on the screen

  struct Totals {
    double virtual_seconds = 0.0;
    double idle_seconds = 0.0;  // of those, the part of all clients' time
    double bytes_down = 0.0;
    double bytes_up = 0.0;
    double failed = 0.0;
    double late = 0.0;
    double rejected = 0.0;
    std::uint64_t abandoned = 0;
  } totals_;
  std::vector<double> accuracies_;
  std::vector<std::pair<std::string, double>> client_metrics_;  // of the newest round
  double best_accuracy_ = -std::numeric_limits<double>::infinity();
  std::uint64_t best_round_ = 0;
  std::map<std::string, std::uint64_t> faults_;

  // Before a resume.
  std::uint64_t first_replayed_ = 0;
  Record last_replayed_{"round"};
  double replayed_seconds_ = 0.0;
  double replayed_bytes_ = 0.0;
};

}  // namespace tributary
