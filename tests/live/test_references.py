"""The references are printed by the program: what is checked in is what it
prints, and the recorded pages pass Prometheus' own checker."""
import os
import shutil
import subprocess
import unittest

import rig
import scratch
import tap

REFERENCES = {"--metrics": "collectors/METRICS.md", "--options": "config/OPTIONS.md"}


def printed(flag):
    return subprocess.run([rig.BINARY, flag], stdout=subprocess.PIPE, check=True, text=True).stdout


class References(unittest.TestCase):
    def test_checked_in_is_what_is_printed(self):
        for flag, path in REFERENCES.items():
            with self.subTest(path), open(os.path.join(scratch.TOP, path)) as checked_in:
                self.assertEqual(checked_in.read(), printed(flag), "run `make references`")

    def test_every_collector_is_in_both(self):
        for flag in REFERENCES:
            text = printed(flag)
            for name in ("postgresql", "redis", "kafka", "application"):
                self.assertRegex(text, r"(?m)^#+ `?%s`?$" % name)

    def test_recorded_pages_pass_promtool(self):
        if shutil.which("promtool") is None:
            self.skipTest("promtool is not installed")
        with open(os.path.join(scratch.TOP, "tests/golden/expose/shop.txt")) as page:
            done = subprocess.run(["promtool", "check", "metrics"], stdin=page,
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.assertEqual((done.returncode, done.stdout), (0, ""))


if __name__ == "__main__":
    tap.main()
