"""The table of the demo: every metric that the alert rules rely on, what it
says now, and whether it has moved."""
import time

import contract

# name -> what it comes from
FAMILIES = {name: row.source for name, row in contract.read().items()}


def family_values(page, name):
    """{series: value} of a family, a histogram's buckets included."""
    found = {}
    for suffix in ("", "_count", "_sum", "_bucket"):
        if page.types.get(name) == "histogram" or not suffix:
            found.update({(suffix, labels): v for labels, v in page.series(name + suffix).items()})
    return found


def number(value):
    if value == int(value):
        return "%d" % value
    return "%.3f" % value if abs(value) >= 1 else "%.2g" % value


def seconds(value):
    for unit, factor in (("s", 1), ("ms", 1e3)):
        if value * factor >= 1:
            return "%.1f %s" % (value * factor, unit)
    return "%.0f us" % (value * 1e6)


def say(page, name):
    """One family's values in a few words."""
    if page.types.get(name) == "histogram":
        count, total = page.total(name + "_count"), page.total(name + "_sum")
        unit = seconds if name.endswith("_seconds") else lambda bytes: "%.0f bytes" % bytes
        mean = ", mean " + unit(total / count) if count else ""
        return "%s observed%s, %d series" % (number(count), mean, len(page.series(name + "_count")))
    series = page.series(name)
    if len(series) == 1:
        return number(next(iter(series.values())))
    return "%s in %d series" % (number(sum(series.values())), len(series))


class Table:
    """Of all pages so far."""

    def __init__(self):
        self.first, self.moved = {}, set()
        self.page = self.began = None

    def seconds(self):
        """Since the first page."""
        return time.monotonic() - self.began

    def take(self, page):
        self.began = self.began or time.monotonic()
        self.page = page
        for name in FAMILIES:
            now = family_values(page, name)
            if now and self.first.setdefault(name, now) != now:
                self.moved.add(name)

    def missing(self):
        """The families that have no value."""
        return [name for name in FAMILIES if self.page is None or not family_values(self.page, name)]

    def still(self):
        """Those that have one, but always the same."""
        return [name for name in FAMILIES if name not in self.moved and name not in self.missing()]

    def row(self, name, source):
        if self.page is not None and family_values(self.page, name):
            return name, source, say(self.page, name), "yes" if name in self.moved else "no"
        return name, source, "NO VALUE", "-"

    def targets(self):
        if self.page is None:
            return "no scrape yet"
        return ", ".join("%s %s" % (labels["target"], "up" if value == 1 else "DOWN")
                         for labels, value in self.page.select("datatier_target_up"))

    def lines(self, columns=None):
        """Where they are too wide for so many columns: without where they come
        from, and the values last, to be cut."""
        rows = [("METRIC", "FROM", "VALUE", "MOVED")]
        rows += [self.row(name, source) for name, source in FAMILIES.items()]
        lines = self.aligned(rows)
        if columns and max(map(len, lines)) > columns:
            lines = self.aligned([(name, moved, value) for name, _, value, moved in rows])
        return lines

    @staticmethod
    def aligned(rows):
        widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
        return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip()
                for row in rows]
