"""Good sense about a rule, against what the exporter declares: which metrics
and labels it reads, which labels its result has, and the ways in which rules
fire never or always.

A result may come in several shapes, sets of labels, one for each side of an
`or`.  Labels that a scrape configuration adds pass through everything but
by() and on(), and are not in a shape.
"""
import re

import promql
import reference

# What each function wants in its first argument.
RATES = {"rate", "irate", "increase", "resets"}				# counters
SLOPES = {"delta", "idelta", "deriv", "predict_linear"}			# gauges
OVER_TIME = {"min_over_time", "max_over_time", "avg_over_time", "sum_over_time", "count_over_time",
             "last_over_time", "quantile_over_time", "changes"}
PLAIN = {"clamp_max", "clamp_min", "abs", "floor", "ceil", "round", "histogram_quantile", "label_replace"}

ACTION = re.compile(r"{{\s*(.*?)\s*}}", re.S)
FIELD = re.compile(r"\$labels\.(\w+)")


class Nonsense(Exception):
    """What is wrong with a rule, in a sentence."""


def merged(parts):
    return set().union(*parts)


class Checker:
    """recorded: {name of a recording rule: its shapes}."""

    def __init__(self, recorded=None):
        self.recorded = recorded or {}

    @staticmethod
    def alone(node):
        """What `up` has where each target is scraped by itself, when it is asked for."""
        return {label for label, _, _ in node.matchers} & reference.SCRAPED_ALONE if node.name == "up" else set()

    def selector(self, node):
        if node.name in self.recorded:
            shapes, closed = self.recorded[node.name], {}
        else:
            try:
                found, added = reference.metrics(node.name)
            except KeyError:
                raise Nonsense("there is no metric %s" % node.name) from None
            shapes = {frozenset(set(m.labels) | added | reference.SCRAPED | self.alone(node)) for m in found}
            closed = {label: merged(m.labels[label] or () for m in found if label in m.labels)
                      for m in found for label, values in m.labels.items() if values}
        for label, op, value in node.matchers:
            if not any(label in shape for shape in shapes):
                raise Nonsense("%s has no label %s" % (node.name, label))
            wanted = value.split("|") if op in ("=~", "!~") else [value]
            for word in wanted:
                if label in closed and word not in closed[label]:
                    raise Nonsense("%s of %s is never %s" % (label, node.name, word))
        return shapes

    def shapes(self, node):
        """The sets of labels that the result may have; None for a number."""
        if isinstance(node, (promql.Number, promql.String)):
            return None
        if isinstance(node, promql.Selector):
            return self.selector(node)
        if isinstance(node, promql.Aggregate):
            return self.aggregate(node)
        if isinstance(node, promql.Call):
            return self.call(node)
        return self.binary(node)

    def aggregate(self, node):
        inner = self.shapes(node.args[-1])
        for label in node.labels:
            if not any(label in shape | reference.SCRAPED_ALONE for shape in inner):
                raise Nonsense("%s (%s): there is no such label" % (node.grouping, label))
        if node.grouping == "by":
            return {shape & frozenset(node.labels) for shape in inner}
        return {shape - frozenset(node.labels) for shape in inner}

    def call(self, node):
        function, args = node.function, node.args
        if function == "absent":
            self.shapes(args[0])
            return {frozenset(label for label, op, _ in args[0].matchers if op == "=")}
        if function not in RATES | SLOPES | OVER_TIME | PLAIN:
            raise Nonsense("the function %s is not known here" % function)
        shapes = self.shapes(args[1 if function == "histogram_quantile" else 0])
        if function == "histogram_quantile":
            if not all("le" in shape for shape in shapes):
                raise Nonsense("histogram_quantile() without the label le")
            return {shape - {"le"} for shape in shapes}
        if function == "label_replace":
            return {shape | {args[1].value} for shape in shapes}
        return shapes

    def binary(self, node):
        left, right = self.shapes(node.left), self.shapes(node.right)
        if left is None or right is None:
            return left or right
        if node.op == "or":
            return left | right
        if node.matching == "on":
            wanted = frozenset(node.labels)
            if not any(wanted <= a for a in left) or not any(wanted <= b for b in right):
                raise Nonsense("on (%s): one side has no such labels" % ", ".join(node.labels))
            return left if node.op in promql.SETS else {wanted}
        ignored = frozenset(node.labels)
        met = {a for a in left if any(a - ignored == b - ignored for b in right)}
        if not met:
            raise Nonsense("the sides of %s have different labels and never match: %s against %s" % (
                node.op, sorted(map(sorted, left)), sorted(map(sorted, right))))
        if node.op == "/":
            self.part_of_itself(node, met, ignored)
        return met if node.op in promql.SETS else {a - ignored for a in met}

    @staticmethod
    def part_of_itself(node, shapes, ignored):
        """failed / all: with the label still there `all` is only the failed."""
        chosen, whole = ({n.name: {m[0] for m in n.matchers} for n in promql.walk(side)
                          if isinstance(n, promql.Selector)} for side in (node.left, node.right))
        for name, labels in chosen.items():
            for label in labels - whole.get(name, labels) - ignored:
                if any(label in shape for shape in shapes):
                    raise Nonsense("%s is divided by itself: %s is still there" % (name, label))


