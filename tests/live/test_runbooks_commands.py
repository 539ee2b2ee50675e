"""The commands and queries of the runbooks, executed as they are written: SQL by
psql, Redis' commands by redis-cli, the shell's with Kafka's own tools, PromQL by
Prometheus.  Their variables are those that README.md tells to set."""
import os
import re
import shlex
import signal
import subprocess
import unittest

import backend
import pager
import postgres_binaries
import prometheus_server
import redis_wheels
import rig
import runbook_texts
import scratch
import service
import tap

TIME_LIMIT = 600
TARGETS = {"database": "postgresql", "redis": "redis", "queue": "kafka"}	# by component
TOOLS = {
    "kafka-broker-api-versions.sh": "kafka.admin.BrokerApiVersionsCommand",
    "kafka-configs.sh": "kafka.admin.ConfigCommand",
    "kafka-console-consumer.sh": "org.apache.kafka.tools.consumer.ConsoleConsumer",
    "kafka-consumer-groups.sh": "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand",
    "kafka-get-offsets.sh": "org.apache.kafka.tools.GetOffsetShell",
    "kafka-log-dirs.sh": "org.apache.kafka.tools.LogDirsCommand",
}
# What only the exporter's own machine can answer, and the shell that it is asked in.
ELSEWHERE = ("systemctl", "journalctl", "set", "export")
PROGRAMS = ("kafka-", "amtool")	# that a test of their own executes
REDIS_7 = "LATENCY HISTOGRAM"


def blocks(*languages):
    """(where, the block), every one once."""
    seen = {}
    for text in runbook_texts.texts():
        for block in text.of(*languages):
            seen.setdefault(block, text.name)
    if not seen:
        raise AssertionError("no block of %s in the runbooks" % " or ".join(languages))
    return [(name, block) for block, name in seen.items()]


class SQL:
    """Mixed into a TestCase per version."""
    version = None

    def test_every_block(self):
        try:
            bindir = self.version and postgres_binaries.bindir(self.version)
        except postgres_binaries.Unavailable as why:
            self.skipTest(str(why))
        with rig.Postgres(bindir=bindir) as server:
            server.psql("CREATE EXTENSION pg_stat_statements")
            for name, block in blocks("sql"):
                if server.version() == 12:	# as the text says
                    block = block.replace("_exec_time", "_time")
                with self.subTest(name, block=block):
                    server.psql(block)


for _version in (None, *postgres_binaries.PINNED):
    _name = "PostgreSQL" + (_version or "").partition(".")[0]
    globals()[_name] = tap.limit(240)(type(_name, (SQL, unittest.TestCase), {"version": _version}))


class PgBouncer(unittest.TestCase):
    def test_every_block(self):
        with rig.Postgres() as server, rig.PgBouncer(server) as pool:
            for name, block in blocks("pgbouncer"):
                with self.subTest(name, block=block):
                    pool.psql(block, db="pgbouncer")


class Redis(unittest.TestCase):
    def execute(self, binary, version):
        with rig.Redis(binary=binary) as server:
            for name, block in blocks("redis"):
                for line in block.splitlines():
                    if version < 7 and line.startswith(REDIS_7):
                        continue
                    with self.subTest(name, line=line):
                        self.assertNotRegex(server.cli(*shlex.split(line)), "^(ERR|[A-Z]*NO[A-Z]+) ")

    def test_every_line(self):
        self.execute(None, 7)

    @tap.limit(180)
    def test_every_line_on_redis_6(self):
        self.execute(redis_wheels.server("redis-6.2.14"), 6)

    @tap.limit(180)
    def test_every_line_on_valkey(self):
        self.execute(redis_wheels.server("valkey-9.1.2"), 9)


