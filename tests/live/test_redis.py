"""The Redis collector against real servers: our numbers are the server's own,
with the least rights, over every kind of connection, and through faults."""
import html
import os
import re
import shlex
import signal
import socket
import threading
import time
import unittest

import redis_wheels
import rig
import tap

TIME_LIMIT = 400
SECRET = "Sw0rdfish-Tr0mbone"
FIELDS = {	# ours: the server's
    "redis_evictions_total": "evicted_keys",
    "redis_expired_keys_total": "expired_keys",
    "redis_memory_max_bytes": "maxmemory",
    "redis_memory_system_bytes": "total_system_memory",
    "redis_connected_clients": "connected_clients",
    "redis_blocked_clients": "blocked_clients",
    "redis_rejected_connections_total": "rejected_connections",
    "redis_rdb_last_save_timestamp_seconds": "rdb_last_save_time",
    "redis_cache_hits_total": "keyspace_hits",
    "redis_cache_misses_total": "keyspace_misses",
}
COUNTERS = ("redis_evictions_total", "redis_expired_keys_total", "redis_cache_hits_total",
            "redis_cache_misses_total")
# Commands of the exporter and of the test itself.
OWN = ("info", "latency|histogram", "latency", "slowlog|len", "slowlog", "auth", "ping", "config|set", "config")


def config(uri, more=""):
    return 'targets = ( { collector = "redis"; name = "cache"; uri = "%s"; %s } );\n' % (uri, more)


def acl(user="datatier"):
    """The statement as README.md gives it to the reader, as words."""
    with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "README.md")) as readme:
        blocks = re.findall(r"^```[a-z]*\n(.*?)^```", readme.read(), re.M | re.S)
    said = [line.strip() for block in blocks for line in block.splitlines()
            if "ACL SETUSER %s " % user in line]
    if len(said) != 1:
        raise AssertionError("README.md has %d statements ACL SETUSER %s" % (len(said), user))
    return shlex.split(said[0][said[0].index("ACL SETUSER"):])


def words(exporter):
    """What the page for people says."""
    return html.unescape(rig.fetch(exporter.port, "/").text)


