"""tests/alerts/scale.py: what it changes, what it must not, and that Prometheus
finds the same at the scaled times."""
import os
import shutil
import subprocess
import sys
import tempfile
import unittest

import yaml

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "live"))
sys.path.insert(0, os.path.join(HERE, "alerts"))

import scale	# noqa: E402
import tap	# noqa: E402

SAME = [	# for a factor of 15
    ("up == 0", "up == 0"),
    ("rate(a[5m]) > 100", "rate(a[20s]) > 100"),
    ("increase(a[5m]) > 100", "(increase(a[20s]) * 15) > 100"),
    ("sum by (target) (increase(a{b=\"x\"}[5m])) > 5", "sum by (target) ((increase(a{b=\"x\"}[20s]) * 15)) > 5"),
    ("delta (a[1m]) / (b offset 5m)", "(delta (a[4s]) * 15) / (b offset 20s)"),
    ("a offset -1h30m", "a offset -360s"),
    ("max_over_time(rate(a[1m])[10m:1m])", "max_over_time(rate(a[4s])[40s:4s])"),
    ("increase(increase(a[1m])[5m:])", "(increase((increase(a[4s]) * 15)[20s:]) * 15)"),
    ("max_over_time((a > 5)[5m:15s]) # [5m]", "max_over_time((a > 5)[20s:1s]) # [5m]"),
    ("rate(a{b=\"increase(x[5m])\",c='\\'[5m]',d=~`[5m]`}[100ms])",
     "rate(a{b=\"increase(x[5m])\",c='\\'[5m]',d=~`[5m]`}[7ms])"),
    ("predict_linear(a{b=\"1\"}[5m], 3600) > 5e6", "predict_linear(a{b=\"1\"}[20s], 240) > 5e6"),
    ("job:increase:increase5m > 1", "job:increase:increase5m > 1"),
]
RULES = """
groups:
  - name: g
    interval: 1m
    rules:
      - record: job:a:increase5m
        expr: sum by (job) (increase(a[5m]))
      - alert: Grew
        expr: job:a:increase5m > 100
        for: 2m
        keep_firing_for: 5m
        labels: {severity: warning}
        annotations: {summary: "over 5m"}
      - alert: Now
        expr: a > 1e9
        for: 0m
"""


def promtool(rules, factor, per_step):
    """Whether 'Grew' fires when a grows by so much in 15 s, with all times but
    this pace divided by the factor.  promtool's answer, empty when as expected."""
    with tempfile.TemporaryDirectory() as folder:
        with open(folder + "/rules.yml", "w") as out:
            out.write(rules)

        def at(text):
            return scale.duration(text, factor)
        series = [{"series": 'a{job="x"}', "values": "0+%gx80" % (per_step / factor)}]
        fires = [{"exp_labels": {"severity": "warning", "job": "x"}, "exp_annotations": {"summary": "over 5m"}}]
        case = {"interval": at("15s"), "input_series": series, "alert_rule_test": [
            {"eval_time": at("3m"), "alertname": "Grew", "exp_alerts": []},
            {"eval_time": at("12m"), "alertname": "Grew", "exp_alerts": fires if per_step * 20 > 100 else []}]}
        with open(folder + "/test.yml", "w") as out:
            yaml.safe_dump({"rule_files": ["rules.yml"], "evaluation_interval": at("15s"), "tests": [case]}, out)
        done = subprocess.run(["promtool", "test", "rules", folder + "/test.yml"], stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True)
    return done.stdout if done.returncode else ""


class Scale(unittest.TestCase):
    def test_durations(self):
        for text, factor, wanted in (("5m", 15, "20s"), ("30s", 15, "2s"), ("10s", 15, "667ms"), ("0m", 15, "0s"),
                                     ("1h30m", 10, "540s"), ("1d", 2, "43200s"), ("5m", 1, "300s")):
            self.assertEqual(scale.duration(text, factor), wanted)
        with self.assertRaises(ValueError):
            scale.duration("1ms", 15)

    def test_expressions(self):
        for text, wanted in SAME:
            with self.subTest(text):
                self.assertEqual(scale.expression(text, 15), wanted)

    def test_what_it_does_not_know_is_an_error(self):
        for text in ("a[5m]", "holt_winters(a[5m], 0.5, 0.5)", "sum(a[5m:1m])"):
            with self.subTest(text), self.assertRaises(ValueError):
                scale.expression(text, 15)

    def test_rules(self):
        group, = yaml.safe_load(scale.rules(RULES, 15))["groups"]
        self.assertEqual(group["interval"], "4s")
        record, grew, now = group["rules"]
        self.assertEqual(record["expr"], "sum by (job) ((increase(a[20s]) * 15))")
        self.assertEqual(grew, {"alert": "Grew", "expr": "job:a:increase5m > 100", "for": "8s",
                                "keep_firing_for": "20s", "labels": {"severity": "warning"},
                                "annotations": {"summary": "over 5m"}})
        self.assertEqual((now["for"], now["expr"]), ("0s", "a > 1e9"))

    def test_routing(self):
        text = "# 5m\ngroup_wait: 30s\n  repeat_interval: 1h\t# 5m\nroutes: [{group_interval: 5m}]\n"
        self.assertEqual(scale.routing(text, 15), "# 5m\ngroup_wait: 2s\n  repeat_interval: 240s\t# 5m\n"
                                                  "routes: [{group_interval: 20s}]\n")

    def test_the_same_pace_is_found_at_the_scaled_time(self):
        """Just above and below 100 in 5 minutes, per step of 15 s.  keep_firing_for
        is newer than some promtool."""
        if not shutil.which("promtool"):
            self.skipTest("promtool is not installed")
        rules = RULES.replace("        keep_firing_for: 5m\n", "").replace("interval: 1m", "interval: 15s")
        for factor in (1, 15):
            for per_step in (4.9, 5.1):
                with self.subTest(factor=factor, per_step=per_step):
                    self.assertEqual(promtool(scale.rules(rules, factor), factor, per_step), "")
        unscaled = scale.rules(rules, 15).replace(" * 15", "")
        self.assertIn("FAILED", promtool(unscaled, 15, 5.1))


if __name__ == "__main__":
    tap.main()
