// SPDX-License-Identifier: Apache-2.0
#include "record_catalog.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <iterator>

namespace tributary {
namespace {

constexpr auto kRun = std::to_array<FieldInfo>({
    {"name", "text", "", "of the federation"},
    {"seed", "integer", "", "of the run"},
    {"rounds", "integer", "", "asked for"},
    {"clients", "integer", "", "registered"},
    {"aggregators", "integer", "", "nodes between the root and the clients"},
    {"tiers", "integer", "", "of the tree, the root's included: 2 for a star"},
    {"parameters", "integer", "", "float32 values of the model"},
    {"payload_bytes", "integer", "bytes", "of one model on an edge, without headers"},
    {"threads", "integer", "", "that train in this process"},
    {"processes", "integer", "", "that share the work: ranks under MPI, otherwise 1"},
    {"driver", "text", "", "what carries the nodes: `simulation`, ..."},
    {"clock", "text", "", "`virtual` or `real`"},
    {"version", "text", "", "of the program"},
    {"configuration_digest", "text", "", "SHA-256 of everything in the plan that decides the result, hexadecimal"},
    {"started", "text", "", "UTC, ISO 8601"},
    {"host", "text", "", "name of the machine"},
    {"resumed_after", "integer", "", "the round it goes on from, 0 for the beginning; absent unless resumed"},
});

constexpr auto kClass = std::to_array<FieldInfo>({
    {"class", "integer", "", "number of the class: the model's output of that index"},
    {"name", "text", "", "the label in the data"},
});

constexpr auto kLabels = std::to_array<FieldInfo>({
    {"client", "integer", "", "client index, from 0"},
    {"counts", "list", "samples", "per class"},
    {"ids", "text", "", "whose samples the client holds, separated by commas; only with partition `natural`"},
});

constexpr auto kLabelsSummary = std::to_array<FieldInfo>({
    {"classes", "integer", "", "number of classes"},
    {"clients", "integer", "", "summarised"},
    {"mean", "list", "samples", "of a client, per class"},
    {"min", "list", "samples", "of a client, per class"},
    {"max", "list", "samples", "of a client, per class"},
});

constexpr auto kTier = std::to_array<FieldInfo>({
    {"round", "integer", "", "of the root"},
    {"tier", "integer", "", "distance from the root; its figures are those of the edges above its nodes"},
    {"nodes", "integer", "", "of the tier"},
    {"messages", "integer", "", "both directions"},
    {"bytes_down", "integer", "bytes", "from the parents"},
    {"bytes_up", "integer", "bytes", "to the parents"},
    {"merge_seconds", "number", "s", "asking, adding updates and committing, summed over the nodes of this tier"},
    {"idle_share", "number", "",
     "by the virtual clock: the part of these nodes' time in which their parents waited for nothing from them"},
});

constexpr auto kStaleness = std::to_array<FieldInfo>({
    {"round", "integer", "", "of the root"},
    {"updates", "list", "",
     "of this round, by how old their models were: 0, 1, 2, 3 to 4, 5 to 8 commits, and so on by powers of two; an "
     "aggregator's sum counts as often as it holds updates, all of them at its mean"},
});

constexpr auto kRound = std::to_array<FieldInfo>({
    {"round", "integer", "", "of the root, from 1"},
    {"version", "integer", "", "of the model after the round"},
    {"outcome", "text", "", "`committed`, or `abandoned`: too few updates came, the model stayed as it was"},
    {"seconds", "number", "s", "the round took, all included"},
    {"train_seconds", "number", "s", "training, summed over threads"},
    {"merge_seconds", "number", "s", "work of the root and aggregators: asking, adding updates, committing"},
    {"checkpoint_seconds", "number", "s", "writing the checkpoint of the round before"},
    {"evaluate_seconds", "number", "s",
     "measuring the model, divided by the threads; beside the next round's training"},
    {"virtual_seconds", "number", "s", "the round took by the virtual clock"},
    {"idle_share", "number", "", "of all clients' virtual time in this round: the part in which they did not train"},
    {"selected", "integer", "",
     "children of the root that were asked; with a continuous policy those whose task ended in this round"},
    {"reported", "integer", "", "children of the root whose update is in the model"},
    {"failed", "integer", "", "children of the root that gave up or disappeared"},
    {"late", "integer", "", "children of the root that were asked and had not answered when the round closed"},
    {"rejected", "integer", "", "updates refused: damaged, not finite, of another model"},
    {"contributors", "integer", "", "clients, anywhere in the tree, whose update is in the model"},
    {"weight", "number", "", "sum of the weights in the committed mean"},
    {"commits", "integer", "",
     "of a root with a continuous policy: rounds that this record stands for; more than 1 where several ended while "
     "one was being published"},
    {"working", "integer", "", "likewise: children of the root that were at work when the round ended"},
    {"staleness_min", "integer", "commits", "how old the model was that an update came from: the least in this round"},
    {"staleness_mean", "number", "commits", "the mean over the updates of this round"},
    {"staleness_max", "integer", "commits", "the most in this round"},
    {"train_loss", "number", "", "weighted mean over the clients, while they trained"},
    {"bytes_down", "integer", "bytes", "over all edges"},
    {"bytes_up", "integer", "bytes", "over all edges"},
    {"accuracy", "number", "", "on held-out data, in [0, 1]; only in rounds that measure"},
    {"loss", "number", "", "on held-out data; only in rounds that measure"},
    {"client_accuracy", "number", "", "of the model the clients received, on their own samples, weighted mean"},
    {"client_loss", "number", "", "of the model the clients received, on their own samples, weighted mean"},
    {"holdout_clients", "integer", "", "that have measured the round's model on samples they hold out; only then"},
    {"holdout_samples", "number", "", "that they have measured it on, all together"},
    {"holdout_accuracy", "number", "", "what they found: mean over these samples"},
    {"holdout_loss", "number", "", "likewise"},
});

constexpr auto kFault = std::to_array<FieldInfo>({
    {"round", "integer", "", "of the root that it belongs to"},
    {"node", "text", "", "its name"},
    {"kind", "text", "",
     "`task-failed`, `refused`, `lost`, `returned`, `cut-off` (no answer by the deadline), `late` (an update that came "
     "after its round had closed), `abandoned`, `duplicate`, `kill` (injected), `states-anew` (with `mtgc`: the states "
     "of all children of the node begin anew)"},
    {"detail", "text", "", "for people"},
});

constexpr auto kInput = std::to_array<FieldInfo>({
    {"node", "integer", "", "node number: the root or an aggregator"},
    {"what", "text", "",
     "`task` or `stop` of its parent; `update`, `failed`, `lost`, `returned`, `forgotten` (does not know its task) of "
     "a "
     "child; `deadline`, `hard-deadline`; at the root `published`"},
    {"of", "integer", "", "node number: the parent or the child; otherwise the node itself"},
    {"incarnation", "integer", "", "with `task` it names the task"},
    {"task", "integer", "", "its number"},
    {"value", "integer", "", "attempt of a task or a failure; with `published` the version that is durable"},
    {"stop", "truth", "", "with `published`: the run was to end"},
    {"kind", "text", "", "`evaluate`, where the task is to measure a model; only then"},
});

constexpr auto kWarning = std::to_array<FieldInfo>({
    {"text", "text", "", "for people"},
    {"round", "integer", "", "that showed it first, of what is said once in a run"},
    {"about", "text", "",
     "tells apart what is said once in a run: `weight`, `metric NAME`, `held-out NAME`, `fault KIND`, `input KEY`, "
     "`held-out metric NAME`, `evaluation by clients`, `stop_at_accuracy`"},
});

constexpr auto kEdge = std::to_array<FieldInfo>({
    {"child", "integer", "", "node number"},
    {"parent", "integer", "", "node number"},
    {"child_name", "text", "", "of the node"},
    {"tier", "integer", "", "of the child"},
    {"bytes_down", "integer", "bytes", "since the run was last started or resumed"},
    {"bytes_up", "integer", "bytes", "since the run was last started or resumed"},
    {"messages", "integer", "", "both directions, since the run was last started or resumed"},
    {"send_seconds", "number", "s", "payloads on their way to another process, summed"},
    {"wait_seconds", "number", "s",
     "of the parent, by the run's clock, between asking the child and its update, summed"},
});

constexpr auto kWhere = std::to_array<FieldInfo>({
    {"process", "integer", "", "from 0"},
    {"host", "text", "", "name of the machine"},
    {"rank", "integer", "", "under MPI; 0 otherwise"},
    {"nodes", "integer", "", "of the tree that ran there"},
    {"threads", "integer", "", "that train"},
    {"clients_trained", "integer", "", "tasks done"},
    {"train_seconds", "number", "s", "summed over threads"},
    {"merge_seconds", "number", "s", "in aggregators and the root"},
    {"send_seconds", "number", "s", "while something was on its way to another process"},
    {"wait_seconds", "number", "s", "while the process neither trained, merged nor sent"},
    {"bytes_sent", "integer", "bytes", "to other processes"},
    {"bytes_received", "integer", "bytes", "from other processes"},
    {"lost", "truth", "", "the process was given up, or its numbers never came"},
});

constexpr auto kEnd = std::to_array<FieldInfo>({
    {"outcome", "text", "", "`finished`, `stopped` (a goal was reached), `interrupted` or `failed`"},
    {"rounds", "integer", "", "done"},
    {"version", "integer", "", "of the model"},
    {"seconds", "number", "s", "whole run, all its parts after interruptions summed"},
    {"accuracy", "number", "", "on held-out data, in [0, 1], last measured"},
    {"loss", "number", "", "on held-out data, last measured"},
    {"model_sha256", "text", "", "of model.safetensors, hexadecimal"},
    {"error", "text", "", "why, if the outcome is `failed`"},
    {"max_rss_bytes", "integer", "bytes", "largest resident memory of the process"},
});

constexpr std::array<EventInfo, 13> kEvents{{
    {"run", "once, first; again each time the run is resumed", kRun},
    {"class", "once per class, if the labels in the data have names; the first 1,000", kClass},
    {"labels", "once per client with samples, if there are at most 512 clients", kLabels},
    {"labels_summary", "once, if there are more than 512 clients", kLabelsSummary},
    {"tier", "once per round and tier below the root", kTier},
    {"round",
     "once per round. Any other metric NAME that clients report stands in `train_NAME`, or in `client_NAME` if it is "
     "called base_NAME, as a weighted mean over the clients: `train_accuracy`, `train_f1`, `client_auc`. What "
     "they measure on samples they hold out stands in `holdout_NAME`, as a mean over these. What a trainer "
     "measures on held-out data besides accuracy and loss stands by its own name",
     kRound},
    {"staleness", "after each committed round of a root with a continuous policy", kStaleness},
    {"fault", "whenever a node failed, was silent, came back, or something was refused or not needed", kFault},
    {"input",
     "in real time, where a tier is buffered or asynchronous or does not wait for all: whenever the root or an "
     "aggregator "
     "is told something that decides what it commits, in the order in which each of them was told. `tributary replay` "
     "repeats it",
     kInput},
    {"warning", "whenever a person should know something", kWarning},
    {"edge", "once per edge that was used, at the end, if the tree has at most 2,048 edges", kEdge},
    {"where", "once per process, at the end", kWhere},
    {"end", "once, last; a run directory without it is of a run that still goes on or was killed", kEnd},
}};

}  // namespace

std::span<const EventInfo> record_events() noexcept {
  return kEvents;
}

const EventInfo* find_event(std::string_view name) noexcept {
  const auto* place =
      std::find_if(kEvents.begin(), kEvents.end(), [name](const EventInfo& e) { return e.name == name; });
  return place == kEvents.end() ? nullptr : &*place;
}

std::string record_reference() {
  std::string out;
  for (const EventInfo& event : kEvents) {
    fmt::format_to(std::back_inserter(out), "### `{}`\n\nWritten {}.\n\n", event.name, event.when);
    out += "| field | type | unit | meaning |\n| --- | --- | --- | --- |\n";
    for (const FieldInfo& field : event.fields) {
      fmt::format_to(std::back_inserter(out), "| `{}` | {} | {} | {} |\n", field.name, field.type,
                     field.unit.empty() ? "–" : field.unit, field.meaning);
    }
    out += '\n';
  }
  return out;
}

}  // namespace tributary
