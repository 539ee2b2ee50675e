"""Rules for the source that no compiler knows: functions that are not used
here, headers that compile alone."""
import glob
import os
import re
import shutil
import subprocess
import sys
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(HERE)
sys.path.insert(0, os.path.join(HERE, "live"))

import tap	# noqa: E402

FOLDERS = ("exporter", "config", "collectors")
# Each is unbounded, unchecked, shared between threads, or dependent on the locale.
BANNED = re.compile(r"\b(strcpy|strcat|strncpy|strncat|stpcpy|sprintf|vsprintf|strtok|atoi|atol|atoll|atof|gets"
                    r"|f?scanf|v?sscanf|alloca|setlocale|asctime|ctime|gmtime|localtime|tmpnam|mktemp|rand"
                    r"|system|popen)\s*\(")
LINES_MAX = 500
COMMENT = re.compile(r"/\*.*?\*/", re.S)


def sources(suffix):
    return sorted(path for folder in FOLDERS for path in glob.glob("%s/%s/*.%s" % (TOP, folder, suffix)))


def without_comments(text):
    return COMMENT.sub(lambda m: "\n" * m.group().count("\n"), text)


class Source(unittest.TestCase):
    def test_banned_functions(self):
        self.assertTrue(BANNED.search("\tstrcpy (a, b);"))
        found = []
        for path in sources("[ch]"):
            with open(path) as text:
                for number, line in enumerate(without_comments(text.read()).splitlines(), 1):
                    if BANNED.search(line):
                        found.append("%s:%d: %s" % (os.path.relpath(path, TOP), number, line.strip()))
        self.assertEqual(found, [])

    @tap.limit(120)
    def test_every_header_compiles_alone(self):
        self.assertGreater(len(sources("h")), 10)
        for path in sources("h"):
            with self.subTest(os.path.relpath(path, TOP)):
                packages = subprocess.run(
                    ["pkg-config", "--cflags", "libpq", "hiredis", "rdkafka", "libcurl", "libconfig",
                     "libmicrohttpd"], stdout=subprocess.PIPE, text=True, check=True).stdout.split()
                done = subprocess.run(
                    ["cc", "-std=c11", "-D_GNU_SOURCE", "-DVERSION=\"\"", "-fsyntax-only", "-Wall", "-Wextra"]
                    + packages + ["-include", path, "-x", "c", "/dev/null"],
                    stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
                self.assertEqual((done.returncode, done.stdout), (0, ""))

    def test_no_file_is_too_long(self):
        for path in sources("[ch]"):
            with open(path) as text:
                self.assertLessEqual(len(text.readlines()), LINES_MAX, os.path.relpath(path, TOP))

    def test_an_archive_can_hold_the_core(self):
        """One object of a name: `ar` would replace the first by the second."""
        names = [os.path.basename(path) for path in sources("c") if "/collectors/" not in path]
        self.assertEqual(sorted(names), sorted(set(names)))

    def test_nothing_else_is_visible_at_the_top(self):
        if not shutil.which("git"):
            self.skipTest("git is not installed")
        done = subprocess.run(["git", "ls-tree", "--name-only", "HEAD"], cwd=TOP, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        if done.returncode != 0:
            self.skipTest("not a git checkout")
        visible = {name for name in done.stdout.split() if not name.startswith(".")}
        self.assertLessEqual(visible, {"exporter", "collectors", "config", "tests", "packaging",
                                       "Makefile", "README.md", "LICENSE"})


if __name__ == "__main__":
    tap.main()