class Client:
    """Pipelines commands, one connection."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.file = self.socket.makefile("rb")

    def call(self, *commands):
        """Answers with their first line each; bulk strings are read over."""
        out = b""
        for command in commands:
            parts = [str(word).encode() for word in command]
            out += b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(p), p) for p in parts)
        self.socket.sendall(out)
        answers = []
        for _ in commands:
            line = self.file.readline()
            if not line:
                raise OSError("closed")
            if line[:1] == b"$" and int(line[1:]) >= 0:
                self.file.read(int(line[1:]) + 2)
            answers.append(line)
        return answers

    def close(self):
        self.file.close()
        self.socket.close()


class Load:
    """Reads and writes until the end of its `with`: hits, misses, evictions,
    keys that expire, slow calls."""

    def __init__(self, port):
        self.port, self.ended, self.rounds = port, threading.Event(), 0
        self.thread = threading.Thread(target=self._run, daemon=True)

    def _run(self):
        client = Client(self.port)
        while not self.ended.is_set():
            self.rounds += 1
            client.call(*[("SET", "k%d" % (self.rounds * 50 + i), "x" * 400) for i in range(50)],
                        *[("GET", "k%d" % (self.rounds * 50 + i * 3)) for i in range(50)],
                        ("SET", "short", 1, "PX", 3), ("LPUSH", "short", 1),
                        ("EVAL", "local n = 0 for i = 1, 20000 do n = n + i end return n", 0))
            time.sleep(0.002)
        client.close()

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *unused):
        self.ended.set()
        self.thread.join(10)


def command_stats(redis):
    """{command: {"calls": n, "usec": n}}"""
    found = {}
    for key, value in redis.info("commandstats").items():
        if key.startswith("cmdstat_"):
            found[key[8:]] = {k: float(v) for k, v in (part.split("=") for part in value.split(","))}
    return found


def histograms(redis):
    """{command: (calls, {bound in us: calls up to it})} of LATENCY HISTOGRAM."""
    found, lines = {}, redis.cli("LATENCY", "HISTOGRAM").splitlines()
    starts = [i - 1 for i, line in enumerate(lines) if line == "calls"]
    for at, end in zip(starts, starts[1:] + [len(lines)]):
        numbers = [int(line) for line in lines[at + 4:end]]
        found[lines[at]] = (int(lines[at + 2]), dict(zip(numbers[::2], numbers[1::2])))
    return found


class Numbers(unittest.TestCase):
    """Held against redis-cli."""

    CONF = {"maxmemory": "4mb", "maxmemory-policy": "allkeys-lru", "slowlog-log-slower-than": 30000}
    histograms = True

    def setUp(self):
        self.redis = self.server()
        self.exporter = rig.Exporter(config(self.redis.url))

    def tearDown(self):
        self.exporter.stop()
        self.redis.stop()

    def server(self):
        return rig.Redis(self.CONF)

    def load(self, rounds):
        with Load(self.redis.port) as load:
            rig.wait_for(lambda: load.rounds >= rounds, "load")
        self.redis.cli("CONFIG", "SET", "maxmemory", "64mb")	# or each connection evicts some more
        self.redis.cli("EVAL", "local n = 0 for i = 1, 20000000 do n = n + i end return n", 0)	# slow
        # The one after connecting asks otherwise than the later ones.
        self.exporter.scrape()

    def test_at_rest_every_number_is_the_servers_own(self):
        self.load(300)
        self.redis.cli("-n", "3", "SET", "a", "b", "EX", "1000")
        page, info = self.exporter.scrape(), self.redis.info("all")
        self.assertEqual(page.value("datatier_target_up", target="cache"), 1, self.exporter.log())
        for ours, theirs in FIELDS.items():
            expected = float(info[theirs]) - (theirs == "connected_clients")	# redis-cli's own
            self.assertEqual(page.value(ours, target="cache"), expected, ours)
        self.assertAlmostEqual(page.value("redis_memory_used_bytes"), float(info["used_memory"]), delta=500e3)
        for name in COUNTERS:
            self.assertGreater(page.value(name), 0, name)
        keys = {db: float(re.match(r"keys=(\d+)", value).group(1))
                for db, value in info.items() if re.fullmatch(r"db\d+", db)}
        self.assertEqual({labels["db"]: n for labels, n in page.select("redis_keys")}, keys)
        self.assertEqual(set(keys), {"db0", "db3"})
        self.assertEqual(page.value("redis_slowlog_length"), float(self.redis.cli("SLOWLOG", "LEN")))
        self.assertGreater(page.value("redis_slowlog_length"), 0)
        self.assertEqual(page.value("redis_info", version=self.version(info), role="master",
                                    mode="standalone"), 1)

    def version(self, info):
        return info["redis_version"]

    def test_at_rest_every_command_is_the_servers_own(self):
        self.load(100)
        page, stats = self.exporter.scrape(), command_stats(self.redis)
        ours = {labels["command"]: n for labels, n in page.select("redis_commands_total")}
        self.assertEqual({c: n for c, n in ours.items() if c not in OWN},
                         {c: s["calls"] for c, s in stats.items() if c not in OWN})
        self.assertGreaterEqual(len([c for c in ours if c not in OWN]), 4)
        for command, n in page.select("redis_command_seconds_total"):
            if command["command"] not in OWN:
                self.assertAlmostEqual(n, stats[command["command"]]["usec"] / 1e6, delta=1e-9)

    def test_histograms_are_the_servers_own(self):
        self.load(300)
        page = self.exporter.scrape()
        if not self.histograms:
            self.assertEqual(page.series("redis_get_latency_seconds_count"), {})
            self.assertEqual(page.select("datatier_group_success", group="latency"), [])
            self.assertIn("LATENCY HISTOGRAM needs Redis 7, this is", words(self.exporter))
            return
        stats, theirs = command_stats(self.redis), histograms(self.redis)
        for command in ("get", "set"):
            name = "redis_%s_latency_seconds" % command
            calls, upto = theirs[command]
            ours = page.buckets(name)
            self.assertEqual(page.value(name + "_count"), calls)
            self.assertGreater(calls, 1000)
            self.assertAlmostEqual(page.value(name + "_sum"), stats[command]["usec"] / 1e6, delta=1e-9)
            self.assertEqual(len(ours), 21)
            expected = 0
            for bound, count in ours[:-1]:
                expected = upto.pop(round(bound * 1e6), expected)
                self.assertEqual(count, expected, "%s le=%g" % (name, bound))
            self.assertEqual(ours[-1], (float("inf"), calls))
            self.assertLessEqual(set(upto), {1073741})	# no other bound of the server's is left

    def test_under_load_counters_lie_between_two_readings(self):
        with Load(self.redis.port) as load:
            rig.wait_for(lambda: load.rounds >= 50, "load")
            for _ in range(10):
                before, stats_before = self.redis.info("stats"), command_stats(self.redis)
                page = self.exporter.scrape()
                after, stats_after = self.redis.info("stats"), command_stats(self.redis)
                for name in COUNTERS:
                    self.assertLessEqual(float(before[FIELDS[name]]), page.value(name), name)
                    self.assertGreaterEqual(float(after[FIELDS[name]]), page.value(name), name)
                for command in ("get", "set"):
                    calls = page.value("redis_commands_total", command=command)
                    self.assertLessEqual(stats_before[command]["calls"], calls)
                    self.assertGreaterEqual(stats_after[command]["calls"], calls)
                    if self.histograms:	# both come out of one pipelined write
                        self.assertEqual(page.value("redis_%s_latency_seconds_count" % command), calls)
            self.assertGreater(float(after["keyspace_hits"]), float(before["keyspace_hits"]))

    def test_a_reset_of_the_server_is_passed_on(self):
        self.load(50)
        self.assertGreater(self.exporter.scrape().value("redis_cache_hits_total"), 0)
        self.redis.cli("CONFIG", "RESETSTAT")
        page = self.exporter.scrape()
        self.assertEqual(page.value("redis_cache_hits_total"), 0)
        if self.histograms:
            self.assertEqual(page.value("redis_get_latency_seconds_count"), 0)

    def test_the_least_rights_are_enough(self):
        statement = [">" + SECRET if word.startswith(">") else word for word in acl()]
        self.assertIn(">" + SECRET, statement)
        self.assertEqual(self.redis.cli(*statement), "OK")
        self.load(20)
        with rig.Exporter(config("redis://127.0.0.1:%d" % self.redis.port,
                                 'username = "%s"; password = "%s";' % (statement[2], SECRET))) as least:
            for _ in range(2):
                page = least.scrape()
                self.assertEqual(page.value("datatier_target_up"), 1, least.log())
                self.assertNotIn(0, page.series("datatier_group_success").values(), words(least))
                self.assertEqual(set(page.names()) - {"datatier_scrape_seconds"},
                                 set(self.exporter.scrape().names()) - {"datatier_scrape_seconds"})
            self.assertNotIn(SECRET, least.log() + words(least) + page.text)
        self.assertEqual(self.redis.cli("ACL", "LOG"), "")
        refused = self.redis.cli("--user", statement[2], "--pass", SECRET, "--no-auth-warning", "GET", "a")
        self.assertIn("NOPERM", refused)


class Redis62(Numbers):
    histograms = False

    def server(self):
        return rig.Redis(self.CONF, binary=redis_wheels.server("redis-6.2.14"))

    def test_it_is_that_version(self):
        self.assertEqual(self.redis.info()["redis_version"], "6.2.14")

    def test_scrapes_are_no_errors_of_the_server(self):
        for _ in range(5):
            self.exporter.scrape()
        self.assertLessEqual(int(self.redis.info("stats")["total_error_replies"]), 1)


class Valkey(Numbers):
    def server(self):
        return rig.Redis(self.CONF, binary=redis_wheels.server("valkey-9.1.2"))

    def version(self, info):
        self.assertEqual(info["valkey_version"], "9.1.2")
        return "9.1.2"


class Rights(unittest.TestCase):
    def without(self, user, group, hint):
        """That user's exporter lacks that group, with the reason, and no other."""
        with rig.Redis({"user": ["some on >%s %s" % (SECRET, user)]}) as redis:
            with rig.Exporter(config("redis://some:%s@127.0.0.1:%d" % (SECRET, redis.port))) as exporter:
                page = exporter.scrape()
                self.assertEqual(page.value("datatier_target_up"), 1)
                failed = [labels["group"] for labels, ok in page.select("datatier_group_success") if not ok]
                self.assertEqual(failed, group)
                self.assertIn(hint, words(exporter))
                self.assertNotIn(SECRET, exporter.log() + words(exporter) + page.text)
                return page

    def test_denied_histogram(self):
        page = self.without("-@all +info +slowlog|len", ["latency"], "(grant +latency|histogram)")
        self.assertEqual(page.series("redis_get_latency_seconds_count"), {})
        self.assertEqual(page.value("redis_slowlog_length"), 0)
        self.assertIsNotNone(page.value("redis_memory_used_bytes"))

    def test_denied_slowlog(self):
        page = self.without("-@all +info +latency|histogram", ["slowlog"], "(grant +slowlog|len)")
        self.assertEqual(page.series("redis_slowlog_length"), {})
        self.assertEqual(page.value("redis_get_latency_seconds_count"), 0)

    def test_denied_info(self):
        page = self.without("-@all +slowlog|len", ["server", "cache", "commands", "keys", "replication", "info",
                                                  "latency"], "(grant +info)")
        self.assertEqual(page.value("redis_slowlog_length"), 0)
        self.assertEqual(page.series("redis_memory_used_bytes"), {})

    def test_renamed_command(self):
        with rig.Redis({"rename-command": ['SLOWLOG ""', "LATENCY hidden"]}) as redis:
            with rig.Exporter(config(redis.url)) as exporter:
                page = exporter.scrape()
                self.assertEqual(page.value("datatier_target_up"), 1)
                self.assertEqual(page.series("redis_slowlog_length"), {})
                self.assertEqual(page.series("redis_get_latency_seconds_count"), {})
                self.assertIsNotNone(page.value("redis_memory_used_bytes"))
                self.assertIn("SLOWLOG LEN: ERR unknown command", words(exporter))
                self.assertIn("LATENCY HISTOGRAM: ERR unknown command", words(exporter))

    def down(self, redis, more, said, uri=None):
        with rig.Exporter(config(uri or "redis://127.0.0.1:%d" % redis.port, more)) as exporter:
            page = exporter.scrape(timeout=3)
            self.assertEqual(page.value("datatier_target_up"), 0)
            self.assertEqual([n for n in page.names() if n.startswith("redis_")], [])
            self.assertIn(said, words(exporter))
            self.assertNotIn(SECRET, exporter.log() + words(exporter) + page.text)

    def test_wrong_password_and_user(self):
        said = "wrong user name or password, or the user is disabled"
        with rig.Redis({"user": ["some on >right +@all", "off off >%s +@all" % SECRET]}) as redis:
            self.down(redis, 'username = "some"; password = "%s";' % SECRET, said)
            self.down(redis, 'username = "none"; password = "%s";' % SECRET, said)
            self.down(redis, 'username = "off"; password = "%s";' % SECRET, said)

    def test_a_password_that_nobody_set(self):
        with rig.Redis() as redis:
            self.down(redis, 'password = "%s";' % SECRET, "the server's default user has none")

    def test_an_auth_command_that_is_gone_does_not_show_the_password(self):
        with rig.Redis({"rename-command": ['AUTH ""']}) as redis:
            self.down(redis, 'password = "%s";' % SECRET, "the server has no AUTH command")

    def test_old_server_with_a_password(self):
        with rig.Redis({"requirepass": "right"}, binary=redis_wheels.server("redis-6.2.14")) as redis:
            self.down(redis, 'password = "%s";' % SECRET, "wrong user name or password")
            with rig.Exporter(config(redis.url)) as exporter:
                self.assertEqual(exporter.scrape().value("datatier_target_up"), 1)

    def test_too_many_clients(self):
        with rig.Redis({"maxclients": 2}) as redis:
            clients = [Client(redis.port) for _ in range(2)]
            for client in clients:
                client.call(("PING",))
            self.down(redis, "", "maxclients connections already")
            for client in clients:
                client.close()


