// SPDX-License-Identifier: Apache-2.0
// One federation as its author writes it: the typed form of the YAML file. docs/configuration.md is generated from the
// same schema that reads it.
//
// Life cycle: read_configuration() or parse_configuration(), once; afterwards a plain value. Plan::create() then checks
//             it against the tree and the data.
// Format:     YAML, at most 4 MiB, 32 levels deep; without anchors, aliases and tags.
// Errors:     all mistakes of a file are reported at once, each as file:line:column: key: what is wrong, with the
//             nearest known word where one is close. Nothing unknown is ignored, no key may stand twice, and a key that
//             has no effect beside the others is refused.
// Threads:    a value.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "tributary/base/status.hpp"

namespace tributary {

// topology: exactly one of the ways to say what the tree is.
struct TopologyConfig {
  enum class Kind { kFile, kStar, kWidths, kBalanced, kBalancedLeaves, kSites, kInline };
  Kind kind = Kind::kStar;
  std::string file;           // kFile: .yaml, .json, .edges, .csv (adjacency matrix); relative to the configuration
  std::uint32_t clients = 1;  // kStar, kBalancedLeaves: number of clients
  std::vector<std::uint32_t> widths;  // kWidths: nodes per tier below the root, e.g. [4, 32]
  std::uint32_t branching = 2;        // kBalanced, kBalancedLeaves
  std::uint32_t height = 1;           // kBalanced: tiers below the root
  struct Site {
    std::string name;
    std::uint32_t clients = 1;
    friend bool operator==(const Site&, const Site&) = default;
  };
  std::vector<Site> sites;  // kSites: one aggregator per site
  // kInline: a topology file of its own, `{nodes: ...}`: flow-style YAML whose words stand in the lines and columns of
  // the configuration, so that a reader which counts its first line as inline_line names the right places.
  std::string inline_nodes;
  // kInline: line of the configuration where inline_nodes starts, from 1; 0: it is not from the file. Not compared.
  int inline_line = 0;
  friend bool operator==(const TopologyConfig& a, const TopologyConfig& b) {
    const auto members = [](const TopologyConfig& t) {
      return std::tie(t.kind, t.file, t.clients, t.widths, t.branching, t.height, t.sites, t.inline_nodes);
    };
    return members(a) == members(b);
  }
};

// data: where samples come from and how they are spread over the clients.
struct DataConfig {
  enum class Source { kNone, kFashionMnist, kIdx, kCsv, kSafetensors, kSynthetic };
  Source source = Source::kFashionMnist;
  std::string train;  // kSafetensors, kCsv: file
  std::string test;
  std::string train_images;  // kIdx: files, .gz or plain
  std::string train_labels;
  std::string test_images;
  std::string test_labels;
  std::string directory;               // kFashionMnist: where the four files are; empty: the Debian package's place
  std::string label_column = "label";  // kCsv
  std::string id_column;               // kCsv: natural id; empty: none
  std::vector<std::string> ignore_columns;  // kCsv: neither features nor anything else
  std::uint64_t synthetic_samples = 1000;   // kSynthetic: Gaussian blobs
  std::vector<std::int64_t> synthetic_shape{16};
  std::int32_t synthetic_classes = 4;

