"""The postgresql collector against real servers, its numbers held against psql."""
import os
import re
import signal
import subprocess
import threading
import time
import unittest

import rig
import scratch
import tap

TARGET = 'targets = ( { collector = "postgresql"; name = "db"; uri = "%s"; %s } );\n'
TYPES = ("select", "insert", "update", "delete", "other")
STATES = ("active", "idle", "idle in transaction", "idle in transaction (aborted)",
          "fastpath function call", "disabled", "starting")
OURS = "application_name = 'datatier_exporter'"


def config(uri, more="acquire = false;"):
    return TARGET % (uri, more)


def group_ok(page, group):
    return page.value("datatier_group_success", group=group)


def calls(page, query_type):
    return page.value("db_query_duration_seconds_count", query_type=query_type)


def settled(exporter, want, seconds=15):
    """Scrapes until want(page) holds: new statements are counted a scrape or
    two after they were seen first."""
    end = time.monotonic() + seconds
    while True:
        page = exporter.scrape()
        if want(page) or time.monotonic() > end:
            return page
        time.sleep(0.1)


class Numbers(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = rig.Postgres()
        cls.server.psql("CREATE DATABASE chat; CREATE DATABASE \"o'dd \"\"name\";")
        cls.server.psql("CREATE TABLE t (a int); INSERT INTO t SELECT generate_series(1, 1000)", db="chat")
        cls.exporter = rig.Exporter(config(cls.server.uri()))

    @classmethod
    def tearDownClass(cls):
        cls.exporter.stop()
        cls.server.stop()

    def between(self, name, sql, **labels):
        """A counter or size that may move while we look."""
        low = float(self.server.psql(sql))
        value = self.exporter.scrape().value(name, **labels)
        high = float(self.server.psql(sql))
        self.assertIsNotNone(value, name)
        self.assertLessEqual(low, value, name)
        self.assertLessEqual(value, high, name)

    def test_sessions_by_state(self):
        server = self.server
        with server.session("chat") as idle, server.session("chat") as open_, \
                server.session("chat") as failed, server.session("chat") as busy, \
                server.session("chat") as waiting:
            idle.execute("SELECT 1")
            open_.execute("BEGIN; LOCK TABLE t IN ACCESS EXCLUSIVE MODE")
            failed.execute("BEGIN; SELECT 1/0")
            busy.send("SELECT pg_sleep(20)")
            waiting.send("SELECT count(*) FROM t")
            scratch.wait_for(lambda: server.psql(
                "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'") == "1",
                "a session waits")
            page = self.exporter.scrape()
            self.assertEqual(page.value("db_connections_active", database="chat"), 2)
            self.assertEqual(page.value("db_connections_idle", database="chat"), 3)
            self.assertEqual(page.value("db_connections_waiting", database="chat", reason="lock"), 1)
            for state, n in (("active", 2), ("idle", 1), ("idle in transaction", 1),
                             ("idle in transaction (aborted)", 1), ("disabled", 0)):
                self.assertEqual(page.value("db_connections", database="chat", state=state), n, state)
            self.assertGreater(page.value("db_longest_transaction_seconds", database="chat"), 0)
            self.assertLess(page.value("db_longest_transaction_seconds", database="chat"), 30)
            for mode in ("AccessShareLock", "AccessExclusiveLock", "ExclusiveLock"):
                self.assertEqual(
                    page.value("db_locks", mode=mode),
                    float(server.psql("SELECT count(*) FROM pg_locks l JOIN pg_stat_activity USING (pid)"
                                      " WHERE mode = '%s' AND pid <> pg_backend_pid() AND NOT (%s)"
                                      % (mode, OURS))), mode)

    def test_own_sessions_are_not_counted(self):
        page = self.exporter.scrape()
        self.assertEqual(self.server.psql("SELECT count(*) FROM pg_stat_activity WHERE " + OURS), "1")
        self.assertEqual(page.total("db_connections"), 0)
        # Somebody else by the same name is.
        self.server.psql("CREATE ROLE namesake LOGIN")
        with rig.Session(self.server.uri("namesake") + "?application_name=datatier_exporter") as other:
            other.execute("SELECT 1")
            self.assertEqual(self.exporter.scrape().total("db_connections"), 1)

    def test_every_database_and_state_has_a_row(self):
        page = self.exporter.scrape()
        names = {"postgres", "template1", "chat", "o'dd \"name"}
        for name in names:
            for state in STATES:
                self.assertIsNotNone(page.value("db_connections", database=name, state=state))
        for metric in ("db_connections_active", "db_size_bytes", "db_deadlocks_total"):
            self.assertEqual({dict(have)["database"] for have in page.series(metric)}, names, metric)

    def test_counters_of_databases(self):
        self.server.psql("SET work_mem = '64kB'; SELECT count(*) FROM (SELECT a.a FROM t a, t b"
                         " ORDER BY a.a + b.a) x", db="chat")
        self.server.psql("DO $$ BEGIN RAISE EXCEPTION 'x'; EXCEPTION WHEN OTHERS THEN NULL; END $$", db="chat")
        time.sleep(1.2)			# statistics are flushed at the latest then
        for metric, column in (("db_deadlocks_total", "deadlocks"), ("db_blocks_read_total", "blks_read"),
                               ("db_blocks_hit_total", "blks_hit"), ("db_temp_bytes_total", "temp_bytes")):
            self.between(metric, "SELECT %s FROM pg_stat_database WHERE datname = 'chat'" % column,
                         database="chat")
        for outcome, column in (("commit", "xact_commit"), ("rollback", "xact_rollback")):
            self.between("db_transactions_total",
                         "SELECT %s FROM pg_stat_database WHERE datname = 'chat'" % column,
                         database="chat", outcome=outcome)
        page = self.exporter.scrape()
        self.assertGreater(page.value("db_temp_bytes_total", database="chat"), 1e6)

    def test_size_wal_checkpoints_limit(self):
        self.between("db_size_bytes", "SELECT pg_database_size('chat')", database="chat")
        self.between("db_wal_bytes_total", "SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')")
        before = self.exporter.scrape().value("db_checkpoints_total", kind="requested")
        self.server.psql("CHECKPOINT")
        page = settled(self.exporter, lambda p: p.value("db_checkpoints_total", kind="requested") > before)
        self.assertEqual(page.value("db_checkpoints_total", kind="requested"), before + 1)
        self.assertEqual(page.value("db_connections_max"), 100)
        self.assertEqual(page.value("db_connections_reserved"), 3)
        self.assertEqual(page.select("db_replication_lag_seconds"), [], "no standby: no lag")

    def test_a_locked_catalog_costs_only_its_groups(self):
        self.exporter.scrape()
        with self.server.session() as locker:
            locker.execute("BEGIN; LOCK TABLE pg_catalog.pg_database IN ACCESS EXCLUSIVE MODE")
            page = self.exporter.scrape(timeout=8)
            self.assertEqual(page.value("datatier_target_up"), 1)
            self.assertEqual(group_ok(page, "sessions"), 0)
            self.assertEqual(page.select("db_connections_active"), [])
            self.assertEqual(page.value("db_connections_max"), 100)
            self.assertGreater(page.value("db_wal_bytes_total"), 0)
        self.assertEqual(group_ok(settled(self.exporter, lambda p: group_ok(p, "sessions") == 1),
                                  "sessions"), 1)

    def test_every_group_alone_and_all_again(self):
        groups = {dict(have)["group"] for have in
                  self.exporter.scrape().series("datatier_group_success")}
        self.assertGreater(len(groups), 8)
        for group in sorted(groups):
            page = self.exporter.scrape(collect=group)
            self.assertEqual(page.value("datatier_target_up"), 1, group)
            self.assertEqual(group_ok(page, group), 1, group)
        page = self.exporter.scrape()
        self.assertEqual({dict(have)["group"] for have, value in
                          page.series("datatier_group_success").items() if value == 1}, groups)

    def test_at_most_one_connection_kept(self):
        for _ in range(5):
            self.exporter.scrape()
        self.assertEqual(self.server.psql("SELECT count(*) FROM pg_stat_activity WHERE " + OURS), "1")


class Durations(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = rig.Postgres({"track_io_timing": "off"})
        cls.server.psql("CREATE EXTENSION pg_stat_statements; CREATE TABLE t (a int, b text)")
        cls.exporter = rig.Exporter(config(cls.server.uri()))
        cls.exporter.scrape()

    @classmethod
    def tearDownClass(cls):
        cls.exporter.stop()
        cls.server.stop()

    def load(self, n):
        with self.server.session() as session:
            for i in range(n):
                session.send("INSERT INTO t VALUES (%d, 'x')" % i)
                session.send("SELECT count(*) FROM t WHERE a = %d" % i)
                session.send("/* of a driver */ SELECT b FROM t WHERE a = %d" % i)
                session.send("UPDATE t SET b = 'y' WHERE a = %d" % i)
                session.send("WITH gone AS (SELECT %d AS a) DELETE FROM t USING gone"
                             " WHERE t.a = gone.a" % i)
                session.send("SET work_mem = '%dMB'" % (i + 1))
            session.answer()

    EXPECTED = {"insert": 1, "select": 2, "update": 1, "delete": 1}

    def advance(self, exporter, before, n):
        """Scrapes until a load of n is counted.  psql's own are selects."""
        page = settled(exporter, lambda p: all(
            calls(p, t) - calls(before, t) >= k * n for t, k in self.EXPECTED.items()))
        for query_type, k in self.EXPECTED.items():
            if query_type != "select":
                self.assertEqual(calls(page, query_type) - calls(before, query_type), k * n, query_type)
        self.assertGreaterEqual(calls(page, "other") - calls(before, "other"), n)
        return page

    def test_count_and_sum_are_exact_and_own_statements_left_out(self):
        before = self.exporter.scrape()
        self.assertEqual({dict(have)["query_type"] for have in
                          before.series("db_query_duration_seconds_count")}, set(TYPES))
        self.load(50)
        self.advance(self.exporter, before, 50)
        # All known by now: the next ones count at once.
        before = self.exporter.scrape()
        sql = ("SELECT sum(total_exec_time) / 1000 FROM pg_stat_statements"
               " WHERE query LIKE 'INSERT INTO t%'")
        was = float(self.server.psql(sql))
        self.load(40)
        page = self.exporter.scrape()
        for query_type, k in self.EXPECTED.items():
            self.assertGreaterEqual(calls(page, query_type) - calls(before, query_type), k * 40)
        self.assertEqual(calls(page, "insert") - calls(before, "insert"), 40)
        seconds = [p.value("db_query_duration_seconds_sum", query_type="insert") for p in (before, page)]
        self.assertAlmostEqual(seconds[1] - seconds[0], float(self.server.psql(sql)) - was, delta=1e-9)
        for query_type in TYPES:
            buckets = page.buckets("db_query_duration_seconds", query_type=query_type)
            counts = [count for _, count in buckets]
            self.assertEqual(counts, sorted(counts))
            self.assertEqual(counts[-1], calls(page, query_type))
            self.assertTrue(all(count == int(count) for count in counts))

    def test_scrapes_alone_count_nothing(self):
        for _ in range(6):
            self.exporter.scrape()
        before = self.exporter.scrape()
        for _ in range(10):
            page = self.exporter.scrape()
        for query_type in TYPES:
            self.assertEqual(calls(page, query_type), calls(before, query_type), query_type)

    def test_single_slow_calls_are_in_their_buckets(self):
        def slow(page, low, high):
            buckets = dict(page.buckets("db_query_duration_seconds", query_type="select"))
            return buckets[high] - buckets[low]

        self.server.psql("SELECT pg_sleep(0.01)")
        settled(self.exporter, lambda p: False, 1)
        before = self.exporter.scrape()
        self.server.psql("SELECT pg_sleep(0.2)")
        page = self.exporter.scrape()
        self.assertEqual(slow(page, 0.1, 0.5) - slow(before, 0.1, 0.5), 1)

    def test_reset_of_one_entry_and_of_all(self):
        before = self.exporter.scrape()
        self.load(10)
        page = self.advance(self.exporter, before, 10)
        before = page
        self.server.psql("SELECT pg_stat_statements_reset(userid, dbid, queryid) FROM pg_stat_statements"
                         " WHERE query LIKE 'INSERT INTO t%'")
        page = self.exporter.scrape()
        self.assertEqual(calls(page, "insert"), calls(before, "insert"))
        self.load(7)
        self.assertEqual(calls(self.advance(self.exporter, page, 7), "insert"), calls(before, "insert") + 7)
        before = self.exporter.scrape()
        self.server.psql("SELECT pg_stat_statements_reset()")
        page = self.exporter.scrape()
        for query_type in TYPES:
            self.assertGreaterEqual(calls(page, query_type), calls(before, query_type))
        self.load(5)
        self.advance(self.exporter, page, 5)

    def test_restart_of_the_server_loses_nothing(self):
        self.load(3)
        before = settled(self.exporter, lambda p: False, 1)
        self.load(6)
        self.server.restart()
        self.load(4)
        page = settled(self.exporter, lambda p: p.value("datatier_target_up") == 1)
        self.assertEqual(calls(page, "insert") - calls(before, "insert"), 10)

    def test_own_statements_in_another_role_too(self):
        self.server.psql("CREATE ROLE watcher LOGIN IN ROLE pg_monitor")
        with rig.Exporter(config(self.server.uri("watcher"))) as exporter:
            settled(exporter, lambda p: False, 1.5)
            before = exporter.scrape()
            for _ in range(5):
                page = exporter.scrape()
            for query_type in TYPES:
                self.assertEqual(calls(page, query_type), calls(before, query_type), query_type)


class Evictions(unittest.TestCase):
    def test_what_was_evicted_is_published(self):
        with rig.Postgres({"pg_stat_statements.max": "100"}) as server:
            server.psql("CREATE EXTENSION pg_stat_statements")
            with rig.Exporter(config(server.uri())) as exporter, server.session() as session:
                before = settled(exporter, lambda p: False, 1)
                statements = 0
                for round_ in range(10):
                    for i in range(60):	# other columns make another statement
                        statements += 1
                        session.send("SELECT %s" % ", ".join(["1"] * (round_ * 60 + i + 1)))
                    session.answer()
                    page = exporter.scrape()
                page = settled(exporter, lambda p: False, 1)
                counted = calls(page, "select") - calls(before, "select")
                lost = page.value("db_statements_lost_total") - before.value("db_statements_lost_total")
                print("# %d statements: %d counted, %d said to be lost" % (statements, counted, lost))
                self.assertLess(counted, statements)
                self.assertGreater(lost, 0)
                self.assertLess(abs(counted + lost - statements), 0.35 * statements)


def readme_sql():
    """The statements that README.md tells to run, as they stand there."""
    with open(os.path.join(scratch.TOP, "README.md")) as readme:
        blocks = re.findall(r"^```sql\n(.*?)^```", readme.read(), re.M | re.S)
    if sum("CREATE ROLE" in block for block in blocks) != 1:
        raise AssertionError("README.md has no ```sql block with CREATE ROLE, or several")
    return "".join(blocks)


class Texts(unittest.TestCase):
    def test_a_huge_file_of_texts_is_rarely_read(self):
        """Types come from pg_stat_activity then, where a session shows them."""
        with rig.Postgres() as server, server.session() as session:
            server.psql("CREATE EXTENSION pg_stat_statements; CREATE TABLE t (a int)")
            for i in range(150):
                session.send("SELECT %s /* %s */" % (", ".join(["1"] * (i + 1)), "x" * 200000))
                session.answer()
            with rig.Exporter(config(server.uri())) as exporter:
                before = settled(exporter, lambda p: False, 0.5)
                for i in range(15):
                    session.execute("INSERT INTO t VALUES (%s)" % " + ".join(["1"] * (i + 2)))
                    page = exporter.scrape()
                    time.sleep(0.1)
                reads = float(server.psql("SELECT coalesce(sum(calls), 0) FROM pg_stat_statements"
                                          " WHERE query LIKE '%datatier_exporter%END AS query%'"))
                print("# 30 MB of texts were read %d times in %d scrapes" % (reads, 15))
                self.assertGreaterEqual(reads, 1)
                self.assertLessEqual(reads, 3)
                page = exporter.scrape()
                self.assertEqual(calls(page, "insert") - calls(before, "insert"), 15)


class Standby(rig.Postgres):
    """A copy of primary that follows it."""

    def __init__(self, primary, conf=None):
        self.primary = primary
        super().__init__(conf, primary.bindir)

    def _initdb(self, conf, hba):
        who = {}
        if self.user:
            who = {"user": self.user.pw_uid, "group": self.user.pw_gid, "extra_groups": []}
        subprocess.run([self.bindir + "/pg_basebackup", "-D", self.data, "-R", "-X", "stream", "-c", "fast",
                        "-d", self.primary.uri()], check=True, cwd=self.dir, env=self.environment(), **who)
        with open(self.data + "/postgresql.conf", "a") as out:
            for key, value in conf.items():
                out.write("%s = '%s'\n" % (key, value))


@tap.limit(120)
class Replication(unittest.TestCase):
    def test_lag_on_both_sides(self):
        with rig.Postgres() as primary, Standby(primary) as standby:
            primary.psql("CREATE TABLE t (a int)")
            both = ('targets = ( { collector = "postgresql"; name = "one"; uri = "%s"; },'
                    ' { collector = "postgresql"; name = "two"; uri = "%s"; } );\n'
                    % (primary.uri(), standby.uri()))
            lag = "db_replication_lag_seconds"
            with rig.Exporter(both) as exporter:
                # Before its first transaction a standby does not know how old it is.
                primary.psql("INSERT INTO t VALUES (0)")
                scratch.wait_for(lambda: standby.psql("SELECT pg_last_xact_replay_timestamp()"),
                                 "the standby has replayed a transaction")
                page = settled(exporter, lambda p: p.value(lag, target="two") == 0)
                self.assertEqual(page.value(lag, target="two"), 0)
                self.assertIsNotNone(page.value(lag, target="one"))
                self.assertGreater(page.value("db_wal_bytes_total", target="two"), 0)
                self.assertTrue(page.select("db_connections", target="two"))
                self.assertNotIn("warn", exporter.log())
                # Received and not replayed: the standby is behind.
                standby.psql("SELECT pg_wal_replay_pause()")
                scratch.wait_for(lambda: standby.psql("SELECT pg_get_wal_replay_pause_state()")
                                 == "paused", "replay is paused")
                primary.psql("INSERT INTO t VALUES (1)")
                time.sleep(1.5)
                page = exporter.scrape()
                self.assertGreater(page.value(lag, target="two"), 1)
                self.assertLess(page.value(lag, target="two"), 60)
                standby.psql("SELECT pg_wal_replay_resume()")
                page = settled(exporter, lambda p: p.value(lag, target="two") == 0)
                self.assertEqual(page.value(lag, target="two"), 0)
                # Cut off, it does not claim to be up to date for having replayed all.
                primary.stop()
                page = settled(exporter, lambda p: p.value(lag, target="two") > 1)
                self.assertGreater(page.value(lag, target="two"), 1)


class Rights(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = rig.Postgres({"password_encryption": "scram-sha-256"}, hba=(
            "host all datatier 127.0.0.1/32 scram-sha-256",
            "host all locked 127.0.0.1/32 scram-sha-256"))
        cls.server.psql("CREATE ROLE locked LOGIN PASSWORD 'right one'")

    @classmethod
    def tearDownClass(cls):
        cls.server.stop()

    def test_role_of_the_readme_is_enough(self):
        self.server.psql(readme_sql())
        password = re.search(r"PASSWORD '([^']*)'", readme_sql()).group(1)
        role = re.search(r"CREATE ROLE (\w+)", readme_sql()).group(1)
        with self.server.session() as busy, \
                rig.Exporter(config(self.server.uri(role), 'password = "%s"; acquire_every = "0s";'
                                    % password)) as exporter:
            busy.send("SELECT pg_sleep(20)")
            page = settled(exporter, lambda p: p.value("db_connection_acquire_seconds_count") == 1)
            self.assertEqual(page.value("datatier_target_up"), 1)
            for group, value in page.series("datatier_group_success").items():
                self.assertEqual(value, 1, group)
            self.assertEqual(page.value("db_connections_active", database="postgres"), 1)
            for metric in ("db_connections", "db_size_bytes", "db_query_duration_seconds_count",
                           "db_locks", "db_transactions_total", "db_wal_bytes_total"):
                self.assertTrue(page.select(metric), metric)

    def test_without_pg_monitor_and_with_it_later(self):
        self.server.psql("CREATE ROLE nobody_special LOGIN")
        with rig.Exporter(config(self.server.uri("nobody_special"))) as exporter, \
                self.server.session() as idle:
            idle.execute("SELECT 1")
            page = exporter.scrape()
            self.assertEqual(page.value("datatier_target_up"), 1)
            for metric in ("db_connections", "db_connections_active", "db_connections_waiting",
                           "db_size_bytes", "db_query_duration_seconds_count"):
                self.assertEqual(page.select(metric), [], metric)
            for metric in ("db_locks", "db_deadlocks_total", "db_connections_max", "db_wal_bytes_total",
                           "db_checkpoints_total"):
                self.assertTrue(page.select(metric), metric)
            self.assertIn("GRANT pg_monitor TO nobody_special", exporter.log())
            self.assertIn("GRANT pg_monitor TO nobody_special", exporter.scrape("/").text)
            self.server.psql("GRANT pg_monitor TO nobody_special")
            page = exporter.scrape()
            self.assertEqual(page.value("db_connections_idle", database="postgres"), 1)

    def test_extension_made_moved_and_dropped(self):
        self.server.psql("CREATE DATABASE plain")
        with rig.Exporter(config(self.server.uri(db="plain"))) as exporter:
            page = exporter.scrape()
            self.assertEqual(page.select("db_query_duration_seconds_count"), [])
            self.assertTrue(page.select("db_connections"))
            self.assertIn("run CREATE EXTENSION pg_stat_statements in database plain", exporter.log())
            self.server.psql("CREATE SCHEMA \"my \"\"stats\"; CREATE EXTENSION pg_stat_statements"
                             " SCHEMA \"my \"\"stats\"", db="plain")
            page = settled(exporter, lambda p: p.select("db_query_duration_seconds_count"))
            self.assertEqual(len(page.select("db_query_duration_seconds_count")), 5)
            self.server.psql("ALTER EXTENSION pg_stat_statements SET SCHEMA public", db="plain")
            page = settled(exporter, lambda p: group_ok(p, "statements") == 1)
            page = exporter.scrape()
            self.assertEqual(group_ok(page, "statements"), 1)
            self.server.psql("DROP EXTENSION pg_stat_statements", db="plain")
            page = settled(exporter, lambda p: not p.select("db_query_duration_seconds_count"))
            self.assertEqual(page.select("db_query_duration_seconds_count"), [])
            self.assertEqual(page.value("datatier_target_up"), 1)

    def test_library_not_loaded(self):
        with rig.Postgres({"shared_preload_libraries": ""}) as server, \
                rig.Exporter(config(server.uri())) as exporter:
            self.assertEqual(exporter.scrape().value("datatier_target_up"), 1)
            self.assertIn("shared_preload_libraries", exporter.log())

    def test_wrong_password_is_said_and_not_shown(self):
        uri = self.server.uri("locked", password="wr0ng-secret")
        with rig.Exporter(config(uri, "")) as exporter:
            self.assertEqual(exporter.scrape().value("datatier_target_up"), 0)
            self.assertIn("password authentication failed for user", exporter.log())
            for text in (exporter.log(), exporter.scrape("/").text, exporter.scrape().text):
                self.assertNotIn("wr0ng-secret", text)
        uri = self.server.uri("locked")
        with rig.Exporter(config(uri, 'password = "right one";')) as exporter:
            self.assertEqual(exporter.scrape().value("datatier_target_up"), 1)


class Addresses(unittest.TestCase):
    def test_what_libpq_does_not_understand_is_refused_without_the_secret(self):
        for uri in ("postgresql://u:s3cret@h:notaport/db?nosuch=s3cret", "localhost s3cret",
                    "postgresql://u:s3cret%zz@h/db", "host=h password='s3cret"):
            with rig.Exporter(config(uri), wait=False) as exporter:
                self.assertEqual(exporter.wait_exit(), 1)
                self.assertIn("uri is no PostgreSQL address", exporter.log())
                self.assertNotIn("s3cret", exporter.log())


class Outages(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = rig.Postgres()

    @classmethod
    def tearDownClass(cls):
        cls.server.stop()

    def test_wrong_port(self):
        uri = "postgresql://postgres@127.0.0.1:%d/postgres" % rig.free_port()
        with rig.Exporter(config(uri)) as exporter:
            page = exporter.scrape()
            self.assertEqual(page.value("datatier_target_up"), 0)
            self.assertLess(page.seconds, 2)
            self.assertIn("Connection refused", exporter.log())

    def test_tls_to_a_plain_port(self):
        with rig.Exporter(config(self.server.uri() + "?sslmode=require")) as exporter:
            self.assertEqual(exporter.scrape().value("datatier_target_up"), 0)
            self.assertIn("server does not support SSL", exporter.log())

    def test_restart_between_scrapes(self):
        with rig.Exporter(config(self.server.uri())) as exporter:
            self.assertEqual(exporter.scrape().value("datatier_target_up"), 1)
            self.server.restart()
            self.assertEqual(exporter.scrape().value("datatier_target_up"), 1)

    def test_a_server_that_starts_later(self):
        self.server.stop()
        try:
            with rig.Exporter(config(self.server.uri())) as exporter:
                self.assertEqual(exporter.scrape().value("datatier_target_up"), 0)
                self.server.start()
                self.assertEqual(exporter.scrape().value("datatier_target_up"), 1)
        finally:
            if not self.server.alive():
                self.server.start()

    def test_stopped_server_costs_its_deadline_and_no_more(self):
        with rig.Exporter(config(self.server.uri(), 'acquire_every = "0s";')) as exporter:
            self.assertEqual(exporter.scrape().value("datatier_target_up"), 1)
            self.server.signal(signal.SIGSTOP)
            time.sleep(0.3)		# until the signal has reached all
            try:
                for _ in range(2):
                    page = exporter.scrape(timeout=2)
                    self.assertEqual(page.value("datatier_target_up"), 0)
                    self.assertLess(page.seconds, 2.5)
            finally:
                self.server.signal(signal.SIGCONT)
            page = settled(exporter, lambda p: p.value("datatier_target_up") == 1)
            self.assertEqual(page.value("datatier_target_up"), 1)
            # What was left behind is gone, too: one kept, at most one timed.
            scratch.wait_for(lambda: int(self.server.psql(
                "SELECT count(*) FROM pg_stat_activity WHERE " + OURS)) <= 2, "old sessions end")

    def test_terminated_session(self):
        with rig.Exporter(config(self.server.uri())) as exporter:
            exporter.scrape()
            self.server.psql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE " + OURS)
            self.assertEqual(exporter.scrape().value("datatier_target_up"), 1)


class Acquire(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = rig.Postgres()

    @classmethod
    def tearDownClass(cls):
        cls.server.stop()

    def test_one_observation_a_scrape_at_most(self):
        with rig.Exporter(config(self.server.uri(), 'acquire_every = "0s";')) as exporter:
            for _ in range(4):
                exporter.scrape()
                time.sleep(0.3)
            page = exporter.scrape()
            self.assertGreaterEqual(page.value("db_connection_acquire_seconds_count"), 4)
            self.assertLessEqual(page.value("db_connection_acquire_seconds_count"), 5)
            self.assertGreater(page.value("db_connection_acquire_seconds_sum"), 0)

    def test_not_more_often_than_told(self):
        with rig.Exporter(config(self.server.uri(), "")) as exporter:
            for _ in range(20):
                exporter.scrape()
            time.sleep(0.3)
            self.assertEqual(exporter.scrape().value("db_connection_acquire_seconds_count"), 1)

    def test_refused_for_want_of_connections(self):
        with rig.Postgres({"max_connections": "6", "superuser_reserved_connections": "0"}) as server:
            server.psql("CREATE ROLE watcher LOGIN IN ROLE pg_monitor")
            with rig.Exporter(config(server.uri("watcher"), 'acquire_every = "0s";')) as exporter:
                exporter.scrape()
                sessions = [server.session() for _ in range(6)]
                try:
                    page = settled(exporter, lambda p: group_ok(p, "acquire") == 0)
                    self.assertEqual(group_ok(page, "acquire"), 0)
                    self.assertEqual(page.value("datatier_target_up"), 1)
                    self.assertGreaterEqual(page.total("db_connections"), 4)
                    self.assertIn("too many clients", exporter.log())
                finally:
                    for session in sessions:
                        session.close()

    def test_warm_scrape_is_one_round_trip(self):
        proxy = rig.DelayProxy(self.server.port, ms=50)
        try:
            uri = "postgresql://postgres@127.0.0.1:%d/postgres?sslmode=disable" % proxy.port
            with rig.Exporter(config(uri)) as exporter:
                for _ in range(4):
                    exporter.scrape()
                proxy.reset()
                page = exporter.scrape()
                self.assertEqual(page.value("datatier_target_up"), 1)
                self.assertEqual(proxy.round_trips, 1)
                self.assertEqual(proxy.connections, 0)
            # The timed connection takes several round trips, beside the scrape.
            with rig.Exporter(config(uri, 'acquire_every = "0s";')) as exporter:
                exporter.scrape()
                took = []
                for _ in range(4):
                    time.sleep(0.6)
                    took.append(exporter.scrape().value("datatier_target_scrape_seconds"))
                print("# warm, 100 ms there and back: %s" % ", ".join("%.3f s" % s for s in took))
                self.assertLess(min(took), 0.15)
                page = exporter.scrape()
                self.assertGreaterEqual(page.value("db_connection_acquire_seconds_count"), 4)
                mean = page.value("db_connection_acquire_seconds_sum") / \
                    page.value("db_connection_acquire_seconds_count")
                self.assertGreater(mean, 0.2)
        finally:
            proxy.stop()


class Pooler(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = rig.Postgres()
        cls.server.psql("CREATE DATABASE chat; CREATE EXTENSION pg_stat_statements")
        cls.pooler = rig.PgBouncer(cls.server, {"default_pool_size": "2"})

    @classmethod
    def tearDownClass(cls):
        cls.pooler.stop()
        cls.server.stop()

    def shows(self, what):
        rows = [line.split("|") for line in rig.Session(self.pooler.admin_uri).execute(what).split("\n")]
        return rows

    def test_pools_and_waiting_clients(self):
        pooler = self.pooler
        uri = pooler.uri("monitor", "pgbouncer")
        with rig.Exporter(config(uri, "")) as exporter:
            exporter.scrape()
            with pooler.session("chat") as one, pooler.session("chat") as two, \
                    pooler.session("chat") as three, pooler.session("postgres") as other:
                one.execute("BEGIN")
                two.execute("BEGIN")
                other.execute("BEGIN")
                three.send("SELECT 1")
                time.sleep(1.5)
                page = exporter.scrape()
                self.assertEqual(page.value("datatier_target_up"), 1)
                self.assertEqual(page.value("db_connections_waiting", database="chat", reason="pool"), 1)
                self.assertEqual(page.value("db_connections_waiting", database="postgres", reason="pool"), 0)
                self.assertEqual(page.value("db_pool_size", database="chat", user="postgres"), 2)
                self.assertEqual(page.value("db_pool_used", database="chat", user="postgres"), 2)
                self.assertEqual(page.value("db_pool_used", database="postgres", user="postgres"), 1)
                self.assertGreater(page.value("db_pool_max_wait_seconds", database="chat", user="postgres"), 1)
                self.assertLess(page.value("db_pool_max_wait_seconds", database="chat", user="postgres"), 20)
                one.execute("COMMIT")
                three.answer()
            names = {dict(have).get("database") for name in page.names() if name.startswith("db_")
                     for have in page.series(name)}
            self.assertNotIn("pgbouncer", names)
            page = settled(exporter, lambda p: p.value("db_pool_wait_seconds_total", database="chat") > 1)
            stats = pooler.psql("SHOW STATS", db="pgbouncer").split("\n")
            chat = [line.split("|") for line in stats if line.startswith("chat|")][0]
            waited = page.value("db_pool_wait_seconds_total", database="chat")
            self.assertIn(int(round(waited * 1e6)), [int(n) for n in chat[1:]])
            self.assertGreaterEqual(page.value("db_pool_waits_total", database="chat"), 2)
            # No PostgreSQL behind it is asked, and nobody is told to run a GRANT.
            self.assertEqual(page.select("db_connections_max"), [])
            self.assertNotIn("GRANT", exporter.log())

    def test_console_in_one_round_trip(self):
        proxy = rig.DelayProxy(self.pooler.port, ms=50)
        try:
            uri = "postgresql://monitor@127.0.0.1:%d/pgbouncer?sslmode=disable" % proxy.port
            with rig.Exporter(config(uri)) as exporter:
                exporter.scrape()
                took = min(exporter.scrape().value("datatier_target_scrape_seconds") for _ in range(3))
                print("# console, 100 ms there and back: %.3f s" % took)
                self.assertLess(took, 0.15)
        finally:
            proxy.stop()

    def test_acquire_through_the_pooler_sees_the_queue(self):
        more = 'acquire_every = "0s"; acquire_uri = "%s";' % self.pooler.uri(db="chat")
        with rig.Exporter(config(self.server.uri(), more)) as exporter:
            exporter.scrape()
            page = settled(exporter, lambda p: p.value("db_connection_acquire_seconds_count") >= 1)
            before = page.value("db_connection_acquire_seconds_sum")
            with self.pooler.session("chat") as one, self.pooler.session("chat") as two:
                one.execute("BEGIN")
                two.execute("BEGIN")
                time.sleep(0.2)
                page = exporter.scrape()
                self.assertLess(page.value("datatier_target_scrape_seconds"), 1)
                time.sleep(1.5)
                one.execute("COMMIT")
            page = settled(exporter, lambda p: p.value("db_connection_acquire_seconds_sum") - before > 1)
            self.assertGreater(page.value("db_connection_acquire_seconds_sum") - before, 1)

    def test_a_server_through_transaction_pooling(self):
        """Not where one should point it; but it works, and leaves no settings
        in other people's sessions."""
        with rig.Exporter(config(self.pooler.uri())) as exporter:
            for _ in range(4):
                page = exporter.scrape()
                self.assertEqual(page.value("datatier_target_up"), 1)
                self.assertEqual(page.value("db_connections_max"), 100)
                self.assertEqual(group_ok(page, "statements"), 1)
            self.assertEqual(self.pooler.psql("SHOW statement_timeout"), "0")
            self.assertEqual(self.pooler.psql("SHOW default_transaction_read_only"), "off")

    def test_pooler_restarts(self):
        with rig.Exporter(config(self.pooler.admin_uri)) as exporter:
            self.assertEqual(exporter.scrape().value("datatier_target_up"), 1)
            self.pooler.restart()
            self.assertEqual(exporter.scrape().value("datatier_target_up"), 1)


@tap.limit(120)
class UnderLoad(unittest.TestCase):
    def test_counts_hold_while_statements_run(self):
        with rig.Postgres() as server:
            server.psql("CREATE EXTENSION pg_stat_statements; CREATE TABLE t (a int)")
            done = []

            def work():
                with server.session() as session:
                    for i in range(1500):
                        session.send("INSERT INTO t VALUES (%d)" % i)
                        session.send("SELECT max(a) FROM t")
                    session.answer()
                done.append(True)

            with rig.Exporter(config(server.uri(), 'acquire_every = "0s";')) as exporter:
                settled(exporter, lambda p: False, 1)
                before = exporter.scrape()
                threads = [threading.Thread(target=work) for _ in range(2)]
                for thread in threads:
                    thread.start()
                last = before
                while len(done) < 2 and all(t.is_alive() or done for t in threads):
                    page = exporter.scrape()
                    for query_type in TYPES:
                        self.assertGreaterEqual(calls(page, query_type), calls(last, query_type))
                        for (_, now), (_, was) in zip(
                                page.buckets("db_query_duration_seconds", query_type=query_type),
                                last.buckets("db_query_duration_seconds", query_type=query_type)):
                            self.assertGreaterEqual(now, was)
                    last = page
                    time.sleep(0.2)
                for thread in threads:
                    thread.join()
                page = settled(exporter, lambda p: calls(p, "insert") - calls(before, "insert") == 3000)
                self.assertEqual(calls(page, "insert") - calls(before, "insert"), 3000)
                self.assertEqual(calls(page, "select") - calls(before, "select"), 3000)


if __name__ == "__main__":
    tap.main()
