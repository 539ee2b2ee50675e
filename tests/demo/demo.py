"""The demo: private servers on loopback, load on them, the exporter with its
shipped configuration, and a table of what it measures.

    demo.py [--seconds N] [--mock-kafka]	without seconds: until Ctrl-C

Ends with status 1 when a family has no value after 20 s.  Nothing is left
behind, however it ends.
"""
import argparse
import os
import shutil
import signal
import sys
import time
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "live"))
sys.path.insert(0, HERE)

import backend			# noqa: E402
import pager			# noqa: E402
import prometheus_server	# noqa: E402
import rig			# noqa: E402
import service			# noqa: E402
from table import Table		# noqa: E402

EVERY = 2			# seconds between two samples
CONVERSATIONS = 10000		# each a series on the sample service's own page
PAGES = ("exporter", "Prometheus")
SETTLED = 20			# seconds after which every family has a value
class Stop(Exception):
    """Ctrl-C, SIGTERM, or the time is over."""


def write_environment(values):
    """The environment file, as /etc/default/datatier-exporter would be."""
    path = os.path.join(rig.subdirectory("environment"), "datatier-exporter")
    with open(path, "w") as out:
        out.write("".join("%s=%s\n" % pair for pair in values.items()))
    return path


def read_environment(path):
    with open(path) as text:
        return dict(line.rstrip("\n").split("=", 1) for line in text)


def start_all(say, mock_kafka):
    """The exporter, and the backend that it watches."""
    say("starting servers, load and exporter in %s ..." % rig.directory())
    watched = backend.Backend(say, mock_kafka)
    chat = service.Service(CONVERSATIONS)
    say("service      %s, a sample, with %d series of ws_active_connections" % (chat.url, CONVERSATIONS))
    path = write_environment(dict(watched.environment(), DATATIER_APPLICATION_URL=chat.url,
                                  DATATIER_KAFKA_TAIL_TOPICS="^(%s)$" % "|".join(backend.TOPICS)))
    exporter = rig.Exporter(env=read_environment(path))
    say("exporter     http://127.0.0.1:%d/ and /metrics, environment file %s" % (exporter.port, path))
    start_prometheus(exporter, say)
    return exporter, watched.load


def start_prometheus(exporter, say):
    alertmanager = None
    try:
        stand_in = pager.Pager()
        alertmanager = prometheus_server.Alertmanager(stand_in)
        say("Alertmanager http://127.0.0.1:%d/, what it would send: %s/" % (alertmanager.port, stand_in.url))
    except unittest.SkipTest as why:
        say("no Alertmanager: %s" % why)
    try:
        prometheus = prometheus_server.Prometheus(exporter.port, alertmanager)
        say("Prometheus   http://127.0.0.1:%d/" % prometheus.port)
    except unittest.SkipTest as why:
        say("no Prometheus: %s" % why)


class Screen:
    """On a terminal the table is drawn again and again; elsewhere it comes
    once, at the end."""

    def __init__(self):
        self.terminal = sys.stdout.isatty()
        self.heads = []

    def say(self, line):
        self.heads.append(line)
        print(line, flush=True)

    def draw(self, table, note):
        if not self.terminal:
            return
        columns, room = shutil.get_terminal_size()
        room -= 1
        rows = table.lines(columns)
        heads = self.heads + ["", "targets: " + table.targets(), note, ""]
        if len(heads) + len(rows) > room:	# where to look is worth more than what runs
            heads = [head for head in self.heads if head.startswith(PAGES)] + heads[-3:-1]
        lines = heads + rows
        if len(lines) > room:
            lines[room - 1:] = ["... %d more at the end, or on a taller terminal" % (len(lines) - room + 1)]
        print("\033[H\033[J" + "\n".join(line[:columns] for line in lines), flush=True)

    def last(self, table):
        print("%s\ntargets: %s\n" % ("\033[H\033[J" if self.terminal else "", table.targets())
              + "\n".join(table.lines()))


def watch(exporter, load, screen, table, seconds):
    began = time.monotonic()
    while seconds is None or time.monotonic() - began < seconds:
        if not load.alive() or not exporter.alive():
            raise rig.RigError("%s ended:\n%s" % ((exporter, load)[exporter.alive()].name,
                                                  (exporter, load)[exporter.alive()].tail()))
        page = exporter.scrape()
        if page.status != 200:
            raise rig.RigError("the exporter answers %d: %s" % (page.status, page.text[:200]))
        table.take(page)
        screen.draw(table, "scraped in %.0f ms, %s" % (
            page.seconds * 1000, "ends by Ctrl-C" if seconds is None else
            "ends in %d s" % max(0, seconds - (time.monotonic() - began))))
        time.sleep(EVERY)


def run(seconds, mock_kafka):
    screen, table = Screen(), Table()
    try:
        exporter, load = start_all(screen.say, mock_kafka)
        watch(exporter, load, screen, table, seconds)
    except Stop:
        pass
    signal.signal(signal.SIGINT, signal.SIG_IGN)	# the clean-up is under way
    screen.last(table)
    if table.page is None:
        print("ended before the first scrape")
        return 0
    for name in table.still():
        print("did not move: %s" % name)
    for name in table.missing():
        print("no value: %s" % name)
    if table.missing() and table.seconds() < SETTLED:
        print("ended after %d s, before every family can have a value" % table.seconds())
        return 0
    return 1 if table.missing() else 0


def on_signal(number, frame):
    raise Stop()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float)
    parser.add_argument("--mock-kafka", action="store_true", help="do not look for a real one")
    args = parser.parse_args()
    for sig in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(sig, on_signal)
    try:
        return run(args.seconds, args.mock_kafka)
    except rig.RigError as error:
        print("demo: %s" % error, file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