class Connections(unittest.TestCase):
    def up(self, uri, more="", env=None):
        with rig.Exporter(config(uri, more), env=env) as exporter:
            for _ in range(3):
                page = exporter.scrape()
                self.assertEqual(page.value("datatier_target_up"), 1, exporter.log())
                self.assertEqual(set(page.series("datatier_group_success").values()), {1})
            return page

    def test_unix_socket(self):
        with rig.Redis({"requirepass": SECRET, "port": 0}) as redis:
            self.up("unix://" + redis.socket_path, 'password = "%s";' % SECRET)

    def test_password_with_every_special_character_in_the_address(self):
        with rig.Redis({"user": ["some on >p@:/?[]%&=+ +@all"]}) as redis:
            self.up("redis://some:p%%40%%3A%%2F%%3F%%5B%%5D%%25%%26%%3D%%2B@127.0.0.1:%d/0" % redis.port)

    def test_a_proxy_of_the_environment_is_not_used(self):
        with rig.Redis() as redis:
            nobody = "http://127.0.0.1:%d" % rig.free_port()
            self.up(redis.url, env={"http_proxy": nobody, "all_proxy": nobody, "ALL_PROXY": nobody})

    def test_tls_with_an_authority_of_our_own(self):
        with rig.Redis(tls=True) as redis:
            self.up("rediss://127.0.0.1:%d" % redis.port, 'tls_ca = "%s";' % redis.ca)
            self.up("rediss://localhost:%d" % redis.port, 'tls_ca = "%s";' % redis.ca)

    def test_tls_client_certificate(self):
        with rig.Redis({"tls-auth-clients": "yes"}, tls=True) as redis:
            ca = 'tls_ca = "%s";' % redis.ca
            both = redis.dir + "/both.pem"
            with open(both, "w") as out:
                for part in (redis.client_cert, redis.client_key):
                    with open(part) as text:
                        out.write(text.read())
            uri = "rediss://127.0.0.1:%d" % redis.port
            self.up(uri, ca + 'tls_certificate = "%s"; tls_key = "%s";' % (redis.client_cert, redis.client_key))
            self.up(uri, ca + 'tls_certificate = "%s";' % both)
            self.down(uri, ca, "client certificate")

    def down(self, uri, more, said):
        with rig.Exporter(config(uri, more)) as exporter:
            page = exporter.scrape(timeout=2)
            self.assertLess(page.seconds, 2.5)
            self.assertEqual(page.value("datatier_target_up"), 0)
            self.assertRegex(words(exporter), said)
            self.assertEqual(len(exporter.workers()), 1)

    def test_tls_that_cannot_be_trusted(self):
        with rig.Redis(tls=True) as redis, rig.Redis({"bind": "127.0.0.1 127.0.0.2"}, tls=True) as other:
            uri = "rediss://127.0.0.1:%d" % redis.port
            self.down(uri, "", "certificate is not trusted")
            self.down(uri, 'tls_ca = "%s";' % other.ca, "certificate is not trusted")
            self.down(uri, 'tls_ca = "/nonexistent/ca.pem";', "tls_ca cannot be read: /nonexistent/ca.pem: No such file")
            self.down(uri, 'tls_ca = "%s"; tls_certificate = "/nonexistent.pem";' % redis.ca,
                      "tls_certificate cannot be read: /nonexistent.pem: No such file")
            self.down(uri, 'tls_ca = "%s"; tls_certificate = "%s";' % (redis.ca, redis.ca), "tls_key|TLS")
            # The certificate is for localhost and 127.0.0.1, not for this address of the same server.
            self.down("rediss://127.0.0.2:%d" % other.port, 'tls_ca = "%s";' % other.ca, "certificate is not trusted")

    def test_tls_by_another_name_than_the_address(self):
        with rig.Redis({"bind": "127.0.0.1 127.0.0.2"}, tls=True) as redis:
            uri, ca = "rediss://127.0.0.2:%d" % redis.port, 'tls_ca = "%s";' % redis.ca
            self.up(uri, ca + 'tls_server_name = "localhost";')
            self.down(uri, ca + 'tls_server_name = "cache.example";', "certificate is not trusted")
            redis.stop()	# it is this address that is connected to, and no other
            self.down(uri, ca + 'tls_server_name = "localhost";', "127.0.0.2:%d: no connection" % redis.port)

    def test_tls_and_plain_mixed_up(self):
        with rig.Redis(tls=True) as tls, rig.Redis() as plain:
            self.down("redis://127.0.0.1:%d" % tls.port, "", "rediss://")
            self.down("rediss://127.0.0.1:%d" % plain.port, "", r"is this a port without TLS \(redis://\)\?")

    def test_one_connection_and_one_round_trip_a_scrape(self):
        with rig.Redis({"requirepass": SECRET}) as redis, rig.DelayProxy(redis.port) as proxy:
            with rig.Exporter(config("redis://:%s@127.0.0.1:%d" % (SECRET, proxy.port))) as exporter:
                exporter.scrape()
                self.assertEqual((proxy.connections, proxy.round_trips), (1, 1))	# AUTH went along
                for _ in range(5):
                    self.assertEqual(exporter.scrape().value("datatier_target_up"), 1)
                self.assertEqual((proxy.connections, proxy.round_trips), (1, 6))

    def test_a_delay_is_paid_once(self):
        with rig.Redis() as redis, rig.DelayProxy(redis.port, ms=100) as proxy:
            with rig.Exporter(config("redis://127.0.0.1:%d" % proxy.port)) as exporter:
                exporter.scrape()
                self.assertLess(min(exporter.scrape().seconds for _ in range(3)), 0.35)

    def test_only_what_is_asked_for(self):
        with rig.Redis() as redis, rig.Exporter(config(redis.url)) as exporter:
            page = exporter.scrape(collect=["slowlog"])
            self.assertEqual([n for n in page.names() if n.startswith("redis_")], ["redis_slowlog_length"])
            self.assertNotIn("latency|histogram", command_stats(redis))


