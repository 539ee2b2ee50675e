"""The shipped dashboards on a real Prometheus: executes every query as Grafana
would, and draws them, for people to look at.

    results = dashboards.execute(prometheus.port, begin, end)
    dashboards.errors(results), dashboards.empty(results)	sentences, [] when all is well
    dashboards.render(results, directory)			NAME.png for each; SkipTest without matplotlib
"""
import glob
import json
import math
import os
import re
import subprocess
import sys
import time
import unittest
from collections import namedtuple
from urllib.parse import urlencode

import prometheus_server

FOLDER = os.path.join(prometheus_server.SHIPPED, "grafana")

# What the demo has no data for, and why: (dashboard, title of the panel).
NOT_FED = {
    ("overview", "Alerts that fire"): "none may fire just now",
    ("database", "Replication lag"): "there is no standby",
    ("redis", "Replication lag"): "there is no replica",
    ("redis", "Reads seen for the shares of the prefixes"): "no key_prefixes are set",
    ("queue", "Messages that wait, by the time they have"): "none does while consumers are well",
    ("queue", "Messages lost to retention, and offsets that went back, in 5 minutes"): "none is, none does",
    ("queue", "Partitions in trouble"): "none is",
    ("messaging", "Fewer open connections than 5 minutes ago"): "it takes more than 5 minutes",
    ("exporter", "Groups that failed"): "none fails",
    ("exporter", "Rows refused in 10 minutes"): "none is refused",
    ("exporter", "Age of what is not read at every scrape"): "no group has an every",
}
NOT_FED_BY_MOCK_KAFKA = {
    ("queue", "Members of groups"): "mock brokers cannot list groups",
    ("queue", "States of groups"): "mock brokers cannot list groups",
}
SPECIAL = r"[\\^$*+?.()|{}\[\]]"		# what Grafana quotes in a value of a regular expression
# panel: as in the dashboard; series: [(labels, [(time, value)])]; error: Prometheus' words, or None.
Result = namedtuple("Result", "dashboard panel legend expression series error")


def load():
    """{"overview": the dashboard, ...}"""
    found = {}
    for path in sorted(glob.glob(FOLDER + "/*.json")):
        with open(path) as text:
            found[os.path.basename(path)[:-len(".json")]] = json.load(text)
    return found


# ---- executing ----

def get(port, path, **parameters):
    """What Prometheus answers: (data, error)."""
    answer = prometheus_server.ask(port, "/api/v1/%s?%s" % (path, urlencode(parameters)))
    return answer.get("data"), answer.get("error")


def replace(expression, values):
    """With the values of the variables: $name and ${name}."""
    return re.sub(r"\$(?:(\w+)|\{(\w+)\})", lambda m: values[m.group(1) or m.group(2)], expression)


def choose_all(port, dashboard, values):
    """Adds the dashboard's own variables, each with all that it can be, as a
    regular expression."""
    for one in dashboard["templating"]["list"]:
        if one["type"] == "query":
            series, label = re.fullmatch(r"label_values\((.*), (\w+)\)", one["query"]["query"]).groups()
            found, error = get(port, "label/%s/values" % label, **{"match[]": replace(series, values)})
            if error or not found:
                raise ValueError("%s: no value for $%s: %s" % (dashboard["uid"], one["name"], error))
            values[one["name"]] = "(%s)" % "|".join(re.sub(SPECIAL, r"\\\\\g<0>", value) for value in found)
    return values


def ask(port, expression, instant, begin, end, step):
    if instant:
        data, error = get(port, "query", query=expression, time=end)
    else:
        data, error = get(port, "query_range", query=expression, start=begin, end=end, step=step)
    if error:
        return [], error
    return [(one["metric"], [(float(t), float(v)) for t, v in one.get("values") or [one["value"]]])
            for one in data["result"]], None


