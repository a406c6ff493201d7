# SPDX-License-Identifier: Apache-2.0
"""What the tests of the program share: starting it, and reading what it leaves behind."""
import hashlib
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROGRAM = os.environ.get("TRIBUTARY", str(ROOT / "build/dev/bin/tributary"))


def with_usual_signals():
    """Gives programs started from here the usual signals: a shell starts `tools/test.sh &` in a script with SIGINT
    ignored, and a program keeps what it inherits, so that a test which sends one would wait for ever."""
    for number in (signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2, signal.SIGHUP, signal.SIGQUIT):
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # caught here, and so the default in a new program
    signal.pthread_sigmask(signal.SIG_SETMASK, [])


with_usual_signals()


def environment():
    """The environment without settings of somebody else's federation, and with a locale of its own: what the program draws
    depends on it."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("TRIBUTARY_")}
    return kept | {"NO_COLOR": "1", "LC_ALL": "C.UTF-8"}


def settings(**values):
    """--set options: settings(rounds=3) and settings(**{"trainer.epochs": 2})."""
    return [part for key, value in values.items() for part in ("--set", f"{key}={value}")]


class ProgramTest(unittest.TestCase):
    def setUp(self):
        self.work = pathlib.Path(tempfile.mkdtemp(prefix="tributary-test-"))
        self.addCleanup(shutil.rmtree, self.work, ignore_errors=True)

    def start(self, *arguments, stdout=subprocess.PIPE, **options):
        return subprocess.Popen([PROGRAM, *map(str, arguments)], cwd=self.work, env=environment(), text=True,
                                stdin=subprocess.DEVNULL, stdout=stdout, stderr=subprocess.PIPE, **options)

    def run_program(self, *arguments, expect=0, timeout=240, **options):
        """Runs the program to its end; its exit code must be `expect`."""
        process = self.start(*arguments, **options)
        try:
            out, err = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            self.fail(f"{arguments} took more than {timeout} s")
        if expect is not None:
            self.assertEqual(process.returncode, expect, f"{arguments}\n{out}\n{err}")
        return out, err

    def run_test_with_signals_ignored(self, file, test):
        """Runs one case of a test file as a script in the background would: with the signals of a terminal ignored."""
        ignore = ("import os, signal, sys\n"
                  "for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP):\n"
                  "    signal.signal(number, signal.SIG_IGN)\n"
                  "os.execv(sys.executable, [sys.executable, '-B', *sys.argv[1:]])")
        done = subprocess.run([sys.executable, "-c", ignore, file, test], env=os.environ, text=True, timeout=120,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.assertEqual(done.returncode, 0, done.stdout)
        self.assertIn("Ran 1 test", done.stdout)

    def train(self, configuration, name, *arguments, **options):
        """Runs a federation into a directory of that name and returns the directory."""
        directory = self.work / name
        self.run_program("run", configuration, "--output", directory, "--quiet", *arguments, **options)
        return directory

    def configuration(self, text, name="federation.yaml"):
        file = self.work / name
        file.write_text(text)
        return file

    @staticmethod
    def records(directory, event=None):
        with open(directory / "records.jsonl") as lines:
            every = [json.loads(line) for line in lines]
        return [record for record in every if event in (None, record["event"])]

    @staticmethod
    def model_digest(directory):
        return hashlib.sha256((directory / "model.safetensors").read_bytes()).hexdigest()


# Small enough for many runs, with every part of a real one: a torch model, two tiers of nodes, uneven data.
SMALL = """
schema: 1
name: small
seed: 11
rounds: 12
threads: 1
topology: {widths: [2, 6]}
data: {source: synthetic, samples: 600, shape: [16], classes: 4,
       partition: {kind: label-dirichlet, alpha: 0.5, min_samples: 5}}
model: {kind: mlp, hidden: [24]}
trainer: {kind: torch, batch_size: 16, epochs: 1, optimizer: {kind: sgd, lr: 0.05, momentum: 0.9}}
"""
