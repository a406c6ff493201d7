// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <initializer_list>

#include "base/words.hpp"
#include "configuration_effects.hpp"
#include "configuration_reading.hpp"
#include "yaml_text.hpp"

namespace tributary::internal::config {
namespace {

std::string path_beside(std::string_view path, std::string_view word) {
  const std::size_t dot = path.rfind('.');
  return (dot == std::string_view::npos ? "" : std::string(path.substr(0, dot + 1))) + std::string(word);
}

// The given key of another way than `key`'s, in the same group and section; empty if there is none.
std::string given_rival(const Key& key, std::string_view path, const Reading& reading) {
  for (const Key& other : schema()) {
    if (key.group.empty() || other.parent() != key.parent() || other.group != key.group || other.way == key.way) {
      continue;
    }
    std::string rival = path_beside(path, other.word());
    if (reading.is_given(rival)) { return rival; }
  }
  return {};
}

void check_condition(const Key& key, const std::string& path, const Given& given, Reading& reading) {
  Target target = reading.target();
  const Key* section = find_key(key.parent());
  if (section != nullptr && !applies(*section, target)) { return; }
  const bool off = !key.off.empty() && given.valid && value_text(key, target) == key.off;
  if (off || applies(key, target)) { return; }
  for (const Condition& condition : conditions_of(key)) {
    const std::string selector(condition.selector);
    const Key& selecting = *find_key(selector);
    if (reading.is_broken(selector)) { return; }
    const std::string belongs = fmt::format("{} belongs to {} {}", path, selector, one_of(condition.values));
    if (const std::string rival = given_rival(selecting, selector, reading); !rival.empty()) {
      if (!reading.is_given(selector)) {
        reading.mistake(given.key, fmt::format("{}, but {} is given", belongs, rival));
      }
      return;
    }
    const std::string value = word_of(selecting, target);
    if (allows(condition, value)) { continue; }
    reading.mistake(given.key, fmt::format("{}, but {} is {}{}", belongs, selector, value,
                                           reading.is_given(selector) ? "" : ", the default"));
    return;
  }
}

void check_rivals(const Key& key, const std::string& path, const Given& given, Reading& reading) {
  const std::string rival = given_rival(key, path, reading);
  if (rival.empty()) { return; }
  // Said once, at the later of the two.
  const Place other = reading.given.find(rival)->second.key;
  if (other < given.key) {
    reading.mistake(given.key, fmt::format("{} and {} exclude each other; keep one", rival, path));
  }
}

void check_required(const Key& key, Reading& reading) {
  Target target = reading.target();
  if (!key.required || reading.is_given(key.path) || !applies(key, target)) { return; }
  const std::vector<Condition> conditions = conditions_of(key);
  if (std::ranges::any_of(conditions, [&](const Condition& c) { return reading.is_broken(c.selector); })) { return; }
  const std::string_view reason_path = conditions.empty() ? key.parent() : conditions.front().selector;
  std::string text = fmt::format("{} is required", key.path);
  for (const Condition& condition : conditions) {
    text += fmt::format(" with {} {}", condition.selector, word_of(*find_key(condition.selector), target));
  }
  if (!key.example.empty()) { text += fmt::format("; for example `{}: {}`", key.word(), key.example); }
  reading.mistake(reading.place_of(reason_path), std::move(text));
}

class Rules {
 public:
  explicit Rules(Reading& reading) : reading_(reading), configuration_(reading.configuration) {}