  enum class Partition { kIid, kLabelDirichlet, kCountDirichlet, kShards, kNatural, kDraw };
  Partition partition = Partition::kIid;
  double alpha = 0.5;             // kLabelDirichlet
  double beta = 1.0;              // kCountDirichlet
  std::uint64_t min_samples = 1;  // kLabelDirichlet, kCountDirichlet
  std::uint32_t shards_per_client = 2;
  std::uint32_t samples_per_client = 20;  // kDraw
  friend bool operator==(const DataConfig&, const DataConfig&) = default;
};

struct ModelConfig {
  std::string kind = "lenet5";             // a registered name; read with trainer.kind echo: "echo" unless given
  std::string torchscript;                 // a file instead of a name
  std::uint64_t parameters = 1000;         // kind echo: size of the model
  std::vector<std::uint32_t> hidden{128};  // kind mlp: widths of the hidden layers
  std::uint32_t width = 32;                // kind cnn: channels of the first layer
  std::string initial;                     // a safetensors file to start from; empty: by seed
  friend bool operator==(const ModelConfig&, const ModelConfig&) = default;
};

struct OptimizerConfig {
  enum class Kind { kSgd, kAdam, kAdamW };
  Kind kind = Kind::kSgd;
  double lr = 0.01;
  double momentum = 0.0;
  bool nesterov = false;
  double weight_decay = 0.0;
  double beta1 = 0.9;
  double beta2 = 0.999;
  double epsilon = 1e-8;
  enum class Schedule { kConstant, kStep, kExponential, kCosine };
  Schedule schedule = Schedule::kConstant;  // over rounds of the root
  double gamma = 0.1;                       // kStep, kExponential: factor
  std::uint64_t step_rounds = 10;           // kStep: rounds between factors
  double final_lr = 0.0;                    // kCosine: at the last round
  double clip_norm = 0.0;                   // largest Euclidean norm of a step's gradient; 0: no clipping
  friend bool operator==(const OptimizerConfig&, const OptimizerConfig&) = default;
};

struct TrainerConfig {
  std::string kind = "torch";        // torch | echo | command | library
  std::vector<std::string> command;  // kind command: program and arguments; {input} and {output} are replaced by files
  std::uint64_t timeout_s = 600;     // kind command: after that the program is ended and the task has failed
  std::string library;               // kind library: shared library that defines tributary_register_trainer
  std::map<std::string, std::string> options;  // kinds command, library: handed over as they are
  // Kinds command, library: the largest weight of one client. The exact sums are as fine as it is small. Absent:
  // AlgorithmConfig::weight_cap with weighting capped; otherwise 1 for a program, and what a library announces.
  std::optional<double> weight_bound;
  OptimizerConfig optimizer;
  std::uint32_t batch_size = 32;
  std::uint32_t epochs = 1;
  std::uint32_t steps = 0;     // > 0: that many optimizer steps instead of epochs
  std::string device = "cpu";  // cpu | cuda | auto
  friend bool operator==(const TrainerConfig&, const TrainerConfig&) = default;
};

struct AlgorithmConfig {
  enum class Kind { kFedAvg, kFedSgd, kFedProx, kFedNova, kQFedAvg, kScaffold, kFedDyn, kMtgc };
  Kind kind = Kind::kFedAvg;
  double mu = 0.01;       // kFedProx
  double alpha = 0.01;    // kFedDyn
  double fairness = 1.0;  // kQFedAvg: its q
  enum class Weighting { kSamples, kUniform, kCapped };
  Weighting weighting = Weighting::kSamples;
  double weight_cap = 0.0;  // kCapped: largest weight of one client
  enum class Precision { kAuto, kCompact, kFull };
  Precision precision = Precision::kAuto;  // of the exact sums; docs/decisions
  friend bool operator==(const AlgorithmConfig&, const AlgorithmConfig&) = default;
};

// server_optimizer: how the mean change of a commit of the root moves its model.
struct ServerOptimizerConfig {
  std::string kind = "sgd";
  double lr = 1.0;           // 0.1 with fedadagrad, 0.01 with fedadam and fedyogi, where nothing else is said
  double momentum = 0.9;     // fedavgm
  double beta1 = 0.9;        // adaptive kinds: of the mean change
  double beta2 = 0.99;       // fedadam, fedyogi: of its square
  double adaptivity = 1e-3;  // adaptive kinds: of changes far below it none is made larger
  friend bool operator==(const ServerOptimizerConfig&, const ServerOptimizerConfig&) = default;
};

// tiers: how a tier commits. Set for all tiers (`default`) and per distance of the committing node from the root (0, 1,
// ...).
struct TierConfig {
  std::string policy = "synchronous";

