"""One target that hangs costs nobody else anything; a worker process that dies
in the middle of a scrape costs one scrape of its own targets, and no counter
ever falls."""
import concurrent.futures
import os
import signal
import time
import unittest

import backend
import rig
import tap

TIME_LIMIT = 600

TEN = """targets = (
  { collector = "postgresql"; name = "pg"; uri = "%s"; },
  { collector = "postgresql"; name = "pool"; uri = "%s"; },
  { collector = "kafka"; name = "events"; brokers = "%s"; groups = "^chat-"; },
  %s );
"""
ONE_REDIS = '{ collector = "redis"; name = "cache%d"; uri = "redis://127.0.0.1:%d"; }'
COUNTING = ("_total", "_count", "_sum", "_bucket")


def names_of(page, target):
    """The metrics and label sets (of closed labels the values move) of a target."""
    return {name for name in page.names() if not name.startswith("datatier_")
            for labels in page.series(name) if ("target", target) in labels}


def failed_groups(page, target):
    return [labels for labels, value in page.select("datatier_group_success", target=target) if value == 0]


class Recovering(unittest.TestCase):
    def assertInFull(self, page, before, targets):
        for target in targets:
            self.assertEqual(page.value("datatier_target_up", target=target), 1, target)
            self.assertEqual(failed_groups(page, target), [])
            self.assertEqual(names_of(before, target) - names_of(page, target), set(), target)

    def assertNothingFell(self, pages):
        """No counter, over all the pages; of exporter and targets both."""
        highest = {}
        for page in pages:
            for name in page.names():
                if not name.endswith(COUNTING):
                    continue
                for labels, value in page.series(name).items():
                    self.assertGreaterEqual(value, highest.get((name, labels), 0), (name, labels))
                    highest[name, labels] = value
        self.assertGreater(len(highest), 20)

    def complete(self, exporter, before, targets, seconds=20, steady=0):
        """Scrapes until all is there again, and was for so many seconds."""
        end, pages, since = time.monotonic() + seconds, [], None
        while True:
            pages.append(exporter.scrape(timeout=5))
            try:
                self.assertInFull(pages[-1], before, targets)
                since = since or time.monotonic()
                if time.monotonic() - since >= steady:
                    return pages
            except AssertionError:
                since = None
                if time.monotonic() > end:
                    raise
            time.sleep(0.2)


class Stopped(Recovering):
    """One of ten targets gets SIGSTOP."""

    SCRAPE_SECONDS = 3

    @classmethod
    def setUpClass(cls):
        cls.backend = backend.Backend()
        cls.redis = [cls.backend.redis] + [rig.Redis() for _ in range(6)]
        caches = ",\n  ".join(ONE_REDIS % (i, redis.port) for i, redis in enumerate(cls.redis))
        cls.exporter = rig.Exporter(TEN % (cls.backend.pg.uri("monitor", "chat"),
                                           cls.backend.pool.uri("monitor", "pgbouncer"),
                                           cls.backend.kafka.bootstrap, caches))
        cls.targets = ["pg", "pool", "events"] + ["cache%d" % i for i in range(7)]
        cls.exporter.scrape()
        time.sleep(3)		# groups that tell of an interval have one now
        cls.before = cls.exporter.scrape()

    @classmethod
    def tearDownClass(cls):
        cls.exporter.stop()
        for redis in cls.redis:
            redis.stop()
        cls.backend.stop()

    def stopped(self, victim, server, steady=0):
        others = [name for name in self.targets if name != victim]
        self.complete(self.exporter, self.before, self.targets)
        workers = self.exporter.workers()
        server.signal(signal.SIGSTOP)
        try:
            pages = [self.exporter.scrape(timeout=self.SCRAPE_SECONDS) for _ in range(3)]
        finally:
            server.signal(signal.SIGCONT)
        for page in pages:
            self.assertLess(page.seconds, self.SCRAPE_SECONDS)
            self.assertInFull(page, self.before, others)
            self.assertEqual(page.value("datatier_target_up", target=victim), 0)
            self.assertEqual(names_of(page, victim), set())
        pages += self.complete(self.exporter, self.before, self.targets, steady=steady)
        self.assertNothingFell(pages)
        self.assertEqual(self.exporter.workers(), workers)

    def test_redis(self):
        self.stopped("cache3", self.redis[3])

    def test_postgresql(self):
        self.stopped("pg", self.backend.pg)

    def test_pgbouncer(self):
        self.stopped("pool", self.backend.pool)

    def test_kafka(self):
        if not self.backend.real_kafka:
            self.skipTest("the mock brokers share a process that cannot be told apart")
        # The broker takes itself for dead, and is without its groups for a while.
        self.stopped("events", self.backend.kafka, steady=5)


