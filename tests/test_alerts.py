#!/usr/bin/env python3
"""The alert rules: their form, what they read, and the cases in tests/alerts."""
import glob
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "live"), os.path.join(HERE, "alerts")]

import tap	# noqa: E402
import cases	# noqa: E402
import promql	# noqa: E402
import reference	# noqa: E402
import sense	# noqa: E402

SEVERITIES = {"critical", "warning", "info"}
TEXTS = {"summary", "description"}
ADDED = {"environment"}		# a label that a scrape configuration may add, in the cases
needs_promtool = unittest.skipUnless(shutil.which("promtool"), "promtool is not installed (Debian: prometheus)")


def everything(component):
    return [rule for group in cases.load(cases.rules_path(component))["groups"] for rule in group["rules"]]


def alerts(component):
    return [rule for rule in everything(component) if "alert" in rule]


def recorded(component):
    """{name: expression} of the recording rules."""
    return {rule["record"]: rule["expr"] for rule in everything(component) if "record" in rule}


def checker(component):
    """Knows what the component records, one rule after the other."""
    found = sense.Checker()
    for name, text in recorded(component).items():
        found.recorded[name] = sense.expression_faults(text, found)[0]
    return found


def each(wanted=alerts):
    """(name, component, rule) of all."""
    return [(rule.get("alert") or rule["record"], component, rule)
            for component in cases.components() for rule in wanted(component)]


