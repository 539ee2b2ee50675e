"""The Kafka collector against a real Apache Kafka: our numbers are those of
Kafka's own tool, and what vanishes, goes back, is deleted or lost is told for
what it is."""
import html
import os
import re
import subprocess
import threading
import time
import unittest

import rig
import tap

TIME_LIMIT = 600
TOOL = os.path.join(rig.BUILD, "tests", "kafka_tool")
SECRET = "Sw0rdfish-Tr0mbone"


def config(bootstrap, more=""):
    return ('targets = ( { collector = "kafka"; name = "events"; brokers = "%s"; %s } );\n'
            % (bootstrap, more))


def words(exporter):
    """What the page for people says."""
    return html.unescape(rig.fetch(exporter.port, "/").text)


class Running:
    """A kafka_tool in the background."""

    def __init__(self, *args):
        self.process = subprocess.Popen([TOOL, *map(str, args)], stdin=subprocess.DEVNULL,
                                        stdout=subprocess.PIPE, text=True, cwd=rig.directory())

    def assigned(self):
        line = self.process.stdout.readline()
        assert line.startswith("assigned"), line
        return self

    def end(self):
        """Its last words as {name: number or {...}}."""
        self.process.terminate()
        out = self.process.communicate(timeout=30)[0]
        assert self.process.returncode == 0, out
        ages = {float(bound): int(count) for bound, count in re.findall(r"age (\S+) (\d+)", out)}
        found = re.search(r"(?:consumed|produced) (\d+)", out)
        return {"count": int(found.group(1)), "ages": ages}

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        if self.process.poll() is None:
            self.process.terminate()
        self.process.communicate(timeout=30)


def produce(kafka, topic, count, rate=0, partition=-1, age=0):
    subprocess.run([TOOL, kafka.bootstrap, "produce", topic, str(count), str(rate), str(partition),
                    str(age)], check=True, stdout=subprocess.DEVNULL, timeout=60)


def consume(kafka, group, topic, count):
    subprocess.run([TOOL, kafka.bootstrap, "consume", group, topic, str(count), "0"], check=True,
                   stdout=subprocess.DEVNULL, timeout=60)


def tool_lags(kafka):
    """{(group, topic): lag} as Kafka's own tool has them."""
    out = kafka.run_tool("kafka.admin.ConsumerGroupCommand", "--describe", "--all-groups")
    lags = {}
    for line in out.splitlines():
        cells = line.split()
        if len(cells) >= 6 and cells[2].isdigit() and cells[5].isdigit():
            key = cells[0], cells[1]
            lags[key] = lags.get(key, 0) + int(cells[5])
    return lags


class Case(unittest.TestCase):
    """One broker for the whole class; every test has a topic of its own."""

    @classmethod
    def setUpClass(cls):
        cls.kafka = rig.Kafka(conf={"log.cleaner.backoff.ms": 200})
        cls.addClassCleanup(cls.kafka.stop)

    def setUp(self):
        self.topic = self.id().rpartition(".")[2].replace("test_", "")[:60]
        self.group = "readers-of-" + self.topic

    def exporter(self, more=None, bootstrap=None):
        if more is None:
            more = 'groups = "^%s$"; topics = "^%s$";' % (self.group, self.topic)
        exporter = rig.Exporter(config(bootstrap or self.kafka.bootstrap, more))
        self.addCleanup(exporter.stop)
        return exporter

    def lag(self, page, **labels):
        labels = {"group": self.group, "topic": self.topic, **labels}
        return page.value("queue_processing_lag_messages", **labels)

    def of_group(self, page, name):
        return page.value(name, group=self.group, topic=self.topic)

    def nothing_counted(self, page):
        for name in ("queue_messages_consumed_total", "message_age_in_queue_seconds_count",
                     "queue_messages_lost_total"):
            self.assertEqual(self.of_group(page, name), 0, name)