class Everything(unittest.TestCase):
    """A whole backend under load, the exporter and Prometheus on it."""

    alertmanager = "http://127.0.0.1:1"	# only one test has one

    @classmethod
    def setUpClass(cls):
        cls.backend = backend.Backend()
        cls.addClassCleanup(cls.backend.stop)
        cls.chat = service.Service()
        cls.addClassCleanup(cls.chat.stop)
        cls.configured = dict(cls.backend.environment(), DATATIER_APPLICATION_URL=cls.chat.url,
                              DATATIER_KAFKA_TAIL_TOPICS="^messages$")
        cls.exporter = rig.Exporter(env=cls.configured)
        cls.addClassCleanup(cls.exporter.stop)
        cls.exporter.scrape()
        cls.tools = cls.make_tools()

    @classmethod
    def make_tools(cls):
        """A directory with the programs that are not in the PATH."""
        where = rig.subdirectory("tools")
        programs = {"datatier_exporter": [rig.BINARY]}
        if cls.backend.real_kafka:
            cls.backend.kafka.commit("chat-archive", "messages", {0: 0})
            java = cls.backend.kafka.brokers[0].java
            programs.update((tool, java(name)) for tool, name in TOOLS.items())
        for name, command in programs.items():
            with open(os.path.join(where, name), "w") as out:
                out.write("#!/bin/sh\nexec %s \"$@\"\n" % shlex.join(command))
            os.chmod(out.name, 0o755)
        return where

    def variables(self, component):
        """Those of README.md.  The group has no members, so that its offsets may be set."""
        return {"EXPORTER": "http://127.0.0.1:%d" % self.exporter.port,
                "TARGET": TARGETS.get(component, "application"),
                "GROUP": "chat-archive", "TOPIC": "messages",
                "DB": self.backend.pg.uri("postgres", "chat"), "POOL": self.backend.pool.admin_uri,
                "REDIS": self.backend.redis.url, "KAFKA": self.backend.kafka.bootstrap,
                "PAGE": self.chat.url, "ALERTMANAGER": self.alertmanager}

    def execute(self, line, component):
        """What it writes; it must end well and, by its last command, write something."""
        environment = dict(os.environ, **self.configured, **self.variables(component))
        environment["USER"] = "on-call"
        environment["PATH"] = self.tools + ":" + environment["PATH"]
        environment["DATATIER_CONFIG_FILE"] = self.exporter.config_path
        done = subprocess.run(["bash", "-o", "pipefail", "-c", line],
                              env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True, errors="replace", timeout=60,
                              cwd=self.tools)
        # head has enough before the others have said all: they end by SIGPIPE.
        good = (0, 128 + signal.SIGPIPE) if "| head" in line else (0,)
        self.assertIn(done.returncode, good, done.stdout + done.stderr)
        if "/dev/null" not in line:
            self.assertNotEqual(done.stdout.strip(), "", done.stderr)
        return done.stdout

    def check(self, program):
        """Every command with that program, or with none of PROGRAMS."""
        components = {text.name: text.head()[1] for text in runbook_texts.runbooks()}
        done = 0
        for name, block in blocks("sh"):
            for line in runbook_texts.shell_lines(block):
                first = line.split()[0].rstrip(";")
                if first in ELSEWHERE or next(filter(first.startswith, PROGRAMS), None) != program:
                    continue
                done += 1
                with self.subTest(name, line=line):
                    self.execute(line, components.get(name))
        self.assertGreater(done, 1)

    @tap.limit(120)
    def test_the_shell_commands(self):
        self.check(None)

    @tap.limit(240)
    def test_the_commands_of_kafka(self):
        if not self.backend.real_kafka:
            self.skipTest("no real Kafka can be started here")
        self.check("kafka-")

    def test_the_commands_of_amtool(self):
        with prometheus_server.Alertmanager(pager.Pager()) as server:
            self.alertmanager = "http://127.0.0.1:%d" % server.port
            self.check("amtool")

    def test_variables_are_those_of_the_readme(self):
        readme = next(text for text in runbook_texts.texts() if text.name == "README")
        told = {name for block in readme.of("sh") if block.startswith("export")
                for name in re.findall(r"(\w+)=", block)}
        self.assertEqual(told, set(self.variables(None)))

    @tap.limit(120)
    def test_every_query(self):
        """What parses can still fail: vectors that do not match one to one."""
        with prometheus_server.Prometheus(self.exporter.port) as prometheus:
            scratch.wait_for(lambda: len(prometheus.query("rate(datatier_scrapes_total[1m])")) > 0,
                             "two scrapes", 30, 0.5)
            queries = blocks("promql")
            self.assertGreater(len(queries), 37)
            for name, query in queries:
                with self.subTest(name, query=query):
                    prometheus.query(query)


if __name__ == "__main__":
    tap.main()
