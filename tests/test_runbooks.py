"""The runbooks: one per alert, with all their parts, and true to the rules, to
the exporter's reference and to each other.  What is in their blocks is executed
by live/test_runbooks_commands.py."""
import glob
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

import yaml

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(HERE)
sys.path[:0] = [os.path.join(HERE, "live"), os.path.join(HERE, "alerts"), os.path.join(TOP, "config")]

import cases	# noqa: E402
import links	# noqa: E402
import reference	# noqa: E402
import runbook_texts	# noqa: E402
import tap	# noqa: E402

HEADINGS = ["What it means", "What users feel", "How to confirm", "Likely causes", "What to do",
            "When to escalate", "Related"]
COMMANDS = ("sh", "sql", "pgbouncer", "redis")
# Prometheus' own, beside those that the exporter and the recording rules have.
SERIES = {"up", "ALERTS_FOR_STATE", "scrape_samples_scraped", "scrape_series_added"}
# Labels that Prometheus gives, and those of its own series.
SCRAPED = {"job", "instance", "target", "alertname", "severity", "__name__"}
WORDS = {"and", "or", "unless", "offset", "inf", "bool"}
FAMILIES = ("db", "redis", "queue", "ws", "message", "messages", "datatier", "process", "global_message")
OLD = {"message_delivery_failures"}	# a name on the service's page
LINK = re.compile(r"\[[^\]]+\]\(([^)#]*)(?:#([^)]*))?\)")


def metrics():
    """{name: its labels} of all that the exporter can give out, the parts of histograms
    included; and the names of labels and the values that closed ones have."""
    names, words = {}, set()
    for name, declared in reference.DECLARED.items():
        names[name] = set().union(*(metric.labels for metric in declared))
        words |= names[name].union(*(values or () for metric in declared for values in metric.labels.values()))
        if declared[0].type == "histogram":
            names.update((name + suffix, names[name] | added) for suffix, added in reference.SUFFIXES.items())
    return names, words


def words_of(query):
    """(the names of metrics, the names of labels) in a query."""
    labels = {name for names in re.findall(r"\b(?:by|without|on|ignoring) \(([^)]*)\)", query)
              for name in re.findall(r"\w+", names)}
    labels |= set(re.findall(r"(\w+) *(?:=~|!~|!=|=) *\"", query))
    rest = re.sub(r"\{[^}]*\}|\[[^\]]*\]|\"[^\"]*\"|\b(?:by|without|on|ignoring) \([^)]*\)", " ", query)
    rest = re.sub(r"\b\w+(?= *\()", " ", rest)	# functions
    return set(re.findall(r"\b[a-zA-Z_:][\w:]*", rest)) - WORDS, labels


def plain(expression):
    return " ".join(expression.split())