class Numbers(Case):
    def test_lag_is_that_of_kafkas_own_tool_with_load_running(self):
        topics = [(self.topic + str(i), 1 + 2 * i) for i in range(3)]
        for topic, partitions in topics:
            self.kafka.create_topic(topic, partitions)
        exporter = self.exporter('topics = "^%s"; enable = ( "partitions" );' % self.topic)
        at = self.kafka.bootstrap
        consumers = [Running(at, "consume", "%s-%d" % (self.group, i), topics[i][0], 0, 60)
                     for i in range(3)]
        producers = [Running(at, "produce", topic, 0, 100) for topic, _ in topics]
        for consumer in consumers:
            consumer.assigned()
        pages = [exporter.scrape()]
        # A group is there once it has committed, and slow while it starts.
        rig.wait_for(lambda: sum(rate > 20 for rate in exporter.scrape().series(
            "queue_consumer_rate_per_second").values()) == 3, "all consumers are under way", 30, 1)
        for _ in range(6):
            pages.append(exporter.scrape())
            time.sleep(1)
        for process in producers + consumers:
            process.end()
        page = exporter.scrape()
        ours = {(have["group"], have["topic"]): value
                for have, value in page.select("queue_processing_lag_messages")}
        theirs = {key: lag for key, lag in tool_lags(self.kafka).items() if key in ours}
        self.assertEqual(len(ours), 3)
        self.assertEqual(ours, theirs)
        self.assertGreater(sum(ours.values()), 100)	# consumers are slower
        for topic, _ in topics:
            rates = [p.value("queue_consumer_rate_per_second", topic=topic) for p in pages[2:]]
            self.assertTrue(30 < sum(rates) / len(rates) < 90, rates)	# 60, on a busy machine
            self.assertEqual(page.value("queue_messages_produced_total", topic=topic),
                             sum(self.kafka.offsets(topic).values()) -
                             pages[0].total("queue_partition_end_offset", topic=topic))
        rates = [p.value("global_message_rate_per_second") for p in pages[2:]]
        for rate in rates:
            self.assertTrue(200 < rate < 400, rates)

    def test_ages_are_near_the_consumers_own(self):
        self.kafka.create_topic(self.topic, 2)
        with Running(self.kafka.bootstrap, "consume", self.group, self.topic, 0, 0) as consumer:
            consumer.assigned()
            # A group is known by its first commit, and counted from there on.
            produce(self.kafka, self.topic, 2, partition=0)
            produce(self.kafka, self.topic, 2, partition=1)
            exporter = self.exporter()
            rig.wait_for(lambda: self.lag(exporter.scrape()) == 0, "it is anchored", 10)
            # A backlog that lies for 6 s, then a stream that is read at once.
            consumer.process.send_signal(19)
            produce(self.kafka, self.topic, 400)
            time.sleep(3)
            exporter.scrape()
            time.sleep(2.5)
            exporter.scrape()
            consumer.process.send_signal(18)
            with Running(self.kafka.bootstrap, "produce", self.topic, 0, 100):
                for _ in range(4):
                    time.sleep(1)
                    exporter.scrape()
            time.sleep(1)
            page = exporter.scrape()
            truth = consumer.end()
        self.assertEqual(self.of_group(page, "message_age_in_queue_seconds_count"),
                         truth["count"] - 4)
        buckets = dict(page.buckets("message_age_in_queue_seconds"))
        for bound in (1, 5, 10):
            self.assertLess(abs(buckets[bound] - truth["ages"][bound]) / truth["count"], 0.2,
                            (buckets, truth))

    def test_messages_that_wait_are_dated_at_the_first_scrape(self):
        """By time stamps: nothing was watched when they came."""
        self.kafka.create_topic(self.topic, 1)
        for age, count in ((7200, 10), (200, 20), (40, 30), (1, 40)):
            produce(self.kafka, self.topic, count, age=age)
        self.kafka.commit(self.group, self.topic, {0: 0})
        exporter = self.exporter()
        page = exporter.scrape()
        self.assertEqual(self.lag(page), 100)
        self.assertGreater(self.of_group(page, "queue_oldest_message_age_seconds"), 3600 - 1)
        for _ in range(12):
            page = exporter.scrape()
        older = {int(have["seconds"]): value
                 for have, value in page.select("queue_messages_waiting_older")}
        self.assertEqual(older, {5: 60, 10: 60, 30: 60, 60: 30, 300: 10, 1800: 10})
        self.assertTrue(abs(self.of_group(page, "queue_oldest_message_age_seconds") / 7200 - 1) < 0.1)
        self.nothing_counted(page)
        self.kafka.commit(self.group, self.topic, {0: 60})
        for _ in range(4):
            page = exporter.scrape()
        self.assertEqual(self.of_group(page, "message_age_in_queue_seconds_count"), 60)
        buckets = dict(page.buckets("message_age_in_queue_seconds"))
        self.assertEqual((buckets[30], buckets[1800]), (0, 50))
        self.assertTrue(1 < self.of_group(page, "queue_oldest_message_age_seconds") < 5)

    def test_include_and_exclude(self):
        for name in ("-a", "-b", "-c"):
            self.kafka.create_topic(self.topic + name)
            self.kafka.commit(self.group + name, self.topic + name, {0: 0})
        page = self.exporter('topics = "^%s"; exclude_topics = "-b$"; groups = "%s"; '
                             'exclude_groups = "-c$";' % (self.topic, self.group)).scrape()
        self.assertEqual({have["topic"] for have, _ in page.select("queue_partitions")},
                         {self.topic + "-a", self.topic + "-c"})
        self.assertEqual({have["group"] for have, _ in page.select("queue_consumer_group_members")},
                         {self.group + "-a", self.group + "-b"})
        self.assertEqual([have["group"] for have, _ in page.select("queue_processing_lag_messages")],
                         [self.group + "-a"])
        page = self.exporter('group_names = ( "%s-c" ); topic_names = ( "%s-c", "none" );'
                             % (self.group, self.topic)).scrape()
        self.assertEqual([have["topic"] for have, _ in page.select("queue_partitions")],
                         [self.topic + "-c"])
        self.assertEqual([have["group"] for have, _ in page.select("queue_processing_lag_messages")],
                         [self.group + "-c"])

    def test_internal_topics_are_left_out(self):
        self.kafka.create_topic(self.topic)
        consume_nothing = self.exporter("")
        self.kafka.commit(self.group, self.topic, {0: 0})
        page = consume_nothing.scrape()
        names = {have["topic"] for have, _ in page.select("queue_partitions")}
        self.assertIn(self.topic, names)
        self.assertNotIn("__consumer_offsets", names)

    def test_state_and_members(self):
        self.kafka.create_topic(self.topic, 2)
        exporter = self.exporter()
        with Running(self.kafka.bootstrap, "consume", self.group, self.topic, 0, 0) as one, \
                Running(self.kafka.bootstrap, "consume", self.group, self.topic, 0, 0) as two:
            one.assigned()
            two.assigned()
            rig.wait_for(lambda: exporter.scrape().value("queue_consumer_group_members",
                                                         group=self.group) == 2, "two members", 20)
            page = rig.wait_for(lambda: self.in_state(exporter, "stable"), "stable", 20)
            self.assertEqual(page.total("queue_consumer_group_state", group=self.group), 1)
        page = rig.wait_for(lambda: self.in_state(exporter, "empty"), "empty", 20)
        self.assertEqual(page.value("queue_consumer_group_members", group=self.group), 0)

    def in_state(self, exporter, state):
        page = exporter.scrape()
        one = page.value("queue_consumer_group_state", group=self.group, state=state) == 1
        return page if one else None

    def test_spikes_are_counted_once_each(self):
        self.kafka.create_topic(self.topic)
        exporter = self.exporter('topics = "^%s$"; rate_limit = 50;' % self.topic)
        exporter.scrape()
        for spike in (1, 2):
            for _ in range(2):
                produce(self.kafka, self.topic, 500)
                time.sleep(1.1)
                page = exporter.scrape()
                self.assertGreater(page.value("global_message_rate_per_second"), 50)
                self.assertEqual(page.value("message_rate_spike_total"), spike)
            time.sleep(1.1)
            page = exporter.scrape()
            self.assertEqual(page.value("global_message_rate_per_second"), 0)
            self.assertEqual(page.value("message_rate_spike_total"), spike)

    def test_partitions_and_positions_when_asked_for(self):
        self.kafka.create_topic(self.topic, 3)
        produce(self.kafka, self.topic, 7, partition=1)
        self.kafka.commit(self.group, self.topic, {1: 2})
        exporter = self.exporter('topics = "^%s$"; enable = ( "partitions", "positions" );' % self.topic)
        page = exporter.scrape()
        ends = {have["partition"]: value for have, value in page.select("queue_partition_end_offset")}
        self.assertEqual(ends, {"0": 0, "1": 7, "2": 0})
        self.assertEqual(page.value("queue_partition_lag_messages", partition="1"), 5)
        self.assertEqual(page.value("queue_partition_committed_offset", partition="1"), 2)

    def test_a_warm_scrape_takes_two_round_trips(self):
        proxies = []

        def through(port, _):
            proxies.append(rig.DelayProxy(port, 20))
            return proxies[-1].port
        with rig.Kafka(through={"SLOW": through}) as kafka:
            kafka.create_topic("t", 3)
            produce(kafka, "t", 100)
            kafka.commit("g", "t", {0: 1, 1: 1, 2: 1})
            exporter = self.exporter("", kafka.bootstrap_of("SLOW"))
            for _ in range(3):
                exporter.scrape()
            for _ in range(3):
                proxies[0].reset()
                page = exporter.scrape()
                self.assertLessEqual(proxies[0].round_trips, 3)
                self.assertGreater(page.value("queue_processing_lag_messages"), 0)


