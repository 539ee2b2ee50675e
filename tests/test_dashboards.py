"""The dashboards and their links: as generated, of a form that Grafana 9 to 12
read, about metrics and labels that there are, with every alert on a panel."""
import collections
import glob
import json
import os
import re
import sys
import tempfile
import unittest
from unittest import mock

HERE = os.path.dirname(os.path.abspath(__file__))
CONFIG = os.path.join(os.path.dirname(HERE), "config")
sys.path[:0] = [os.path.join(HERE, "live"), os.path.join(HERE, "alerts"), CONFIG, os.path.join(CONFIG, "grafana")]

import dashboards	# noqa: E402
import generate		# noqa: E402
import links		# noqa: E402
import promql		# noqa: E402
import reference	# noqa: E402
import sense		# noqa: E402
import tap		# noqa: E402

UIDS = {"datatier-" + name for name in ("overview", "database", "redis", "queue", "messaging", "exporter")}

# ---- the form ----

# A type; a set of what is allowed; [form of each]; {key: form}, where key? may be missing.
UNITS = {"none", "short", "s", "bytes", "decbytes", "Bps", "percentunit", "ops", "cps", "reqps"}
NUMBER = (int, float)
SOURCE = {"type": {"prometheus"}, "uid": {"${datasource}"}}
GRID = {"x": int, "y": int, "w": int, "h": int}
LINK = {"title": str, "url": str, "targetBlank": bool}
COLOR = {"green", "blue", "orange", "red"}
DEFAULTS = {"unit": UNITS, "thresholds": {"mode": {"absolute"}, "steps": [{"value": object, "color": COLOR}]}}
MAPPINGS = [{"type": {"value"}, "options": {"0": dict, "1": dict}}]
CUSTOM = {"drawStyle": {"line"}, "lineWidth": int, "fillOpacity": int, "showPoints": {"auto"}, "spanNulls": bool,
          "axisSoftMin": NUMBER, "axisSoftMax?": NUMBER, "thresholdsStyle": {"mode": {"line", "off"}},
          "stacking": {"mode": {"none", "normal"}, "group": str}}
PANEL = {
    "id": int, "title": str, "description?": str, "datasource": SOURCE, "gridPos": GRID, "links": [LINK],
    "targets": [{"refId": str, "datasource": SOURCE, "editorMode": {"code"}, "expr": str, "legendFormat": str,
                 "instant": bool, "range": bool, "format": {"time_series", "table"}}],
}
PANELS = {
    "row": {"type": {"row"}, "id": int, "title": str, "collapsed": {False}, "panels": {()}, "gridPos": GRID},
    "timeseries": {
        **PANEL, "type": {"timeseries"},
        "fieldConfig": {"defaults": {**DEFAULTS, "color": {"mode": {"palette-classic"}}, "custom": CUSTOM},
                        "overrides": {()}},
        "options": {"legend": {"displayMode": {"list"}, "placement": {"bottom"}, "showLegend": bool,
                               "calcs": list},
                    "tooltip": {"mode": {"multi"}, "sort": {"desc"}}}},
    "stat": {
        **PANEL, "type": {"stat"},
        "fieldConfig": {"defaults": {**DEFAULTS, "color": {"mode": {"thresholds"}}, "mappings?": MAPPINGS},
                        "overrides": {()}},
        "options": {"colorMode": {"background", "value"}, "graphMode": {"none"}, "justifyMode": {"auto"},
                    "orientation": {"auto"}, "textMode": {"value_and_name"},
                    "reduceOptions": {"calcs": list, "fields": str, "values": {False}}}},
    "table": {
        **PANEL, "type": {"table"},
        "fieldConfig": {"defaults": {**DEFAULTS, "custom": {"align": {"auto"}}},
                        "overrides": [{"matcher": {"id": {"byName"}, "options": str},
                                       "properties": [{"id": {"links"}, "value": [LINK]}]}]},
        "options": {"showHeader": bool, "sortBy": [{"displayName": str, "desc": bool}]},
        "transformations": [{"id": {"organize"}, "options": {"excludeByName": dict, "indexByName": dict,
                                                             "renameByName": dict}}]},
}
VARIABLES = {
    "datasource": {"type": {"datasource"}, "name": str, "label": str, "query": {"prometheus"}, "regex": str,
                   "multi": bool, "includeAll": bool, "hide": {0}, "refresh": {1}, "skipUrlSync": bool,
                   "options": list, "current": dict},
    "query": {"type": {"query"}, "name": str, "label": str, "datasource": SOURCE, "definition": str,
              "query": {"query": str, "refId": str}, "regex": str, "sort": {1}, "refresh": {2}, "multi": {True},
              "includeAll": {True}, "hide": {0}, "skipUrlSync": bool, "options": list,
              "current": {"selected": bool, "text": {("All",)}, "value": {("$__all",)}}},
}
DASHBOARD = {
    "id": {None}, "uid": UIDS, "title": str, "tags": [{"datatier"}], "schemaVersion": {36}, "version": int,
    "editable": bool, "graphTooltip": {0, 1, 2}, "style": {"dark"}, "timezone": {"browser"}, "refresh": str,
    "time": {"from": str, "to": str}, "timepicker": dict, "panels": list, "templating": {"list": list},
    "annotations": {"list": [{"name": str, "datasource": SOURCE, "enable": bool, "hide": bool, "iconColor": str,
                              "expr": str, "titleFormat": str, "textFormat": str, "tagKeys": str, "step": str}]},
    "links": [{"type": {"dashboards", "link"}, "title": str, "tags": [str], "icon": str, "tooltip": str,
               "url": str, "asDropdown": bool, "targetBlank": bool, "includeVars": bool, "keepTime": bool}],
}