class Rules(unittest.TestCase):
    @needs_promtool
    def test_promtool_reads_them(self):
        done = subprocess.run(["promtool", "check", "rules", "--lint=all", "--lint-fatal"]
                              + [cases.rules_path(c) for c in cases.components()],
                              text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.assertEqual(done.returncode, 0, done.stdout)

    def test_names_are_unique(self):
        names = [name for name, _, _ in each()]
        self.assertEqual(sorted(names), sorted(set(names)))

    def test_labels_and_annotations(self):
        for name, component, rule in each():
            with self.subTest(name):
                self.assertEqual(set(rule["labels"]), {"severity", "component"})
                self.assertIn(rule["labels"]["severity"], SEVERITIES)
                self.assertEqual(rule["labels"]["component"], component)
                texts = {key: text for key, text in rule["annotations"].items() if key in TEXTS}
                self.assertEqual(set(texts), TEXTS)
                self.assertTrue(all(texts.values()))
                self.assertEqual({key: text for key, text in rule["annotations"].items() if key not in TEXTS},
                                 cases.addresses(name, component))

    def test_expressions_make_sense(self):
        for name, component, rule in each(everything):
            with self.subTest(name):
                self.assertEqual(sense.expression_faults(rule["expr"], checker(component))[1], [])

    def test_labels_in_the_texts_are_there(self):
        for name, component, rule in each():
            shapes, _ = sense.expression_faults(rule["expr"], checker(component))
            for text in rule["annotations"].values():
                with self.subTest(name):
                    self.assertEqual(sense.empty_fields(text, shapes), [], text)

    def test_recorded_is_what_is_used_twice(self):
        for component in cases.components():
            text = " ".join(rule["expr"] for rule in everything(component))
            for name in recorded(component):
                self.assertGreaterEqual(text.count(name), 2, name)

    def test_a_slow_scrape_is_one_by_the_shipped_timeout(self):
        rule = next(r for r in alerts("exporter") if r["alert"] == "DatatierScrapeSlow")
        in_rule = re.search(r"0\.8 \* (\d+)$", rule["expr"]).group(1)
        scrape = cases.load(os.path.join(cases.CONFIG, "prometheus", "scrape.yml"))
        for part in [scrape["global"]] + scrape["scrape_configs"]:
            self.assertEqual(part.get("scrape_timeout", in_rule + "s"), in_rule + "s")
        self.assertIn("scrape_timeout", scrape["global"])

    def test_what_is_taken_out_is_forgotten_before_it_alerts(self):
        """Its probe fails until then, and 15 s longer where the scrape is so old."""
        with open(os.path.join(cases.CONFIG, "prometheus", "scrape.yml")) as text:
            forgotten = re.search(r"(?m)^#        refresh_interval: (\w+)$", text.read()).group(1)
        rule = next(r for r in alerts("exporter") if r["alert"] == "DatatierTargetDown")
        self.assertLess(cases.seconds(forgotten) + 15, cases.seconds(rule["for"]))


class Cases(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.components = [cases.Component(name) for name in cases.components()]

    def test_every_alert_has_all_kinds(self):
        """idle and resolves are made for each from the others."""
        for component in self.components:
            rules = {rule["alert"]: rule for rule in alerts(component.name)}
            self.assertEqual(set(component.alerts), set(rules))
            for alert, rule in rules.items():
                kinds = {case.kind for case in component.cases if case.alert == alert}
                with self.subTest(alert):
                    self.assertLessEqual({"fires", "below", "idle"}, kinds)
                    if self.is_share(rule["expr"], recorded(component.name)):
                        self.assertIn("few", kinds)
                    self.assertTrue(kinds & {"few", "edge"})
                    made = [test["name"] for test in component.tests({alert})]
                    self.assertGreaterEqual(len(made), 5)
                    self.assertTrue(any(name.startswith(alert + ": resolves") for name in made))

    @staticmethod
    def is_share(expression, records):
        """Whether it reads a ratio or a quantile, where one among few events counts for much."""
        whole = " ".join([expression] + [records[name] for name in records if name in expression])
        return " / " in whole or "histogram_quantile" in whole

    def test_series_are_as_the_exporter_has_them(self):
        for component in self.components:
            for case in component.cases:
                with self.subTest("%s: %s" % (case.alert, case.name)):
                    for row in component.input(case.series, cases.SCRAPES):
                        self.check_series(promql.parse(row["series"]))

    def check_series(self, series):
        found, added = reference.metrics(series.name)
        labels = {label: value for label, _, value in series.matchers}
        free = reference.SCRAPED | ADDED | (reference.SCRAPED_ALONE if series.name == "up" else set())
        self.assertLessEqual(reference.SCRAPED, set(labels))
        self.assertIn(set(labels) - free, [set(m.labels) | added for m in found], series)
        for label, value in labels.items():
            allowed = [m.labels.get(label) for m in found]
            self.assertTrue(None in allowed or any(value in values for values in allowed), series)

    def test_no_text_has_a_hole(self):
        for component in self.components:
            for case in component.cases:
                for text in component.expectation(case)["exp_annotations"].values() if case.expect else ():
                    self.assertNotRegex(text, r"  | [.,]|^ | $|<no value>|NaN|Inf")

    @needs_promtool
    @tap.limit(150)
    def test_promtool_agrees(self):
        with tempfile.TemporaryDirectory() as directory:
            for component in self.components:
                path = os.path.join(directory, component.name + ".json")
                with open(path, "w") as out:
                    json.dump(component.promtool(), out)
                done = subprocess.run(["promtool", "test", "rules", path], text=True,
                                      stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
                with self.subTest(component.name):
                    self.assertEqual(done.returncode, 0, done.stdout)


class Sense(unittest.TestCase):
    """What is held against rules: each of these was a rule of somebody's, or could be."""

    faults = (
        ("rate(ws_errors_total[5m]) / rate(ws_messages_sent_total[5m]) > 0.05", "never match"),
        ("sum by (target) (rate(ws_errors_total[5m])) and rate(ws_messages_sent_total[5m])", "never match"),
        ('rate(messages_sent_total{status="failed"}[5m]) / rate(messages_sent_total[5m]) > 0.01', "itself"),
        ("histogram_quantile(0.99, db_connection_acquire_seconds_bucket) > 1", "without a rate"),
        ("histogram_quantile(0.99, rate(db_connection_acquire_seconds_bucket[5m])) > 10", "last bucket"),
        ("histogram_quantile(0.95, rate(message_api_latency_seconds_bucket[5m])) > 1", "only >="),
        ("histogram_quantile(0.95, sum by (target) (rate(db_query_duration_seconds_bucket[5m]))) > 1",
         "without the label le"),
        ("histogram_quantile(0.95, rate(db_query_duration_seconds[5m])) > 1", "no metric"),
        ("increase(queue_processing_lag_messages[5m]) > 1000", "of the gauge"),
        ("delta(redis_evictions_total[5m]) > 100", "of the counter"),
        ("redis_evictions_total > 100", "without a rate"),
        ("redis_evictions_total > 100 unless redis_memory_max_bytes offset 5m", "without a rate"),
        ("redis_memory_free_bytes > 1", "no metric"),
        ('redis_memory_used_bytes{database="chat"} > 1', "no label"),
        ('message_queue_depth{queue_type="pendng"} > 1', "never pendng"),
        ('increase(ws_connections_total{status=~"closed|lost"}[5m]) > 1', "never lost"),
        ("sum by (database) (redis_memory_used_bytes) > 1", "no such label"),
        ("sum without (database) (redis_memory_used_bytes) > 1", "no such label"),
        ("db_pool_used / on (database, state) db_pool_size > 1", "no such labels"),
        ("holt_winters(redis_memory_used_bytes[5m], 0.5, 0.5) > 1", "not known"),
    )
    templates = (
        ("{{ $labels.target }}", []),
        ("{{ $labels.database }}", ["database"]),
        ("{{ with $labels.database }}{{ . }} {{ $labels.user }}{{ end }}", []),
        ("{{ with $labels.database }}{{ else }}{{ $labels.user }}{{ end }}", ["user"]),
        ("{{ with $labels.database }}{{ end }}{{ $labels.user | title }}", ["user"]),
    )

    def test_faults_are_found(self):
        for text, words in self.faults:
            with self.subTest(text):
                self.assertIn(words, " ".join(sense.expression_faults(text, sense.Checker())[1]))

    def test_empty_labels_are_found(self):
        shapes = {frozenset({"target"}), frozenset({"target", "database", "user"})}
        for text, empty in self.templates:
            with self.subTest(text):
                self.assertEqual(sense.empty_fields(text, shapes), empty)

    def test_what_is_not_understood_is_an_error(self):
        for text in ("max_over_time(up[5m:1m])", "up @ 5", "a b", "sum(up", "up > bool 1"):
            with self.subTest(text), self.assertRaises(SyntaxError):
                promql.parse(text)

    def test_every_component_has_rules_and_cases(self):
        found = {os.path.basename(path)[:-4] for path in glob.glob(cases.HERE + "/*.yml")}
        self.assertEqual(found, set(cases.components()))


if __name__ == "__main__":
    tap.main()
