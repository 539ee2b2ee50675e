"""From cause to page and back: real servers are brought into trouble, and it is
seen who is told, of what, with which links, and that it ends after the repair.

The rules and the routing are the shipped ones, with every time divided by FACTOR
(tests/alerts/scale.py).  Prints a table, and keeps it in build/alerting.txt; the
dashboards, drawn from the same run, are in build/dashboards/.
"""
import collections
import contextlib
import os
import signal
import sys
import threading
import time
import unittest

import backend
import dashboards
import pager
import prometheus_server
import rig
import scratch
import service
import tap

sys.path.insert(0, os.path.join(scratch.TOP, "tests", "alerts"))
import scale	# noqa: E402

TIME_LIMIT = 600
FACTOR = 15		# 5 minutes are 20 s
INTERVAL = 2		# between two scrapes
HEALTHY = 60		# seconds without an alert: longer than any scaled window and hold
PATIENCE = 180		# seconds for a cause to page and to resolve
TABLE = os.path.join(rig.BUILD, "alerting.txt")
PICTURES = os.path.join(rig.BUILD, "dashboards")
CONFIG = """
targets = (
  { collector = "postgresql"; name = "chat-db"; uri = "%(DATATIER_POSTGRESQL_URI)s"; },
  { collector = "postgresql"; name = "pool"; uri = "%(DATATIER_PGBOUNCER_URI)s"; },
  { collector = "redis"; name = "cache"; uri = "%(DATATIER_REDIS_URI)s"; },
  { collector = "redis"; name = "sessions"; uri = "%(sessions)s"; },
  { collector = "redis"; name = "limits"; uri = "%(limits)s"; },
  { collector = "kafka"; name = "events"; brokers = "%(DATATIER_KAFKA_BROKERS)s"; %(groups)s
    topics = "^(messages|receipts|archive)$"; tail_topics = "^(messages|receipts)$"; },
  { collector = "kafka"; name = "audit"; brokers = "%(DATATIER_KAFKA_BROKERS)s"; %(groups)s
    topics = "^audit$"; },
  { collector = "application"; name = "chat-api"; url = "%(service)s"; }
);
"""


@contextlib.contextmanager
def again_and_again(action, every=0.5):
    """Calls action until the end of the `with`."""
    over = threading.Event()

    def work():
        while not over.wait(every):
            action()
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


# ---- the causes: each holds as long as its `with` ----

@contextlib.contextmanager
def pool_at_its_limit(rigs):
    """Ten transactions are open and do nothing; two clients wait."""
    with contextlib.ExitStack() as stack:
        sessions = [stack.enter_context(rigs.backend.pool.session("postgres", "app")) for _ in range(12)]
        for session in sessions[:10]:
            session.execute("BEGIN; SELECT 1")
        for session in sessions[10:]:
            session.send("SELECT 1")
        yield


@contextlib.contextmanager
def slow_queries(rigs):
    with contextlib.ExitStack() as stack:
        for _ in range(3):
            session = stack.enter_context(rigs.backend.pg.session("chat"))
            for _ in range(100):
                session.send("DELETE FROM expired WHERE pg_sleep(1.5) IS NULL")
        yield


def cold_cache(rigs):
    return again_and_again(lambda: rigs.backend.redis.cli("FLUSHALL"))


@contextlib.contextmanager
def full_cache(rigs):
    """3 MB for ever more sessions; in the end there is room again."""
    def sign_in():
        numbers = [time.monotonic_ns() + i for i in range(50)]
        rigs.sessions.cli(input="".join("SET session:%d %s\n" % (n, "s" * 20000) for n in numbers))
    with again_and_again(sign_in):
        yield
    rigs.sessions.cli("FLUSHALL")


@contextlib.contextmanager
def stopped(server):
    server.signal(signal.SIGSTOP)
    try:
        yield
    finally:
        server.signal(signal.SIGCONT)


def stalled_consumer(rigs):
    return stopped(rigs.archivist)


def burst(rigs):
    return backend.Program("kafka_tool", rigs.backend.kafka.bootstrap, "produce", "audit", 0, 30000)


def server_stopped(rigs):
    return stopped(rigs.limits)


@contextlib.contextmanager
def exporter_stopped(rigs):
    rigs.exporter.stop()
    try:
        yield
    finally:
        rigs.exporter.start()


