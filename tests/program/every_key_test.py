# SPDX-License-Identifier: Apache-2.0
"""No key is without effect: for each key of docs/configuration.md, two runs that differ in it alone differ in what they
leave behind. Where a key would have no effect it is refused; tests/core/config/configuration_conditions_test.cpp shows that."""
import concurrent.futures
import json
import re
import struct
import subprocess
import unittest

from program import PROGRAM, ROOT, ProgramTest, environment

BASE = """
schema: 1
name: base
seed: 3
rounds: 2
threads: 1
topology: {widths: [2, 4]}
data: {source: synthetic, samples: 120, shape: [6], classes: 3}
model: {kind: logistic}
trainer: {batch_size: 8, optimizer: {lr: 0.05}}
output: {report: false}
"""

ECHO = ["data={source: none}", "model=null", "trainer={kind: echo}"]
WEIGHTS = ROOT / "tests/fixtures/weights.py"


def by(program, *words):
    """Settings of a federation that is trained by this program."""
    command = ", ".join([program, *words, '"{input}"', '"{output}"'])
    return ["data=null", "model={initial: start.safetensors}", f"trainer={{kind: command, command: [{command}]}}",
            "topology={star: 3}"]


COPY = by("cp")
PYTHON = by("python3", str(WEIGHTS))
FAILING = by("sh", "-c", '"exit 1"')
SLOW = by("sh", "-c", '"sleep 1.2; cp $0 $1"')
CSV = ["data={source: csv, train: train.csv}"]
IDX = ["data={source: idx, train_images: images.idx, train_labels: labels.idx}"]
UNEVEN = ["data.partition={kind: count-dirichlet, beta: 0.5}"]
ADAM = ["trainer.optimizer.kind=adam"]
BUFFERED = ["topology={star: 5}", "rounds=12", "tiers.0.policy=buffered", "tiers.0.buffer=2",
            "data.partition={kind: count-dirichlet, beta: 0.5}", "simulation.compute_seconds_per_sample=0.01"]
TIMED = [*UNEVEN, "topology={star: 4}", "simulation.compute_seconds_per_sample=0.01"]

