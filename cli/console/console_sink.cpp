// SPDX-License-Identifier: Apache-2.0
#include "console/console_sink.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <iterator>
#include <limits>
#include <utility>

#include "tributary/base/human.hpp"
#include "tributary/base/printable.hpp"

namespace tributary {
namespace {

constexpr double kAbsent = std::numeric_limits<double>::quiet_NaN();
constexpr std::string_view kEraseLine = "\r\x1b[2K";
constexpr std::size_t kBarCells = 28;
constexpr std::size_t kSparkCells = 24;

struct Column {
  std::string_view title;
  std::size_t width;
};

enum ColumnIndex : std::size_t { kRound, kAccuracy, kLoss, kTrainLoss, kClients, kTime, kMoved };

constexpr std::array<Column, 7> kColumns{
    {{"round", 9}, {"accuracy", 9}, {"loss", 9}, {"train loss", 10}, {"clients", 13}, {"time", 12}, {"moved", 9}}};
constexpr std::string_view kGap = "  ";

std::uint64_t count_of(const Record& record, std::string_view key) {
  return saturated_count(record.number(key));
}

// All 64 bits of it, which a double would round.
std::string seed_text(const Record& run) {
  const Record::Value* const seed = run.find("seed");
  if (const auto* large = std::get_if<std::uint64_t>(seed); large != nullptr) { return fmt::format("{}", *large); }
  if (const auto* small = std::get_if<std::int64_t>(seed); small != nullptr) { return fmt::format("{}", *small); }
  return fmt::format("{:.0f}", run.number("seed"));
}

// Names, details and errors may be those of files and other machines: nothing of them may steer the terminal.
Record printable(const Record& record) {
  Record shown(record.event());
  for (const auto& [key, value] : record.fields()) {
    const auto* const text = std::get_if<std::string>(&value);
    shown.set(printable_text(key), text == nullptr ? value : Record::Value{printable_lines(*text)});
  }
  return shown;
}

// Where the root holds nothing out, the accuracy that clients report; marked, as each measures on samples of its own.
std::string reported_accuracy(const Record& round) {
  for (const std::string_view key : {"holdout_accuracy", "train_accuracy", "client_accuracy"}) {
    const double accuracy = round.number(key, kAbsent);
    if (std::isfinite(accuracy)) { return fmt::format("~{}", human_accuracy(accuracy)); }
  }
  return "–";
}

// What clients report beside the loss of their training, which has a column.
std::vector<std::pair<std::string, double>> client_metrics(const Record& round) {
  std::vector<std::pair<std::string, double>> metrics;
  for (const auto& field : round.fields()) {
    const std::string& key = field.first;
    const bool of_clients = key.starts_with("train_") || key.starts_with("client_") || key.starts_with("holdout_");
    const bool has_a_place = key == "train_seconds" || key == "train_loss" || key == "holdout_clients";
    if (!of_clients || has_a_place || key == "holdout_samples") { continue; }
    if (const double value = round.number(key, kAbsent); std::isfinite(value)) { metrics.emplace_back(key, value); }
  }
  return metrics;
}

// "– " and block characters where the output has no UTF-8.
std::string ascii_if(bool ascii, std::string text) {
  if (!ascii) { return text; }
  constexpr std::array<std::pair<std::string_view, std::string_view>, 5> kReplacements{
      {{"–", "-"}, {"─", "-"}, {"·", "|"}, {"µ", "u"}, {"…", "..."}}};
  for (const auto& [from, to] : kReplacements) {
    for (std::size_t at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size())) {
      text.replace(at, from.size(), to);
    }
  }
  return text;
}

}  // namespace

ConsoleSink::ConsoleSink(std::ostream& out, std::ostream& notes, ConsoleOptions options)
    : out_(out), notes_(notes), options_(options), paint_(options.out.color), notes_paint_(options.notes.color) {}

ConsoleSink::~ConsoleSink() {
  remove_bar();
}

Status ConsoleSink::write(const Record& given) {
  const Record record = printable(given);
  const std::string& event = record.event();
  if (event == "run") {
    write_header(record);
  } else if (event == "round") {
    write_round(record);
  } else if (event == "where") {
    account_.add_process(record);
  } else if (event == "end") {
    write_end(record);
  } else if (event == "warning") {
    write_note(notes_paint_.yellow("warning:"), record.text("text"));
  } else if (event == "fault") {
    ++faults_[std::string(record.text("kind"))];
    if (options_.show_faults) {
      write_note(notes_paint_.yellow(fmt::format("fault in round {}:", count_of(record, "round"))),
                 fmt::format("{} at {}: {}", record.text("kind"), record.text("node"), record.text("detail")));
    }
  }
  if (!out_) { return io_error("cannot write the table of rounds: the output was closed"); }
  return ok_status();
}