  void topology() {
    TopologyConfig& topology = configuration_.topology;
    const auto given = [&](std::string_view word) { return reading_.is_given("topology." + std::string(word)); };
    if (!reading_.is_given("topology") || reading_.is_broken("topology")) { return; }
    using Kind = TopologyConfig::Kind;
    if (given("star")) { topology.kind = Kind::kStar; }
    if (given("widths")) { topology.kind = Kind::kWidths; }
    if (given("file")) { topology.kind = Kind::kFile; }
    if (given("sites")) { topology.kind = Kind::kSites; }
    if (given("nodes")) { topology.kind = Kind::kInline; }
    if (given("branching")) { topology.kind = given("clients") ? Kind::kBalancedLeaves : Kind::kBalanced; }

    const bool any = std::any_of(reading_.given.begin(), reading_.given.end(),
                                 [](const auto& entry) { return entry.first.starts_with("topology."); });
    if (!any) {
      mistake("topology",
              "topology must say what the tree is: by star, widths, branching with height or clients, file, sites or "
              "nodes");
      return;
    }
    for (const std::string_view word : {"height", "clients"}) {
      const std::string path = fmt::format("topology.{}", word);
      if (given(word) && !given("branching")) {
        mistake(path, fmt::format("{} needs topology.branching beside it", path));
      }
    }
    if (given("branching") && !given("height") && !given("clients")) {
      mistake("topology.branching", "topology.branching needs topology.height or topology.clients beside it");
    }
    if (given("branching") && given("height") && given("clients")) {
      mistake(later("topology.height", "topology.clients"),
              "topology.height and topology.clients exclude each other; keep one");
    }
    if (topology.kind == Kind::kBalanced && usable({"topology.branching", "topology.height"})) {
      double clients = 1.0;
      for (std::uint32_t i = 0; i < topology.height; ++i) { clients *= topology.branching; }
      if (clients > kMostClients) {
        mistake("topology.height",
                fmt::format("topology.branching {} and topology.height {} make more than {:.0f} clients",
                            topology.branching, topology.height, kMostClients));
      }
    }
    for (std::size_t i = 1; i < topology.widths.size(); ++i) {
      if (topology.widths[i] < topology.widths[i - 1]) {
        mistake("topology.widths",
                fmt::format("topology.widths[{}] must be >= {}, the width above it, or aggregators have no children; "
                            "got {}",
                            i, topology.widths[i - 1], topology.widths[i]));
        break;
      }
    }
  }

  void data() {
    const DataConfig& data = configuration_.data;
    if (!usable({"data", "data.source"})) { return; }
    for (const auto& [one, other] :
         {std::pair{"data.test_images", "data.test_labels"}, std::pair{"data.test_labels", "data.test_images"}}) {
      if (data.source == DataConfig::Source::kIdx && reading_.is_given(one) && !reading_.is_given(other)) {
        mistake(one, fmt::format("{} needs {} beside it", one, other));
      }
    }
    if (data.source == DataConfig::Source::kSynthetic) { synthetic(); }
    if (!usable({"data.partition", "data.partition.kind", "data.id_column"}) ||
        data.partition != DataConfig::Partition::kNatural) {
      return;
    }
    using Source = DataConfig::Source;
    if (data.source == Source::kCsv && data.id_column.empty()) {
      mistake("data.partition.kind", "data.partition.kind natural needs data.id_column");
    } else if (data.source != Source::kCsv && data.source != Source::kSafetensors && data.source != Source::kNone) {
      Target target = reading_.target();
      mistake("data.partition.kind",
              fmt::format("data.partition.kind natural needs samples with ids: data.source csv or safetensors, not {}",
                          word_of(*find_key("data.source"), target)));
    }
  }

