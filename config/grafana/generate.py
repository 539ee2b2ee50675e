"""Makes the dashboards, NAME.json, from panels.yml, which says how to write it.

Thresholds come from the alerts' own expressions in ../prometheus/rules, base
URLs from ../links.conf.  The form is schema 36, that of Grafana 9.0: later
versions bring it up to theirs when they read it.
"""
import glob
import json
import math
import os
import re
import sys

import yaml

HERE = os.path.dirname(os.path.abspath(__file__))
CONFIG = os.path.dirname(HERE)
sys.path.insert(0, CONFIG)

import links	# noqa: E402

COLUMNS = 24
SOURCE = {"type": "prometheus", "uid": "${datasource}"}
COLORS = {"info": "blue", "warning": "orange", "critical": "red"}
SELECTOR = 'job=~"$job"'
METRIC = re.compile(r"\b[a-z]\w*(?::\w+)+|\b[a-z]\w*_\w+\b")
COMPARISON = re.compile(r"([<>])=?\s*([0-9][0-9.e]*(?:\s*\*\s*[0-9][0-9.e]*)*)")
QUANTILE = re.compile(r"\bP(\d\d)\((\w+) by ([\w, ]+)\)")


# ---- the alerts ----

def read_rules():
    """({name of an alert: its rule}, {name of a recording rule: its expression})"""
    alerts, records = {}, {}
    for path in sorted(glob.glob(os.path.join(CONFIG, "prometheus", "rules", "*.yml"))):
        with open(path) as text:
            for group in yaml.safe_load(text)["groups"]:
                alerts.update((rule["alert"], rule) for rule in group["rules"] if "alert" in rule)
                records.update((rule["record"], rule["expr"]) for rule in group["rules"] if "record" in rule)
    return alerts, records


def threshold(rules, alert, expressions):
    """(value, whether above it is bad, severity): of the first comparison of the
    alert that is about a metric of these expressions.  Those with 0 only guard."""
    alerts, records = rules
    shown = set(METRIC.findall(" ".join(expressions)))
    expression = alerts[alert]["expr"]
    for found in COMPARISON.finditer(expression):
        value = math.prod(map(float, found.group(2).split("*")))
        about = METRIC.findall(expression[:found.start()])[-1]
        if value and shown.intersection(METRIC.findall(records.get(about, about))):
            return value, found.group(1) == ">", alerts[alert]["labels"]["severity"]
    raise ValueError("%s compares no metric of: %s" % (alert, ", ".join(expressions)))


def steps(lines):
    """Grafana colours from a value upwards, so where below is bad the step at
    the line is the good one."""
    ups = [{"value": value, "color": COLORS[severity]} for value, above, severity in lines if above]
    downs = [(value, COLORS[severity]) for value, above, severity in lines if not above]
    base = [{"value": None, "color": downs[0][1] if downs else "green"}]
    return base + sorted([{"value": value, "color": "green"} for value, _ in downs] + ups,
                         key=lambda step: step["value"])


# ---- expressions ----

def expand(expression, window):
    def quantile(m):
        chosen = "{@}" if "target" in m.group(3).split(", ") else "{%s}" % SELECTOR
        return ("histogram_quantile(0.%s, sum by (%s, le) (rate(%s_bucket%s[W])))"
                % (m.group(1), m.group(3), m.group(2), chosen))
    return (QUANTILE.sub(quantile, expression).replace("[W]", "[%s]" % window)
            .replace("{@", "{%s,target=~\"$target\"" % SELECTOR))


def columns(expression):
    """The labels that an expression keeps, in its order."""
    return re.search(r"\bby \(([^)]*)\)", expression).group(1).split(", ")


# ---- parts of a panel, by kind ----

def timeseries(spec, lines):
    custom = {"drawStyle": "line", "lineWidth": 1, "fillOpacity": 30 if spec.get("stack") else 0,
              "showPoints": "auto", "spanNulls": False, "axisSoftMin": 0,
              "stacking": {"mode": "normal" if spec.get("stack") else "none", "group": "A"},
              "thresholdsStyle": {"mode": "line" if lines else "off"}}
    if lines:		# how far away the first one is can always be seen
        custom["axisSoftMax"] = min(line[0] for line in lines)
    return {
        "fieldConfig": {"defaults": {"color": {"mode": "palette-classic"}, "custom": custom}, "overrides": []},
        "options": {"legend": {"displayMode": "list", "placement": "bottom", "showLegend": True, "calcs": []},
                    "tooltip": {"mode": "multi", "sort": "desc"}},
    }


