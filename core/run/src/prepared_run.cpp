// SPDX-License-Identifier: Apache-2.0
#include "tributary/run/prepared_run.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <span>
#include <utility>
#include <variant>

#include "node_settings.hpp"
#include "tributary/base/duration.hpp"
#include "tributary/nodes/finite.hpp"
#include "tributary/run/checkpoint.hpp"
#include "tributary/training/training_time.hpp"

namespace tributary {
namespace {

// More clients than this are summarised in the records; so many of them are looked at for it.
constexpr std::uint32_t kMostLabelRecords = 512;
constexpr std::uint32_t kMostSummarised = 10000;
constexpr std::size_t kMostClassRecords = 1000;

// A task that takes longer than the virtual clock can count would stand for any other.
Status check_virtual_time(const PreparedRun& made) {
  const Configuration& configuration = made.plan.configuration();
  const double per_sample = configuration.simulation.compute_seconds_per_sample;
  const Tree& tree = made.plan.tree();
  for (std::uint32_t client = 0; per_sample > 0.0 && client < tree.clients(); ++client) {
    const std::uint64_t samples = made.samples(ClientIndex{client});
    if (made.training_time(ClientIndex{client}) < kEndOfTime) { continue; }
    return configuration_error(fmt::format(
        "simulation.compute_seconds_per_sample is {:g}: with it one task of {} ({} samples) would take {:g} s, and the "
        "virtual clock ends after {:g} s, which is 292 years: lower it",
        per_sample, tree.name(tree.client_node(ClientIndex{client})), samples,
        per_sample * made.speeds.slowness(ClientIndex{client}) * samples_of_task(configuration, samples),
        std::chrono::duration<double>(kEndOfTime).count()));
  }
  return {};
}

// Texts of a file that may not be UTF-8.
std::string dumped(const nlohmann::json& json) {
  return json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

// How labels are spread: one record per client, or a summary for many.
void add_label_records(const PreparedRun& made, std::vector<Record>& records) {
  const Partition& partition = *made.partition;
  const Dataset& train = *made.data.train;
  const auto classes = static_cast<std::size_t>(train.classes);
  const std::uint32_t clients = std::min(partition.clients(), kMostSummarised);
  std::vector<double> mean(classes, 0.0);
  std::vector<double> least(classes, 0.0);
  std::vector<double> most(classes, 0.0);
  for (std::uint32_t client = 0; client < clients; ++client) {
    const std::vector<std::uint32_t> histogram = partition.histogram(ClientIndex{client}, train.labels, train.classes);
    std::vector<double> counts(histogram.begin(), histogram.end());
    if (partition.clients() <= kMostLabelRecords) {
      Record& record = records.emplace_back("labels").set("client", client).set("counts", std::move(counts));
      if (!made.client_ids.empty()) { record.set("ids", fmt::format("{}", fmt::join(made.client_ids[client], ", "))); }
      continue;
    }
    for (std::size_t label = 0; label < classes; ++label) {
      mean[label] += counts[label] / clients;
      least[label] = client == 0 ? counts[label] : std::min(least[label], counts[label]);
      most[label] = std::max(most[label], counts[label]);
    }
  }
  if (partition.clients() <= kMostLabelRecords) { return; }
  records.push_back(Record("labels_summary")
                        .set("classes", train.classes)
                        .set("clients", partition.clients())
                        .set("mean", std::move(mean))
                        .set("min", std::move(least))
                        .set("max", std::move(most)));
}

}  // namespace

std::chrono::nanoseconds PreparedRun::training_time(ClientIndex client) const {
  return tributary::training_time(plan.configuration(), speeds.slowness(client), samples(client));
}

std::chrono::nanoseconds PreparedRun::evaluation_time(ClientIndex client) const {
  return tributary::evaluation_time(plan.configuration(), speeds.slowness(client), factory->holdout_samples(client));
}

std::uint64_t PreparedRun::samples(ClientIndex client) const {
  return partition ? partition->count(client) : 0;
}

Digest PreparedRun::data_digest() const {
  if (!data.train && !data.test) { return {}; }
  Hasher hasher;
  for (const SharedDataset& dataset : {data.train, data.test}) {
    if (!dataset) { continue; }
    std::visit([&hasher](const auto& features) { hasher.update(std::as_bytes(std::span(features))); },
               dataset->features);
    hasher.update(std::as_bytes(std::span(dataset->labels)));
    hasher.update(std::as_bytes(std::span(dataset->natural_ids)));
    for (const std::string& name : dataset->id_names) { hasher.update(name + '\n'); }
  }
  return hasher.finish();
}

std::vector<Record> PreparedRun::data_records() const {
  std::vector<Record> records;
  for (const std::string& text : warnings) { records.push_back(Record("warning").set("text", text)); }
  if (!partition || !data.train) { return records; }
  const std::vector<std::string>& names = data.train->class_names;
  for (std::size_t i = 0; i < std::min(names.size(), kMostClassRecords); ++i) {
    records.push_back(Record("class").set("class", i).set("name", names[i]));
  }
  add_label_records(*this, records);
  return records;
}

SafetensorsMetadata PreparedRun::model_metadata() const {
  SafetensorsMetadata metadata;
  if (!data.train) { return metadata; }
  if (!data.train->class_names.empty()) { metadata["tributary.classes"] = dumped(data.train->class_names); }
  if (!client_ids.empty() && client_ids.size() <= kMostLabelRecords) {
    metadata["tributary.client_ids"] = dumped(client_ids);
  }
  return metadata;
}

std::vector<std::string> PreparedRun::all_warnings() const {
  std::vector<std::string> all = warnings;
  for (std::string& warning : factory->warnings()) { all.push_back(std::move(warning)); }
  return all;
}

Result<PreparedRun> prepare_run(Configuration configuration, Tree tree, const ExtensionRegistry& extensions,
                                const TrainerRegistry& trainers) {
  TRIBUTARY_RETURN_IF_ERROR(internal::check_node_settings(tree, configuration.trainer));
  PreparedRun made;
  made.inputs = input_files(configuration);
  TRIBUTARY_ASSIGN_OR_RETURN(made.data, load_data(configuration));
  if (made.data.train) {
    TRIBUTARY_ASSIGN_OR_RETURN(DataSpread spread, make_partition(configuration, *made.data.train, tree));
    made.partition = std::make_shared<const Partition>(std::move(spread.partition));
    made.client_ids = std::move(spread.client_ids);
    made.warnings = made.data.warnings;
    if (!spread.warning.empty()) { made.warnings.push_back(std::move(spread.warning)); }
  }
  TRIBUTARY_ASSIGN_OR_RETURN(made.factory, trainers.make(configuration.trainer.kind, {.configuration = configuration,
                                                                                      .train = made.data.train,
                                                                                      .test = made.data.test,
                                                                                      .partition = made.partition,
                                                                                      .clients = tree.clients()}));
  // A file to start from is read now: a mistake in it should not wait for the run.
  if (!configuration.model.initial.empty()) {
    TRIBUTARY_RETURN_IF_ERROR(
        check_if_checkpoint(real_file_system(), configuration.resolve(configuration.model.initial))
            .with_context("model.initial"));
    TRIBUTARY_ASSIGN_OR_RETURN(const std::vector<float> initial, made.factory->initial_model(configuration.seed));
    const ParameterSpec& spec = made.factory->spec();
    if (initial.size() != spec.parameters()) {
      return invalid_argument(fmt::format("model.initial: the trainer made {} values of it, its spec says {}",
                                          initial.size(), spec.parameters()));
    }
    if (const std::string trouble = describe_not_finite(spec, initial); !trouble.empty()) {
      return bad_data(fmt::format("model.initial: {}: {}; a run starts from finite numbers",
                                  configuration.resolve(configuration.model.initial).string(), trouble));
    }
  }
  TRIBUTARY_ASSIGN_OR_RETURN(made.plan,
                             Plan::create(std::move(configuration), std::move(tree), *made.factory, extensions));
  TRIBUTARY_ASSIGN_OR_RETURN(made.speeds, DeviceSpeeds::create(made.plan.configuration(), made.plan.tree()));
  TRIBUTARY_RETURN_IF_ERROR(check_virtual_time(made));
  if (const std::string& why = made.plan.evaluation_obstacle(); !why.empty()) {
    made.warnings.push_back("what clients hold out is not used: " + why);
  }
  return made;
}

Result<PreparedRun> prepare_run(Configuration configuration, Tree tree, const ExtensionRegistry& extensions,
                                std::unique_ptr<TrainerFactory> factory) {
  TRIBUTARY_RETURN_IF_ERROR(internal::check_node_settings(tree, configuration.trainer));
  PreparedRun made;
  made.inputs = input_files(configuration);
  made.factory = std::move(factory);
  TRIBUTARY_ASSIGN_OR_RETURN(made.plan,
                             Plan::create(std::move(configuration), std::move(tree), *made.factory, extensions));
  TRIBUTARY_ASSIGN_OR_RETURN(made.speeds, DeviceSpeeds::create(made.plan.configuration(), made.plan.tree()));
  return made;
}

}  // namespace tributary
