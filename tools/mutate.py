#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes small mistakes in the code, one at a time, and says which of them no test notices.

  tools/mutate.py                      every mutation of tests/mutations.json, at the last commit
  tools/mutate.py NAME ...             those whose names contain one of these words
  tools/mutate.py --list               what there is, and whether each fits the code as it stands; builds nothing
  tools/mutate.py --wrap 'nice -n 10'  puts that before every build and test command

A mutation is a file, a text that stands in it exactly once, what replaces it, and the test programs that should notice:
"core_tests" or "core_tests InnerNode*:ParentLink*" (a filter of GoogleTest), "mpi_tests@3 EndpointTest.*" on 3 ranks.
It is applied to a worktree of its own, build/mutants, which stays for the next time. Results are appended to
build/mutants.jsonl after each mutation; one that has been judged at the same commit is not run again (--again: it is).

Exits 0 if every mutation was noticed, 1 if one survived or did not fit or compile, 69 if the code itself fails a test.
"""
import argparse
import json
import os
import pathlib
import shlex
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
MUTANTS = ROOT / "build/mutants"
RESULTS = ROOT / "build/mutants.jsonl"
TEST_SECONDS = 300  # a mutation may make a test wait for ever: that is noticed too
# Cases that need 10 GB or another setting of Open MPI, as in tests/mpi/CMakeLists.txt, and one that needs more ranks.
SPECIAL_CASES = ("EndpointTest.APayloadBeyondTwoGibibytesArrives:EndpointTest.AMessageTooLarge*:EndpointTest.AChunkTooLarge*:"
                 "EndpointTest.AReceiveThatCannot*")
NOT_ON_TWO_RANKS = "EndpointTest.ASilentPeerHoldsNobodyUp"


class Workbench:
    """The worktree in which mutations are made."""

    def __init__(self, wrap):
        self.wrap = shlex.split(wrap)
        self.build = MUTANTS / "build/dev"

    def command(self, command, seconds=None, environment=None):
        """Whether it succeeded in time, and the end of what it said."""
        try:
            done = subprocess.run([*self.wrap, *command], cwd=MUTANTS, env=os.environ | (environment or {}), text=True,
                                  errors="replace", timeout=seconds, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT, start_new_session=False)
        except subprocess.TimeoutExpired:
            return False, f"no end within {seconds} s"
        return done.returncode == 0, done.stdout[-3000:]

    def prepare(self, commit):
        if not (MUTANTS / ".git").exists():
            subprocess.run(["git", "worktree", "prune"], cwd=ROOT, check=True)
            subprocess.run(["git", "worktree", "add", "--quiet", "--detach", str(MUTANTS), commit], cwd=ROOT, check=True)
        subprocess.run(["git", "checkout", "--quiet", "--force", "--detach", commit], cwd=MUTANTS, check=True)
        good, said = self.command(["cmake", "--preset", "dev", "-DTRIBUTARY_BUILD_FUZZERS=OFF"])
        if not good:
            sys.exit(f"mutate: cmake failed\n{said}")

    def compile(self, tests):
        targets = sorted({program_of(test) for test in tests})
        return self.command(["cmake", "--build", "--preset", "dev", "--target", *targets])

    def run(self, test):
        program, _, test_filter = test.partition(" ")
        program, _, ranks = program.partition("@")
        wanted = test_filter or "*"
        if ranks:
            wanted += f"-{SPECIAL_CASES}" + (f":{NOT_ON_TWO_RANKS}" if ranks == "2" else "")
        command = [str(self.build / "bin" / program), "--gtest_brief=1", f"--gtest_filter={wanted}"]
        environment = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "OMPI_ALLOW_RUN_AS_ROOT": "1",
                       "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
        if ranks:
            command = ["mpirun", "--oversubscribe", "--bind-to", "none", "-n", ranks, *command]
        return self.command(["timeout", "--kill-after=5", str(TEST_SECONDS), *command], TEST_SECONDS + 30, environment)


def program_of(test):
    return test.partition(" ")[0].partition("@")[0]


def fits(mutation, root):
    """Why it cannot be applied there; None if it can."""
    file = root / mutation["file"]
    if not file.exists():
        return "there is no such file"
    count = file.read_text().count(mutation["old"])
    return None if count == 1 else f"its text stands there {count} times, not once"


def judge(bench, mutation):
    """What became of one mutation: (verdict, by what)."""
    if why := fits(mutation, MUTANTS):
        return "does not fit", why
    file = MUTANTS / mutation["file"]
    text = file.read_text()
    try:
        file.write_text(text.replace(mutation["old"], mutation["new"]))
        good, said = bench.compile(mutation["tests"])
        if not good:
            return "does not compile", said
        for test in mutation["tests"]:
            good, said = bench.run(test)
            if not good:
                failed = [line for line in said.splitlines() if "FAILED" in line or "no end within" in line]
                return "noticed", f"{test}: {(failed or ['it ended otherwise'])[0].strip()}"
        return "survived", ""
    finally:
        file.write_text(text)


def judged_before(commit):
    if not RESULTS.exists():
        return {}
    results = [json.loads(line) for line in RESULTS.read_text().splitlines()]
    return {result["name"]: result for result in results if result["commit"] == commit}


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--again", action="store_true")
    parser.add_argument("--wrap", default="")
    options = parser.parse_args()
    mutations = json.loads((ROOT / "tests/mutations.json").read_text())
    names = [mutation["name"] for mutation in mutations]
    if len(set(names)) != len(names):
        sys.exit("mutate: two mutations have the same name")
    if options.names:
        mutations = [mutation for mutation in mutations if any(word in mutation["name"] for word in options.names)]
    if options.list:
        wrong = 0
        for mutation in mutations:
            why = fits(mutation, ROOT)
            wrong += why is not None
            print(f"{mutation['name']:<52} {mutation['file']}{': ' + why if why else ''}")
        print(f"{len(mutations)} mutations, {wrong} do not fit")
        sys.exit(1 if wrong else 0)

    commit = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, check=True, text=True, capture_output=True).stdout.strip()
    bench = Workbench(options.wrap)
    bench.prepare(commit)
    known = {} if options.again else judged_before(commit)
    todo = [mutation for mutation in mutations if mutation["name"] not in known]
    tests = sorted({test for mutation in todo for test in mutation["tests"]})
    if tests:
        good, said = bench.compile(tests)
        if not good:
            sys.exit(f"mutate: the code does not compile without a mutation\n{said}")
    for test in tests:
        good, said = bench.run(test)
        if not good:
            print(f"mutate: {test} fails without a mutation\n{said}", file=sys.stderr)
            sys.exit(69)

    counts = {}
    for mutation in mutations:
        name = mutation["name"]
        begin = time.monotonic()
        if name in known:
            verdict, by = known[name]["verdict"], known[name]["by"]
        else:
            verdict, by = judge(bench, mutation)
            with open(RESULTS, "a") as results:
                results.write(json.dumps({"commit": commit, "name": name, "verdict": verdict, "by": by}) + "\n")
        counts[verdict] = counts.get(verdict, 0) + 1
        print(f"{verdict:<16} {name:<52} {time.monotonic() - begin:5.0f} s  {by.splitlines()[-1] if by else ''}", flush=True)
    print(", ".join(f"{count} {verdict}" for verdict, count in sorted(counts.items())))
    sys.exit(0 if set(counts) <= {"noticed"} else 1)


if __name__ == "__main__":
    main()
