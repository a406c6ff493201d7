# SPDX-License-Identifier: Apache-2.0
"""Ten synchronous federations whose models have not changed since part 3, to the last bit.

A change of one of these digests is a change of what people get. libtorch and OpenBLAS are told which instructions to use,
so that another processor gives the same: any x86-64 one with AVX2.

  tests/program/reference_models_test.py --write     prints the digests that this program gives
"""
import os
import sys
import unittest

from program import ProgramTest, settings

SAME_ON_ANY_PROCESSOR = {"ATEN_CPU_CAPABILITY": "default", "OPENBLAS_CORETYPE": "Haswell", "DNNL_MAX_CPU_ISA": "AVX2"}

IMAGES = "{source: synthetic, samples: 1200, shape: [1, 16, 16], classes: 4, partition: {kind: label-dirichlet, alpha: 0.5, min_samples: 4}}"
ROWS = "{source: synthetic, samples: 2400, shape: [16], classes: 4, partition: {kind: label-dirichlet, alpha: 0.5, min_samples: 4}}"


def federation(topology, model="{kind: logistic}", data=ROWS, **keys):
    base = {"topology": topology, "model": model, "data": data, "trainer": "{optimizer: {kind: sgd, lr: 0.05}}", "rounds": 5,
            "seed": 7, "threads": 2, "output.report": "false"}
    return base | {key.replace("__", "."): value for key, value in keys.items()}


FEDERATIONS = {
    "star": federation("{star: 12}"),
    "three tiers": federation("{widths: [3, 24]}", trainer="{epochs: 2, optimizer: {kind: sgd, lr: 0.05, momentum: 0.9}}"),
    "local rounds": federation("{widths: [3, 24]}", tiers="{1: {local_rounds: 3}}"),
    "cohort": federation("{widths: [4, 40]}", tiers="{0: {cohort: {count: 3}}, 1: {cohort: {fraction: 0.5}}}"),
    "quorum with deadline": federation(
        "{widths: [3, 24]}", tiers="{0: {quorum: 0.6, deadline_s: 60}, 1: {quorum: 0.5, deadline_s: 30}}",
        simulation="{compute_seconds_per_sample: 0.4, faults: {drop: 0.05, delay: 0.1, seed: 3}}"),
    "over-selection": federation("{star: 30}", tiers="{default: {cohort: {count: 8}, over_selection: 1.5, deadline_s: 600}}",
                                 simulation="{compute_seconds_per_sample: 0.01}"),
    "FedProx": federation("{widths: [3, 24]}", model="{kind: mlp, hidden: [24]}", algorithm="{kind: fedprox, mu: 0.1}"),
    "batch norm": federation("{widths: [2, 6]}", model="{kind: resnet18}", data=IMAGES, rounds=2,
                             trainer="{steps: 2, optimizer: {kind: sgd, lr: 0.01}}"),
    "convolutions and Adam": federation("{widths: [2, 8]}", model="{kind: lenet5}", data=IMAGES, rounds=3,
                                        trainer="{optimizer: {kind: adamw, lr: 0.001, weight_decay: 0.01, clip_norm: 1}}"),
    "FedSGD, four tiers, capped weights": federation(
        "{branching: 3, height: 3}", rounds=8, algorithm="{kind: fedsgd, weighting: capped, weight_cap: 50}",
        server_optimizer="{lr: 0.5}"),
}

DIGESTS = {
    "star": "a6f84d424a10b1f103c35397cb0f24f231de1e094b778a23c78df391eceee0c3",
    "three tiers": "cdeb98727fdb7fc4c8df52137ac841190fcc4691d2177cf90a014edc21a8c443",
    "local rounds": "7e74ae3494720e0cc89fcb1ddd3d45986263a0ebf346e201affc3b706769ddee",
    "cohort": "fba47e8d0625229f7239ed8747caa7ec052a80348686e60d63c7cb9f57c87a2a",
    "quorum with deadline": "8a9f9b5ae477d0036c0756988c16c04e914424c07a90571ddb637d19f59d9310",
    "over-selection": "7244d3a5025537e3cc63e0327ac8800696914666e100f3de6ed5bed65f2342bc",
    "FedProx": "f85a4156117dd5f186b7350e5871ca97eb0f58532e60da1534a007d6d105f050",
    "batch norm": "67b6ba4674085f92f9a951cc35ed09701b61321a5a42dbb81e76e78d59b6e05f",
    "convolutions and Adam": "73d9965e4f247356898af28f665893da7c0d2af6be8df7cdecd54bf624337b50",
    "FedSGD, four tiers, capped weights": "a45c909dd3145d679e20fc548b8baa7af9b2b0eabca215c4a2cc36a94dfb21e2",
}


class ReferenceModelsTest(ProgramTest):
    def train_one(self, name):
        keys = dict(FEDERATIONS[name])
        file = self.work / "federation.yaml"
        sections = {key: keys.pop(key) for key in ("topology", "model", "data", "trainer")}
        file.write_text("schema: 1\n" + "".join(f"{key}: {value}\n" for key, value in sections.items()))
        directory = self.train(file, name.replace(" ", "-").replace(",", ""), *settings(**keys))
        return self.model_digest(directory)

    def test_ten_models_are_what_they_were(self):
        self.assertGreaterEqual(len(FEDERATIONS), 10)
        for name in FEDERATIONS:
            with self.subTest(name):
                self.assertEqual(self.train_one(name), DIGESTS[name])

    def write(self):
        for name in FEDERATIONS:
            print(f'    "{name}": "{self.train_one(name)}",')


os.environ.update(SAME_ON_ANY_PROCESSOR)
if __name__ == "__main__":
    if "--write" in sys.argv:
        case = ReferenceModelsTest("write")
        unittest.TextTestRunner(verbosity=0).run(case)
    else:
        unittest.main()