class Changes(Case):
    def begin(self, partitions=1, messages=10, committed=4):
        """A group that has read some; two scrapes, so that all is anchored."""
        self.kafka.create_topic(self.topic, partitions)
        produce(self.kafka, self.topic, messages, partition=0)
        self.kafka.commit(self.group, self.topic, {0: committed})
        exporter = self.exporter()
        exporter.scrape()
        page = exporter.scrape()
        self.assertEqual(self.lag(page), messages - committed)
        self.nothing_counted(page)
        return exporter

    def test_first_sight_counts_nothing(self):
        exporter = self.begin()
        self.kafka.commit(self.group, self.topic, {0: 7})
        page = exporter.scrape()
        for name in ("queue_messages_consumed_total", "message_age_in_queue_seconds_count"):
            self.assertEqual(self.of_group(page, name), 3, name)
        self.assertEqual(self.of_group(page, "queue_offset_rewinds_total"), 0)

    def test_topic_deleted(self):
        exporter = self.begin()
        self.kafka.delete_topic(self.topic)
        page = exporter.scrape()
        self.assertEqual(page.select("queue_partitions"), [])
        self.assertEqual(page.select("queue_processing_lag_messages"), [])
        self.assertEqual(page.value("datatier_target_up"), 1)

    def test_group_deleted(self):
        exporter = self.begin()
        self.kafka.delete_group(self.group)
        page = exporter.scrape()
        self.assertEqual(page.select("queue_processing_lag_messages"), [])
        self.assertEqual(page.select("queue_consumer_group_members"), [])
        self.assertEqual(page.value("queue_partitions"), 1)

    def test_group_deleted_and_created_again(self):
        exporter = self.begin()
        self.kafka.delete_group(self.group)
        exporter.scrape()
        self.kafka.commit(self.group, self.topic, {0: 9})
        exporter.scrape()
        page = exporter.scrape()
        self.assertEqual(self.lag(page), 1)
        self.nothing_counted(page)

    def test_offsets_set_to_earliest(self):
        exporter = self.begin()
        self.kafka.run_tool("kafka.admin.ConsumerGroupCommand", "--reset-offsets", "--to-earliest",
                            "--group", self.group, "--topic", self.topic, "--execute")
        page = exporter.scrape()
        self.assertEqual(self.lag(page), 10)
        self.assertEqual(self.of_group(page, "queue_offset_rewinds_total"), 1)
        self.nothing_counted(page)
        self.kafka.commit(self.group, self.topic, {0: 10})
        page = exporter.scrape()
        self.assertEqual(self.of_group(page, "queue_messages_consumed_total"), 10)

    def test_offsets_set_to_latest(self):
        exporter = self.begin()
        self.kafka.run_tool("kafka.admin.ConsumerGroupCommand", "--reset-offsets", "--to-latest",
                            "--group", self.group, "--topic", self.topic, "--execute")
        page = exporter.scrape()
        self.assertEqual(self.lag(page), 0)
        self.assertEqual(self.of_group(page, "queue_oldest_message_age_seconds"), 0)
        # As its help says: what is passed over by hand has left the queue.
        self.assertEqual(self.of_group(page, "queue_messages_consumed_total"), 6)

    def test_topic_created_again(self):
        exporter = self.begin()
        self.kafka.delete_topic(self.topic)
        self.kafka.create_topic(self.topic, 1)
        produce(self.kafka, self.topic, 3)
        self.kafka.commit(self.group, self.topic, {0: 1})
        page = exporter.scrape()
        self.assertEqual(self.lag(page), 2)
        self.nothing_counted(page)
        self.assertEqual(page.value("queue_messages_produced_total"), 0)
        self.kafka.commit(self.group, self.topic, {0: 3})
        page = exporter.scrape()
        self.assertEqual(self.of_group(page, "queue_messages_consumed_total"), 2)

    def test_committed_beyond_the_end(self):
        """As a group is left whose topic was created again by force."""
        exporter = self.begin()
        self.kafka.commit(self.group, self.topic, {0: 500})
        page = exporter.scrape()
        self.assertEqual(self.lag(page), 0)
        self.nothing_counted(page)

    def test_retention_passes_the_committed_offset(self):
        exporter = self.begin(messages=20, committed=4)
        self.kafka.run_tool("kafka.admin.DeleteRecordsCommand", "--offset-json-file",
                            self.deletion(9))
        page = exporter.scrape()
        self.assertEqual(self.of_group(page, "queue_messages_lost_total"), 5)
        self.assertEqual(self.lag(page), 16)
        self.assertEqual(tool_lags(self.kafka)[self.group, self.topic], 16)
        page = exporter.scrape()
        self.assertEqual(self.of_group(page, "queue_messages_lost_total"), 5)
        self.kafka.delete_records(self.topic, 0, 11)
        page = exporter.scrape()
        self.assertEqual(self.of_group(page, "queue_messages_lost_total"), 7)
        # The consumer goes on where there is something: the lost were not read.
        self.kafka.commit(self.group, self.topic, {0: 15})
        page = exporter.scrape()
        self.assertEqual(self.of_group(page, "queue_messages_consumed_total"), 4)
        self.assertEqual(self.of_group(page, "queue_messages_lost_total"), 7)

    def deletion(self, offset):
        path = rig.subdirectory("deletion") + "/offsets.json"
        with open(path, "w") as out:
            out.write('{"version": 1, "partitions": [{"topic": "%s", "partition": 0, "offset": %d}]}'
                      % (self.topic, offset))
        return path

    def test_first_sight_of_a_group_behind_the_start_loses_nothing(self):
        self.kafka.create_topic(self.topic)
        produce(self.kafka, self.topic, 20)
        self.kafka.commit(self.group, self.topic, {0: 4})
        self.kafka.delete_records(self.topic, 0, 9)
        exporter = self.exporter()
        for _ in range(3):
            page = exporter.scrape()
        self.assertEqual(self.lag(page), 16)
        self.nothing_counted(page)

    def test_compaction_leaves_gaps(self):
        """Offsets are counted, also those that compaction took away."""
        self.kafka.create_topic(self.topic, conf={"cleanup.policy": "compact", "segment.ms": 100,
                                                  "min.cleanable.dirty.ratio": 0.01})
        for _ in range(5):
            produce(self.kafka, self.topic, 10)		# ten keys
            time.sleep(0.15)
        self.kafka.commit(self.group, self.topic, {0: 10})
        exporter = self.exporter()
        exporter.scrape()
        rig.wait_for(lambda: self.readable() < 50, "the log is compacted", 30)
        self.kafka.commit(self.group, self.topic, {0: 45})
        page = exporter.scrape()
        self.assertEqual(self.lag(page), 5)
        self.assertEqual(self.of_group(page, "queue_messages_consumed_total"), 35)
        self.assertEqual(self.of_group(page, "queue_messages_lost_total"), 0)

    def readable(self):
        with Running(self.kafka.bootstrap, "consume", "another-%g" % time.monotonic(), self.topic, 0,
                     0) as reader:
            reader.assigned()
            time.sleep(0.7)
            return reader.end()["count"]

    def test_partitions_are_added(self):
        exporter = self.begin()
        self.kafka.run_tool("kafka.admin.TopicCommand", "--alter", "--topic", self.topic,
                            "--partitions", "3")
        self.kafka.commit(self.group, self.topic, {0: 5, 2: 0})
        page = rig.wait_for(lambda: self.with_partitions(exporter, 3), "three partitions", 10)
        self.assertEqual(self.lag(page), 5)
        self.assertEqual(self.of_group(page, "queue_messages_consumed_total"), 1)

    def with_partitions(self, exporter, count):
        page = exporter.scrape()
        return page if page.value("queue_partitions") == count else None