  // Synchronous.
  // Whom a node asks each round: a share of its children, or a number of them.
  std::optional<double> cohort_fraction;      // (0, 1]
  std::optional<std::uint32_t> cohort_count;  // >= 1
  double over_selection = 1.0;                // >= 1: asks ceil(over_selection * cohort), takes the first cohort
  double quorum = 1.0;                        // (0, 1]: share of the cohort that is enough at the deadline
  double deadline_s = 0.0;                    // 0: none

  // Buffered and asynchronous.
  enum class Discount { kConstant, kInverseRoot, kPolynomial, kHinge, kExponential, kHarmonic };
  std::uint32_t buffer = 10;                   // updates that make a commit
  std::optional<std::uint32_t> concurrency;    // children that work at a time; all
  Discount discount = Discount::kInverseRoot;  // by staleness
  double discount_a = 0.5;
  double discount_b = 4.0;
  std::optional<std::uint32_t> max_staleness;  // updates that are staler are refused
  double rate_correction = 1.0;                // children that answer more often count for less, down to 1 part of this
  // Asynchronous: the model moves by each update's change, or is mixed with the model that the update ends at.
  enum class Form { kDelta, kMix };
  Form form = Form::kDelta;
  double mixing = 0.6;  // in (0, 1]: how far a fresh update's model draws the node's
  // What children of an aggregator start from: a model of its own, or the parent's, whose sums it forwards.
  enum class EdgeModel { kOwn, kForward };
  EdgeModel edge_model = EdgeModel::kOwn;
  // What becomes of the model of its own when the parent's has moved.
  enum class Adoption { kRebase, kReplace, kAbortChildren };
  Adoption adoption = Adoption::kRebase;

  std::string rule = "weighted-sum";  // how updates combine
  // How vectors travel between the tier's nodes and their children: a codec's name, or "none".
  std::string codec_down = "none";
  std::string codec_up = "none";

