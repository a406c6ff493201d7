#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compares tiers that wait with tiers that do not, on the virtual clock, and says which promise holds.

    python3 benchmarks/asynchrony.py [--program build/dev/bin/tributary] [--seeds 3] [--only NAME] [--write docs/asynchrony.md]

Fashion-MNIST, from the Debian package. Times are virtual, so any machine gives the same figures. The synchronous side has
FedAvg's learning rate at the server, 1; what the other side has stands in the settings of each comparison.
Exit code 0 if every promise held.
"""
import argparse
import json
import pathlib
import statistics
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[1]

COMMON = {
    "schema": "1", "name": "asynchrony", "threads": "2", "data.source": "fashion-mnist", "model": "{kind: logistic}",
    "trainer.batch_size": "32", "trainer.optimizer": "{lr: 0.05}", "simulation.compute_seconds_per_sample": "0.001",
    "checkpoint.every": "0", "output.report": "false",
}


class Bench:
    def __init__(self, program, seeds):
        self.program = program
        self.seeds = seeds
        self.work = pathlib.Path(tempfile.mkdtemp(prefix="tributary-asynchrony-"))
        self.rows = []
        self.count = 0

    def run(self, **settings):
        """Records of rounds, with the virtual time at their ends."""
        self.count += 1
        file = self.work / "empty.yaml"
        file.write_text("schema: 1\ntopology: {star: 2}\ndata: {source: fashion-mnist}\n")
        directory = self.work / f"run-{self.count}"
        keys = COMMON | {key.replace("__", "."): value for key, value in settings.items()}
        options = [part for key, value in keys.items() if key != "schema" for part in ("--set", f"{key}={value}")]
        subprocess.run([self.program, "run", file, "--output", directory, "--quiet", *options], check=True,
                       stdout=subprocess.DEVNULL)
        rounds, now = [], 0.0
        with open(directory / "records.jsonl") as lines:
            for record in map(json.loads, lines):
                if record["event"] == "round":
                    now += record["virtual_seconds"]
                    rounds.append(record | {"at": now})
        return rounds

    def row(self, what, waiting, working, bound, holds):
        self.rows.append((what, waiting, working, bound, holds))
        print(f"{'holds ' if holds else 'MISSED'}  {what}: synchronous {waiting}, asynchronous {working} (promised: {bound})",
              flush=True)

    def both(self, waiting, working):
        """The rounds of each seed, of both sides."""
        return ([self.run(seed=str(seed), **waiting) for seed in range(1, self.seeds + 1)],
                [self.run(seed=str(seed), **working) for seed in range(1, self.seeds + 1)])

    # The promises.

    def twelve(self):
        """12 clients, one of them eight times as slow as another; 20 rounds' worth of work."""
        world = {"topology": "{star: 12}", "simulation.devices": "{slowness: uniform, slowest: 8}",
                 "model": "{kind: mlp, hidden: [64]}", "trainer.optimizer": "{lr: 0.1}"}
        waiting, working = self.both(
            world | {"rounds": "20"},
            world | {"rounds": "240", "tiers.0": "{policy: asynchronous, discount: polynomial}", "server_optimizer.lr": "0.3"})
        idle = [statistics.median(map(idle_share, side)) for side in (waiting, working)]
        self.row("12 clients of unequal speed: idle share of clients", f"{idle[0]:.1%}", f"{idle[1]:.2%}",
                 ">= 10 % and <= 1 %", idle[0] >= 0.1 and idle[1] <= 0.01)
        self.sooner("12 clients of unequal speed: time to", waiting, working, 1.3, 0.85)

    def tiers(self):
        """Four groups of eight clients with as much data as it happens: asynchronous edges and root. A task of a client with
        little data is short, so that there are more commits in a second; they go on for less than half of the time."""
        world = {"topology": "{widths: [4, 32]}", "data.partition": "{kind: count-dirichlet, beta: 1}",
                 "simulation.devices": "{slowness: log-normal, sigma: 0.5}"}
        waiting, working = self.both(
            world | {"rounds": "30"},
            world | {"rounds": "1500", "evaluation.every": "25",
                     "tiers": "{0: {policy: asynchronous}, 1: {policy: buffered, buffer: 4}}"})
        ends = [statistics.median(end_accuracy(rounds) for rounds in side) for side in (waiting, working)]
        self.row("three tiers, edges and root: accuracy at the end", f"{ends[0]:.2%}", f"{ends[1]:.2%}", "within 1 point",
                 ends[1] >= ends[0] - 0.01)
        self.sooner("three tiers, edges and root: time to the same accuracy,", waiting, working, 1.0)

    def buffered(self):
        """1,000 clients with a heavy tail of speeds, 100 at a time."""
        world = {"topology": "{star: 1000}", "simulation.devices": "{slowness: pareto, alpha: 1.2}"}
        waiting, working = self.both(
            world | {"rounds": "60", "tiers.0.cohort.count": "100"},
            world | {"rounds": "600", "tiers.0": "{policy: buffered, buffer: 10, concurrency: 100}",
                     "evaluation.every": "10", "server_optimizer.lr": "0.5"})
        self.sooner("FedBuff, 1,000 clients, heavy tail: time to the same accuracy,", waiting, working, 3.0)

    def sooner(self, what, waiting, working, factor, accuracy=None):
        """To `accuracy`, or else to 1 point below what the synchronous side ends with."""
        pairs = []
        for slow, fast in zip(waiting, working):
            target = accuracy or end_accuracy(slow) - 0.01
            pairs.append((time_to(slow, target), time_to(fast, target), target))
        ratios = [slow / fast if slow is not None and fast is not None else 0.0 for slow, fast, _ in pairs]
        ratio = statistics.median(ratios)
        target = statistics.median(target for _, _, target in pairs)
        slow, fast = (statistics.median(pair[i] if pair[i] is not None else float("inf") for pair in pairs) for i in (0, 1))
        self.row(f"{what} {target:.1%}", f"{slow:.1f} s", f"{fast:.1f} s, {ratio:.2f} times sooner", f">= {factor:g} times",
                 ratio >= factor)


