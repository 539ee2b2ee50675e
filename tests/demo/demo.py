"""The demo: private servers on loopback, load on them, the exporter with its
shipped configuration, and a table of what it measures.

    demo.py [--seconds N]	without it: until Ctrl-C

Ends with status 1 when a family of this version has no value.  Nothing is left
behind, however it ends.
"""
import argparse
import os
import signal
import subprocess
import sys
import time
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "live"))
sys.path.insert(0, HERE)

import prometheus_server	# noqa: E402
import rig			# noqa: E402
import scratch			# noqa: E402
from table import Table		# noqa: E402

EVERY = 2			# seconds between two samples
TOPICS = ("messages", "receipts")
LOAD = os.path.join(rig.BUILD, "tests", "load")

SCHEMA = """
CREATE TABLE conversations (id int PRIMARY KEY, messages bigint NOT NULL DEFAULT 0)
	WITH (fillfactor = 50);
INSERT INTO conversations SELECT i FROM generate_series(0, 199) i;
CREATE TABLE messages (id bigserial PRIMARY KEY, conversation int NOT NULL, body text NOT NULL);
CREATE INDEX ON messages (conversation, id);
GRANT ALL ON ALL TABLES IN SCHEMA public TO app;
GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO app;
"""


class Stop(Exception):
    """Ctrl-C, SIGTERM, or the time is over."""


class Load(scratch.Server):
    name = "load"

    def __init__(self, *words):
        super().__init__()
        self.words = [str(word) for word in words]
        self.launch()

    def command(self):
        return [LOAD] + self.words


class MockKafka(Load):
    """librdkafka's own mock brokers, where no Java or no Maven is."""

    def __init__(self):
        super().__init__("kafka")
        self.bootstrap = rig.wait_for(lambda: self.log().strip(), "the mock Kafka serves", 20)


def start_postgres():
    pg = rig.Postgres(conf={"deadlock_timeout": "200ms", "temp_buffers": "1MB",
                            "track_io_timing": "on", "max_connections": 40})
    pg.psql("CREATE ROLE app LOGIN; CREATE ROLE monitor LOGIN CONNECTION LIMIT 5;"
            "GRANT pg_monitor TO monitor; CREATE DATABASE chat")
    pg.psql(SCHEMA, db="chat")
    for db in ("postgres", "chat"):
        pg.psql("CREATE EXTENSION pg_stat_statements", db=db)
    return pg


def start_kafka(say):
    try:
        kafka = rig.Kafka(conf={"log.retention.ms": 600000})
        for topic in TOPICS:
            kafka.create_topic(topic, partitions=4)
        say("Kafka        %s, a real Apache Kafka %s" % (kafka.bootstrap, kafka.version))
        return kafka, {}
    except (unittest.SkipTest, rig.RigError) as why:
        kafka = MockKafka()
        say("Kafka        %s, librdkafka's mock brokers, as no real one is to be had: %s"
            % (kafka.bootstrap, str(why).splitlines()[0]))
        # The mock cannot list its groups, so they are named.
        return kafka, {"DATATIER_KAFKA_GROUPS": "chat-delivery"}


def write_environment(values):
    """The environment file, as /etc/default/datatier-exporter would be."""
    path = os.path.join(rig.subdirectory("environment"), "datatier-exporter")
    with open(path, "w") as out:
        out.write("".join("%s=%s\n" % pair for pair in values.items()))
    return path


def read_environment(path):
    with open(path) as text:
        return dict(line.rstrip("\n").split("=", 1) for line in text)


def start_all(say):
    """The exporter, and the load that runs."""
    say("starting servers, load and exporter in %s ..." % rig.directory())
    pg = start_postgres()
    pool = rig.PgBouncer(pg, conf={"default_pool_size": 3}, users={"app": ""})
    say("PostgreSQL   127.0.0.1:%d, version %d; PgBouncer in front of it at %d"
        % (pg.port, pg.version(), pool.port))
    redis = rig.Redis({"maxmemory": "4mb", "maxmemory-policy": "allkeys-lru"})
    say("Redis        127.0.0.1:%d, version %s" % (redis.port, redis.info()["redis_version"]))
    kafka, more = start_kafka(say)
    values = {"DATATIER_POSTGRESQL_URI": pg.uri("monitor", "chat"),
              "DATATIER_PGBOUNCER_URI": pool.uri("monitor", "pgbouncer"),
              "DATATIER_REDIS_URI": redis.url,
              "DATATIER_KAFKA_BROKERS": kafka.bootstrap, **more}
    path = write_environment(values)
    exporter = rig.Exporter(env=read_environment(path))
    say("exporter     http://127.0.0.1:%d/ and /metrics, environment file %s" % (exporter.port, path))
    load = Load("work", pool.uri("app", "chat"), pg.uri("postgres", "chat"), redis.port, kafka.bootstrap)
    start_prometheus(exporter, say)
    return exporter, load


def start_prometheus(exporter, say):
    alertmanager = None
    try:
        alertmanager = prometheus_server.Alertmanager()
        say("Alertmanager http://127.0.0.1:%d/" % alertmanager.port)
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
        if self.terminal:
            lines = self.heads + ["", "targets: " + table.targets(), note, ""] + table.lines()
            print("\033[H\033[J" + "\n".join(lines), flush=True)

    def last(self, table):
        if not self.terminal:
            print("\ntargets: %s\n" % table.targets() + "\n".join(table.lines()))


def declared_metrics():
    done = subprocess.run([rig.BINARY, "--metrics"], stdout=subprocess.PIPE, text=True, check=True)
    return done.stdout


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


def run(seconds):
    screen, table = Screen(), Table(declared_metrics())
    try:
        exporter, load = start_all(screen.say)
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
    return 1 if table.missing() else 0


def on_signal(number, frame):
    raise Stop()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float)
    args = parser.parse_args()
    for sig in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(sig, on_signal)
    try:
        return run(args.seconds)
    except rig.RigError as error:
        print("demo: %s" % error, file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