class Faults(unittest.TestCase):
    def test_a_server_that_starts_later_and_restarts(self):
        with rig.Redis() as redis, rig.Exporter(config(redis.url)) as exporter:
            redis.stop()
            self.assertEqual(exporter.scrape(timeout=3).value("datatier_target_up"), 0)
            redis.start()
            self.assertEqual(exporter.scrape().value("datatier_target_up"), 1)
            for _ in range(3):	# the scrape that finds the connection gone is complete
                redis.restart()
                page = exporter.scrape()
                self.assertEqual(page.value("datatier_target_up"), 1, exporter.log())
                self.assertEqual(set(page.series("datatier_group_success").values()), {1})
            self.assertEqual(set(page.series("datatier_worker_restarts_total").values()), {0})

    def test_a_killed_connection_costs_nothing(self):
        with rig.Redis() as redis, rig.Exporter(config(redis.url)) as exporter:
            for _ in range(3):
                self.assertEqual(exporter.scrape().value("datatier_target_up"), 1)
                redis.cli("CLIENT", "KILL", "TYPE", "normal")

    def test_a_stopped_server(self):
        with rig.Redis() as redis, rig.Exporter(config(redis.url)) as exporter:
            exporter.scrape()
            redis.signal(signal.SIGSTOP)
            for _ in range(3):	# on the kept connection, then on new ones
                page = exporter.scrape(timeout=1)
                self.assertLess(page.seconds, 1.5)
                self.assertEqual(page.value("datatier_target_up"), 0)
            self.assertIn("no whole answer before the deadline", words(exporter))
            redis.signal(signal.SIGCONT)
            page = exporter.scrape()
            self.assertEqual(page.value("datatier_target_up"), 1)
            self.assertEqual(set(page.series("datatier_group_success").values()), {1})
            time.sleep(0.2)
            self.assertLessEqual(int(redis.info("clients")["connected_clients"]), 2)	# ours and redis-cli's

    def test_a_server_that_loads_its_data(self):
        with rig.Redis({"key-load-delay": 3000, "loading-process-events-interval-bytes": 1024}) as redis:
            redis.cli("EVAL", "for i = 1, 1000 do redis.call('set', 'k' .. i, string.rep('x', 100)) end", 0)
            redis.cli("SAVE")
            redis.stop()
            redis.launch()
            with rig.Exporter(config("redis://127.0.0.1:%d" % redis.port)) as exporter:
                rig.wait_for(lambda: "LOADING" in self.ping(redis), "loading", every=0.01)
                page = exporter.scrape()
                self.assertIn("LOADING", self.ping(redis))
                self.assertEqual(page.value("datatier_target_up"), 1, exporter.log())
                self.assertEqual(set(page.series("datatier_group_success").values()), {1})

    @staticmethod
    def ping(redis):
        try:
            return redis.cli("PING")
        except rig.RigError:
            return ""

    def test_replication(self):
        with rig.Redis({"repl-diskless-sync-delay": 0, "shutdown-timeout": 0}) as primary:
            with rig.Redis({"replicaof": "127.0.0.1 %d" % primary.port, "replica-serve-stale-data": "no"}) as replica:
                self.follow(primary, replica)

    def follow(self, primary, replica):
        more = '}, { collector = "redis"; name = "replica"; uri = "%s";' % replica.url
        with rig.Exporter(config(primary.url, more)) as exporter:
            def lag(name):
                return exporter.scrape().value("redis_replication_lag_bytes", target=name)
            rig.wait_for(lambda: lag("cache") == 0 and lag("replica") == 0, "in step")
            page = exporter.scrape()
            self.assertEqual(page.value("redis_info", target="replica", role="slave"), 1)
            replica.signal(signal.SIGSTOP)
            primary.cli("EVAL", "for i = 1, 1000 do redis.call('set', 'k' .. i, string.rep('x', 1000)) end", 0)
            page = exporter.scrape(target=["cache"])
            behind = page.value("redis_replication_lag_bytes", target="cache")
            self.assertGreater(behind, 1e6)
            self.assertLess(behind, 1.3e6)
            replica.signal(signal.SIGCONT)
            rig.wait_for(lambda: lag("cache") == 0, "in step again")
            primary.stop()
            rig.wait_for(lambda: replica.info("replication")["master_link_status"] == "down", "link down")
            self.assertIn("MASTERDOWN", replica.cli("GET", "a"))
            page = exporter.scrape(target=["replica"])
            self.assertEqual(page.value("datatier_target_up", target="replica"), 1)
            self.assertIsNone(page.value("redis_replication_lag_bytes", target="replica"))
            self.assertEqual(page.value("redis_info", target="replica", role="slave"), 1)


if __name__ == "__main__":
    tap.main()
