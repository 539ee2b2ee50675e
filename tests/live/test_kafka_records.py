"""Records that the Kafka collector reads, against a real Apache Kafka: what is
said of sizes, keys and deliveries is what was produced, what was not seen is
told, and the broker is not asked for more than was allowed."""
import os
import random
import subprocess
import time
import unittest

import rig
import tap

TIME_LIMIT = 600
TOOL = os.path.join(rig.BUILD, "tests", "kafka_tool")
BOUNDS = (100, 1e3, 1e4, 1e5, 1e6, 5e6, 1e7, 5e7)


def produce(kafka, topic, lines, partition=-1, codec="none", how="plain", timeout=60):
    """Lines are (size, key) or (size, key, sent, path)."""
    text = "".join(" ".join(map(str, line)) + "\n" for line in lines)
    subprocess.run([TOOL, kafka.bootstrap, "records", topic, str(partition), codec, how], check=True,
                   input=text, text=True, stdout=subprocess.DEVNULL, timeout=timeout)


def cumulative(sizes):
    return [sum(size <= bound for size in sizes) for bound in BOUNDS] + [len(sizes)]


def heavy(count, seed=1):
    """Sizes with a long tail."""
    chance = random.Random(seed)
    return [min(int(200 * chance.paretovariate(0.9)), 300000) for _ in range(count)]


