// SPDX-License-Identifier: Apache-2.0
// Trains built-in models and TorchScript files with libtorch, which is loaded when a model needs it: logistic
// regression on the CPU does not.
//
// Loading:      a program that links tributary::torch calls these; all others get them through
//               register_builtin_trainers(), which loads this library when a configuration asks for it.
// Models:       model.kind (see builtin_models()), or model.torchscript: a file trained as it is. Its parameters and
//               its floating buffers make up the spec, each memory once: tied weights stay tied. Everything else it
//               holds (integer buffers, attributes) starts every task as the file has it.
// Trial:        a TorchScript file is tried on a few samples when the factory is made. It must take batches of any
//               size; warnings() names the layers that ignore training or evaluation mode.
// Training:     cross-entropy, minibatches shuffled by TrainTask::seed, a fresh optimizer per task. FedSGD is one step
//               of plain SGD (with trainer.optimizer.weight_decay and clip_norm) on all samples at once, FedProx adds
//               mu * (x - base) to every gradient and reports the loss without its term. Gradients are clipped with
//               that term and before weight decay. A tensor that no gradient reaches in a step is left alone in it.
//               The learning rate's schedule counts TrainTask::global_round.
// Batches:      where a model cannot be trained on one sample (batch normalisation), a last batch of one sample joins
//               the batch before it, and a client with one sample is refused by the factory.
// Threads:      each Trainer computes on the thread that calls it, and on no other: many clients train side by side.
//               The first factory therefore sets libtorch, OpenMP and OpenBLAS to one thread, for the whole process.
// Determinism:  on the CPU a task's result depends on the task alone, bit for bit, also for models that draw random
//               numbers (dropout): their forward passes run one at a time. On CUDA the same, on the same kind of
//               device, for the built-in models; for TorchScript files as far as libtorch's kernels are deterministic.
//               cuDNN is told to use kernels that are, in the whole process.
// Precision:    float32. On CUDA convolutions may round their inputs to TF32, as PyTorch's own default is; the
//               environment variable NVIDIA_TF32_OVERRIDE=0 forbids it.
// Memory:       one replica of the model per Trainer (values, gradients, optimizer state), and one batch; with FedSGD
//               and batch normalisation the batch is all that a client has.
#pragma once

#include <memory>
#include <string>

#include "tributary/training/trainer_registry.hpp"

namespace tributary {

// kConfiguration: the model does not fit the data, or the file is no usable TorchScript; kNotFound, kIo: its file;
// kBadData: its values are not finite;
// kUnsupported: device cuda without one.
Result<std::unique_ptr<TrainerFactory>> make_torch_factory(const TrainerContext& context);

// What libtorch is like on this machine, as one JSON object: version, blas, openblas, threads, cuda, mkldnn,
// cpu_capability, build and parallel (texts); with `measure` also sgemm_gflops: 1024 x 1024, one thread.
[[nodiscard]] std::string torch_info(bool measure);

}  // namespace tributary