class Runbooks(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.alerts = cases.rules("alert")
        cls.runbooks = runbook_texts.runbooks()
        cls.texts = runbook_texts.texts()

    def test_one_for_every_alert_and_none_without(self):
        self.assertGreaterEqual(len(self.alerts), 37)
        self.assertEqual([text.name for text in self.runbooks], sorted(self.alerts))

    def test_headings(self):
        for text in self.runbooks:
            with self.subTest(text.name):
                sections = text.sections()
                self.assertEqual(list(sections), HEADINGS)
                self.assertEqual([name for name, body in sections.items() if len(body.split()) < 1], [])
                self.assertTrue(text.text.startswith("# %s\n" % text.name))

    def test_head_is_the_rule(self):
        for text in self.runbooks:
            with self.subTest(text.name):
                rule = self.alerts[text.name]
                self.assertEqual(text.head(), (rule["labels"]["severity"], rule["labels"]["component"],
                                               str(rule.get("for", "0m"))))

    def test_first_query_is_the_rule(self):
        """So that its thresholds are those of the rule."""
        for text in self.runbooks:
            with self.subTest(text.name):
                self.assertEqual(plain(text.of("promql")[0]), plain(self.alerts[text.name]["expr"]))

    def test_a_query_and_a_command_to_confirm(self):
        for text in self.runbooks:
            with self.subTest(text.name):
                confirm = text.sections()["How to confirm"]
                self.assertRegex(confirm, "(?m)^```promql\n")
                self.assertRegex(confirm, "(?m)^```(%s)\n" % "|".join(COMMANDS))

    def test_blocks_are_of_kinds_that_are_executed(self):
        kinds = {language for text in self.texts for language, _ in text.blocks}
        self.assertEqual(kinds, {"promql", *COMMANDS})

    def test_metrics_exist(self):
        """In queries with the labels that are asked for, in the prose what looks like one."""
        known, values = metrics()
        self.assertEqual(known["db_query_duration_seconds_bucket"], {"target", "query_type", "le"})
        recorded = cases.rules("record")
        for text in self.texts:
            for query in text.of("promql"):
                with self.subTest(text.name, query=query):
                    names, labels = words_of(query)
                    self.assertEqual(names - set(known) - set(recorded) - SERIES, set())
                    declared = set().union(SCRAPED, *(known.get(name, SCRAPED) for name in names))
                    self.assertEqual(labels - declared, set())
            named = set(re.findall(r"`((?:%s)_\w+)" % "|".join(FAMILIES), text.prose))
            with self.subTest(text.name):
                self.assertEqual(named - set(known) - values - OLD, set())

    def test_every_query_parses(self):
        if shutil.which("promtool") is None:
            self.skipTest("promtool is not installed")
        found = [{"record": "q:%s" % text.name, "expr": query, "labels": {"n": str(n)}}
                 for text in self.texts for n, query in enumerate(text.of("promql"))]
        self.assertGreater(len(found), 2 * len(self.alerts))
        with tempfile.NamedTemporaryFile("w", suffix=".yml") as out:
            json.dump({"groups": [{"name": "runbooks", "rules": found}]}, out)
            out.flush()
            done = subprocess.run(["promtool", "check", "rules", out.name], stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT, text=True)
        self.assertEqual(done.returncode, 0, done.stdout)
        self.assertIn("%d rules found" % len(found), done.stdout)

    def test_links_resolve(self):
        anchors = {text.path: text.anchors() for text in self.texts}
        for text in self.texts:
            for path, anchor in LINK.findall(text.prose):
                with self.subTest(text.name, link=path + "#" + anchor):
                    there = os.path.normpath(os.path.join(runbook_texts.FOLDER, path or text.path))
                    self.assertTrue(os.path.exists(there), there)
                    if anchor:
                        self.assertIn(anchor, anchors[there])

    def test_every_runbook_but_its_own_is_related(self):
        for text in self.runbooks:
            with self.subTest(text.name):
                related = LINK.findall(text.sections()["Related"])
                self.assertGreater(len(related), 0)
                self.assertNotIn(text.name + ".md", [path for path, _ in related])

    def test_annotations_resolve(self):
        bases, dashboards = links.read(), set()
        for path in glob.glob(TOP + "/config/grafana/*.json"):
            with open(path) as file:
                dashboards.add(json.load(file)["uid"])
        self.assertGreater(len(dashboards), 0)
        for name, rule in self.alerts.items():
            with self.subTest(name):
                self.assertEqual(rule["annotations"]["runbook_url"], "%s/%s.md" % (bases["RUNBOOKS"], name))
                base, _, uid = rule["annotations"]["dashboard"].rpartition("/")
                self.assertEqual(base, bases["DASHBOARDS"])
                self.assertIn(uid, dashboards)

    def test_the_index_has_every_alert_once(self):
        readme = next(text for text in self.texts if text.name == "README")
        rows = re.findall(r"^\| \[(\w+)\]\((\w+)\.md\) \| (\w+) \| (\w+) \| \S.* \|$",
                          readme.sections()["Index"], re.M)
        self.assertEqual(sorted(rows), sorted(
            (name, name, rule["labels"]["severity"], rule["labels"]["component"])
            for name, rule in self.alerts.items()))

    def test_the_guide_repeats_the_routing(self):
        with open(TOP + "/config/alertmanager/alertmanager.yml") as file:
            route = yaml.safe_load(file)["route"]
        again = {"warning": route["repeat_interval"], "info": route["repeat_interval"]}
        for one in route["routes"]:
            found = re.fullmatch(r'severity="(\w+)"', one["matchers"][0])
            if found and "repeat_interval" in one:
                again[found.group(1)] = one["repeat_interval"]
        readme = next(text for text in self.texts if text.name == "README")
        rows = re.findall(r"^\| (\w+) \| [^|]* \| (\d+) hours \|$", readme.sections()["Who is told"], re.M)
        self.assertEqual({severity: hours + "h" for severity, hours in rows}, again)

    def test_limits_in_the_guide_are_those_of_the_tables(self):
        """Cells say: `group`, `group`: 1000 rows; `group`: 7000."""
        guide = next(text for text in self.texts if text.name == "CARDINALITY")
        told = {}
        for cell in re.findall(r"^\|[^|]*\|[^|]*\|([^|]*)\|[^|]*\|$", guide.prose, re.M):
            for groups, limit in re.findall(r"((?:`\w+`(?:, )?)+): (\d+)", cell):
                told.update((group, int(limit)) for group in re.findall(r"`(\w+)`", groups))
        with open(reference.METRICS) as file:	# the exporter's own labels grow with the configuration alone
            tables = file.read().partition("\n## exporter\n")[0]
        declared = {}
        for name, body in re.findall(r"^### Group `(\w+)`.*?\n(.*?)(?=^###? |\Z)", tables, re.M | re.S):
            for limit in re.findall(r"^At most (\d+) rows\.$", body, re.M):
                declared.setdefault(name, set()).add(int(limit))
        self.assertGreater(len(told), 15)
        for name, limit in told.items():
            with self.subTest(name):
                self.assertIn(limit, declared[name])
        self.assertEqual(set(declared) - set(told), {"info"})	# one row


if __name__ == "__main__":
    tap.main()
