// SPDX-License-Identifier: Apache-2.0
#include "commands/catalog.hpp"

namespace tributary::cli {

std::span<const CatalogSection> configuration_catalog() {
  static const std::vector<CatalogSection> sections{
      {"algorithms",
       "algorithm.kind",
       {{"fedavg", "several local steps or epochs per round, then the weighted mean (McMahan et al. 2017)"},
        {"fedsgd", "one step on all of a client's samples per round"},
        {"qfedavg", "FedAvg in which clients on which the model does badly count for more (Li et al. 2020)"},
        {"scaffold", "control variates take out what sets clients' data apart (Karimireddy et al. 2020)"},
        {"mtgc", "the same on each edge of the tree (Fang et al. 2024)"},
        {"feddyn", "each client's pull follows what it has sent (Acar et al. 2021)"},
        {"fedprox", "FedAvg with a pull towards the round's model (Li et al. 2020)"},
        {"fednova", "FedAvg of changes divided by the steps that made them (Wang et al. 2020)"}}},
      {"weightings",
       "algorithm.weighting",
       {{"samples", "a client counts for the samples it trained on"},
        {"uniform", "every client counts the same"},
        {"capped", "samples, but at most algorithm.weight_cap"}}},
      {"topologies",
       "topology",
       {{"star", "all clients directly below the root"},
        {"widths", "so many nodes per tier: [4, 32]"},
        {"branching", "so many children everywhere; with height or clients"},
        {"sites", "one aggregator per site, with its clients"},
        {"nodes", "the nodes themselves, written in the configuration"},
        {"file", "a YAML, JSON, edge list or adjacency matrix file"}}},
      {"data-sources",
       "data.source",
       {{"fashion-mnist", "60,000 + 10,000 images of clothes, Debian package dataset-fashion-mnist"},
        {"idx", "images and labels in the MNIST format, plain or .gz"},
        {"csv", "a table with a label column and, if wanted, a column of natural ids"},
        {"safetensors", "tensors `features` and `labels`"},
        {"synthetic", "Gaussian blobs, made when needed"},
        {"none", "no data: the trainer brings its own, or needs none"}}},
      {"partitions",
       "data.partition.kind",
       {{"iid", "shuffled and split evenly"},
        {"label-dirichlet", "each class is spread by Dirichlet(alpha): uneven labels"},
        {"count-dirichlet", "sizes from Dirichlet(beta): uneven amounts, even labels"},
        {"shards", "sorted by label, cut, dealt: few labels per client"},
        {"natural", "by the ids in the data: one writer, patient or site each"},
        {"draw", "every client draws its own samples; clients may overlap"}}},
      {"optimizers",
       "trainer.optimizer.kind",
       {{"sgd", "with momentum, Nesterov and weight decay if wanted"},
        {"adam", "Adam (Kingma and Ba 2015)"},
        {"adamw", "Adam with decoupled weight decay (Loshchilov and Hutter 2019)"}}},
      {"schedules",
       "trainer.optimizer.schedule.kind",
       {{"constant", "the same rate in all rounds"},
        {"step", "times gamma every so many rounds"},
        {"exponential", "times gamma every round"},
        {"cosine", "down to final_lr at the last round"}}},
  };
  return sections;
}

}  // namespace tributary::cli
