# SPDX-License-Identifier: Apache-2.0
"""A run that is stopped, by a signal or by force, goes on to the very same model."""
import random
import signal
import time
import unittest

from program import SMALL, ProgramTest

MOMENTS = 20


class KillAndResumeTest(ProgramTest):
    def setUp(self):
        super().setUp()
        self.file = self.configuration(SMALL)

    def stable_records(self, directory):
        """Round records without what a clock measured."""
        return [{key: value for key, value in record.items() if not key.endswith("seconds")}
                for record in self.records(directory, "round")]

    def test_killed_at_any_moment_and_resumed_gives_the_same_model(self):
        begin = time.monotonic()
        whole = self.train(self.file, "whole")
        duration = time.monotonic() - begin
        expected = self.model_digest(whole)
        moments = random.Random(5)
        killed = 0
        for number in range(MOMENTS):
            directory = self.work / f"killed-{number}"
            process = self.start("run", self.file, "--output", directory, "--quiet")
            delay = moments.uniform(0.0, duration)
            time.sleep(delay)
            process.send_signal(signal.SIGKILL)
            process.communicate()
            killed += process.returncode == -signal.SIGKILL
            if (directory / "configuration.yaml").exists():
                self.run_program("run", "--resume", directory, "--quiet")
            else:  # too early to have left anything behind
                self.run_program("run", self.file, "--output", directory, "--quiet")
            self.assertEqual(self.model_digest(directory), expected, f"killed after {delay:.3f} s")
            self.assertEqual(self.stable_records(directory), self.stable_records(whole), f"killed after {delay:.3f} s")
        self.assertGreater(killed, MOMENTS // 2, "most runs had ended before they could be killed")

    def test_killed_again_and_again_gives_the_same_model(self):
        expected = self.model_digest(self.train(self.file, "whole"))
        directory = self.work / "unlucky"
        moments = random.Random(6)
        arguments = ["run", self.file, "--output", directory, "--quiet"]
        for _ in range(6):
            process = self.start(*arguments)
            time.sleep(moments.uniform(0.2, 0.8))
            process.send_signal(signal.SIGKILL)
            process.communicate()
            if (directory / "configuration.yaml").exists():
                arguments = ["run", "--resume", directory, "--quiet"]
        self.run_program(*arguments)
        self.assertEqual(self.model_digest(directory), expected)

    def test_an_interrupt_finishes_the_round_saves_and_says_how_to_go_on(self):
        expected = self.model_digest(self.train(self.file, "whole", "--set", "rounds=300"))
        directory = self.work / "interrupted"
        process = self.start("run", self.file, "--output", directory, "--set", "rounds=300")
        for _ in range(3):  # the header, and so a run that is under way
            process.stdout.readline()
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
        self.assertEqual(process.returncode, 130, err)
        self.assertIn(f"go on with: tributary run --resume {directory}", err)
        self.assertEqual(self.records(directory)[-1]["outcome"], "interrupted")
        self.run_program("run", "--resume", directory, "--quiet")
        self.assertEqual(self.model_digest(directory), expected)

    def test_a_run_is_not_overwritten_and_only_a_run_is_resumed(self):
        directory = self.train(self.file, "once")
        _, err = self.run_program("run", self.file, "--output", directory, expect=64)
        self.assertIn("holds a run already: resume it with --resume, or name another directory", err)
        _, err = self.run_program("run", "--resume", self.work / "nowhere", expect=66)
        self.assertIn("nowhere/configuration.yaml", err)

    def test_a_checkpoint_of_another_configuration_is_refused(self):
        directory = self.train(self.file, "once")
        _, err = self.run_program("run", "--resume", directory, "--set", "trainer.batch_size=8", expect=64)
        self.assertIn("was written by a run of another configuration, tree or model", err)


if __name__ == "__main__":
    unittest.main()
