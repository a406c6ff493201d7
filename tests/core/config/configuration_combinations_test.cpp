// SPDX-License-Identifier: Apache-2.0
// What is said about keys that do not go together: whole messages.
#include "support/wrong_configuration.hpp"

namespace tributary {
namespace {

const std::vector<WrongConfiguration> kMistakesOfCombination{
    {"TopologyWithoutAWay",
     "schema: 1\ntopology: {}\n",
     {},
     "c.yaml:2:11: topology must say what the tree is: by star, widths, branching with height or clients, "
     "file, sites or nodes"},
    {"TwoWaysForTheTree",
     "schema: 1\ntopology:\n  star: 4\n  widths: [2, 4]\n",
     {},
     "c.yaml:4:3: topology.star and topology.widths exclude each other; keep one"},
    {"HeightWithoutBranching",
     "schema: 1\ntopology: {height: 2}\n",
     {},
     "c.yaml:2:20: topology.height needs topology.branching beside it"},
    {"BranchingAlone",
     "schema: 1\ntopology: {branching: 2}\n",
     {},
     "c.yaml:2:23: topology.branching needs topology.height or topology.clients beside it"},
    {"HeightAndClients",
     "schema: 1\ntopology: {branching: 2, height: 2, clients: 4}\n",
     {},
     "c.yaml:2:46: topology.height and topology.clients exclude each other; keep one"},
    {"BranchingOfOne",
     "schema: 1\ntopology: {branching: 1, height: 2}\n",
     {},
     "c.yaml:2:23: topology.branching must be >= 2 and <= 10000000, got 1"},
    {"TreeTooLarge",
     "schema: 1\ntopology: {branching: 10, height: 20}\n",
     {},
     "c.yaml:2:35: topology.branching 10 and topology.height 20 make more than 10000000 clients"},
    {"WidthsAreANumber",
     "schema: 1\ntopology: {widths: 32}\n",
     {},
     "c.yaml:2:20: topology.widths must be a list such as [4, 32], got 32"},
    {"WidthsAreEmpty", "schema: 1\ntopology: {widths: []}\n", {}, "c.yaml:2:20: topology.widths must not be empty"},
    {"WidthOfZero",
     "schema: 1\ntopology: {widths: [0, 32]}\n",
     {},
     "c.yaml:2:21: topology.widths[0] must be >= 1 and <= 10000000, got 0"},
    {"WidthsFall",
     "schema: 1\ntopology: {widths: [32, 4]}\n",
     {},
     "c.yaml:2:20: topology.widths[1] must be >= 32, the width above it, or aggregators have no children; "
     "got 4"},
    {"SitesAreAList",
     "schema: 1\ntopology: {sites: [a, b]}\n",
     {},
     "c.yaml:2:19: topology.sites must be a map such as {hospital-a: 8, hospital-b: 12}, got a list"},
    {"SiteWithoutClients",
     "schema: 1\ntopology: {sites: {a: 3, b: 0}}\n",
     {},
     "c.yaml:2:29: topology.sites.b must be >= 1 and <= 10000000, got 0"},
    {"SiteNameWithSpaces",
     "schema: 1\ntopology: {sites: {hospital a: 3}}\n",
     {},
     "c.yaml:2:20: topology.sites: a site's name must be 1 to 64 letters, digits, dots, underscores and "
     "hyphens, not starting with a dot or hyphen, got hospital a"},
    {"NodesAreANumber",
     "schema: 1\ntopology: {nodes: 3}\n",
     {},
     "c.yaml:2:19: topology.nodes must be a list such as [{name: root}, {name: a, parent: root}], got 3"},
    {"TopologyFileIsEmpty", "schema: 1\ntopology: {file: \"\"}\n", {}, "c.yaml:2:18: topology.file must not be empty"},
    {"KeyOfAnotherSource",
     "schema: 1\ntopology: {star: 4}\ndata: {source: synthetic}\n",
     {"data.train=x.csv"},
     "--set data.train: data.train belongs to data.source csv or safetensors, but data.source is synthetic"},
    {"KeyOfTheDefaultSource",
     "schema: 1\ntopology: {star: 4}\ndata: {train_images: a.idx}\n",
     {},
     "c.yaml:3:8: data.train_images belongs to data.source idx, but data.source is fashion-mnist, the "
     "default"},
    {"IdxWithoutFiles",
     "schema: 1\ntopology: {star: 4}\ndata: {source: idx}\n",
     {},
     "c.yaml:3:16: data.train_images is required with data.source idx\n"
     "c.yaml:3:16: data.train_labels is required with data.source idx"},
    {"CsvWithoutTrainingFile",
     "schema: 1\ntopology: {star: 4}\ndata: {source: csv}\n",
     {},
     "c.yaml:3:16: data.train is required with data.source csv"},
    {"TestImagesWithoutLabels",
     "schema: 1\n"
     "topology: {star: 4}\n"
     "data: {source: idx, train_images: a, train_labels: b, test_images: c}\n",
     {},
     "c.yaml:3:68: data.test_images needs data.test_labels beside it"},
    {"AlphaOfAnotherPartition",
     "schema: 1\ntopology: {star: 4}\ndata: {partition: {kind: iid, alpha: 0.5}}\n",
     {},
     "c.yaml:3:31: data.partition.alpha belongs to data.partition.kind label-dirichlet, but "
     "data.partition.kind is iid"},
    {"PartitionOfNothing",
     "schema: 1\n"
     "topology: {star: 4}\n"
     "data: {source: none, partition: {kind: iid}}\n"
     "trainer: {kind: echo}\n",
     {},
     "c.yaml:3:22: data.partition belongs to data.source fashion-mnist, idx, csv, safetensors or "
     "synthetic, but data.source is none"},
    {"NaturalWithoutIdColumn",
     "schema: 1\ntopology: {star: 4}\ndata: {source: csv, train: a.csv, partition: {kind: natural}}\n",
     {},
     "c.yaml:3:53: data.partition.kind natural needs data.id_column"},
    {"NaturalWithoutIds",
     "schema: 1\ntopology: {star: 4}\ndata: {partition: {kind: natural}}\n",
     {},
     "c.yaml:3:26: data.partition.kind natural needs samples with ids: data.source csv or safetensors, "
     "not fashion-mnist"},
    {"AlphaOfZero",
     "schema: 1\ntopology: {star: 4}\ndata: {partition: {kind: label-dirichlet, alpha: 0}}\n",
     {},
     "c.yaml:3:50: data.partition.alpha must be >= 1e-06 and <= 1000000, got 0"},
    {"AlphaTooSmall",
     "schema: 1\ntopology: {star: 4}\ndata: {partition: {kind: label-dirichlet, alpha: 1e-7}}\n",
     {},
     "c.yaml:3:50: data.partition.alpha must be >= 1e-06 and <= 1000000, got 1e-7"},
    {"BetaTooLarge",
     "schema: 1\ntopology: {star: 4}\ndata: {partition: {kind: count-dirichlet, beta: 2e6}}\n",
     {},
     "c.yaml:3:49: data.partition.beta must be >= 1e-06 and <= 1000000, got 2e6"},
    {"FewerSamplesThanClasses",
     "schema: 1\ntopology: {star: 4}\ndata: {source: synthetic}\n",
     {"data.samples=2"},
     "--set data.samples: data.samples must be >= data.classes, or a class has no samples; got 2 samples for 4 "
     "classes"},
    {"MoreClassesThanSamples",
     "schema: 1\ntopology: {star: 4}\ndata: {source: synthetic, classes: 2000}\n",
     {},
     "c.yaml:3:36: data.samples must be >= data.classes, or a class has no samples; got 1000 samples for 2000 "
     "classes"},
    {"TooMuchMadeUpData",
     "schema: 1\ntopology: {star: 4}\ndata: {source: synthetic, samples: 1000000, shape: [1000, 1000]}\n",
     {},
     "c.yaml:3:52: data.samples 1000000 of data.shape [1000, 1000] make more than 4294967296 values"},
    {"ShapeIsAProduct",
     "schema: 1\ntopology: {star: 4}\ndata: {source: synthetic, shape: 4x4}\n",
     {},
     "c.yaml:3:34: data.shape must be a list such as [16, 8], got 4x4"},
    {"TorchScriptAndKind",
     "schema: 1\ntopology: {star: 4}\nmodel: {kind: cnn, torchscript: net.pt}\n",
     {},
     "c.yaml:3:20: model.kind and model.torchscript exclude each other; keep one"},
    {"ParametersWithoutEcho",
     "schema: 1\ntopology: {star: 4}\nmodel: {kind: lenet5, parameters: 10}\n",
     {},
     "c.yaml:3:23: model.parameters belongs to model.kind echo, but model.kind is lenet5"},
    {"HiddenLayersOfATorchScriptFile",
     "schema: 1\ntopology: {star: 4}\nmodel: {torchscript: net.pt, hidden: [8]}\n",
     {},
     "c.yaml:3:30: model.hidden belongs to model.kind mlp, but model.torchscript is given"},
    {"EchoModelTrainedByTorch",
     "schema: 1\ntopology: {star: 4}\nmodel: {kind: echo}\n",
     {},
     "c.yaml:3:15: model.kind echo cannot be trained by trainer.kind torch; use trainer.kind echo"},
    {"ModelTrainedByEcho",
     "schema: 1\ntopology: {star: 4}\nmodel: {kind: lenet5}\ntrainer: {kind: echo}\n",
     {},
     "c.yaml:3:15: model.kind lenet5 cannot be used by trainer.kind echo, which returns numbers without meaning; use "
     "model.kind echo"},
    {"TorchScriptTrainedByEcho",
     "schema: 1\ntopology: {star: 4}\nmodel: {torchscript: net.pt}\ntrainer: {kind: echo}\n",
     {},
     "c.yaml:3:9: model.torchscript belongs to trainer.kind torch or library, but trainer.kind is echo"},
    {"InitialModelOfEcho",
     "schema: 1\ntopology: {star: 4}\nmodel: {initial: w.safetensors}\ntrainer: {kind: echo}\n",
     {},
     "c.yaml:3:9: model.initial belongs to trainer.kind torch, command or library, but trainer.kind is echo"},
    {"TorchWithoutData",
     "schema: 1\ntopology: {star: 4}\ndata: {source: none}\n",
     {},
     "c.yaml:3:16: trainer.kind torch needs samples, but data.source is none"},
    {"CommandTrainerWithoutCommand",
     "schema: 1\ntopology: {star: 4}\ntrainer: {kind: command}\n",
     {},
     "c.yaml:3:17: trainer.command is required with trainer.kind command; for example `command: [python3, "
     "train.py, \"{input}\", \"{output}\"]`"},
    {"CommandIsText",
     "schema: 1\ntopology: {star: 4}\ntrainer: {kind: command, command: python3 train.py}\n",
     {},
     "c.yaml:3:35: trainer.command must be a list such as [python3, train.py, \"{input}\", \"{output}\"], got "
     "python3 train.py"},
    {"CommandWithoutOutput",
     "schema: 1\ntopology: {star: 4}\ntrainer: {kind: command, command: [train, \"{input}\"]}\n",
     {},
     "c.yaml:3:35: trainer.command must hold {output}, the file that the program writes"},
    {"CommandOfAnotherTrainer",
     "schema: 1\ntopology: {star: 4}\ntrainer: {command: [train]}\n",
     {},
     "c.yaml:3:11: trainer.command belongs to trainer.kind command, but trainer.kind is torch, the default"},
    {"LibraryTrainerWithoutLibrary",
     "schema: 1\ntopology: {star: 4}\ntrainer: {kind: library}\n",
     {},
     "c.yaml:3:17: trainer.library is required with trainer.kind library; for example `library: "
     "libmine.so`"},
    {"OptionIsAList",
     "schema: 1\ntopology: {star: 4}\ntrainer: {kind: library, library: a.so, options: {depth: [1]}}\n",
     {},
     "c.yaml:3:58: trainer.options.depth must be text, got a list"},
    {"OptionNameWithSpaces",
     "schema: 1\ntopology: {star: 4}\ntrainer: {kind: library, library: a.so, options: {a b: 1}}\n",
     {},
     "c.yaml:3:51: trainer.options: an option's name must be 1 to 64 letters, digits, dots, underscores "
     "and hyphens, not starting with a dot or hyphen, got a b"},
    {"EpochsAndSteps",
     "schema: 1\ntopology: {star: 4}\ntrainer: {epochs: 2, steps: 10}\n",
     {},
     "c.yaml:3:22: trainer.epochs and trainer.steps exclude each other; keep one"},
    {"StepsOfZero",
     "schema: 1\ntopology: {star: 4}\ntrainer: {steps: 0}\n",
     {},
     "c.yaml:3:18: trainer.steps must be >= 1, got 0"},
    {"NesterovWithoutMomentum",
     "schema: 1\ntopology: {star: 4}\ntrainer:\n  optimizer: {lr: 0.1, nesterov: true}\n",
     {},
     "c.yaml:4:34: trainer.optimizer.nesterov needs trainer.optimizer.momentum > 0"},
    {"MomentumOfAdam",
     "schema: 1\ntopology: {star: 4}\ntrainer:\n  optimizer: {kind: adam, momentum: 0.9}\n",
     {},
     "c.yaml:4:27: trainer.optimizer.momentum belongs to trainer.optimizer.kind sgd, but "
     "trainer.optimizer.kind is adam"},
    {"BetaOfSgd",
     "schema: 1\ntopology: {star: 4}\ntrainer:\n  optimizer: {beta1: 0.5}\n",
     {},
     "c.yaml:4:15: trainer.optimizer.beta1 belongs to trainer.optimizer.kind adam or adamw, but "
     "trainer.optimizer.kind is sgd, the default"},
    {"GammaOfACosine",
     "schema: 1\ntopology: {star: 4}\ntrainer:\n  optimizer:\n    schedule: {kind: cosine, gamma: 0.5}\n",
     {},
     "c.yaml:5:30: trainer.optimizer.schedule.gamma belongs to trainer.optimizer.schedule.kind step or "
     "exponential, but trainer.optimizer.schedule.kind is cosine"},
    {"ScheduleIsAWord",
     "schema: 1\ntopology: {star: 4}\ntrainer:\n  optimizer: {schedule: cosine}\n",
     {},
     "c.yaml:4:25: trainer.optimizer.schedule must be a map of keys and values, got cosine; write schedule: "
     "{kind: cosine}"},
    {"MuOfFedAvg",
     "schema: 1\ntopology: {star: 4}\nalgorithm: {kind: fedavg, mu: 0.1}\n",
     {},
     "c.yaml:3:27: algorithm.mu belongs to algorithm.kind fedprox, but algorithm.kind is fedavg"},
    {"FedSgdWithEpochs",
     "schema: 1\ntopology: {star: 4}\ntrainer: {epochs: 5}\nalgorithm: {kind: fedsgd}\n",
     {},
     "c.yaml:3:19: trainer.epochs must be 1 with algorithm.kind fedsgd, which takes one plain step; got 5"},
    {"FedSgdWithSteps",
     "schema: 1\ntopology: {star: 4}\ntrainer: {steps: 5}\nalgorithm: {kind: fedsgd}\n",
     {},
     "c.yaml:3:18: trainer.steps must be 1 with algorithm.kind fedsgd, which takes one plain step; got 5"},
    {"FedSgdWithMomentum",
     "schema: 1\ntopology: {star: 4}\ntrainer: {optimizer: {momentum: 0.9}}\nalgorithm: {kind: fedsgd}\n",
     {},
     "c.yaml:3:33: trainer.optimizer.momentum must be 0 with algorithm.kind fedsgd, which takes one plain "
     "step; got 0.9"},
    {"FedSgdWithAdam",
     "schema: 1\ntopology: {star: 4}\ntrainer: {optimizer: {kind: adam}}\nalgorithm: {kind: fedsgd}\n",
     {},
     "c.yaml:3:29: trainer.optimizer.kind must be sgd with algorithm.kind fedsgd, which takes one plain "
     "step; got adam"},
    {"CapWithoutCappedWeighting",
     "schema: 1\ntopology: {star: 4}\nalgorithm: {weight_cap: 100}\n",
     {},
     "c.yaml:3:13: algorithm.weight_cap belongs to algorithm.weighting capped, but algorithm.weighting is "
     "samples, the default"},
    {"CappedWeightingWithoutCap",
     "schema: 1\ntopology: {star: 4}\nalgorithm: {weighting: capped}\n",
     {},
     "c.yaml:3:24: algorithm.weight_cap is required with algorithm.weighting capped; for example "
     "`weight_cap: 500`"},
    {"CohortWithFractionAndCount",
     "schema: 1\ntopology: {star: 4}\ntiers: {default: {cohort: {fraction: 0.5, count: 3}}}\n",
     {},
     "c.yaml:3:43: tiers.default.cohort.fraction and tiers.default.cohort.count exclude each other; keep "
     "one"},
    {"CohortIsANumber",
     "schema: 1\ntopology: {star: 4}\ntiers: {default: {cohort: 10}}\n",
     {},
     "c.yaml:3:27: tiers.default.cohort must be a map of keys and values, got 10; its keys are fraction, count"},
    {"CohortFractionAboveOne",
     "schema: 1\ntopology: {star: 4}\ntiers: {default: {cohort: {fraction: 10}}}\n",
     {},
     "c.yaml:3:38: tiers.default.cohort.fraction must be > 0 and <= 1, got 10"},
    {"CohortOfNobody",
     "schema: 1\ntopology: {star: 4}\ntiers: {0: {cohort: {count: 0}}}\n",
     {},
     "c.yaml:3:29: tiers.0.cohort.count must be >= 1, got 0"},
    {"LocalRoundsAtTheRoot",
     "schema: 1\ntopology: {star: 4}\ntiers:\n  0: {local_rounds: 2}\n",
     {},
     "c.yaml:4:21: tiers.0.local_rounds must be 1, as the root has no parent; got 2"},
    {"QuorumWithoutDeadline",
     "schema: 1\ntopology: {star: 4}\ntiers:\n  default: {quorum: 0.8}\n  0: {retries: 1}\n",
     {},
     "c.yaml:4:21: tiers.default.quorum 0.8 needs deadline_s > 0: it counts when the deadline comes"},
    {"QuorumOfATierWithoutDeadline",
     "schema: 1\n"
     "topology: {star: 4}\n"
     "tiers:\n"
     "  default: {deadline_s: 5}\n"
     "  1: {quorum: 0.8, deadline_s: 0}\n",
     {},
     "c.yaml:5:15: tiers.1.quorum 0.8 needs deadline_s > 0: it counts when the deadline comes"},
    {"DeadlineTakenFromAnInheritedQuorum",
     "schema: 1\n"
     "topology: {star: 4}\n"
     "tiers:\n"
     "  default: {quorum: 0.8, deadline_s: 5}\n"
     "  1: {deadline_s: 0}\n",
     {},
     "c.yaml:5:19: tiers.default.quorum 0.8 needs deadline_s > 0: it counts when the deadline comes (in "
     "tiers.1)"},
    {"OverSelectionOfTheWhole",
     "schema: 1\ntopology: {star: 4}\ntiers:\n  default: {over_selection: 1.5}\n",
     {},
     "c.yaml:4:29: tiers.default.over_selection 1.5 needs cohort.count or cohort.fraction < 1: all "
     "children are asked already"},
    {"AKeyOfAnotherPolicy",
     "schema: 1\ntopology: {star: 4}\ntiers: {0: {buffer: 3}}\n",
     {},
     "c.yaml:3:13: tiers.0.buffer belongs to tiers.0.policy buffered, but that is synchronous, the default"},
    {"AKeyOfRoundsUnderAContinuousPolicy",
     "schema: 1\ntopology: {star: 4}\ntiers: {0: {policy: asynchronous, quorum: 0.5}}\n",
     {},
     "c.yaml:3:35: tiers.0.quorum belongs to tiers.0.policy synchronous, but that is asynchronous"},
    {"ACohortUnderAContinuousPolicy",
     "schema: 1\ntopology: {star: 4}\ntiers: {0: {policy: buffered, cohort: {count: 2}}}\n",
     {},
     "c.yaml:3:31: tiers.0.cohort belongs to tiers.0.policy synchronous, but that is buffered"},
    {"ABufferOfAnAsynchronousTier",
     "schema: 1\ntopology: {star: 4}\ntiers: {0: {policy: asynchronous, buffer: 2}}\n",
     {},
     "c.yaml:3:35: tiers.0.buffer belongs to tiers.0.policy buffered, but that is asynchronous"},
    {"ANumberThatTheDiscountDoesNotHave",
     "schema: 1\ntopology: {star: 4}\ntiers: {0: {policy: asynchronous, discount: polynomial, discount_b: 2}}\n",
     {},
     "c.yaml:3:57: tiers.0.discount_b belongs to tiers.0.discount hinge, but that is polynomial"},
    {"TheEdgeModelOfTheRoot",
     "schema: 1\ntopology: {star: 4}\ntiers: {0: {policy: asynchronous, edge_model: forward}}\n",
     {},
     "c.yaml:3:47: tiers.0.edge_model has no effect: the root has no parent whose model it could give on"},
    {"ADiscountOfForwardedSums",
     "schema: 1\ntopology: {widths: [2, 4]}\ntiers: {1: {policy: asynchronous, edge_model: forward, discount: "
     "constant}}\n",
     {},
     "c.yaml:3:56: tiers.1.discount belongs to tiers.1.edge_model own, but that is forward"},
    {"AKeyOfADefaultThatServesNoTier",
     "schema: 1\ntopology: {star: 4}\ntiers: {default: {concurrency: 3}, 0: {retries: 1}}\n",
     {},
     "c.yaml:3:19: tiers.default.concurrency belongs to tiers.default.policy buffered or asynchronous, but that is "
     "synchronous, the default"},
    {"ModelKindOfACommand",
     "schema: 1\n"
     "topology: {star: 4}\n"
     "model: {kind: cnn}\n"
     "trainer: {kind: command, command: [train, \"{output}\"]}\n",
     {},
     "c.yaml:3:9: model.kind belongs to trainer.kind torch, echo or library, but trainer.kind is command"},
    {"DataOfACommand",
     "schema: 1\n"
     "topology: {star: 4}\n"
     "data: {source: csv, train: a.csv}\n"
     "trainer: {kind: command, command: [train, \"{output}\"]}\n",
     {},
     "c.yaml:3:8: data.source belongs to trainer.kind torch, echo or library, but trainer.kind is command"},
    {"PartitionOfACommand",
     "schema: 1\n"
     "topology: {star: 4}\n"
     "data: {partition: {kind: shards}}\n"
     "trainer: {kind: command, command: [train, \"{output}\"]}\n",
     {},
     "c.yaml:3:8: data.partition belongs to data.source fashion-mnist, idx, csv, safetensors or synthetic, but "
     "data.source is none, the default"},
    {"WeightBoundThatNothingReaches",
     "schema: 1\n"
     "topology: {star: 4}\n"
     "trainer: {kind: command, command: [train, \"{output}\"], weight_bound: 5}\n"
     "algorithm: {weighting: uniform}\n",
     {},
     "c.yaml:3:56: trainer.weight_bound belongs to algorithm.weighting samples or capped, but algorithm.weighting is "
     "uniform"},
    {"StopWithoutHeldOutSamples",
     "schema: 1\n"
     "topology: {star: 4}\n"
     "data: {source: csv, train: a.csv}\n"
     "evaluation: {stop_at_accuracy: 0.9}\n",
     {},
     "c.yaml:4:32: evaluation.stop_at_accuracy needs held-out samples to measure on: name them by data.test"},
    {"StopOfACommand",
     "schema: 1\n"
     "topology: {star: 4}\n"
     "trainer: {kind: command, command: [train, \"{output}\"]}\n"
     "evaluation: {stop_at_accuracy: 0.9}\n",
     {},
     "c.yaml:4:14: evaluation.stop_at_accuracy belongs to trainer.kind torch or library, but trainer.kind is command"},
    {"MeasuringWithoutHeldOutSamples",
     "schema: 1\n"
     "topology: {star: 4}\n"
     "data: {source: csv, train: a.csv}\n"
     "evaluation: {every: 7, batch_size: 7}\n",
     {},
     "c.yaml:4:21: evaluation.every needs held-out samples to measure on: name them by data.test\n"
     "c.yaml:4:36: evaluation.batch_size has no effect, as nothing is measured: there are no held-out samples, "
     "evaluation.at_clients is false, and evaluation.clients.holdout is 0"},
    {"MeasuringWithoutHeldOutImages",
     "schema: 1\n"
     "topology: {star: 4}\n"
     "data: {source: idx, train_images: a, train_labels: b}\n"
     "evaluation: {every: 1}\n",
     {},
     "c.yaml:4:21: evaluation.every needs held-out samples to measure on: name them by data.test_images and "
     "data.test_labels"},
    {"BatchesOfNoMeasurement",
     "schema: 1\n"
     "topology: {star: 4}\n"
     "evaluation: {every: 0, batch_size: 7}\n",
     {},
     "c.yaml:3:36: evaluation.batch_size has no effect, as nothing is measured: evaluation.every is 0, "
     "evaluation.at_clients is false, and evaluation.clients.holdout is 0"},
    {"EvaluationByClientsThatHoldNothingOut",
     "schema: 1\n"
     "topology: {star: 4}\n"
     "evaluation: {clients: {every: 2, fraction: 0.5}}\n",
     {},
     "c.yaml:3:31: evaluation.clients.every has no effect, as no client holds samples out: set "
     "evaluation.clients.holdout\n"
     "c.yaml:3:44: evaluation.clients.fraction has no effect, as no client holds samples out: set "
     "evaluation.clients.holdout"},
    {"WorkOfEcho",
     "schema: 1\n"
     "topology: {star: 4}\n"
     "trainer: {kind: echo, batch_size: 64, epochs: 5}\n",
     {},
     "c.yaml:3:35: trainer.batch_size has no effect with trainer.kind echo, which trains nothing, unless "
     "simulation.compute_seconds_per_sample is > 0\n"
     "c.yaml:3:47: trainer.epochs has no effect with trainer.kind echo, which trains nothing, unless "
     "simulation.compute_seconds_per_sample is > 0"},
    {"StepsOfEcho",
     "schema: 1\n"
     "topology: {star: 4}\n"
     "trainer: {kind: echo}\n",
     {"trainer.steps=5"},
     "--set trainer.steps: trainer.steps has no effect with trainer.kind echo, which trains nothing, unless "
     "simulation.compute_seconds_per_sample is > 0"},
    {"BatchesOfEchoWithoutSteps",
     "schema: 1\n"
     "topology: {star: 4}\n"
     "data: {source: synthetic}\n"
     "trainer: {kind: echo, batch_size: 64, epochs: 2}\n"
     "simulation: {compute_seconds_per_sample: 0.1}\n",
     {},
     "c.yaml:4:35: trainer.batch_size has no effect with trainer.kind echo unless trainer.steps is given"},
    {"NumbersThatFloat32HoldsAsZero",
     "schema: 1\n"
     "topology: {star: 4}\n"
     "trainer:\n"
     "  optimizer: {kind: adamw, lr: 1e-320, epsilon: 1e-45, weight_decay: 1e-39, clip_norm: 1e-38, beta1: 1e-40}\n"
     "algorithm: {kind: fedprox, mu: 1e-50}\n"
     "server_optimizer: {lr: 1e-39}\n",
     {},
     "c.yaml:4:32: trainer.optimizer.lr must be at least 1.2e-38, as models are computed in float32 and smaller "
     "numbers are 0 there, got 1e-320\n"
     "c.yaml:4:49: trainer.optimizer.epsilon must be at least 1.2e-38, as models are computed in float32 and smaller "
     "numbers are 0 there, got 1e-45\n"
     "c.yaml:4:70: trainer.optimizer.weight_decay must be 0, or at least 1.2e-38, as models are computed in float32 "
     "and smaller numbers are 0 there, got 1e-39\n"
     "c.yaml:4:88: trainer.optimizer.clip_norm must be 0, or at least 1.2e-38, as models are computed in float32 and "
     "smaller numbers are 0 there, got 1e-38\n"
     "c.yaml:4:102: trainer.optimizer.beta1 must be 0, or at least 1.2e-38, as models are computed in float32 and "
     "smaller numbers are 0 there, got 1e-40\n"
     "c.yaml:5:32: algorithm.mu must be 0, or at least 1.2e-38, as models are computed in float32 and smaller numbers "
     "are 0 there, got 1e-50\n"
     "c.yaml:6:24: server_optimizer.lr must be at least 1.2e-38, as models are computed in float32 and smaller numbers "
     "are 0 there, got 1e-39"},
    {"SchedulesThatFloat32HoldsAsZero",
     "schema: 1\n"
     "topology: {star: 4}\n"
     "trainer: {optimizer: {momentum: 1e-320, schedule: {kind: exponential, gamma: 1e-320}}}\n",
     {},
     "c.yaml:3:33: trainer.optimizer.momentum must be 0, or at least 1.2e-38, as models are computed in float32 and "
     "smaller numbers are 0 there, got 1e-320\n"
     "c.yaml:3:78: trainer.optimizer.schedule.gamma must be at least 1.2e-38, as models are computed in float32 and "
     "smaller numbers are 0 there, got 1e-320"},
    {"ComputeOnTheRealClock",
     "schema: 1\n"
     "topology: {star: 4}\n"
     "simulation: {clock: real, compute_seconds_per_sample: 0.1}\n",
     {},
     "c.yaml:3:27: simulation.compute_seconds_per_sample belongs to simulation.clock virtual, but simulation.clock is "
     "real"},
    {"DelayThatNeverComes",
     "schema: 1\n"
     "topology: {star: 4}\n"
     "simulation: {faults: {delay_s: 3}}\n",
     {},
     "c.yaml:3:32: simulation.faults.delay_s has no effect unless simulation.faults.delay or "
     "simulation.faults.duplicate is > 0"},
    {"DeadlineOfNextToNothing",
     "schema: 1\ntopology: {star: 4}\ntiers: {0: {deadline_s: 1e-10}}\n",
     {},
     "c.yaml:3:25: tiers.0.deadline_s must be 0, or >= 1e-06 and <= 1000000000, got 1e-10"},
    {"ComputeBeyondTheClock",
     "schema: 1\ntopology: {star: 4}\nsimulation: {compute_seconds_per_sample: 1e300}\n",
     {},
     "c.yaml:3:42: simulation.compute_seconds_per_sample must be 0, or >= 1e-09 and <= 100000, got 1e300"},
    {"DelayBeyondTheClock",
     "schema: 1\ntopology: {star: 4}\nsimulation: {faults: {delay: 0.1, delay_s: 1e300}}\n",
     {},
     "c.yaml:3:44: simulation.faults.delay_s must be >= 1e-06 and <= 1000000, got 1e300"},
    {"OthersWordForTheLearningRate",
     "schema: 1\ntopology: {star: 4}\ntrainer: {learning_rate: 0.1}\n",
     {},
     "c.yaml:3:11: unknown key trainer.learning_rate; did you mean trainer.optimizer.lr?"},
    {"OthersWordInTheEnvironment",
     "schema: 1\ntopology: {star: 4}\n",
     {"env:TRIBUTARY_LEARNING_RATE=0.1"},
     "environment variable TRIBUTARY_LEARNING_RATE: no key has this name; did you mean "
     "TRIBUTARY_TRAINER_OPTIMIZER_LR?"},
    {"VariableWithoutItsSections",
     "schema: 1\ntopology: {star: 4}\n",
     {"env:TRIBUTARY_LR=0.1"},
     "environment variable TRIBUTARY_LR: no key has this name; did you mean TRIBUTARY_TRAINER_OPTIMIZER_LR?"},
    {"OverSelectionBelowOne",
     "schema: 1\ntopology: {star: 4}\ntiers:\n  default: {cohort: {count: 2}, over_selection: 0.5}\n",
     {},
     "c.yaml:4:49: tiers.default.over_selection must be >= 1 and <= 100, got 0.5"},
};

class WrongCombination : public WrongConfigurationTest {};

TEST_P(WrongCombination, IsReportedInTheseWords) {
  expect_exact_messages();
}

INSTANTIATE_TEST_SUITE_P(Each, WrongCombination, testing::ValuesIn(kMistakesOfCombination), name_of_case);

}  // namespace
}  // namespace tributary