  void training() {
    const TrainerConfig& trainer = configuration_.trainer;
    const bool is_torch = usable({"trainer", "trainer.kind"}) && trainer.kind == "torch";
    const std::string_view trainer_place = reading_.is_given("trainer.kind") ? "trainer.kind" : "data.source";
    if (is_torch && usable({"data", "data.source"}) && configuration_.data.source == DataConfig::Source::kNone) {
      mistake(trainer_place, "trainer.kind torch needs samples, but data.source is none");
    }
    if (is_torch && usable({"model", "model.kind"}) && configuration_.model.torchscript.empty() &&
        configuration_.model.kind == "echo") {
      mistake("model.kind", "model.kind echo cannot be trained by trainer.kind torch; use trainer.kind echo");
    }
    if (usable({"trainer", "trainer.kind", "model"})) {
      if (trainer.kind == "echo") { echo(); }
      if (trainer.kind == "command") { command(); }
    }
    const OptimizerConfig& optimizer = trainer.optimizer;
    const bool sgd =
        usable({"trainer.optimizer", "trainer.optimizer.kind"}) && optimizer.kind == OptimizerConfig::Kind::kSgd;
    if (sgd && usable({"trainer.optimizer.momentum"}) && optimizer.nesterov && optimizer.momentum == 0.0) {
      mistake("trainer.optimizer.nesterov", "trainer.optimizer.nesterov needs trainer.optimizer.momentum > 0");
    }
    if (!usable({"algorithm", "algorithm.kind"})) { return; }
    gradient_methods();
    if (configuration_.algorithm.kind != AlgorithmConfig::Kind::kFedSgd) { return; }
    const auto fedsgd_needs = [&](std::string_view path, bool holds, std::string_view demand) {
      if (holds || !usable({path})) { return; }
      Target target = reading_.target();
      const Key& key = *find_key(path);
      const Field field = key.field(target);
      const std::string got = std::holds_alternative<double*>(field) ? fmt::format("{}", *std::get<double*>(field))
                              : std::holds_alternative<std::uint32_t*>(field)
                                  ? fmt::format("{}", *std::get<std::uint32_t*>(field))
                                  : word_of(key, target);
      mistake(path, fmt::format("{} must {} with algorithm.kind fedsgd, which takes one plain step; got {}", path,
                                demand, got));
    };
    fedsgd_needs("trainer.epochs", trainer.epochs == 1, "be 1");
    fedsgd_needs("trainer.steps", trainer.steps <= 1, "be 1");
    fedsgd_needs("trainer.optimizer.kind", optimizer.kind == OptimizerConfig::Kind::kSgd, "be sgd");
    fedsgd_needs("trainer.optimizer.momentum", optimizer.momentum == 0.0, "be 0");
  }

  void tiers() {
    policy_keys();
    tier("tiers.default", configuration_.default_tier);
    for (const auto& [distance, config] : configuration_.tiers) { tier(fmt::format("tiers.{}", distance), config); }

    static constexpr std::string_view kAtRoot = "tiers.0.local_rounds";
    const auto root = configuration_.tiers.find(0);
    if (reading_.is_given(kAtRoot)) {
      if (usable({kAtRoot}) && root->second.local_rounds != 1) {
        mistake(kAtRoot,
                fmt::format("{} must be 1, as the root has no parent; got {}", kAtRoot, root->second.local_rounds));
      }
    } else if (configuration_.default_tier.local_rounds != 1) {
      configuration_.tiers.emplace(0, configuration_.default_tier).first->second.local_rounds = 1;
    }
    // What the default says of aggregators is not for the root.
    static constexpr std::string_view kAdoptionAtRoot = "tiers.0.adoption";
    if (reading_.is_given(kAdoptionAtRoot)) {
      if (root->second.adoption != TierConfig::Adoption::kRebase) {
        mistake(kAdoptionAtRoot,
                fmt::format("{} has no effect: the root has no parent whose model it could take up", kAdoptionAtRoot));
      }
    } else if (configuration_.tier(0).adoption != TierConfig::Adoption::kRebase) {
      configuration_.tiers.emplace(0, configuration_.default_tier).first->second.adoption =
          TierConfig::Adoption::kRebase;
    }
    static constexpr std::string_view kEdgeModelAtRoot = "tiers.0.edge_model";
    if (reading_.is_given(kEdgeModelAtRoot)) {
      if (root->second.edge_model == TierConfig::EdgeModel::kOwn) { return; }
      mistake(kEdgeModelAtRoot,
              fmt::format("{} has no effect: the root has no parent whose model it could give on", kEdgeModelAtRoot));
    } else if (configuration_.tier(0).edge_model != TierConfig::EdgeModel::kOwn) {
      configuration_.tiers.emplace(0, configuration_.default_tier).first->second.edge_model =
          TierConfig::EdgeModel::kOwn;
    }
  }

