// SPDX-License-Identifier: Apache-2.0
#include "configuration_effects.hpp"
#include "configuration_fields.hpp"

namespace tributary::internal::config {
namespace {

constexpr auto kTopology = &Configuration::topology;
constexpr auto kData = &Configuration::data;
constexpr auto kModel = &Configuration::model;
constexpr auto kEvaluation = &Configuration::evaluation;
constexpr auto kCheckpoint = &Configuration::checkpoint;
constexpr auto kSimulation = &Configuration::simulation;
constexpr auto kMpi = &Configuration::mpi;
constexpr auto kFaults = &SimulationConfig::faults;
constexpr auto kOutput = &Configuration::output;

template <TopologyConfig::Kind... kinds>
bool topology_is(const Target& target) {
  return ((target.configuration.topology.kind == kinds) || ...);
}

using enum TopologyConfig::Kind;

constexpr Range kClients{.least = 1.0, .most = kMostClients};
// Some hundred times the mean must fit the clock's nanoseconds.
constexpr Range kInjectedTime{.least = 1e-6, .most = 1e6};
constexpr Range kConcentration{.least = 1e-6, .most = 1e6};  // of a Dirichlet distribution, as Partition takes it

// From the top to the model.
std::vector<Key> first_keys() {
  return {
      {.path = "schema",
       .meaning = "Version of this format. A file of another version is refused, not guessed at.",
       .field = [](Target& target) -> Field { return &target.schema; },
       .required = true,
       .example = "1"},
      {.path = "name",
       .meaning = "Name of the federation: letters, digits, `.`, `_` and `-`; also names the run directory.",
       .field = in<&Configuration::name>},
      {.path = "seed",
       .meaning = "All randomness of a run follows from it: the same seed gives the same model, bit for bit.",
       .field = in<&Configuration::seed>},
      {.path = "rounds", .meaning = "Commits of the root.", .field = in<&Configuration::rounds>, .range = kAtLeastOne},
      {.path = "threads",
       .meaning = "Training threads of this process; 0: one per core. Never changes the result.",
       .field = in<&Configuration::threads>,
       .range = {.least = 0.0, .most = 1024.0}},
      {.path = "base_directory",
       .meaning = "Where relative paths start.",
       .field = in<&Configuration::base_directory>,
       .printed = [](const Target& target) { return !target.configuration.base_directory.empty(); },
       .fallback = "the directory of the file"},

      {.path = "topology",
       .meaning =
           "The tree. One of: `star`, `widths`, `branching` with `height` or `clients`, `file`, `sites`, `nodes`.",
       .required = true,
       .example = "{star: 10}"},
      {.path = "topology.star",
       .meaning = "This many clients, all directly below the root.",
       .field = in<kTopology, &TopologyConfig::clients>,
       .range = kClients,
       .group = "topology",
       .way = "star",
       .printed = topology_is<kStar>,
       .example = "100",
       .fallback = "-"},
      {.path = "topology.widths",
       .meaning = "Nodes per tier below the root; the last are the clients, spread evenly.",
       .field = in<kTopology, &TopologyConfig::widths>,
       .range = kClients,
       .group = "topology",
       .way = "widths",
       .printed = topology_is<kWidths>,
       .example = "[4, 32]",
       .fallback = "-"},
      {.path = "topology.branching",
       .meaning = "Children of every inner node; needs `height` or `clients` beside it.",
       .field = in<kTopology, &TopologyConfig::branching>,
       .range = {.least = 2.0, .most = kMostClients},
       .group = "topology",
       .way = "branching",
       .printed = topology_is<kBalanced, kBalancedLeaves>,
       .example = "4",
       .fallback = "-"},
      {.path = "topology.height",
       .meaning = "Tiers below the root; with `branching`.",
       .field = in<kTopology, &TopologyConfig::height>,
       .range = {.least = 1.0, .most = 64.0},
       .group = "topology",
       .way = "branching",
       .printed = topology_is<kBalanced>,
       .example = "3",
       .fallback = "-"},
      {.path = "topology.clients",
       .meaning = "Clients in all; with `branching`. The tree is as low as that allows.",
       .field = in<kTopology, &TopologyConfig::clients>,
       .range = kClients,
       .group = "topology",
       .way = "branching",
       .printed = topology_is<kBalancedLeaves>,
       .example = "100",
       .fallback = "-"},
      {.path = "topology.file",
       .meaning = "A topology file: .yaml, .yml or .json, an edge list (.edges, .edgelist, .txt) or an adjacency "
                  "matrix (.csv, "
                  "or .txt as numpy writes it); relative to `base_directory`.",
       .field = in<kTopology, &TopologyConfig::file>,
       .group = "topology",
       .way = "file",
       .printed = topology_is<kFile>,
       .example = "tree.yaml",
       .fallback = "-"},
      {.path = "topology.sites",
       .meaning = "One aggregator per site with this many clients below it.",
       .field = in<kTopology, &TopologyConfig::sites>,
       .range = kClients,
       .group = "topology",
       .way = "sites",
       .printed = topology_is<kSites>,
       .example = "{hospital-a: 8, hospital-b: 12}",
       .fallback = "-"},
      {.path = "topology.nodes",
       .meaning = "The nodes themselves, in the format of a topology file.",
       .field = [](Target& target) -> Field { return NodesField{&target.configuration.topology}; },
       .group = "topology",
       .way = "nodes",
       .printed = topology_is<kInline>,
       .example = "[{name: root}, {name: a, parent: root}]",
       .fallback = "-"},

      {.path = "data", .meaning = "Where samples come from and how they are spread over the clients."},
      {.path = "data.source",
       .meaning = "Kind of data set. `none`: the trainer brings its own, or needs none.",
       .field = in<kData, &DataConfig::source>,
       .choices = {"none", "fashion-mnist", "idx", "csv", "safetensors", "synthetic"},
       .when = "trainer.kind=torch|echo|library",
       .off = "none",
       .fallback = "`fashion-mnist`; `none` with `trainer.kind: command`"},
      {.path = "data.directory",
       .meaning = "Where the four files of Fashion-MNIST are; empty: where the Debian package puts them.",
       .field = in<kData, &DataConfig::directory>,
       .when = "data.source=fashion-mnist"},
      {.path = "data.train",
       .meaning = "File of training samples; relative to `base_directory`.",
       .field = in<kData, &DataConfig::train>,
       .when = "data.source=csv|safetensors",
       .required = true},
      {.path = "data.test",
       .meaning = "File of held-out samples; empty: none, and nothing is evaluated.",
       .field = in<kData, &DataConfig::test>,
       .when = "data.source=csv|safetensors"},
      {.path = "data.label_column",
       .meaning = "Name of the column that holds the label.",
       .field = in<kData, &DataConfig::label_column>,
       .when = "data.source=csv"},
      {.path = "data.id_column",
       .meaning = "Name of the column that says whose sample it is, for partition `natural`; empty: none.",
       .field = in<kData, &DataConfig::id_column>,
       .when = "data.source=csv"},
      {.path = "data.ignore_columns",
       .meaning = "Names of columns that are no features: dates, comments, numbers of rows.",
       .field = in<kData, &DataConfig::ignore_columns>,
       .when = "data.source=csv",
       .printed = [](const Target& target) { return !target.configuration.data.ignore_columns.empty(); },
       .example = "[date, comment]",
       .fallback = "none"},
      {.path = "data.train_images",
       .meaning = "IDX file, .gz or plain.",
       .field = in<kData, &DataConfig::train_images>,
       .when = "data.source=idx",
       .required = true},
      {.path = "data.train_labels",
       .meaning = "IDX file, .gz or plain.",
       .field = in<kData, &DataConfig::train_labels>,
       .when = "data.source=idx",
       .required = true},
      {.path = "data.test_images",
       .meaning = "IDX file, .gz or plain; empty: nothing is evaluated.",
       .field = in<kData, &DataConfig::test_images>,
       .when = "data.source=idx"},
      {.path = "data.test_labels",
       .meaning = "IDX file, .gz or plain; empty: nothing is evaluated.",
       .field = in<kData, &DataConfig::test_labels>,
       .when = "data.source=idx"},
      {.path = "data.samples",
       .meaning =
           "Training samples to make up: one Gaussian cloud per class. A fifth as many are held out, at least one of "
           "each class.",
       .field = in<kData, &DataConfig::synthetic_samples>,
       .range = {.least = 1.0, .most = 1e9},
       .when = "data.source=synthetic"},
      {.path = "data.shape",
       .meaning = "Shape of one sample.",
       .field = in<kData, &DataConfig::synthetic_shape>,
       .range = {.least = 1.0, .most = 1e6},
       .when = "data.source=synthetic"},
      {.path = "data.classes",
       .meaning = "Number of classes.",
       .field = in<kData, &DataConfig::synthetic_classes>,
       .range = {.least = 2.0, .most = 1e6},
       .when = "data.source=synthetic"},
      {.path = "data.partition",
       .meaning = "Which samples belong to which client.",
       .when = "data.source=fashion-mnist|idx|csv|safetensors|synthetic"},
      {.path = "data.partition.kind",
       .meaning =
           "`iid`: shuffled, even · `label-dirichlet`: each class spread by Dirichlet(alpha) · `count-dirichlet`: "
           "uneven sizes · `shards`: few labels each · `natural`: by the ids in the data, which are names of clients "
           "or sites if the topology has such names · `draw`: each client "
           "draws its own samples, clients may overlap.",
       .field = in<kData, &DataConfig::partition>,
       .choices = {"iid", "label-dirichlet", "count-dirichlet", "shards", "natural", "draw"}},
      {.path = "data.partition.alpha",
       .meaning = "Concentration: small is uneven (0.1: one or two labels per client), large is even.",
       .field = in<kData, &DataConfig::alpha>,
       .range = kConcentration,
       .when = "data.partition.kind=label-dirichlet"},
      {.path = "data.partition.beta",
       .meaning = "Concentration of the sizes: small is uneven.",
       .field = in<kData, &DataConfig::beta>,
       .range = kConcentration,
       .when = "data.partition.kind=count-dirichlet"},
      {.path = "data.partition.min_samples",
       .meaning =
           "Clients with fewer samples are filled up from the largest. With 0 a client may be left without samples, "
           "which `plan` and `run` refuse.",
       .field = in<kData, &DataConfig::min_samples>,
       .when = "data.partition.kind=label-dirichlet|count-dirichlet"},
      {.path = "data.partition.shards_per_client",
       .meaning = "Samples are sorted by label and cut into this many pieces per client.",
       .field = in<kData, &DataConfig::shards_per_client>,
       .range = kAtLeastOne,
       .when = "data.partition.kind=shards"},
      {.path = "data.partition.samples_per_client",
       .meaning = "Samples that each client draws, none twice; at most all samples.",
       .field = in<kData, &DataConfig::samples_per_client>,
       .range = kAtLeastOne,
       .when = "data.partition.kind=draw"},

      {.path = "model", .meaning = "What is trained: a built-in model by `kind`, or a file by `torchscript`."},
      {.path = "model.kind",
       .meaning = "A built-in model, fitted to the data's shape and classes. `echo`: numbers without meaning, for "
                  "measuring everything but training.",
       .field = in<kModel, &ModelConfig::kind>,
       .choices = {"logistic", "mlp", "lenet5", "cnn", "resnet18", "resnet50", "echo"},
       .when = "trainer.kind=torch|echo|library",
       .group = "model",
       .way = "kind",
       .printed = [](const Target& target) { return target.configuration.model.torchscript.empty(); },
       .fallback = "`lenet5`; `echo` with `trainer.kind: echo`"},
      {.path = "model.torchscript",
       .meaning = "A TorchScript file, trained as it is; relative to `base_directory`.",
       .field = in<kModel, &ModelConfig::torchscript>,
       .when = "trainer.kind=torch|library",
       .group = "model",
       .way = "torchscript",
       .printed = [](const Target& target) { return !target.configuration.model.torchscript.empty(); },
       .example = "net.pt",
       .fallback = "-"},
      {.path = "model.parameters",
       .meaning = "Size of the model.",
       .field = in<kModel, &ModelConfig::parameters>,
       .range = {.least = 1.0, .most = 1e10},
       .when = "model.kind=echo"},
      {.path = "model.hidden",
       .meaning = "Widths of the hidden layers.",
       .field = in<kModel, &ModelConfig::hidden>,
       .range = {.least = 1.0, .most = 1e6},
       .when = "model.kind=mlp"},
      {.path = "model.width",
       .meaning = "Channels of the first layer.",
       .field = in<kModel, &ModelConfig::width>,
       .range = {.least = 1.0, .most = 65536.0},
       .when = "model.kind=cnn"},
      {.path = "model.initial",
       .meaning = "A safetensors file with the values to start from; relative to `base_directory`; empty: by seed.",
       .field = in<kModel, &ModelConfig::initial>,
       .when = "trainer.kind=torch|command|library"},
  };
}

// What follows on the training: when tiers commit, and what a run does beside.
std::vector<Key> last_keys() {
  return {
      {.path = "tiers",
       .meaning =
           "How a tier commits: `default` for all, and `0` (the root), `1`, ... for nodes at that distance from the "
           "root, over what `default` says."},
      {.path = "tiers.*", .meaning = "`default`, or a distance from the root."},
      {.path = "tiers.*.policy",
       .meaning = "When a node commits.",
       .field = tier<&TierConfig::policy>,
       .choices = {"synchronous"}},
      {.path = "tiers.*.cohort", .meaning = "Whom a node asks in each round; without it, all its children."},
      {.path = "tiers.*.cohort.fraction",
       .meaning = "This share of the children.",
       .field = tier<&TierConfig::cohort_fraction>,
       .range = kShare,
       .group = "cohort",
       .way = "fraction",
       .example = "0.1",
       .fallback = "all"},
      {.path = "tiers.*.cohort.count",
       .meaning = "This many children.",
       .field = tier<&TierConfig::cohort_count>,
       .range = kAtLeastOne,
       .group = "cohort",
       .way = "count",
       .example = "10",
       .fallback = "all"},
      {.path = "tiers.*.over_selection",
       .meaning = "Asks this many times the cohort and takes the first that answer.",
       .field = tier<&TierConfig::over_selection>,
       .range = {.least = 1.0, .most = 100.0}},
      {.path = "tiers.*.quorum",
       .meaning = "Share of the cohort that is enough when the deadline comes.",
       .field = tier<&TierConfig::quorum>,
       .range = kShare},
      {.path = "tiers.*.deadline_s",
       .meaning =
           "Seconds from the start of a round; 0: none. With `simulation.clock: virtual` they are modelled seconds, in "
           "which a program of `trainer.kind: command` takes no time.",
       .field = tier<&TierConfig::deadline_s>,
       .range = {.least = 1e-6, .most = 1e9, .or_zero = true}},
      {.path = "tiers.*.local_rounds",
       .meaning = "Local rounds between two commits upward. Always 1 at the root, which has no parent.",
       .field = tier<&TierConfig::local_rounds>,
       .range = kAtLeastOne},
      {.path = "tiers.*.retries",
       .meaning = "How often a task whose training failed is handed out again.",
       .field = tier<&TierConfig::retries>,
       .range = {.least = 0.0, .most = 1000.0}},

      {.path = "evaluation", .meaning = "How the model is measured."},
      {.path = "evaluation.every",
       .meaning = "Rounds between two measurements; the last round is always measured; 0: never.",
       .field = in<kEvaluation, &EvaluationConfig::every>,
       .when = "trainer.kind=torch|library",
       .off = "0",
       .printed =
           [](const Target& target) {
             return target.configuration.evaluation.every == 0 || holds_samples_out(target.configuration);
           },
       .fallback = "`1`; `0` with trainers that hold no data out"},
      {.path = "evaluation.at_clients",
       .meaning = "Each client also measures the model it receives on its own samples.",
       .field = in<kEvaluation, &EvaluationConfig::at_clients>,
       .when = "trainer.kind=torch|command|library",
       .off = "false"},
      {.path = "evaluation.batch_size",
       .meaning = "Samples at a time; changes speed and memory only, unless the model ignores evaluation mode (a "
                  "warning says so).",
       .field = in<kEvaluation, &EvaluationConfig::batch_size>,
       .range = kAtLeastOne,
       .when = "trainer.kind=torch|library",
       .printed = [](const Target& target) { return measures(target.configuration); }},
      {.path = "evaluation.stop_at_accuracy",
       .meaning = "Ends the run at this held-out accuracy.",
       .field = in<kEvaluation, &EvaluationConfig::stop_at_accuracy>,
       .range = kShare,
       .when = "trainer.kind=torch|library",
       .example = "0.9",
       .fallback = "never"},

      {.path = "checkpoint", .meaning = "What a crash may cost."},
      {.path = "checkpoint.every",
       .meaning = "Rounds between two checkpoints; 0: only on Ctrl-C and at the end.",
       .field = in<kCheckpoint, &CheckpointConfig::every>},
      {.path = "checkpoint.keep",
       .meaning = "Newest files kept.",
       .field = in<kCheckpoint, &CheckpointConfig::keep>,
       .range = kAtLeastOne},

      {.path = "simulation",
       .meaning = "Only for runs in one process; without effect, and warned about, under mpirun."},
      {.path = "simulation.clock",
       .meaning = "`virtual`: waiting costs nothing, and deadlines are met by the modelled time of links and of work.",
       .field = in<kSimulation, &SimulationConfig::clock>,
       .choices = {"virtual", "real"}},
      {.path = "simulation.compute_seconds_per_sample",
       .meaning = "Virtual time that a client works for each sample it goes through, in all its epochs or steps.",
       .field = in<kSimulation, &SimulationConfig::compute_seconds_per_sample>,
       .range = {.least = 1e-9, .most = 1e5, .or_zero = true},
       .when = "simulation.clock=virtual & data.source=fashion-mnist|idx|csv|safetensors|synthetic",
       .off = "0"},
      {.path = "simulation.faults", .meaning = "What goes wrong on purpose, at moments that follow from `seed`."},
      {.path = "simulation.faults.drop",
       .meaning = "Probability that a message is lost.",
       .field = in<kSimulation, kFaults, &SimulationConfig::Faults::drop>,
       .range = kProbability},
      {.path = "simulation.faults.duplicate",
       .meaning = "Probability that a message arrives twice.",
       .field = in<kSimulation, kFaults, &SimulationConfig::Faults::duplicate>,
       .range = kProbability},
      {.path = "simulation.faults.delay",
       .meaning = "Probability that a message is late, and so overtaken.",
       .field = in<kSimulation, kFaults, &SimulationConfig::Faults::delay>,
       .range = kProbability},
      {.path = "simulation.faults.delay_s",
       .meaning = "Mean delay in seconds, of late messages and of second copies.",
       .field = in<kSimulation, kFaults, &SimulationConfig::Faults::delay_s>,
       .range = kInjectedTime,
       .printed =
           [](const Target& target) {
             const SimulationConfig::Faults& faults = target.configuration.simulation.faults;
             return faults.delay > 0.0 || faults.duplicate > 0.0;
           }},
      {.path = "simulation.faults.kill",
       .meaning = "Probability, per node and round, that the node dies and comes back.",
       .field = in<kSimulation, kFaults, &SimulationConfig::Faults::kill>,
       .range = kProbability},
      {.path = "simulation.faults.down_s",
       .meaning = "Mean time in seconds until a dead node is back.",
       .field = in<kSimulation, kFaults, &SimulationConfig::Faults::down_s>,
       .range = kInjectedTime,
       .printed = [](const Target& target) { return target.configuration.simulation.faults.kill > 0.0; }},
      {.path = "simulation.faults.seed",
       .meaning = "Another seed, other faults, same training.",
       .field = in<kSimulation, kFaults, &SimulationConfig::Faults::seed>,
       .printed =
           [](const Target& target) {
             const SimulationConfig::Faults& faults = target.configuration.simulation.faults;
             return faults.drop > 0.0 || faults.duplicate > 0.0 || faults.delay > 0.0 || faults.kill > 0.0;
           }},

      {.path = "mpi",
       .meaning = "Only for runs under mpirun or srun; without effect, and warned about, in one process."},
      {.path = "mpi.lost_after_s",
       .meaning = "A rank that gives no sign of life for so many seconds counts as lost.",
       .field = in<kMpi, &MpiConfig::lost_after_s>,
       .range = {.least = 0.5, .most = 86400.0}},

      {.path = "output", .meaning = "What a run leaves behind."},
      {.path = "output.directory",
       .meaning = "The run directory; relative to where the program was started; empty: `runs/<name>`.",
       .field = in<kOutput, &OutputConfig::directory>},
      {.path = "output.csv", .meaning = "Also writes records.csv.", .field = in<kOutput, &OutputConfig::csv>},
      {.path = "output.report",
       .meaning = "Writes report.html at the end.",
       .field = in<kOutput, &OutputConfig::report>},
  };
}

}  // namespace

std::span<const Key> schema() {
  static const std::vector<Key> kSchema = [] {
    std::vector<Key> keys = first_keys();
    for (const std::vector<Key>& more : {training_keys(), last_keys()}) {
      keys.insert(keys.end(), more.begin(), more.end());
    }
    return keys;
  }();
  return kSchema;
}

}  // namespace tributary::internal::config
