// SPDX-License-Identifier: Apache-2.0
// Trains by running a program of the user's, in any language: safetensors in, safetensors out.
//
// Per task: a private directory (mode 0700) below the system's directory for temporary files, removed afterwards. In it
//           input.safetensors: the model, and in its metadata client, round, global_round, seed, evaluate_first (0 or
//           1) and every entry of trainer.options as option.<key>. The program writes output.safetensors: the model
//           with the same tensors, and in its metadata weight (> 0), samples, steps, and any other number as a metric:
//           loss, accuracy, ...
// Weight:   algorithm.weighting uniform: 1. Otherwise the program's weight, or else its samples, or else 1, with capped
//           at most weight_cap. More than trainer.weight_bound (1 unless given) fails the task.
// Program:  trainer.command, a fixed list of arguments; {input} and {output} in one become the two files. No shell. A
//           program without a slash is looked up in PATH; one with a slash is relative to the configuration. It gets
//           the environment of this process without secrets (docs/extending.md), no standard input, and its own
//           process group, which is killed with the task, after trainer.timeout_s, or when the task is cancelled.
//           Whatever ends this process, no program and no file of one stays behind.
// Model:    model.initial, a safetensors file, says what the model is made of and where it starts.
// Errors:   kConfiguration for the configuration; kDeadlineExceeded: timeout; kUnavailable: the program could not be
//           started or failed, with the end of what it wrote to standard error; kBadData: its output.
#pragma once

#include <memory>

#include "tributary/training/trainer_registry.hpp"

namespace tributary {

Result<std::unique_ptr<TrainerFactory>> make_command_trainer_factory(const TrainerContext& context);

}  // namespace tributary
