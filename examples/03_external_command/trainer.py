#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A trainer in pure Python: safetensors in, safetensors out, nothing but the standard library.

It stands for any program of yours, in any language. In the configuration:

    model: {initial: start.safetensors}
    trainer: {kind: command, command: [python3, trainer.py, "{input}", "{output}"], options: {lr: "0.5"}}

Each client pulls every value of the model towards its own number, counted from 1. So with equal weights the model goes
to the mean of those numbers.

The input's metadata holds the task as text: client, round, global_round, seed, evaluate_first (1: report base_loss and
the like of the model as it came), each of trainer.options as option.NAME, and by its key what a real trainer should
obey: rounds, trainer.epochs or trainer.steps, trainer.batch_size, trainer.device, trainer.optimizer.kind,
trainer.optimizer.lr and so on, algorithm.kind, algorithm.mu. This one takes option.lr, which is 1 unless given.

Command, in this directory (writes a model of three zeros, trains it as client 0, shows the result):

    python3 trainer.py --start start.safetensors 3
    python3 trainer.py start.safetensors trained.safetensors
    python3 trainer.py --show trained.safetensors

Expected output:

    start.safetensors: 3 values
    client 0: loss 0.500000, weight 1
    weight: [1.0, 1.0, 1.0]
    metadata: {'loss': '0.5', 'samples': '1', 'steps': '1', 'weight': '1'}
"""
import json
import struct
import sys


def read_safetensors(path):
    """Returns ({name: (shape, [float])}, metadata) of a file of F32 tensors."""
    with open(path, "rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(length))
        data = file.read()
    metadata = header.pop("__metadata__", {})
    tensors = {}
    for name, entry in header.items():
        if entry["dtype"] != "F32":
            raise ValueError(f"{path}: tensor {name} is {entry['dtype']}, expected F32")
        begin, end = entry["data_offsets"]
        tensors[name] = (entry["shape"], list(struct.unpack(f"<{(end - begin) // 4}f", data[begin:end])))
    return tensors, metadata


def write_safetensors(path, tensors, metadata):
    """The metadata's values are written as text, as the format wants it."""
    header, data = {"__metadata__": {key: str(value) for key, value in metadata.items()}}, b""
    for name, (shape, values) in tensors.items():
        packed = struct.pack(f"<{len(values)}f", *values)
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [len(data), len(data) + len(packed)]}
        data += packed
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + data)


def train(source, destination):
    tensors, task = read_safetensors(source)
    client = int(task.get("client", "0"))
    target = client + 1.0
    rate = float(task.get("option.lr", "1.0"))
    loss, count = 0.0, 0
    for _, values in tensors.values():
        for i, value in enumerate(values):
            loss += 0.5 * (value - target) ** 2
            count += 1
            values[i] = value - rate * (value - target)
    loss /= max(count, 1)
    metadata = {"loss": loss, "samples": 1, "steps": 1, "weight": 1}
    if "tributary.kinds" in task:  # says which tensors are not trainable
        metadata["tributary.kinds"] = task["tributary.kinds"]
    write_safetensors(destination, tensors, metadata)
    print(f"client {client}: loss {loss:.6f}, weight 1")


def main(arguments):
    if len(arguments) == 3 and arguments[0] == "--start":
        write_safetensors(arguments[1], {"weight": ([int(arguments[2])], [0.0] * int(arguments[2]))}, {})
        print(f"{arguments[1]}: {arguments[2]} values")
    elif len(arguments) == 2 and arguments[0] == "--show":
        tensors, metadata = read_safetensors(arguments[1])
        for name, (_, values) in tensors.items():
            print(f"{name}: {values}")
        print(f"metadata: {metadata}")
    elif len(arguments) == 2:
        train(arguments[0], arguments[1])
    else:
        sys.exit("usage: trainer.py INPUT OUTPUT | --start FILE VALUES | --show FILE")


if __name__ == "__main__":
    main(sys.argv[1:])
