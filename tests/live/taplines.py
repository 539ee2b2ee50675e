"""Reads TAP as cmocka and tap.py print it."""
import re

PLAN = re.compile(r"^1\.\.(\d+)(?:\s*#\s*SKIP\s*(.*))?$", re.I)
TEST = re.compile(r"^(not )?ok\b\s*(\d+)?\s*(?:- )?(.*?)(?:\s*#\s*(.*)|$)")
SKIP = re.compile(r"^SKIP\S*\s*(.*)$", re.I)
TODO = re.compile(r"^TODO\b", re.I)


class Result:
    def __init__(self):
        self.passed = self.failed = 0
        self.skips = []		# (test, reason)
        self.faults = []	# sentences on the program as a whole

    def total(self):
        return self.passed + self.failed + len(self.skips)


class _Section:
    """What stands under one plan: cmocka prints one per group, before its
    tests; tap.py one for all, behind them."""

    def __init__(self, planned=None):
        self.planned, self.ran = planned, 0

    def complete(self):
        return self.planned is not None and self.ran >= self.planned


def parse(text):
    result, sections = Result(), []
    for line in text.splitlines():
        plan, test = PLAN.match(line), TEST.match(line)
        if plan:
            _plan(sections, int(plan.group(1)), result)
        elif test:
            if not sections or (sections[-1].complete() and test.group(2)):
                sections.append(_Section())
            _test(sections[-1], test, result)
        elif line.startswith("Bail out!"):
            result.faults.append(line)
    for section in sections:
        if section.planned is None:
            result.faults.append("no plan: it ended in the middle")
        elif section.planned != section.ran:
            result.faults.append("planned %d tests, ran %d" % (section.planned, section.ran))
    if not result.total():
        result.faults.append("ran no test")
    return result


def _plan(sections, planned, result):
    if sections and sections[-1].planned is None:
        sections[-1].planned = planned
    else:
        sections.append(_Section(planned))


def _test(section, match, result):
    bad, number, name, directive = match.groups()
    skip = SKIP.match(directive or "")
    if number is None and not bad:	# "ok - group", a line about others
        return
    if number != "0":			# 0: cmocka on a group's own set-up
        section.ran += number is not None
    reason = skip.group(1).strip() if skip else ""
    if skip and reason and not bad:
        result.skips.append((name, reason))
    elif skip:
        result.failed += 1
        result.faults.append("skipped without a reason: %s" % (name or reason))
    elif bad or TODO.match(directive or ""):
        result.failed += 1
    else:
        result.passed += 1