  void evaluation() {
    Target target = reading_.target();
    if (!usable({"data", "data.source", "trainer", "trainer.kind", "evaluation"}) ||
        !applies(*find_key("evaluation.batch_size"), target)) {
      return;
    }
    const EvaluationConfig& evaluation = configuration_.evaluation;
    const bool has_samples = holds_samples_out(configuration_);
    const std::string name_them = fmt::format(
        "held-out samples to measure on: name them by {}",
        configuration_.data.source == DataConfig::Source::kIdx ? "data.test_images and data.test_labels" : "data.test");
    if (evaluation.stop_at_accuracy) {
      if (usable({"evaluation.every"}) && evaluation.every == 0) {
        mistake("evaluation.stop_at_accuracy", "evaluation.stop_at_accuracy needs evaluation.every >= 1");
      }
      if (!has_samples) {
        mistake("evaluation.stop_at_accuracy", fmt::format("evaluation.stop_at_accuracy needs {}", name_them));
      }
    }
    if (!has_samples && is_set("evaluation.every") && evaluation.every != 0) {
      mistake("evaluation.every", fmt::format("evaluation.every needs {}", name_them));
    }
    for (const char* const path : {"evaluation.clients.every", "evaluation.clients.fraction"}) {
      if (!is_set(path) || !usable({path, "evaluation.clients.holdout"}) || clients_hold_samples_out(configuration_)) {
        continue;
      }
      mistake(path,
              fmt::format("{} has no effect, as no client holds samples out: set evaluation.clients.holdout", path));
    }
    if (is_set("evaluation.batch_size") && usable({"evaluation.every", "evaluation.at_clients"}) &&
        !measures(configuration_)) {
      mistake("evaluation.batch_size",
              fmt::format("evaluation.batch_size has no effect, as nothing is measured: {}, evaluation.at_clients is "
                          "false, and evaluation.clients.holdout is 0",
                          has_samples ? "evaluation.every is 0" : "there are no held-out samples"));
    }
  }

  void simulation() {
    const SimulationConfig::Faults& faults = configuration_.simulation.faults;
    const auto needs = [&](std::string_view path, std::initializer_list<std::string_view> causes, bool holds) {
      if (!reading_.is_given(path) || !usable({path}) || !usable(causes) || holds) { return; }
      const std::vector<std::string_view> words(causes);
      mistake(path, fmt::format("{} has no effect unless {} is > 0", path, one_of(words)));
    };
    needs("simulation.faults.delay_s", {"simulation.faults.delay", "simulation.faults.duplicate"},
          faults.delay > 0.0 || faults.duplicate > 0.0);
    needs("simulation.faults.down_s", {"simulation.faults.kill"}, faults.kill > 0.0);
    needs(
        "simulation.faults.seed",
        {"simulation.faults.drop", "simulation.faults.duplicate", "simulation.faults.delay", "simulation.faults.kill"},
        faults.drop > 0.0 || faults.duplicate > 0.0 || faults.delay > 0.0 || faults.kill > 0.0);
    Target target = reading_.target();
    if (applies(*find_key("simulation.devices"), target)) {
      constexpr std::string_view kPeriod = "simulation.devices.available.times_a_day";
      constexpr std::string_view kShareKey = "simulation.devices.available.share";
      if (reading_.is_given(kPeriod) && usable({kPeriod, kShareKey}) &&
          configuration_.simulation.devices.available_share == 1.0) {
        mistake(kPeriod, fmt::format("{} has no effect unless {} is below 1", kPeriod, kShareKey));
      }
      needs("simulation.devices.slowness", {"simulation.compute_seconds_per_sample"},
            configuration_.simulation.compute_seconds_per_sample > 0.0);
    }
  }

