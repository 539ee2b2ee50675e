#!/usr/bin/env python3
"""The cases of every alert, as promtool wants them.

    cases.py COMPONENT	prints them for `promtool test rules`, as JSON, which is YAML

COMPONENT.yml, beside this file, has them in short:

    AlertName:
      hold: 2m                        # `for`, if any
      severity: warning
      fires:                          # a case; more of a kind have a comma and words behind
        expect: {label: value, summary: ..., description: ...}
        name{label="value"}: VALUES
      below: ...                      # just below the threshold, or at it if that is quiet; never fires
      few, one of ten fails: ...      # ratios and quantiles: one among few events, never fires
      edge, the server restarts: ...  # what else must never fire
      idle: ...                       # with nothing to do, never fires

idle holds only what differs from the series of the first `fires` with all at 0.  And every
`fires` is also run with `below` after it: it resolves.  Every series has the labels job,
instance and target unless it names them itself.

VALUES, one a scrape: of a gauge its value, of a counter what it grows by.  "1 0 0" is
repeated for ever; "9 x 40, 0" is 9 for 40 scrapes, then 0; "5000-7" a gauge that falls by 7
each time; "_" no value; "reset" a counter that begins anew, at 0.  Of a histogram they are
the observations by the bound of the bucket that they fall into: {0.01: 18, 5: 2}.
"""
import collections
import itertools
import json
import os
import re
import sys

import yaml

import promql
import reference

HERE = os.path.dirname(os.path.abspath(__file__))
CONFIG = os.path.join(reference.TOP, "config")
sys.path.insert(0, CONFIG)

import links	# noqa: E402

RULES = os.path.join(CONFIG, "prometheus", "rules")
INTERVAL = 15		# seconds between scrapes, and between evaluations
SCRAPES = 80		# of a case
BEFORE = 1000		# what a counter stands at when it is first seen, unless it is born in the case
PAGE_BOUNDS = (0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10)	# where they are the source's
KINDS = ("fires", "below", "few", "edge", "idle")
GAUGE = re.compile(r"(-?[0-9.e]+)([+-][0-9.e]+)?$")
HOLD = re.compile(r"(\d+)([sm])$")

Case = collections.namedtuple("Case", "alert kind name series expect")


def components():
    """Of the rules, which are also those of the cases."""
    return sorted(name[:-4] for name in os.listdir(RULES) if name.endswith(".yml"))


def rules_path(component):
    return os.path.join(RULES, component + ".yml")


def rules(kind):
    """{name: rule} of every "alert" of all components, or of every "record"."""
    return {rule[kind]: rule for component in components() for group in load(rules_path(component))["groups"]
            for rule in group["rules"] if kind in rule}


def load(path):
    with open(path) as text:
        return yaml.safe_load(text)


def addresses(alert, component):
    """The annotations that follow from the name of an alert and its component."""
    dashboard = {"websocket": "messaging", "search": "messaging"}.get(component, component)
    bases = links.read()
    return {"runbook_url": "%s/%s.md" % (bases["RUNBOOKS"], alert),
            "dashboard": "%s/datatier-%s" % (bases["DASHBOARDS"], dashboard)}


# ---- values ----

def steps(text, scrapes):
    """The words of VALUES, one a scrape."""
    found = []
    *firsts, last = str(text).split(",")
    for part in firsts:
        cycle, _, times = part.partition(" x ")
        found += itertools.islice(itertools.cycle(cycle.split()), int(times))
    return found + list(itertools.islice(itertools.cycle(last.split()), scrapes - len(found)))


def gauge(text, scrapes):
    found, run = [], collections.Counter()
    for word in steps(text, scrapes):
        if word == "_":
            found.append(None)
            continue
        start, slope = GAUGE.match(word).groups()
        found.append(float(start) + float(slope or 0) * run[word])
        run[word] += 1
    return found


def counter(text, scrapes):
    found, now = [], None
    for word in steps(text, scrapes):
        if word == "_":
            found.append(None)
            continue
        if now is None:
            now = 0 if found else BEFORE
        now = 0 if word == "reset" else now + float(word)
        found.append(now)
    return found


def series(key, values, scrapes):
    """[(name, labels, [value or None])]: one, or those of a histogram."""
    selector = promql.parse(key)
    labels = {label: value for label, _, value in selector.matchers}
    if not isinstance(values, dict):
        kind = reference.metrics(selector.name)[0][0].type
        return [(selector.name, labels, (gauge if kind == "gauge" else counter)(values, scrapes))]
    metric = reference.DECLARED[selector.name][0]
    grown = {float(bound): counter(text, scrapes) for bound, text in values.items()}
    rows, below = [], [0] * scrapes
    for bound in list(metric.bounds or PAGE_BOUNDS) + [float("inf")]:
        if bound in grown:
            below = [None if b is None else a + b for a, b in zip(below, grown.pop(bound))]
        rows.append((selector.name + "_bucket", dict(labels, le=le(bound)), below))
    if grown:
        raise ValueError("%s has no bucket %s" % (key, list(grown)))
    return rows + [(selector.name + "_count", labels, below), (selector.name + "_sum", labels, below)]


