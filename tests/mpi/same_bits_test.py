# SPDX-License-Identifier: Apache-2.0
"""The same configuration gives the same model file, bit for bit, in one process and on any number of ranks, and counts
the same bytes."""
import os
import pathlib
import time
import unittest

from mpirun import MpiTest, wait_until
from program import ROOT, SMALL, settings

RANKS = (1, 2, 5, 9)
# Of the quick start; the test labelled `long` runs all 20.
QUICKSTART_ROUNDS = int(os.environ.get("TRIBUTARY_QUICKSTART_ROUNDS", "2"))
# What does not depend on time and place.
COUNTED = ("round", "version", "outcome", "selected", "reported", "failed", "contributors", "weight", "accuracy",
           "loss", "holdout_clients", "holdout_samples", "holdout_accuracy", "holdout_loss")
BYTES = ("bytes_down", "bytes_up")
PLACED = """
schema: 1
nodes:
  - name: coordinator
    rank: 0
    children:
      - {name: near, children: [{count: 2}]}
      - {name: far, rank: 2, children: [{name: guest, rank: 1}, {name: home, count: 3}]}
"""


class SameBitsTest(MpiTest):
    def assert_same_on_all(self, file, *arguments, ranks=RANKS, timeout=120, more_bytes=0.0):
        """Trains without mpirun and on each number of ranks. `more_bytes`: the share by which bytes may differ, because
        nodes whose children train for seconds ask them how they are, by the clock on the wall. In a round that takes a
        second, on a slow machine or under a sanitizer, they do so too."""
        alone = self.train(file, "alone", *arguments)
        for number in ranks:
            with self.subTest(ranks=number):
                directory = self.train_on(number, file, f"on-{number}", *arguments, timeout=timeout)
                self.assertEqual(self.model_digest(directory), self.model_digest(alone))
                slow = {record["round"] for record in self.records(directory, "round") if record["seconds"] >= 0.9}
                for event, keys in [("round", COUNTED), ("tier", ("round", "tier", "nodes"))]:
                    records, expected = self.records(directory, event), self.records(alone, event)
                    self.assertEqual(len(records), len(expected))
                    for here, there in zip(records, expected):
                        self.assertEqual({key: here.get(key) for key in keys}, {key: there.get(key) for key in keys})
                        for key in BYTES:
                            more = abs(here[key] - there[key])
                            allowed = more_bytes * there[key] + (2000 if here["round"] in slow else 0)
                            self.assertLessEqual(more, allowed, (key, here, there))
                self.assertEqual(self.records(directory, "run")[0]["driver"], "mpi")
                self.assertEqual([where["rank"] for where in self.records(directory, "where")], list(range(number)))

    def test_a_small_tree(self):
        self.assert_same_on_all(self.configuration(SMALL))

    def test_cohorts_and_local_rounds_over_three_tiers(self):
        self.assert_same_on_all(self.configuration(SMALL), *settings(rounds=5, **{
            "topology": "{widths: [2, 5, 13]}",
            "tiers": "{0: {cohort: {count: 1}}, 1: {local_rounds: 2}, 2: {cohort: {fraction: 0.5}}}"}),
            ranks=(2, 5, 9))

    def test_methods_whose_clients_have_a_state(self):
        for kind, tier in (("scaffold", ""), ("feddyn", ""), ("mtgc", ", local_rounds: 2")):
            self.work = self.work / kind
            self.work.mkdir()
            self.assert_same_on_all(self.configuration(SMALL), *settings(rounds=6, **{
                "algorithm.kind": kind, "algorithm.weighting": "uniform", "topology": "{widths: [3, 9]}",
                "tiers": "{1: {cohort: {fraction: 0.5}%s}}" % tier}), ranks=(2, 5))

    def test_what_clients_hold_out(self):
        # With states the model that is evaluated goes on to its training with a vector beside it.
        for kind in ("fedavg", "scaffold"):
            self.work = self.work / f"holdout-{kind}"
            self.work.mkdir()
            self.assert_same_on_all(self.configuration(SMALL), *settings(rounds=5, **{
                "algorithm.kind": kind, "algorithm.weighting": "uniform", "topology": "{widths: [3, 9]}",
                "evaluation.clients": "{holdout: 0.3, every: 2, fraction: 0.5}", "tiers": "{1: {local_rounds: 2}}"}),
                ranks=(2, 5))

    def test_models_and_changes_in_half_precision_and_medians(self):
        # Two tiers of codecs: models are passed on as they came. Small models travel within letters, large ones apart.
        for name, file, more in (("small", self.configuration(SMALL), {}),
                                 ("large", ROOT / "configs/echo.yaml", {"model.parameters": 300_001})):
            self.work = self.work / name
            self.work.mkdir()
            self.assert_same_on_all(file, *settings(rounds=4, **{
                "topology": "{widths: [2, 4, 12]}", "tiers.default.codec": "{down: fp16, up: fp16}",
                "tiers.2.rule": "median", **more}), ranks=(2, 5))

    def test_a_model_of_many_pieces(self):
        self.assert_same_on_all(ROOT / "configs/echo.yaml", *settings(rounds=3, **{
            "topology": "{widths: [3, 7]}", "model.parameters": 3_000_001}), ranks=(1, 2, 5))

    def test_the_quick_start(self):
        self.assert_same_on_all(ROOT / "configs/quickstart.yaml", *settings(rounds=QUICKSTART_ROUNDS), timeout=600,
                                more_bytes=0.01, ranks=RANKS if QUICKSTART_ROUNDS > 2 else (2, 5))

    def test_more_ranks_than_nodes(self):
        file = self.configuration(SMALL)
        tree = settings(rounds=4, topology="{star: 2}")
        expected = self.model_digest(self.train(file, "alone", *tree))
        directory = self.train_on(6, file, "many", *tree)
        self.assertEqual(self.model_digest(directory), expected)
        where = self.records(directory, "where")
        self.assertEqual(len(where), 6)
        self.assertEqual(sum(record["nodes"] for record in where), 3)
        self.assertEqual(sum(record["clients_trained"] for record in where), 8)

    def test_nodes_run_on_the_ranks_that_the_topology_names(self):
        (self.work / "placed.yaml").write_text(PLACED)
        (self.work / "free.yaml").write_text(
            "\n".join(line.replace(", rank: 2", "").replace(", rank: 1", "")
                      for line in PLACED.splitlines() if line.strip() != "rank: 0"))
        file = self.configuration(SMALL)
        expected = self.model_digest(self.train(file, "free", *settings(topology="{file: free.yaml}")))
        directory = self.train_on(4, file, "placed", *settings(topology="{file: placed.yaml}"))
        self.assertEqual(self.model_digest(directory), expected)
        nodes = [record["nodes"] for record in self.records(directory, "where")]
        self.assertEqual(nodes, [4, 1, 4, 0])

        _, err = self.run_ranks(2, "run", file, "--output", self.work / "few",
                                *settings(topology="{file: placed.yaml}"), expect=78)
        self.assertIn("far", err)
        self.assertFalse((self.work / "few").exists())

    def test_ranks_and_edges_are_recorded(self):
        parameters = 400_000
        directory = self.train_on(3, ROOT / "configs/echo.yaml", "run",
                                  *settings(rounds=4, topology="{widths: [3, 9]}", **{"model.parameters": parameters}))
        edges = {edge["child"]: edge for edge in self.records(directory, "edge")}
        where = self.records(directory, "where")
        self.assertEqual(len(edges), 12)
        for edge in edges.values():
            self.assertGreaterEqual(edge["send_seconds"], 0.0)
            self.assertGreater(edge["wait_seconds"], 0.0)
            self.assertGreaterEqual(min(edge["bytes_down"], edge["bytes_up"]), 4 * 4 * parameters)
        self.assertGreater(sum(edge["send_seconds"] for edge in edges.values()), 0.0)
        # A rank's last letter holds its numbers, and so is not among them.
        sent, received = (sum(record[key] for record in where) for key in ("bytes_sent", "bytes_received"))
        self.assertAlmostEqual(sent / received, 1.0, delta=0.001)
        self.assertEqual(sum(record["clients_trained"] for record in where), 4 * 9)
        for record in where:
            self.assertGreater(record["bytes_sent"], 4 * 4 * parameters)
            self.assertGreater(record["send_seconds"], 0.0)
            self.assertFalse(record["lost"])
        self.assertIn("<svg", (directory / "report.html").read_text())


