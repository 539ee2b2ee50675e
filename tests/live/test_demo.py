"""The demo, as `make demo DEMO_SECONDS=...` runs it: every family is
declared and has a value that moved, and nothing is left behind."""
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import unittest

import rig
import scratch
import tap

TIME_LIMIT = 400
DEMO = os.path.join(scratch.TOP, "tests", "demo", "demo.py")
METRICS = os.path.join(scratch.TOP, "collectors", "METRICS.md")
ROW = re.compile(r"^([a-z][a-z0-9_]+)  +(.*?)  +(.*?)  +(yes|no|-)$")


class Demo(unittest.TestCase):
    def start(self, *args):
        """Its scratch directory is made in one of ours, to see what it leaves."""
        base = tempfile.mkdtemp(dir=scratch.directory(), prefix="demo-")
        os.chmod(base, 0o711)
        process = subprocess.Popen([sys.executable, DEMO] + list(args), stdout=subprocess.PIPE,
                                   stderr=subprocess.STDOUT, text=True, cwd="/",
                                   env=dict(os.environ, TMPDIR=base), start_new_session=True)
        self.addCleanup(self.end, process)
        return process, base

    @staticmethod
    def end(process):
        if process.poll() is None:
            process.kill()
            process.wait()
        process.stdout.close()

    def check_table(self, text, moved):
        rows = {found.group(1): found.groups() for found in map(ROW.match, text.splitlines()) if found}
        self.assertEqual(len(rows), 37, text)
        with open(METRICS) as reference:
            declared = set(re.findall(r"`(\w+)`", reference.read()))
        self.assertEqual(set(rows) - declared, set())
        self.assertEqual([row for row in rows.values() if row[2] == "NO VALUE"], [])
        if moved:
            self.assertEqual([row for row in rows.values() if row[3] != "yes"], [])

    @tap.limit(150)
    def test_all_families_have_values_that_moved(self):
        process, base = self.start("--seconds", "45")
        text = process.stdout.read()
        self.assertEqual(process.wait(30), 0, text)
        self.check_table(text, moved=True)
        self.assertRegex(text, "Kafka .*(a real Apache Kafka|mock brokers)")
        self.assertEqual(os.listdir(base), [])

    @tap.limit(120)
    def test_mock_brokers_will_do(self):
        process, base = self.start("--seconds", "20", "--mock-kafka")
        text = process.stdout.read()
        self.assertEqual(process.wait(30), 0, text)
        self.check_table(text, moved=False)
        self.assertIn("mock brokers", text)
        self.assertEqual(os.listdir(base), [])

    @tap.limit(120)
    def test_ctrl_c_ends_it_with_status_0(self):
        process, base = self.start("--mock-kafka")
        for line in process.stdout:
            if line.startswith("exporter "):
                break
        time.sleep(5)
        process.send_signal(signal.SIGINT)
        text = process.stdout.read()
        self.assertEqual(process.wait(30), 0, text)
        self.assertIn("db_connections_active", text)
        rig.wait_for(lambda: not os.listdir(base), "nothing is left", 10)


if __name__ == "__main__":
    tap.main()
