"""Where runbooks and dashboards are served: read from links.conf, and written
into the annotations of the alerts.

    links.py	rewrites prometheus/rules/*.yml: only what stands before the last
		part of a URL, all else stays as it is
"""
import glob
import os
import re

HERE = os.path.dirname(os.path.abspath(__file__))
RULES = os.path.join(HERE, "prometheus", "rules", "*.yml")
# annotation: the setting that its URL begins with
ANNOTATIONS = {"runbook_url": "RUNBOOKS", "dashboard": "DASHBOARDS"}
LINE = re.compile(r'^(\s*(%s):\s*"?)[^"\s]*/([^/"\s]+"?\s*)$' % "|".join(ANNOTATIONS), re.M)


def read():
    """{"RUNBOOKS": base URL, "DASHBOARDS": base URL}"""
    with open(os.path.join(HERE, "links.conf")) as text:
        pairs = [line.strip().split("=", 1) for line in text if re.match(r"\w+=", line)]
    return {name: value.strip("\"'").rstrip("/") for name, value in pairs}


def rewritten(text, links):
    return LINE.sub(lambda m: m.group(1) + links[ANNOTATIONS[m.group(2)]] + "/" + m.group(3), text)


def main():
    links = read()
    for path in sorted(glob.glob(RULES)):
        with open(path) as file:
            text = file.read()
        with open(path, "w") as file:
            file.write(rewritten(text, links))


if __name__ == "__main__":
    main()