class OneVoiceTest(MpiTest):
    def test_the_first_rank_alone_prints_unless_all_are_asked_to(self):
        run = ["run", ROOT / "configs/echo.yaml", *settings(rounds=2)]
        out, err = self.run_ranks(3, *run, "--output", self.work / "one")
        self.assertEqual(out.count("outcome   finished"), 1)
        self.assertEqual(err.count("rank "), 0, err)
        out, err = self.run_ranks(3, *run, "--output", self.work / "all", "--all-ranks")
        self.assertEqual(out.count("outcome   finished"), 1)
        for rank in (1, 2):
            self.assertEqual(err.count(f"rank {rank} of 3 on "), 1, err)

    def test_commands_that_do_not_run_print_once(self):
        file = self.configuration(SMALL)
        for command in (["--version"], ["version", "--json"], ["validate", file], ["plan", file], ["--help"],
                        ["run", file, "--print-config"], ["list"]):
            with self.subTest(command[0]):
                alone, _ = self.run_program(*command)
                out, err = self.run_ranks(3, *command)
                self.assertEqual(out, alone)
                self.assertEqual(err, "")
        out, _ = self.run_ranks(3, "version", "--all-ranks")
        self.assertEqual(len(out.splitlines()), 3, out)


class NoMpiTest(MpiTest):
    """MPI, once started, has loaded its plug-ins, which are files named mca_*.so."""

    @staticmethod
    def plug_ins(process):
        return "/mca_" in pathlib.Path(f"/proc/{process}/maps").read_text()

    def test_without_mpirun_no_mpi_is_started(self):
        echo = [ROOT / "configs/echo.yaml", *settings(rounds=100_000, **{"checkpoint.every": 0})]
        job = self.start_ranks(1, "run", *echo, "--output", self.work / "mpi", "--quiet")
        self.wait_for_rounds(self.work / "mpi", 2, job)
        self.assertTrue(self.plug_ins(job.rank(0)), "this is how a started MPI is known")
        job.end()

        process = self.start("run", *echo, "--output", self.work / "alone", "--quiet")
        self.addCleanup(process.communicate)
        self.addCleanup(process.kill)
        records = self.work / "alone/records.jsonl"
        self.assertTrue(wait_until(lambda: records.exists() and '"event":"round"' in records.read_text()))
        time.sleep(0.2)
        self.assertFalse(self.plug_ins(process.pid))
        # A process that starts MPI alone starts a helper of Open MPI with it.
        children = pathlib.Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text()
        self.assertEqual(children, "")


if __name__ == "__main__":
    unittest.main()
