"""Hits and misses by key prefix on real servers: rates that are known come out
within three points, sums are the server's own, and nothing is left behind."""
import os
import re
import shlex
import signal
import subprocess
import time
import unittest

import redis_wheels
import rig
import scratch
import tap
from exporter_process import BUILD
from test_redis import Client, words

TIME_LIMIT = 500
RATES = {"user": 95, "conversation": 70, "message": 20}
EVENTS = {"notify-keyspace-events": "Em"}
HITS, MISSES = "redis_cache_hits_total", "redis_cache_misses_total"
SECRET = "Sw0rdfish-Tr0mbone"


def config(uri, more="", prefixes=RATES):
    return ('targets = ( { collector = "redis"; name = "cache"; uri = "%s"; key_prefixes = ( %s ); %s } );\n'
            % (uri, ", ".join('"%s"' % p for p in prefixes), more))


class Load(scratch.Server):
    """Reads at a rate until it is stopped; then truth is {prefix: (hits, misses)}."""

    name = "redis_load"

    def __init__(self, redis, rate, batch, rates=RATES):
        super().__init__()
        self.words = [os.path.join(BUILD, "tests", "redis_load"), str(redis.port), str(rate), str(batch)]
        self.words += ["%s=%d" % item for item in rates.items()]
        self.truth = {}
        self.child = subprocess.Popen(self.words, stdout=subprocess.PIPE, text=True)
        self.child.stdout.readline()

    def finish(self):
        self.child.terminate()
        for line in self.child.communicate(timeout=20)[0].splitlines():
            name, hits, misses = line.split()
            self.truth[name] = (int(hits), int(misses))
        if self.child.returncode != 0:
            raise rig.RigError("redis_load: status %d" % self.child.returncode)

    def __exit__(self, *unused):
        self.child.kill()
        self.child.wait()


def counts(page):
    """{prefix: (hits, misses)}"""
    hits = {labels["cache_key_prefix"]: n for labels, n in page.select(HITS)}
    misses = {labels["cache_key_prefix"]: n for labels, n in page.select(MISSES)}
    return {prefix: (hits[prefix], misses[prefix]) for prefix in hits}


class Prefixes(unittest.TestCase):
    def assert_sums(self, page, redis, more=(0, 0)):
        """At rest: exactly the server's own, and what it had forgotten."""
        info = redis.info("stats")
        self.assertEqual(page.total(HITS), int(info["keyspace_hits"]) + more[0])
        self.assertEqual(page.total(MISSES), int(info["keyspace_misses"]) + more[1])

    def assert_no_fall(self, before, after):
        for prefix, pair in before.items():
            self.assertGreaterEqual(after[prefix][0], pair[0], prefix)
            self.assertGreaterEqual(after[prefix][1], pair[1], prefix)


class Rates(Prefixes):
    def run_at(self, rate, batch, seconds, every):
        with rig.Redis(EVENTS) as redis, rig.Exporter(config(redis.url)) as exporter:
            exporter.scrape()
            before, slowest = {}, 0
            with Load(redis, rate, batch) as load:
                end = time.monotonic() + seconds
                while time.monotonic() < end:
                    page = exporter.scrape()
                    slowest = max(slowest, page.seconds)
                    self.assert_no_fall(before, counts(page))
                    before = counts(page)
                    time.sleep(every)
                load.finish()
            page = exporter.scrape()
            self.assert_sums(page, redis)
            found = counts(page)
            self.assertEqual(set(found), set(RATES) | {"other"})
            reads = sum(sum(pair) for pair in load.truth.values())
            sampled = page.value("redis_prefix_sample_reads_total")
            print("# %d reads/s, %d of %d reads seen, windows %.2f s of %d s, slowest scrape %.0f ms" % (
                reads / seconds, sampled, reads, page.value("redis_prefix_sample_seconds_total"), seconds,
                slowest * 1000))
            for prefix, (hits, misses) in load.truth.items():
                true, ours = 100 * hits / (hits + misses), found[prefix]
                share = sum(ours) / sum(sum(pair) for pair in found.values())
                estimate = 100 * ours[0] / sum(ours)
                print("# %-13s true %5.2f %%, estimated %5.2f %%" % (prefix, true, estimate))
                self.assertLess(abs(estimate - true), 3, prefix)
                self.assertLess(abs(share - (hits + misses) / reads), 0.03, prefix)
            self.assertLess(sum(found["other"]), 0.02 * reads)
            self.assertGreater(sampled, 1000)
            self.assertLess(sampled, reads)
            self.assertLess(page.value("redis_prefix_sample_seconds_total"), 0.3 * seconds + 3)
            self.assertLess(slowest, 1.5)
            return reads / seconds

    def test_at_20000_reads_a_second(self):
        self.assertGreater(self.run_at(20000, 50, 20, 2), 10000)

    @tap.limit(120)
    def test_at_500_reads_a_second(self):
        self.assertGreater(self.run_at(500, 1, 60, 3), 400)


