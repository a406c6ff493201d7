#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes a TorchScript file that `model: {torchscript: FILE}` can train.

    apt-get install python3-torch
    tools/make_torchscript.py small.pt

writes a small network with batch normalisation for 1x28x28 images and 10 classes. To bring your own model, put your
torch.nn.Module in place of Small: it gets a float32 batch [samples, *shape] and returns logits [samples, classes].
Every parameter with requires_grad is trained; floating buffers (running statistics) travel with the model; integer ones
do not. Do not freeze the module: a frozen one has no parameters left.
"""
import argparse

import torch
from torch import nn


class Small(nn.Module):
    def __init__(self, channels: int, classes: int):
        super().__init__()
        self.conv = nn.Conv2d(channels, 8, 5, bias=False)
        self.norm = nn.BatchNorm2d(8)
        self.linear = nn.Linear(8 * 6 * 6, classes)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.norm(self.conv(images)))
        x = torch.max_pool2d(x, 4)
        return self.linear(x.flatten(1))


def main():
    parser = argparse.ArgumentParser(description="Writes a small TorchScript network.")
    parser.add_argument("file", help="where to write it")
    parser.add_argument("--seed", type=int, default=1, help="of the initial values (default 1)")
    arguments = parser.parse_args()
    torch.manual_seed(arguments.seed)
    model = Small(channels=1, classes=10)
    torch.jit.script(model).save(arguments.file)
    values = sum(p.numel() for p in model.parameters())
    print(f"{arguments.file}: {values} parameters")


if __name__ == "__main__":
    main()