Status ConsoleSink::flush() {
  out_.flush();
  notes_.flush();
  if (!out_) { return io_error("cannot write the table of rounds: the output was closed"); }
  return ok_status();
}

void ConsoleSink::write_header(const Record& run) {
  remove_bar();
  rounds_asked_ = count_of(run, "rounds");
  account_.set_run(run);
  if (options_.only_end) { return; }
  const bool ascii = !options_.out.utf8;
  std::string facts;
  const auto fact = [&facts](const std::string& text) { facts += (facts.empty() ? "" : " · ") + text; };
  if (run.find("tiers") != nullptr) { fact(human_plural(count_of(run, "tiers"), "tier")); }
  if (count_of(run, "aggregators") > 0) { fact(human_plural(count_of(run, "aggregators"), "aggregator")); }
  if (run.find("clients") != nullptr) { fact(human_plural(count_of(run, "clients"), "client")); }
  if (run.find("parameters") != nullptr) { fact(human_plural(count_of(run, "parameters"), "parameter")); }
  if (count_of(run, "processes") > 1) {
    // Each rank has as many threads as this one.
    fact(fmt::format("{} with {} each", human_plural(count_of(run, "processes"), "rank"),
                     human_plural(count_of(run, "threads"), "thread")));
  } else if (run.number("threads") > 0) {
    fact(human_plural(count_of(run, "threads"), "thread"));
  }
  if (run.find("seed") != nullptr) { fact("seed " + seed_text(run)); }
  out_ << '\n' << ' ' << paint_.bold(run.text("name")) << "  " << paint_.dim(ascii_if(ascii, facts)) << "\n\n";
  std::string titles;
  std::string rule;
  for (const Column& column : kColumns) {
    titles += kGap;
    titles += pad_left(column.title, column.width);
    rule += kGap;
    for (std::size_t i = 0; i < column.width; ++i) { rule += ascii ? "-" : "─"; }
  }
  out_ << paint_.bold(titles) << '\n' << paint_.dim(rule) << '\n';
  if (run.find("resumed_after") != nullptr) { write_earlier_rounds(run); }
  started_ = true;
  draw_bar();
}

Status ConsoleSink::replay(const Record& given) {
  const Record record = printable(given);
  if (record.event() == "round") {
    if (first_replayed_ == 0) { first_replayed_ = count_of(record, "round"); }
    count_round(record);
    replayed_seconds_ += record.number("seconds");
    replayed_bytes_ += record.number("bytes_down") + record.number("bytes_up");
    // The row shows what was measured last, which not every round does.
    Record merged = record;
    for (const std::string_view field : {"accuracy", "loss", "train_loss"}) {
      const Record::Value* const before = last_replayed_.find(field);
      if (record.find(field) == nullptr && before != nullptr) { merged.set(field, *before); }
    }
    last_replayed_ = std::move(merged);
  } else if (record.event() == "fault") {
    ++faults_[std::string(record.text("kind"))];
  }
  return ok_status();
}

void ConsoleSink::write_earlier_rounds(const Record& run) {
  const std::uint64_t last = count_of(run, "resumed_after");
  if (last == 0 || first_replayed_ == 0) {
    write_note("note:", "there is no checkpoint yet: the run starts from its beginning");
    return;
  }
  last_replayed_.set("seconds", replayed_seconds_).set("bytes_down", replayed_bytes_).set("bytes_up", 0.0);
  write_row(last_replayed_,
            first_replayed_ == last ? fmt::format("{}", last) : fmt::format("{}–{}", first_replayed_, last), false,
            "before; resumed here");
}

void ConsoleSink::count_round(const Record& round) {
  round_ = count_of(round, "round");
  account_.add_round(round);
  totals_.virtual_seconds += round.number("virtual_seconds");
  totals_.idle_seconds += round.number("virtual_seconds") * round.number("idle_share");
  totals_.bytes_down += round.number("bytes_down");
  totals_.bytes_up += round.number("bytes_up");
  totals_.failed += round.number("failed");
  totals_.late += round.number("late");
  totals_.rejected += round.number("rejected");
  if (round.text("outcome") == "abandoned") { ++totals_.abandoned; }
  if (auto metrics = client_metrics(round); !metrics.empty()) { client_metrics_ = std::move(metrics); }
  const double accuracy = round.number("accuracy", kAbsent);
  if (!std::isfinite(accuracy)) { return; }
  accuracies_.push_back(accuracy);
  if (accuracy > best_accuracy_) {
    best_accuracy_ = accuracy;
    best_round_ = round_;
  }
}