def faults(value, form, where):
    """What is not of that form, in sentences."""
    if isinstance(form, dict):
        if not isinstance(value, dict):
            return ["%s is no object" % where]
        wanted, needed = {key.rstrip("?"): one for key, one in form.items()}, {k for k in form if k[-1] != "?"}
        return (["%s lacks %s" % (where, key) for key in needed - set(value)]
                + ["%s has %s, too" % (where, key) for key in set(value) - set(wanted)]
                + [f for key in set(value) & set(wanted)
                   for f in faults(value[key], wanted[key], where + "." + key)])
    if isinstance(form, list):
        if not isinstance(value, list):
            return ["%s is no list" % where]
        return [f for number, one in enumerate(value) for f in faults(one, form[0], "%s[%d]" % (where, number))]
    if isinstance(form, set):
        good = (tuple(value) if isinstance(value, list) else value) in form
    else:
        good = isinstance(value, form) and (form is bool or not isinstance(value, bool))
    return [] if good else ["%s is %r" % (where, value)]


class Form(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.dashboards = dashboards.load()

    def test_of_grafana(self):
        self.assertEqual({d["uid"] for d in self.dashboards.values()}, UIDS)
        for name, one in self.dashboards.items():
            found = faults(one, DASHBOARD, name)
            for panel in one["panels"]:
                found += faults(panel, PANELS[panel["type"]], "%s / %s" % (name, panel["title"]))
            for variable in one["templating"]["list"]:
                found += faults(variable, VARIABLES[variable["type"]], "%s $%s" % (name, variable["name"]))
            self.assertEqual(found, [])

    def test_the_check_of_the_form_sees(self):
        good = self.dashboards["redis"]
        for wrong in ({"uid": "x"}, {"schemaVersion": "36"}, {"editable": 1}, {"more": 1}, {"links": [{}]}):
            self.assertNotEqual(faults({**good, **wrong}, DASHBOARD, ""), [], wrong)
        self.assertNotEqual(faults({key: good[key] for key in good if key != "title"}, DASHBOARD, ""), [])

    def test_panels_have_numbers_titles_and_places_of_their_own(self):
        for name, one in self.dashboards.items():
            panels, taken = one["panels"], set()
            for values in ([p["id"] for p in panels], [p["title"] for p in panels if p["type"] != "row"]):
                self.assertEqual(sorted(values), sorted(set(values)), name)
            for panel in panels:
                grid = panel["gridPos"]
                self.assertLessEqual(grid["x"] + grid["w"], 24, panel["title"])
                cells = {(x, y) for x in range(grid["x"], grid["x"] + grid["w"])
                         for y in range(grid["y"], grid["y"] + grid["h"])}
                self.assertEqual(taken & cells, set(), "%s / %s" % (name, panel["title"]))
                taken |= cells

    def test_thresholds_rise(self):
        for name, one in self.dashboards.items():
            for panel in one["panels"]:
                steps = panel.get("fieldConfig", {"defaults": DEFAULTS})["defaults"]["thresholds"]["steps"]
                values = [step["value"] for step in steps][1:]
                if panel["type"] != "row":
                    self.assertIsNone(steps[0]["value"])
                    self.assertEqual(values, sorted(set(values)), "%s / %s" % (name, panel["title"]))


# ---- generated, from the sources as they are ----

class Generated(unittest.TestCase):
    def test_files_are_as_generated(self):
        made = generate.files()
        self.assertEqual(set(made), set(glob.glob(CONFIG + "/grafana/*.json")))
        for path, text in made.items():
            with open(path) as file:
                self.assertTrue(file.read() == text, os.path.basename(path) + ": run make dashboards")

    def test_a_threshold_comes_from_its_rule(self):
        alerts, records = generate.read_rules()
        alert = alerts["RedisMemoryNearLimit"]
        moved = {**alert, "expr": re.sub(r"> 0\.9\b", "> 0.3 * 2", alert["expr"])}
        self.assertNotEqual(moved, alert)
        rules = {**alerts, "RedisMemoryNearLimit": moved}, records
        with mock.patch.object(generate, "read_rules", lambda: rules):
            made = json.loads(generate.files()[CONFIG + "/grafana/redis.json"])
        steps = next(p for p in made["panels"] if p["title"] == "Memory used, of its limit")["fieldConfig"]
        self.assertEqual([step["value"] for step in steps["defaults"]["thresholds"]["steps"]], [None, 0.6])

    def test_links_are_those_of_links_conf(self):
        for path in glob.glob(links.RULES):
            with open(path) as file:
                text = file.read()
            self.assertTrue(links.rewritten(text, links.read()) == text,
                            os.path.basename(path) + ": run make links")

    def test_what_a_base_may_be(self):
        good = {"https://wiki/w?a=b&c=#/runbooks": "https://wiki/w?a=b&c=#/runbooks", "http://h:1/a/": "http://h:1/a",
                "'https://h/a b'": None, "\"https://h/a\"": "https://h/a", "h/a": None, "https://h/a|b": None,
                "https://h/{{a": None, "": None}
        for text, wanted in good.items():
            with tempfile.NamedTemporaryFile("w") as conf, self.subTest(text):
                conf.write("# x=y\nRUNBOOKS=%s\nDASHBOARDS=https://g/d\n" % text)
                conf.flush()
                if wanted:
                    self.assertEqual(links.read(conf.name), {"RUNBOOKS": wanted, "DASHBOARDS": "https://g/d"})
                else:
                    self.assertRaisesRegex(ValueError, "RUNBOOKS is no", links.read, conf.name)

    def test_other_links_change_nothing_else(self):
        other = {"RUNBOOKS": "http://wiki:8080/a/b", "DASHBOARDS": "http://graphs/d"}
        changed = 0
        for path in glob.glob(links.RULES):
            with open(path) as file:
                text = file.read()
            moved = links.rewritten(text, other)
            changed += sum(a != b for a, b in zip(text.splitlines(), moved.splitlines()))
            self.assertEqual(links.rewritten(moved, other), moved)
            self.assertEqual(links.rewritten(moved, links.read()), text)
        self.assertEqual(changed, 2 * len(generate.read_rules()[0]))
        with mock.patch.object(links, "read", lambda: other):
            made = "".join(generate.files().values())
        self.assertNotIn(links.read()["RUNBOOKS"], made)


# ---- expressions ----

class Checker(sense.Checker):
    """Knows besides what dashboards use: time(), topk() and bottomk(), and Prometheus' own series."""

    PROMETHEUS = {"ALERTS": {"alertname", "alertstate", "severity", "component", "target", "job"},
                  "scrape_duration_seconds": reference.SCRAPED, "scrape_samples_scraped": reference.SCRAPED}

    def __init__(self):
        super().__init__({name: {frozenset(labels)} for name, labels in self.PROMETHEUS.items()})
        for name, declared in reference.DECLARED.items():	# Prometheus has an instance of its own
            if "instance" in declared[0].labels:
                self.recorded[name] = {frozenset({*declared[0].labels, "exported_instance", "job"})}

    def aggregate(self, node):
        return self.shapes(node.args[-1]) if node.function in FEW else super().aggregate(node)

    def call(self, node):
        return None if node.function == "time" else super().call(node)


FEW = {"topk", "bottomk"}
# Labels that have thousands of values; group is one of the exporter's own, too.
MANY = collections.defaultdict(lambda: re.compile("{{(group|topic|command)}}"), exporter=re.compile("{{topic}}"))
VALUES = {"job": "datatier", "target": "chat", "__rate_interval": "1m"}


class Expressions(unittest.TestCase):
    def test_variables_are_defined_and_used(self):
        for name, one in dashboards.load().items():
            defined = {variable["name"] for variable in one["templating"]["list"]}
            used = set(re.findall(r"\$\{?(\w+)", json.dumps(one))) - {"__all", "__value", "__rate_interval"}
            self.assertEqual(used, defined, name)

    def test_they_read_what_there_is_and_keep_the_labels_of_their_legends(self):
        checker = Checker()
        for name, one in dashboards.load().items():
            for panel in one["panels"]:
                for query in panel.get("targets", []):
                    with self.subTest("%s / %s" % (name, panel["title"]), legend=query["legendFormat"]):
                        tree = promql.parse(dashboards.replace(query["expr"], VALUES))
                        legend = set(re.findall(r"\{\{(\w+)\}\}", query["legendFormat"]))
                        for shape in checker.shapes(tree):
                            self.assertLessEqual(legend, shape)
                        self.assertTrue(legend)
                        self.assertEqual(sense.bare_counters(tree) + list(sense.wrong_kinds(tree)), [])

    def test_every_series_is_of_the_chosen_job_and_targets(self):
        checker = Checker()
        for name, one in dashboards.load().items():
            for query in (query for panel in one["panels"] for query in panel.get("targets", [])):
                for node in promql.walk(promql.parse(dashboards.replace(query["expr"], VALUES))):
                    if isinstance(node, promql.Selector):
                        has = {label for label, _, _ in node.matchers}
                        for shape in checker.shapes(node):
                            self.assertLessEqual({"job", "target"} & shape, has, query["expr"])

    def test_no_graph_has_thousands_of_lines(self):
        """With a label of many values they are the few largest or smallest, or those in trouble."""
        for name, one in dashboards.load().items():
            queries = [(panel, query) for panel in one["panels"] if panel["type"] != "table"
                       for query in panel.get("targets", []) if MANY[name].search(query["legendFormat"])]
            for panel, query in queries:
                tree = promql.parse(dashboards.replace(query["expr"], VALUES))
                self.assertIn(getattr(tree, "function", None) or tree.op, FEW | {">"},
                              "%s / %s" % (name, panel["title"]))

    def test_choices_and_marks(self):
        checker = Checker()
        for one in dashboards.load().values():
            for variable in one["templating"]["list"][1:]:
                series, label = re.fullmatch(r"label_values\((.*), (\w+)\)", variable["definition"]).groups()
                for shape in checker.shapes(promql.parse(dashboards.replace(series, VALUES))):
                    self.assertIn(label, shape)
            for mark in one["annotations"]["list"]:
                checker.shapes(promql.parse(dashboards.replace(mark["expr"], VALUES)))

    def test_the_check_sees(self):
        for wrong in ("sum by (target) (db_size)", "sum by (target, user) (db_size_bytes)",
                      "redis_get_latency_seconds"):
            with self.assertRaises(sense.Nonsense):
                Checker().shapes(promql.parse(wrong))


# ---- alerts ----

def constant(node):
    if isinstance(node, promql.Number):
        return node.value
    return constant(node.left) * constant(node.right)	# nothing else is used in a threshold


def thresholds(expression):
    return {constant(node.right) for node in promql.walk(promql.parse(expression))
            if isinstance(node, promql.Binary) and node.op in promql.COMPARISONS - {"==", "!="}} - {0}


class Alerts(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.rules = generate.read_rules()[0]
        cls.panels = {}		# alert: [(uid, panel)]
        for one in dashboards.load().values():
            for panel in one["panels"]:
                for link in panel.get("links", []):
                    alert = re.fullmatch(r"Runbook: (\w+)", link["title"]).group(1)
                    cls.panels.setdefault(alert, []).append((one["uid"], panel))

    def test_each_is_on_a_panel_of_the_dashboard_that_it_names(self):
        self.assertEqual(set(self.panels), set(self.rules))
        for alert, rule in self.rules.items():
            base, _, uid = rule["annotations"]["dashboard"].rpartition("/")
            self.assertEqual(base, links.read()["DASHBOARDS"])
            self.assertIn(uid, {uid for uid, _ in self.panels[alert]}, alert)

    def test_panels_lead_to_their_runbooks(self):
        for alert, rule in self.rules.items():
            for _, panel in self.panels[alert]:
                self.assertIn(rule["annotations"]["runbook_url"], [link["url"] for link in panel["links"]])

    def test_thresholds_are_drawn(self):
        """On a panel of its own dashboard, for each alert that compares with
        something else than 0; and no line is of nobody."""
        for alert, rule in self.rules.items():
            numbers = thresholds(rule["expr"])
            uid = rule["annotations"]["dashboard"].rpartition("/")[2]
            drawn = [step["value"] for at, panel in self.panels[alert] if at == uid
                     for step in panel["fieldConfig"]["defaults"]["thresholds"]["steps"]]
            if numbers:
                self.assertTrue(numbers & set(drawn), "%s: %s, drawn are %s" % (alert, numbers, drawn))
        for one in dashboards.load().values():
            for panel in (panel for panel in one["panels"] if panel["type"] != "row"):
                known = {value for alert, rule in self.rules.items() for value in thresholds(rule["expr"])
                         if panel["id"] in [p["id"] for uid, p in self.panels[alert] if uid == one["uid"]]}
                for step in panel["fieldConfig"]["defaults"]["thresholds"]["steps"][1:]:
                    self.assertIn(step["value"], known, panel["title"])

    @staticmethod
    def looks(expression):
        """How it looks at metrics: {(function, name): {quantile, or window}}."""
        found = {}
        for call in (n for n in promql.walk(promql.parse(expression)) if isinstance(n, promql.Call)):
            for series in (n for n in promql.walk(call) if isinstance(n, promql.Selector)):
                if call.function == "histogram_quantile":
                    found.setdefault((call.function, series.name), set()).add(call.args[0].value)
                elif call.function in ("increase", "delta"):
                    found.setdefault((call.function, series.name), set()).add(series.range)
        return found

    def test_a_threshold_is_drawn_over_what_it_is_about(self):
        """The quantile of its rule, and what it counts in the window of its rule."""
        seen = set()
        for alert, rule in self.rules.items():
            wanted = self.looks(rule["expr"])
            for uid, panel in self.panels[alert]:
                if not panel["fieldConfig"]["defaults"]["thresholds"]["steps"][1:]:
                    continue
                shown = {}
                for query in panel["targets"]:
                    for key, values in self.looks(dashboards.replace(query["expr"], VALUES)).items():
                        shown.setdefault(key, set()).update(values)
                for key in set(wanted) & set(shown):
                    seen.add(key)
                    self.assertTrue(wanted[key] & shown[key], "%s / %s" % (uid, panel["title"]))
        self.assertGreater(len(seen), 12)

    def test_what_the_demo_cannot_feed_is_there(self):
        titles = {(name, p["title"]) for name, one in dashboards.load().items() for p in one["panels"]}
        self.assertLessEqual({**dashboards.NOT_FED, **dashboards.NOT_FED_BY_MOCK_KAFKA}.keys(), titles)


if __name__ == "__main__":
    tap.main()
