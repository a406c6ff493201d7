#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""How many rounds each method takes to the same accuracy where clients differ much: docs/methods.md.

    python3 benchmarks/methods.py [--program build/release/bin/tributary] [--rounds 200] [--write docs/methods.md]

LeNet-5 on Fashion-MNIST, 100 clients whose labels are drawn by Dirichlet(0.1), in 2 groups; 10 clients are asked in a round, 5 in
each group. With `--curves FILE` what was measured is kept there, and a run that was ended goes on from it. Three seeds, which decide the data of clients, the cohorts and the first model. Every method uses the same
clients' rate and batches; server rates are those that its paper or documentation gives for such a task. Exit code 0 if
what was promised holds.
"""
import argparse
import json
import pathlib
import statistics
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
GOAL = 0.80
SEEDS = (1, 2, 3)
BASE = """
schema: 1
name: methods
seed: {seed}
rounds: {rounds}
topology: {{widths: [2, 100]}}
data: {{source: fashion-mnist, partition: {{kind: label-dirichlet, alpha: 0.1, min_samples: 10}}}}
model: {{kind: lenet5}}
trainer: {{batch_size: 32, epochs: 1, optimizer: {{kind: sgd, lr: 0.2, clip_norm: 2}}}}
tiers: {{1: {{cohort: {{count: 5}}}}}}
evaluation: {{every: 1}}
checkpoint: {{every: 50}}
output: {{report: false}}
"""
METHODS = {
    "FedAvg": [],
    "FedProx, mu 0.1": ["algorithm={kind: fedprox, mu: 0.1}"],
    "FedNova": ["algorithm={kind: fednova}"],
    "SCAFFOLD": ["algorithm={kind: scaffold}"],
    "FedDyn, alpha 0.05": ["algorithm={kind: feddyn, alpha: 0.05, weighting: uniform}"],
    "FedAvgM, momentum 0.9": ["server_optimizer={kind: fedavgm, lr: 0.3}"],
    "FedAdam": ["server_optimizer={kind: fedadam, lr: 0.01}"],
    "FedYogi": ["server_optimizer={kind: fedyogi, lr: 0.01}"],
    "HierFAVG, 3 local rounds": ["tiers={1: {cohort: {count: 5}, local_rounds: 3}}"],
    "MTGC, 3 local rounds": ["algorithm={kind: mtgc}", "tiers={1: {cohort: {count: 5}, local_rounds: 3}}"],
}


def run(program, work, name, changes, seed, rounds):
    """The held-out accuracy after each round."""
    file = work / "methods.yaml"
    file.write_text(BASE.format(seed=seed, rounds=rounds))
    directory = work / f"{name}-{seed}".replace(" ", "").replace(",", "-")
    command = [program, "run", str(file), "--output", str(directory), "--quiet"]
    for change in changes:
        command += ["--set", change]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    curve = []
    for line in (directory / "records.jsonl").read_text().splitlines():
        record = json.loads(line)
        if record["event"] == "round":
            curve.append(record.get("accuracy", curve[-1] if curve else 0.0))
    return curve


def smoothed(curve, width=5):
    """Means over the last rounds: where clients differ much, single rounds jump."""
    return [statistics.fmean(curve[max(0, i - width + 1):i + 1]) for i in range(len(curve))]


def rounds_to_goal(curve):
    return next((number for number, accuracy in enumerate(smoothed(curve), 1) if accuracy >= GOAL), None)


def sparkline(curve, columns=40):
    marks = "▁▂▃▄▅▆▇█"
    step = max(1, len(curve) // columns)
    points = smoothed(curve)[step - 1::step]
    return "".join(marks[min(7, max(0, int((value - 0.1) / 0.8 * 8)))] for value in points)


def chart(curves, rounds):
    """All mean curves in one SVG."""
    width, height, left, top = 760, 360, 46, 14
    colours = ["#1f6f8b", "#b5533c", "#6a8f3c", "#8b5fa8", "#c08a1e", "#3c6ab5", "#a83c6e", "#5f8b84", "#777777", "#111111"]
    lines = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height + 24}" font-family="sans-serif" font-size="12">',
             f'<rect width="{width}" height="{height + 24}" fill="white"/>']
    x = lambda n: left + (width - left - 190) * n / rounds
    y = lambda a: top + (height - top - 30) * (0.9 - a) / 0.6
    for tenth in range(3, 10):
        lines.append(f'<line x1="{left}" x2="{x(rounds):.0f}" y1="{y(tenth / 10):.1f}" y2="{y(tenth / 10):.1f}" stroke="#dddddd"/>'
                     f'<text x="{left - 6}" y="{y(tenth / 10) + 4:.1f}" text-anchor="end">{tenth * 10} %</text>')
    for tick in range(0, rounds + 1, max(1, rounds // 6)):
        lines.append(f'<text x="{x(tick):.0f}" y="{height - 8}" text-anchor="middle">{tick}</text>')
    lines.append(f'<text x="{x(rounds / 2):.0f}" y="{height + 12}" text-anchor="middle">rounds of the root</text>')
    ends = sorted(((curve[-1], name) for name, curve in curves.items()), reverse=True)
    places = {name: top + 16 + 20 * i for i, (_, name) in enumerate(ends)}
    for colour, (name, curve) in zip(colours, curves.items()):
        points = " ".join(f"{x(n + 1):.1f},{y(max(0.3, a)):.1f}" for n, a in enumerate(curve))
        lines.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1.6"/>'
                     f'<text x="{x(rounds) + 12:.0f}" y="{places[name]}" fill="{colour}">{name}</text>')
    return "\n".join(lines + ["</svg>"]) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", default=str(ROOT / "build/release/bin/tributary"))
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--only", nargs="*", help="these methods alone")
    parser.add_argument("--curves", help="JSON file that keeps the accuracies of what was measured")
    parser.add_argument("--write", help="write the page there, and its chart beside it")
    options = parser.parse_args()
    curves = {}
    kept_file = pathlib.Path(options.curves) if options.curves else None
    known = json.loads(kept_file.read_text()) if kept_file and kept_file.exists() else {}

    def curve_of(name, changes, seed, scratch):
        key = f"{name} | {seed} | {options.rounds}"
        if key not in known:
            known[key] = run(options.program, scratch, name, changes, seed, options.rounds)
            if kept_file:
                kept_file.write_text(json.dumps(known))
        return known[key]

    with tempfile.TemporaryDirectory() as scratch:
        for name, changes in METHODS.items():
            if options.only and name not in options.only:
                continue
            curves[name] = [curve_of(name, changes, seed, pathlib.Path(scratch)) for seed in SEEDS]
            print(f"{name}: {[rounds_to_goal(curve) for curve in curves[name]]}, at the end "
                  f"{[round(smoothed(curve)[-1], 4) for curve in curves[name]]}", flush=True)
    rows, reached = [], {}
    for name, per_seed in curves.items():
        goals = [rounds_to_goal(curve) for curve in per_seed]
        reached[name] = [options.rounds + 1 if goal is None else goal for goal in goals]
        ends = [100 * smoothed(curve)[-1] for curve in per_seed]
        mean = [statistics.fmean(values) for values in zip(*per_seed)]
        rows.append(f"| {name} | {', '.join('–' if goal is None else str(goal) for goal in goals)} | "
                    f"{statistics.fmean(ends):.2f} ± {statistics.stdev(ends):.2f} | `{sparkline(mean)}` |")
    promises = []

    def promise(text, holds):
        promises.append(f"| {text} | {'yes' if holds else 'NO'} |")
        print(("holds   " if holds else "MISSED  ") + text)
        return holds

    kept = True
    if "SCAFFOLD" in reached and "FedAvg" in reached:
        kept &= promise(f"SCAFFOLD reaches {GOAL:.0%} in fewer rounds than FedAvg, with each seed",
                        all(a < b for a, b in zip(reached["SCAFFOLD"], reached["FedAvg"])))
    adaptive = [reached[name] for name in ("FedAdam", "FedYogi") if name in reached]
    if adaptive and "FedAvg" in reached:
        best = [min(goals) for goals in zip(*adaptive)]
        kept &= promise(f"FedAdam or FedYogi reaches {GOAL:.0%} in fewer rounds than FedAvg, with each seed",
                        all(a < b for a, b in zip(best, reached["FedAvg"])))
    if "MTGC, 3 local rounds" in reached and "HierFAVG, 3 local rounds" in reached:
        kept &= promise(f"MTGC reaches {GOAL:.0%} in fewer rounds than HierFAVG, both with 3 local rounds, with each seed",
                        all(a < b for a, b in zip(reached["MTGC, 3 local rounds"], reached["HierFAVG, 3 local rounds"])))
    if options.write:
        page = pathlib.Path(options.write)
        left_out = [name for name in METHODS if name not in curves]
        left = f" Not measured this time: {'; '.join(left_out)}." if left_out else ""
        page.with_suffix(".svg").write_text(chart({name: smoothed([statistics.fmean(v) for v in zip(*per_seed)])
                                                   for name, per_seed in curves.items()}, options.rounds))
        page.write_text(f"""# Methods where clients differ

Written by `python3 benchmarks/methods.py --write docs/methods.md`; nothing here is typed by hand.{left}

LeNet-5 on Fashion-MNIST, 100 clients whose labels are drawn by Dirichlet(0.1), 2 groups, 5 clients of each in a round, {options.rounds}
rounds, one epoch of batches of 32 at a rate of 0.2, gradients clipped to a norm of 2; seeds {', '.join(map(str, SEEDS))}. Accuracies are means over 5 rounds.

| Method | Rounds to {GOAL:.0%}, by seed | Accuracy at the end, % | Mean curve, 10 % to 90 % |
| --- | --- | --- | --- |
{chr(10).join(rows)}

![Held-out accuracy by rounds]({page.with_suffix('.svg').name})

| Promise | Holds |
| --- | --- |
{chr(10).join(promises)}
""")
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
