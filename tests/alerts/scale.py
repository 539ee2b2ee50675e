"""The shipped rules and routing for who cannot wait that long: every time in
them divided by a factor, and nothing else changed.

    scale.py FACTOR FILE		prints the scaled file

A rule then says of a window that is so much shorter what it said of the whole
one.  What a function counts in its window is multiplied by the factor again, so
that "more than 100 in 5m" is the same pace in 20s, to which the 100 still fits;
rates, quantiles and ages are not about the window and stay as they are.
"""
import re
import sys

import yaml

UNITS = {"ms": 1, "s": 1000, "m": 60000, "h": 3600000, "d": 86400000, "w": 604800000, "y": 31536000000}
DURATION = r"(?:\d+(?:ms|[smhdwy]))+"
# What functions of a window give when the window gets shorter: less, or the same.
LESS = {"increase", "delta"}
SAME = {"rate", "deriv", "avg_over_time", "min_over_time", "max_over_time", "last_over_time",
        "present_over_time", "absent_over_time", "quantile_over_time"}
AHEAD = {"predict_linear"}	# their number is a time, too, in seconds
RULE_TIMES = ("for", "keep_firing_for")
ROUTE_TIMES = re.compile(r"\b((?:group_wait|group_interval|repeat_interval|resolve_timeout):\s*)(%s)" % DURATION)
TOKEN = re.compile(r"""(?x)
    (?P<text> "(?:\\.|[^"\\])*" | '(?:\\.|[^'\\])*' | `[^`]*` | \#[^\n]* )
    | (?P<window> \[ [^\]]* \] )
    | (?P<offset> \b offset \s+ -? (?:\d+(?:ms|[smhdwy]))+ )
    | (?P<call> [A-Za-z_]\w* \s* \( )
    | (?P<open> \( ) | (?P<close> \) )
    | [A-Za-z_:][\w:]* | (?P<number> \d+(?:\.\d+)? ) | .
    """, re.S)


def duration(text, factor):
    """5m -> 20s for a factor of 15; in milliseconds where it must be."""
    total = sum(int(number) * UNITS[unit] for number, unit in re.findall(r"(\d+)(ms|[smhdwy])", text))
    ms = round(total / factor)
    if total and not ms:
        raise ValueError("%s divided by %g is no time at all" % (text, factor))
    return "%dms" % ms if ms % 1000 else "%ds" % (ms // 1000)


def durations(text, factor):
    return re.sub(DURATION, lambda found: duration(found.group(), factor), text)


def expression(text, factor):
    """A PromQL expression.  A function of a window that is in neither list is an
    error: what it gives then is not known."""
    out, calls = [], []
    for token in TOKEN.finditer(text):
        word = token.group()
        if token.lastgroup in ("call", "open"):
            calls.append(word.rstrip("( \t\n"))
            if calls[-1] in LESS:
                word = "(" + word
        elif token.lastgroup == "close":
            if calls.pop() in LESS:
                word += " * %g)" % factor
        elif token.lastgroup == "window":
            if not calls or calls[-1] not in LESS | SAME | AHEAD:
                raise ValueError("a window in %s(): %s" % (calls[-1] if calls else "", text))
            word = durations(word, factor)
        elif token.lastgroup == "offset":
            word = durations(word, factor)
        elif token.lastgroup == "number" and calls and calls[-1] in AHEAD:
            word = "%g" % (float(word) / factor)
        out.append(word)
    return "".join(out)


def rules(text, factor):
    """A file of rules, recording rules included."""
    tree = yaml.safe_load(text)
    for group in tree["groups"]:
        if "interval" in group:
            group["interval"] = duration(group["interval"], factor)
        for rule in group["rules"]:
            rule["expr"] = expression(str(rule["expr"]), factor)
            for key in RULE_TIMES:
                if key in rule:
                    rule[key] = duration(rule[key], factor)
    return yaml.safe_dump(tree, sort_keys=False, width=1000)


def routing(text, factor):
    """Alertmanager's configuration; its comments stay."""
    return ROUTE_TIMES.sub(lambda found: found.group(1) + duration(found.group(2), factor), text)


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    with open(sys.argv[2]) as source:
        text = source.read()
    scale = rules if re.search(r"^groups:", text, re.M) else routing
    sys.stdout.write(scale(text, float(sys.argv[1])))


if __name__ == "__main__":
    main()