class Sums(Prefixes):
    """Hold, and nothing falls, whatever is started anew."""

    def setUp(self):
        self.redis = rig.Redis(EVENTS)
        self.exporter = rig.Exporter(config(self.redis.url))

    def tearDown(self):
        self.exporter.stop()
        self.redis.stop()

    def some_load(self, seconds=3.0):
        """counts() at rest, after some reads and scrapes"""
        with Load(self.redis, 2000, 10) as load:
            end = time.monotonic() + seconds
            while time.monotonic() < end:
                self.exporter.scrape()
                time.sleep(0.5)
            load.finish()
        return counts(self.exporter.scrape())

    def forgotten(self):
        info = self.redis.info("stats")
        return int(info["keyspace_hits"]), int(info["keyspace_misses"])

    def test_what_was_before_the_exporter_is_others(self):
        with Load(self.redis, 2000, 10) as load:
            time.sleep(0.5)
            load.finish()
        page = self.exporter.scrape()
        self.assert_sums(page, self.redis)
        self.assertEqual(counts(page)["user"], (0, 0))
        self.assertGreater(min(counts(page)["other"]), 0)

    def test_over_resetstat_and_a_restart_of_the_server(self):
        before = self.some_load()
        self.assertGreater(min(before["user"] + before["message"]), 0)
        gone = self.forgotten()
        self.redis.cli("CONFIG", "RESETSTAT")
        page = self.exporter.scrape()
        self.assertEqual(counts(page), before)
        after = self.some_load()
        self.assert_no_fall(before, after)
        self.assert_sums(self.exporter.scrape(), self.redis, gone)
        gone = tuple(a + b for a, b in zip(gone, self.forgotten()))
        self.redis.restart()
        last = self.some_load()
        self.assert_no_fall(after, last)
        self.assert_sums(self.exporter.scrape(), self.redis, gone)
        self.assertGreater(last["user"][0], after["user"][0])

    def test_over_a_worker_that_died_and_a_reload(self):
        before = self.some_load()
        os.kill(self.exporter.workers()["redis"], signal.SIGKILL)
        # These reads come when nobody looks.
        with Load(self.redis, 2000, 10) as load:
            time.sleep(0.5)
            load.finish()
        rig.wait_for(lambda: self.exporter.scrape().value("datatier_target_up") == 1, "up again")
        page = self.exporter.scrape()
        self.assert_no_fall(before, counts(page))
        self.assert_sums(page, self.redis)
        self.assertGreater(self.exporter.scrape().value("redis_prefix_sample_reads_total"), 0)

        before = self.some_load()
        with open(self.exporter.config_path, "w") as out:
            out.write(config(self.redis.url, prefixes=("message", "user", "new")))
        os.kill(self.exporter.pid, signal.SIGHUP)
        rig.wait_for(lambda: "new" in counts(self.exporter.scrape()), "the new configuration")
        page = self.exporter.scrape()
        self.assert_sums(page, self.redis)
        after = counts(page)
        self.assertEqual(after["user"], before["user"])
        self.assertEqual(after["new"], (0, 0))
        self.assertEqual(after["other"], tuple(map(sum, zip(before["other"], before["conversation"]))))

    def test_nothing_is_watched_without_scrapes(self):
        self.some_load()
        rig.wait_for(lambda: "cmd=monitor" not in self.redis.cli("CLIENT", "LIST"), "no window")
        opened = int(self.redis.info("stats")["total_connections_received"])
        time.sleep(6)
        clients = self.redis.cli("CLIENT", "LIST").splitlines()
        self.assertEqual(len(clients), 2, clients)	# the exporter and redis-cli
        # Of these seconds only some windows of the last scrape may have opened.
        self.assertLessEqual(int(self.redis.info("stats")["total_connections_received"]) - opened, 3 + 3)


class Events(Prefixes):
    def test_without_key_miss_events_it_says_what_to_run(self):
        with rig.Redis() as redis, rig.Exporter(config(redis.url)) as exporter, Load(redis, 1000, 10) as load:
            rig.wait_for(lambda: exporter.scrape() and "CONFIG SET notify-keyspace-events Em" in words(exporter),
                         "what to run", 30)
            page = exporter.scrape()
            self.assertEqual(page.select("datatier_group_success", group="prefixes"), [])
            self.assertEqual(page.series("redis_prefix_sample_reads_total"), {})
            self.assertEqual(page.value("datatier_target_up"), 1)
            self.assertEqual(redis.cli("CONFIG", "GET", "notify-keyspace-events"), "notify-keyspace-events")
            self.assertEqual(counts(page)["user"], (0, 0))
            self.assertGreater(min(counts(page)["other"]), 0)
            redis.cli("CONFIG", "SET", "notify-keyspace-events", "Em")
            rig.wait_for(lambda: min(counts(exporter.scrape())["user"]) > 0, "user", 30)
            self.assertGreater(exporter.scrape().value("redis_prefix_sample_reads_total"), 0)
            load.finish()
            self.assert_sums(exporter.scrape(), redis)


