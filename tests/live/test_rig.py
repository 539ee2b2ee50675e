"""The rig itself: servers start, are what they say, and leave nothing behind."""
import os
import signal
import subprocess
import sys
import textwrap
import time
import unittest

import rig
import tap

HERE = os.path.dirname(os.path.abspath(__file__))


def left_behind(directory):
    """What still runs inside, or exists of, a scratch directory."""
    found = [directory] if os.path.exists(directory) else []
    for entry in os.listdir("/proc"):
        try:
            if entry.isdigit() and os.readlink("/proc/%s/cwd" % entry).startswith(directory):
                found.append("pid " + entry)
        except OSError:
            continue
    return found


class Servers(unittest.TestCase):
    def test_postgres_with_statements_sessions_and_passwords(self):
        hba = ["host all locked 127.0.0.1/32 scram-sha-256"]
        with rig.Postgres(conf={"max_connections": 20}, hba=hba) as pg:
            self.assertEqual(pg.psql("SHOW max_connections"), "20")
            pg.psql("CREATE EXTENSION pg_stat_statements; CREATE ROLE locked LOGIN PASSWORD 'se''cret'")
            self.assertEqual(pg.psql("SELECT 1", user="locked", password="se'cret"), "1")
            with self.assertRaisesRegex(rig.RigError, "password authentication failed"):
                pg.psql("SELECT 1", user="locked", password="wrong")
            with pg.session() as one, pg.session() as two:
                self.assertEqual(one.execute("BEGIN; CREATE TABLE t (i int); SELECT 7"), "7")
                two.send("SELECT pg_advisory_lock(1)")
                self.assertEqual(two.execute("SELECT 8"), "\n8")
            pid = pg.pid
            pg.restart()
            self.assertNotEqual(pg.pid, pid)
            pg.signal(signal.SIGSTOP)
            began = time.monotonic()
        self.assertLess(time.monotonic() - began, 15)

    def test_pgbouncer_in_front_of_postgres(self):
        with rig.Postgres() as pg, rig.PgBouncer(pg, conf={"default_pool_size": 1}) as pool:
            self.assertEqual(pool.psql("SELECT 2"), "2")
            self.assertIn("postgres|postgres|", pool.psql("SHOW POOLS", db="pgbouncer", user="monitor"))

    def test_redis_plain_and_tls(self):
        with rig.Redis({"maxmemory": "2mb", "user": ["a on >x +ping", "b on >y +get ~*"]}) as redis:
            self.assertEqual(redis.info()["maxmemory"], "2097152")
            self.assertEqual(redis.cli("ACL", "USERS"), "a\nb\ndefault")
            redis.restart()
            self.assertEqual(redis.cli("PING"), "PONG")
        with rig.Redis(tls=True) as redis:
            self.assertEqual(redis.cli("PING"), "PONG")
            done = subprocess.run(["redis-cli", "-p", str(redis.port), "--tls", "--cacert", redis.ca, "PING"],
                                  stdout=subprocess.PIPE, text=True)
            self.assertEqual(done.stdout, "PONG\n")

    def test_delay_proxy_delays_and_counts(self):
        with rig.Redis() as redis, rig.DelayProxy(redis.port, 50) as proxy:
            began = time.monotonic()
            done = subprocess.run(["redis-cli", "-p", str(proxy.port)], input="PING\nPING\nPING\n",
                                  stdout=subprocess.PIPE, text=True)
            seconds = time.monotonic() - began
            self.assertEqual(done.stdout.count("PONG"), 3)
            self.assertEqual(proxy.connections, 1)
            self.assertGreaterEqual(proxy.round_trips, 3)
            self.assertGreaterEqual(seconds, 0.1 * proxy.round_trips)
            self.assertLess(seconds, 0.1 * proxy.round_trips + 5)


class Ends(unittest.TestCase):
    PROGRAM = textwrap.dedent("""
        import sys, time
        sys.path.insert(0, %r)
        import rig, tap, unittest
        class T(unittest.TestCase):
            def test_it(self):
                with rig.Postgres() as pg, rig.Redis() as redis:
                    session = pg.session()
                    session.send("SELECT pg_sleep(600)")
                    print("# " + rig.directory(), flush=True)
                    time.sleep(600)
        tap.main()
    """ % HERE)

    def end_by(self, sig):
        program = subprocess.Popen([sys.executable, "-c", self.PROGRAM], stdout=subprocess.PIPE,
                                   stderr=subprocess.DEVNULL, text=True, start_new_session=True)
        with program.stdout as out:
            self.assertEqual(out.readline(), "TAP version 13\n")
            directory = out.readline()[2:].strip()
            self.assertTrue(os.path.isdir(directory))
            self.assertGreater(len(left_behind(directory)), 3)
            program.send_signal(sig)
            rest = out.read()
        status = program.wait(60)
        rig.wait_for(lambda: not left_behind(directory), "nothing is left", 30)
        return status, rest

    def test_nothing_is_left_after_sigkill(self):
        self.assertEqual(self.end_by(signal.SIGKILL), (-signal.SIGKILL, ""))

    def test_nothing_is_left_after_sigterm(self):
        status, rest = self.end_by(signal.SIGTERM)
        self.assertEqual(status, 128 + signal.SIGTERM)
        self.assertIn("Bail out!", rest)


class Tap(unittest.TestCase):
    PROGRAM = textwrap.dedent("""
        import sys, time
        sys.path.insert(0, %r)
        import tap, unittest
        class A(unittest.TestCase):
            def test_good(self): pass
            def test_bad(self): self.assertEqual(1, 2)
            @unittest.skip("not # here")
            def test_skipped(self): pass
            @tap.limit(0.2)
            def test_slow(self): time.sleep(30)
        class B(unittest.TestCase):
            @classmethod
            def setUpClass(cls): raise unittest.SkipTest("no server")
            def test_one(self): pass
            def test_two(self): pass
        class C(unittest.TestCase):
            @classmethod
            def setUpClass(cls): raise OSError("broken")
            def test_three(self): pass
        tap.main()
    """ % HERE)

    def test_tells_good_from_bad_from_skipped(self):
        done = subprocess.run([sys.executable, "-c", self.PROGRAM], stdout=subprocess.PIPE, text=True)
        lines = [line for line in done.stdout.splitlines() if not line.startswith("# ")]
        told = {line.split(" - ")[1].split(" # ")[0]: line for line in lines if " - " in line}
        self.assertEqual(done.returncode, 1)
        self.assertEqual(lines[-1], "1..7")
        self.assertRegex(told["A.test_good"], r"^ok \d+ - A.test_good # time=")
        self.assertRegex(told["A.test_bad"], "^not ok ")
        self.assertRegex(told["A.test_skipped"], "# SKIP not # here$")
        self.assertRegex(told["A.test_slow"], "^not ok ")
        self.assertRegex(told["B.test_one"], "# SKIP no server$")
        self.assertRegex(told["B.test_two"], "# SKIP no server$")
        self.assertRegex(told["C.test_three"], "^not ok ")


if __name__ == "__main__":
    tap.main()
