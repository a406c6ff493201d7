// SPDX-License-Identifier: Apache-2.0
// The names by which a configuration asks for policies, rules, methods, server optimizers and codecs, and what makes
// them.
//
// Life cycle: filled at start, by register_builtin_aggregators() and by your own calls; then only read.
// Threads:    filling belongs to one thread; afterwards const calls may run together.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "tributary/nodes/aggregation_rule.hpp"
#include "tributary/nodes/codec.hpp"
#include "tributary/nodes/local_method.hpp"
#include "tributary/nodes/server_optimizer.hpp"
#include "tributary/nodes/tier_policy.hpp"

namespace tributary {

class ExtensionRegistry {
 public:
  using PolicyMaker = std::function<std::unique_ptr<TierPolicy>(const PolicySettings&)>;
  using RuleMaker = std::function<std::unique_ptr<AggregationRule>()>;
  using ServerOptimizerMaker = std::function<std::unique_ptr<ServerOptimizer>(const ServerOptimizerSettings&)>;
  using LocalMethodMaker = std::function<std::unique_ptr<LocalMethod>(const LocalMethodSettings&)>;
  using CodecMaker = std::function<std::unique_ptr<Codec>()>;

  // A later entry of the same name replaces an earlier one.
  void add_policy(std::string name, std::string summary, PolicyMaker maker);
  void add_rule(std::string name, std::string summary, RuleMaker maker);
  void add_server_optimizer(std::string name, std::string summary, ServerOptimizerMaker maker);
  void add_local_method(std::string name, std::string summary, LocalMethodMaker maker);
  void add_codec(std::string name, std::string summary, CodecMaker maker);

  // kConfiguration, with the known names, if `name` is not among them.
  [[nodiscard]] Result<std::unique_ptr<TierPolicy>> make_policy(const std::string& name,
                                                                const PolicySettings& settings) const;
  [[nodiscard]] Result<std::unique_ptr<AggregationRule>> make_rule(const std::string& name) const;
  [[nodiscard]] Result<std::unique_ptr<ServerOptimizer>> make_server_optimizer(
      const std::string& name, const ServerOptimizerSettings& settings) const;
  [[nodiscard]] Result<std::unique_ptr<LocalMethod>> make_local_method(const std::string& name,
                                                                       const LocalMethodSettings& settings) const;
  [[nodiscard]] Result<std::unique_ptr<Codec>> make_codec(const std::string& name) const;

  struct Entry {
    std::string name;
    std::string summary;
  };
  [[nodiscard]] std::vector<Entry> policies() const;
  [[nodiscard]] std::vector<Entry> rules() const;
  [[nodiscard]] std::vector<Entry> server_optimizers() const;
  [[nodiscard]] std::vector<Entry> codecs() const;

 private:
  template <typename Maker>
  struct Known {
    std::string summary;
    Maker maker;
  };
  std::map<std::string, Known<PolicyMaker>> policies_;
  std::map<std::string, Known<RuleMaker>> rules_;
  std::map<std::string, Known<ServerOptimizerMaker>> server_optimizers_;
  std::map<std::string, Known<LocalMethodMaker>> local_methods_;
  std::map<std::string, Known<CodecMaker>> codecs_;
};

}  // namespace tributary
