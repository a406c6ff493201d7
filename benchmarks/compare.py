#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Measures two builds of Tributary beside each other, and says what has become slower.

    python3 benchmarks/compare.py --before OTHER/build/dev/bin/tributary [--program build/dev/bin/tributary] [--only NAME]

Both run in turn, a pair at a time; each figure is the median of the pairs' ratios, and may be at most 1.10. Build both with
the same preset. Exit code 0 if nothing has become slower than that.
"""
import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
BOUND = 1.10
ENVIRONMENT = {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1", "OMP_NUM_THREADS": "1",
               "OPENBLAS_NUM_THREADS": "1"}
ECHO = ["data={source: none}", "trainer={kind: echo}", "output={report: false}"]


class Comparison:
    def __init__(self, now, before, work):
        self.programs = (now, before)
        self.work = work
        self.slower = []
        self.runs = 0

    def execute(self, command, timeout=600):
        done = subprocess.run([str(part) for part in command], cwd=ROOT, env={**os.environ, **ENVIRONMENT}, text=True,
                              capture_output=True, timeout=timeout)
        if done.returncode != 0:
            sys.exit(f"{' '.join(map(str, command))} failed:\n{done.stderr}")
        return done.stdout

    def federation(self, program, configuration, *settings, ranks=None):
        """Seconds of the whole process, and the records."""
        self.runs += 1
        directory = self.work / f"run-{self.runs}"
        command = [program, "run", configuration, "--output", directory, "--quiet"]
        for setting in settings:
            command += ["--set", setting]
        if ranks:
            command = ["mpirun", "--oversubscribe", "--bind-to", "none", "-n", ranks, *command]
        begin = time.monotonic()
        self.execute(command)
        seconds = time.monotonic() - begin
        with open(directory / "records.jsonl") as lines:
            return seconds, [json.loads(line) for line in lines]

    def compare(self, what, measure, pairs):
        """`measure(program)`: what less of is better."""
        ratios, values = [], []
        for number in range(pairs + 1):
            order = self.programs if number % 2 == 0 else self.programs[::-1]
            here = {program: measure(program) for program in order}
            if number == 0:
                continue  # to warm up
            now, before = (here[program] for program in self.programs)
            ratios.append(now / before)
            values.append((now, before))
        ratio = statistics.median(ratios)
        now, before = (statistics.median(value[i] for value in values) for i in (0, 1))
        print(f"{'holds ' if ratio <= BOUND else 'SLOWER'}  {what}: {ratio:.3f}x ({now:.4g} against {before:.4g}; pairs "
              f"{min(ratios):.3f} to {max(ratios):.3f})", flush=True)
        if ratio > BOUND:
            self.slower.append(what)

    # What is compared.

    def round(self):
        def measure(program):
            return json.loads(self.execute([program, "bench", "round", "--json"]))["round_ms"]
        self.compare("an empty round, 3 tiers, 64 echo clients, ms", measure, 31)

    def merge(self):
        def measure(program):
            return 1.0 / json.loads(self.execute([program, "bench", "merge", "--json"]))["exact_over_axpy"]
        self.compare("exact sums, 25 M parameters: time beside a float32 axpy's", measure, 7)

    def million(self):
        for name, topology, tiers in (
                ("two tiers", "{star: 1000000}", "{0: {cohort: {count: 1000}}}"),
                ("three tiers", "{widths: [100, 1000000]}", "{1: {cohort: {count: 10}}}")):
            def measure(program, topology=topology, tiers=tiers):
                return self.federation(program, "configs/million.yaml", f"topology={topology}", f"tiers={tiers}")[0]
            self.compare(f"1,000,000 clients, 1,000 a round, {name}, whole process, s", measure, 7)

    def logistic(self):
        def measure(program):
            return self.federation(program, "configs/logistic-1000.yaml")[0]
        self.compare("logistic regression, 1,000 clients, 100 rounds, whole process, s", measure, 7)

    def tree(self):
        """Aggregators and clients that do nothing but pass on: what a round costs beyond the tiny one above."""
        def measure(program):
            _, records = self.federation(program, "configs/echo.yaml", *ECHO, "topology={widths: [32, 2048]}", "rounds=8",
                                         "model={kind: echo, parameters: 10000}")
            return statistics.median(record["seconds"] for record in records if record["event"] == "round")
        self.compare("2,048 echo clients of 10,000 parameters below 32 aggregators, a round, s", measure, 21)

    def mpi(self):
        for ranks in (2, 4):
            def measure(program, ranks=ranks):
                _, records = self.federation(program, "configs/echo.yaml", *ECHO, "topology={star: 2048}", "rounds=7",
                                             "model={kind: echo, parameters: 62006}", ranks=ranks)
                return statistics.median([r["seconds"] for r in records if r["event"] == "round"][2:])
            self.compare(f"mpirun, 2,048 clients of 62,006 parameters on {ranks} ranks, a warm round, s", measure, 5)

    def transport(self):
        tables = []
        for number in range(6):
            order = self.programs if number % 2 == 0 else self.programs[::-1]
            here = {program: json.loads(self.execute(
                ["mpirun", "--oversubscribe", "--bind-to", "none", "-n", 2, program, "bench", "transport", "--driver", "mpi",
                 "--json"]))["sizes"] for program in order}
            if number > 0:
                tables.append([here[program] for program in self.programs])
        for key, what in (("letter_over_plain", "a letter"), ("message_over_plain", "an update")):
            ratios = {}
            for now, before in tables:
                for mine, theirs in zip(now, before):
                    ratios.setdefault(mine["bytes"], []).append(mine[key] / theirs[key])
            worst = max(ratios, key=lambda size: statistics.median(ratios[size]))
            ratio = statistics.median(ratios[worst])
            print(f"{'holds ' if ratio <= BOUND else 'SLOWER'}  mpirun, {what} beside plain MPI, the slowest size "
                  f"({worst} B): {ratio:.3f}x", flush=True)
            if ratio > BOUND:
                self.slower.append(what)


PARTS = ["round", "merge", "million", "logistic", "tree", "mpi", "transport"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", default=str(ROOT / "build/dev/bin/tributary"))
    parser.add_argument("--before", required=True, help="the program of the other build")
    parser.add_argument("--only", choices=PARTS, action="append")
    arguments = parser.parse_args()
    now, before = (str(pathlib.Path(program).resolve()) for program in (arguments.program, arguments.before))
    with tempfile.TemporaryDirectory(prefix="tributary-compare-") as work:
        comparison = Comparison(now, before, pathlib.Path(work))
        for part in arguments.only or PARTS:
            getattr(comparison, part)()
    return 1 if comparison.slower else 0


if __name__ == "__main__":
    sys.exit(main())
