// SPDX-License-Identifier: Apache-2.0
#include "tributary/core/composition.hpp"

#include <algorithm>

namespace tributary {
namespace {

// More clients than this are summarised in the records; so many of them are looked at for it.
constexpr std::uint32_t kMostLabelRecords = 512;
constexpr std::uint32_t kMostSummarised = 10000;

}  // namespace

std::uint64_t Composition::samples(ClientIndex client) const {
  return partition ? partition->count(client) : 0;
}

std::vector<Record> Composition::label_records() const {
  std::vector<Record> records;
  if (!partition || !data.train) { return records; }
  const auto classes = static_cast<std::size_t>(data.train->classes);
  const std::uint32_t clients = std::min(partition->clients(), kMostSummarised);
  std::vector<double> mean(classes, 0.0);
  std::vector<double> least(classes, 0.0);
  std::vector<double> most(classes, 0.0);
  for (std::uint32_t client = 0; client < clients; ++client) {
    const std::vector<std::uint32_t> histogram =
        partition->histogram(ClientIndex{client}, data.train->labels, data.train->classes);
    const std::vector<double> counts(histogram.begin(), histogram.end());
    if (partition->clients() <= kMostLabelRecords) {
      records.push_back(Record("labels").set("client", client).set("counts", counts));
      continue;
    }
    for (std::size_t label = 0; label < classes; ++label) {
      mean[label] += counts[label] / clients;
      least[label] = client == 0 ? counts[label] : std::min(least[label], counts[label]);
      most[label] = std::max(most[label], counts[label]);
    }
  }
  if (records.empty()) {
    records.push_back(Record("labels_summary")
                          .set("classes", data.train->classes)
                          .set("clients", partition->clients())
                          .set("mean", std::move(mean))
                          .set("min", std::move(least))
                          .set("max", std::move(most)));
  }
  return records;
}

Result<Composition> compose(Configuration configuration, Tree tree, const ExtensionRegistry& extensions,
                            const TrainerRegistry& trainers) {
  Composition made;
  TRIBUTARY_ASSIGN_OR_RETURN(made.data, load_data(configuration));
  if (made.data.train) {
    TRIBUTARY_ASSIGN_OR_RETURN(Partition partition, make_partition(configuration, *made.data.train, tree.clients()));
    made.partition = std::make_shared<const Partition>(std::move(partition));
  }
  TRIBUTARY_ASSIGN_OR_RETURN(made.factory, trainers.make(configuration.trainer.kind, {.configuration = configuration,
                                                                                      .train = made.data.train,
                                                                                      .test = made.data.test,
                                                                                      .partition = made.partition,
                                                                                      .clients = tree.clients()}));
  // A file to start from is read now: a mistake in it should not wait for the run.
  if (!configuration.model.initial.empty()) {
    TRIBUTARY_RETURN_IF_ERROR(made.factory->initial_model(configuration.seed).status());
  }
  TRIBUTARY_ASSIGN_OR_RETURN(made.plan,
                             Plan::create(std::move(configuration), std::move(tree), *made.factory, extensions));
  return made;
}

Result<Composition> compose(Configuration configuration, Tree tree, const ExtensionRegistry& extensions,
                            std::unique_ptr<TrainerFactory> factory) {
  Composition made;
  made.factory = std::move(factory);
  TRIBUTARY_ASSIGN_OR_RETURN(made.plan,
                             Plan::create(std::move(configuration), std::move(tree), *made.factory, extensions));
  return made;
}

}  // namespace tributary
