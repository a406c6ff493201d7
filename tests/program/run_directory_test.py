# SPDX-License-Identifier: Apache-2.0
"""One owner of a run directory at a time; a resume that is refused changes nothing; nothing wrong is called finished."""
import os
import re
import shlex
import signal
import time
import unittest
import unittest.mock

from program import SMALL, ProgramTest, settings

LONG = 400  # rounds: some seconds


class RunDirectoryTest(ProgramTest):
    def setUp(self):
        super().setUp()
        self.file = self.configuration(SMALL)

    def start_run(self, *arguments):
        """Starts a run and returns once it has done some rounds."""
        process = self.start(*arguments)
        for _ in range(9):  # the header and some rows
            process.stdout.readline()
        self.assertIsNone(process.poll())
        return process

    def interrupted(self, name, *arguments):
        """A run that was stopped after some rounds."""
        directory = self.work / name
        process = self.start_run("run", self.file, "--output", directory, *arguments)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
        self.assertEqual(process.returncode, 130, err)
        self.assertRegex(err, r"(?m)^stopped after round \d+ as asked; go on with: tributary run --resume ")
        self.assertNotIn("error:", err)  # what was asked for is none
        return directory

    def content(self, directory):
        return {file: file.read_bytes() for file in directory.rglob("*") if file.is_file() and file.name != "run.lock"}

    def round_numbers(self, directory):
        return [record["round"] for record in self.records(directory, "round")]

    def assert_refused(self, err, directory, owner):
        self.assertRegex(err, rf"{re.escape(str(directory))} is in use by process {owner.pid} since \S+ \S+ UTC on host \S+")


class OwnerTest(RunDirectoryTest):
    def test_the_callers_locale_does_not_change_what_tests_read(self):
        with unittest.mock.patch.dict(os.environ, {"LC_ALL": "C", "LANG": "C"}):
            out, _ = self.run_program("run", self.file, "--output", self.work / "run", *settings(rounds=1))
        self.assertIn("\u2500", out)  # a rule that is drawn, not written with hyphens

    def test_whoever_comes_second_is_told_who_is_there_and_harms_nobody(self):
        run = settings(rounds=LONG, **{"checkpoint.keep": 1})
        expected = self.model_digest(self.train(self.file, "whole", *run))
        directory = self.work / "run"
        owner = self.start_run("run", self.file, "--output", directory, *run)
        for arguments in (["run", self.file, "--output", directory], ["run", "--resume", directory],
                          ["run", "--resume", directory, "--set", "rounds=3"]):
            _, err = self.run_program(*arguments, "--quiet", expect=64)
            self.assert_refused(err, directory, owner)
            self.assertIsNone(owner.poll(), "the owner must still be at work, or nothing was tested")
        self.run_program("inspect", directory)
        self.run_program("report", directory)
        owner.communicate(timeout=120)
        self.assertEqual(owner.returncode, 0)
        self.assertEqual(self.model_digest(directory), expected)
        self.assertEqual(self.round_numbers(directory), list(range(1, LONG + 1)))

    def test_of_two_resumes_one_goes_on(self):
        run = settings(rounds=LONG, **{"checkpoint.keep": 1})
        expected = self.model_digest(self.train(self.file, "whole", *run))
        directory = self.interrupted("run", *run)
        both = [self.start("run", "--resume", directory, "--quiet") for _ in range(2)]
        ends = [(process.communicate(timeout=120)[1], process.returncode) for process in both]
        self.assertEqual(sorted(code for _, code in ends), [0, 64], ends)
        winner = both[[code for _, code in ends].index(0)]
        self.assert_refused(next(err for err, code in ends if code == 64), directory, winner)
        self.assertEqual(self.model_digest(directory), expected)
        self.assertEqual(self.round_numbers(directory), list(range(1, LONG + 1)))

    def test_death_frees_the_directory_at_once(self):
        run = settings(rounds=LONG, **{"checkpoint.keep": 1})
        expected = self.model_digest(self.train(self.file, "whole", *run))
        directory = self.work / "run"
        owner = self.start_run("run", self.file, "--output", directory, *run)
        owner.send_signal(signal.SIGKILL)
        owner.communicate()
        self.run_program("run", "--resume", directory, "--quiet")
        self.assertEqual(self.model_digest(directory), expected)

    def test_a_stopped_owner_is_still_the_owner(self):
        directory = self.work / "run"
        owner = self.start_run("run", self.file, "--output", directory, *settings(rounds=LONG))
        owner.send_signal(signal.SIGSTOP)
        _, err = self.run_program("run", "--resume", directory, "--quiet", expect=64)
        self.assert_refused(err, directory, owner)
        (directory / "run.lock").unlink()  # as people do with what looks like a stale lock
        _, err = self.run_program("run", "--resume", directory, "--quiet", expect=64)
        self.assertIn("is in use by another process", err)
        owner.send_signal(signal.SIGKILL)
        owner.communicate()

    def test_a_run_that_goes_on_is_not_called_unfinished(self):
        directory = self.work / "run"
        owner = self.start_run("run", self.file, "--output", directory, *settings(rounds=LONG))
        owner.send_signal(signal.SIGSTOP)
        out, err = self.run_program("inspect", directory)
        self.assertRegex(out, r"outcome +running")
        self.assertIn(f"still running: process {owner.pid} since", err)
        owner.send_signal(signal.SIGKILL)
        owner.communicate()
        out, err = self.run_program("inspect", directory)
        self.assertRegex(out, r"outcome +unfinished")
        self.assertIn("not ended: go on with tributary run --resume", err)

    def test_parallel_starts_of_one_name_get_a_directory_each(self):
        starts = 8
        processes = [self.start("run", self.file, "--quiet", *settings(seed=seed, rounds=3)) for seed in range(starts)]
        for process in processes:
            _, err = process.communicate(timeout=120)
            self.assertEqual(process.returncode, 0, err)
        names = sorted(directory.name for directory in (self.work / "runs").iterdir())
        self.assertEqual(names, sorted(["small"] + [f"small-{number}" for number in range(2, starts + 1)]))
        seeds = set()
        for directory in (self.work / "runs").iterdir():
            seed = self.records(directory, "run")[0]["seed"]
            seeds.add(seed)
            self.assertIn(f"\nseed: {seed}\n", (directory / "configuration.yaml").read_text())
            self.assertEqual(self.round_numbers(directory), [1, 2, 3])
        self.assertEqual(seeds, set(range(starts)))


