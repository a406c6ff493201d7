# SPDX-License-Identifier: Apache-2.0
"""A run in real time, whose result depends on which updates came first, is repeated in one process to the same bits from
what its records keep; and records that cannot be true are refused by name."""
import json
import os
import unittest

from mpirun import MpiTest
from program import SMALL, settings

# Of each kind; the test labelled `long` repeats twenty of each.
RUNS = int(os.environ.get("TRIBUTARY_REPLAY_RUNS", "1"))
TREE = {"topology": "{widths: [3, 12]}", "rounds": 20}
KINDS = {
    "fedbuff": {"topology": "{star: 12}", "rounds": 20,
                "tiers.0": "{policy: buffered, buffer: 3, concurrency: 8}"},
    "fedasync": {"topology": "{star: 12}", "rounds": 40, "tiers.0": "{policy: asynchronous, max_staleness: 6, rate_correction: 8}"},
    "mixing": {"topology": "{star: 12}", "rounds": 40, "tiers.0": "{policy: asynchronous, form: mix}"},
    "mixed": {**TREE, "tiers": "{0: {policy: asynchronous}, 1: {policy: buffered, buffer: 2, local_rounds: 2}}",
              "server_optimizer": "{kind: fedyogi}"},
    "forward": {**TREE, "tiers": "{0: {policy: buffered, buffer: 2}, 1: {policy: buffered, buffer: 2, edge_model: forward}}"},
    "synchronous-below": {**TREE, "tiers": "{0: {policy: asynchronous}, 1: {cohort: {count: 2}}}",
                          "tiers.0.codec": "{down: fp16, up: none}"},
    "scaffold": {**TREE, "algorithm.kind": "scaffold",
                 "tiers": "{0: {policy: buffered, buffer: 2}, 1: {policy: buffered, buffer: 2}}"},
    "mtgc": {**TREE, "algorithm.kind": "mtgc",
             "tiers": "{1: {over_selection: 1.5, cohort: {count: 2}, local_rounds: 2}}"},
    "evaluation": {**TREE, "tiers": "{1: {deadline_s: 30, quorum: 0.5}}",
                   "evaluation.clients": "{holdout: 0.3, fraction: 0.5}"},
    "deadline": {**TREE, "tiers": "{1: {deadline_s: 30, quorum: 0.5}}"},
    "quorum": {**TREE, "tiers": "{1: {over_selection: 1.5, cohort: {count: 2}}}"},
    "synchronous": {**TREE, "rounds": 5, "tiers": "{1: {cohort: {fraction: 0.5}}}"},
}


class ReplayTest(MpiTest):
    def digest_of_replay(self, directory):
        out, _ = self.run_program("replay", directory)
        return out.strip().rsplit(" ", 1)[1]

    def test_a_replay_ends_in_the_same_model(self):
        for name, changes in KINDS.items():
            models = set()
            for number in range(RUNS):
                with self.subTest(kind=name, run=number):
                    directory = self.train_on(4, self.configuration(SMALL), f"{name}-{number}", *settings(**changes))
                    before = {path.name: path.read_bytes() for path in directory.iterdir() if path.is_file()}
                    self.assertEqual(self.digest_of_replay(directory), self.model_digest(directory))
                    after = {path.name: path.read_bytes() for path in directory.iterdir() if path.is_file()}
                    self.assertEqual(after, before, "a replay changes nothing")
                    models.add(self.model_digest(directory))
            if name == "fedasync" and RUNS > 5:
                self.assertGreater(len(models), 1, "the order of updates was always the same: this tests nothing")

    def edited(self, directory, name, edit):
        """A copy of a run whose records `edit` has changed."""
        copy = self.work / name
        copy.mkdir()
        for path in directory.iterdir():
            if path.is_file():
                (copy / path.name).write_bytes(path.read_bytes())
        records = [json.loads(line) for line in (directory / "records.jsonl").read_text().splitlines()]
        edit(records)
        (copy / "records.jsonl").write_text("".join(json.dumps(record, separators=(",", ":")) + "\n"
                                                    for record in records))
        return copy

    def test_what_differs_is_named(self):
        directory = self.train_on(3, self.configuration(SMALL), "run", *settings(**KINDS["mixed"]))

        rounds = []

        def another_weight(records):
            another = [record for record in records if record["event"] == "round"][2]
            another["weight"] = 1.0
            rounds.append(another["round"])

        _, err = self.run_program("replay", self.edited(directory, "weight", another_weight), expect=65)
        self.assertIn(f"the replay differs: in round {rounds[0]} `weight` was 1", err)

        def another_model(records):
            records[-1]["model_sha256"] = "0" * 64

        _, err = self.run_program("replay", self.edited(directory, "model", another_model), expect=65)
        self.assertIn("the model is another: sha256 " + self.model_digest(directory), err)

        def one_update_less(records):
            del records[next(i for i, record in enumerate(records)
                             if record["event"] == "input" and record["what"] == "update" and record["node"] == 0)]

        _, err = self.run_program("replay", self.edited(directory, "less", one_update_less), expect=65)
        self.assertRegex(err, "the run cannot have been like that: input [0-9]+ of |differs: ")

        def an_update_of_nobody(records):
            update = next(record for record in records if record["event"] == "input" and record["what"] == "update")
            update["task"] = 4_000_000_000

        _, err = self.run_program("replay", self.edited(directory, "nobody", an_update_of_nobody), expect=65)
        self.assertIn("(task 4000000000 of incarnation 0), which does not happen here", err)

        def an_update_of_a_stranger(records):
            update = next(record for record in records if record["event"] == "input" and record["what"] == "update")
            update["of"] = 4_000_000_000

        _, err = self.run_program("replay", self.edited(directory, "stranger", an_update_of_a_stranger), expect=65)
        self.assertIn("an input of node 4000000000, which is not in this tree", err)

        def nonsense(records):
            next(record for record in records if record["event"] == "input")["what"] = "sing"

        _, err = self.run_program("replay", self.edited(directory, "nonsense", nonsense), expect=65)
        self.assertIn('"sing', err)

        def no_end(records):
            del records[-1]

        _, err = self.run_program("replay", self.edited(directory, "open", no_end), expect=64)
        self.assertIn("holds no finished run", err)

        def resumed(records):
            records.insert(1, records[0])

        _, err = self.run_program("replay", self.edited(directory, "resumed", resumed), expect=69)
        self.assertIn("was resumed", err)

    def test_runs_in_one_process(self):
        for name, more in (("virtual", {}), ("real", {"simulation": "{clock: real}"})):
            directory = self.train(self.configuration(SMALL), name, *settings(**KINDS["mixed"], **more))
            recorded = bool(self.records(directory, "input"))
            self.assertEqual(recorded, name == "real", "by the virtual clock all follows from the seed")
            self.assertEqual(self.digest_of_replay(directory), self.model_digest(directory))
            out, _ = self.run_program("replay", directory, "--json")
            facts = json.loads(out)
            self.assertTrue(facts["same"])
            self.assertEqual(facts["inputs"], len(self.records(directory, "input")))

    def test_another_configuration_is_refused(self):
        directory = self.train(self.configuration(SMALL), "run", *settings(rounds=2))
        text = (directory / "configuration.yaml").read_text()
        (directory / "configuration.yaml").write_text(text.replace("seed: ", "seed: 1"))
        _, err = self.run_program("replay", directory, expect=64)
        self.assertIn("is not the one that", err)
        _, err = self.run_program("replay", self.work / "nowhere", expect=66)
        self.assertIn("there is no run directory", err)


if __name__ == "__main__":
    unittest.main()