def stat(spec, lines):
    return {
        "fieldConfig": {"defaults": {"color": {"mode": "thresholds"}}, "overrides": []},
        "options": {"colorMode": "background" if lines else "value", "graphMode": "none", "justifyMode": "auto",
                    "orientation": "auto", "textMode": "value_and_name",
                    "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False}},
    }


def status(spec, lines):
    panel = stat(spec, True)
    panel["fieldConfig"]["defaults"]["mappings"] = [{"type": "value", "options": {
        "0": {"text": "DOWN", "color": "red", "index": 0}, "1": {"text": "UP", "color": "green", "index": 1}}}]
    return panel


def table(spec, lines):
    names = columns(*spec["queries"].values())
    overrides = []
    if "alertname" in names:
        overrides.append({"matcher": {"id": "byName", "options": "alertname"}, "properties": [
            {"id": "links", "value": [runbook("${__value.raw}")]}]})
    return {
        "fieldConfig": {"defaults": {"custom": {"align": "auto"}}, "overrides": overrides},
        "options": {"showHeader": True, "sortBy": [{"displayName": names[0], "desc": False}]},
        "transformations": [{"id": "organize", "options": {
            "excludeByName": {"Time": True, "Value": True}, "renameByName": {},
            "indexByName": {name: place for place, name in enumerate(names)}}}],
    }


def runbook(name):
    return {"title": "Runbook" if name.startswith("$") else "Runbook: " + name, "targetBlank": True,
            "url": "%s/%s.md" % (links.read()["RUNBOOKS"], name)}


# kind: (what makes its parts, type of panel, size in the grid, one value now instead of a range)
KINDS = {
    "timeseries": (timeseries, "timeseries", 8, 8, False),
    "stat": (stat, "stat", 6, 4, True),
    "status": (status, "stat", 6, 4, True),
    "table": (table, "table", 8, 8, True),
}


# ---- panels, rows, dashboards ----

def target(number, legend, expression, kind):
    now = KINDS[kind][-1]
    return {"refId": chr(ord("A") + number), "datasource": SOURCE, "editorMode": "code",
            "expr": expression, "legendFormat": legend, "instant": now, "range": not now,
            "format": "table" if kind == "table" else "time_series"}


def panel(spec, window, rules):
    kind = spec.get("kind", "timeseries")
    parts, type_, width, height, _ = KINDS[kind]
    queries = {legend: expand(expression, window) for legend, expression in spec["queries"].items()}
    drawn = spec.get("alerts", [])
    lines = [threshold(rules, alert, queries.values()) for alert in drawn] if kind != "status" else []
    made = {"type": type_, "title": spec["title"], "datasource": SOURCE, **parts(spec, lines)}
    if "note" in spec:
        made["description"] = spec["note"]
    made["gridPos"] = {"w": spec.get("width", width), "h": spec.get("height", height)}
    made["links"] = [runbook(alert) for alert in drawn + spec.get("runbooks", [])]
    made["targets"] = [target(number, legend, expression, kind)
                       for number, (legend, expression) in enumerate(queries.items())]
    made["fieldConfig"]["defaults"].update(
        unit=spec.get("unit", "none"), thresholds={"mode": "absolute", "steps": steps(lines)})
    return made


def row(spec):
    return {"type": "row", "title": spec["title"], "collapsed": False, "panels": [],
            "gridPos": {"w": COLUMNS, "h": 1}}


def place(panels):
    """Numbers the panels and lets them flow from left to right, line by line."""
    x = y = height = 0
    for number, one in enumerate(panels, 1):
        grid = one["gridPos"]
        if x + grid["w"] > COLUMNS:
            x, y, height = 0, y + height, 0
        one["id"] = number
        grid.update(x=x, y=y)
        x, height = x + grid["w"], max(height, grid["h"])
    return panels


def variable(name, label, query):
    """A choice of several values of a label, all of them at first."""
    return {"type": "query", "name": name, "label": label, "datasource": SOURCE, "definition": query,
            "query": {"query": query, "refId": "StandardVariableQuery"}, "regex": "", "sort": 1, "refresh": 2,
            "multi": True, "includeAll": True, "hide": 0, "skipUrlSync": False, "options": [],
            "current": {"selected": True, "text": ["All"], "value": ["$__all"]}}


def variables(collectors):
    return [
        {"type": "datasource", "name": "datasource", "label": "Data source", "query": "prometheus", "regex": "",
         "multi": False, "includeAll": False, "hide": 0, "refresh": 1, "skipUrlSync": False, "options": [],
         "current": {}},
        variable("job", "Job", "label_values(datatier_target_up, job)"),
        variable("target", "Target", 'label_values(datatier_target_up{%s,collector=~"%s"}, target)'
                 % (SELECTOR, collectors)),
    ]


def firing(component):
    """Marks on all graphs of a dashboard while an alert fires.  Those that tell
    of something absent have no target."""
    return {"name": "Alerts that fire", "datasource": SOURCE, "enable": True, "hide": False, "iconColor": "red",
            "expr": 'ALERTS{alertstate="firing",job=~"$job|",target=~"$target|",component=~"%s"}' % component,
            "titleFormat": "{{alertname}}", "textFormat": "{{target}}", "tagKeys": "severity", "step": "30s"}


def dashboard(name, spec, rules):
    window, panels = spec.get("window", "$__rate_interval"), []
    for one in spec["rows"]:
        panels += [row(one)] + [panel(p, window, rules) for p in one["panels"]]
    link = {"tags": [], "icon": "external link", "tooltip": "", "url": "", "asDropdown": False,
            "targetBlank": False, "includeVars": False, "keepTime": False}
    return {
        "id": None, "uid": "datatier-" + name, "title": spec["title"], "tags": ["datatier"],
        "schemaVersion": 36, "version": 1, "editable": True, "graphTooltip": 1, "style": "dark",
        "timezone": "browser", "refresh": "30s", "time": {"from": "now-1h", "to": "now"}, "timepicker": {},
        "links": [dict(link, type="dashboards", title="Data tier", tags=["datatier"], keepTime=True),
                  dict(link, type="link", title="Runbooks", url=links.read()["RUNBOOKS"] + "/README.md",
                       targetBlank=True)],
        "annotations": {"list": [firing(spec["component"])] if "component" in spec else []},
        "templating": {"list": variables(spec["collectors"])},
        "panels": place(panels),
    }


def files():
    """{path: what stands there}"""
    with open(os.path.join(HERE, "panels.yml")) as text:
        specs = yaml.safe_load(text)
    rules = read_rules()
    return {os.path.join(HERE, name + ".json"):
            json.dumps(dashboard(name, spec, rules), indent=2) + "\n" for name, spec in specs.items()}


def main():
    try:
        made = files()
    except ValueError as why:
        sys.exit("generate.py: %s" % why)
    for path, text in made.items():
        with open(path, "w") as file:
            file.write(text)


if __name__ == "__main__":
    main()
