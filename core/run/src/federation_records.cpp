// SPDX-License-Identifier: Apache-2.0
// What a federation records of its run, its rounds and its end.
#include <fmt/chrono.h>
#include <fmt/format.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <ctime>
#include <map>
#include <utility>
#include <vector>

#include "record_values.hpp"
#include "tributary/base/version.hpp"
#include "tributary/run/federation.hpp"

namespace tributary {
namespace {

using internal::seconds;
using internal::set_metric;

std::string host_name() {
  std::array<char, 256> name{};
  return gethostname(name.data(), name.size() - 1) == 0 ? std::string(name.data()) : std::string("unknown");
}

std::uint64_t largest_memory_bytes() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<std::uint64_t>(usage.ru_maxrss) * 1024;
}

template <typename Value>
Value value_of(const std::map<std::uint32_t, Value>& values, std::uint32_t tier) {
  const auto found = values.find(tier);
  return found == values.end() ? Value{} : found->second;
}

// The rest of a share that was worked. Sums of seconds are rounded: what lies behind the ninth digit says nothing.
double idle_share(double worked) {
  constexpr double kDigits = 1e9;
  return std::min(std::max(0.0, std::round((1.0 - worked) * kDigits) / kDigits), 1.0);  // not -0
}

// All that clients report: base_NAME, of the model they received, becomes client_NAME, and any other NAME train_NAME.
void set_client_metrics(Record& record, const std::map<std::string, ScalarSum>& scalars) {
  static constexpr std::string_view kOfBase = "base_";
  for (const auto& [name, sum] : scalars) {
    std::string key = name.starts_with(kOfBase) ? fmt::format("client_{}", name.substr(kOfBase.size()))
                                                : fmt::format("train_{}", name);
    // A field of the round itself, such as train_seconds.
    if (record.find(key) != nullptr) { key += "_metric"; }
    record.set(key, sum.mean());
  }
}

// What clients have measured on samples that they hold out: NAME becomes holdout_NAME.
void set_evaluation(Record& record, const EvaluationReport& evaluation) {
  record.set("holdout_clients", evaluation.contributors).set("holdout_samples", evaluation.samples.value());
  for (const auto& [name, sum] : evaluation.scalars) {
    std::string key = fmt::format("holdout_{}", name);
    if (record.find(key) != nullptr) { key += "_metric"; }
    record.set(key, sum.mean());
  }
}

}  // namespace

bool Federation::on_virtual_clock() const {
  return driver_->name() == "simulation" && plan_.configuration().simulation.clock == SimulationConfig::Clock::kVirtual;
}

Record Federation::run_record() const {
  const Tree& tree = plan_.tree();
  const Configuration& configuration = plan_.configuration();
  Record record("run");
  record.set("name", configuration.name).set("seed", configuration.seed).set("rounds", configuration.rounds);
  record.set("clients", tree.clients()).set("aggregators", tree.size() - tree.clients() - 1);
  record.set("tiers", tree.height() + 1);
  record.set("parameters", static_cast<std::uint64_t>(plan_.spec().parameters()));
  record.set("payload_bytes", static_cast<std::uint64_t>(plan_.payload_bytes()));
  record.set("threads", driver_->threads()).set("processes", driver_->processes());
  record.set("driver", std::string(driver_->name()));
  record.set("clock", on_virtual_clock() ? "virtual" : "real");
  record.set("version", std::string(version_text())).set("configuration_digest", plan_.digest().hex());
  record.set("started", fmt::format("{:%FT%TZ}", fmt::gmtime(std::time(nullptr)))).set("host", host_name());
  if (options_.resume) { record.set("resumed_after", round_.value); }
  return record;
}