class Tls(Prefixes):
    def test_windows_use_the_same_kind_of_connection(self):
        with rig.Redis(EVENTS, tls=True) as redis:
            with rig.Exporter(config(redis.url, 'tls_ca = "%s"; prefix_share = 0.5;' % redis.ca)) as exporter:
                deadline = time.monotonic() + 30
                while min(counts(exporter.scrape()).get("user", (0, 0))) == 0 and time.monotonic() < deadline:
                    redis.cli("EVAL", "redis.call('SET', 'user:1', 1) for i = 1, 500 do redis.call('GET', 'user:1')"
                              " redis.call('GET', 'user:none') end", 0)
                page = exporter.scrape()
                self.assertGreater(min(counts(page)["user"]), 0, words(exporter))
                self.assert_sums(page, redis)


class Rights(Prefixes):
    def statements(self):
        with open(os.path.join(scratch.TOP, "README.md")) as readme:
            blocks = re.findall(r"^```redis\n(.*?)^```", readme.read(), re.M | re.S)
        return [shlex.split(line.replace(">", ">" + SECRET)) for block in blocks for line in block.splitlines()]

    def test_the_rights_of_the_readme_are_enough(self):
        statements = self.statements()
        self.assertEqual(len(statements), 3)
        with rig.Redis() as redis:
            for statement in statements:
                self.assertEqual(redis.cli(*statement), "OK")
            user, sampler = [s[2] for s in statements if s[0] == "ACL"]
            passwords = [word[1:] for s in statements for word in s if word.startswith(">")]
            self.assertEqual(redis.cli("CONFIG", "SET", "requirepass", "x"), "OK")
            redis.password = "x"
            more = ('username = "%s"; password = "%s"; prefix_username = "%s"; prefix_password = "%s";'
                    % (user, passwords[0], sampler, passwords[1]))
            with rig.Exporter(config("redis://127.0.0.1:%d" % redis.port, more)) as exporter:
                redis.cli("SET", "user:Zanzibar", "Hush-Hush")
                deadline = time.monotonic() + 30
                while counts(exporter.scrape())["user"][1] == 0 and time.monotonic() < deadline:
                    for _ in range(20):
                        redis.cli("GET", "user:Zanzibar")
                        redis.cli("GET", "user:Nowhere")
                page = exporter.scrape()
                self.assertGreater(min(counts(page)["user"]), 0)
                self.assertNotIn(0, page.series("datatier_group_success").values(), words(exporter))
                self.assertEqual(redis.cli("ACL", "LOG"), "")
                everything = exporter.log() + words(exporter) + page.text
                for secret in (SECRET, "Zanzibar", "Nowhere", "Hush"):
                    self.assertNotIn(secret, everything)

    def test_missing_rights_are_named(self):
        base = "on >%s resetchannels -@all +info +latency|histogram +slowlog|len" % SECRET
        with rig.Redis(dict(EVENTS, user=["some " + base])) as redis:
            with rig.Exporter(config("redis://some:%s@127.0.0.1:%d" % (SECRET, redis.port))) as exporter:
                for missing, right in (("+psubscribe", "+psubscribe &__keyevent@*__:keymiss"),
                                       ("&__keyevent@*__:keymiss", "&__keyevent@*__:keymiss"),
                                       ("+monitor", "+monitor")):
                    rig.wait_for(lambda: exporter.scrape() and "(grant " + {
                        "+monitor": "+monitor"}.get(missing, "+psubscribe &__keyevent@*__:keymiss")
                        in words(exporter), missing, 30)
                    page = exporter.scrape()
                    self.assertEqual(page.value("datatier_group_success", group="prefixes"), 0)
                    self.assertEqual(page.value("datatier_group_success", group="cache"), 1)
                    self.assertEqual(redis.cli("ACL", "SETUSER", "some", *right.split()), "OK")
                rig.wait_for(lambda: exporter.scrape().value("datatier_group_success", group="prefixes") == 1,
                             "all granted", 30)
                self.assertNotIn(SECRET, exporter.log() + words(exporter))


# Reads of all kinds; a key is named as the command's type.
SETUP = ("SET user:s 12345", "HSET user:h f 1", "RPUSH user:l 1 2", "SADD user:t a b",
         "ZADD user:z 1 a 2 b", "XADD user:x * a b", "PFADD user:p a", "GEOADD user:g 13 38 a 15 37 b")
