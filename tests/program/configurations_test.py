# SPDX-License-Identifier: Apache-2.0
"""Every file in configs/ is valid and runs; every command says what it does with an example."""
import json
import re
import struct
import unittest

from program import ROOT, ProgramTest, settings


def model_values(file):
    """All numbers of a file of F32 tensors."""
    data = file.read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    return struct.unpack(f"<{(len(data) - 8 - length) // 4}f", data[8 + length:])


def draw(samples):
    return {"data.partition": f"{{kind: draw, samples_per_client: {samples}}}"}


# What makes a long run a short one, and the accuracy that the short one must reach: "finished" alone would also be said
# of a model that never moves. That one stays at 0.1 among the ten classes of Fashion-MNIST, and at 0.25 among four. Each
# bound lies halfway between this and what the short run reaches (in the comment), so that the last bits of another
# processor do not matter, and a step in the wrong direction does.
REACHES = {
    "async-tiers.yaml": (settings(rounds=20), 0.42),  # 0.749
    "client-evaluation.yaml": (settings(rounds=4), 0.39),  # 0.682
    "fedasync.yaml": (settings(rounds=100), 0.43),  # 0.769
    "fedbuff.yaml": (settings(rounds=10), 0.41),  # 0.718
    "fednova.yaml": (settings(rounds=3), 0.44),  # 0.791
    "feddyn.yaml": (settings(rounds=8), 0.37),  # 0.655
    "fedsgd.yaml": (settings(rounds=4, **draw(30)), 0.33),  # 0.562
    # An adaptive rate finds its size in the first rounds, which may lose on the way.
    "fedyogi.yaml": (settings(rounds=10, model="{kind: logistic}"), 0.39),  # 0.676
    "logistic-1000.yaml": (settings(rounds=5), 0.36),  # 0.634
    "million.yaml": (settings(rounds=1), 0.15),  # 0.201
    "qfedavg.yaml": (settings(rounds=10), 0.32),  # 0.53
    "quorum-and-faults.yaml": (settings(rounds=3), 0.57),  # 0.905
    "mtgc.yaml": (settings(rounds=6), 0.43),  # 0.773
    "median.yaml": (settings(rounds=6), 0.43),  # 0.767
    "fp16.yaml": (settings(rounds=4), 0.35),  # 0.70 after 6
    "scaffold.yaml": (settings(rounds=8), 0.39),  # 0.680
    "torchscript.yaml": (settings(rounds=2, **draw(300)), 0.35),  # 0.604
}
# LeNet-5 needs hundreds of steps before it guesses better than by chance, more than there is time for. From its first
# steps on, the held-out loss falls in every round; that of a model that does not move stays, to the last bit.
FALLS = {
    "balanced-256.yaml": settings(rounds=2, **draw(20)),
    "fedprox.yaml": settings(rounds=3, **draw(100)),
    "hierfavg.yaml": settings(rounds=2, **draw(100)),
    "quickstart.yaml": settings(rounds=2, **draw(200)),
}


