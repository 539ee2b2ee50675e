"""tests/run against programs that die, hang, lie about their plan, skip."""
import os
import signal
import stat
import subprocess
import sys
import tempfile
import time
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "live"))

import tap		# noqa: E402
import taplines		# noqa: E402


class Parsing(unittest.TestCase):
    def counts(self, text):
        result = taplines.parse(text)
        return result.passed, result.failed, len(result.skips), len(result.faults)

    def test_plan_before_and_behind(self):
        self.assertEqual(self.counts("1..2\nok 1 - a\nok 2 - b\n"), (2, 0, 0, 0))
        self.assertEqual(self.counts("ok 1 - a\nnot ok 2 - b\n1..2\n"), (1, 1, 0, 0))

    def test_several_groups_of_cmocka(self):
        self.assertEqual(self.counts("1..1\nok 1 - a\n# ok - g\n1..2\nok 1 - b\nok 2 - c\n# ok - h\n"), (3, 0, 0, 0))

    def test_no_plan(self):
        self.assertEqual(self.counts("TAP version 13\nok 1 - a\n"), (1, 0, 0, 1))

    def test_plan_not_kept(self):
        self.assertEqual(self.counts("1..3\nok 1 - a\nok 2 - b\n"), (2, 0, 0, 1))
        self.assertEqual(self.counts("1..1\nok 1 - a\nok 2 - b\n"), (2, 0, 0, 1))
        self.assertEqual(self.counts("1..2\nok 1 - a\n1..1\nok 1 - b\n"), (2, 0, 0, 1))

    def test_nothing(self):
        self.assertEqual(self.counts(""), (0, 0, 0, 1))
        self.assertEqual(self.counts("hello\n1..0\n"), (0, 0, 0, 1))

    def test_failed_set_up_of_a_cmocka_group(self):
        self.assertEqual(self.counts("1..3\nnot ok 0 - g [  FAILED  ] GROUP SETUP\n# ok - g\n")[1], 1)

    def test_skips_need_a_reason(self):
        self.assertEqual(self.counts("1..1\nok 1 - a # SKIP no server\n"), (0, 0, 1, 0))
        self.assertEqual(taplines.parse("1..1\nok 1 - a # SKIP no server\n").skips, [("a", "no server")])
        self.assertEqual(self.counts("1..1\nok 1 - a # SKIP\n"), (0, 1, 0, 1))
        self.assertEqual(self.counts("1..1\nnot ok 1 # SKIP test_a\n"), (0, 1, 0, 1))

    def test_todo_is_no_pass(self):
        self.assertEqual(self.counts("1..1\nok 1 - a # TODO later\n"), (0, 1, 0, 0))


class Running(unittest.TestCase):
    def setUp(self):
        self.directory = tempfile.TemporaryDirectory()
        self.addCleanup(self.directory.cleanup)

    def program(self, name, script):
        path = os.path.join(self.directory.name, name)
        with open(path, "w") as out:
            out.write("#!/bin/sh\n" + script)
        os.chmod(path, stat.S_IRWXU)
        return "--program=" + path

    def run_all(self, *programs, limit=20):
        done = subprocess.run([sys.executable, HERE + "/run", "--grace=1", "--limit=%d" % limit] + list(programs),
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        lines = done.stdout.splitlines()
        return done.returncode, lines[-1], done.stdout

    def test_good_ones(self):
        status, last, text = self.run_all(self.program("a", "echo 1..1; echo ok 1 - x; echo noise"),
                                          self.program("b", "echo 1..1; echo ok 1 - x"))
        self.assertEqual((status, last), (0, "2 passed, 0 failed, 0 skipped"))
        self.assertNotIn("noise", text)

    def test_a_failed_test_shows_the_whole_output(self):
        status, last, text = self.run_all(self.program("a", "echo 1..2; echo ok 1; echo not ok 2 - y; echo noise; exit 1"))
        self.assertEqual((status, last), (1, "1 passed, 1 failed, 0 skipped"))
        self.assertIn("noise", text)

    def test_it_dies(self):
        status, last, text = self.run_all(self.program("a", "echo 1..2; echo ok 1; kill -ABRT $$"))
        self.assertEqual((status, last), (1, "1 passed, 1 failed, 0 skipped"))
        self.assertIn("ended by SIGABRT", text)
        self.assertIn("planned 2 tests, ran 1", text)

    def test_a_status_without_a_failed_test(self):
        status, last, text = self.run_all(self.program("a", "echo 1..1; echo ok 1; exit 3"))
        self.assertEqual((status, last), (1, "1 passed, 1 failed, 0 skipped"))
        self.assertIn("status 3 though no test failed", text)

    def test_it_hangs_and_ignores_the_signal(self):
        began = time.monotonic()
        status, last, text = self.run_all(
            self.program("a", "trap '' TERM; echo 1..1; echo ok 1; sleep 300; sleep 300"), limit=1)
        self.assertEqual((status, last), (1, "1 passed, 1 failed, 0 skipped"))
        self.assertIn("not done after 1 s", text)
        self.assertLess(time.monotonic() - began, 60)

    def test_it_is_not_there(self):
        status, last, text = self.run_all("--program=/nowhere/test_x",
                                          self.program("b", "echo 1..1; echo ok 1 - x"))
        self.assertEqual((status, last), (1, "1 passed, 1 failed, 0 skipped"))
        self.assertIn("does not start", text)

    def test_nothing_to_run_is_no_success(self):
        status, last, _ = self.run_all("no such name")
        self.assertEqual((status, last), (1, "0 passed, 0 failed, 0 skipped"))

    def test_skips_are_named(self):
        status, last, text = self.run_all(self.program("a", "echo 1..2; echo ok 1; echo 'ok 2 - x # SKIP no kafka'"))
        self.assertEqual((status, last), (0, "1 passed, 0 failed, 1 skipped"))
        self.assertIn("skipped  a x: no kafka", text)

    def test_it_leaves_a_process_and_a_file(self):
        status, last, text = self.run_all(
            self.program("a", "echo 1..1; echo ok 1; sleep 300 & echo $! >$TMPDIR/pid;"
                         " until grep -q sleep /proc/$!/comm; do :; done"))	# not yet, just after the fork
        self.assertEqual((status, last), (1, "1 passed, 1 failed, 0 skipped"))
        self.assertIn("left processes behind: sleep", text)
        self.assertIn("left behind in its scratch directory: pid", text)

    def test_the_runner_is_ended(self):
        mark = os.path.join(self.directory.name, "mark")
        runner = subprocess.Popen([sys.executable, HERE + "/run",
                                   self.program("a", "echo $$ >%s; sleep 300" % mark)],
                                  stdout=subprocess.DEVNULL)
        while not os.path.exists(mark) or not os.path.getsize(mark):
            time.sleep(0.02)
        runner.send_signal(signal.SIGTERM)
        self.assertEqual(runner.wait(60), 128 + signal.SIGTERM)
        with open(mark) as text:
            self.assertFalse(os.path.exists("/proc/%s" % text.read().strip()))


if __name__ == "__main__":
    tap.main()