# key: (settings of both runs, settings of the first alone, settings of the second alone)
CASES = {
    "schema": ([], [], ["schema=2"]),
    "name": ([], [], ["name=other"]),
    "seed": ([], [], ["seed=4"]),
    "rounds": ([], [], ["rounds=3"]),
    "threads": ([], [], ["threads=2"]),
    "base_directory": (CSV, [], ["base_directory=elsewhere"]),
    "topology.star": ([], ["topology={star: 2}"], ["topology={star: 3}"]),
    "topology.widths": ([], [], ["topology={widths: [3, 4]}"]),
    "topology.branching": ([], ["topology={branching: 2, height: 2}"], ["topology={branching: 3, height: 2}"]),
    "topology.height": ([], ["topology={branching: 2, height: 2}"], ["topology={branching: 2, height: 1}"]),
    "topology.clients": ([], ["topology={branching: 2, clients: 3}"], ["topology={branching: 2, clients: 4}"]),
    "topology.file": ([], [], ["topology={file: tree.yaml}"]),
    "topology.sites": ([], ["topology={sites: {a: 1, b: 2}}"], ["topology={sites: {a: 1, b: 1}}"]),
    "topology.nodes": ([], [], ["topology={nodes: [{name: root, children: [{count: 3}]}]}"]),
    "data.source": ([], [], CSV),
    "data.directory": ([], ["data={source: fashion-mnist, directory: none-a}"],
                       ["data={source: fashion-mnist, directory: none-b}"]),
    "data.train": (CSV, [], ["data.train=test.csv"]),
    "data.test": (CSV, [], ["data.test=test.csv"]),
    "data.label_column": (CSV, [], ["data.label_column=kind"]),
    "data.id_column": (CSV, [], ["data.id_column=kind"]),
    "data.ignore_columns": (CSV, [], ["data.ignore_columns=[kind]"]),
    "data.train_images": (IDX, [], ["data.train_images=other.idx"]),
    "data.train_labels": (IDX, [], ["data.train_labels=none.idx"]),
    "data.test_images": (IDX, [], ["data.test_images=images.idx", "data.test_labels=labels.idx"]),
    "data.test_labels": ([*IDX, "data.test_images=images.idx"], ["data.test_labels=labels.idx"],
                         ["data.test_labels=none.idx"]),
    "data.samples": ([], [], ["data.samples=150"]),
    "data.shape": ([], [], ["data.shape=[7]"]),
    "data.classes": ([], [], ["data.classes=4"]),
    "data.partition.kind": ([], [], ["data.partition={kind: shards}"]),
    "data.partition.alpha": (["data.partition.kind=label-dirichlet"], ["data.partition.alpha=0.1"],
                             ["data.partition.alpha=10"]),
    "data.partition.beta": (["data.partition.kind=count-dirichlet"], ["data.partition.beta=0.1"],
                            ["data.partition.beta=10"]),
    "data.partition.min_samples": (["data.partition={kind: count-dirichlet, beta: 0.1}"], [],
                                   ["data.partition.min_samples=25"]),
    "data.partition.shards_per_client": (["data.partition.kind=shards"], [], ["data.partition.shards_per_client=1"]),
    "data.partition.samples_per_client": (["data.partition.kind=draw"], [], ["data.partition.samples_per_client=9"]),
    "model.kind": ([], [], ["model.kind=mlp"]),
    "model.torchscript": ([], [], ["model={torchscript: none.pt}"]),
    "model.parameters": (ECHO, [], ["model.parameters=7"]),
    "model.hidden": (["model={kind: mlp, hidden: [4]}"], [], ["model.hidden=[5]"]),
    "model.width": (["model={kind: cnn, width: 2}", "data.shape=[1, 28, 28]"], [], ["model.width=3"]),
    "model.initial": ([], [], ["model.initial=none.safetensors"]),
    "trainer.kind": (["model=null", "trainer=null"], [], ["trainer={kind: echo}"]),
    "trainer.command": ([], COPY, PYTHON[:2] + [PYTHON[2], "topology={star: 3}", "algorithm.weighting=uniform"]),
    "trainer.timeout_s": ([*SLOW, "rounds=1"], [], ["trainer.timeout_s=1"]),
    "trainer.library": (["data={source: none}", "model=null"], ["trainer={kind: library, library: a.so}"],
                        ["trainer={kind: library, library: b.so}"]),
    "trainer.options": ([*PYTHON, "algorithm.weighting=uniform"], [], ["trainer.options={metrics: yes}"]),
    "trainer.weight_bound": (PYTHON, [], ["trainer.weight_bound=10"]),
    "trainer.batch_size": ([], [], ["trainer.batch_size=4"]),
    "trainer.epochs": ([], [], ["trainer.epochs=2"]),
    "trainer.steps": ([], [], ["trainer.steps=1"]),
    "trainer.device": ([], [], ["trainer.device=cuda"]),
    "trainer.optimizer.kind": ([], [], ADAM),
    "trainer.optimizer.lr": ([], [], ["trainer.optimizer.lr=0.06"]),
    "trainer.optimizer.momentum": ([], [], ["trainer.optimizer.momentum=0.9"]),
    "trainer.optimizer.nesterov": (["trainer.optimizer.momentum=0.9"], [], ["trainer.optimizer.nesterov=true"]),
    "trainer.optimizer.beta1": (ADAM, [], ["trainer.optimizer.beta1=0.5"]),
    "trainer.optimizer.beta2": (ADAM, [], ["trainer.optimizer.beta2=0.5"]),
    "trainer.optimizer.epsilon": (ADAM, [], ["trainer.optimizer.epsilon=0.1"]),
    "trainer.optimizer.weight_decay": ([], [], ["trainer.optimizer.weight_decay=0.1"]),
    "trainer.optimizer.clip_norm": ([], [], ["trainer.optimizer.clip_norm=0.01"]),
    "trainer.optimizer.schedule.kind": ([], [], ["trainer.optimizer.schedule.kind=exponential"]),
    "trainer.optimizer.schedule.gamma": (["trainer.optimizer.schedule.kind=exponential"], [],
                                         ["trainer.optimizer.schedule.gamma=0.5"]),
    "trainer.optimizer.schedule.step_rounds": (["trainer.optimizer.schedule.kind=step"], [],
                                               ["trainer.optimizer.schedule.step_rounds=1"]),
    "trainer.optimizer.schedule.final_lr": (["trainer.optimizer.schedule.kind=cosine"], [],
                                            ["trainer.optimizer.schedule.final_lr=0.04"]),
    "algorithm.kind": (["trainer.epochs=2"], [], ["algorithm.kind=fedprox"]),
    "algorithm.mu": (["trainer.epochs=2", "algorithm.kind=fedprox"], [], ["algorithm.mu=0.5"]),
    "algorithm.fairness": (["algorithm.kind=qfedavg"], [], ["algorithm.fairness=2"]),
    "algorithm.alpha": (["algorithm.kind=feddyn", "algorithm.weighting=uniform"], [], ["algorithm.alpha=0.5"]),
    "algorithm.weighting": (UNEVEN, [], ["algorithm.weighting=uniform"]),
    "algorithm.weight_cap": ([*UNEVEN, "algorithm.weighting=capped"], ["algorithm.weight_cap=5"],
                             ["algorithm.weight_cap=20"]),
    "algorithm.precision": ([], ["algorithm.precision=compact"], ["algorithm.precision=full"]),
    "server_optimizer.kind": ([], [], ["server_optimizer.kind=fedadam"]),
    "server_optimizer.lr": ([], [], ["server_optimizer.lr=0.5"]),
    "server_optimizer.momentum": (["server_optimizer.kind=fedavgm"], [], ["server_optimizer.momentum=0.5"]),
    "server_optimizer.beta1": (["server_optimizer.kind=fedadagrad"], [], ["server_optimizer.beta1=0.5"]),
    "server_optimizer.beta2": (["server_optimizer.kind=fedadam"], [], ["server_optimizer.beta2=0.5"]),
    "server_optimizer.adaptivity": (["server_optimizer.kind=fedyogi"], [], ["server_optimizer.adaptivity=0.1"]),
    "tiers.*.policy": ([], [], ["tiers.default.policy=none"]),
    "tiers.*.cohort.fraction": ([], [], ["tiers.1.cohort.fraction=0.5"]),
    "tiers.*.cohort.count": ([], [], ["tiers.1.cohort.count=1"]),
    "tiers.*.over_selection": (["topology={star: 4}", "tiers.0.cohort.count=2"], [], ["tiers.0.over_selection=1.5"]),
    "tiers.*.quorum": ([*TIMED, "tiers.0.deadline_s=0.3"], [], ["tiers.0.quorum=0.5"]),
    "tiers.*.deadline_s": ([*TIMED, "tiers.0.quorum=0.5"], ["tiers.0.deadline_s=0.3"], ["tiers.0.deadline_s=300"]),
    "tiers.*.buffer": ([*BUFFERED], [], ["tiers.0.buffer=3"]),
    "tiers.*.concurrency": ([*BUFFERED], [], ["tiers.0.concurrency=2"]),
    "tiers.*.edge_model": (["topology={widths: [2, 8]}", "tiers.1.policy=buffered", "tiers.1.buffer=2"], [],
                          ["tiers.1.edge_model=forward"]),
    "tiers.*.form": (["topology={star: 4}", "tiers.0.policy=asynchronous"], [], ["tiers.0.form=mix"]),
    "tiers.*.mixing": (["topology={star: 4}", "tiers.0.policy=asynchronous", "tiers.0.form=mix"], [],
                       ["tiers.0.mixing=0.3"]),
    "tiers.*.discount": ([*BUFFERED], [], ["tiers.0.discount=constant"]),
    "tiers.*.discount_a": ([*BUFFERED, "tiers.0.discount=polynomial"], [], ["tiers.0.discount_a=2"]),
    "tiers.*.discount_b": ([*BUFFERED, "tiers.0.discount=hinge"], ["tiers.0.discount_b=0"], ["tiers.0.discount_b=1"]),
    "tiers.*.adoption": (["topology={widths: [2, 6]}", "rounds=12", "simulation.compute_seconds_per_sample=0.01",
                          "data.partition={kind: count-dirichlet, beta: 0.5}",
                          "tiers={0: {policy: asynchronous}, 1: {policy: asynchronous, local_rounds: 2}}"], [],
                         ["tiers.1.adoption=abort_children"]),
    "tiers.*.rate_correction": ([*BUFFERED], [], ["tiers.0.rate_correction=8"]),
    "tiers.*.max_staleness": ([*BUFFERED], [], ["tiers.0.max_staleness=0"]),
    "tiers.*.rule": ([], [], ["tiers.1.rule=median"]),
    "tiers.*.codec.down": ([], [], ["tiers.1.codec.down=fp16"]),
    "tiers.*.codec.up": ([], [], ["tiers.1.codec.up=fp16"]),
    "tiers.*.local_rounds": ([], [], ["tiers.1.local_rounds=2"]),
    "tiers.*.retries": ([*FAILING, "rounds=1"], ["tiers.0.retries=0"], ["tiers.0.retries=1"]),
    "simulation.devices.drop_out": ([*TIMED], [], ["simulation.devices.drop_out=0.5"]),
    "simulation.devices.available.share": ([*TIMED], [], ["simulation.devices.available.share=0.2"]),
    "simulation.devices.available.times_a_day": ([*TIMED, "simulation.devices.available.share=0.2"], [],
                                              ["simulation.devices.available.times_a_day=8640"]),
    "simulation.devices.slowness": ([*TIMED], [], ["simulation.devices.slowness=uniform"]),
    "simulation.devices.trace": ([*TIMED, "simulation.devices.slowness=trace"], ["simulation.devices.trace=slow.csv"],
                                 ["simulation.devices.trace=slower.csv"]),
    "simulation.devices.slowest": ([*TIMED, "simulation.devices.slowness=uniform"], [], ["simulation.devices.slowest=50"]),
    "simulation.devices.sigma": ([*TIMED, "simulation.devices.slowness=log-normal"], [], ["simulation.devices.sigma=2"]),
    "simulation.devices.alpha": ([*TIMED, "simulation.devices.slowness=pareto"], [], ["simulation.devices.alpha=1"]),
    "evaluation.every": ([], [], ["evaluation.every=2"]),
    "evaluation.at_clients": ([], [], ["evaluation.at_clients=true"]),
    "evaluation.stop_at_accuracy": ([], [], ["evaluation.stop_at_accuracy=0.01"]),
    "evaluation.clients.holdout": ([], [], ["evaluation.clients.holdout=0.2"]),
    "evaluation.clients.every": (["evaluation.clients.holdout=0.2"], [], ["evaluation.clients.every=2"]),
    "evaluation.clients.fraction": (["evaluation.clients.holdout=0.2"], [], ["evaluation.clients.fraction=0.5"]),
    "checkpoint.every": ([], [], ["checkpoint.every=0"]),
    "checkpoint.keep": ([], [], ["checkpoint.keep=1"]),
    "simulation.clock": ([], [], ["simulation.clock=real"]),
    "simulation.compute_seconds_per_sample": ([], [], ["simulation.compute_seconds_per_sample=0.01"]),
    "simulation.faults.drop": ([], [], ["simulation.faults.drop=0.3"]),
    # A repeated message comes about a second later: the run must last so long.
    "simulation.faults.duplicate": (["simulation.compute_seconds_per_sample=0.1"], [], ["simulation.faults.duplicate=0.5"]),
    "simulation.faults.delay": ([], [], ["simulation.faults.delay=0.5"]),
    "simulation.faults.delay_s": (["simulation.faults.delay=0.5"], [], ["simulation.faults.delay_s=3"]),
    "simulation.faults.kill": ([], [], ["simulation.faults.kill=0.5"]),
    "simulation.faults.down_s": (["simulation.faults.kill=0.5"], [], ["simulation.faults.down_s=50"]),
    "simulation.faults.seed": (["simulation.faults.delay=0.5"], [], ["simulation.faults.seed=9"]),
    # In one process it is warned about; what it does under mpirun stands in tests/mpi.
    "mpi.lost_after_s": ([], [], ["mpi.lost_after_s=7"]),
    "output.directory": ([], [], ["output.directory=there"]),
    "output.csv": ([], [], ["output.csv=true"]),
    "output.report": ([], [], ["output.report=true"]),
}

