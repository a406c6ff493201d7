#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Measures federations under mpirun on this machine, and says which promise holds.

    python3 benchmarks/mpi.py [--program build/release/bin/tributary] [--quick] [--write docs/benchmarks-mpi.md]

Transport: letters between two ranks beside plain MPI, in the same processes and seconds (`tributary bench transport`).
Weak scaling: clients that return what they are given, directly below the root, on 2, 4 and 8 ranks; the shape of the
measurements in the Flight paper (arXiv 2409.16495). Start-up (everything of the whole mpirun that is no round) and warm
rounds (the median without the first two) are apart. --quick measures the promised rows alone. Exit code 0 if every
promise held.
"""
import argparse
import datetime
import json
import os
import pathlib
import platform
import re
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
CLIENTS = [2, 8, 32, 128, 512, 2048]
RANKS = [2, 4, 8]
PARAMETERS = [2, 62_006, 1_250_000, 11_700_000]
# One after another in every process, and more ranks than cores.
ENVIRONMENT = {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1", "OMP_NUM_THREADS": "1",
               "OPENBLAS_NUM_THREADS": "1"}
FEDERATION = """schema: 1
name: scaling
rounds: {rounds}
topology: {{star: {clients}}}
data: {{source: none}}
model: {{kind: echo, parameters: {parameters}}}
trainer: {{kind: echo}}
evaluation: {{every: 0}}
checkpoint: {{every: 0}}
output: {{report: false}}
"""


class Bench:
    def __init__(self, program):
        self.program = program
        self.work = pathlib.Path(tempfile.mkdtemp(prefix="tributary-mpi-"))
        self.promises = []
        self.transport = None
        self.scaling = []

    def mpirun(self, ranks, arguments, timeout=900):
        command = ["mpirun", "--oversubscribe", "--bind-to", "none", "-n", ranks, self.program, *arguments]
        begin = time.monotonic()
        process = subprocess.run([str(part) for part in command], cwd=self.work, env={**os.environ, **ENVIRONMENT},
                                 capture_output=True, text=True, timeout=timeout)
        if process.returncode != 0:
            sys.exit(f"{' '.join(map(str, command))} failed:\n{process.stderr}")
        return time.monotonic() - begin, process.stdout

    def promise(self, what, measured, bound, holds):
        self.promises.append((what, measured, bound, holds))
        print(f"{'holds ' if holds else 'MISSED'}  {what}: {measured} (promised: {bound})", flush=True)

    def measure_transport(self):
        self.transport = json.loads(self.mpirun(2, ["bench", "transport", "--driver", "mpi", "--json"])[1])
        rates = [size for size in self.transport["sizes"] if size["bytes"] >= 1 << 20]
        latencies = [size for size in self.transport["sizes"] if size["bytes"] <= 1 << 16]
        worst = min(rates, key=lambda size: size["rate_share"])
        self.promise("MPI: rate of 1 MB to 256 MB beside MPI_Send/MPI_Recv, the smallest share",
                     f"{worst['rate_share']:.0%} ({worst['bytes'] >> 20} MB, {worst['message_gb_per_s']:.1f} GB/s)",
                     ">= 80 %", worst["rate_share"] >= 0.8)
        for key, what in (("letter_over_plain", "a letter of the driver"), ("message_over_plain", "an update, encoded and decoded")):
            slowest = max(latencies, key=lambda size: size[key])
            self.promise(f"MPI: latency of 8 B to 64 KB beside MPI_Send/MPI_Recv, the largest: {what}",
                         f"{slowest[key]:.2f}x ({slowest['bytes']} B)", "<= 1.5x", slowest[key] <= 1.5)
        idle = self.transport["idle_driver"]["ratio"]
        self.promise("MPI: training beside an idle driver", f"{idle:.3f}x", "<= 1.02x", idle <= 1.02)

    def measure_scaling(self, ranks, clients, parameters):
        rounds = 7 if clients * parameters < 2e9 else 4
        name = f"{ranks}-{clients}-{parameters}"
        (self.work / f"{name}.yaml").write_text(FEDERATION.format(rounds=rounds, clients=clients, parameters=parameters))
        seconds, _ = self.mpirun(ranks, ["run", f"{name}.yaml", "--output", name, "--quiet"])
        records = [json.loads(line) for line in open(self.work / name / "records.jsonl")]
        times = [record["seconds"] for record in records if record["event"] == "round"]
        assert len(times) == rounds and all(r["reported"] == clients for r in records if r["event"] == "round")
        end = records[-1]
        row = {"ranks": ranks, "clients": clients, "parameters": parameters, "start_up": seconds - sum(times),
               "first": times[0], "warm": statistics.median(times[2:]), "root_mb": end["max_rss_bytes"] / 1e6}
        self.scaling.append(row)
        print(f"        {ranks} ranks, {clients} clients x {parameters}: start-up {row['start_up']:.2f} s, "
              f"warm round {row['warm']:.4f} s, root {row['root_mb']:.0f} MB", flush=True)
        return row

    def measure_weak_scaling(self, quick):
        for ranks in RANKS:
            for parameters in PARAMETERS:
                for clients in CLIENTS:
                    promised = (clients, parameters) in ((2048, 62_006), (512, 11_700_000))
                    if quick and not promised:
                        continue
                    row = self.measure_scaling(ranks, clients, parameters)
                    if (clients, parameters) == (2048, 62_006):
                        self.promise(f"MPI: 2,048 clients x 62,006 parameters on {ranks} ranks, warm round",
                                     f"{row['warm']:.3f} s", "<= 1.5 s", row["warm"] <= 1.5)
                    if (clients, parameters) == (512, 11_700_000):
                        bound = 3 * parameters * 4 / 1e6 + 200
                        self.promise(f"MPI: 512 clients x 11.7 M parameters on {ranks} ranks, memory of the root's process",
                                     f"{row['root_mb']:.0f} MB", f"<= {bound:.0f} MB", row["root_mb"] <= bound)

    def page(self):
        with open("/proc/cpuinfo") as cpuinfo:
            model = re.search(r"model name\s*:\s*(.*)", cpuinfo.read())
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
        version = subprocess.run([self.program, "version", "-v"], capture_output=True, text=True).stdout.split("\n")
        mpi = subprocess.run(["mpirun", "--version"], capture_output=True, text=True).stdout.split("\n")[0]
        yield "# Benchmarks under mpirun\n\nWritten by `python3 benchmarks/mpi.py --write docs/benchmarks-mpi.md`; nothing here is "
        yield "typed by hand.\n\n"
        yield f"{model.group(1) if model else platform.processor()}, {os.cpu_count()} cores, {memory:.0f} GB; {version[0]}, "
        yield f"{version[1].split(',')[0]}; {mpi}; {datetime.date.today()}.\nAll ranks on this one machine, `--bind-to none`.\n\n"
        yield "| Promise | Measured | Bound | Holds |\n| --- | --- | --- | --- |\n"
        for what, measured, bound, holds in self.promises:
            yield f"| {what} | {measured} | {bound} | {'yes' if holds else 'NO'} |\n"
        if self.transport:
            yield "\n## One way between two ranks\n\nMedians; ratios are medians of neighbouring repeats. *Letter*: a payload "
            yield "through the driver's endpoint.\n*Update*: a node's whole message, its control part encoded, checked and "
            yield "decoded.\n\n| Bytes | Plain MPI, us | Letter, us | Ratio | Update, us | Ratio | Update, GB/s |\n"
            yield "| ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n"
            for size in self.transport["sizes"]:
                rate = f"{size['message_gb_per_s']:.2f}" if "message_gb_per_s" in size else ""
                yield (f"| {size['bytes']:,} | {size['plain_us']:,.2f} | {size['letter_us']:,.2f} | "
                       f"{size['letter_over_plain']:.2f} | {size['message_us']:,.2f} | {size['message_over_plain']:.2f} | {rate} |\n")
        yield "\n## Weak scaling\n\nClients directly below the root return what they are given; every update crosses, unless its "
        yield "client is on the root's rank.\nStart-up is everything of mpirun's time that is no round. A warm round is the median "
        yield "without the first two.\n\n| Parameters | Clients | Ranks | Start-up, s | First round, s | Warm round, s | Root's "
        yield "process, MB |\n| ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n"
        for row in sorted(self.scaling, key=lambda row: (row["parameters"], row["clients"], row["ranks"])):
            yield (f"| {row['parameters']:,} | {row['clients']:,} | {row['ranks']} | {row['start_up']:.2f} | {row['first']:.4f} "
                   f"| {row['warm']:.4f} | {row['root_mb']:.0f} |\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", default=ROOT / "build" / "release" / "bin" / "tributary", type=pathlib.Path)
    parser.add_argument("--quick", action="store_true", help="the promised rows alone")
    parser.add_argument("--write", type=pathlib.Path, help="write the page there")
    options = parser.parse_args()
    bench = Bench(options.program.resolve())
    bench.measure_transport()
    bench.measure_weak_scaling(options.quick)
    if options.write:
        options.write.write_text("".join(bench.page()))
    missed = sum(1 for promise in bench.promises if not promise[3])
    print(f"{len(bench.promises) - missed} held, {missed} missed")
    sys.exit(1 if missed else 0)


if __name__ == "__main__":
    main()