class Faults(Case):
    def told(self, exporter, *said):
        page = exporter.scrape(timeout=3)
        self.assertEqual(page.value("datatier_target_up"), 0)
        self.assertLess(page.seconds, 3)
        for word in said:
            self.assertIn(word, words(exporter))
            self.assertIn(word, exporter.log().replace('\\"', '"'))
        self.assertNotIn(SECRET, words(exporter) + exporter.log())
        self.assertTrue(exporter.alive())
        self.assertIn("kafka", exporter.workers())

    def test_wrong_port(self):
        self.told(self.exporter("", "127.0.0.1:%d" % rig.free_port()), "Connection refused")

    def test_tls_to_a_plain_port(self):
        self.told(self.exporter('kafka = { security_protocol = "ssl"; };'), "SSL")

    def test_wrong_password(self):
        with rig.Kafka(sasl={"monitor": "right"}) as kafka:
            sasl = ('kafka = { security_protocol = "sasl_plaintext"; sasl_mechanism = "PLAIN"; '
                    'sasl_username = "monitor"; sasl_password = "%s"; };')
            self.told(self.exporter(sasl % SECRET, kafka.bootstrap_of("SASL")), "uthentication")
            page = self.exporter(sasl % "right", kafka.bootstrap_of("SASL")).scrape()
            self.assertEqual(page.value("queue_brokers"), 1)

    def refused(self, more, *said, bootstrap="127.0.0.1:1"):
        exporter = rig.Exporter(config(bootstrap, more), wait=False)
        self.addCleanup(exporter.stop)
        self.assertEqual(exporter.wait_exit(), 1)
        for word in said:
            self.assertIn(word, exporter.log().replace('\\"', '"'))
        self.assertNotIn(SECRET, exporter.log())

    def test_unknown_property(self):
        self.refused('kafka = { sasl_pasword = "%s"; };' % SECRET, "sasl.pasword",
                     "No such configuration property")

    def test_property_with_a_bad_value(self):
        self.refused('kafka = { security_protocol = "%s"; };' % SECRET, "security.protocol")

    def test_property_that_is_ours(self):
        self.refused('kafka = { bootstrap_servers = "x"; };', "the option brokers")
        self.refused('kafka = { socket_timeout_ms = "9"; };', "socket.timeout.ms", "needs it")

    def test_brokers_that_are_none(self):
        self.refused("", 'brokers: "127.0.0.1:99999" is not', bootstrap="127.0.0.1:99999")

    def test_a_server_that_starts_later_and_one_that_restarts(self):
        with rig.Kafka() as kafka:
            kafka.create_topic("t")
            produce(kafka, "t", 5)
            kafka.commit("g", "t", {0: 2})
            kafka.stop()
            exporter = self.exporter("", kafka.bootstrap)
            self.told(exporter, "refused")
            kafka.start()
            rig.wait_for(lambda: self.lag_of(exporter) == 3, "it is found", 30)
            kafka.restart()
            rig.wait_for(lambda: self.lag_of(exporter) == 3, "it is found again", 30)
            kafka.commit("g", "t", {0: 4})
            page = exporter.scrape()
            self.assertEqual(page.value("queue_messages_consumed_total"), 2)

    def lag_of(self, exporter):
        return exporter.scrape(timeout=5).value("queue_processing_lag_messages")

    def test_a_broker_that_stands_still(self):
        with rig.Kafka() as kafka:
            kafka.create_topic("t")
            kafka.commit("g", "t", {0: 0})
            exporter = self.exporter("", kafka.bootstrap)
            self.assertEqual(self.lag_of(exporter), 0)
            before = exporter.workers()
            kafka.signal(19)
            for _ in range(4):
                page = exporter.scrape(timeout=3)
                self.assertEqual(page.value("datatier_target_up"), 0)
                self.assertLess(page.seconds, 3)
            kafka.signal(18)
            rig.wait_for(lambda: self.lag_of(exporter) == 0, "it is there again", 30)
            self.assertEqual(exporter.workers(), before)