def execute(port, begin, end, step=2, scrape=2):
    """A Result for each query of each dashboard, between these times; scrape:
    the seconds between two scrapes."""
    results = []
    for name, dashboard in load().items():
        values = choose_all(port, dashboard, {
            "__interval": "%ds" % step, "__range": "%ds" % (end - begin),
            "__rate_interval": "%ds" % max(step + scrape, 4 * scrape)})
        for panel in dashboard["panels"]:
            for query in panel.get("targets", []):
                expression = replace(query["expr"], values)
                series, error = ask(port, expression, query["instant"], begin, end, step)
                results.append(Result(name, panel, query["legendFormat"], expression, series, error))
        for mark in dashboard["annotations"]["list"]:
            expression = replace(mark["expr"], values)
            _, error = ask(port, expression, False, begin, end, step)
            results.append(Result(name, {"title": mark["name"]}, "", expression, [], error))
    return results


def errors(results):
    return ["%s / %s: %s: %s" % (r.dashboard, r.panel["title"], r.error, r.expression)
            for r in results if r.error]


def empty(results, mock_kafka=False):
    """The queries that should have data and have none."""
    allowed = {**NOT_FED, **(NOT_FED_BY_MOCK_KAFKA if mock_kafka else {})}
    return ["%s / %s / %s: no data: %s" % (r.dashboard, r.panel["title"], r.legend, r.expression)
            for r in results if "targets" in r.panel and (r.dashboard, r.panel["title"]) not in allowed
            and not any(math.isfinite(v) for _, points in r.series for _, v in points)]


# ---- drawing, in a process of its own ----

def render(results, directory):
    """The paths of the pictures.  The Python of the tests need not be the
    system's, which has the packages."""
    for python in (sys.executable, "/usr/bin/python3"):
        if subprocess.run([python, "-c", "import matplotlib"], stderr=subprocess.DEVNULL).returncode == 0:
            break
    else:
        raise unittest.SkipTest("python3-matplotlib is not installed")
    subprocess.run([python, os.path.abspath(__file__), directory], text=True, check=True,
                   input=json.dumps([r._asdict() for r in results]))
    return sorted(glob.glob(directory + "/*.png"))