class ResumeTest(RunDirectoryTest):
    def test_changed_data_are_named_and_nothing_is_changed(self):
        rows = "".join(f"{i % 7},{i % 5},{i % 3}\n" for i in range(300))
        data = self.work / "train.csv"
        data.write_text("x,y,label\n" + rows)
        text = re.sub(r"data: \{.*?\}\}", f"data: {{source: csv, train: {data}, partition: {{kind: iid}}}}", SMALL, flags=re.S)
        self.file = self.configuration(text)
        whole = self.train(self.file, "whole", *settings(rounds=LONG))
        directory = self.interrupted("run", *settings(rounds=LONG))
        before = self.content(directory)
        old = data.read_text()
        data.write_text(old.replace("0,0,0\n", "0,0,1\n", 1))
        _, err = self.run_program("run", "--resume", directory, "--quiet", expect=64)
        self.assertIn(f"data.train ({data}) has changed: it was ", err)
        self.assertEqual(self.content(directory), before)
        data.write_text(old)
        self.run_program("run", "--resume", directory, "--quiet")
        self.assertEqual(self.model_digest(directory), self.model_digest(whole))

    def test_changed_programs_and_models_are_named(self):
        start = self.train(self.file, "start", *settings(rounds=1)) / "model.safetensors"
        program = self.work / "train.sh"
        program.write_text("sleep 0.02; cp $1 $2\n")
        self.file = self.configuration(f"""
schema: 1
name: command
rounds: 400
topology: {{widths: [2]}}
model: {{initial: {start}}}
trainer: {{kind: command, command: [sh, {program}, "{{input}}", "{{output}}"]}}
""")
        directory = self.interrupted("run")
        for key, file in {"trainer.command[1]": program, "model.initial": start}.items():
            old = file.read_bytes()
            # A safetensors file stays one with another value, a script with another comment.
            file.write_bytes(old[:-1] + bytes([old[-1] ^ 1]) if file == start else old + b"# changed\n")
            _, err = self.run_program("run", "--resume", directory, "--quiet", expect=64)
            self.assertIn(f"{key} ({file}) has changed: ", err)
            file.write_bytes(old)

    def test_a_log_that_the_program_writes_does_not_bar_the_way(self):
        program, log = self.work / "train.sh", self.work / "training.log"
        program.write_text('echo trained >> "${3#--log=}"; sleep 0.02; cp $1 $2\n')
        log.write_text("an earlier run\n")
        self.file = self.configuration(f"""
schema: 1
name: command
rounds: 200
topology: {{widths: [2]}}
model: {{initial: {self.train(self.file, "start", *settings(rounds=1)) / "model.safetensors"}}}
trainer: {{kind: command, command: [sh, {program}, "{{input}}", "{{output}}", --log={log}]}}
""")
        directory = self.interrupted("run")
        warnings = [record["text"] for record in self.records(directory, "warning")]
        self.assertEqual([text for text in warnings if "while the run went on" in text],
                         [f"trainer.command[4] ({log}) has changed while the run went on: a resume does not compare it. That is right "
                          "for a file that the program writes; a changed program makes another model"])
        self.run_program("run", "--resume", directory, "--quiet")

    def test_a_newest_checkpoint_that_is_a_dangling_link_costs_no_records(self):
        run = settings(rounds=LONG, **{"checkpoint.keep": 2})
        expected = self.model_digest(self.train(self.file, "whole", *run))
        directory = self.interrupted("run", *run)
        newest = sorted((directory / "checkpoints").iterdir())[-1]
        newest.unlink()
        newest.symlink_to("nowhere")
        rounds = self.round_numbers(directory)
        _, err = self.run_program("run", "--resume", directory, "--quiet")
        self.assertIn(f"warning: cannot read {newest}: No such file or directory", err)
        self.assertEqual(self.records(directory, "run")[-1]["resumed_after"], rounds[-1] - 1)
        self.assertEqual(self.model_digest(directory), expected)

    def test_what_a_kill_after_the_last_record_left_out_is_made_up_for(self):
        directory = self.train(self.file, "run", "--set", "output.csv=true")
        csv = (directory / "records.csv").read_text()
        for name in ("report.html", "records.csv"):
            (directory / name).unlink()
        remains = directory / ".report.html.4711-2.tmp"
        remains.write_text("half a pa")
        records = (directory / "records.jsonl").read_bytes()
        _, err = self.run_program("run", "--resume", directory)
        self.assertIn("has finished already", err)
        self.assertEqual((directory / "records.csv").read_text(), csv)
        self.assertIn("<svg", (directory / "report.html").read_text())
        self.assertEqual((directory / "records.jsonl").read_bytes(), records)
        self.assertFalse(remains.exists())

    def test_a_finished_run_says_so_whatever_is_asked_beside_it(self):
        directory = self.train(self.file, "run")
        records = (directory / "records.jsonl").read_bytes()
        _, err = self.run_program("run", "--resume", directory, "--output", self.work / "other", expect=64)
        self.assertIn("--resume goes on in its own directory: --output does not belong to it", err)
        out, err = self.run_program("run", "--resume", directory, *settings(threads=2, **{"output.csv": "true"}))
        self.assertEqual(out, "")
        self.assertIn("has finished already", err)
        self.assertTrue((directory / "records.csv").exists())
        _, err = self.run_program("run", "--resume", directory, *settings(seed=3), expect=None)
        self.assertIn("seed is 3, it was 11", err)
        self.assertEqual((directory / "records.jsonl").read_bytes(), records)

    def test_a_model_that_was_cut_since_is_written_once_more(self):
        directory = self.train(self.file, "run")
        expected = self.model_digest(directory)
        (directory / "model.safetensors").write_bytes(b"")
        self.run_program("run", "--resume", directory, "--quiet")
        self.assertEqual(self.model_digest(directory), expected)

    def test_what_an_earlier_part_of_the_run_left_to_show_is_replaced(self):
        directory = self.train(self.file, "run", "--set", "output.csv=true")
        csv = (directory / "records.csv").read_text()
        before_the_end = (directory / "records.jsonl").stat().st_mtime_ns - 1_000_000
        for name in ("report.html", "records.csv"):  # as a run that was interrupted once, and later killed at its end
            (directory / name).write_text("two of six rounds")
            os.utime(directory / name, ns=(before_the_end, before_the_end))
        self.run_program("run", "--resume", directory)
        self.assertEqual((directory / "records.csv").read_text(), csv)
        self.assertIn("<svg", (directory / "report.html").read_text())

    def test_killed_anywhere_near_its_end_the_run_is_completed(self):
        begin = time.monotonic()
        whole = self.train(self.file, "whole", *settings(rounds=3))
        expected = self.model_digest(whole)
        for number in range(12):
            directory = self.work / f"killed-{number}"
            process = self.start("run", self.file, "--output", directory, "--quiet", *settings(rounds=3))
            end = time.monotonic() + 60
            while not (directory / "model.safetensors").exists() and process.poll() is None and time.monotonic() < end:
                time.sleep(0.0005)
            time.sleep(number * 0.0004)
            process.send_signal(signal.SIGKILL)
            process.communicate()
            self.run_program("run", "--resume", directory, "--quiet")
            self.assertEqual(self.model_digest(directory), expected)
            self.assertIn("<svg", (directory / "report.html").read_text())
            self.assertEqual(self.records(directory)[-1]["outcome"], "finished")
            self.assertEqual([path.name for path in directory.rglob(".*")], [])
        self.assertLess(time.monotonic() - begin, 100)

    def test_more_rounds_for_a_finished_run_are_refused_with_a_way_that_works(self):
        directory = self.train(self.file, "run")
        before = self.content(directory)
        _, err = self.run_program("run", "--resume", directory, "--set", "rounds=20", expect=64)
        self.assertIn("Changed: rounds is 20, it was 12.", err)
        self.assertEqual(self.content(directory), before)
        way = shlex.split(re.search(r"tributary (run \S+ --output DIR --set model.initial=\S+)", err).group(1))
        self.run_program(*[self.work / "more" if word == "DIR" else word for word in way], "--quiet", "--set", "rounds=8")
        self.assertEqual(self.round_numbers(self.work / "more"), list(range(1, 9)))

    def test_the_terminal_folds_the_rounds_before(self):
        directory = self.interrupted("run", *settings(rounds=LONG))
        done = self.round_numbers(directory)[-1]
        process = self.start_run("run", "--resume", directory)
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=60)
        self.assertNotIn("accuracy       loss", out, "the header was among the lines read before, and is printed once")
        whole = self.start("run", "--resume", directory)
        lines = [whole.stdout.readline() for _ in range(7)]
        whole.send_signal(signal.SIGINT)
        whole.communicate(timeout=60)
        again = self.records(directory, "run")[-1]["resumed_after"]
        self.assertGreater(again, done)
        self.assertRegex(lines[5], rf"^ *1–{again} .*before; resumed here$")
        self.assertRegex(lines[6], rf"^ *{again + 1}/{LONG} ")