class Case(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.proxies = []

        def through(port, _):
            cls.proxies.append(rig.DelayProxy(port, 0))
            return cls.proxies[-1].port
        cls.kafka = rig.Kafka(conf={"log.cleaner.backoff.ms": 200, "message.max.bytes": 70000000,
                                    "socket.request.max.bytes": 200000000},
                              through={"COUNTED": through})
        cls.addClassCleanup(cls.kafka.stop)

    def setUp(self):
        self.topic = self.id().rpartition(".")[2].replace("test_", "")[:60]

    def exporter(self, more, kafka=None, bootstrap=None):
        text = ('targets = ( { collector = "kafka"; name = "events"; brokers = "%s";'
                ' topics = "^%s"; %s } );\n'
                % (bootstrap or (kafka or self.kafka).bootstrap, self.topic, more))
        exporter = rig.Exporter(text)
        self.addCleanup(exporter.stop)
        return exporter

    def tailing(self, more="", partitions=1, **named):
        """An exporter that has seen where the logs end."""
        self.kafka.create_topic(self.topic, partitions, conf=named.pop("conf", None))
        exporter = self.exporter('tail_topics = "."; ' + more, **named)
        exporter.scrape()
        return exporter

    def seen(self, page):
        return page.value("queue_records_seen_total", topic=self.topic)

    def produced(self, page):
        return page.value("queue_messages_produced_total", topic=self.topic)

    def until_seen(self, exporter, count, seconds=30):
        def look():
            page = exporter.scrape()
            return page if self.seen(page) == count else None
        try:
            return rig.wait_for(look, "%d records are seen" % count, seconds)
        except Exception:
            print("# seen", self.seen(exporter.scrape()), flush=True)
            raise

    def sizes(self, page):
        found = dict(page.buckets("message_size_bytes", topic=self.topic))
        return [found[bound] for bound in BOUNDS] + [found[float("inf")]]


class Tail(Case):
    def check_sizes(self, codec):
        exporter = self.tailing(partitions=3)
        sizes = heavy(3000) + [0, 100, 101, 262144, 262145, 1048577, 5242881, 12000000]
        produce(self.kafka, self.topic, [(size, "k") for size in sizes], codec=codec)
        page = self.until_seen(exporter, len(sizes))
        self.assertEqual(self.sizes(page), cumulative(sizes))
        self.assertEqual(page.value("message_size_bytes_sum", topic=self.topic), sum(sizes))
        self.assertEqual(self.produced(page), len(sizes))
        over = {c: page.value("oversized_message_total", topic=self.topic, size_category=c)
                for c in ("medium", "large", "huge")}
        self.assertEqual(over, {
            "medium": sum(262144 < s <= 1048576 for s in sizes),
            "large": sum(1048576 < s <= 5242880 for s in sizes),
            "huge": sum(5242880 < s for s in sizes)})

    def test_sizes_are_exact(self):
        self.check_sizes("none")

    def test_sizes_are_exact_with_compression(self):
        self.check_sizes("lz4")

    def test_what_was_there_before_is_not_read(self):
        self.kafka.create_topic(self.topic)
        produce(self.kafka, self.topic, [(10, "k")] * 50)
        exporter = self.exporter('tail_topics = ".";')
        exporter.scrape()
        produce(self.kafka, self.topic, [(10, "k")] * 7)
        page = self.until_seen(exporter, 7)
        time.sleep(1)
        self.assertEqual(self.seen(exporter.scrape()), 7)
        self.assertEqual(self.produced(page), 7)

    def test_own_bounds_of_oversized_messages(self):
        exporter = self.tailing("oversized_medium = 10; oversized_large = 20; oversized_huge = 30;")
        produce(self.kafka, self.topic, [(size, "k") for size in range(1, 41)])
        page = self.until_seen(exporter, 40)
        for category, count in (("medium", 10), ("large", 10), ("huge", 10)):
            self.assertEqual(page.value("oversized_message_total", size_category=category), count)

    def test_users_with_a_high_rate(self):
        exporter = self.tailing("key_limit = 100; key_window = \"1h\";", partitions=4)
        chance = random.Random(3)
        keys = ["loud-%d" % (i % 6) for i in range(6 * 150)]
        keys += ["edge"] * 100 + ["above"] * 101
        keys += ["quiet-%d" % chance.randrange(3000) for _ in range(9000)]
        chance.shuffle(keys)
        produce(self.kafka, self.topic, [(10, key) for key in keys] + [(10, "-")] * 500)
        page = self.until_seen(exporter, len(keys) + 500)
        self.assertEqual(page.value("high_rate_users_total"), 7)
        for text in (page.text, exporter.log(), rig.fetch(exporter.port, "/").text):
            self.assertNotIn("loud-", text)

    def test_a_window_begins_anew(self):
        exporter = self.tailing("key_limit = 10; key_window = \"2s\";")
        for count in (1, 2):
            produce(self.kafka, self.topic, [(10, "loud")] * 40)
            self.until_seen(exporter, 40 * count)
            time.sleep(2.2)
        found = exporter.scrape().value("high_rate_users_total")
        # Where a window ends among the messages they count in both.
        self.assertIn(found, (2, 3, 4))

    def test_deliveries_by_headers(self):
        exporter = self.tailing('header_sent_at = "sent-at"; header_delivery_path = "path";')
        page = exporter.scrape()
        self.assertEqual(page.select("message_total_delivery_latency_seconds_count")[0][1], 0)
        now = time.time()
        produce(self.kafka, self.topic,
                [(10, "k", "%.3f" % (now - 3), "direct")] * 4
                + [(10, "k", "%d" % ((now - 20) * 1000), "queue_consumed")] * 3
                + [(10, "k", "%d" % ((now - 100) * 1e9), "broadcast")] * 2
                + [(10, "k", "%d" % (now * 1e6), "carrier-pigeon")]
                + [(10, "k", "yesterday", "direct"), (10, "k")])
        page = self.until_seen(exporter, 12)
        name = "message_total_delivery_latency_seconds"
        counts = {have["delivery_path"]: value for have, value in page.select(name + "_count")}
        self.assertEqual(counts, {"direct": 4, "queue_consumed": 3, "broadcast": 2, "other": 1})
        for path, age in (("direct", 3), ("queue_consumed", 20), ("broadcast", 100)):
            mean = page.value(name + "_sum", delivery_path=path) / counts[path]
            self.assertTrue(age - 0.1 < mean < age + 5, (path, mean))

    def test_records_without_the_header_are_told_of(self):
        exporter = self.tailing('header_sent_at = "send-at";')
        produce(self.kafka, self.topic, [(10, "k", time.time(), "direct")])
        page = self.until_seen(exporter, 1)
        self.assertEqual(page.select("message_total_delivery_latency_seconds_count"), [])
        self.assertIn("header_sent_at", rig.fetch(exporter.port, "/").text)

    def test_transactions(self):
        """Their markers are offsets, but no records; aborted records are both."""
        exporter = self.tailing()
        produce(self.kafka, self.topic, [(10, "k")] * 20, how="commit", partition=0)
        produce(self.kafka, self.topic, [(10, "k")] * 30, how="abort", partition=0)
        page = self.until_seen(exporter, 50)
        self.assertEqual(self.produced(page), 52)
        time.sleep(1)
        self.assertEqual(self.seen(exporter.scrape()), 50)

    def test_topic_deleted_and_created_again(self):
        exporter = self.tailing(partitions=2)
        produce(self.kafka, self.topic, [(10, "k")] * 20)
        self.until_seen(exporter, 20)
        self.kafka.delete_topic(self.topic)
        self.assertEqual(exporter.scrape().select("queue_records_seen_total"), [])
        self.kafka.create_topic(self.topic, 3)
        rig.wait_for(lambda: self.seen(exporter.scrape()) == 0, "it is there again", 20)
        for count in range(1, 4):
            produce(self.kafka, self.topic, [(10, "k")] * 30)
            page = self.until_seen(exporter, 30 * count)
            self.assertEqual(self.produced(page), 30 * count)

    def test_created_again_between_two_scrapes(self):
        exporter = self.tailing()
        produce(self.kafka, self.topic, [(10, "k")] * 200)
        self.until_seen(exporter, 200)
        self.kafka.delete_topic(self.topic)
        self.kafka.create_topic(self.topic)
        produce(self.kafka, self.topic, [(10, "k")] * 5)
        rig.wait_for(lambda: self.produced(exporter.scrape()) == 200, "its log began again", 20)
        time.sleep(1)
        before = self.seen(exporter.scrape())
        produce(self.kafka, self.topic, [(10, "k")] * 9)
        page = self.until_seen(exporter, before + 9)
        self.assertEqual(self.produced(page), 209)

    def test_partitions_that_are_added(self):
        exporter = self.tailing()
        self.kafka.run_tool("kafka.admin.TopicCommand", "--alter", "--topic", self.topic,
                            "--partitions", 3)
        rig.wait_for(lambda: exporter.scrape().value("queue_partitions") == 3, "they are seen", 20)
        produce(self.kafka, self.topic, [(10, "k%d" % i) for i in range(300)])
        self.until_seen(exporter, 300)

    def test_compaction_is_not_missed(self):
        """A record that is read at once is seen, whatever is done to it later."""
        exporter = self.tailing(conf={"cleanup.policy": "compact", "segment.ms": 100,
                                      "min.cleanable.dirty.ratio": "0.01"})
        for _ in range(3):
            produce(self.kafka, self.topic, [(10, "same")] * 50 + [(-1, "same")])
            time.sleep(0.4)
        page = self.until_seen(exporter, 153)
        self.assertEqual(self.sizes(page)[0], 153)

    @tap.limit(200)
    def test_rate_is_bounded_and_the_rest_is_told(self):
        """20 MB come at once, of which 256 kB a second may be read."""
        rate = 262144
        exporter = self.tailing("read_bytes_per_second = %d;" % rate, partitions=2,
                                bootstrap=self.kafka.bootstrap_of("COUNTED"))
        time.sleep(1)
        exporter.scrape()
        proxy, began = self.proxies[0], time.monotonic()
        proxy.reset()
        for _ in range(10):
            produce(self.kafka, self.topic, [(1000, "k%d" % i) for i in range(2000)])
            time.sleep(2)
            page = exporter.scrape()
        took = time.monotonic() - began
        self.assertEqual(self.produced(page), 20000)
        read = proxy.bytes_down
        print("# %d bytes in %.1f s, %.0f a second; %d of 20000 records seen"
              % (read, took, read / took, self.seen(page)), flush=True)
        self.assertLess(read, 1.2 * rate * (took + 3))
        self.assertGreater(self.seen(page), 0.2 * rate * took / 1000)
        self.assertLess(self.seen(page), 1.2 * rate * (took + 2) / 1000)
        self.assertEqual(page.value("message_size_bytes_count"), self.seen(page))
        # Then it is where the log ends again.
        before = rig.wait_for(lambda: self.at_rest(exporter), "it has caught up", 90)
        produce(self.kafka, self.topic, [(1000, "late")] * 10)
        self.until_seen(exporter, before + 10)

    def at_rest(self, exporter):
        before = self.seen(exporter.scrape())
        time.sleep(12)		# a batch of 1 MB from each partition takes 8 s to be paid for
        return before if self.seen(exporter.scrape()) == before else None


class Sample(Case):
    def test_count_is_what_was_produced(self):
        self.kafka.create_topic(self.topic, 3)
        produce(self.kafka, self.topic, [(size, "k%d" % i) for i, size in enumerate(heavy(3000))])
        exporter = self.exporter('sample_topics = ".";')
        exporter.scrape()
        time.sleep(1)		# the shape of what was there before
        before, sizes = [0] * 9, []
        for i in range(8):
            more = heavy(2000, 10 + i)
            produce(self.kafka, self.topic, [(size, "k%d" % n) for n, size in enumerate(more)])
            sizes += more
            page = exporter.scrape()
            now = self.sizes(page)
            self.assertEqual(page.value("message_size_bytes_count"), len(sizes))
            self.assertEqual(self.produced(page), len(sizes))
            self.assertTrue(all(a <= b for a, b in zip(before, now)), (before, now))
            before = now
            time.sleep(0.7)
        exporter.scrape()
        page = exporter.scrape()
        truth = cumulative(sizes)
        error = max(abs(a - b) / len(sizes) for a, b in zip(self.sizes(page), truth))
        print("# error of the cumulative distribution %.3f, %d of %d records seen"
              % (error, self.seen(page), len(sizes)), flush=True)
        self.assertLess(error, 0.06)
        self.assertLess(self.seen(page), 2000)
        self.assertGreater(self.seen(page), 900)
        self.assertEqual(page.select("oversized_message_total"), [])
        self.assertEqual(page.select("high_rate_users_total"), [])
        self.assertIn("tail_topics", rig.fetch(exporter.port, "/").text)

    def test_few_messages_are_exact(self):
        self.kafka.create_topic(self.topic, 2)
        exporter = self.exporter('sample_topics = ".";')
        exporter.scrape()
        sizes = [50, 500, 5000, 50, 500, 7]
        produce(self.kafka, self.topic, [(size, "k%d" % i) for i, size in enumerate(sizes)])
        exporter.scrape()
        page = self.until_seen(exporter, len(sizes))
        self.assertEqual(self.sizes(page), cumulative(sizes))
        self.assertEqual(page.value("message_size_bytes_sum"), sum(sizes))
        time.sleep(1)
        self.assertEqual(self.seen(exporter.scrape()), len(sizes))

    def test_little_is_read(self):
        self.kafka.create_topic(self.topic, 2)
        exporter = self.exporter('sample_topics = ".";',
                                 bootstrap=self.kafka.bootstrap_of("COUNTED"))
        exporter.scrape()
        time.sleep(1)
        produce(self.kafka, self.topic, [(1000, "k%d" % i) for i in range(20000)])
        self.proxies[0].reset()
        exporter.scrape()
        time.sleep(2)
        page = exporter.scrape()
        read = self.proxies[0].bytes_down
        print("# %d bytes read of 20 MB, %d records" % (read, self.seen(page)), flush=True)
        self.assertEqual(self.seen(page), 100)
        self.assertLess(read, 7000000)	# whole batches, of 1 MB each

    def test_tail_goes_before_sample(self):
        for name in ("-a", "-b", "-c"):
            self.kafka.create_topic(self.topic + name)
        exporter = self.exporter('sample_topics = "-[ab]$"; tail_topics = "-b$";')
        page = exporter.scrape()
        self.assertEqual({have["topic"] for have, _ in page.select("queue_records_seen_total")},
                         {self.topic + "-a", self.topic + "-b"})
        self.assertEqual({have["topic"] for have, _ in page.select("oversized_message_total")},
                         {self.topic + "-b"})


class Life(Case):
    def test_off_nothing_is_opened(self):
        self.kafka.create_topic(self.topic)
        bootstrap = self.kafka.bootstrap_of("COUNTED")
        connections = {}
        for more in ("", 'tail_topics = ".";'):
            self.proxies[0].reset()
            exporter = self.exporter(more, bootstrap=bootstrap)
            for _ in range(3):
                page = exporter.scrape()
                time.sleep(0.5)
            connections[more] = self.proxies[0].connections
            if not more:
                for name in ("message_size_bytes_count", "queue_records_seen_total",
                             "oversized_message_total", "high_rate_users_total"):
                    self.assertEqual(page.select(name), [], name)
            exporter.stop()
        print("# connections", connections, flush=True)
        self.assertGreater(connections['tail_topics = ".";'], connections[""])

    def test_no_group_and_no_commit(self):
        exporter = self.tailing()
        produce(self.kafka, self.topic, [(10, "k")] * 20)
        self.until_seen(exporter, 20)
        groups = self.kafka.run_tool("kafka.admin.ConsumerGroupCommand", "--list").split()
        self.assertNotIn("datatier_exporter", groups)

    def test_broker_restart_loses_nothing(self):
        with rig.Kafka() as kafka:
            kafka.create_topic(self.topic, 2)
            exporter = self.exporter('tail_topics = ".";', kafka)
            exporter.scrape()
            produce(kafka, self.topic, [(10, "k%d" % i) for i in range(100)])
            self.until_seen(exporter, 100)
            kafka.stop()
            self.assertEqual(exporter.scrape().value("datatier_target_up"), 0)
            kafka.start()
            produce(kafka, self.topic, [(10, "k%d" % i) for i in range(100)])
            page = self.until_seen(exporter, 200)
            self.assertEqual(self.produced(page), 200)


if __name__ == "__main__":
    tap.main()