def le(bound):
    """A bound as the exporter writes it: 0.005, 1.0, 5e+06, +Inf."""
    if bound == float("inf"):
        return "+Inf"
    return repr(float(bound)) if bound < 1e6 else "%g" % bound


def notation(name, labels, values):
    """An input series of promtool's."""
    text = ", ".join('%s="%s"' % pair for pair in sorted(labels.items()))
    return {"series": "%s{%s}" % (name, text),
            "values": " ".join("_" if v is None else "%.10g" % v for v in values)}


# ---- cases ----

def zero(values):
    return {bound: 0 for bound in values} if isinstance(values, dict) else 0


def joined(first, second):
    """The VALUES of a case, then those of another."""
    if isinstance(first, dict) or isinstance(second, dict):
        first, second = (v if isinstance(v, dict) else {} for v in (first, second))
        return {bound: joined(first.get(bound, 0 if first else "_"), second.get(bound, 0 if second else "_"))
                for bound in {**first, **second}}
    return " ".join(steps(first, SCRAPES) + steps(second, SCRAPES))


def at(scrapes):
    """The time of the last of them."""
    return "%ds" % (INTERVAL * (scrapes - 1))


class Component:
    """The cases of one component, in order."""

    def __init__(self, name):
        self.name = name
        self.alerts = load(os.path.join(HERE, name + ".yml"))
        self.target = self.alerts.pop("target", None)
        self.cases = [case for alert in self.alerts for case in self.of_alert(alert)]

    def of_alert(self, alert):
        row = dict(self.alerts[alert])
        rows = {name: dict(row[name]) for name in row if name.split(",")[0] in KINDS}
        expected = {name: rows[name].pop("expect") for name in rows if name.startswith("fires")}
        idle = {key: zero(values) for key, values in rows["fires"].items()}
        rows["idle"] = dict(idle, **rows.get("idle", {}))
        return [Case(alert, name.split(",")[0], name, rows[name], expected.get(name)) for name in rows]

    def labels(self, labels):
        both = {"job": "datatier", "instance": "exporter:10071", "target": self.target}
        return {k: v for k, v in dict(both, **labels).items() if v}

    def input(self, rows, scrapes):
        return [notation(name, self.labels(labels), values) for key, text in rows.items()
                for name, labels, values in series(key, text, scrapes)]

    def expectation(self, case):
        """One alert, whole: its labels and what its templates have become."""
        texts = {key: case.expect[key] for key in ("summary", "description")}
        labels = {key: value for key, value in case.expect.items() if key not in texts}
        severity = {"severity": self.alerts[case.alert]["severity"], "component": self.name}
        return {"exp_labels": self.labels(dict(labels, **severity)),
                "exp_annotations": dict(texts, **addresses(case.alert, self.name))}

    def firing(self, case, scrapes, fires=True):
        """After so many scrapes it fires, or nothing does."""
        return {"eval_time": at(scrapes), "alertname": case.alert,
                "exp_alerts": [self.expectation(case)] if fires else []}

    def test(self, case):
        """Of promtool's.  What must not fire never did, at no evaluation; what
        fires was pending for as long as it must be held."""
        fires = case.kind == "fires"
        held = seconds(self.alerts[case.alert].get("hold", "0s")) // INTERVAL if fires else 0
        count = 'sum(count_over_time(ALERTS{alertname="%s", alertstate="%s"}[1d]))  # %s' % (
            case.alert, "pending" if fires else "firing", case.name)
        return {"name": "%s: %s" % (case.alert, case.name), "interval": "%ds" % INTERVAL,
                "input_series": self.input(case.series, SCRAPES),
                "alert_rule_test": [self.firing(case, SCRAPES, fires)],
                "promql_expr_test": [{"expr": count, "eval_time": at(SCRAPES),
                                      "exp_samples": [{"labels": "{}", "value": held}] if held else []}]}

    def resolves(self, case):
        """The series of a case that fires, then those of `below`."""
        below = next(c for c in self.cases if c.alert == case.alert and c.kind == "below")
        keys = list(case.series) + [key for key in below.series if key not in case.series]
        both = {key: joined(case.series.get(key, "_"), below.series.get(key, "_")) for key in keys}
        return {"name": "%s: %s" % (case.alert, case.name.replace("fires", "resolves", 1)),
                "interval": "%ds" % INTERVAL, "input_series": self.input(both, 2 * SCRAPES),
                "alert_rule_test": [self.firing(case, SCRAPES), self.firing(case, 2 * SCRAPES, False)]}

    def tests(self, alerts=None):
        cases = [c for c in self.cases if alerts is None or c.alert in alerts]
        return [self.test(c) for c in cases] + [self.resolves(c) for c in cases if c.kind == "fires"]

    def promtool(self, rules=None, alerts=None):
        """The whole file, on the shipped rules or on others."""
        return {"rule_files": [rules or rules_path(self.name)], "evaluation_interval": "%ds" % INTERVAL,
                "tests": self.tests(alerts)}


def seconds(hold):
    number, unit = HOLD.match(hold).groups()
    return int(number) * {"s": 1, "m": 60}[unit]


if __name__ == "__main__":
    json.dump(Component(sys.argv[1]).promtool(), sys.stdout, indent=1)
