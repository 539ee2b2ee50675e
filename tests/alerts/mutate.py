#!/usr/bin/env python3
"""Changes every threshold of every rule to three times and to a third of it,
one at a time, and sees whether the cases of the rule notice.

    mutate.py [COMPONENT...]	prints a table; status 1 when a change goes unnoticed

A threshold is any number in an expression but 0, which has no multiple: limits,
floors of traffic, quantiles; and `for`, or where an alert has none, the time
spans in its expression.
"""
import collections
import concurrent.futures
import copy
import json
import os
import re
import subprocess
import sys
import tempfile

import cases
import promql

AT_ONCE = 2
FACTORS = ((3, "x3"), (1 / 3, "/3"))

# rule: its place in the file, (group, number).  make(rule, factor) changes it.
Threshold = collections.namedtuple("Threshold", "rule name text make")


def spelled(text, factor):
    """A time span or a number, that many times as large."""
    span = cases.HOLD.match(text)
    return "%ds" % round(cases.seconds(text) * factor) if span else repr(float(text) * factor)


def number(token):
    start, end = token.at

    def make(rule, factor):
        rule["expr"] = rule["expr"][:start] + spelled(token.text, factor) + rule["expr"][end:]
    return make


def hold(rule, factor):
    rule["for"] = spelled(rule["for"], factor)


def span(text):
    def make(rule, factor):
        rule["expr"] = re.sub(r"\b%s\b" % text, spelled(text, factor), rule["expr"])
    return make


def thresholds(rules):
    for g, group in enumerate(rules["groups"]):
        for r, rule in enumerate(group["rules"]):
            name = rule.get("alert") or rule["record"]
            found = promql.tokens(rule["expr"])
            for before, token in zip([None] + found, found):
                if token.kind == "number" and float(token.text):
                    words = (before.text + " " if before else "") + token.text
                    yield Threshold((g, r), name, words, number(token))
            if "for" in rule:
                yield Threshold((g, r), name, "for " + rule["for"], hold)
            elif "alert" in rule:
                for text in sorted({token.text for token in found if token.kind == "duration"}):
                    yield Threshold((g, r), name, "over " + text, span(text))


def alerts_of(rules, name):
    """Those that a rule is about: itself, or those that read what it records."""
    return {rule["alert"] for group in rules["groups"] for rule in group["rules"]
            if "alert" in rule and (rule["alert"] == name or name in rule["expr"])}


def only(rules, alerts):
    """These alerts and what is recorded: the others would take their time."""
    return {"groups": [dict(group, rules=[rule for rule in group["rules"]
                                          if rule.get("alert") in alerts or "record" in rule])
                       for group in rules["groups"]]}


def promtool(test, directory, name):
    """(green, what was said) of a test file."""
    path = os.path.join(directory, name)
    with open(path, "w") as out:
        json.dump(test, out)
    done = subprocess.run(["promtool", "test", "rules", path], text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if done.returncode and "got" not in done.stdout:
        raise RuntimeError("promtool cannot run this: " + done.stdout)
    return done.returncode == 0, done.stdout


def notices(component, rules, threshold, factor, directory, name):
    """Whether a case is red once the threshold is that many times as large."""
    changed = copy.deepcopy(rules)
    group, place = threshold.rule
    threshold.make(changed["groups"][group]["rules"][place], factor)
    alerts = alerts_of(rules, threshold.name)
    path = os.path.join(directory, name + ".yml")
    with open(path, "w") as out:
        json.dump(only(changed, alerts), out)
    test = component.promtool(path, alerts)
    return not promtool(test, directory, name + "_test.yml")[0]


def results(names):
    """[(component, threshold, [noticed of each factor])]."""
    with tempfile.TemporaryDirectory() as directory, \
            concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        rows = []
        for name in names:
            component, rules = cases.Component(name), cases.load(cases.rules_path(name))
            for threshold in thresholds(rules):
                rows.append((name, threshold, [
                    # Each has files of its own: two are tried at the same time.
                    pool.submit(notices, component, rules, threshold, factor, directory,
                                "%s-%d-%d" % (name, len(rows), i))
                    for i, (factor, _) in enumerate(FACTORS)]))
        return [(name, threshold, [f.result() for f in futures]) for name, threshold, futures in rows]


def table(rows):
    line = "%-42s %-14s" + " %-5s" * len(FACTORS)
    yield line % ("rule", "threshold", *(word for _, word in FACTORS))
    for _, threshold, noticed in rows:
        yield line % (threshold.name, threshold.text, *("red" if n else "GREEN" for n in noticed))


def main():
    rows = results(sys.argv[1:] or cases.components())
    print("\n".join(table(rows)))
    return 0 if all(all(noticed) for _, _, noticed in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
