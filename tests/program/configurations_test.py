# SPDX-License-Identifier: Apache-2.0
"""Every file in configs/ is valid and runs; every command says what it does with an example."""
import json
import unittest

from program import ROOT, ProgramTest, settings

# What makes a long run a short one, per file.
SHORTER = {
    "quickstart.yaml": settings(rounds=1, **{"data.partition": "{kind: draw, samples_per_client: 50}"}),
    "balanced-256.yaml": settings(rounds=1, **{"data.partition": "{kind: draw, samples_per_client: 20}"}),
    "million.yaml": settings(rounds=1),
    "logistic-1000.yaml": settings(rounds=3),
}
SHORT = settings(rounds=2, **{"data.partition": "{kind: draw, samples_per_client: 30}"})


class ConfigurationsTest(ProgramTest):
    def test_every_configuration_is_valid_and_runs(self):
        files = sorted((ROOT / "configs").glob("*.yaml"))
        self.assertGreaterEqual(len(files), 10)
        for file in files:
            with self.subTest(file.name):
                out, _ = self.run_program("validate", file)
                self.assertEqual(out, f"{file}: valid\n")
                needs_data = "source: none" not in file.read_text() and "kind: command" not in file.read_text()
                shorter = SHORTER.get(file.name, SHORT if needs_data else settings(rounds=2))
                directory = self.train(file, file.stem, *shorter)
                self.assertEqual(self.records(directory)[-1]["outcome"], "finished")
                self.assertTrue((directory / "model.safetensors").exists())
                self.assertIn("<svg", (directory / "report.html").read_text())

    def test_the_resolved_configuration_runs_to_the_same_model(self):
        first = self.train(ROOT / "configs/hierfavg.yaml", "first", *SHORT)
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

    def test_an_unknown_command_gets_a_suggestion(self):
        _, err = self.run_program("rum", expect=64)
        self.assertIn("run", err)


if __name__ == "__main__":
    unittest.main()
