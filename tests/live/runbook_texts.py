"""The runbooks as data: their headings, links, blocks of commands and queries."""
import glob
import os
import re

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
FOLDER = os.path.join(TOP, "config", "runbooks")
GUIDES = ("README", "CARDINALITY")
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.M | re.S)


class Text:
    """One file.  blocks: (language, what it holds) in order."""

    def __init__(self, path):
        self.path, self.name = path, os.path.basename(path)[:-len(".md")]
        with open(path) as file:
            self.text = file.read()
        self.blocks = BLOCK.findall(self.text)
        self.prose = BLOCK.sub("", self.text)

    def of(self, *languages):
        return [block for language, block in self.blocks if language in languages]

    def sections(self):
        """{heading of the second level: what stands under it}"""
        parts = re.split(r"^## (.+)\n", self.text, flags=re.M)
        return dict(zip(parts[1::2], parts[2::2]))

    def head(self):
        """(severity, component, for) as the line below the title has them."""
        found = re.match(r"# \w+\n\n(\w+), component (\w+), fires (at once|after \w+)\.\n\n## ", self.text)
        severity, component, hold = found.groups()
        return severity.lower(), component, hold.replace("at once", "0m").replace("after ", "")

    def anchors(self):
        """As GitHub and its like make them of the headings."""
        return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
                for heading in re.findall(r"^#+ (.+)$", self.prose, re.M)}


def texts():
    return [Text(path) for path in sorted(glob.glob(FOLDER + "/*.md"))]


def runbooks():
    return [text for text in texts() if text.name not in GUIDES]


def shell_lines(block):
    """The commands of a block, a line each."""
    return [line for line in block.splitlines() if line and not line.startswith("#")]