void ConsoleSink::write_round(const Record& round) {
  remove_bar();
  ++rounds_here_;
  ahead_ = false;
  seconds_here_ += round.number("seconds");
  const double best_before = best_accuracy_;
  count_round(round);
  if (options_.only_end) { return; }
  write_row(round, rounds_asked_ > 0 ? fmt::format("{}/{}", round_, rounds_asked_) : fmt::format("{}", round_),
            best_accuracy_ > best_before, round.text("outcome") == "abandoned" ? "abandoned" : "");
  draw_bar();
}

void ConsoleSink::write_row(const Record& round, const std::string& rounds, bool best, std::string_view remark) {
  const std::uint64_t selected = count_of(round, "selected");
  const std::uint64_t reported = count_of(round, "reported");
  std::array<std::string, kColumns.size()> cells;
  cells[kRound] = rounds;
  const double accuracy = round.number("accuracy", kAbsent);
  cells[kAccuracy] = std::isfinite(accuracy) ? human_accuracy(accuracy) : reported_accuracy(round);
  cells[kLoss] = human_metric(round.number("loss", kAbsent));
  cells[kTrainLoss] = human_metric(round.number("train_loss", kAbsent));
  cells[kClients] = human_count(count_of(round, "contributors"));
  // Of the children asked at the root, some are missing.
  if (reported < selected) { cells[kClients] += fmt::format(" ({}/{})", reported, selected); }
  cells[kTime] = human_duration(round.number("seconds"));
  cells[kMoved] = human_bytes(round.number("bytes_down") + round.number("bytes_up"));

  std::string line;
  for (std::size_t i = 0; i < kColumns.size(); ++i) {
    std::string cell = pad_left(cells.at(i), kColumns.at(i).width);
    if (i == kAccuracy && best) { cell = paint_.bold_green(cell); }
    if (i == kClients && reported < selected) { cell = paint_.yellow(cell); }
    if (cells.at(i) == "–") { cell = paint_.dim(cell); }
    line += kGap;
    line += cell;
  }
  if (!remark.empty()) {
    line += kGap;
    line += paint_.yellow(remark);
  }
  out_ << ascii_if(!options_.out.utf8, std::move(line)) << '\n';
  out_.flush();
}

void ConsoleSink::write_end(const Record& end) {
  remove_bar();
  started_ = false;
  const bool utf8 = options_.out.utf8;
  const auto row = [this, utf8](std::string_view label, const std::string& text) {
    out_ << "  " << paint_.dim(pad_right(label, 10)) << ascii_if(!utf8, text) << '\n';
  };
  const std::string outcome(end.text("outcome"));
  const std::string shown = outcome == "finished" || outcome == "stopped" ? paint_.bold_green(outcome)
                            : outcome == "failed"                         ? paint_.red(outcome)
                                                                          : paint_.yellow(outcome);
  if (!options_.only_end) { out_ << '\n'; }
  row("outcome", fmt::format("{} after {} in {}", shown, human_plural(count_of(end, "rounds"), "round"),
                             human_duration(end.number("seconds", account_.seconds()))));
  if (!end.text("error").empty()) { row("because", std::string(end.text("error"))); }
  if (const double accuracy = end.number("accuracy", kAbsent); std::isfinite(accuracy)) {
    std::string text = paint_.bold(human_accuracy(accuracy));
    if (accuracies_.size() > 1) { text += "  " + paint_.cyan(sparkline(accuracies_, kSparkCells, utf8)); }
    if (best_accuracy_ > accuracy) {
      text += fmt::format("  best {} in round {}", human_accuracy(best_accuracy_), best_round_);
    }
    row("accuracy", text);
  }
  if (const double loss = end.number("loss", kAbsent); std::isfinite(loss)) { row("loss", human_metric(loss)); }
  if (!client_metrics_.empty()) {
    static constexpr std::size_t kMostShown = 6;
    std::string text;
    for (std::size_t i = 0; i < std::min(client_metrics_.size(), kMostShown); ++i) {
      text += fmt::format("{}{} {}", i == 0 ? "" : " · ", client_metrics_[i].first,
                          human_metric(client_metrics_[i].second));
    }
    if (client_metrics_.size() > kMostShown) { text += " · …"; }
    row("clients", text + "  (as they report it)");
  }
  if (const double moved = totals_.bytes_down + totals_.bytes_up; moved > 0) {
    row("moved", fmt::format("{}  ({} down, {} up)", human_bytes(moved), human_bytes(totals_.bytes_down),
                             human_bytes(totals_.bytes_up)));
  }
  if (const double seconds = account_.seconds(); seconds > 0) {
    const TimeShares shares = account_.shares();
    row("time",
        fmt::format("training {} · merging {} · evaluation {} · checkpoints {}",
                    human_percent(shares.training / seconds, 1), human_percent(shares.merging / seconds, 1),
                    human_percent(shares.evaluation / seconds, 1), human_percent(shares.checkpoints / seconds, 1)));
  }
  if (totals_.virtual_seconds > 0) {
    const std::string idle = totals_.idle_seconds > 0
                                 ? fmt::format(", in which clients idled {}",
                                               human_percent(totals_.idle_seconds / totals_.virtual_seconds, 1))
                                 : std::string();
    row("simulated", human_duration(totals_.virtual_seconds) + idle);
  }
  std::string troubles;
  const auto trouble = [&troubles](double count, std::string_view what) {
    if (count > 0) {
      troubles += fmt::format("{}{} {}", troubles.empty() ? "" : " · ", human_count(saturated_count(count)), what);
    }
  };
  trouble(totals_.failed, "failed");
  trouble(totals_.late, "late");
  trouble(totals_.rejected, "rejected");
  trouble(static_cast<double>(totals_.abandoned), totals_.abandoned == 1 ? "round abandoned" : "rounds abandoned");
  for (const auto& [kind, count] : faults_) { trouble(static_cast<double>(count), "x " + kind); }
  if (!troubles.empty()) { row("troubles", paint_.yellow(troubles)); }
  if (const double memory = end.number("max_rss_bytes"); memory > 0) {
    row("memory", human_bytes(memory) + " at most");
  }
  if (const std::string_view digest = end.text("model_sha256"); !digest.empty()) {
    row("model", fmt::format("version {}  sha256 {}…", count_of(end, "version"), digest.substr(0, 16)));
  }
  if (!options_.only_end) { out_ << '\n'; }
  out_.flush();
}

