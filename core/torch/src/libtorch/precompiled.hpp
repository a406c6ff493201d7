// SPDX-License-Identifier: Apache-2.0
// libtorch's headers, parsed once for all sources of this folder.
#pragma once

#include <torch/script.h>
#include <torch/torch.h>
