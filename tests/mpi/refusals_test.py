# SPDX-License-Identifier: Apache-2.0
"""What must be equal on all ranks is compared before round 1: who differs is named, once, and nothing is left."""
import contextlib
import json
import pathlib
import re
import shlex
import shutil
import signal
import socket
import unittest

from mpirun import MpiTest, send, wait_until
from program import PROGRAM, SMALL, settings

HOST = re.escape(socket.gethostname())
# Needs no libtorch, and so starts fast.
ECHO = """
schema: 1
name: echo
rounds: 3
topology: {widths: [2, 4]}
data: {source: none}
model: {kind: echo, parameters: 100}
trainer: {kind: echo}
evaluation: {every: 0}
"""
FROM_FILES = SMALL.replace("{source: synthetic, samples: 600, shape: [16], classes: 4,",
                           "{source: csv, train: train.csv, test: train.csv,").replace("[2, 6]", "[2, 4]")


class TwoProgramsTest(MpiTest):
    def setUp(self):
        super().setUp()
        self.run_directory = self.work / "run"

    def assert_refused(self, err, *lines):
        """The lines of the program on standard error, those of mpirun left out, and no trace of a run."""
        said = [line for line in err.splitlines() if line.startswith(("error:", "warning:"))]
        self.assertEqual(len(said), len(lines), err)
        for line, pattern in zip(said, lines):
            self.assertRegex(line, pattern)
        self.assertFalse(self.run_directory.exists(), "a run directory was left")
        self.assertFalse((self.work / "runs").exists(), "a run directory was left")

    def run_differently(self, first, second, expect=78, ranks=(1, 1), programs=(PROGRAM, PROGRAM)):
        """`mpirun -n 1 tributary run FIRST : -n 1 tributary run SECOND`; arguments may follow the file."""
        contexts = [(count, ["run", *arguments, "--output", self.run_directory], program)
                    for count, arguments, program in zip(ranks, (first, second), programs)]
        _, err = self.finish(self.job(*contexts), expect, timeout=60)
        return err