 private:
  void synthetic() {
    const DataConfig& data = configuration_.data;
    if (usable({"data.samples", "data.classes"}) &&
        data.synthetic_samples < static_cast<std::uint64_t>(data.synthetic_classes)) {
      mistake(
          later("data.samples", "data.classes"),
          fmt::format("data.samples must be >= data.classes, or a class has no samples; got {} samples for {} classes",
                      data.synthetic_samples, data.synthetic_classes));
    }
    if (!usable({"data.samples", "data.shape"})) { return; }
    auto values = static_cast<double>(data.synthetic_samples);
    for (const std::int64_t length : data.synthetic_shape) { values *= static_cast<double>(length); }
    if (values > static_cast<double>(kMostSyntheticValues)) {
      mistake(later("data.samples", "data.shape"),
              fmt::format("data.samples {} of data.shape [{}] make more than {} values", data.synthetic_samples,
                          fmt::join(data.synthetic_shape, ", "), kMostSyntheticValues));
    }
  }

  // Given, and right in itself.
  [[nodiscard]] bool is_set(std::string_view path) const { return reading_.is_given(path) && usable({path}); }

  void echo() {
    echo_work();
    const ModelConfig& model = configuration_.model;
    static constexpr std::string_view kReason =
        "cannot be used by trainer.kind echo, which returns numbers without meaning; use model.kind echo";
    if (model.torchscript.empty() && usable({"model.kind"}) && model.kind != "echo") {
      mistake("model.kind", fmt::format("model.kind {} {}", model.kind, kReason));
    }
  }

  // Methods that take a change for a sum of gradients. What else they refuse depends on the tree: Plan::create().
  void gradient_methods() {
    using Kind = AlgorithmConfig::Kind;
    const Kind kind = configuration_.algorithm.kind;
    const OptimizerConfig& optimizer = configuration_.trainer.optimizer;
    const bool torch = configuration_.trainer.kind == "torch";
    const std::string name = kind == Kind::kFedNova    ? "fednova"
                             : kind == Kind::kQFedAvg  ? "qfedavg"
                             : kind == Kind::kScaffold ? "scaffold"
                             : kind == Kind::kMtgc     ? "mtgc"
                                                       : "feddyn";
    const auto refuse = [&](bool wrong, std::string_view path, const std::string& why) {
      if (wrong && usable({path})) { mistake(path, fmt::format("{} with algorithm.kind {}{}", path, name, why)); }
    };
    const bool adaptive = torch && optimizer.kind != OptimizerConfig::Kind::kSgd;
    const bool stateful = kind == Kind::kScaffold || kind == Kind::kFedDyn || kind == Kind::kMtgc;
    if (kind == Kind::kFedNova || kind == Kind::kQFedAvg || stateful) {
      refuse(adaptive, "trainer.optimizer.kind",
             " must be sgd: how often a gradient counts in a change is not known of adam and adamw");
    }
    if (kind == Kind::kQFedAvg) {
      refuse(configuration_.trainer.kind == "command", "trainer.kind",
             " must be torch or library: a program cannot tell its learning rate");
    }
    if (!stateful) { return; }
    const auto takes_drift = [](const std::string& word) { return word.find(kDriftWord) != std::string::npos; };
    refuse(
        configuration_.trainer.kind == "command" && std::ranges::none_of(configuration_.trainer.command, takes_drift),
        "trainer.command", " must hold {drift}, the file that says what the program has to add to its gradients");
    refuse(configuration_.checkpoint.every == 0, "checkpoint.every",
           " must be > 0: a client adds to its state only what is in a checkpoint");
    if (kind != Kind::kFedDyn) { return; }
    refuse(configuration_.algorithm.weighting != AlgorithmConfig::Weighting::kUniform, "algorithm.weighting",
           " must be uniform: it minimizes the plain mean of the clients' objectives");
    refuse(configuration_.server_optimizer.kind != "sgd", "server_optimizer.kind",
           " must be sgd: the method says itself how the model moves");
    refuse(configuration_.server_optimizer.kind == "sgd" && configuration_.server_optimizer.lr != 1.0,
           "server_optimizer.lr", " must be 1: the method says itself how the model moves");
  }

