"""The postgresql collector against every supported major version that can be
had; the machine's own is in test_postgresql.py."""
import time
import unittest

import postgres_binaries
import rig
import tap

CONFIG = 'targets = ( { collector = "postgresql"; name = "db"; uri = "%s"; acquire_every = "0s"; } );\n'


def calls(page, query_type):
    return page.value("db_query_duration_seconds_count", query_type=query_type)


def statements(server, n):
    with server.session() as session:
        for i in range(n):
            session.send("INSERT INTO t VALUES (%d)" % i)
            session.send("UPDATE t SET a = a WHERE a = %d" % i)
        session.answer()


class Version:
    """Mixed into a TestCase per version."""
    version = None

    @classmethod
    def setUpClass(cls):
        try:
            bindir = postgres_binaries.bindir(cls.version)
        except postgres_binaries.Unavailable as why:
            raise unittest.SkipTest(str(why)) from None
        cls.major = int(cls.version.partition(".")[0])
        cls.server = rig.Postgres({"reserved_connections": "2"} if cls.major >= 16 else None, bindir=bindir)
        cls.server.psql("CREATE TABLE t (a int); CREATE EXTENSION pg_stat_statements;"
                        " CREATE ROLE watcher LOGIN IN ROLE pg_monitor")
        cls.exporter = rig.Exporter(CONFIG % cls.server.uri("watcher"))

    @classmethod
    def tearDownClass(cls):
        cls.exporter.stop()
        cls.server.stop()

    def test_every_group_works(self):
        for _ in range(3):
            page = self.exporter.scrape()
            time.sleep(0.2)
        self.assertEqual(str(self.server.version()), self.version.partition(".")[0])
        self.assertEqual(page.value("datatier_target_up"), 1)
        groups = {dict(have)["group"]: value for have, value in
                  page.series("datatier_group_success").items()}
        self.assertEqual([name for name, value in groups.items() if value != 1], [])
        self.assertNotIn("warn", self.exporter.log())
        missing = [metric for metric in (
            "db_connections", "db_connections_active", "db_connections_idle", "db_connections_waiting",
            "db_connections_max", "db_connections_reserved", "db_longest_transaction_seconds",
            "db_deadlocks_total", "db_blocks_read_total", "db_blocks_hit_total", "db_temp_bytes_total",
            "db_transactions_total", "db_locks", "db_checkpoints_total", "db_wal_bytes_total", "db_size_bytes",
            "db_query_duration_seconds_count", "db_statements_lost_total",
            "db_connection_acquire_seconds_count") if not page.select(metric)]
        self.assertEqual(missing, [])

    def test_reserved_sessions(self):
        """3 for superusers is the server's default."""
        self.assertEqual(self.exporter.scrape().value("db_connections_reserved"),
                         5 if self.major >= 16 else 3)

    def test_sessions(self):
        with self.server.session() as idle:
            idle.execute("BEGIN; SELECT 1")
            page = self.exporter.scrape()
            self.assertEqual(page.total("db_connections"), 1)
            self.assertEqual(page.value("db_connections", database="postgres",
                                        state="idle in transaction"), 1)

    def test_checkpoints_and_wal(self):
        sql = "SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')"
        before = self.exporter.scrape()
        low = float(self.server.psql(sql))
        self.server.psql("CHECKPOINT")
        time.sleep(0.5)
        page = self.exporter.scrape()
        self.assertEqual(page.value("db_checkpoints_total", kind="requested"),
                         before.value("db_checkpoints_total", kind="requested") + 1)
        self.assertLessEqual(low, page.value("db_wal_bytes_total"))
        self.assertLessEqual(page.value("db_wal_bytes_total"), float(self.server.psql(sql)))

    def test_statements_are_counted_exactly(self):
        self.exporter.scrape()
        before = self.exporter.scrape()
        statements(self.server, 20)
        end = time.monotonic() + 10
        while True:
            page = self.exporter.scrape()
            if calls(page, "insert") - calls(before, "insert") >= 20 or time.monotonic() > end:
                break
            time.sleep(0.1)
        self.assertEqual(calls(page, "insert") - calls(before, "insert"), 20)
        self.assertEqual(calls(page, "update") - calls(before, "update"), 20)
        self.server.psql("SELECT pg_stat_statements_reset()")
        after = self.exporter.scrape()
        for query_type in ("select", "insert", "update", "delete", "other"):
            self.assertGreaterEqual(calls(after, query_type), calls(page, query_type))

    def test_own_statements_are_not_counted(self):
        for _ in range(6):
            self.exporter.scrape()
            time.sleep(0.25)
        before = self.exporter.scrape()
        for _ in range(6):
            page = self.exporter.scrape()
            time.sleep(0.1)
        for query_type in ("select", "insert", "update", "delete", "other"):
            self.assertEqual(calls(page, query_type), calls(before, query_type), query_type)


for _version in postgres_binaries.PINNED:
    _name = "PostgreSQL" + _version.partition(".")[0]
    globals()[_name] = tap.limit(120)(type(_name, (Version, unittest.TestCase), {"version": _version}))

if __name__ == "__main__":
    tap.main()