class RefusalsTest(TwoProgramsTest):
    def test_another_configuration_model_or_seed(self):
        file = self.configuration(ECHO, "a.yaml")
        for name, before, after, what in [
                ("rounds", "rounds: 3", "rounds: 4", "configuration or topology"),
                ("seed", "rounds: 3", "rounds: 3\nseed: 5", "configuration or topology"),
                ("tree", "[2, 4]", "[2, 5]", "configuration or topology"),
                ("tiers", "rounds: 3", "rounds: 3\ntiers: {0: {retries: 5}}", "configuration or topology"),
                ("model", "parameters: 100", "parameters: 101", "model")]:
            with self.subTest(name):
                self.assertIn(before, ECHO)
                other = self.configuration(ECHO.replace(before, after), "b.yaml")
                err = self.run_differently([file], [other])
                self.assert_refused(err, rf"^error: rank 1 on {HOST}: has another {what}: [0-9a-f]{{12}} there, "
                                         r"[0-9a-f]{12} at the root$")

    def test_another_topology_file_under_the_same_name(self):
        for name, leaves in {"a": 3, "b": 4}.items():
            (self.work / name).mkdir()
            (self.work / name / "tree.yaml").write_text(
                f"schema: 1\nnodes:\n  - {{name: root, children: [{{count: {leaves}}}]}}\n")
            (self.work / name / "federation.yaml").write_text(ECHO.replace("{widths: [2, 4]}", "{file: tree.yaml}"))
        err = self.run_differently([self.work / "a/federation.yaml"], [self.work / "b/federation.yaml"])
        self.assert_refused(err, rf"^error: rank 1 on {HOST}: has another configuration or topology: ")

    def test_other_samples_under_the_same_names(self):
        for name, value in {"a": "0.25", "b": "0.5"}.items():
            (self.work / name).mkdir()
            lines = ["x,y,label"] + [f"{number * 0.1:.1f},{value},{number % 2}" for number in range(40)]
            (self.work / name / "train.csv").write_text("\n".join(lines) + "\n")
            (self.work / name / "federation.yaml").write_text(FROM_FILES)
        # With the same samples in both places there is nothing to refuse.
        shutil.copytree(self.work / "a", self.work / "c")
        self.run_differently([self.work / "a/federation.yaml"], [self.work / "c/federation.yaml"], expect=0)
        shutil.rmtree(self.run_directory)
        err = self.run_differently([self.work / "a/federation.yaml"], [self.work / "b/federation.yaml"])
        self.assert_refused(err, rf"^error: rank 1 on {HOST}: has other samples: ")

    def test_nodes_on_other_ranks(self):
        # Which rank holds a node is no part of the result, but all ranks must see it the same way.
        for name, rank in {"a": 1, "b": 2}.items():
            (self.work / name).mkdir()
            (self.work / name / "tree.yaml").write_text(
                f"schema: 1\nnodes:\n  - {{name: root, children: [{{count: 2}}, {{name: odd, rank: {rank}}}]}}\n")
            (self.work / name / "federation.yaml").write_text(ECHO.replace("{widths: [2, 4]}", "{file: tree.yaml}"))
        err = self.run_differently([self.work / "a/federation.yaml"], [self.work / "b/federation.yaml"], ranks=(1, 2))
        self.assert_refused(err, rf"^error: rank 1 on {HOST}: ")

    def test_what_does_not_change_the_result_may_differ(self):
        file = self.configuration(ECHO)
        self.run_differently([file], [file, *settings(threads=2)], expect=0)

    def test_the_first_of_several_that_differ_is_named(self):
        file = self.configuration(ECHO, "a.yaml")
        other = self.configuration(ECHO.replace("rounds: 3", "rounds: 4"), "b.yaml")
        err = self.run_differently([file], [other], ranks=(2, 3))
        self.assert_refused(err, rf"^error: rank 2 on {HOST}: has another configuration")

    def test_a_rank_whose_file_is_missing(self):
        file = self.configuration(ECHO)
        nowhere = self.work / "nowhere.yaml"
        err = self.run_differently([file], [nowhere], expect=66)
        self.assert_refused(err, rf"^error: rank 1 on {HOST}: .*{re.escape(str(nowhere))}")
        err = self.run_differently([nowhere], [file], expect=66)
        self.assert_refused(err, rf"^error: .*{re.escape(str(nowhere))}")

    def test_a_rank_with_another_build_of_the_program(self):
        # The same program but for one character of its revision, or of its version outside of a checkout.
        out, _ = self.run_program("version", "--json")
        facts = json.loads(out)
        mark = (facts["revision"] or facts["version"]).encode()
        other = self.work / "other-tributary"
        changed = mark[:-1] + (b"1" if mark[-1:] != b"1" else b"2")
        with open(PROGRAM, "rb") as program:
            text = program.read()
        self.assertIn(mark, text)
        other.write_bytes(text.replace(mark, changed))
        other.chmod(0o755)
        file = self.configuration(ECHO)
        err = self.run_differently([file], [file], expect=76, programs=(PROGRAM, str(other)))
        self.assert_refused(err, rf"^error: rank 1 on {HOST}: runs .*{re.escape(changed.decode())}.*, "
                                 rf"and the root runs .*{re.escape(mark.decode())}")

    def test_a_wrong_configuration_is_told_once(self):
        file = self.configuration(ECHO.replace("rounds: 3", "rounds: -3\nsed: 4"))
        _, err = self.run_ranks(3, "run", file, "--output", self.run_directory, expect=78)
        self.assertEqual(len(re.findall(r"federation\.yaml:\d+:\d+: ", err)), 2, err)
        self.assertEqual(err.count("error: 2 mistakes, listed above"), 1, err)
        self.assert_refused(err, "2 mistakes")

    def test_a_run_directory_that_holds_a_run(self):
        file = self.configuration(ECHO)
        self.run_ranks(2, "run", file, "--output", self.run_directory, "--quiet")
        before = {path: path.read_bytes() for path in self.run_directory.rglob("*") if path.is_file()}
        _, err = self.run_ranks(2, "run", file, "--output", self.run_directory, expect=64)
        self.assertEqual(err.count("holds a run already: resume it with --resume, or name another directory"), 1, err)
        self.assertEqual({path: path.read_bytes() for path in self.run_directory.rglob("*") if path.is_file()}, before)

    def test_a_run_directory_that_cannot_be_made(self):
        file = self.configuration(ECHO)
        _, err = self.run_ranks(2, "run", file, "--output", "/proc/tributary", expect=None)
        self.assertEqual(sum(line.startswith("error:") for line in err.splitlines()), 1, err)
        self.assertIn("/proc/tributary", err)

    def test_a_run_that_is_not_there_is_not_resumed(self):
        _, err = self.run_ranks(2, "run", "--resume", self.work / "nowhere", expect=66)
        self.assertEqual(sum(line.startswith("error:") for line in err.splitlines()), 1, err)
        self.assertIn("there is no run directory", err)

    def test_a_wrong_command_line_is_told_once(self):
        _, err = self.run_ranks(3, "rum", expect=64)
        self.assertEqual(err.count("error: tributary has no command 'rum'"), 1, err)

    def test_the_rank_that_speaks_is_heard_though_others_fail_first(self):
        slow = self.work / "slow-tributary"
        slow.write_text(f'#!/bin/sh\nsleep 1\nexec {shlex.quote(str(PROGRAM))} "$@"\n')
        slow.chmod(0o755)
        nowhere = self.work / "nowhere.yaml"
        for arguments, expect, said in [(["rum"], 64, "error: tributary has no command 'rum'"),
                                        (["validate", nowhere], 66, f"error: cannot read {nowhere}")]:
            with self.subTest(arguments[0]):
                _, err = self.finish(self.job((1, arguments, str(slow)), (2, arguments)), expect)
                self.assertEqual(err.count(said), 1, err)


