"""The metric contract is what the tables declare; the demo shows that all of it
has values (live/test_demo.py).  DATATIER_CONTRACT names a document whose table
must say the same."""
import os
import sys
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "live"), os.path.join(HERE, "alerts")]

import contract		# noqa: E402
import reference	# noqa: E402
import tap		# noqa: E402


class Contract(unittest.TestCase):
    def test_it_has_37_metrics(self):
        self.assertEqual(len(contract.read()), 37)

    def test_the_tables_declare_it(self):
        for name, row in contract.read().items():
            for metric in reference.DECLARED.get(name, [None]):
                with self.subTest(name):
                    self.assertIsNotNone(metric, "no table declares it")
                    self.assertEqual(metric.type, row.type)
                    self.assertEqual(set(metric.labels), set(row.labels) | {"target"})
                    for label, values in row.labels.items():
                        if values:	# the tables' closed sets all have "other"
                            self.assertEqual(metric.labels[label], values | {"other"})


class Document(unittest.TestCase):
    def test_it_agrees(self):
        document, ours = contract.read(os.environ["DATATIER_CONTRACT"]), contract.read()
        self.assertEqual([(name, row.type, row.labels) for name, row in document.items()],
                         [(name, row.type, row.labels) for name, row in ours.items()])


if "DATATIER_CONTRACT" not in os.environ:
    del Document

if __name__ == "__main__":
    tap.main()
