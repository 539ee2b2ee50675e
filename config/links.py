"""Where runbooks and dashboards are served: read from links.conf, and written
into the annotations of the alerts.

    links.py	rewrites prometheus/rules/*.yml: only what stands before the last
		part of a URL, all else stays as it is
"""
import glob
import os
import re
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
RULES = os.path.join(HERE, "prometheus", "rules", "*.yml")
# annotation: the setting that its URL begins with
ANNOTATIONS = {"runbook_url": "RUNBOOKS", "dashboard": "DASHBOARDS"}
# What is no part of a template, of YAML or of a link in a chat.
BASE = re.compile(r"https?://[^\s\"'{}<>|\\$]+")
LINE = re.compile(r'^(\s*(%s):\s*"?)[^"\s]*/([^/"\s]+"?\s*)$' % "|".join(ANNOTATIONS), re.M)


def read(path=os.path.join(HERE, "links.conf")):
    """{"RUNBOOKS": base URL, "DASHBOARDS": base URL}"""
    with open(path) as text:
        pairs = [line.strip().split("=", 1) for line in text if re.match(r"\w+=", line)]
    found = {name: value.strip("\"'").rstrip("/") for name, value in pairs}
    for name, value in found.items():
        if not BASE.fullmatch(value):
            raise ValueError("links.conf: %s is no address of a folder: %s" % (name, value))
    return found


def rewritten(text, links):
    return LINE.sub(lambda m: m.group(1) + links[ANNOTATIONS[m.group(2)]] + "/" + m.group(3), text)


def main():
    try:
        links = read()
    except ValueError as why:
        sys.exit("links.py: %s" % why)
    for path in sorted(glob.glob(RULES)):
        with open(path) as file:
            text = file.read()
        with open(path, "w") as file:
            file.write(rewritten(text, links))


if __name__ == "__main__":
    main()