def idle_share(rounds):
    return sum(r["idle_share"] * r["virtual_seconds"] for r in rounds) / rounds[-1]["at"]


def end_accuracy(rounds):
    return [r["accuracy"] for r in rounds if "accuracy" in r][-1]


def time_to(rounds, accuracy):
    return next((r["at"] for r in rounds if r.get("accuracy", 0.0) >= accuracy), None)


def page(rows, seeds):
    lines = ["# Waiting and working", "",
             "Tiers that wait for their children against tiers that do not, on the virtual clock, written by `benchmarks/asynchrony.py`,",
             f"which has the settings of each row. Fashion-MNIST, medians of {seeds} seeds; a perceptron with 64 hidden units for the twelve,",
             "logistic regression for the others. Virtual times are the same on any machine.", "", "| | synchronous | asynchronous | promised | |", "| --- | --- | --- | --- | --- |"]
    lines += [f"| {what} | {waiting} | {working} | {bound} | {'holds' if holds else '**missed**'} |"
              for what, waiting, working, bound, holds in rows]
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", default=str(ROOT / "build/dev/bin/tributary"))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--only", choices=["twelve", "tiers", "buffered"])
    parser.add_argument("--write", type=pathlib.Path, help="also write the table to this page")
    options = parser.parse_args()
    bench = Bench(options.program, options.seeds)
    for name in [options.only] if options.only else ["twelve", "tiers", "buffered"]:
        getattr(bench, name)()
    if options.write:
        options.write.write_text(page(bench.rows, options.seeds))
    sys.exit(0 if all(row[-1] for row in bench.rows) else 1)


if __name__ == "__main__":
    main()