# receivers: who must be told.  besides: what else may be said of the target, as
# it follows from the cause.
Cause = collections.namedtuple("Cause", "name hold alert target receivers besides")
CAUSES = [
    Cause("pool at its limit", pool_at_its_limit, "DatabaseConnectionPoolExhausted", "pool",
          "pagerduty chat-database", ""),
    Cause("slow queries", slow_queries, "DatabaseQueryDurationHigh", "chat-db", "chat-database", ""),
    Cause("cold cache", cold_cache, "RedisLowCacheHitRate", "cache", "chat-redis", ""),
    Cause("full cache", full_cache, "RedisHighEvictionRate", "sessions", "chat-redis", "RedisMemoryNearLimit"),
    Cause("stalled consumer", stalled_consumer, "ConsumerGroupStalled", "events", "pagerduty chat-queue",
          "QueueLagIncreasing MessageQueueBacklogAccumulating"),
    Cause("message burst", burst, "GlobalMessageRateBurst", "audit", "chat-queue", ""),
    Cause("server stopped", server_stopped, "DatatierTargetDown", "limits", "pagerduty chat-exporter", ""),
]
LAST = Cause("exporter stopped", exporter_stopped, "DatatierExporterDown", None, "pagerduty chat-exporter", "")
ON_KAFKA = ("stalled consumer", "message burst")


class Row:
    """How it went with one cause.  seconds: until the last receiver was told."""

    def __init__(self, cause):
        self.cause = cause
        self.began = self.seconds = self.repaired = self.resolved = None
        self.held = contextlib.ExitStack()

    def begin(self, rigs):
        self.began = time.monotonic()
        self.held.enter_context(self.cause.hold(rigs))

    def told(self, found, state):
        """The time when all receivers had been told of that state."""
        firsts = [[n.when for n in found(receiver=name, state=state, alert=self.cause.alert,
                                         target=self.cause.target) if n.when > self.began]
                  for name in self.cause.receivers.split()]
        return max(first[0] for first in firsts) if all(firsts) else None

    def look(self, found):
        """Repairs once everybody was told; true when the end was told, too."""
        if self.seconds is None:
            when = self.told(found, "firing")
            if when:
                self.seconds = when - self.began
                self.repaired = time.monotonic()
                self.held.close()
        elif self.resolved is None:
            when = self.told(found, "resolved")
            if when:
                self.resolved = when - self.repaired
        return self.resolved is not None

    def line(self):
        cause = self.cause

        def number(seconds):
            return "not seen" if seconds is None else "%.0f s" % seconds
        return "%-18s %-32s %-9s %-9s %-25s %s" % (
            cause.name, cause.alert, cause.target or "-", number(self.seconds),
            cause.receivers.replace(" ", ", "), number(self.resolved))


HEAD = "%-18s %-32s %-9s %-9s %-25s %s" % ("CAUSE", "ALERT", "TARGET", "TO PAGE", "RECEIVERS", "RESOLVED AFTER")


