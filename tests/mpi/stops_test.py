# SPDX-License-Identifier: Apache-2.0
"""A job that is asked to stop keeps its newest finished round, ends in time, and goes on with any number of ranks to
the very same model."""
import signal
import time
import unittest

from mpirun import MpiTest, send
from program import SMALL, settings

# Some seconds long.
LONG = settings(rounds=400, **{"evaluation.every": 10, "output.report": "false"})
NEVER = settings(**{"checkpoint.every": 1_000_000})
# mpirun waits so long after it has passed SIGTERM or SIGINT on, and then kills.
TIME_TO_STOP = 5.0


class StopsTest(MpiTest):
    def setUp(self):
        super().setUp()
        self.file = self.configuration(SMALL)
        self.directory = self.work / "run"

    def expected(self):
        return self.model_digest(self.train(self.file, "whole", *LONG))

    def stop(self, ranks, how, *arguments, expect, timeout=30):
        """Starts a run, does that to its job in the middle, and waits for its end. Returns what the job said, the
        rounds that were recorded before, and the seconds that it took to end."""
        job = self.start_ranks(ranks, "run", self.file, "--output", self.directory, "--quiet", *LONG, *arguments)
        self.wait_for_rounds(self.directory, 20, job)
        before = len(self.records(self.directory, "round"))
        begin = time.monotonic()
        how(job)
        _, err = self.finish(job, expect, timeout)
        self.assertFalse((self.directory / "model.safetensors").exists(), "it was over before it could be stopped")
        return err, before, time.monotonic() - begin

    def newest_checkpoint(self):
        files = (self.directory / "checkpoints").glob("checkpoint-*.safetensors")
        rounds = [int(file.stem.split("-")[1]) for file in files]
        self.assertTrue(rounds, "no checkpoint was left")
        return max(rounds)

    def assert_kept(self, before):
        """The newest recorded round is the one that was saved, and none is lost that was recorded before."""
        recorded = self.records(self.directory, "round")[-1]["round"]
        self.assertEqual(self.newest_checkpoint(), recorded)
        self.assertGreaterEqual(recorded, before)
        self.assertEqual(self.records(self.directory)[-1]["outcome"], "interrupted")

    def test_sigusr1_finishes_the_round_and_the_run_goes_on_with_other_ranks(self):
        expected = self.expected()
        err, before, seconds = self.stop(3, lambda job: job.process.send_signal(signal.SIGUSR1), *NEVER, expect=75)
        self.assertIn(f"go on with: tributary run --resume {self.directory}", err)
        self.assertEqual(err.count("stopped after round "), 1, err)
        self.assertNotIn("error: ", err)
        self.assertLess(seconds, TIME_TO_STOP)
        self.assert_kept(before)
        self.assertEqual(self.resume_on(2, self.directory), expected)

    def test_sigterm_keeps_the_newest_round_in_the_time_that_mpirun_leaves(self):
        expected = self.expected()
        _, before, seconds = self.stop(4, lambda job: job.process.terminate(), *NEVER, expect=1)
        self.assertLess(seconds, TIME_TO_STOP)
        self.assert_kept(before)
        self.assertEqual(self.resume_on(0, self.directory), expected)

    def test_an_interrupt_does_the_same(self):
        expected = self.expected()
        _, before, seconds = self.stop(2, lambda job: job.process.send_signal(signal.SIGINT), *NEVER, expect=1)
        self.assertLess(seconds, TIME_TO_STOP)
        self.assert_kept(before)
        self.assertEqual(self.resume_on(5, self.directory), expected)

    def test_an_interrupt_is_heard_where_a_script_in_the_background_ignores_it(self):
        self.run_test_with_signals_ignored(__file__, "StopsTest.test_an_interrupt_does_the_same")

    def test_sigterm_to_every_rank_as_srun_sends_it(self):
        expected = self.expected()

        def all_ranks(job):
            for process in job.ranks(3):
                self.assertTrue(send(process, signal.SIGTERM))

        err, before, seconds = self.stop(3, all_ranks, *NEVER, expect=75)
        self.assertIn(f"go on with: tributary run --resume {self.directory}", err)
        self.assertLess(seconds, TIME_TO_STOP)
        self.assert_kept(before)
        self.assertEqual(self.resume_on(4, self.directory), expected)

    def test_sigterm_to_the_first_rank_alone_stops_all(self):
        expected = self.expected()
        _, before, seconds = self.stop(3, lambda job: send(job.rank(0), signal.SIGTERM), *NEVER, expect=75)
        self.assertLess(seconds, TIME_TO_STOP)
        self.assert_kept(before)
        self.assertEqual(self.resume_on(1, self.directory), expected)

    def test_sigusr1_to_another_rank_does_not_stop_the_root(self):
        # A batch system that signals one task alone is answered by that task, not by the federation.
        job = self.start_ranks(2, "run", self.file, "--output", self.directory, "--quiet", *LONG)
        self.wait_for_rounds(self.directory, 20, job)
        send(job.rank(1), signal.SIGUSR1)
        self.finish(job, expect=0)
        self.assertEqual(self.records(self.directory)[-1]["outcome"], "finished")

    def test_stopped_while_ranks_start_it_ends_in_time_too(self):
        for signal_number, delay in [(signal.SIGTERM, 0.0), (signal.SIGTERM, 0.3), (signal.SIGUSR1, 0.3)]:
            with self.subTest(signal=signal_number.name, delay=delay):
                job = self.start_ranks(3, "run", self.file, "--output", self.work / f"run-{signal_number}-{delay}",
                                       "--quiet", *LONG)
                job.ranks(3)
                time.sleep(delay)
                job.process.send_signal(signal_number)
                begin = time.monotonic()
                self.finish(job, expect=None, timeout=30)
                self.assertNotEqual(job.process.returncode, 0)
                if signal_number == signal.SIGTERM:
                    self.assertLess(time.monotonic() - begin, TIME_TO_STOP)

    def test_stopped_again_and_again_on_other_ranks_gives_the_same_model(self):
        expected = self.expected()
        self.stop(3, lambda job: job.process.send_signal(signal.SIGUSR1), expect=75)
        for ranks, what in [(2, signal.SIGTERM), (5, signal.SIGUSR1)]:
            done = len(self.records(self.directory, "round"))
            job = self.start_ranks(ranks, "run", "--resume", self.directory, "--quiet")
            self.wait_for_rounds(self.directory, done + 20, job)
            job.process.send_signal(what)
            self.finish(job, expect=75 if what == signal.SIGUSR1 else 1)
        self.assertEqual(self.resume_on(0, self.directory), expected)


if __name__ == "__main__":
    unittest.main()