  std::uint32_t local_rounds = 1;  // local rounds between commits upward; not at the root
  std::uint32_t retries = 2;       // of a task whose training failed
  friend bool operator==(const TierConfig&, const TierConfig&) = default;
};

struct EvaluationConfig {
  std::uint64_t every = 1;  // rounds; the last round is always measured; 0: never
  bool at_clients = false;  // each client measures the model it receives on its own samples
  std::uint32_t batch_size = 1000;
  std::optional<double> stop_at_accuracy;
  struct Clients {            // that measure the model on samples which they hold out of their training
    double holdout = 0.0;     // share of each client's samples, in [0, 1)
    std::uint64_t every = 1;  // rounds; after the last round always; 0: never
    double fraction = 1.0;    // of the clients, in (0, 1]
    friend bool operator==(const Clients&, const Clients&) = default;
  } clients;
  friend bool operator==(const EvaluationConfig&, const EvaluationConfig&) = default;
};

struct CheckpointConfig {
  std::uint64_t every = 1;  // rounds; 0: only on Ctrl-C and at the end
  std::uint32_t keep = 2;   // newest files kept, >= 1
  friend bool operator==(const CheckpointConfig&, const CheckpointConfig&) = default;
};

// simulation: only for runs in one process.
struct SimulationConfig {
  enum class Clock { kVirtual, kReal };
  Clock clock = Clock::kVirtual;
  double compute_seconds_per_sample = 0.0;  // virtual time a client works, per sample and epoch
  struct Devices {                          // how many times as long as that each client takes
    enum class Slowness { kEqual, kUniform, kLogNormal, kPareto, kTopology, kTrace };
    Slowness slowness = Slowness::kEqual;
    double slowest = 5.0;                // uniform: from 1 to this
    double sigma = 0.5;                  // log-normal, with median 1: standard deviation of the logarithm
    std::string trace;                   // file
    double alpha = 1.5;                  // pareto, from 1 on: the smaller, the heavier the tail
    double drop_out = 0.0;               // per task: the device leaves before its end
    double available_share = 1.0;        // of each period, that a device is there
    double available_times_a_day = 1.0;  // > 0: periods in a day
    friend bool operator==(const Devices&, const Devices&) = default;
  } devices;
  struct Faults {  // each a probability per message or per task; all 0: none
    double drop = 0.0;
    double duplicate = 0.0;
    double delay = 0.0;
    double delay_s = 1.0;  // mean of an injected delay
    double kill = 0.0;     // per node and round: the node dies at some moment and comes back
    double down_s = 5.0;   // mean time until a killed node is back
    std::uint64_t seed = 0;
    friend bool operator==(const Faults&, const Faults&) = default;
  } faults;
  friend bool operator==(const SimulationConfig&, const SimulationConfig&) = default;
};

// mpi: only for runs under mpirun or srun.
struct MpiConfig {
  double lost_after_s = 15.0;  // a rank that gives no sign of life for so long counts as lost
  friend bool operator==(const MpiConfig&, const MpiConfig&) = default;
};

struct OutputConfig {
  std::string directory;  // relative to the program's working directory; empty: runs/<name>
  bool csv = false;       // also write records.csv
  bool report = true;     // write report.html at the end
  friend bool operator==(const OutputConfig&, const OutputConfig&) = default;
};

struct Configuration {
  static constexpr int kSchema = 1;
  std::string name = "federation";
  std::uint64_t seed = 1;
  std::uint64_t rounds = 10;
  std::uint32_t threads = 0;  // training threads of this process; 0: one per core
  TopologyConfig topology;
  DataConfig data;
  ModelConfig model;
  TrainerConfig trainer;
  AlgorithmConfig algorithm;
  ServerOptimizerConfig server_optimizer;
  TierConfig default_tier;
  std::map<std::uint32_t, TierConfig> tiers;  // already merged over default_tier
  EvaluationConfig evaluation;
  CheckpointConfig checkpoint;
  SimulationConfig simulation;
  MpiConfig mpi;
  OutputConfig output;
  // Where relative paths start: the directory of the file, absolute, unless the file names another; empty: the working
  // directory of the program.
  std::filesystem::path base_directory;

  // Of a committing node at that distance; default_tier where nothing else is said.
  [[nodiscard]] const TierConfig& tier(std::uint32_t distance_from_root) const;
  // A path as it was written in the configuration, for opening. output.directory alone does not start here.
  [[nodiscard]] std::filesystem::path resolve(const std::string& path) const;
  friend bool operator==(const Configuration&, const Configuration&) = default;
};

// Precedence: overrides > environment > file > default. Each of `overrides` is one of
//   "trainer.batch_size=64"                   from --set; the value is YAML; null takes the key out again
//   "env:TRIBUTARY_TRAINER_BATCH_SIZE=64"     a variable of the environment, as the caller found it
// in any order; of two for one key the later holds. One that chooses another way (topology.star, model.torchscript,
// cohort.count, ...) replaces the way chosen by a source of lower precedence.
//
// On failure kConfiguration with all messages (the first 100), one per line, in the order of the file and then of the
// overrides: "file:line:column: trainer.batch_size must be ...", "--set trainer.batch_size: ...",
// "environment variable TRIBUTARY_TRAINER_BATCH_SIZE: ...". Lines and columns count from 1, columns in bytes.
// kNotFound or kIo if the file cannot be read.
Result<Configuration> read_configuration(const std::filesystem::path& file,
                                         std::span<const std::string> overrides = {});
Result<Configuration> parse_configuration(std::string_view text, std::string_view name_for_messages,
                                          std::span<const std::string> overrides = {});

// The whole configuration with every default that applies written out, base_directory included; reading it back gives
// an equal value, wherever the text is kept.
[[nodiscard]] std::string print_configuration(const Configuration& configuration);

// docs/configuration.md: every key with type, range, default and meaning.
[[nodiscard]] std::string configuration_reference();

}  // namespace tributary
