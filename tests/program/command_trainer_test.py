# SPDX-License-Identifier: Apache-2.0
"""Federations trained by programs: what their updates count for, what becomes of their numbers, and what they leave."""
import json
import os
import pathlib
import signal
import struct
import subprocess
import time
import unittest

from program import ROOT, ProgramTest, settings

WEIGHTS = ROOT / "tests/fixtures/weights.py"

THREE = """
schema: 1
name: three
rounds: 1
topology: {{star: 3}}
model: {{initial: start.safetensors}}
trainer:
  kind: command
  command: [python3, {program}, "{{input}}", "{{output}}"]
"""


def values_of(file):
    """All float32 values of a safetensors file."""
    data = file.read_bytes()
    (size,) = struct.unpack("<Q", data[:8])
    return [value for (value,) in struct.iter_unpack("<f", data[8 + size:])]


def write_zeros(file, count):
    header = json.dumps({"weight": {"dtype": "F32", "shape": [count], "data_offsets": [0, 4 * count]}}).encode()
    file.write_bytes(struct.pack("<Q", len(header)) + header + bytes(4 * count))


def is_running(pid):
    try:
        state = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


class CommandTrainerTest(ProgramTest):
    def setUp(self):
        super().setUp()
        write_zeros(self.work / "start.safetensors", 4)
        self.file = self.configuration(THREE.format(program=WEIGHTS))

    def model(self, *arguments):
        name = f"run-{len(list(self.work.glob('run-*')))}"
        values = values_of(self.train(self.file, name, *arguments) / "model.safetensors")
        self.assertEqual(len(set(values)), 1)
        return values[0]

    def test_a_program_that_is_given_a_drift_takes_part_in_scaffold(self):
        file = self.configuration(THREE.format(program=ROOT / "tests/fixtures/quadratic.py"), "drift.yaml")
        runs = settings(topology="{star: 4}", rounds=40)
        with_drift = settings(**{"trainer.command": f'[python3, {ROOT / "tests/fixtures/quadratic.py"}, "{{input}}", "{{output}}", '
                                                    '"{drift}"]'})
        far = {}
        for kind in ("fedavg", "scaffold"):
            more = [*runs, *with_drift, *settings(**{"algorithm.kind": kind})]
            far[kind] = max(map(abs, values_of(self.train(file, kind, *more) / "model.safetensors")))
        self.assertGreater(far["fedavg"], 0.01, "who does more steps draws the model to its side")
        self.assertLess(far["scaffold"], 1e-4)
        _, err = self.run_program("run", file, "--output", self.work / "without", *runs, *settings(**{"algorithm.kind": "scaffold"}),
                                  expect=78)
        self.assertIn("trainer.command with algorithm.kind scaffold must hold {drift}", err)

    def test_weights_follow_the_weighting(self):
        for report in ["samples", "weight"]:
            with self.subTest(report):
                option = settings(**{"trainer.options": f"{{report: {report}}}"})
                bound = settings(**{"trainer.weight_bound": 10})
                self.assertAlmostEqual(self.model(*option, *bound), 1.25, delta=1e-5)
                self.assertAlmostEqual(self.model(*option, *settings(**{"algorithm.weighting": "uniform"})), 2.0,
                                       delta=1e-5)
                capped = settings(**{"algorithm.weighting": "capped", "algorithm.weight_cap": 2})
                self.assertAlmostEqual(self.model(*option, *capped), 1.75, delta=1e-5)

    def test_a_weight_above_the_bound_is_refused_with_the_remedy(self):
        _, err = self.run_program("-v", "run", self.file, expect=78)
        self.assertIn("client 0, round 1: it reports samples 10, but one client may weigh at most 1: set "
                      "trainer.weight_bound to the largest number of samples of one client, or algorithm.weighting: "
                      "uniform", err)

    def trained_by_a_script(self, script, rounds):
        """A federation of one client, whose program is this shell script: $1 is the model as it comes, $2 as it goes."""
        program = self.work / "train.sh"
        program.write_text(script)
        return self.configuration(f"""
schema: 1
name: broken
rounds: {rounds}
topology: {{star: 1}}
model: {{initial: start.safetensors}}
trainer: {{kind: command, command: [sh, {program}, "{{input}}", "{{output}}"]}}
""")

    def test_a_failed_run_is_finished_by_a_resume_only_once_its_cause_is_gone(self):
        self.file = self.trained_by_a_script(
            'echo x >> calls; [ "$(wc -l < calls)" -le 2 ] || [ ! -e broken ] || exit 1; cp $1 $2\n', rounds=5)
        (self.work / "broken").touch()
        directory = self.work / "run"
        _, err = self.run_program("run", self.file, "--output", directory, expect=69)
        self.assertIn("the task of client-0 failed in round 3: client 0, round 3: sh ended with exit code 1", err)
        self.assertIn("so none of 1 children reported, and 1 was needed: 3 rounds in a row were abandoned, the last of "
                      "them round 5", err)
        _, err = self.run_program("run", "--resume", directory, expect=69)
        self.assertFalse((directory / "model.safetensors").exists())
        (self.work / "broken").unlink()
        self.run_program("run", "--resume", directory)
        self.assertEqual(self.records(directory, "end")[-1]["version"], 5)
        self.assertEqual([record["outcome"] for record in self.records(directory, "round")], ["committed"] * 5)

    def test_abandoned_rounds_of_a_finished_run_are_told(self):
        self.file = self.trained_by_a_script('echo x >> calls; [ "$(wc -l < calls)" -ne 2 ] || exit 1; cp $1 $2\n', rounds=3)
        _, err = self.run_program("run", self.file, "--output", self.work / "run",
                                  *settings(**{"tiers.default.retries": 0}))
        self.assertIn("1 of 3 rounds was abandoned and changed nothing; the last of them was round 2: client 0, round 2: sh", err)

    def test_small_updates_of_the_shipped_configuration_are_not_lost(self):
        directory = self.train(ROOT / "configs/command-trainer.yaml", "shipped",
                               *settings(rounds=20, **{"trainer.options": '{lr: "0.003"}'}))
        # Five clients pull towards 1 to 5, whose mean is 3.
        for value in values_of(directory / "model.safetensors"):
            self.assertAlmostEqual(value, 3 * (1 - 0.997 ** 20), delta=1e-4)

    def test_metrics_of_programs_reach_records_and_terminal(self):
        option = settings(rounds=2, **{"trainer.options": "{metrics: yes}", "algorithm.weighting": "uniform"})
        directory = self.work / "run"
        out, _ = self.run_program("run", self.file, "--output", directory, *option)
        for record in self.records(directory, "round"):
            self.assertAlmostEqual(record["train_accuracy"], 0.6, delta=1e-4)
            self.assertAlmostEqual(record["train_f1"], 0.25, delta=1e-4)
            self.assertAlmostEqual(record["client_auc"], 0.75, delta=1e-4)
            self.assertAlmostEqual(record["train_seconds_metric"], 2.0, delta=1e-4)
            self.assertAlmostEqual(record["train_loss"], 0.5, delta=1e-4)
        self.assertIn("~60.00 %", out)
        self.assertIn("train_f1 0.2500", out)

    def test_quiet_prints_the_results_alone(self):
        directory = self.work / "run"
        option = settings(**{"trainer.options": "{metrics: yes}", "algorithm.weighting": "uniform"})
        out, err = self.run_program("--quiet", "run", self.file, "--output", directory, *option)
        self.assertEqual(err, "")
        self.assertIn("finished after 1 round", out)
        self.assertIn("train_accuracy 0.6000", out)
        self.assertIn(str(directory / "model.safetensors"), out)
        self.assertNotIn("train loss", out)  # the table

    def start_hanging(self, temporary_name="tmp"):
        """Starts a run whose programs hang, with a directory for temporary files of its own."""
        temporary = self.work / temporary_name
        temporary.mkdir()
        self.addCleanup(os.environ.pop, "TMPDIR", None)
        os.environ["TMPDIR"] = str(temporary)
        process = self.start("run", self.file, "--output", self.work / "run", "--set", "threads=2", "--set",
                             "trainer.options={hang: yes}")
        self.addCleanup(process.communicate)
        self.addCleanup(process.kill)
        pids = self.work / "pids.txt"
        deadline = time.monotonic() + 60
        while not pids.exists() or len(pids.read_text().split()) < 4:
            self.assertLess(time.monotonic(), deadline, "the programs did not start")
            time.sleep(0.02)
        return process, temporary

    def expect_nothing_left(self, temporary):
        rows = [line.split() for line in (self.work / "pids.txt").read_text().splitlines()]
        pids = [int(pid) for row in rows for pid in row]
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            left = [pid for pid in pids if is_running(pid)]
            files = list(temporary.iterdir())
            if not left and not files:
                return
            time.sleep(0.05)
        self.fail(f"processes {left} and files {files} outlive the program")

    def test_nothing_outlives_a_killed_program(self):
        process, temporary = self.start_hanging()
        process.send_signal(signal.SIGKILL)
        self.expect_nothing_left(temporary)

    def test_a_program_with_another_environment_does_not_outlive_it_either(self):
        self.file = self.configuration(THREE.format(program=WEIGHTS).replace(
            "[python3,", f"[env, -i, 'PATH={os.environ['PATH']}', python3,"))
        process, temporary = self.start_hanging()
        process.send_signal(signal.SIGKILL)
        deadline = time.monotonic() + 30
        rows = [line.split() for line in (self.work / "pids.txt").read_text().splitlines()]
        # What such a program starts in a session of its own is beyond anyone's sight.
        for _, elsewhere in rows:
            self.addCleanup(os.kill, int(elsewhere), signal.SIGKILL)
        while any(is_running(int(row[0])) for row in rows) or list(temporary.iterdir()):
            self.assertLess(time.monotonic(), deadline, "a program outlives the run")
            time.sleep(0.05)

    def test_nobody_else_is_killed_whatever_the_temporary_directory_is_called(self):
        # An empty line, taken as a pattern, would be found in every process.
        bystander = subprocess.Popen(["sleep", "1000"])
        self.addCleanup(bystander.communicate)
        self.addCleanup(bystander.kill)
        process, temporary = self.start_hanging("two\n\nlines")
        process.send_signal(signal.SIGKILL)
        self.expect_nothing_left(temporary)
        self.assertIsNone(bystander.poll())

    def test_a_relative_temporary_directory_is_found_by_the_programs(self):
        (self.work / "relative").mkdir()
        self.addCleanup(os.environ.pop, "TMPDIR", None)
        os.environ["TMPDIR"] = "relative"  # to where Tributary is started; trainer programs start elsewhere
        (self.work / "elsewhere").mkdir()
        self.assertAlmostEqual(self.model(*settings(**{
            "algorithm.weighting": "uniform", "base_directory": self.work / "elsewhere",
            "model.initial": self.work / "start.safetensors"})), 2.0, delta=1e-5)

    def test_a_program_that_has_left_its_group_ends_in_time_too(self):
        _, err = self.run_program("-v", "run", self.file, *settings(
            **{"trainer.options": "{hang: elsewhere}", "trainer.timeout_s": 1, "tiers.default.retries": 0}), expect=69)
        self.assertIn("did not end within 1 s and was killed", err)

    def test_nothing_outlives_a_second_ctrl_c(self):
        process, temporary = self.start_hanging()
        process.send_signal(signal.SIGINT)
        time.sleep(0.3)
        process.send_signal(signal.SIGINT)
        self.expect_nothing_left(temporary)

    def test_the_next_run_cleans_up_where_the_watcher_was_killed_too(self):
        process, temporary = self.start_hanging()
        watchers = [int(entry.name) for entry in pathlib.Path("/proc").glob("[0-9]*")
                    if b"tributary-watch" in self.command_line(entry) and
                    str(temporary).encode() in self.command_line(entry)]
        self.assertEqual(len(watchers), 1)
        os.kill(watchers[0], signal.SIGKILL)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        self.assertNotEqual(list(temporary.iterdir()), [])
        self.model(*settings(**{"algorithm.weighting": "uniform"}))
        self.expect_nothing_left(temporary)

    @staticmethod
    def command_line(entry):
        try:
            return (entry / "cmdline").read_bytes()
        except OSError:
            return b""


if __name__ == "__main__":
    unittest.main()