// Without what is measured.
std::vector<Record> Federation::round_records(const RoundReport& report, const DriverStatistics& statistics) {
  std::vector<Record> records;
  const auto now = Clock::now();
  const EdgeTraffic traffic = statistics.traffic.total() - before_.traffic.total();
  Record record("round");
  record.set("round", report.round.value).set("version", report.version.value);
  record.set("outcome", report.committed ? "committed" : "abandoned");
  record.set("seconds", seconds(now - round_start_));
  record.set("train_seconds", seconds(statistics.train_time - before_.train_time));
  record.set("merge_seconds", seconds(statistics.merge_time - before_.merge_time));
  record.set("evaluate_seconds", 0.0).set("checkpoint_seconds", seconds(checkpoint_time_));
  const double passed = seconds(statistics.clock - before_.clock);
  if (on_virtual_clock()) {
    record.set("virtual_seconds", passed);
    // No client works twice at a time, so the rest of their time was idle.
    const double there_was = passed * plan_.tree().clients();
    if (statistics.work_seconds > 0.0 && there_was > 0.0) {
      const double worked = statistics.work_seconds - before_.work_seconds;
      record.set("idle_share", idle_share(worked / there_was));
    }
  }
  // Those that go on working are not missing.
  const bool continuous = plan_.continuous(0);
  record.set("selected",
             continuous ? report.state.reported + report.state.failed + report.state.lost : report.state.asked);
  record.set("reported", report.state.reported);
  record.set("failed", report.state.failed + report.state.lost).set("late", report.late);
  record.set("rejected", report.refused).set("contributors", report.contributors);
  record.set("weight", report.weight.value());
  if (continuous) {
    record.set("commits", report.commits).set("working", report.state.expected());
    record.set("staleness_min", report.staleness.least).set("staleness_mean", report.staleness.mean());
    record.set("staleness_max", report.staleness.most);
  }
  record.set("bytes_down", traffic.bytes_down).set("bytes_up", traffic.bytes_up);
  set_client_metrics(record, report.scalars);
  if (report.evaluation) { set_evaluation(record, *report.evaluation); }
  records.push_back(std::move(record));
  if (continuous && report.committed) {
    std::vector<double> updates(report.staleness_counts.counts().begin(), report.staleness_counts.counts().end());
    while (updates.size() > 1 && updates.back() == 0.0) { updates.pop_back(); }
    records.push_back(Record("staleness").set("round", report.round.value).set("updates", std::move(updates)));
  }
  warn_of(report, records);
  for (const InputFile& input : inputs_->forget_changed()) {
    warn_once(records, report.round, "input " + input.key,
              fmt::format("{} ({}) has changed while the run went on: a resume does not compare it. That is right for "
                          "a file that the program writes; a changed program makes another model",
                          input.key, input.path.string()));
  }
  for (const auto& [tier, total] : statistics.traffic.tiers) {
    const auto earlier = before_.traffic.tiers.find(tier);
    const EdgeTraffic change = earlier == before_.traffic.tiers.end() ? total : total - earlier->second;
    Record line("tier");
    line.set("round", report.round.value).set("tier", tier).set("nodes", plan_.tree().tier_size(tier));
    line.set("messages", change.messages).set("bytes_down", change.bytes_down).set("bytes_up", change.bytes_up);
    line.set("merge_seconds",
             seconds(value_of(statistics.merge_by_tier, tier) - value_of(before_.merge_by_tier, tier)));
    if (on_virtual_clock() && passed > 0.0) {
      const double busy = value_of(statistics.busy_seconds, tier) - value_of(before_.busy_seconds, tier);
      line.set("idle_share", idle_share(busy / (passed * plan_.tree().tier_size(tier))));
    }
    records.push_back(std::move(line));
  }
  // Totals suffice to form the next round's differences; edges are recorded once, at the end.
  before_.traffic.tiers = statistics.traffic.tiers;
  before_.work_seconds = statistics.work_seconds;
  before_.busy_seconds = statistics.busy_seconds;
  before_.train_time = statistics.train_time;
  before_.merge_time = statistics.merge_time;
  before_.merge_by_tier = statistics.merge_by_tier;
  before_.clock = statistics.clock;
  checkpoint_time_ = {};
  round_start_ = now;
  tasks_this_round_ = 0;
  if (options_.on_progress) { options_.on_progress(0, plan_.clients_per_round()); }
  return records;
}

// At the end of a run whose model is less than its number of rounds says.
Record Federation::abandoned_warning() const {
  const auto& [round, why] = *abandoned_.rbegin();
  return Record("warning").set(
      "text", fmt::format("{} of {} rounds {} abandoned and changed nothing; the last of them was round {}{}{}",
                          abandoned_.size(), round_.value, abandoned_.size() == 1 ? "was" : "were", round.value,
                          why.empty() ? "" : ": ", why));
}

void Federation::warn_once(std::vector<Record>& records, Round round, const std::string& subject,
                           const std::string& text) {
  if (!warned_of_.emplace(subject, round).second) { return; }
  records.push_back(Record("warning").set("text", text).set("round", round.value).set("about", subject));
}