  // Nothing is trained, but it may take virtual time as if it were.
  void echo_work() {
    static constexpr std::string_view kSeconds = "simulation.compute_seconds_per_sample";
    if (!usable({"simulation", kSeconds})) { return; }
    const bool counts = work_counts(configuration_);
    for (const std::string_view path : {"trainer.epochs", "trainer.steps", "trainer.batch_size"}) {
      if (!is_set(path)) { continue; }
      if (!counts) {
        mistake(path, fmt::format("{} has no effect with trainer.kind echo, which trains nothing, unless {} is > 0",
                                  path, kSeconds));
      } else if (path == "trainer.batch_size" && !reading_.is_given("trainer.steps")) {
        mistake(path, "trainer.batch_size has no effect with trainer.kind echo unless trainer.steps is given");
      }
    }
  }

  void command() {
    const std::vector<std::string>& command = configuration_.trainer.command;
    const auto names_output = [](const std::string& word) { return word.find(kOutputWord) != std::string::npos; };
    if (command.empty() || !usable({"trainer.command"}) || std::ranges::any_of(command, names_output)) { return; }
    mistake("trainer.command",
            fmt::format("trainer.command must hold {}, the file that the program writes", kOutputWord));
  }

  // None of these is wrong in itself.
  [[nodiscard]] bool usable(std::initializer_list<std::string_view> paths) const {
    return std::none_of(paths.begin(), paths.end(), [&](std::string_view path) { return reading_.is_broken(path); });
  }

  void mistake(std::string_view path, std::string text) { reading_.mistake(reading_.place_of(path), std::move(text)); }

  [[nodiscard]] std::string_view later(std::string_view a, std::string_view b) const {
    return reading_.place_of(a) < reading_.place_of(b) ? b : a;
  }

  // `path` of the tier, or of the default where the tier does not say it.
  [[nodiscard]] std::string origin(std::string_view tier, std::string_view word) const {
    std::string path = fmt::format("{}.{}", tier, word);
    return reading_.is_given(path) ? path : fmt::format("tiers.default.{}", word);
  }

  // Keys of another policy than the tier's. What stands in the default may serve any tier.
  void policy_keys() {
    for (const auto& [path, given] : reading_.given) {
      const Key* const key = find_key(pattern_of(path));
      if (key == nullptr || !path.starts_with("tiers.")) { continue; }
      const std::string tier = path.substr(0, path.find('.', std::string_view("tiers.").size()));
      if (!usable({origin(tier, "policy"), origin(tier, "discount")})) { continue; }
      std::vector<TierConfig*> served;
      if (tier == "tiers.default") { served.push_back(&configuration_.default_tier); }
      for (auto& [distance, config] : configuration_.tiers) {
        if (tier == "tiers.default" || tier == fmt::format("tiers.{}", distance)) { served.push_back(&config); }
      }
      const Key& section = *find_key(key->parent());
      const auto obeys = [&](const Key& what) {
        return std::ranges::any_of(served, [&](TierConfig* config) {
          Target target = reading_.target(*config);
          return applies(what, target);
        });
      };
      if (served.empty() || !obeys(section) || obeys(*key)) { continue; }
      refuse_key_of_policy(*key, path, tier, *served.front(), given);
    }
  }

  void refuse_key_of_policy(const Key& key, const std::string& path, const std::string& tier, TierConfig& config,
                            const Given& given) {
    Target target = reading_.target(config);
    for (const Condition& condition : conditions_of(key)) {
      const Key& selecting = *find_key(condition.selector);
      const std::string value = word_of(selecting, target);
      if (allows(condition, value)) { continue; }
      const std::string selector = fmt::format("{}.{}", tier, selecting.word());
      reading_.mistake(given.key,
                       fmt::format("{} belongs to {} {}, but that is {}{}", path, selector, one_of(condition.values),
                                   value, reading_.is_given(origin(tier, selecting.word())) ? "" : ", the default"));
      return;
    }
  }

