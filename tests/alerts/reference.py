"""What the exporter declares, read from collectors/METRICS.md: every metric
with its type, its labels, their values where these are a closed set, and the
bounds of its buckets."""
import collections
import os
import re

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
METRICS = os.path.join(TOP, "collectors", "METRICS.md")
OWN = "exporter"		# the part about the exporter itself names the label target where it has it
SCRAPED = {"job", "instance"}	# what Prometheus adds to every series
SCRAPED_ALONE = {"target"}	# what `up`, too, has where each target is scraped by itself
SUFFIXES = {"_bucket": {"le"}, "_sum": set(), "_count": set()}

# labels: {name: set of values, or None where any is allowed}.
# bounds: of a histogram, None where they are those of the source.
Metric = collections.namedtuple("Metric", "name type labels bounds")

ROW = re.compile(r"^\| `(\w+)` \| (\w+) \| (.*?) \| (.*) \|$")
# `name` or `name` = value \| value
LABEL = re.compile(r"`(\w+)`(?: = ((?:[^`,]|\\\|)+))?")
BOUNDS = re.compile(r"Buckets: ([0-9. ]+)\.$")


def _labels(cell):
    return {name: set(values.strip().split(r" \| ")) | {"other"} if values else None
            for name, values in LABEL.findall(cell)}


def _read():
    declared = collections.defaultdict(list)
    declared["up"].append(Metric("up", "gauge", {}, None))	# Prometheus' own
    collector = None
    with open(METRICS) as text:
        for line in text:
            if line.startswith("## "):
                collector = line[3:].strip()
            found = ROW.match(line.rstrip("\n"))
            if not found:
                continue
            name, kind, labels, meaning = found.groups()
            labels = _labels(labels)
            if collector != OWN:
                labels["target"] = None
            bounds = BOUNDS.search(meaning)
            declared[name].append(Metric(name, kind, labels,
                                         [float(b) for b in bounds.group(1).split()] if bounds else None))
    return dict(declared)


DECLARED = _read()


def metrics(series):
    """The declarations behind the name of a series, which of a histogram has a
    suffix, and the labels that the suffix adds; KeyError when there are none.
    More than one where two collectors have the metric."""
    for suffix, added in SUFFIXES.items():
        base = series[:-len(suffix)]
        if series.endswith(suffix) and any(m.type == "histogram" for m in DECLARED.get(base, ())):
            return DECLARED[base], added
    found = DECLARED[series]
    if found[0].type == "histogram":
        raise KeyError(series)		# there is no series without a suffix
    return found, set()
