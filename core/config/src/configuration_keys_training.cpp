// SPDX-License-Identifier: Apache-2.0
#include "configuration_effects.hpp"
#include "configuration_fields.hpp"
#include "tributary/base/weight.hpp"

namespace tributary::internal::config {
namespace {

constexpr auto kTrainer = &Configuration::trainer;
constexpr auto kOptimizer = &TrainerConfig::optimizer;
constexpr auto kAlgorithm = &Configuration::algorithm;
constexpr auto kServerOptimizer = &Configuration::server_optimizer;

constexpr Range kWeights{.least = Weight::kSmallest, .most = Weight::kLargest};

}  // namespace

std::vector<Key> training_keys() {
  return {
      {.path = "trainer", .meaning = "How a client trains."},
      {.path = "trainer.kind",
       .meaning =
           "`torch`: built in · `echo`: returns what it was given · `command`: a program of yours, in any language "
           "· `library`: a shared library of yours.",
       .field = in<kTrainer, &TrainerConfig::kind>,
       .choices = {"torch", "echo", "command", "library"}},
      {.path = "trainer.command",
       .meaning =
           "Program and arguments, started in `base_directory`; `{input}`, `{output}` and, if it stands there, "
           "`{drift}` "
           "become safetensors files. The "
           "input's metadata holds the task (`client`, `round`, `global_round`, `seed`; `evaluate_first`: 1 with "
           "`evaluation.at_clients`) and, by the name of its key, what the program should obey: `rounds`, "
           "`trainer.epochs` or `trainer.steps`, `trainer.batch_size`, `trainer.device`, `trainer.optimizer.*`, "
           "`algorithm.kind`, `algorithm.mu`. The schedule is the program's to apply.",
       .field = in<kTrainer, &TrainerConfig::command>,
       .when = "trainer.kind=command",
       .required = true,
       .example = "[python3, train.py, \"{input}\", \"{output}\"]"},
      {.path = "trainer.timeout_s",
       .meaning = "Seconds after which the program is ended and the task has failed.",
       .field = in<kTrainer, &TrainerConfig::timeout_s>,
       .range = {.least = 1.0, .most = 1e6},
       .when = "trainer.kind=command"},
      {.path = "trainer.library",
       .meaning = "Shared library that defines `tributary_register_trainer`; relative to `base_directory`.",
       .field = in<kTrainer, &TrainerConfig::library>,
       .when = "trainer.kind=library",
       .required = true,
       .example = "libmine.so"},
      {.path = "trainer.options",
       .meaning = "Words for the program or library, handed over as they are; in a program's input: `option.NAME`.",
       .field = in<kTrainer, &TrainerConfig::options>,
       .when = "trainer.kind=command|library",
       .example = "{depth: \"3\"}"},
      {.path = "trainer.weight_bound",
       .meaning =
           "Largest weight that one client may have: with weights by samples, the number of samples of the largest "
           "client. A client that reports more fails. The exact sums are as fine as this bound is small, so a bound "
           "far above the real weights costs precision. It can lower what a library announces, not raise it.",
       .field = in<kTrainer, &TrainerConfig::weight_bound>,
       .range = kWeights,
       .when = "trainer.kind=command|library & algorithm.weighting=samples|capped",
       .example = "500",
       .fallback = "`weight_cap` with `weighting: capped`; otherwise 1 for a program, and what a library announces"},
      {.path = "trainer.batch_size",
       .meaning = "Samples per step.",
       .field = in<kTrainer, &TrainerConfig::batch_size>,
       .range = kAtLeastOne,
       .when = "algorithm.kind=fedavg|fedprox|fednova|qfedavg|scaffold|feddyn|mtgc",
       .printed =
           [](const Target& target) {
             const TrainerConfig& trainer = target.configuration.trainer;
             return work_counts(target.configuration) && (trainer.kind != "echo" || trainer.steps > 0);
           }},
      {.path = "trainer.epochs",
       .meaning = "Passes over a client's samples per task.",
       .field = in<kTrainer, &TrainerConfig::epochs>,
       .range = kAtLeastOne,
       .group = "work",
       .way = "epochs",
       .printed =
           [](const Target& target) {
             return target.configuration.trainer.steps == 0 && work_counts(target.configuration);
           }},
      {.path = "trainer.steps",
       .meaning = "Optimizer steps per task, instead of `epochs`.",
       .field = in<kTrainer, &TrainerConfig::steps>,
       .range = kAtLeastOne,
       .group = "work",
       .way = "steps",
       .printed = [](const Target& target) { return target.configuration.trainer.steps > 0; },
       .fallback = "-"},
      {.path = "trainer.device",
       .meaning = "Where tensors live; `auto`: cuda if there is any.",
       .field = in<kTrainer, &TrainerConfig::device>,
       .choices = {"cpu", "cuda", "auto"},
       .when = "trainer.kind=torch|command|library"},
      {.path = "trainer.optimizer",
       .meaning = "How a client turns gradients into steps, in float32: numbers too small for that are refused.",
       .when = "trainer.kind=torch|command|library"},
      {.path = "trainer.optimizer.kind",
       .meaning = "Its state starts anew with every task.",
       .field = in<kTrainer, kOptimizer, &OptimizerConfig::kind>,
       .choices = {"sgd", "adam", "adamw"}},
      {.path = "trainer.optimizer.lr",
       .meaning = "Learning rate.",
       .field = in<kTrainer, kOptimizer, &OptimizerConfig::lr>,
       .range = kPositive,
       .float32 = true},
      {.path = "trainer.optimizer.momentum",
       .meaning = "Share of the last step that is repeated.",
       .field = in<kTrainer, kOptimizer, &OptimizerConfig::momentum>,
       .range = kProbability,
       .float32 = true,
       .when = "trainer.optimizer.kind=sgd"},
      {.path = "trainer.optimizer.nesterov",
       .meaning = "Looks ahead by the momentum.",
       .field = in<kTrainer, kOptimizer, &OptimizerConfig::nesterov>,
       .when = "trainer.optimizer.kind=sgd"},
      {.path = "trainer.optimizer.beta1",
       .meaning = "Memory of the gradient's mean.",
       .field = in<kTrainer, kOptimizer, &OptimizerConfig::beta1>,
       .range = kProbability,
       .float32 = true,
       .when = "trainer.optimizer.kind=adam|adamw"},
      {.path = "trainer.optimizer.beta2",
       .meaning = "Memory of the gradient's square.",
       .field = in<kTrainer, kOptimizer, &OptimizerConfig::beta2>,
       .range = kProbability,
       .float32 = true,
       .when = "trainer.optimizer.kind=adam|adamw"},
      {.path = "trainer.optimizer.epsilon",
       .meaning = "Keeps the division by the gradient's size finite.",
       .field = in<kTrainer, kOptimizer, &OptimizerConfig::epsilon>,
       .range = kPositive,
       .float32 = true,
       .when = "trainer.optimizer.kind=adam|adamw"},
      {.path = "trainer.optimizer.weight_decay",
       .meaning = "Pull towards zero; `adamw` keeps it out of the gradient's statistics.",
       .field = in<kTrainer, kOptimizer, &OptimizerConfig::weight_decay>,
       .range = kNotNegative,
       .float32 = true},
      {.path = "trainer.optimizer.clip_norm",
       .meaning = "Largest Euclidean norm of a step's gradient; 0: no clipping.",
       .field = in<kTrainer, kOptimizer, &OptimizerConfig::clip_norm>,
       .range = kNotNegative,
       .float32 = true},
      {.path = "trainer.optimizer.schedule", .meaning = "How the learning rate moves over the rounds of the root."},
      {.path = "trainer.optimizer.schedule.kind",
       .meaning =
           "`constant` · `step`: times gamma every step_rounds · `exponential`: times gamma every round · `cosine`: "
           "down to final_lr.",
       .field = in<kTrainer, kOptimizer, &OptimizerConfig::schedule>,
       .choices = {"constant", "step", "exponential", "cosine"}},
      {.path = "trainer.optimizer.schedule.gamma",
       .meaning = "Factor.",
       .field = in<kTrainer, kOptimizer, &OptimizerConfig::gamma>,
       .range = kShare,
       .float32 = true,
       .when = "trainer.optimizer.schedule.kind=step|exponential"},
      {.path = "trainer.optimizer.schedule.step_rounds",
       .meaning = "Rounds between two factors.",
       .field = in<kTrainer, kOptimizer, &OptimizerConfig::step_rounds>,
       .range = kAtLeastOne,
       .when = "trainer.optimizer.schedule.kind=step"},
      {.path = "trainer.optimizer.schedule.final_lr",
       .meaning = "Learning rate of the last round.",
       .field = in<kTrainer, kOptimizer, &OptimizerConfig::final_lr>,
       .range = kNotNegative,
       .float32 = true,
       .when = "trainer.optimizer.schedule.kind=cosine"},

      {.path = "algorithm", .meaning = "How clients' work becomes a new model."},
      {.path = "algorithm.kind",
       .meaning =
           "`fedavg` · `fedsgd`: one step on all of a client's samples · `fedprox`: fedavg with a pull towards the "
           "round's model · `fednova`: who does more steps does not count for more · `qfedavg`: clients on which the "
           "model does badly count for more · `scaffold`: control variates take out what sets clients' data apart · "
           "`feddyn`: each client's pull follows what it has sent · `mtgc`: scaffold on each edge of the tree.",
       .field = in<kAlgorithm, &AlgorithmConfig::kind>,
       .choices = {"fedavg", "fedsgd", "fedprox", "fednova", "qfedavg", "scaffold", "feddyn", "mtgc"},
       .when = "trainer.kind=torch|command|library"},
      {.path = "algorithm.mu",
       .meaning = "Strength of that pull.",
       .field = in<kAlgorithm, &AlgorithmConfig::mu>,
       .range = kNotNegative,
       .float32 = true,
       .when = "algorithm.kind=fedprox"},
      {.path = "algorithm.fairness",
       .meaning = "The `q` of q-FedAvg: a client counts by that power of its loss. 0: fedavg.",
       .field = in<kAlgorithm, &AlgorithmConfig::fairness>,
       .range = {.least = 0.0, .most = 10.0},
       .when = "algorithm.kind=qfedavg"},
      {.path = "algorithm.alpha",
       .meaning =
           "Strength of the regularization: the larger, the faster, as long as clients' steps stay stable. Of the "
           "order of the objective's curvature.",
       .field = in<kAlgorithm, &AlgorithmConfig::alpha>,
       .range = kPositive,
       .float32 = true,
       .when = "algorithm.kind=feddyn"},
      {.path = "algorithm.weighting",
       .meaning =
           "What a client counts for: its `samples`, all the same (`uniform`), or its samples up to `weight_cap`. A "
           "program may report a `weight` instead of its samples.",
       .field = in<kAlgorithm, &AlgorithmConfig::weighting>,
       .choices = {"samples", "uniform", "capped"},
       .when = "trainer.kind=torch|command|library"},
      {.path = "algorithm.weight_cap",
       .meaning = "Largest weight of one client.",
       .field = in<kAlgorithm, &AlgorithmConfig::weight_cap>,
       .range = kWeights,
       .when = "algorithm.weighting=capped",
       .required = true,
       .example = "500"},
      {.path = "algorithm.precision",
       .meaning = "Of the exact sums: `auto` resolves the change of a client of average weight to 2^-34 and sends 4 to "
                  "8 bytes a value upwards; "
                  "`compact` sends 4, and resolves the mean to 2^-32; `full` is as fine as 8 bytes allow.",
       .field = in<kAlgorithm, &AlgorithmConfig::precision>,
       .choices = {"auto", "compact", "full"}},

      {.path = "server_optimizer",
       .meaning =
           "How the mean change of the clients moves the root's model. Only with `trainer.kind` torch, command or "
           "library.",
       .when = "trainer.kind=torch|command|library"},
      {.path = "server_optimizer.kind",
       .meaning =
           "`sgd`: by `lr` times the mean · `fedavgm`: with momentum · `fedadagrad` · `fedadam` · `fedyogi`: each "
           "value at a rate of its own. They keep a state, which the checkpoint holds. Another name is that of an "
           "optimizer of your own.",
       .field = in<kServerOptimizer, &ServerOptimizerConfig::kind>,
       .choices = {"sgd", "fedavgm", "fedadagrad", "fedadam", "fedyogi"},
       .open = true},
      {.path = "server_optimizer.lr",
       .meaning =
           "The server's learning rate. Without it 0.1 with `fedadagrad`, and 0.01 with `fedadam` and `fedyogi`.",
       .field = in<kServerOptimizer, &ServerOptimizerConfig::lr>,
       .range = kPositive,
       .float32 = true},
      {.path = "server_optimizer.momentum",
       .meaning =
           "Part of the last step that is taken again: small changes that go on become 1 / (1 - momentum) as large.",
       .field = in<kServerOptimizer, &ServerOptimizerConfig::momentum>,
       .range = kProbability,
       .when = "server_optimizer.kind=fedavgm"},
      {.path = "server_optimizer.beta1",
       .meaning = "How much of the running mean of changes stays with each commit.",
       .field = in<kServerOptimizer, &ServerOptimizerConfig::beta1>,
       .range = kProbability,
       .when = "server_optimizer.kind=fedadagrad|fedadam|fedyogi"},
      {.path = "server_optimizer.beta2",
       .meaning = "The same, of their squares.",
       .field = in<kServerOptimizer, &ServerOptimizerConfig::beta2>,
       .range = kProbability,
       .when = "server_optimizer.kind=fedadam|fedyogi"},
      {.path = "server_optimizer.adaptivity",
       .meaning = "Added to the root of the squares: the larger, the more alike are the rates of all values.",
       .field = in<kServerOptimizer, &ServerOptimizerConfig::adaptivity>,
       .range = {.above = 0.0, .most = 1000.0},
       .float32 = true,
       .when = "server_optimizer.kind=fedadagrad|fedadam|fedyogi"},
  };
}

}  // namespace tributary::internal::config
