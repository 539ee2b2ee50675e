"""A messaging backend to be watched: servers, and the load program on them."""
import os
import unittest

import rig
import scratch

TOPICS = ("messages", "receipts")
PARTITIONS = 4

SCHEMA = """
CREATE TABLE conversations (id int PRIMARY KEY, messages bigint NOT NULL DEFAULT 0)
	WITH (fillfactor = 50);
INSERT INTO conversations SELECT i FROM generate_series(0, 199) i;
CREATE TABLE messages (id bigserial PRIMARY KEY, conversation int NOT NULL, body text NOT NULL);
CREATE INDEX ON messages (conversation, id);
GRANT ALL ON ALL TABLES IN SCHEMA public TO app;
GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO app;
"""


class Program(scratch.Server):
    """One of the tests' own programs, load or kafka_tool, with these words."""

    def __init__(self, name, *words):
        self.name, self.words = name, [str(word) for word in words]
        super().__init__()
        self.launch()

    def command(self):
        return [os.path.join(rig.BUILD, "tests", self.name)] + self.words


class MockKafka(Program):
    """librdkafka's own mock brokers, where no Java or no Maven is."""

    def __init__(self):
        super().__init__("load", "kafka")
        self.bootstrap = rig.wait_for(lambda: self.log().strip(), "the mock Kafka serves", 20)


def start_postgres(conf=None):
    settings = {"deadlock_timeout": "200ms", "track_io_timing": "on", "max_connections": 40}
    pg = rig.Postgres(conf=dict(settings, **(conf or {})))
    pg.psql("CREATE ROLE app LOGIN; CREATE ROLE monitor LOGIN CONNECTION LIMIT 5;"
            "GRANT pg_monitor TO monitor; CREATE DATABASE chat")
    pg.psql(SCHEMA, db="chat")
    pg.psql("CREATE EXTENSION pg_stat_statements", db="chat")
    return pg


def start_kafka(say, mock, **named):
    """(the cluster, whether it is a real one)"""
    try:
        if mock:
            raise unittest.SkipTest("mock brokers were asked for")
        kafka = rig.Kafka(**named)
        for topic in TOPICS:
            kafka.create_topic(topic, partitions=PARTITIONS)
        say("Kafka        %s, a real Apache Kafka %s" % (kafka.bootstrap, kafka.version))
        return kafka, True
    except (unittest.SkipTest, rig.RigError) as why:
        kafka = MockKafka()
        say("Kafka        %s, librdkafka's mock brokers: %s"
            % (kafka.bootstrap, str(why).splitlines()[0]))
        return kafka, False


class Backend:
    """All servers and the load; say is told of each, for people.  calm: all is
    well with it, and the cache and the pool are large enough for what they do."""

    def __init__(self, say=lambda line: None, mock_kafka=False, calm=False, **kafka):
        self.pg = start_postgres()
        self.pool = rig.PgBouncer(self.pg, conf={"default_pool_size": 10 if calm else 3}, users={"app": ""})
        say("PostgreSQL   127.0.0.1:%d, version %d; PgBouncer in front of it at %d"
            % (self.pg.port, self.pg.version(), self.pool.port))
        self.redis = rig.Redis({"maxmemory": "64mb" if calm else "4mb", "maxmemory-policy": "allkeys-lru"})
        say("Redis        127.0.0.1:%d, version %s" % (self.redis.port, self.redis.info()["redis_version"]))
        self.kafka, self.real_kafka = start_kafka(say, mock_kafka, **kafka)
        self.load = Program("load", "calm" if calm else "work", self.pool.uri("app", "chat"),
                            self.pg.uri("postgres", "chat"), self.redis.port, self.kafka.bootstrap)

    def environment(self):
        """The variables of the shipped configuration."""
        values = {"DATATIER_POSTGRESQL_URI": self.pg.uri("monitor", "chat"),
                  "DATATIER_PGBOUNCER_URI": self.pool.uri("monitor", "pgbouncer"),
                  "DATATIER_REDIS_URI": self.redis.url,
                  "DATATIER_KAFKA_BROKERS": self.kafka.bootstrap}
        if not self.real_kafka:		# the mock cannot list its groups
            values["DATATIER_KAFKA_GROUP_NAMES"] = "chat-delivery"
        return values

    def stop(self):
        for server in (self.load, self.kafka, self.redis, self.pool, self.pg):
            server.stop()

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.stop()
