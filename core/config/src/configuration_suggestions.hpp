// SPDX-License-Identifier: Apache-2.0
// What a key, a word or a variable that this program does not know was probably meant to be. Upper and lower case count
// as the same.
//
// Threads: functions of their arguments only.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace tributary::internal::config {

// "unknown key trainer.batchsize; did you mean trainer.batch_size?", or what else is known in the section.
[[nodiscard]] std::string unknown_key(const std::string& section, std::string_view word);

// The same of a variable of the environment.
[[nodiscard]] std::string unknown_variable(std::string_view name);

// "label-dirichlet or count-dirichlet" for "dirichlet"; empty if no choice is near.
[[nodiscard]] std::string meant_choice(std::string_view word, std::span<const std::string_view> choices);

// "true" for "True" and "yes"; empty if the word is neither one nor the other.
[[nodiscard]] std::string_view meant_truth(std::string_view word);

// How to give the section at `path` the one value that was given instead of a map:
// "{kind: adam}" for "Adam". Empty if none of its keys takes such a value.
[[nodiscard]] std::string as_section(std::string_view path, std::string_view value);

// "star, widths, ..."; empty for a section without keys of its own, or with too many to list.
[[nodiscard]] std::string keys_of_section(std::string_view path);

}  // namespace tributary::internal::config
