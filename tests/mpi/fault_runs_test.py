# SPDX-License-Identifier: Apache-2.0
"""Ranks that are killed, stopped or delayed at seeded moments: nothing hangs, everything ends as documented, and goes
on to the same model. The test labelled `long` does a hundred of these runs."""
import os
import random
import unittest
from dataclasses import replace

from fault_runs import HEADING, Fault, FaultRuns, line

RUNS = int(os.environ.get("TRIBUTARY_MPI_FAULT_RUNS", "5"))
SEED = int(os.environ.get("TRIBUTARY_MPI_FAULT_SEED", "1"))
# In the middle of a run; every client is in every round.
MIDDLE = Fault(kind="kill", model="small", ranks=3, rank=2, moment="round", round=50, offset=0.01, pause=0.0,
               recovery=False, quorum=False, every=1, resume_ranks=2)


class FaultRunsTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.runs = cls.enterClassContext(FaultRuns())
        cls.done = 0
        print("\n" + HEADING, flush=True)

    def run_with(self, fault):
        """One run that goes as documented."""
        type(self).done += 1
        outcome = self.runs.run(self.done, fault)
        print(line(self.done, outcome), flush=True)
        self.assertEqual(outcome.problems, [], outcome.err)
        return outcome

    def test_seeded_faults_end_as_documented_and_go_on_to_the_same_bits(self):
        for number in range(RUNS):
            with self.subTest(seed=SEED, run=number):
                self.run_with(Fault.drawn(random.Random(f"{SEED}:{number}")))

    def test_a_killed_rank_ends_the_job(self):
        for rank in (0, 2):
            with self.subTest(rank=rank):
                outcome = self.run_with(replace(MIDDLE, rank=rank))
                self.assertEqual((outcome.code, outcome.ended), (137, "cut off"))

    def test_a_stopped_rank_is_noticed_in_time(self):
        for rank in (0, 2):
            with self.subTest(rank=rank):
                outcome = self.run_with(replace(MIDDLE, kind="stop", rank=rank, every=1000))
                self.assertEqual(outcome.code, 69)
                self.assertLess(outcome.seconds, 6.0)

    def test_a_short_delay_costs_nothing_but_time(self):
        outcome = self.run_with(replace(MIDDLE, kind="delay", pause=0.5))
        self.assertEqual((outcome.code, outcome.ended), (0, "finished"))

    def test_with_recovery_a_quorum_goes_on_without_a_killed_rank(self):
        outcome = self.run_with(replace(MIDDLE, recovery=True, quorum=True))
        self.assertEqual(outcome.ended, "finished")
        self.assertRegex(outcome.err, r"rank 2 on \S+ \(process \d+; .*has been silent")
        self.assertIn("a rank was lost on the way", outcome.err)

    def test_with_recovery_but_without_a_quorum_it_ends_and_says_why(self):
        outcome = self.run_with(replace(MIDDLE, recovery=True))
        self.assertEqual(outcome.ended, "failed")
        self.assertRegex(outcome.err, r"round \d+ could not be closed: .* rank 2 on ")

    def test_with_recovery_a_rank_that_was_silent_for_too_long_takes_part_again(self):
        outcome = self.run_with(replace(MIDDLE, kind="silence", model="large", round=2, pause=1.75, recovery=True,
                                        quorum=True))
        self.assertEqual(outcome.ended, "finished")
        contributors = [record["contributors"] for record in outcome.records if record["event"] == "round"]
        self.assertLess(min(contributors), 8)
        self.assertEqual(contributors[-1], 8)
        self.assertEqual([record["lost"] for record in outcome.records if record["event"] == "where"], [False] * 3)


if __name__ == "__main__":
    unittest.main()