class Killed(Recovering):
    """Each kind of worker, while the answer of its server is on its way."""

    SLOW_MS = 250

    @classmethod
    def setUpClass(cls):
        cls.proxies = {}

        def slow(name, port):
            cls.proxies[name] = rig.DelayProxy(port)
            return cls.proxies[name].port
        cls.backend = backend.Backend(through={"SLOW": lambda port, broker: slow("kafka", port)})
        if not cls.backend.real_kafka:
            raise unittest.SkipTest("no real Kafka to be had")
        pg, redis = cls.backend.pg, cls.backend.redis
        uri = pg.uri("monitor", "chat").replace(":%d/" % pg.port, ":%d/" % slow("postgresql", pg.port))
        cls.exporter = rig.Exporter(TEN % (
            uri, cls.backend.pool.uri("monitor", "pgbouncer"), cls.backend.kafka.bootstrap_of("SLOW"),
            ONE_REDIS % (0, slow("redis", redis.port))))
        cls.targets = {"pg": "postgresql", "pool": "postgresql", "events": "kafka", "cache0": "redis"}

    @classmethod
    def tearDownClass(cls):
        cls.exporter.stop()
        for proxy in cls.proxies.values():
            proxy.stop()
        cls.backend.stop()

    def killed(self, collector, sig):
        others = [name for name, kind in self.targets.items() if kind != collector]
        pages = [self.exporter.scrape()]
        time.sleep(2)
        pages.append(self.exporter.scrape())
        before = pages[-1]
        restarts = before.value("datatier_worker_restarts_total", collector=collector)
        self.proxies[collector].ms = self.SLOW_MS
        try:
            with concurrent.futures.ThreadPoolExecutor(1) as pool:
                scrape = pool.submit(self.exporter.scrape, timeout=5)
                time.sleep(self.SLOW_MS / 1000)
                self.assertFalse(scrape.done())		# else nothing was interrupted
                os.kill(self.exporter.workers()[collector], sig)
                pages.append(scrape.result())
        finally:
            self.proxies[collector].ms = 0
        self.assertLess(pages[-1].seconds, 5)
        self.assertInFull(pages[-1], before, others)
        # What was interrupted may have been asked again of the next process,
        # which is started at most every second.
        time.sleep(1.5)
        pages.append(self.exporter.scrape())
        time.sleep(1.5)		# a rate needs some time between two collections
        pages += self.complete(self.exporter, before, self.targets, 0)
        self.assertEqual(pages[-1].value("datatier_worker_restarts_total", collector=collector), restarts + 1)
        self.assertNothingFell(pages)
        self.assertTrue(self.exporter.alive())

    def test_redis_by_sigkill(self):
        self.killed("redis", signal.SIGKILL)

    def test_redis_by_sigabrt(self):
        self.killed("redis", signal.SIGABRT)

    def test_postgresql_by_sigkill(self):
        self.killed("postgresql", signal.SIGKILL)

    def test_postgresql_by_sigabrt(self):
        self.killed("postgresql", signal.SIGABRT)

    def test_kafka_by_sigkill(self):
        self.killed("kafka", signal.SIGKILL)

    def test_kafka_by_sigabrt(self):
        self.killed("kafka", signal.SIGABRT)


if __name__ == "__main__":
    tap.main()