  void tier(std::string_view path, const TierConfig& config) {
    if (config.policy != "synchronous") { return; }
    const std::string quorum = origin(path, "quorum");
    const std::string deadline = origin(path, "deadline_s");
    if (usable({quorum, deadline}) && config.quorum < 1.0 && config.deadline_s == 0.0) {
      inherited_mistake(
          path, quorum, deadline,
          fmt::format("{} {} needs deadline_s > 0: it counts when the deadline comes", quorum, config.quorum));
    }
    const std::string over_selection = origin(path, "over_selection");
    const std::string fraction = origin(path, "cohort.fraction");
    const std::string count = origin(path, "cohort.count");
    const bool asks_all = !config.cohort_count && config.cohort_fraction.value_or(1.0) == 1.0;
    if (usable({over_selection, fraction, count, origin(path, "cohort")}) && config.over_selection > 1.0 && asks_all) {
      inherited_mistake(path, over_selection, fraction,
                        fmt::format("{} {} needs cohort.count or cohort.fraction < 1: all children are asked already",
                                    over_selection, config.over_selection));
    }
  }

  // A mistake whose two halves both stand in the default is said there, not once more for every tier.
  void inherited_mistake(std::string_view tier, const std::string& one, const std::string& other, std::string text) {
    static constexpr std::string_view kDefault = "tiers.default";
    const bool of_default = one.starts_with(kDefault) && other.starts_with(kDefault);
    if (of_default && tier != kDefault) { return; }
    if (one.starts_with(kDefault) && tier != kDefault) { text += fmt::format(" (in {})", tier); }
    mistake(one.starts_with(kDefault) && tier != kDefault ? other : one, std::move(text));
  }

  Reading& reading_;
  Configuration& configuration_;
};

}  // namespace

Place Reading::place_of(std::string_view path) const {
  for (;;) {
    if (const auto found = given.find(path); found != given.end()) { return found->second.value; }
    const std::size_t dot = path.rfind('.');
    if (dot == std::string_view::npos) { return {}; }
    path = path.substr(0, dot);
  }
}

void follow_defaults(Reading& reading) {
  Configuration& configuration = reading.configuration;
  const bool chosen = reading.is_given("model.kind") || reading.is_given("model.torchscript");
  if (configuration.trainer.kind == "echo" && !chosen) { configuration.model.kind = "echo"; }
  // What has no effect is off.
  Target target = reading.target();
  const auto is_off = [&](std::string_view path) {
    return !reading.is_given(path) && !applies(*find_key(path), target);
  };
  if (is_off("data.source")) { configuration.data.source = DataConfig::Source::kNone; }
  if (is_off("evaluation.every")) { configuration.evaluation.every = 0; }
  ServerOptimizerConfig& optimizer = configuration.server_optimizer;
  if (!reading.is_given("server_optimizer.lr")) {
    if (optimizer.kind == "fedadagrad") { optimizer.lr = 0.1; }
    if (optimizer.kind == "fedadam" || optimizer.kind == "fedyogi") { optimizer.lr = 0.01; }
  }
  // Tiers have taken over from the default what serves them. What belongs to another policy than theirs is not kept.
  const auto keep_own = [&](TierConfig& tier) {
    Target of_tier = reading.target(tier);
    for (const Key& key : schema()) {
      if (!key.is_section() && key.path.starts_with("tiers.*.") && !applies(key, of_tier)) { reset(key, of_tier); }
    }
  };
  keep_own(configuration.default_tier);
  for (auto& [distance, tier] : configuration.tiers) { keep_own(tier); }
}

void check_conditions(Reading& reading) {
  for (const auto& [path, given] : reading.given) {
    const Key* key = find_key(pattern_of(path));
    if (key == nullptr) { continue; }
    // Which of a tier's keys count depends on that tier: Rules::policy_keys().
    if (!path.starts_with("tiers.")) { check_condition(*key, path, given, reading); }
    check_rivals(*key, path, given, reading);
  }
  for (const Key& key : schema()) { check_required(key, reading); }
}

void check_rules(Reading& reading) {
  Rules rules(reading);
  rules.topology();
  rules.data();
  rules.training();
  rules.tiers();
  rules.evaluation();
  rules.simulation();
}

}  // namespace tributary::internal::config