void ConsoleSink::write_note(std::string_view label, std::string_view text) {
  if (options_.logged) { return; }
  remove_bar();
  out_.flush();
  notes_ << label << ' ' << text << '\n';
  notes_.flush();
  draw_bar();
}

void ConsoleSink::show_tasks(std::uint64_t done, std::uint64_t of) {
  if (done == 0 && tasks_done_ > 0) { ahead_ = true; }
  tasks_done_ = done;
  tasks_ = of;
  draw_bar();
}

std::string ConsoleSink::bar_text() const {
  if (rounds_asked_ == 0) { return {}; }
  const bool utf8 = options_.notes.utf8;
  const double within = tasks_ > 0 ? static_cast<double>(tasks_done_) / static_cast<double>(tasks_) : 0.0;
  const std::uint64_t trained = round_ + (ahead_ ? 1 : 0);
  const double share = std::min(1.0, (static_cast<double>(trained) + within) / static_cast<double>(rounds_asked_));
  const auto filled = static_cast<std::size_t>(share * static_cast<double>(kBarCells));
  std::string done;
  std::string open;
  for (std::size_t i = 0; i < kBarCells; ++i) {
    if (i < filled) {
      done += utf8 ? "━" : "#";
    } else {
      open += utf8 ? "━" : (options_.notes.color ? "." : "-");
    }
  }
  if (utf8 && !options_.notes.color) { open.assign(kBarCells - filled, ' '); }
  const std::string place = fmt::format(" {:3.0f} %  round {}/{}", std::floor(share * 100.0),
                                        std::min(trained + 1, rounds_asked_), rounds_asked_);
  std::string text = fmt::format("  {}{}{}", notes_paint_.green(done), notes_paint_.dim(open), place);
  std::size_t width = 2 + kBarCells + place.size();
  if (tasks_ > 0) {
    const std::string tasks = fmt::format("  {}/{} tasks", tasks_done_, tasks_);
    width += tasks.size();
    if (width < options_.notes.columns) { text += notes_paint_.dim(tasks); }
  }
  if (rounds_here_ > 0 && rounds_asked_ > trained) {
    const double left =
        seconds_here_ / static_cast<double>(rounds_here_) * (static_cast<double>(rounds_asked_ - trained) - within);
    if (left >= 1.0) {
      const std::string remaining = fmt::format("  {} left", human_duration(std::ceil(left)));
      width += display_width(remaining);
      if (width < options_.notes.columns) { text += remaining; }
    }
  }
  return text;
}

void ConsoleSink::draw_bar() {
  if (!options_.notes.interactive || !started_) { return; }
  std::string text = bar_text();
  if (text == bar_) { return; }
  notes_ << kEraseLine << text;
  notes_.flush();
  bar_ = std::move(text);
}

void ConsoleSink::remove_bar() {
  if (bar_.empty()) { return; }
  notes_ << kEraseLine;
  notes_.flush();
  bar_.clear();
}

}  // namespace tributary
