"""A page of samples, in text 0.0.4 or OpenMetrics, parsed strictly: what is not
allowed there is an error and not skipped over."""
import re

NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"')
ESCAPE = re.compile(r"\\(.)")
SUFFIXES = {"histogram": ("_bucket", "_sum", "_count"), "summary": ("", "_sum", "_count"),
            "counter": ("", "_total"), "info": ("_info",), "gauge": ("",), "unknown": ("",),
            "untyped": ("",)}


class PageError(Exception):
    pass


def _unescape(text):
    return ESCAPE.sub(lambda m: "\n" if m.group(1) == "n" else m.group(1), text)


def parse_labels(text, line):
    """text begins behind the brace.  (labels, what follows the brace)."""
    labels, at = {}, 0
    while not text.startswith("}", at):
        if labels:
            if text[at:at + 1] != ",":
                raise PageError("no comma between labels: %s" % line)
            at += 1
        found = LABEL.match(text, at)
        if not found or found.group(1) in labels:
            raise PageError("bad or repeated label: %s" % line)
        labels[found.group(1)] = _unescape(found.group(2))
        at = found.end()
    return labels, text[at + 1:]


def parse_sample(line):
    """(name, labels as frozenset of pairs, value)."""
    found = NAME.match(line)
    if not found:
        raise PageError("no metric name: %s" % line)
    rest, labels = line[found.end():], {}
    if rest.startswith("{"):
        labels, rest = parse_labels(rest[1:], line)
    words = rest.split(" # ")[0].split()
    if not rest.startswith(" ") or not 1 <= len(words) <= 2:
        raise PageError("no value, or too many: %s" % line)
    return found.group(), frozenset(labels.items()), float(words[0])


class Page:
    """What a scrape brought.  status, headers (lower-case names), seconds, raw
    (the bytes as sent), text; types, helps and units by family."""

    def __init__(self, text, status=200, headers=None, seconds=0.0, raw=b""):
        self.text, self.status, self.seconds = text, status, seconds
        self.headers, self.raw = headers or {}, raw
        self.types, self.helps, self.units = {}, {}, {}
        self._samples = {}	# name -> {labels: value}
        self._order, self._family = [], {}
        # Other pages than an exposition have no version.
        if status == 200 and "version=" in self.headers.get("content-type", "version="):
            self._parse()

    def _parse(self):
        lines = self.text.split("\n")
        if self.text and lines.pop() != "":
            raise PageError("the last line does not end")
        for number, line in enumerate(lines):
            if line == "# EOF":
                if number != len(lines) - 1:
                    raise PageError("# EOF is not the last line")
            elif line.startswith("# "):
                self._head(line)
            elif line:
                self._sample(line)

    def _head(self, line):
        words = line.split(" ", 3)
        table = {"TYPE": self.types, "HELP": self.helps, "UNIT": self.units}.get(words[1])
        if table is None:
            return
        if len(words) < 3 or words[2] in table:
            raise PageError("a head twice, or without a name: %s" % line)
        table[words[2]] = words[3] if len(words) > 3 else ""

    def _sample(self, line):
        name, labels, value = parse_sample(line)
        of_name = self._samples.setdefault(name, {})
        if labels in of_name:
            raise PageError("a series twice: %s" % line)
        of_name[labels] = value
        family = self._family.get(name) or self._family.setdefault(name, self.family(name))
        if not self._order or self._order[-1] != family:
            if family in self._order:
                raise PageError("a family in two places: %s" % family)
            self._order.append(family)

    def family(self, name):
        """The family that a sample's name belongs to."""
        for family, kind in self.types.items():
            if name.startswith(family) and name[len(family):] in SUFFIXES.get(kind, ("",)):
                if name == family or name not in self.types:
                    return family
        return name

    def names(self):
        return list(self._samples)

    def families(self):
        return list(self._order)

    def series(self, name):
        """{labels as frozenset of (name, value): value}; empty when there are none."""
        return dict(self._samples.get(name, {}))

    def select(self, name, **labels):
        """[(labels as dict, value)] of the series that have these labels."""
        wanted = set(labels.items())
        return [(dict(have), value) for have, value in self._samples.get(name, {}).items()
                if wanted <= have]

    def value(self, name, **labels):
        """The value of the one series that has these labels (it may have
        more); None when there is none; several are an error."""
        found = self.select(name, **labels)
        if len(found) > 1:
            raise PageError("%d series match %s%s" % (len(found), name, labels))
        return found[0][1] if found else None

    def total(self, name, **labels):
        """The sum over all series that have these labels."""
        return sum(value for _, value in self.select(name, **labels))

    def buckets(self, name, **labels):
        """[(upper bound, cumulative count)] of one histogram, rising."""
        found = [(float(have["le"]), value) for have, value in self.select(name + "_bucket", **labels)]
        if len({bound for bound, _ in found}) != len(found):
            raise PageError("several histograms match %s%s" % (name, labels))
        return sorted(found)