class PatienceTest(TwoProgramsTest):
    """MPI starts together or, after a minute, not at all."""

    def test_ranks_that_do_something_else_are_not_waited_for_long(self):
        file = self.configuration(ECHO)
        job = self.job((1, ["run", file, "--output", self.run_directory]), (1, ["validate", file]))
        self.finish(job, expect=None, timeout=150)
        self.assertNotEqual(job.process.returncode, 0)
        self.assertFalse(self.run_directory.exists())

    def test_a_rank_that_stops_before_it_says_who_it_is(self):
        """After MPI has started, while it reads its data: nobody knows its process yet. Without --enable-recovery mpirun
        ends it at the failure of another rank; with it, the others must."""
        data = self.work / "train.csv"
        data.write_text("x,y,label\n" + "0.1,0.2,0\n0.3,0.4,1\n" * 5_000_000)
        slow = self.configuration(FROM_FILES, "slow.yaml")
        fast = self.configuration(ECHO, "fast.yaml")
        expected = {0: r"^error: rank 0, which holds the root, has not answered within 120 s$",
                    1: r"^error: 1 of 3 ranks did not come within 60 s, the first of them rank 1$"}
        jobs = []
        for number, what in expected.items():
            for recovery in (False, True):
                contexts = [(1, ["run", slow if rank == number else fast, "--output", self.run_directory])
                            for rank in range(3)]
                job = self.job(*contexts, recovery=recovery)
                rank = job.rank(number)
                self.assertTrue(wait_until(lambda: reads(rank, data)), "it was never seen to read its data")
                send(rank, signal.SIGSTOP)
                jobs.append((job, what, recovery))
        for job, what, recovery in jobs:
            with self.subTest(what, recovery=recovery):
                _, err = self.finish(job, expect=None, timeout=180)
                self.assertRegex(err, re.compile(what, re.MULTILINE))
                # With --enable-recovery mpirun says 0 whatever happens.
                self.assertIn(job.process.returncode, [0] if recovery else [75])
        self.assertFalse(self.run_directory.exists())


def reads(process, file):
    """Whether a process has opened a file."""
    with contextlib.suppress(FileNotFoundError):
        for entry in pathlib.Path(f"/proc/{process}/fd").iterdir():
            with contextlib.suppress(FileNotFoundError):
                if entry.readlink() == file:
                    return True
    return False


if __name__ == "__main__":
    unittest.main()
