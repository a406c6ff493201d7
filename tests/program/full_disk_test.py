# SPDX-License-Identifier: Apache-2.0
"""A disk that takes no more gives one clear error and costs no earlier checkpoint."""
import resource
import signal
import unittest

from program import SMALL, ProgramTest, settings


def files_at_most(size):
    """For the child process: writing a file beyond `size` fails, as on a full disk."""
    def limit():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
    return limit


class FullDiskTest(ProgramTest):
    def setUp(self):
        super().setUp()
        self.file = self.configuration(SMALL)

    def test_a_checkpoint_that_does_not_fit_leaves_the_earlier_ones(self):
        run = settings(rounds=60, **{"model.hidden": "[4000]"})  # a checkpoint of 336 kB
        expected = self.model_digest(self.train(self.file, "whole", *run))
        directory = self.work / "run"
        process = self.start("run", self.file, "--output", directory, *run)
        for _ in range(5):
            process.stdout.readline()
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
        before = {file.name: file.read_bytes() for file in (directory / "checkpoints").iterdir()}
        self.assertTrue(before)

        # Room for records, none for a checkpoint.
        _, err = self.run_program("run", "--resume", directory, "--quiet", "--set", "output.report=false", expect=74,
                                  preexec_fn=files_at_most(200_000))

        self.assertEqual(len([line for line in err.splitlines() if line.strip()]), 1, err)
        self.assertRegex(err, r"cannot write \S*/checkpoints/checkpoint-\d+\.safetensors: File too large")
        after = {file.name: file.read_bytes() for file in (directory / "checkpoints").iterdir()}
        self.assertEqual(after, before)
        # With room again the run goes on as if nothing had been.
        self.run_program("run", "--resume", directory, "--quiet")
        self.assertEqual(self.model_digest(directory), expected)

    def test_a_directory_that_cannot_be_made_is_one_error(self):
        blocked = self.work / "file"
        blocked.write_text("in the way")
        _, err = self.run_program("run", self.file, "--output", blocked / "run", expect=74)
        self.assertEqual(len([line for line in err.splitlines() if line.strip()]), 1, err)
        self.assertIn(str(blocked), err)

    def test_a_place_that_only_reads_is_one_error(self):
        _, err = self.run_program("run", self.file, "--output", "/proc/tributary", expect=None)
        self.assertEqual(len([line for line in err.splitlines() if line.strip()]), 1, err)
        self.assertIn("/proc/tributary", err)


if __name__ == "__main__":
    unittest.main()
