# SPDX-License-Identifier: Apache-2.0
"""A run that is stopped, by a signal or by force, goes on to the very same model."""
import os
import random
import signal
import time
import unittest

from program import SMALL, ProgramTest, settings

# Of each kind of run; the long run has 20.
MOMENTS = int(os.environ.get("TRIBUTARY_KILLS", "4"))


class KillAndResumeTest(ProgramTest):
    def setUp(self):
        super().setUp()
        self.file = self.configuration(SMALL)

    def stable_records(self, directory):
        """Round records without what a clock measured, and without bytes: what a cancelled node still had to say when a round
        closed counts for the next round, and is never said if the run ends there."""
        return [{key: value for key, value in record.items() if not key.endswith("seconds") and not key.startswith("bytes")}
                for record in self.records(directory, "round")]

    def wait_for(self, file, process):
        """Until the file exists or the process has ended; no longer than a minute."""
        end = time.monotonic() + 60
        while not file.exists() and process.poll() is None and time.monotonic() < end:
            time.sleep(0.002)

    def wait_for_rounds(self, directory, rounds, process):
        """Until so many rounds are in the records, or the process has ended; no longer than a minute."""
        end = time.monotonic() + 60
        while process.poll() is None and time.monotonic() < end:
            if (directory / "records.jsonl").read_bytes().count(b'"event":"round"') >= rounds:
                return
            time.sleep(0.002)

    def kill_at_moments(self, moments, *arguments, by=signal.SIGKILL):
        """Ends the run at so many moments of its training, resumes, compares; returns how many stood in the middle."""
        begin = time.monotonic()
        whole = self.train(self.file, "whole", *arguments)
        expected = self.model_digest(whole)
        rounds = len(self.records(whole, "round"))
        middle = 0
        randomness = random.Random(5)
        for number in range(moments):
            directory = self.work / f"killed-{number}"
            process = self.start("run", self.file, "--output", directory, "--quiet", *arguments)
            # By rounds, not by time: a busy machine may be slower now than it was for the whole run.
            self.wait_for(directory / "records.jsonl", process)
            after, delay = randomness.randint(0, rounds), randomness.uniform(0.0, 0.003)
            moment = f"round {after} and {delay * 1e3:.1f} ms"
            self.wait_for_rounds(directory, after, process)
            time.sleep(delay)
            process.send_signal(by)
            process.communicate()
            middle += any((directory / "checkpoints").glob("checkpoint-*")) and not (directory / "model.safetensors").exists()
            self.run_program("run", "--resume", directory, "--quiet")
            self.assertEqual(self.model_digest(directory), expected, f"killed after {moment}")
            self.assertEqual(self.stable_records(directory), self.stable_records(whole), f"killed after {moment}")
        self.assertLess(time.monotonic() - begin, 30 + 20 * moments)
        return middle

    def test_killed_at_any_moment_and_resumed_gives_the_same_model(self):
        middle = self.kill_at_moments(MOMENTS, *settings(rounds=150))
        self.assertGreaterEqual(middle, MOMENTS // 2, "too few runs were killed between their first checkpoint and their end")

    def test_with_cohorts_local_rounds_and_few_checkpoints_too(self):
        middle = self.kill_at_moments(MOMENTS, *settings(rounds=150, **{
            "tiers": "{0: {cohort: {count: 1}, over_selection: 2}, 1: {local_rounds: 2}}",
            "server_optimizer.kind": "fedyogi", "checkpoint.every": 7, "threads": 2}))
        self.assertGreaterEqual(middle, MOMENTS // 3)

    def test_with_states_of_clients_too(self):
        for kind, every in [("scaffold", 1), ("scaffold", 5), ("feddyn", 2)]:
            with self.subTest(kind=kind, every=every):
                self.work = self.work / f"{kind}-{every}"
                self.work.mkdir()
                middle = self.kill_at_moments((MOMENTS + 1) // 2, *settings(rounds=150, threads=2, **{
                    "algorithm.kind": kind, "algorithm.weighting": "uniform", "checkpoint.every": every,
                    "tiers": "{0: {cohort: {count: 1}}, 1: {local_rounds: 2, cohort: {fraction: 0.6}}}"}))
                self.assertGreaterEqual(middle, MOMENTS // 6)

    def test_with_tiers_that_never_wait_too(self):
        """By the virtual clock what clients and aggregators were at work on goes on, too."""
        unequal = {"simulation.compute_seconds_per_sample": 0.01, "simulation.devices.slowness": "log-normal",
                   "simulation.devices.sigma": 1.0, "threads": 2}
        kinds = {
            "fedbuff": {"tiers": "{default: {policy: buffered, buffer: 2}}"},
            "fedasync": {"tiers": "{0: {policy: asynchronous, rate_correction: 8}}", "checkpoint.every": 3},
            "scaffold": {"algorithm.kind": "scaffold", "algorithm.weighting": "uniform", "evaluation.stop_at_accuracy": 1,
                         "tiers": "{default: {policy: buffered, buffer: 2}}", "checkpoint.every": 2},
            "fedyogi": {"server_optimizer.kind": "fedyogi", "simulation.devices.drop_out": 0.1,
                        "tiers": "{0: {policy: buffered, buffer: 2}, 1: {cohort: {count: 2}, local_rounds: 2}}"},
            "mtgc": {"algorithm.kind": "mtgc", "checkpoint.every": 2,
                     "tiers": "{0: {cohort: {count: 1}}, 1: {cohort: {fraction: 0.6}, local_rounds: 2}}"},
            "evaluation": {"evaluation.clients": "{holdout: 0.2, fraction: 0.5}", "checkpoint.every": 3,
                           "tiers": "{0: {quorum: 0.5, deadline_s: 4}, 1: {local_rounds: 2}}"},
            "mixed": {"tiers": "{0: {quorum: 0.5, deadline_s: 4}, 1: {policy: asynchronous, edge_model: forward}}",
                      "simulation.faults.drop": 0.05, "simulation.faults.duplicate": 0.1, "simulation.faults.delay": 0.2},
        }
        for kind, keys in kinds.items():
            for by in [signal.SIGKILL, signal.SIGINT] if MOMENTS > 4 or kind == "scaffold" else [signal.SIGKILL]:
                with self.subTest(kind=kind, by=by):
                    self.work = self.work / f"{kind}-{by}"
                    self.work.mkdir()
                    middle = self.kill_at_moments((MOMENTS + 3) // 4, *settings(rounds=120, **unequal, **keys), by=by)
                    self.assertGreaterEqual(middle, MOMENTS // 8)
                    if kind in ("fedasync", "evaluation"):
                        self.run_program("replay", self.work / "killed-0")

    def interrupted_with_states(self, name):
        """A run with states of clients that was killed after some checkpoints, and the model that it should end with."""
        arguments = settings(rounds=250, **{"algorithm.kind": "scaffold"})
        expected = self.model_digest(self.train(self.file, f"whole-{name}", *arguments))
        directory = self.work / name
        process = self.start("run", self.file, "--output", directory, "--quiet", *arguments)
        self.wait_for(directory / "records.jsonl", process)
        self.wait_for_rounds(directory, 40, process)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        rounds = (directory / "records.jsonl").read_bytes().count(b'"event":"round"')
        self.assertLess(rounds, 240, "killed too late to be in the middle")
        return directory, expected

    def test_states_of_clients_go_back_with_the_checkpoint(self):
        directory, expected = self.interrupted_with_states("damaged")
        newest = max((directory / "checkpoints").glob("checkpoint-*"))
        newest.write_bytes(newest.read_bytes()[:500])
        self.run_program("run", "--resume", directory, "--quiet")
        self.assertEqual(self.model_digest(directory), expected)

    def test_a_state_of_a_client_that_is_not_its_own_is_no_state(self):
        def lost(files): files[0].unlink()
        def swapped(files): files[0].write_bytes(files[1].read_bytes())
        def cut(files): files[0].write_bytes(files[0].read_bytes()[:300])
        for change, said in [(lost, "is not the one that has been counted"), (swapped, "the state of another client"),
                             (cut, "0.safetensors")]:
            with self.subTest(change=change.__name__):
                directory, expected = self.interrupted_with_states(change.__name__)
                files = sorted((directory / "clients").glob("*/*.safetensors"))
                kept = files[0].read_bytes()
                change(files)
                _, err = self.run_program("run", "--resume", directory, "--quiet", expect=65)
                self.assertIn(said, err)
                files[0].write_bytes(kept)
                self.run_program("run", "--resume", directory, "--quiet")
                self.assertEqual(self.model_digest(directory), expected)

    def test_a_run_that_stopped_at_its_accuracy_stays_stopped(self):
        directory = self.train(self.file, "stopped", *settings(rounds=40, **{"evaluation.stop_at_accuracy": 0.6}))
        expected = self.model_digest(directory)
        self.assertEqual(self.records(directory, "end")[-1]["outcome"], "stopped")
        (directory / "model.safetensors").unlink()
        self.run_program("run", "--resume", directory, "--quiet")
        self.assertEqual(self.model_digest(directory), expected)
        self.assertGreaterEqual(self.records(directory, "end")[-1]["accuracy"], 0.6)

    def test_killed_again_and_again_gives_the_same_model(self):
        arguments = settings(rounds=400)
        expected = self.model_digest(self.train(self.file, "whole", *arguments))
        directory = self.work / "unlucky"
        randomness = random.Random(6)
        command = ["run", self.file, "--output", directory, "--quiet", *arguments]
        for _ in range(6):
            (directory / "model.safetensors").unlink(missing_ok=True)
            process = self.start(*command)
            self.wait_for(directory / "records.jsonl", process)
            time.sleep(randomness.uniform(0.3, 0.9))
            process.send_signal(signal.SIGKILL)
            process.communicate()
            command = ["run", "--resume", directory, "--quiet"]
        self.run_program(*command)
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

    def test_an_interrupt_is_heard_where_a_script_in_the_background_ignores_it(self):
        self.run_test_with_signals_ignored(
            __file__, "KillAndResumeTest.test_an_interrupt_finishes_the_round_saves_and_says_how_to_go_on")

    def test_a_run_is_not_overwritten_and_only_a_run_is_resumed(self):
        directory = self.train(self.file, "once")
        _, err = self.run_program("run", self.file, "--output", directory, expect=64)
        self.assertIn("holds a run already: resume it with --resume, or name another directory", err)
        _, err = self.run_program("run", "--resume", self.work / "nowhere", expect=66)
        self.assertIn(f"there is no run directory {self.work}/nowhere", err)

    def test_a_checkpoint_of_another_configuration_is_refused(self):
        directory = self.train(self.file, "once")
        before = {file: file.read_bytes() for file in directory.rglob("*") if file.is_file()}
        for change in ["trainer.batch_size=8", "topology={widths: [3, 9]}", "simulation.compute_seconds_per_sample=3"]:
            _, err = self.run_program("run", "--resume", directory, "--set", change, expect=64)
            self.assertIn("was written by a run of another configuration, tree or model", err)
        self.assertEqual({file: file.read_bytes() for file in directory.rglob("*") if file.is_file()}, before)


if __name__ == "__main__":
    unittest.main()