@tap.limit(PATIENCE + 60)
class Alerting(unittest.TestCase):
    """The tests run in the order of their numbers."""

    @classmethod
    def setUpClass(cls):
        cls.rows = {}
        cls.pager = pager.Pager()
        cls.backend = backend.Backend(lambda line: print("# " + line), calm=True)
        cls.backend.pg.psql("CREATE TABLE expired AS SELECT 1 AS id", db="chat")
        cls.sessions = rig.Redis({"maxmemory": "3mb", "maxmemory-policy": "allkeys-lru"})
        cls.limits = rig.Redis()
        cls.service = service.Service(200)
        groups = ""
        if cls.backend.real_kafka:
            for topic in ("archive", "audit"):
                cls.backend.kafka.create_topic(topic)
            brokers = cls.backend.kafka.bootstrap
            cls.writer = backend.Program("kafka_tool", brokers, "produce", "archive", 0, 10)
            cls.archivist = backend.Program("kafka_tool", brokers, "consume", "chat-archive", "archive", 0, 0, 200)
        else:		# the mock brokers do not list their groups
            groups = 'group_names = "chat-delivery";'
        cls.exporter = rig.Exporter(CONFIG % dict(
            cls.backend.environment(), sessions=cls.sessions.url, limits=cls.limits.url,
            service=cls.service.url, groups=groups))
        cls.alertmanager = prometheus_server.Alertmanager(cls.pager, lambda text: scale.routing(text, FACTOR))
        # Prometheus looks for its targets 5 s after its start, which is longer than
        # the scaled DatatierExporterDown waits: nobody listens until then.
        cls.alertmanager.stop()
        cls.prometheus = prometheus_server.Prometheus(
            cls.exporter.port, cls.alertmanager, "%ds" % INTERVAL, lambda text: scale.rules(text, FACTOR))
        rig.wait_for(lambda: cls.prometheus.query("up == 1") and not cls.prometheus.query("ALERTS"),
                     "the exporter is scraped", 30, 0.5)
        cls.alertmanager.start()
        cls.began, cls.began_monotonic = time.time(), time.monotonic()

    @classmethod
    def tearDownClass(cls):
        lines = [HEAD] + [row.line() for row in cls.rows.values()]
        print("".join("# %s\n" % line for line in lines), end="")
        lines += ["", "All that was told, seconds after the beginning:"]
        lines += ["%5.0f  %-13s  %-8s  %-32s  %s" % (n.when - cls.began_monotonic, n.receiver, n.state, n.alert,
                                                    n.target or "-") for n in cls.pager.notices]
        with open(TABLE, "w") as out:
            out.write("".join(line + "\n" for line in lines))

    # ---- nothing is wrong ----

    def test_1_nothing_fires_while_all_is_well(self):
        time.sleep(self.began + HEALTHY - time.time())
        self.assertEqual([labels for labels, _ in self.prometheus.query("datatier_target_up == 0")], [])
        self.assertEqual(len(self.prometheus.query("datatier_target_up")), CONFIG.count("name ="))
        fired = self.prometheus.query('count_over_time(ALERTS{alertstate="firing"}[%ds])' % HEALTHY)
        self.assertEqual([labels for labels, _ in fired], [])
        self.assertEqual(self.pager.notices, [])

    # ---- something is ----

    def run_causes(self, causes):
        """All at once, each with a target of its own."""
        rows = [Row(cause) for cause in causes]
        type(self).rows.update({row.cause.name: row for row in rows})
        end = time.monotonic() + PATIENCE
        try:
            for row in rows:
                row.begin(self)
            while not all([row.look(self.pager.found) for row in rows]) and time.monotonic() < end:
                time.sleep(0.1)
        finally:
            for row in rows:
                row.held.close()

    def annotations(self, alert):
        """Those of the rule, as Prometheus has it."""
        groups = prometheus_server.ask(self.prometheus.port, "/api/v1/rules")["data"]["groups"]
        return next(rule["annotations"] for group in groups for rule in group["rules"] if rule["name"] == alert)

    def check(self, cause):
        if cause.name in ON_KAFKA and not self.backend.real_kafka:
            self.skipTest("no real Kafka could be started")
        if cause.name not in self.rows:
            self.run_causes([one for one in CAUSES if one.name not in ON_KAFKA or self.backend.real_kafka]
                            if cause in CAUSES else [cause])
        row = self.rows[cause.name]
        self.assertIsNotNone(row.seconds, "nobody was told:\n" + row.line())
        self.assertIsNotNone(row.resolved, "its end was not told:\n" + row.line())
        notices = self.pager.found(alert=cause.alert, target=cause.target)
        self.assertEqual({n.receiver for n in notices}, set(cause.receivers.split()))
        links = self.annotations(cause.alert)
        self.assertTrue(links["runbook_url"].endswith("/%s.md" % cause.alert))
        self.assertEqual({(n.runbook, n.dashboard) for n in notices}, {(links["runbook_url"], links["dashboard"])})
        self.assertIn(cause.target or "exporter", notices[0].text)
        self.assertEqual(len({n.key for n in notices if n.receiver == "pagerduty"}),
                         cause.receivers.count("pagerduty"))

    # ---- what was seen of it ----

    def test_3_nothing_else_was_told(self):
        wanted = {(alert, cause.target) for cause in CAUSES
                  for alert in [cause.alert] + cause.besides.split()}
        self.assertEqual({(n.alert, n.target) for n in self.pager.notices} - wanted, set())
        self.assertEqual(self.pager.faults, [])

    def test_3_everything_that_was_told_has_ended(self):
        def still():
            last = {(n.receiver, n.alert, n.target): n.state for n in list(self.pager.notices)}
            return [key for key, state in last.items() if state != "resolved"]
        rig.wait_for(lambda: not still(), "the end of all is told", 90, 0.5)

    def results(self):
        if not hasattr(Alerting, "found"):
            Alerting.found = dashboards.execute(self.prometheus.port, self.began, time.time(), INTERVAL, INTERVAL)
        return self.found

    def test_4_no_query_of_a_dashboard_is_an_error(self):
        self.assertGreater(len(self.results()), 50)
        self.assertEqual(dashboards.errors(self.results()), [])

    def test_4_every_panel_has_data(self):
        """That the servers here can feed."""
        self.assertEqual(dashboards.empty(self.results(), mock_kafka=not self.backend.real_kafka), [])

    def test_4_the_dashboards_are_drawn(self):
        os.makedirs(PICTURES, exist_ok=True)
        pictures = dashboards.render(self.results(), PICTURES)
        self.assertEqual(len(pictures), len(dashboards.load()))

    def test_5_exporter_stopped(self):
        self.check(LAST)


for one in CAUSES:
    setattr(Alerting, "test_2_" + one.name.replace(" ", "_"), lambda self, one=one: self.check(one))

if __name__ == "__main__":
    tap.main()
