// SPDX-License-Identifier: Apache-2.0
// Every key of a configuration, once: what reads, checks, prints and documents it.
//
// Adding a key: a member in configuration.hpp, one row in configuration_keys.cpp or configuration_keys_training.cpp,
// and one in tests/program/every_key_test.py, which shows what the key changes. A rule between several keys goes to
// configuration_rules.cpp; a test for each mistake to configuration_errors_test.cpp.
// Threads: immutable.
// Symbols: in a namespace of their own; names in tributary::internal meet those of the other shared libraries.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "tributary/config/configuration.hpp"

namespace tributary::internal::config {

// In a tree; what a topology may hold in all is a little more.
inline constexpr double kMostClients = 1e7;

// In a data set that is made up.
inline constexpr std::uint64_t kMostSyntheticValues = std::uint64_t{1} << 32U;

// A program that trains reads its task from the file that replaces the one, and writes its result to the other.
inline constexpr std::string_view kInputWord = "{input}";
inline constexpr std::string_view kOutputWord = "{output}";
inline constexpr std::string_view kDriftWord = "{drift}";

// Where values of one reading or printing go or come from. Keys below `tiers` mean the tier that is set here.
struct Target {
  Configuration& configuration;
  TierConfig& tier;
  std::uint32_t& schema;
};

// A member that is an enumeration; its enumerators count from 0 in the order of Key::choices.
struct EnumField {
  void* object;
  std::size_t (*get)(const void* object);
  void (*set)(void* object, std::size_t value);
};

struct NodesField {
  TopologyConfig* topology;
};

using Field =
    std::variant<bool*, std::uint32_t*, std::uint64_t*, std::int32_t*, double*, std::string*, std::filesystem::path*,
                 std::optional<double>*, std::optional<std::uint32_t>*, std::vector<std::uint32_t>*,
                 std::vector<std::int64_t>*, std::vector<std::string>*, std::map<std::string, std::string>*,
                 std::vector<TopologyConfig::Site>*, EnumField, NodesField>;

// Bounds of a number, or of each number of a list.
struct Range {
  std::optional<double> least;  // >=
  std::optional<double> above;  // >
  std::optional<double> most;   // <=
  std::optional<double> below;  // <
  bool or_zero = false;         // 0 is allowed beside what the bounds allow

  [[nodiscard]] bool contains(double value) const noexcept;
  // "> 0 and <= 1"; empty without bounds.
  [[nodiscard]] std::string text() const;
};

struct Key {
  std::string_view path;                     // "tiers.*" stands for each tier
  std::string_view meaning;                  // a sentence of the reference
  Field (*field)(Target& target) = nullptr;  // null: a section, which holds other keys
  Range range{};
  bool float32 = false;  // the number is computed with as a float32: another number than 0 must not become 0 there
  std::vector<std::string_view> choices{};
  bool open = false;  // another word is the name of an extension: the plan knows which there are
  // "data.source=csv|idx & trainer.kind=torch": the key has an effect only while each of these keys has one of its
  // values, and is refused otherwise. Holds for all keys of a section.
  std::string_view when{};
  // The value that says "not at all". It may stand where `when` does not hold, and is what an absent key means there.
  std::string_view off{};
  bool required = false;  // must be given wherever `when` allows it
  // Keys with one parent and one group but different ways exclude each other.
  std::string_view group{};
  std::string_view way{};
  // False: print_configuration() leaves the key out. Null: always printed where `when` holds.
  bool (*printed)(const Target& target) = nullptr;
  std::string_view example{};
  std::string_view fallback{};  // what an absent key means, where no value says so

  [[nodiscard]] bool is_section() const noexcept { return field == nullptr; }
  [[nodiscard]] std::string_view parent() const noexcept;
  // The last word of the path.
  [[nodiscard]] std::string_view word() const noexcept;
};

// In the order of the printed form; a section stands before its keys.
[[nodiscard]] std::span<const Key> schema();

// By pattern ("tiers.*.quorum"); null if there is none.
[[nodiscard]] const Key* find_key(std::string_view pattern);

// "tiers.0.quorum" becomes "tiers.*.quorum"; other paths stay as they are.
[[nodiscard]] std::string pattern_of(std::string_view path);

// "trainer.batch_size" becomes "TRIBUTARY_TRAINER_BATCH_SIZE".
[[nodiscard]] std::string environment_name(std::string_view path);

struct Condition {
  std::string_view selector;
  std::vector<std::string_view> values;
};

// Whether a key may stand beside a selector of that value. A name that the schema does not know may need any key.
[[nodiscard]] bool allows(const Condition& condition, std::string_view value);

// Key::when, taken apart.
[[nodiscard]] std::vector<Condition> conditions_of(const Key& key);

// The value in YAML; empty for an absent one.
[[nodiscard]] std::string value_text(const Key& key, Target& target);

// The value of a key with choices, as a word.
[[nodiscard]] std::string word_of(const Key& key, Target& target);

// True if the conditions of the key and of all sections around it hold.
[[nodiscard]] bool applies(const Key& key, Target& target);

// Puts the key's default into `target`.
void reset(const Key& key, Target& target);

// What a client's training should obey, by key: "trainer.optimizer.lr" to "0.01". Only keys that apply.
[[nodiscard]] std::map<std::string, std::string> training_values(const Configuration& configuration);

}  // namespace tributary::internal::config
