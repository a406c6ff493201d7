#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs of a small federation under mpirun in which one rank is killed, stopped or delayed at a seeded moment, and what
has become of them: that they end, how, and that what they leave goes on to the model of an undisturbed run.

    python3 fault_runs.py --runs 100 --seed 1 --program build/dev/bin/tributary

prints a line per run and exits with 1 if one of them did not go as docs/mpi.md says."""
import argparse
import hashlib
import json
import os
import pathlib
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field

from mpirun import PROGRAM, Job, environment, rounds_done, send, settings, wait_until

LOST_AFTER = 1.5   # seconds: mpi.lost_after_s
# Payloads that travel with their letters, and such that are announced and then moved; about a second of rounds each. With
# scaffold, every client keeps a file of its own, which has to agree with the root's checkpoint.
MODELS = {"small": ("{kind: logistic}", 200, "fedavg"), "large": ("{kind: mlp, hidden: [3000]}", 60, "fedavg"),
          "states": ("{kind: logistic}", 120, "scaffold")}


def federation(model):
    kind, rounds, algorithm = MODELS[model]
    return f"""
schema: 1
name: faults
seed: 3
rounds: {rounds}
threads: 1
topology: {{widths: [3, 8]}}
data: {{source: synthetic, samples: 800, shape: [16], classes: 4,
       partition: {{kind: label-dirichlet, alpha: 0.5, min_samples: 5}}}}