class ConfigurationsTest(ProgramTest):
    def run_shipped(self, name, arguments):
        """Validates and runs a file of configs/; returns its directory."""
        file = ROOT / "configs" / name
        out, _ = self.run_program("validate", file)
        self.assertTrue(out.startswith(f"{file}: valid\n"), out)
        directory = self.train(file, file.stem, *arguments)
        self.assertEqual(self.records(directory)[-1]["outcome"], "finished")
        self.assertIn("<svg", (directory / "report.html").read_text())
        return directory

    def committed_rounds(self, directory):
        rounds = self.records(directory, "round")
        self.assertEqual({record["outcome"] for record in rounds}, {"committed"})
        return rounds

    def test_every_configuration_is_tested_here(self):
        files = {file.name for file in (ROOT / "configs").glob("*.yaml")}
        self.assertEqual(files, set(REACHES) | set(FALLS) | {"command-trainer.yaml", "echo.yaml"})

    def test_small_models_reach_their_accuracy(self):
        for name, (arguments, least) in REACHES.items():
            with self.subTest(name):
                directory = self.run_shipped(name, arguments)
                self.committed_rounds(directory)
                self.assertGreaterEqual(self.records(directory)[-1]["accuracy"], least)

    def test_larger_models_lose_less_in_every_round(self):
        for name, arguments in FALLS.items():
            with self.subTest(name):
                losses = [record["loss"] for record in self.committed_rounds(self.run_shipped(name, arguments))]
                self.assertGreaterEqual(len(losses), 2)
                for before, after in zip(losses, losses[1:]):
                    self.assertLess(after, before, losses)

    def test_the_command_trainer_takes_the_model_where_its_clients_pull(self):
        # Five clients pull every value all the way to their numbers, 1 to 5, with equal weights: the mean is 3. The grid
        # of exact sums may round a part of a thousandth off.
        directory = self.run_shipped("command-trainer.yaml", settings(rounds=2))
        values = model_values(directory / "model.safetensors")
        self.assertGreater(len(values), 0)
        for value in values:
            self.assertAlmostEqual(value, 3.0, delta=0.001)

    def test_the_echo_trainer_leaves_the_model_and_counts_everybody(self):
        directory = self.run_shipped("echo.yaml", settings(rounds=2))
        earlier = self.train(ROOT / "configs/echo.yaml", "earlier", *settings(rounds=1))
        values = model_values(directory / "model.safetensors")
        self.assertEqual(len(values), 1000)
        self.assertEqual(values, model_values(earlier / "model.safetensors"))
        rounds = self.records(directory, "round")
        self.assertEqual([(record["version"], record["contributors"]) for record in rounds], [(1, 64), (2, 64)])

    def test_the_resolved_configuration_runs_to_the_same_model(self):
        first = self.train(ROOT / "configs/hierfavg.yaml", "first", *settings(rounds=2, **draw(30)))
        second = self.train(first / "configuration.yaml", "second")
        self.assertEqual(self.model_digest(first), self.model_digest(second))

    def test_counted_bytes_agree_with_the_plan(self):
        out, _ = self.run_program("plan", ROOT / "configs/echo.yaml", "--json")
        plan = json.loads(out)
        directory = self.train(ROOT / "configs/echo.yaml", "echo", *settings(rounds=1))
        record = self.records(directory, "round")[0]
        counted = record["bytes_down"] + record["bytes_up"]
        self.assertAlmostEqual(counted / plan["bytes_per_round"], 1.0, delta=0.05)

    def test_every_command_shows_an_example(self):
        for command in ["run", "validate", "plan", "topology", "topology generate", "topology show", "topology convert",
                        "partition", "inspect", "report", "list", "doctor", "bench", "bench merge", "version"]:
            with self.subTest(command):
                out, _ = self.run_program(*command.split(), "--help")
                self.assertIn("Example", out)
                self.assertIn("tributary " + command.split()[0], out)

    def test_log_lines_say_when_how_bad_about_whom_and_what(self):
        file = self.configuration(
            "schema: 1\nrounds: 3\ntopology: {sites: {north: 3, south: 3}}\nmodel: {kind: echo}\ntrainer: {kind: echo}\n"
            "simulation: {faults: {kill: 0.5, down_s: 1, seed: 2}}\n")
        out, err = self.run_program("run", file, "--output", self.work / "logged", "--log-level", "debug")
        plain_out, plain_err = self.run_program("run", file, "--output", self.work / "plain")

        lines = err.splitlines()
        line = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z (error|warning|info|debug) "
                          r"\[(root|aggregator \S+|client \S+)(, round \d+)?\] \S.*$")
        about_the_run = [each for each in lines if not each.startswith(("model ", "report ", "data "))]
        self.assertEqual([each for each in about_the_run if not line.match(each)], [])
        for wanted in ("the run begins", "round 3] committed: ", "the checkpoint is saved", "kill: injected", "the run has ended"):
            self.assertTrue(any(wanted in each for each in lines), f"{wanted}\n{err}")
        self.assertNotIn("[root", plain_err)
        self.assertEqual(self.model_digest(self.work / "logged"), self.model_digest(self.work / "plain"))
        self.assertIn("round", out)
        self.run_program("run", file, "--output", self.work / "wrong", "--log-level", "loud", expect=64)

    def test_an_unknown_command_gets_a_suggestion(self):
        _, err = self.run_program("rum", expect=64)
        self.assertIn("run", err)


if __name__ == "__main__":
    unittest.main()
