# SPDX-License-Identifier: Apache-2.0
"""What the tests under mpirun share: starting a job, finding its ranks, and seeing that nothing of it is left."""
import contextlib
import os
import pathlib
import signal
import subprocess
import sys
import time
import uuid

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "program"))
from program import PROGRAM, ProgramTest, environment, settings  # noqa: E402, F401

# Marks all processes of one job, whatever becomes of their parents. Not TRIBUTARY_...: those set configuration keys.
MARKER = "FEDERATION_UNDER_TEST"


def mpi_environment():
    # More processes than cores: one thread each. mpirun refuses root, as in a container, unless it is told twice.
    root = {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"} if os.getuid() == 0 else {}
    return environment() | root | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


class Job:
    """One mpirun and every process that it starts.

    `contexts` are (ranks, arguments) or (ranks, arguments, program), as many as there are different commands. Output
    goes to files in `directory`: a process that outlives mpirun must not keep a reader of a pipe waiting."""

    def __init__(self, directory, *contexts, program=PROGRAM, recovery=False):
        self.marker = uuid.uuid4().hex
        self.seen = {}  # every rank that was found, by number
        command = ["mpirun", "--oversubscribe", "--bind-to", "none"] + ["--enable-recovery"] * recovery
        for number, (ranks, arguments, *other) in enumerate(contexts):
            command += [":"] * (number > 0) + ["-n", str(ranks), *(other or [program]), *map(str, arguments)]
        self.files = [pathlib.Path(directory) / f"{self.marker}.{name}" for name in ("out", "err")]
        self.start = time.monotonic()
        with open(self.files[0], "w") as out, open(self.files[1], "w") as err:
            self.process = subprocess.Popen(command, cwd=directory, env=mpi_environment() | {MARKER: self.marker},
                                            stdin=subprocess.DEVNULL, stdout=out, stderr=err)

    @property
    def out(self):
        return self.files[0].read_text(errors="replace")

    @property
    def err(self):
        return self.files[1].read_text(errors="replace")

    def processes(self):
        """All living processes of the job: their numbers, with the rank where they are one."""
        found = {}
        for entry in pathlib.Path("/proc").glob("[0-9]*"):
            try:
                words = (entry / "environ").read_text().split("\0")
            except (OSError, UnicodeDecodeError):  # it has ended, or is somebody else's
                continue
            variables = dict(word.split("=", 1) for word in words if "=" in word)
            if variables.get(MARKER) == self.marker:
                rank = variables.get("PMIX_RANK")
                found[int(entry.name)] = None if rank is None else int(rank)
        return found

    def rank(self, number, timeout=60):
        """The process that is this rank, as soon as there is one; None if the job ends before."""
        end = time.monotonic() + timeout
        while number not in self.seen and self.process.poll() is None and time.monotonic() < end:
            self.seen |= {rank: process for process, rank in self.processes().items() if rank is not None}
            time.sleep(0.01)
        return self.seen.get(number)

    def ranks(self, count):
        """The processes of all ranks, once all have been started."""
        return [self.rank(number) for number in range(count)]

    def wait(self, timeout):
        """The exit code of mpirun; None, and the job is ended by force, if it takes longer than that."""
        try:
            return self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.end()
            return None

    def left_over(self, patience=2.0):
        """Processes that are still there so long after mpirun has ended."""
        end = time.monotonic() + patience
        while (left := self.processes()) and time.monotonic() < end:
            time.sleep(0.02)
        return left

    def end(self):
        """Kills what is left of the job; returns what there was."""
        left = self.processes()
        for process in left:
            send(process, signal.SIGKILL)
        self.process.wait()
        return left


def send(process, what):
    """A signal to a process that may have ended meanwhile. False: it had."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(process, what)
        return True
    return False


def wait_until(holds, timeout=60.0, pause=0.005):
    """Whether it came to hold within the time."""
    end = time.monotonic() + timeout
    while not holds():
        if time.monotonic() >= end:
            return False
        time.sleep(pause)
    return True


def rounds_done(directory):
    """Round records in a run directory that is being written."""
    try:
        return (directory / "records.jsonl").read_text().count('"event":"round"')
    except FileNotFoundError:
        return 0


class MpiTest(ProgramTest):
    def job(self, *contexts, **options):
        job = Job(self.work, *contexts, **options)
        self.addCleanup(job.end)
        return job

    def start_ranks(self, ranks, *arguments, **options):
        return self.job((ranks, arguments), **options)

    def finish(self, job, expect=0, timeout=120):
        """Waits for the end of a job; mpirun's exit code must be `expect`, and nothing of it may be left."""
        code = job.wait(timeout)
        self.assertIsNotNone(code, f"it took more than {timeout} s\n{job.out}\n{job.err}")
        if expect is not None:
            self.assertEqual(code, expect, f"{job.out}\n{job.err}")
        self.assertEqual(job.left_over(), {}, "processes of the job that outlived mpirun")
        return job.out, job.err

    def run_ranks(self, ranks, *arguments, expect=0, timeout=120, **options):
        """`mpirun -n ranks tributary arguments...` to its end."""
        return self.finish(self.start_ranks(ranks, *arguments, **options), expect, timeout)

    def train_on(self, ranks, configuration, name, *arguments, **options):
        """Runs a federation on so many ranks, 0: without mpirun, into a directory of that name; returns it."""
        if ranks == 0:
            return self.train(configuration, name, *arguments, **options)
        directory = self.work / name
        self.run_ranks(ranks, "run", configuration, "--output", directory, "--quiet", *arguments, **options)
        return directory

    def resume_on(self, ranks, directory):
        """Goes on with a run on so many ranks, 0: without mpirun; returns the digest of its model."""
        if ranks == 0:
            self.run_program("run", "--resume", directory, "--quiet")
        else:
            self.run_ranks(ranks, "run", "--resume", directory, "--quiet")
        return self.model_digest(directory)

    def wait_for_rounds(self, directory, rounds, job):
        """Until that many rounds are recorded, while the job goes on."""
        self.assertTrue(wait_until(lambda: rounds_done(directory) >= rounds or job.process.poll() is not None),
                        f"round {rounds} did not come\n{job.out}\n{job.err}")
        self.assertIsNone(job.process.poll(), f"the job ended before round {rounds}\n{job.out}\n{job.err}")
