"""Runs the unittest classes of a program and prints TAP: a line per test with
its seconds, the reason of every skip, the plan at the end.  A program without
a plan has died.  Status 1 when something failed.

Every test has a time limit: 60 s, or what @tap.limit(seconds) says above the
test or its class.  SIGTERM and SIGINT end the program with its clean-ups.
"""
import faulthandler
import os
import signal
import sys
import time
import traceback
import unittest

DEFAULT_LIMIT = float(os.environ.get("TAP_LIMIT", "60"))
FIXTURE_LIMIT = 240	# for setUpClass and the like, between two tests
LAST_RESORT = 20	# after a limit that had no effect


class TooLong(Exception):
    """A test went past its limit."""


class Ended(KeyboardInterrupt):
    """SIGTERM or SIGINT: a KeyboardInterrupt, as unittest keeps the others."""


def limit(seconds):
    def mark(test):
        test.tap_limit = seconds
        return test
    return mark


def _limit_of(test):
    method = getattr(test, getattr(test, "_testMethodName", ""), None)
    return getattr(method, "tap_limit", getattr(test, "tap_limit", DEFAULT_LIMIT))


def _too_long(signum, frame):
    raise TooLong("over its time limit")


def _arm(seconds):
    signal.setitimer(signal.ITIMER_REAL, seconds)
    faulthandler.dump_traceback_later(seconds + LAST_RESORT, exit=True, file=sys.stderr)


class Result(unittest.TestResult):
    def __init__(self, tests):
        super().__init__()
        self.names = [t.id() for t in tests]
        self.told = set()
        self.number = self.failed = 0
        self.began = time.monotonic()

    def _say(self, name, ok, note="", why=""):
        self.number += 1
        self.told.add(name)
        self.failed += not ok
        print("%s %d - %s%s" % ("ok" if ok else "not ok", self.number,
                                name.replace("__main__.", "").replace("#", ""), note))
        for line in why.splitlines():
            print("# " + line)
        sys.stdout.flush()

    def _seconds(self):
        return " # time=%.3fs" % (time.monotonic() - self.began)

    def startTest(self, test):
        super().startTest(test)
        self.began = time.monotonic()
        _arm(_limit_of(test))

    def stopTest(self, test):
        super().stopTest(test)
        _arm(FIXTURE_LIMIT)

    def addSuccess(self, test):
        self._say(test.id(), True, self._seconds())

    def addFailure(self, test, err):
        why = "".join(traceback.format_exception(*err)) + _server_logs(self.began)
        for name in self._meant(test):
            self._say(name, False, self._seconds(), why)
            why = "as above"

    addError = addFailure

    def addSubTest(self, test, subtest, err):
        if err is not None:
            self.told.add(test.id())
            self._say(subtest.id(), False, self._seconds(),
                      "".join(traceback.format_exception(*err)) + _server_logs(self.began))

    def addSkip(self, test, reason):
        for name in self._meant(test):
            self._say(name, True, " # SKIP " + (" ".join(reason.split()) or "no reason given"))

    def addExpectedFailure(self, test, err):
        self._say(test.id(), False, "", "expected to fail: say why by a skip, or mend it")

    def addUnexpectedSuccess(self, test):
        self._say(test.id(), True, self._seconds())

    def _meant(self, test):
        """What failed may be the fixture of a class or module: then it stands
        for every test there that has not run."""
        name = test.id()
        if name in self.names:
            return [name]
        inside = name[name.find("(") + 1:].rstrip(")")
        rest = [n for n in self.names if n.startswith(inside + ".") and n not in self.told]
        return rest or [name]


def _server_logs(since):
    """The last lines of the logs written since then, for who reads a failure."""
    scratch = sys.modules.get("scratch")
    if scratch is None:
        return ""
    text, wall = "", time.time() - (time.monotonic() - since)
    for server in scratch.servers():
        if os.path.exists(server.log_path) and os.path.getmtime(server.log_path) >= wall:
            lines = server.tail(20 if server.name == "exporter" else 4).splitlines()
            text += "\n".join(["--- log of " + os.path.basename(server.dir)]
                              + [line[:300] for line in lines]) + "\n"
    return text


def _flat(suite):
    for item in suite:
        if isinstance(item, unittest.TestSuite):
            yield from _flat(item)
        else:
            yield item


def _load(words):
    """All tests of the program, or those whose name contains one of the words."""
    suite = unittest.defaultTestLoader.loadTestsFromModule(sys.modules["__main__"])
    tests = list(_flat(suite))
    if words:
        tests = [t for t in tests if any(w in t.id() for w in words)]
    return tests


def _end(signum, frame):
    raise Ended(signum)


def main():
    for sig in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(sig, _end)
    signal.signal(signal.SIGALRM, _too_long)
    tests = _load(sys.argv[1:])
    print("TAP version 13")
    result = Result(tests)
    status = 1
    try:
        _arm(FIXTURE_LIMIT)
        unittest.TestSuite(tests).run(result)
        for name in result.names:
            if name not in result.told:
                result._say(name, False, "", "did not run")
        print("1..%d" % result.number)
        status = 1 if result.failed or not result.number else 0
    except Ended as end:
        print("Bail out! ended by signal %s" % end.args[0])
        status = 128 + end.args[0]
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        faulthandler.cancel_dump_traceback_later()
        sys.stdout.flush()
    sys.exit(status)
