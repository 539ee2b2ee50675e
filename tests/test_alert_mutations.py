#!/usr/bin/env python3
"""Every threshold of every alert is held by a case: three times as large, or a
third of it, and a case is red."""
import os
import shutil
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "live"), os.path.join(HERE, "alerts")]

import tap	# noqa: E402
import cases	# noqa: E402
import mutate	# noqa: E402

TIME_LIMIT = 600


@unittest.skipUnless(shutil.which("promtool"), "promtool is not installed (Debian: prometheus)")
class Mutations(unittest.TestCase):
    @tap.limit(120)
    def test_unchanged_copies_are_green(self):
        """As they are changed: read, written anew, the cases run on the copy."""
        with tempfile.TemporaryDirectory() as directory:
            for name in cases.components():
                component, rules = cases.Component(name), cases.load(cases.rules_path(name))
                for threshold in list(mutate.thresholds(rules))[:1]:
                    self.assertFalse(mutate.notices(component, rules, threshold, 1, directory, name))

    @tap.limit(480)
    def test_every_change_is_noticed(self):
        rows = mutate.results(cases.components())
        table = "\n".join(mutate.table(rows))
        print("# " + table.replace("\n", "\n# "))
        self.assertEqual(cases.rules("alert").keys() - {threshold.name for _, threshold, _ in rows}, set())
        self.assertTrue(all(all(noticed) for _, _, noticed in rows), table)


if __name__ == "__main__":
    tap.main()