SECOND = (("d", 86400), ("h", 3600), ("min", 60), ("s", 1), ("ms", 1e-3), ("µs", 1e-6))
BYTES = (("TiB", 2**40), ("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10), ("B", 1))
DECIMAL = ((" T", 1e12), (" G", 1e9), (" M", 1e6), (" k", 1e3), ("", 1))
SCALES = {"s": SECOND, "bytes": BYTES,
          "decbytes": [(name.strip() + "B", size) for name, size in DECIMAL],
          "Bps": [(name.strip() + "B/s", size) for name, size in DECIMAL]}
AFTER = {"ops": " ops/s", "cps": " c/s", "reqps": " req/s"}


def words(value, unit):
    """A value as Grafana would write it, about."""
    if not math.isfinite(value):
        return "NaN"
    if unit == "percentunit":
        return "%.3g%%" % (100 * value)
    scale = SCALES.get(unit, DECIMAL)
    name, size = next((s for s in scale if abs(value) >= s[1]), scale[-1] if value else ("", 1))
    return "%.4g%s%s" % (value / size, " " + name if name and unit in SCALES else name, AFTER.get(unit, ""))


def legend_of(result, labels):
    return re.sub(r"\{\{(\w+)\}\}", lambda m: labels.get(m.group(1), ""), result["legend"]).strip()


def broken(points, step):
    """With NaN where values are missing, so that no line goes across."""
    made = []
    for t, v in points:
        if made and t - made[-1][0] > 1.5 * step:
            made.append((t - step, math.nan))
        made.append((t, v))
    return made


def color_at(panel, value):
    steps = panel["fieldConfig"]["defaults"]["thresholds"]["steps"]
    return [s["color"] for s in steps if s["value"] is None or value >= s["value"]][-1]


def draw_timeseries(axes, panel, results):
    defaults = panel["fieldConfig"]["defaults"]
    lines = [(legend_of(r, labels), points) for r in results for labels, points in r["series"]]
    times = sorted({t for _, points in lines for t, _ in points})
    step = min((b - a for a, b in zip(times, times[1:])), default=1)
    if defaults["custom"]["stacking"]["mode"] == "normal":
        axes.stackplot(times, [[dict(points).get(t, 0) for t in times] for _, points in lines],
                       labels=[name for name, _ in lines], alpha=0.6)
    else:
        for name, points in lines:
            axes.plot(*zip(*broken(points, step)), label=name, linewidth=1, marker=".", markersize=2)
    low = min([0] + [v for _, points in lines for _, v in points if math.isfinite(v)])
    axes.set_ylim(1.05 * low, max(axes.get_ylim()[1], 1.05 * defaults["custom"].get("axisSoftMax", 0)))
    if defaults["custom"]["thresholdsStyle"]["mode"] == "line":
        for line in defaults["thresholds"]["steps"][1:]:
            if line["value"] <= axes.get_ylim()[1]:
                axes.axhline(line["value"], color=line["color"], linewidth=1.2, linestyle="--")
    axes.yaxis.set_major_formatter(lambda v, _: words(v, defaults["unit"]))
    axes.xaxis.set_major_formatter(lambda t, _: time.strftime("%H:%M:%S", time.localtime(t)))
    axes.tick_params(labelsize=6)
    axes.grid(alpha=0.3)
    if lines:
        axes.legend(fontsize=5.5, ncol=3, loc="upper left", bbox_to_anchor=(-0.02, -0.1), frameon=False)


def draw_stat(axes, panel, results):
    tiles = [(legend_of(r, labels), points[-1][1]) for r in results for labels, points in r["series"]]
    mappings = panel["fieldConfig"]["defaults"].get("mappings")
    for number, (name, value) in enumerate(tiles):
        text, color = words(value, panel["fieldConfig"]["defaults"]["unit"]), color_at(panel, value)
        if mappings:
            text, color = (mappings[0]["options"]["%d" % value][key] for key in ("text", "color"))
        left, width = number / len(tiles), 1 / len(tiles)
        axes.axvspan(left + 0.005, left + width - 0.005, color=color, alpha=0.35)
        axes.text(left + width / 2, 0.5, "%s\n%s" % (name, text), ha="center", va="center", fontsize=9)
    axes.set_xlim(0, 1)
    axes.axis("off")


def draw_table(axes, panel, results):
    names = panel["transformations"][0]["options"]["indexByName"]
    rows = sorted([labels.get(name, "") for name in names] for r in results for labels, _ in r["series"])
    for line, cells in enumerate([list(names)] + rows):
        for number, cell in enumerate(cells):
            axes.text(number / len(names) + 0.01, 0.93 - 0.1 * line, cell, fontsize=7, va="center",
                      weight="bold" if line == 0 else "normal")
    axes.axis("off")


DRAW = {"timeseries": draw_timeseries, "stat": draw_stat, "table": draw_table}
LINE, HEAD = 0.36, 0.4		# inches: of a step of the grid, of the dashboard's title


def draw(dashboard, results, path):
    from matplotlib import pyplot
    bottom = max(p["gridPos"]["y"] + p["gridPos"]["h"] for p in dashboard["panels"])
    height = LINE * bottom + HEAD
    figure = pyplot.figure(figsize=(20, height))
    figure.text(0.5, 1 - 0.6 * HEAD / height, "%s (%s)" % (dashboard["title"], dashboard["uid"]), ha="center")
    for panel in dashboard["panels"]:
        grid = panel["gridPos"]

        def up(steps):		# from the top of the panel, as a part of the figure
            return 1 - (HEAD + LINE * (grid["y"] + steps)) / height
        if panel["type"] == "row":
            figure.text(0.01, up(0.8), panel["title"], fontsize=12, weight="bold")
            continue
        foot = 2 if panel["type"] == "timeseries" else 0.3	# for the times and the legend
        axes = figure.add_axes([grid["x"] / 24 + 0.03, up(grid["h"] - foot), grid["w"] / 24 - 0.037,
                                LINE * (grid["h"] - foot - 1) / height])
        axes.set_title(panel["title"], fontsize=8)
        mine = [r for r in results if r["panel"].get("id") == panel["id"]]
        DRAW[panel["type"]](axes, panel, mine)
        if not any(r["series"] for r in mine):
            axes.text(0.5, 0.5, "no data", ha="center", transform=axes.transAxes, color="gray")
    figure.savefig(path, dpi=75)
    pyplot.close(figure)


def main():
    import matplotlib
    matplotlib.use("Agg")
    results = json.load(sys.stdin)
    for name, dashboard in load().items():
        draw(dashboard, [r for r in results if r["dashboard"] == name], "%s/%s.png" % (sys.argv[1], name))


if __name__ == "__main__":
    main()