def kind(name):
    """counter or gauge, for recorded ones and numbers too: gauge."""
    try:
        found, _ = reference.metrics(name)
    except KeyError:
        return "gauge"
    return "gauge" if found[0].type in ("gauge", "info") else "counter"


def bare_counters(node, covered=False):
    """Names of counters that are read without a rate.  Allowed is a new one,
    `x unless x offset 5m`, which has grown from 0."""
    if isinstance(node, promql.Selector):
        return [] if covered or kind(node.name) == "gauge" else [node.name]
    if isinstance(node, promql.Call) and node.function in RATES:
        return []
    if isinstance(node, promql.Binary) and node.op == "unless":
        names = {n.name for n in promql.walk(node.left) if isinstance(n, promql.Selector)}
        born = isinstance(node.right, promql.Selector) and node.right.offset and names == {node.right.name}
        covered = covered or born
    return [name for child in promql.children(node) for name in bare_counters(child, covered)]


def wrong_kinds(node):
    for call in promql.walk(node):
        if not isinstance(call, promql.Call) or call.function not in RATES | SLOPES:
            continue
        name = call.args[0].name
        wanted = "counter" if call.function in RATES else "gauge"
        if kind(name) != wanted:
            yield "%s() of the %s %s" % (call.function, kind(name), name)


def low_buckets(node):
    """Thresholds that the quantile of a histogram never gets above."""
    for test in promql.walk(node):
        if not isinstance(test, promql.Binary) or test.op not in promql.COMPARISONS:
            continue
        if not isinstance(test.right, promql.Number):
            continue
        quantiles = [n for n in promql.walk(test.left)
                     if isinstance(n, promql.Call) and n.function == "histogram_quantile"]
        for series in (n for q in quantiles for n in promql.walk(q) if isinstance(n, promql.Selector)):
            for metric in reference.metrics(series.name)[0]:
                if metric.bounds is None and test.op != ">=":
                    yield "%s: the buckets are the source's, only >= is sure to be reached" % metric.name
                if metric.bounds and test.right.value >= metric.bounds[-1]:
                    yield "%s: %g is not below the last bucket" % (metric.name, test.right.value)


def expression_faults(text, checker):
    """(shapes, sentences) of an expression."""
    tree = promql.parse(text)
    try:
        shapes = checker.shapes(tree)
    except Nonsense as fault:
        return set(), [str(fault)]
    faults = ["the counter %s is read without a rate" % name for name in bare_counters(tree)]
    return shapes, faults + list(wrong_kinds(tree)) + list(low_buckets(tree))


def empty_fields(template, shapes):
    """Labels in a template that may be empty where they stand: not in every
    shape that passes the conditions around them."""
    stack, found = [], []	# of (label, must be there)
    for action in ACTION.findall(template):
        word = action.split()[0]
        possible = [s for s in shapes if all((label in s) == there for label, there in stack)]
        if word in ("with", "if"):
            label = FIELD.fullmatch(action.split()[1])
            if not label:
                raise Nonsense("only a label can be a condition: %s" % action)
            stack.append((label.group(1), True))
        elif word == "else":
            stack.append((stack.pop()[0], False))
        elif word == "end":
            stack.pop()
        else:
            found += [label for label in FIELD.findall(action) if not all(label in s for s in possible)]
    return found
