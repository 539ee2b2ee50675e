"""The metric contract, collectors/CONTRACT.md, and others of its form."""
import collections
import os
import re

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
CONTRACT = os.path.join(TOP, "collectors", "CONTRACT.md")
ROW = re.compile(r"^\| (\w+) \| (gauge|counter|histogram) \| (.*?) \| (.*?) \|")

# labels: {name: set of values, or None where the contract names none}.
Row = collections.namedtuple("Row", "type labels source")


def labels(cell):
    """Of "database, reason = pool, lock; status": ; ends a list of values."""
    found = {}
    if cell in ("-", "none but target"):
        return found
    for part in cell.split(";"):
        names, _, values = part.partition("=")
        *opened, last = [name.strip() for name in names.split(",")]
        found.update(dict.fromkeys(opened))
        found[last] = {value.strip() for value in values.split(",")} if values else None
    return found


def read(path=CONTRACT):
    """{name: Row}, in order."""
    with open(path) as text:
        rows = [found.groups() for found in map(ROW.match, text) if found]
    return {name: Row(kind, labels(cell), source) for name, kind, cell, source in rows}
