"""Reads PromQL into a tree, as much of it as rules need.  What it does not
know is a SyntaxError, never skipped."""
import collections
import re

Number = collections.namedtuple("Number", "value at")		# at: (start, end) in the text
String = collections.namedtuple("String", "value")
Selector = collections.namedtuple("Selector", "name matchers range offset")
Call = collections.namedtuple("Call", "function args")
Aggregate = collections.namedtuple("Aggregate", "function grouping labels args")	# grouping: by, without
Binary = collections.namedtuple("Binary", "op left right matching labels")	# matching: on, ignoring, None

AGGREGATES = {"sum", "min", "max", "avg", "count", "topk", "bottomk", "quantile", "group", "stddev", "stdvar"}
COMPARISONS = {"==", "!=", ">", "<", ">=", "<="}
SETS = {"and", "or", "unless"}
# From the loosest to the tightest; all bind to the left.
PRECEDENCE = [{"or"}, {"and", "unless"}, COMPARISONS, {"+", "-"}, {"*", "/", "%"}]
TOKEN = re.compile(r"""
    (?P<blank>(?:\s|\#.*)+)
  | (?P<duration>(?:[0-9]+(?:ms|[smhdwy]))+)
  | (?P<number>(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)
  | (?P<string>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')
  | (?P<name>[a-zA-Z_:][a-zA-Z0-9_:]*)
  | (?P<op>=~|!~|==|!=|>=|<=|[-+*/%<>=(){}\[\],])
""", re.X)

Token = collections.namedtuple("Token", "kind text at")


def tokens(text):
    """The tokens of the text, without what is blank."""
    at, found = 0, []
    while at < len(text):
        match = TOKEN.match(text, at)
        if not match:
            raise SyntaxError("not understood: %s" % text[at:at + 30])
        if match.lastgroup != "blank":
            found.append(Token(match.lastgroup, match.group(), match.span()))
        at = match.end()
    return found


class _Parser:
    def __init__(self, text):
        self.tokens, self.next = tokens(text) + [Token("end", "", (len(text), len(text)))], 0

    def peek(self):
        return self.tokens[self.next]

    def take(self, *wanted):
        token = self.peek()
        if wanted and token.text not in wanted and token.kind not in wanted:
            raise SyntaxError("%s expected, not %s" % (" or ".join(wanted), token.text or "the end"))
        self.next += 1
        return token

    def accept(self, *wanted):
        return self.take() if self.peek().text in wanted else None

    def names(self):
        """( a, b )"""
        self.take("(")
        found = []
        while not self.accept(")"):
            found.append(self.take("name").text)
            self.accept(",")
        return found

    def expression(self, level=0):
        if level == len(PRECEDENCE):
            return self.operand()
        left = self.expression(level + 1)
        while self.peek().text in PRECEDENCE[level]:
            op = self.take().text
            matching = self.accept("on", "ignoring")
            labels = self.names() if matching else []
            right = self.expression(level + 1)
            left = Binary(op, left, right, matching and matching.text, labels)
        return left

    def operand(self):
        token = self.take("(", "number", "string", "name")
        if token.text == "(":
            inner = self.expression()
            self.take(")")
            return inner
        if token.kind == "number":
            return Number(float(token.text), token.at)
        if token.kind == "string":
            return String(token.text[1:-1])
        if token.text in AGGREGATES:
            return self.aggregate(token.text)
        if self.peek().text == "(":
            return Call(token.text, self.arguments())
        return self.selector(token.text)

    def aggregate(self, function):
        before = self.accept("by", "without")
        labels = self.names() if before else []
        args = self.arguments()
        after = None if before else self.accept("by", "without")
        if after:
            labels = self.names()
        grouping = before or after
        return Aggregate(function, grouping.text if grouping else "by", labels, args)

    def arguments(self):
        self.take("(")
        found = []
        while not self.accept(")"):
            found.append(self.expression())
            if self.peek().text != ")":
                self.take(",")
        return found

    def selector(self, name):
        matchers, width, offset = [], None, None
        if self.accept("{"):
            while not self.accept("}"):
                label, op = self.take("name").text, self.take("=", "!=", "=~", "!~").text
                matchers.append((label, op, self.take("string").text[1:-1]))
                self.accept(",")
        if self.accept("["):
            width = self.take("duration").text
            self.take("]")
        if self.accept("offset"):
            offset = self.take("duration").text
        return Selector(name, matchers, width, offset)


def parse(text):
    parser = _Parser(text)
    tree = parser.expression()
    parser.take("end")
    return tree


def children(node):
    if isinstance(node, Binary):
        return [node.left, node.right]
    return node.args if isinstance(node, (Call, Aggregate)) else []


def walk(node):
    yield node
    for child in children(node):
        yield from walk(child)
