#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Measures what Tributary promises about time, memory and bytes, and says which promise holds.

    python3 benchmarks/promises.py [--program build/release/bin/tributary] [--only NAME] [--write docs/benchmarks.md]

Whole processes are timed, start-up included; each figure is the median of several runs (the quick start runs once).
Exit code 0 if every promise held.
"""
import argparse
import datetime
import json
import os
import pathlib
import platform
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]


class Measured:
    """One finished run of the program."""

    def __init__(self, program, arguments, directory=None):
        begin = time.monotonic()
        with tempfile.TemporaryFile("w+") as errors_file:
            process = subprocess.Popen([program, *map(str, arguments)], cwd=ROOT, stdout=subprocess.PIPE,
                                       stderr=errors_file, text=True)
            self.out = process.stdout.read()
            _, status, usage = os.wait4(process.pid, 0)
            errors_file.seek(0)
            errors = errors_file.read()
        self.seconds = time.monotonic() - begin
        self.megabytes = usage.ru_maxrss * 1024 / 1e6
        if status != 0:
            sys.exit(f"{' '.join(map(str, arguments))} failed:\n{errors}")
        self.records = []
        if directory is not None:
            with open(directory / "records.jsonl") as lines:
                self.records = [json.loads(line) for line in lines]

    def rounds(self):
        return [record for record in self.records if record["event"] == "round"]


class Bench:
    def __init__(self, program):
        self.program = program
        self.work = pathlib.Path(tempfile.mkdtemp(prefix="tributary-promises-"))
        self.rows = []

    def federation(self, configuration, *settings):
        directory = self.work / f"run-{len(list(self.work.iterdir()))}"
        options = [part for setting in settings for part in ("--set", setting)]
        return Measured(self.program, ["run", configuration, "--output", directory, "--quiet", *options], directory)

    def facts(self, *arguments):
        return json.loads(Measured(self.program, [*arguments, "--json"]).out)

    def row(self, what, measured, bound, holds):
        self.rows.append((what, measured, bound, holds))
        print(f"{'holds ' if holds else 'MISSED'}  {what}: {measured} (promised: {bound})", flush=True)

    # The promises.

    def quickstart(self):
        run = self.federation("configs/quickstart.yaml")
        best = max(r.get("accuracy", 0.0) for r in run.rounds())
        first = next((r["round"] for r in run.rounds() if r.get("accuracy", 0.0) >= 0.85), None)
        self.row("quick start: test accuracy within 20 rounds", f"{best:.4f}, 0.85 reached in round {first}", ">= 0.85",
                 best >= 0.85)
        self.row("quick start: running time", f"{run.seconds:.1f} s", "<= 180 s", run.seconds <= 180)

    def logistic(self):
        runs = [self.federation("configs/logistic-1000.yaml") for _ in range(5)]
        seconds = statistics.median(run.seconds for run in runs)
        accuracy = runs[0].rounds()[-1]["accuracy"]
        self.row("logistic regression, 1,000 clients, 100 rounds, whole process", f"{seconds:.2f} s (accuracy {accuracy:.3f})",
                 "<= 4 s", seconds <= 4)

    def startup(self):
        runs = [self.federation("configs/logistic-1000.yaml") for _ in range(9)]
        seconds = statistics.median(run.seconds - sum(r["seconds"] for r in run.rounds()) for run in runs)
        self.row("the same, without its rounds: start, Fashion-MNIST unpacked, end", f"{seconds:.2f} s", "<= 0.3 s",
                 seconds <= 0.3)

    def data(self):
        runs = [Measured(self.program, ["partition", "configs/logistic-1000.yaml", "--rows", "1"]) for _ in range(9)]
        seconds = statistics.median(run.seconds for run in runs)
        self.row("Fashion-MNIST unpacked and spread over 1,000 clients, whole process", f"{seconds:.2f} s", "<= 0.3 s",
                 seconds <= 0.3)

    def population(self):
        for name, wide in (("two tiers", "{{star: {0}}}"), ("three tiers", "{{widths: [{1}, {0}]}}")):
            def run(clients, name=name, wide=wide):
                groups = 100
                cohort = "{0: {cohort: {count: 1000}}}" if name == "two tiers" else \
                    "{0: {cohort: {fraction: 1.0}}, 1: {cohort: {count: 10}}}"
                return self.federation("configs/million.yaml", f"topology={wide.format(clients, groups)}",
                                       f"tiers={cohort}")
            pairs = [(run(1_000_000), run(10_000)) for _ in range(5)]
            ratio = statistics.median(large.seconds / small.seconds for large, small in pairs)
            seconds = statistics.median(large.seconds for large, _ in pairs)
            memory = max(large.megabytes for large, _ in pairs)
            self.row(f"1,000,000 clients, 1,000 a round, {name}: time against 10,000", f"{ratio:.2f}x ({seconds:.2f} s)",
                     "<= 1.3x", ratio <= 1.3)
            self.row(f"1,000,000 clients, 1,000 a round, {name}: memory", f"{memory:.0f} MB", "<= 1,000 MB", memory <= 1000)

    def registered(self):
        """What stays of a client that is never asked: its place in the tree and what it may weigh."""
        def run(clients):
            return self.federation("configs/million.yaml", f"topology={{star: {clients}}}", "tiers={0: {cohort: {count: 1000}}}")
        pairs = [(run(10_000_000), run(10_000)) for _ in range(3)]
        time_ratio = statistics.median(large.seconds / small.seconds for large, small in pairs)
        memory_ratio = max(large.megabytes for large, _ in pairs) / max(small.megabytes for _, small in pairs)
        each = max(large.megabytes for large, _ in pairs) * 1e6 / 1e7
        self.row("10,000,000 registered clients, 1,000 a round: time against 10,000",
                 f"{time_ratio:.2f}x ({pairs[0][0].seconds:.2f} s)", "<= 1.5x", time_ratio <= 1.5)
        self.row("10,000,000 registered clients, 1,000 a round: memory against 10,000",
                 f"{memory_ratio:.1f}x ({each:.0f} bytes a client)", "<= 1.5x", memory_ratio <= 1.5)

    def fedbuff(self):
        run = self.federation("configs/fedbuff.yaml", "topology={star: 10000}", "model={kind: logistic}", "rounds=100",
                              "data.partition={kind: draw, samples_per_client: 20}",
                              "tiers={0: {policy: buffered, buffer: 100, concurrency: 1000}}",
                              "simulation.devices={slowness: pareto, alpha: 1.2}",
                              "simulation.compute_seconds_per_sample=0.01", "evaluation.every=100")
        self.row("FedBuff, 10,000 clients with heavy-tailed speeds, 1,000 at work, 100 commits of 100", f"{run.seconds:.1f} s",
                 "<= 60 s", run.seconds <= 60)

    def events(self):
        """Messages that are delivered and tasks that are done, on one thread, whose clients return what they are given."""
        run = self.federation("configs/echo.yaml", "topology={widths: [32, 2048]}", "rounds=60", "threads=1",
                              "model={kind: echo, parameters: 100}", "output={report: false}")
        handled = sum(r["messages"] for r in run.records if r["event"] == "tier") + 60 * 2048
        rate = handled / sum(r["seconds"] for r in run.rounds())
        self.row("events with 2,048 echo clients below 32 aggregators, one core", f"{rate:,.0f} a second", ">= 200,000 a second",
                 rate >= 200_000)

    def bytes(self):
        for branching, height, payloads in ((256, 1, 512), (16, 2, 544), (4, 4, 680), (2, 8, 1020)):
            run = self.federation("configs/balanced-256.yaml", "rounds=1", "evaluation.every=0",
                                  "data.partition={kind: draw, samples_per_client: 4}",
                                  f"topology={{branching: {branching}, height: {height}}}")
            record = run.rounds()[0]
            payload = run.records[0]["payload_bytes"]
            counted = (record["bytes_down"] + record["bytes_up"]) / payload
            # Above the clients one of each two payloads is a sum, which may take 5 bytes a value.
            most = 512 + 1.125 * (payloads - 512)
            self.row(f"256 clients, height {height}: counted bytes of a round", f"{counted:.1f} payloads",
                     f"{payloads} to {most:.0f}, within 1 %", 0.99 * payloads <= counted <= 1.01 * most)

    def sums(self):
        """What the sums of a thousand clients take on their way up, beside the model."""
        shares = []
        for model in ("{kind: logistic}", "{kind: mlp, hidden: [64]}"):
            run = self.federation("configs/logistic-1000.yaml", "rounds=10", "evaluation.every=0", f"model={model}",
                                  "topology={widths: [1, 1000]}", "tiers={0: {cohort: {fraction: 1.0}}}")
            payload = run.records[0]["payload_bytes"]
            message = 300  # its fixed fields, and a width for each 4,096 values
            shares += [(r["bytes_up"] - message) / payload for r in run.records if r["event"] == "tier" and r["tier"] == 1]
        self.row("sums of 1,000 clients, each change resolved to 2^-34: bytes beside the message itself",
                 f"{statistics.median(shares):.4f}x the model, {max(shares):.4f}x at most", "<= 1.25x", max(shares) <= 1.25)

    def merge(self):
        facts = self.facts("bench", "merge")
        self.row("exact sums, 25 M parameters, one core",
                 f"{facts['exact_gb_per_s']:.1f} GB/s (float32 axpy {facts['axpy_gb_per_s']:.1f}, ratio {facts['exact_over_axpy']:.2f})",
                 ">= 6 GB/s", facts["exact_gb_per_s"] >= 6)

    def memory(self):
        facts = self.facts("bench", "memory")
        self.row("64 echo clients of a 100 MB model: memory", f"{facts['max_rss_mb']:.0f} MB", f"<= {facts['bound_mb']:.0f} MB",
                 facts["max_rss_mb"] <= facts["bound_mb"])

    def round(self):
        facts = self.facts("bench", "round")
        self.row("round overhead, 3 tiers, 64 echo clients", f"{facts['round_ms']:.3f} ms", "<= 2 ms", facts["round_ms"] <= 2)

    def training(self):
        for clients in (2, 16, 32, 320):
            facts = self.facts("bench", "training", "configs/quickstart.yaml", "--set", "threads=2", "--set", "rounds=2",
                               "--set", f"topology={{star: {clients}}}", "--set", "data.partition={kind: iid}")
            self.row(f"quick start with IID data, {clients} clients, 2 threads: idle share of the threads",
                     f"{100 * facts['idle_share']:.1f} % ({facts['over_bare_loop']:.3f}x a bare loop)", "<= 4 %",
                     facts["idle_share"] <= 0.04)


PROMISES = ["quickstart", "logistic", "startup", "data", "population", "registered", "fedbuff", "events", "bytes", "sums", "merge", "memory", "round", "training"]


def machine():
    model = re.search(r"model name\s*: (.*)", pathlib.Path("/proc/cpuinfo").read_text())
    memory = int(re.search(r"MemTotal:\s*(\d+)", pathlib.Path("/proc/meminfo").read_text()).group(1)) / 1e6
    return f"{model.group(1) if model else platform.machine()}, {os.cpu_count()} cores, {memory:.0f} GB"


def page(bench, program):
    version = json.loads(subprocess.run([program, "version", "--json"], capture_output=True, text=True, check=True).stdout)
    lines = ["# Benchmarks", "",
             "Written by `python3 benchmarks/promises.py --write docs/benchmarks.md`; nothing here is typed by hand.", "",
             f"{machine()}. Tributary {version['version']}, {version['compiler']}, {datetime.date.today()}.",
             "Medians; whole processes, start-up included, unless said otherwise.", "",
             "| Promise | Measured | Bound | Holds |", "| --- | --- | --- | --- |"]
    lines += [f"| {what} | {measured} | {bound} | {'yes' if holds else '**no**'} |" for what, measured, bound, holds in bench.rows]
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", default=str(ROOT / "build/release/bin/tributary"))
    parser.add_argument("--only", choices=PROMISES, action="append")
    parser.add_argument("--write", type=pathlib.Path, help="also write the table to this file")
    arguments = parser.parse_args()
    program = str(pathlib.Path(arguments.program).resolve())
    bench = Bench(program)
    try:
        for promise in arguments.only or PROMISES:
            getattr(bench, promise)()
    finally:
        shutil.rmtree(bench.work, ignore_errors=True)
    if arguments.write:
        arguments.write.write_text(page(bench, program))
    return 0 if all(row[3] for row in bench.rows) else 1


if __name__ == "__main__":
    sys.exit(main())