# Keys that change speed or memory alone, as docs/configuration.md says of them.
SPEED_ALONE = {"evaluation.batch_size"}

# What differs from run to run, or merely repeats the configuration.
UNSTEADY = {"seconds", "train_seconds", "merge_seconds", "evaluate_seconds", "checkpoint_seconds", "send_seconds",
            "wait_seconds", "started", "host", "version", "configuration_digest", "max_rss_bytes", "seed", "rounds"}


class EveryKeyTest(ProgramTest):
    def setUp(self):
        super().setUp()
        self.configuration(BASE)
        (self.work / "elsewhere").mkdir()
        (self.work / "tree.yaml").write_text("nodes: [{name: root, children: [{count: 3}]}]\n")
        rows = [f"{i % 7},{(i * 5) % 11},{i % 2},{i % 3}" for i in range(60)]
        (self.work / "slow.csv").write_text("slowness\n1\n4\n")
        (self.work / "slower.csv").write_text("slowness\n2\n9\n")
        (self.work / "train.csv").write_text("a,b,kind,label\n" + "\n".join(rows) + "\n")
        (self.work / "test.csv").write_text("a,b,kind,label\n" + "\n".join(rows[:30]) + "\n")
        header = json.dumps({"w": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}).encode()
        (self.work / "start.safetensors").write_bytes(struct.pack("<Q", len(header)) + header + bytes(8))
        for name, scale in [("images.idx", 3), ("other.idx", 5)]:
            pixels = bytes(i * scale % 256 for i in range(60 * 16))
            (self.work / name).write_bytes(struct.pack(">IIII", 0x803, 60, 4, 4) + pixels)
        (self.work / "labels.idx").write_bytes(struct.pack(">II", 0x801, 60) + bytes(i % 3 for i in range(60)))

    def observe(self, number, settings):
        """Everything that two runs can be told apart by, except time."""
        start = self.work / f"run-{number}"
        start.mkdir()
        arguments = [part for setting in settings for part in ("--set", setting)]
        done = subprocess.run([PROGRAM, "--quiet", "run", self.work / "federation.yaml", *arguments], cwd=start,
                              env=environment(), text=True, stdin=subprocess.DEVNULL, capture_output=True, timeout=240)
        found = {"exit": done.returncode, "said": done.stderr}
        found["files"] = sorted(str(file.relative_to(start)) for file in start.rglob("*"))
        for records in start.rglob("records.jsonl"):
            directory = records.parent
            found["records"] = [{key: value for key, value in record.items() if key not in UNSTEADY}
                                for record in self.records(directory)]
            if (directory / "model.safetensors").exists():
                found["model"] = self.model_digest(directory)
        return found

    def test_every_key_of_the_reference_has_a_case(self):
        reference = (ROOT / "docs/configuration.md").read_text()
        rows = re.findall(r"^\| `([^`]+)` \| ([^|]+) \|", reference, re.MULTILINE)
        keys = {key for key, kind in rows if kind.strip() != "section"}
        self.assertEqual(keys, set(CASES) | SPEED_ALONE)

    def test_two_runs_of_the_same_differ_in_nothing(self):
        self.assertEqual(self.observe("one", []), self.observe("other", []))

    def test_every_key_changes_what_a_run_leaves(self):
        runs = {}
        for common, first, second in CASES.values():
            for settings in (tuple(common + first), tuple(common + second)):
                runs.setdefault(settings, len(runs))
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            found = dict(zip(runs, pool.map(lambda run: self.observe(run[1], run[0]), runs.items())))
        for key, (common, first, second) in CASES.items():
            with self.subTest(key):
                one, other = found[tuple(common + first)], found[tuple(common + second)]
                self.assertNotIn("belongs to", one["said"] + other["said"])
                self.assertNotEqual(one, other)
                # A mistake in this table is not a difference that counts.
                self.assertTrue(one["exit"] == 0 or other["exit"] == 0 or one["said"] != other["said"] or
                                ("records" in one and "records" in other))


if __name__ == "__main__":
    unittest.main()