model: {kind}
algorithm: {{kind: {algorithm}}}
trainer: {{kind: torch, batch_size: 16, optimizer: {{kind: sgd, lr: 0.05, momentum: 0.9}}}}
evaluation: {{every: 10}}
mpi: {{lost_after_s: {LOST_AFTER}}}
"""


QUORUM = settings(tiers="{default: {quorum: 0.3, deadline_s: 3}}")

# Exit codes, docs/errors.md and docs/mpi.md.
DONE, LOST, STOPPED_WAITING, KILLED = 0, 69, 75, 128 + signal.SIGKILL
# Longest time from the fault to the end of mpirun. Before round 1 a rank that does not come is waited for longer.
BOUND = 30.0
BOUND_AT_START = 150.0


@dataclass
class Fault:
    kind: str      # kill | stop | delay (shorter than ranks are waited for) | silence (longer)
    model: str     # of MODELS
    ranks: int
    rank: int      # that is hit
    moment: str    # start | round | end
    round: int     # moment round: after which
    offset: float  # seconds after the moment
    pause: float   # kinds delay and silence: seconds
    recovery: bool
    quorum: bool   # the policy: goes on without some; otherwise every client is in every round
    every: int     # checkpoint.every
    resume_ranks: int  # 0: without mpirun

    @staticmethod
    def drawn(randomness):
        kind = randomness.choice(["kill", "stop", "delay", "silence"])
        model = randomness.choice(["small", "states", "large"])
        rounds = MODELS[model][1]
        ranks = randomness.randint(2, 5)
        moment = randomness.choices(["start", "round", "end"], [15, 70, 15])[0]
        recovery = randomness.random() < 0.5
        return Fault(kind=kind, model=model, ranks=ranks, rank=randomness.randrange(ranks), moment=moment,
                     round=randomness.randint(1, rounds - 3) if moment == "round" else rounds if moment == "end" else 0,
                     offset=randomness.uniform(0.0, {"start": 0.6, "round": 0.03, "end": 0.2}[moment]),
                     pause={"delay": randomness.uniform(0.1, 0.4) * LOST_AFTER,
                            "silence": randomness.uniform(1.8, 2.6) * LOST_AFTER}.get(kind, 0.0),
                     recovery=recovery, quorum=recovery and randomness.random() < 0.5,
                     every=randomness.choice([1, 1, 4, 1000]), resume_ranks=randomness.choice([0, 1, 2, 3, 4, 6]))

    def when(self):
        place = f"round {self.round}" if self.moment == "round" else self.moment
        return f"{place} + {self.offset * 1000:.0f} ms"


@dataclass
class Outcome:
    fault: Fault
    hit: bool = False      # the rank was there
    code: int | None = None  # of mpirun; None: it was still there after the bound
    seconds: float = 0.0   # from the fault to the end of mpirun
    ended: str = ""        # how, in a word
    resumed: str = ""
    problems: list = field(default_factory=list)
    records: list = field(default_factory=list)
    err: str = ""

    def require(self, holds, problem):
        if not holds:
            self.problems.append(problem)
        return holds


class FaultRuns:
    """Runs of one federation in a directory that is there as long as the object."""

    def __init__(self, program=PROGRAM, keep=False):
        self.keep = keep
        self.program = str(pathlib.Path(program).resolve())
        self.work = pathlib.Path(tempfile.mkdtemp(prefix="tributary-faults-"))
        self.expected = {}  # the digest of the model, by MODELS
        for model in MODELS:
            self.file(model).write_text(federation(model))
            undisturbed = self.work / f"undisturbed-{model}"
            code, said = self.alone("run", self.file(model), "--output", undisturbed, "--quiet")
            if code != 0:
                raise RuntimeError(f"the undisturbed run ended with {code}: {said}")
            self.expected[model] = self.digest(undisturbed)

    def file(self, model):
        return self.work / f"{model}.yaml"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if not self.keep:
            shutil.rmtree(self.work, ignore_errors=True)

    def alone(self, *arguments):
        """Runs the program without mpirun."""
        done = subprocess.run([self.program, *map(str, arguments)], cwd=self.work, env=environment(), text=True,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=120)
        return done.returncode, done.stdout

    @staticmethod
    def digest(directory):
        return hashlib.sha256((directory / "model.safetensors").read_bytes()).hexdigest()

    def run(self, number, fault):
        """One run with its fault, and everything that should hold of it."""
        outcome = Outcome(fault)
        directory = self.work / f"run-{number}"
        command = ["run", self.file(fault.model), "--output", directory, *(QUORUM if fault.quorum else []),
                   *settings(**{"checkpoint.every": fault.every})]
        job = Job(self.work, (fault.ranks, [*command, "--quiet"]), program=self.program, recovery=fault.recovery)
        try:
            self.hit(job, directory, outcome)
            left = job.left_over()
            outcome.require(not left, f"processes that outlived mpirun: {left}")
        finally:
            job.end()
        outcome.err = job.err
        self.check_directory(directory, outcome)
        self.check_exit(outcome)
        self.check_words(outcome)
        if outcome.ended != "finished":
            self.resume(directory, command, outcome)
        elif not fault.quorum:
            outcome.require(self.digest(directory) == self.expected[fault.model], "finished with another model")
        if not self.keep:
            shutil.rmtree(directory, ignore_errors=True)
        return outcome

    def hit(self, job, directory, outcome):
        """Waits for the moment, does it, and waits for the end."""
        fault = outcome.fault
        process = job.rank(fault.rank)
        if fault.moment != "start":
            wait_until(lambda: rounds_done(directory) >= fault.round or job.process.poll() is not None, 120)
        time.sleep(fault.offset)
        begin = time.monotonic()
        revival = threading.Timer(fault.pause, lambda: send(process, signal.SIGCONT))
        if process is not None and process in job.processes():
            outcome.hit = send(process, signal.SIGKILL if fault.kind == "kill" else signal.SIGSTOP)
            if fault.pause > 0:
                revival.start()
        bound = BOUND_AT_START if fault.moment == "start" else BOUND
        outcome.code = job.wait(bound)
        outcome.seconds = time.monotonic() - begin
        outcome.require(outcome.code is not None, f"still there after {bound:.0f} s")
        revival.cancel()

    def check_directory(self, directory, outcome):
        """All that was kept is whole."""
        for checkpoint in sorted(directory.glob("checkpoints/checkpoint-*.safetensors")):
            code, said = self.alone("inspect", checkpoint)
            outcome.require(code == 0, f"{checkpoint.name} cannot be read: {said.strip()}")
        try:
            lines = (directory / "records.jsonl").read_text().splitlines()
        except FileNotFoundError:
            lines = []
        for number, text in enumerate(lines):
            try:
                outcome.records.append(json.loads(text))
            except json.JSONDecodeError:
                # A line that was being written when the root was killed.
                outcome.require(number == len(lines) - 1 and outcome.fault.rank == 0, f"a damaged record: {text[:80]}")
        last = outcome.records[-1] if outcome.records else {"event": "none"}
        outcome.ended = {"none": "not begun", "end": last.get("outcome")}.get(last["event"], "cut off")
        finished = (directory / "model.safetensors").exists()
        outcome.require((outcome.ended == "finished") == finished or outcome.fault.rank == 0,
                        "the model and the last record do not agree on whether the run is complete")

    @staticmethod
    def check_exit(outcome):
        """The exit code is one that docs/mpi.md has for this fault."""
        fault = outcome.fault
        if outcome.code is None:
            return
        allowed = {DONE}
        if outcome.hit and not fault.recovery:
            allowed |= {"kill": {KILLED}, "stop": {LOST}, "delay": set(), "silence": {LOST}}[fault.kind]
            if fault.moment == "start" and fault.kind == "stop":
                allowed |= {STOPPED_WAITING}
            if fault.kind == "stop" and outcome.ended == "finished":
                allowed |= {KILLED}  # the others had nothing to wait for but its end
        outcome.require(outcome.code in allowed, f"exit code {outcome.code}, expected {sorted(allowed)}")
        # Under --enable-recovery mpirun itself always says 0: the records do not.
        if outcome.code == DONE and (not fault.recovery or not outcome.hit or fault.kind == "delay"):
            outcome.require(outcome.ended == "finished", f"exit code 0, but the run is {outcome.ended}")
        if outcome.ended == "failed":
            outcome.require(outcome.records[-1].get("error", "") != "", "a failed run does not say why in its records")

    @staticmethod
    def check_words(outcome):
        """Where ranks noticed that one is lost, standard error says which one, what was there, and when."""
        fault = outcome.fault
        noticed = outcome.code == LOST or (
            outcome.hit and fault.recovery and fault.kind != "delay" and outcome.ended in ("failed", "cut off"))
        if not noticed:
            return
        who = re.search(rf"rank {fault.rank} on \S+ \(process \d+; [^)]+\)", outcome.err)
        outcome.require(who, "standard error does not name the lost rank and its nodes")
        if fault.rank != 0:
            outcome.require(re.search(r"round \d+", outcome.err), "standard error does not name the round")

    def resume(self, directory, command, outcome):
        """Goes on with what is left, or starts again where nothing is, on other ranks."""
        fault = outcome.fault
        begun = (directory / "configuration.yaml").exists()
        again = ["run", "--resume", directory, "--quiet"] if begun else [*command, "--quiet"]
        if fault.resume_ranks == 0:
            code, said = self.alone(*again)
        else:
            job = Job(self.work, (fault.resume_ranks, again), program=self.program)
            try:
                code = job.wait(120)
                said = job.err
            finally:
                job.end()
        how = "alone" if fault.resume_ranks == 0 else f"on {fault.resume_ranks}"
        outcome.resumed = how if begun else f"anew, {how}"
        if not outcome.require(code == 0, f"resuming ended with {code}: {said.strip()[-300:]}"):
            return
        if fault.quorum:
            # Some rounds did without some: the model is a good one, but not this one.
            outcome.require((directory / "model.safetensors").exists(), "the resumed run left no model")
        elif outcome.require(self.digest(directory) == self.expected[fault.model], "resumed to another model"):
            outcome.resumed += ", same bits"


def line(number, outcome):
    fault = outcome.fault
    pause = f" {fault.pause:.1f} s" if fault.pause > 0 else ""
    mode = ("recovery" if fault.recovery else "default") + (", quorum" if fault.quorum else ", all")
    code = "none" if outcome.code is None else str(outcome.code)
    missed = "" if outcome.hit else " (too late)"
    verdict = "ok" if not outcome.problems else "WRONG: " + "; ".join(outcome.problems)
    return (f"{number:>4}  {fault.kind + pause:<13}  {fault.model:<5}  {fault.rank} of {fault.ranks}"
            f"  {fault.when() + missed:<29}  {mode:<16}  {code:>4}  {outcome.seconds:>7.2f}  {outcome.ended:<11}"
            f"  {outcome.resumed:<20}  {verdict}")


HEADING = (f"{'run':>4}  {'fault':<13}  {'model':<5}  {'rank':<6}  {'moment':<29}  {'mpirun, policy':<16}  exit"
           f"  seconds  {'ended':<11}  {'resumed':<20}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=8)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", type=int, help="do this run of the series alone")
    parser.add_argument("--program", default=PROGRAM)
    parser.add_argument("--keep", action="store_true", help="leave the run directories, and say where")
    options = parser.parse_args()
    wrong = []
    begin = time.monotonic()
    with FaultRuns(options.program, options.keep) as runs:
        if options.keep:
            print(f"in {runs.work}")
        print(HEADING, flush=True)
        for number in range(options.runs):
            fault = Fault.drawn(random.Random(f"{options.seed}:{number}"))
            if options.only not in (None, number):
                continue
            outcome = runs.run(number, fault)
            print(line(number, outcome), flush=True)
            if outcome.problems:
                wrong.append(number)
                print(outcome.err, file=sys.stderr, flush=True)
    print(f"\n{options.runs} runs in {time.monotonic() - begin:.0f} s, {len(wrong)} not as documented"
          + (f": {wrong}" if wrong else ""))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