READS = """GET s|MGET s s s|STRLEN s|GETRANGE s 0 1|SUBSTR s 0 1|GETBIT s 1|BITCOUNT s|BITPOS s 1|BITFIELD s GET u4 0
|EXISTS s s|TYPE s|TTL s|PTTL s|DUMP s|TOUCH s s|GETEX s|GETSET s 12345|SORT l|HGET h f|HMGET h f g
|HGETALL h|HKEYS h|HVALS h|HLEN h|HEXISTS h f|HSTRLEN h f|HSCAN h 0|HRANDFIELD h|LLEN l|LRANGE l 0 -1|LINDEX l 0
|LPOS l 1|SISMEMBER t a|SMISMEMBER t a b|SMEMBERS t|SCARD t|SRANDMEMBER t|SSCAN t 0|SINTER t t|SUNION t t|SDIFF t t
|ZSCORE z a|ZMSCORE z a b|ZCARD z|ZCOUNT z 0 9|ZLEXCOUNT z - +|ZRANGE z 0 -1
|ZREVRANGE z 0 -1|ZRANGEBYSCORE z 0 9|ZREVRANGEBYSCORE z 9 0|ZRANGEBYLEX z - +|ZREVRANGEBYLEX z + -
|ZRANK z a|ZREVRANK z a|ZSCAN z 0|ZRANDMEMBER z|XLEN x|XRANGE x - +|XREVRANGE x + -
|GEOPOS g a|GEODIST g a b|GEOHASH g a|GEOSEARCH g FROMMEMBER a BYRADIUS 9 km
|GEORADIUS g 15 37 9 km|GEORADIUS_RO g 15 37 9 km|GEORADIUSBYMEMBER g a 9 km|BITOP AND d s s|GETDEL nosuch|XACK x grp 0-1"""


class Commands(Prefixes):
    """What counts as a read is what the server takes for one: nothing of these
    is other's, and each prefix gets what it had."""

    def server(self):
        return rig.Redis(EVENTS)

    def commands(self, prefix):
        """All of them, on keys of a prefix."""
        names = set("shltzxpg") | {"nosuch", "d"}
        for line in READS.replace("\n", "").split("|"):
            yield [prefix + ":" + word if word in names else word for word in line.split()]
        yield ["DEL", prefix + ":d", "message:s"]	# GETSET writes that one

    def counted(self, redis, client, commands):
        """(hits, misses) of the server's own"""
        client.call(*commands)	# the first time some keys are not there yet
        redis.cli("CONFIG", "RESETSTAT")
        client.call(*commands)
        info = redis.info("stats")
        return int(info["keyspace_hits"]), int(info["keyspace_misses"])

    def test_every_read_is_seen_as_the_server_counts_it(self):
        with self.server() as redis:
            client = Client(redis.port)
            client.call(*[line.split() for line in SETUP])
            batches = {prefix: list(self.commands(prefix)) for prefix in ("user", "message")}
            truth = {prefix: self.counted(redis, client, batch) for prefix, batch in batches.items()}
            with rig.Exporter(config(redis.url, "prefix_share = 0.5;")) as exporter:
                for seconds in (3, 10):	# the first look has no window behind it
                    before = exporter.scrape()
                    end = time.monotonic() + seconds
                    while time.monotonic() < end:
                        for _ in range(10):
                            client.call(*batches["user"] + batches["message"])
                            time.sleep(0.01)
                        exporter.scrape()
                page = exporter.scrape()
            client.close()
            self.assertGreater(page.value("redis_prefix_sample_reads_total"), 2000)
            self.check(counts(before), counts(page), truth)

    def check(self, before, after, truth):
        found = {p: (after[p][0] - before[p][0], after[p][1] - before[p][1]) for p in after}
        for i, kind in enumerate(("hits", "misses")):
            ours = sum(pair[i] for pair in found.values())
            theirs = sum(pair[i] for pair in truth.values())
            for prefix in found:
                true = truth.get(prefix, (0, 0))[i] / theirs
                print("# %s of %-13s true %5.2f %%, estimated %5.2f %%" % (
                    kind, prefix, 100 * true, 100 * found[prefix][i] / ours))
                self.assertLess(abs(found[prefix][i] / ours - true), 0.015, (kind, prefix, truth, found))


class CommandsRedis62(Commands):
    def server(self):
        return rig.Redis(EVENTS, binary=redis_wheels.server("redis-6.2.14"))


class CommandsValkey(Commands):
    def server(self):
        return rig.Redis(EVENTS, binary=redis_wheels.server("valkey-9.1.2"))


if __name__ == "__main__":
    tap.main()
