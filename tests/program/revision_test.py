# SPDX-License-Identifier: Apache-2.0
"""cmake/revision.cmake: a build after a commit names that commit, and one without a change compiles nothing."""
import os
import pathlib
import shutil
import subprocess
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
CMAKE = os.environ.get("TRIBUTARY_TEST_CMAKE", "cmake")


class RevisionTest(unittest.TestCase):
    def setUp(self):
        self.checkout = pathlib.Path(tempfile.mkdtemp(prefix="tributary-test-"))
        self.addCleanup(shutil.rmtree, self.checkout, ignore_errors=True)
        self.output = self.checkout / "build" / "revision.cpp"
        self.output.parent.mkdir()

    def git(self, *arguments):
        who = ["-c", "user.name=Test", "-c", "user.email=test@localhost", "-c", "commit.gpgsign=false"]
        return subprocess.run(["git", *who, "-C", self.checkout, *arguments], check=True, text=True,
                              stdout=subprocess.PIPE).stdout.strip()

    def commit(self, text):
        (self.checkout / "file").write_text(text)
        self.git("add", "file")
        self.git("commit", "-q", "-m", text)
        return self.git("rev-parse", "--short", "HEAD")

    def written(self):
        subprocess.run([CMAKE, f"-DSOURCE={self.checkout}", f"-DOUTPUT={self.output}", f"-DGIT={shutil.which('git')}",
                        "-P", ROOT / "cmake" / "revision.cmake"], check=True)
        return self.output.read_text()

    def test_the_revision_follows_the_checkout(self):
        self.git("init", "-q")
        first = self.commit("one")
        self.assertIn(f'kRevision = "{first}"', self.written())
        second = self.commit("two")
        self.assertIn(f'kRevision = "{second}"', self.written())
        (self.checkout / "file").write_text("three")
        self.assertIn(f'kRevision = "{second}-dirty"', self.written())

    def test_a_file_that_says_so_already_is_not_written_again(self):
        self.git("init", "-q")
        self.commit("one")
        self.written()
        os.utime(self.output, (1, 1))
        self.written()
        self.assertEqual(self.output.stat().st_mtime, 1)

    def test_without_a_checkout_there_is_no_revision(self):
        self.assertIn('kRevision = ""', self.written())


if __name__ == "__main__":
    unittest.main()
