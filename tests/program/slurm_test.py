# SPDX-License-Identifier: Apache-2.0
"""Under a real Slurm, of this machine alone: srun, mpirun in an allocation, and the batch script of examples/slurm end
in the model of one process, also when they are stopped, cancelled or hit on the way and go on with other numbers of
tasks."""
import os
import pathlib
import shlex
import shutil
import signal
import subprocess
import tempfile
import time
import unittest

from program import PROGRAM, ROOT, SMALL, ProgramTest, environment, settings

SLURM = str(ROOT / "tools/slurm.sh")
BATCH_SCRIPT = str(ROOT / "examples/slurm/federation.sbatch")
LONG = 300  # rounds: some seconds, so that there is a middle to be stopped in
WAIT = 60   # seconds that any one thing may take


def slurm(*arguments):
    return subprocess.run([SLURM, *arguments], env=environment(), text=True, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=2 * WAIT)


class SlurmTest(ProgramTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        directory = tempfile.mkdtemp(prefix="tributary-slurm-")
        cls.addClassCleanup(shutil.rmtree, directory, ignore_errors=True)
        cls.addClassCleanup(slurm, "stop", directory)
        started = slurm("start", directory)
        if started.returncode != 0:
            raise AssertionError(f"there is no Slurm to test with: {started.stderr}")
        exported = dict(word.split("=", 1) for word in shlex.split(started.stdout)[1:])
        # mpirun refuses to be run by root, as in a container, unless it is told twice.
        root = {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"} if os.getuid() == 0 else {}
        cls.environment = environment() | exported | root | {"TRIBUTARY": PROGRAM}

    def setUp(self):
        super().setUp()
        self.file = self.configuration(SMALL)
        self.log = self.work / "job.log"

    def command(self, *arguments, **variables):
        """Runs a command of Slurm to its end and returns what it prints."""
        done = subprocess.run([*map(str, arguments)], cwd=self.work, env=self.environment | variables, text=True,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=WAIT)
        self.assertEqual(done.returncode, 0, f"{arguments}\n{done.stdout}\n{done.stderr}")
        return done.stdout

    def submit(self, run, launcher="srun", tasks=3):
        """Submits the batch script; returns the number of the job."""
        return self.command(
            "sbatch", "--parsable", f"--ntasks={tasks}", "--cpus-per-task=1", "--mem-per-cpu=100", "--time=30",
            "--signal=B:USR1@60", f"--output={self.log}", BATCH_SCRIPT, self.file, run, LAUNCHER=launcher).strip()

    def said(self):
        return self.log.read_text() if self.log.exists() else "(no log)"

    def wait_until(self, what, holds):
        end = time.monotonic() + WAIT
        while not holds():
            self.assertLess(time.monotonic(), end, f"{what}: not within {WAIT} s\n{self.said()}")
            time.sleep(0.05)

    def job(self, number):
        """State and exit code of a job."""
        words = self.command("scontrol", "show", "job", "--oneliner", number).split()
        fields = dict(word.split("=", 1) for word in words if "=" in word)
        return fields["JobState"], int(fields["ExitCode"].split(":")[0])

    def end_of(self, number):
        self.wait_until(f"the end of job {number}", lambda: not self.job(number)[0].endswith("ING"))
        return self.job(number)

    def interrupt(self, run, number, *how):
        """Once the job is in the middle of its federation, does that to it."""
        self.wait_until("the first checkpoint", lambda: any(run.glob("checkpoints/checkpoint-*.safetensors")))
        self.assertFalse((run / "model.safetensors").exists(), "the run was over before it could be interrupted")
        self.command(*how, number)

    def model_of_one_process(self, **changes):
        return self.model_digest(self.train(self.file, "alone", *settings(**changes)))

    def make_long(self):
        self.file = self.configuration(SMALL.replace("rounds: 12", f"rounds: {LONG}"))

    def assert_ran_to(self, expected, run):
        self.assertEqual(self.model_digest(run), expected)
        self.assertEqual(self.records(run, "run")[0]["driver"], "mpi")

    def test_srun_and_mpirun_give_the_model_of_one_process(self):
        expected = self.model_of_one_process()
        for name, launch in {"srun": ["srun", "--mpi=pmix", "--ntasks=3"],
                             "mpirun": ["salloc", "--quiet", "--ntasks=3", "mpirun", "--bind-to", "none"]}.items():
            with self.subTest(name):
                run = self.work / name
                self.command(*launch, PROGRAM, "run", self.file, "--output", run, "--quiet")
                self.assert_ran_to(expected, run)

    def test_the_batch_script_gives_the_model_of_one_process(self):
        expected = self.model_of_one_process()
        for launcher in ("srun", "mpirun"):
            with self.subTest(launcher):
                run = self.work / launcher
                self.assertEqual(self.end_of(self.submit(run, launcher)), ("COMPLETED", 0), self.said())
                self.assert_ran_to(expected, run)

    def test_stopped_ahead_of_the_time_limit_it_queues_again_and_ends_in_the_same_model(self):
        self.make_long()
        expected = self.model_of_one_process()
        for launcher in ("srun", "mpirun"):
            with self.subTest(launcher):
                run = self.work / launcher
                number = self.submit(run, launcher)
                self.interrupt(run, number, "scancel", "--batch", "--signal=USR1")  # what --signal does at the limit
                self.assertEqual(self.end_of(number), ("COMPLETED", 0), self.said())
                self.assertIn("stopped ahead of the time limit", self.said())
                self.assertIn("start 2: ", self.said())
                self.assert_ran_to(expected, run)

    def test_stopped_by_hand_it_goes_on_with_another_number_of_tasks(self):
        self.make_long()
        expected = self.model_of_one_process()
        run = self.work / "run"
        number = self.submit(run, tasks=3)
        self.interrupt(run, number, "scancel", "--signal=TERM")
        self.assertEqual(self.end_of(number), ("FAILED", 75), self.said())
        self.assertIn(f"stopped as asked. Go on with: sbatch federation.sbatch {self.file} {run}", self.said())

        number = self.submit(run, tasks=5)
        self.assertEqual(self.end_of(number), ("COMPLETED", 0), self.said())
        self.assertIn(f"run --resume {run}", self.said())
        self.assert_ran_to(expected, run)

    def test_cancelled_it_stays_cancelled_and_can_go_on_later(self):
        self.make_long()
        expected = self.model_of_one_process()
        for launcher in ("srun", "mpirun"):
            with self.subTest(launcher):
                run = self.work / launcher
                number = self.submit(run, launcher)
                self.interrupt(run, number, "scancel")
                self.assertEqual(self.end_of(number)[0], "CANCELLED", self.said())

                number = self.submit(run, launcher, tasks=2)
                self.assertEqual(self.end_of(number), ("COMPLETED", 0), self.said())
                self.assert_ran_to(expected, run)

    def test_with_a_killed_task_it_queues_again_and_ends_in_the_same_model(self):
        self.make_long()
        expected = self.model_of_one_process()
        for launcher in ("srun", "mpirun"):
            with self.subTest(launcher):
                run = self.work / launcher
                number = self.submit(run, launcher)
                self.interrupt(run, number, "true")
                os.kill(self.last_rank(), signal.SIGKILL)
                self.assertEqual(self.end_of(number), ("COMPLETED", 0), self.said())
                self.assertIn("a rank was lost (exit code 137)", self.said())
                self.assert_ran_to(expected, run)

    def last_rank(self):
        """The process that is rank 2 of this test's federation."""
        for process in pathlib.Path("/proc").glob("[0-9]*"):
            try:
                words = (process / "cmdline").read_bytes().split(b"\0")
                variables = (process / "environ").read_bytes().split(b"\0")
            except OSError:  # it has ended, or is somebody else's
                continue
            if words[0] == PROGRAM.encode() and str(self.file).encode() in words and b"PMIX_RANK=2" in variables:
                return int(process.name)
        return self.fail(f"rank 2 is not there\n{self.said()}")

    def test_a_wrong_configuration_is_not_tried_again(self):
        self.file = self.configuration(SMALL.replace("rounds: 12", "rounds: -1"))
        for launcher in ("srun", "mpirun"):
            with self.subTest(launcher):
                number = self.submit(self.work / launcher, launcher)
                self.assertEqual(self.end_of(number), ("FAILED", 78), self.said())
                self.assertIn("rounds", self.said())

    def test_starting_twice_is_one_slurm_and_stopping_leaves_nothing(self):
        directory = self.work / "slurm"
        self.addCleanup(slurm, "stop", str(directory))
        first = slurm("start", str(directory))
        second = slurm("start", str(directory))
        self.assertEqual((first.returncode, second.returncode), (0, 0), first.stderr + second.stderr)
        self.assertEqual(first.stdout, second.stdout)
        recorded = (directory / "tributary-slurm.processes").read_text()
        processes = [int(line.split()[1]) for line in recorded.splitlines()]
        self.assertEqual(len(processes), 3)
        self.assertEqual(slurm("status", str(directory)).returncode, 0)

        self.assertEqual(slurm("stop", str(directory)).returncode, 0)

        self.assertFalse(directory.exists())
        for process in processes:
            status = pathlib.Path(f"/proc/{process}/status")
            self.assertTrue(not status.exists() or "Z (zombie)" in status.read_text(), f"process {process} still runs")
        self.assertEqual(slurm("status", str(directory)).returncode, 1)
        self.assertEqual(slurm("stop", str(directory)).returncode, 0)


if __name__ == "__main__":
    unittest.main()