class ThreeBrokers(unittest.TestCase):
    """Partitions without replicas, so that each broker's are lost with it."""

    @classmethod
    def setUpClass(cls):
        cls.kafka = rig.Kafka(3, conf={"broker.session.timeout.ms": 6000})
        cls.addClassCleanup(cls.kafka.stop)
        cls.kafka.create_topic("alone", 6, replicas=1)
        cls.kafka.create_topic("safe", 6, replicas=3)
        for topic in ("alone", "safe"):
            for partition in range(6):
                produce(cls.kafka, topic, 100, partition=partition)
        # So many that every broker coordinates some.
        cls.groups = ["g%d" % i for i in range(12)]
        for group in cls.groups:
            for topic in ("alone", "safe"):
                cls.kafka.commit(group, topic, {i: 10 for i in range(6)})

    def exporter(self):
        exporter = rig.Exporter(config(self.kafka.bootstrap))
        self.addCleanup(exporter.stop)
        page = exporter.scrape()
        self.assertEqual(self.lags(page), {(g, t): 540 for g in self.groups for t in ("alone", "safe")})
        self.assertEqual(page.value("queue_brokers"), 3)
        return exporter

    def lags(self, page):
        return {(have["group"], have["topic"]): value
                for have, value in page.select("queue_processing_lag_messages")}

    def outage(self, down, up):
        exporter = self.exporter()
        workers = exporter.workers()
        broker = 2
        down(broker)
        end, pages = time.monotonic() + 14, []
        while time.monotonic() < end:
            page = exporter.scrape(timeout=8)
            pages.append(page)
            self.assertEqual(page.value("datatier_target_up"), 1, words(exporter))
            self.assertLess(page.seconds, 8)
            for key, lag in self.lags(page).items():
                self.assertEqual(lag, 540, key)
            time.sleep(0.3)
        # The others' partitions were read all the time, its own were not.
        unread = [page.value("queue_unread_partitions", topic="alone") for page in pages]
        self.assertEqual(unread[-1], 2, unread)
        self.assertTrue(all(n <= 2 for n in unread), unread)
        # By now its leaders and its groups have moved to others.
        self.assertEqual(pages[-1].value("queue_unread_partitions", topic="safe"), 0)
        self.assertEqual(len(self.lags(pages[-1])), 24)
        self.assertEqual(pages[-1].value("queue_brokers"), 2)
        self.assertLess(pages[-1].seconds, 2)
        self.assertEqual(pages[-1].value("queue_under_replicated_partitions", topic="safe"), 6)
        up(broker)
        page = rig.wait_for(lambda: self.whole(exporter), "all are read again", 40)
        self.assertEqual(exporter.workers(), workers)
        self.assertEqual(page.total("queue_messages_consumed_total"), 0)
        self.assertEqual(page.total("queue_messages_produced_total"), 0)
        self.assertEqual(page.total("queue_offset_rewinds_total"), 0)
        self.assertEqual(page.total("queue_messages_lost_total"), 0)

    def whole(self, exporter):
        page = exporter.scrape()
        good = (page.value("queue_brokers") == 3 and page.total("queue_unread_partitions") == 0
                and len(self.lags(page)) == 24)
        return page if good else None

    @tap.limit(120)
    def test_one_of_three_stands_still(self):
        self.outage(lambda i: self.kafka.signal(19, i), lambda i: self.kafka.signal(18, i))

    @tap.limit(120)
    def test_one_of_three_is_killed(self):
        self.outage(self.kafka.stop, self.kafka.start)


class Kafka4(unittest.TestCase):
    @tap.limit(120)
    def test_groups_of_the_new_protocol(self):
        """Listed and measured; their state is not told to older clients."""
        with rig.Kafka(version="4.1.0") as kafka:
            kafka.create_topic("t", 2)
            produce(kafka, "t", 100)
            exporter = rig.Exporter(config(kafka.bootstrap))
            self.addCleanup(exporter.stop)
            kafka.run_tool("org.apache.kafka.tools.consumer.ConsoleConsumer", "--topic", "t",
                           "--group", "new", "--from-beginning", "--max-messages", "60",
                           "--consumer-property", "group.protocol=consumer")
            consume(kafka, "classic", "t", 30)
            exporter.scrape()
            page = exporter.scrape()
            self.assertEqual({(have["group"], value) for have, value
                              in page.select("queue_processing_lag_messages")},
                             {(group, lag) for (group, _), lag in tool_lags(kafka).items()})
            self.assertEqual({have["group"] for have, _ in
                              page.select("queue_processing_lag_messages")}, {"new", "classic"})
            self.assertEqual([have["group"] for have, _ in
                              page.select("queue_consumer_group_members")], ["classic"])


if __name__ == "__main__":
    tap.main()