class EndTest(RunDirectoryTest):
    def test_a_model_that_is_not_finite_is_no_result(self):
        directory = self.work / "run"
        _, err = self.run_program("run", self.file, "--output", directory, "--quiet", "--set", "server_optimizer.lr=3e38",
                                  "--set", "trainer.optimizer.lr=2", expect=65)
        self.assertRegex(err, r"the training has diverged in round 1: after the step of the server tensor \S+ has \d+ of \d+ "
                              r"values that are not finite.*Lower server_optimizer.lr \(3e\+38\)")
        self.assertFalse((directory / "model.safetensors").exists())
        self.assertFalse((directory / "checkpoints").exists())
        self.assertEqual(self.records(directory)[-1]["outcome"], "failed")

    def test_a_closed_standard_output_or_error_takes_no_file_of_the_run(self):
        directory = self.work / "no-output"
        self.run_program("run", self.file, "--output", directory, expect=74, preexec_fn=lambda: os.close(1))
        self.records(directory)
        for name, closed, code in [("no-errors", [2], 0), ("quiet", [0, 1, 2], 74)]:  # --quiet prints its results, too
            directory = self.work / name
            self.run_program("run", self.file, "--output", directory, *(["--quiet"] if 1 in closed else []),
                             expect=code, preexec_fn=lambda: [os.close(number) for number in closed])
            self.assertEqual(self.records(directory)[-1]["outcome"], "finished")

    def test_help_that_does_not_fit_is_an_error(self):
        for arguments in (["--help"], ["run", "--help"], ["version"]):
            with open("/dev/full", "w") as full:
                process = self.start(*arguments)
                process.communicate()
                self.assertEqual(process.returncode, 0)
                process = self.start(*arguments, stdout=full)
                _, err = process.communicate()
            self.assertEqual(process.returncode, 74, err)
            self.assertIn("cannot write the results", err)


if __name__ == "__main__":
    unittest.main()