// What a round shows that makes its numbers less than they seem.
void Federation::warn_of(const RoundReport& report, std::vector<Record>& records) {
  // The grid of the sums follows from announced weights. It is meant to resolve a change of average weight to 2^-34:
  // eight bits of it lost are worth a word.
  constexpr double kCoarse = 0x1p-26;
  const bool meant_to_be_fine = plan_.configuration().algorithm.precision != AlgorithmConfig::Precision::kCompact;
  if (report.committed && meant_to_be_fine && report.resolution > kCoarse) {
    warn_once(records, report.round, "weight",
              fmt::format("the sums of round {} resolve the change of an average client to {:.1e} only: they were made "
                          "for a weight of {:g}, and {:g} came. Announce what clients weigh (trainer.weight_bound, or "
                          "TrainerFactory::weight_bound() of a library); where a few clients weigh far more than most "
                          "and a cohort leaves them out, cap them (algorithm.weighting: capped)",
                          report.round.value, report.resolution, report.weight_bound.value(), report.weight.value()));
  }
  const auto warn_of_left_out = [&](const std::map<std::string, ScalarSum>& scalars, const std::string& kind) {
    for (const auto& [name, sum] : scalars) {
      if (sum.left_out() == 0) { continue; }
      warn_once(records, report.round, kind + " " + name,
                fmt::format("in round {} the {} {} of {} clients was not a finite number below 2^36, and is left out "
                            "of its mean",
                            report.round.value, kind, name, sum.left_out()));
    }
  };
  warn_of_left_out(report.scalars, "metric");
  if (!report.evaluation) { return; }
  warn_of_left_out(report.evaluation->scalars, "held-out metric");
  if (report.evaluation->contributors == 0) {
    warn_once(records, report.round, "evaluation by clients",
              fmt::format("of the clients that were asked to evaluate the model of round {} none has answered",
                          report.round.value));
  }
}

// Records and the terminal show such a number as nothing at all.
void Federation::warn_of_metrics(const Metrics& metrics, std::vector<Record>& records) {
  for (const auto& [name, value] : metrics) {
    if (std::isfinite(value)) { continue; }
    warn_once(
        records, round_, fmt::format("held-out {}", name),
        fmt::format("in round {} the held-out {} is {}, not a finite number, and is recorded as null: the model's "
                    "outputs for some samples are not finite, or give the right class no chance at all",
                    round_.value, name,
                    std::isnan(value) ? "nan"
                    : value > 0.0     ? "inf"
                                      : "-inf"));
  }
}

Status Federation::write_end_records(const DriverStatistics& statistics, const FederationOutcome& outcome) {
  const Tree& tree = plan_.tree();
  if (tree.size() - 1 <= kMostEdgeRecords) {
    for (std::uint32_t n = 1; n < tree.size(); ++n) {
      const auto found = statistics.traffic.edges.find(NodeId{n});
      if (found == statistics.traffic.edges.end()) { continue; }
      Record record("edge");
      record.set("child", n).set("parent", tree.parent(NodeId{n}).value).set("child_name", tree.name(NodeId{n}));
      record.set("tier", tree.tier(NodeId{n})).set("messages", found->second.messages);
      record.set("bytes_down", found->second.bytes_down).set("bytes_up", found->second.bytes_up);
      record.set("send_seconds", seconds(found->second.send_time));
      record.set("wait_seconds", seconds(found->second.wait_time));
      TRIBUTARY_RETURN_IF_ERROR(write(record));
    }
  }
  std::vector<ProcessStatistics> processes = statistics.processes;
  if (processes.empty()) {
    processes.push_back({.host = host_name(),
                         .nodes = tree.size(),
                         .threads = driver_->threads(),
                         .tasks_trained = statistics.tasks_trained,
                         .train_time = statistics.train_time,
                         .merge_time = statistics.merge_time,
                         .wait_time = statistics.wait_time});
  }
  for (const ProcessStatistics& process : processes) {
    Record where("where");
    where.set("process", process.rank).set("host", process.host).set("rank", process.rank);
    where.set("nodes", process.nodes).set("threads", process.threads).set("clients_trained", process.tasks_trained);
    where.set("train_seconds", seconds(process.train_time)).set("merge_seconds", seconds(process.merge_time));
    where.set("send_seconds", seconds(process.send_time)).set("wait_seconds", seconds(process.wait_time));
    where.set("bytes_sent", process.bytes_sent).set("bytes_received", process.bytes_received);
    where.set("lost", process.lost);
    TRIBUTARY_RETURN_IF_ERROR(write(where));
  }
  Record end("end");
  end.set("outcome", std::string(to_string(outcome.kind))).set("rounds", round_.value).set("version", version_.value);
  end.set("seconds", earlier_seconds_ + seconds(outcome.wall_time));
  set_metric(end, "accuracy", last_metrics_, "accuracy");
  set_metric(end, "loss", last_metrics_, "loss");
  if (outcome.kind != FederationOutcome::Kind::kInterrupted) { end.set("model_sha256", outcome.model_file.hex()); }
  end.set("max_rss_bytes", largest_memory_bytes());
  TRIBUTARY_RETURN_IF_ERROR(write(end));
  TRIBUTARY_RETURN_IF_ERROR(records_->flush());
  for (RecordSink* const sink : options_.sinks) { TRIBUTARY_RETURN_IF_ERROR(sink->flush()); }
  return {};
}

}  // namespace tributary
