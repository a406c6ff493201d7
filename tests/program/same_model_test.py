# SPDX-License-Identifier: Apache-2.0
"""LeNet-5 on all of Fashion-MNIST over 256 clients: the model depends neither on the tree nor on the number of threads;
with local rounds, where it depends on the tree, still not on the threads."""
import unittest

from program import ROOT, ProgramTest, settings

SHAPES = {256: 1, 16: 2, 4: 4, 2: 8}  # branching: height, for 256 clients


class SameModelTest(ProgramTest):
    def test_any_balanced_tree_and_any_threads_give_the_same_file(self):
        digests = {}
        for branching, height in SHAPES.items():
            for threads in (1, 2):
                directory = self.train(
                    ROOT / "configs/balanced-256.yaml", f"h{height}-t{threads}",
                    *settings(threads=threads, rounds=1, **{
                        "topology": f"{{branching: {branching}, height: {height}}}",
                        "output.report": "false", "evaluation.every": 0}))
                digests[height, threads] = self.model_digest(directory)
        self.assertEqual(len(set(digests.values())), 1, digests)

    def test_local_rounds_give_the_same_file_for_any_threads(self):
        digests = set()
        for threads in (1, 2):
            directory = self.train(
                ROOT / "configs/balanced-256.yaml", f"local-{threads}",
                *settings(threads=threads, rounds=1, **{
                    "topology": "{branching: 16, height: 2}", "tiers": "{1: {local_rounds: 2}}",
                    "evaluation.every": 0}))
            digests.add(self.model_digest(directory))
        self.assertEqual(len(digests), 1)


if __name__ == "__main__":
    unittest.main()
