"""What goes wrong in a configuration or at a target ends in one clear sentence,
in the log and on the page for people; never in a crash, a hang or a lost
process.  And no secret is ever shown."""
import os
import re
import shutil
import unittest

import rig
import tap

SECRET = "Sw0rdfish-Tr0mbone"
SHIPPED_ENV = ("DATATIER_POSTGRESQL_URI", "DATATIER_PGBOUNCER_URI", "DATATIER_REDIS_URI",
               "DATATIER_KAFKA_BROKERS", "DATATIER_APPLICATION_URL")


def target(collector, name, more):
    return 'targets = ( { collector = "%s"; name = "%s"; %s } );\n' % (collector, name, more)


def log_lines(exporter, level):
    return [line for line in exporter.log().splitlines() if "level=%s" % level in line]


class Faults(unittest.TestCase):
    """A fault in the configuration: status 1, nothing started."""

    def refused(self, config_text, words, env=None, lines=1, binary=rig.BINARY, args=()):
        exporter = rig.Exporter(config_text, env=env, wait=False, binary=binary, args=args)
        self.assertEqual(exporter.wait_exit(20), 1, exporter.log())
        said = exporter.log().splitlines()
        self.assertEqual(len(said), lines, exporter.log())
        for word in words:
            self.assertIn(word, exporter.log().replace('\\"', '"'))
        return exporter

    def test_unknown_key(self):
        text = '\n\ntargets = ( { collector = "redis"; name = "a";\n uri = "redis://h"; passwort = "%s"; } );\n'
        exporter = self.refused(text % SECRET, ["datatier.conf:4", "passwort", "password"])
        self.assertNotIn(SECRET, exporter.log())

    def test_unknown_key_at_the_top(self):
        self.refused('webb = { };\ntargets = ();\n', ["datatier.conf:1", "webb"])

    def test_wrong_type(self):
        self.refused(target("redis", "a", "uri = 7;"), ["datatier.conf:1", "uri"])

    def test_every_fault_is_listed(self):
        text = 'webb = 1;\n' + target("redis", "a", 'uri = "redis://h"; nothing = 1; never = 2;')
        self.refused(text, ["webb", "nothing", "never", "datatier.conf:1", "datatier.conf:2"], lines=3)

    def test_variable_not_set_within_a_longer_string(self):
        self.refused(target("redis", "a", 'uri = "redis://${CACHE_HOST}:6379";'),
                     ["datatier.conf:1", "CACHE_HOST"])

    def test_two_targets_of_one_name(self):
        text = ('targets = ( { collector = "redis"; name = "a"; uri = "redis://h"; },\n'
                ' { collector = "redis"; name = "a"; uri = "redis://i"; } );\n')
        self.refused(text, ["datatier.conf:2", '"a"'])

    def test_no_such_collector(self):
        self.refused(target("oracle", "a", 'uri = "x";'), ["datatier.conf:1", "oracle"])

    def test_collector_file_is_missing(self):
        """The program is installed, the collector's package is not."""
        directory = rig.subdirectory("installed")
        os.mkdir(directory + "/collectors")
        binary = shutil.copy(rig.BINARY, directory)
        self.refused(target("redis", "a", 'uri = "redis://h";'), ["redis.so", "datatier.conf:1"], binary=binary)

    def test_collector_file_is_no_collector(self):
        directory = rig.subdirectory("installed")
        os.mkdir(directory + "/collectors")
        binary = shutil.copy(rig.BINARY, directory)
        with open(directory + "/collectors/redis.so", "w") as out:
            out.write("not a shared object")
        self.refused(target("redis", "a", 'uri = "redis://h";'), ["redis.so"], binary=binary)

    def test_no_such_file(self):
        exporter = rig.Exporter("", wait=False, args=["--config.file", "/nowhere/datatier.conf"])
        self.assertEqual(exporter.wait_exit(20), 1)
        self.assertIn("/nowhere/datatier.conf", exporter.log())

    def test_syntax(self):
        self.refused("targets = (\n{ collector = ;\n", ["datatier.conf:2"])

    def test_port_in_use(self):
        with rig.Redis() as redis:
            exporter = rig.Exporter(target("redis", "a", 'uri = "%s";' % redis.url), wait=False,
                                    args=["--web.listen-address", "127.0.0.1:%d" % redis.port])
            self.assertEqual(exporter.wait_exit(20), 1)
            said = log_lines(exporter, "error")
            self.assertEqual(len(said), 1, exporter.log())
            self.assertRegex(said[0], r"127\.0\.0\.1:%d.*(in use|uses this)" % redis.port)

    def test_variable_empty_leaves_the_target_out_and_says_so(self):
        with rig.Redis() as redis, rig.Exporter(env={"DATATIER_REDIS_URI": redis.url}) as exporter:
            page = exporter.scrape()
            self.assertEqual(len(page.series("datatier_target_up")), 1, page.text[:500])
            self.assertEqual(set(page.series("datatier_target_up").values()), {1})
            for name in SHIPPED_ENV:
                said = [line for line in exporter.log().splitlines() if name in line]
                self.assertEqual(len(said), 0 if name == "DATATIER_REDIS_URI" else 1, exporter.log())

    def test_nothing_configured_says_what_to_do(self):
        with rig.Exporter(env={}) as exporter:
            self.assertEqual(exporter.scrape().status, 200)
            self.assertIn("DATATIER_POSTGRESQL_URI", rig.fetch(exporter.port, "/").text)


class Down(unittest.TestCase):
    """A target that cannot be had: datatier_target_up 0, one line in the log
    however often it is asked, the same words on the page."""

    def down(self, config_text, words, env=None, seconds=4):
        with rig.Exporter(config_text, env=env) as exporter:
            for _ in range(3):
                page = exporter.scrape(timeout=seconds)
                self.assertEqual(page.status, 200)
                self.assertLess(page.seconds, seconds)
                self.assertEqual(page.value("datatier_target_up", target="t"), 0)
            self.assertEqual(set(page.series("datatier_worker_restarts_total").values()), {0})
            said = log_lines(exporter, "warn") + log_lines(exporter, "error")
            self.assertEqual(len(said), 1, exporter.log())
            self.assertRegex(said[0], words)
            self.assertIn("target=t", said[0])
            html = rig.fetch(exporter.port, "/").text
            self.assertRegex(html, words)
            self.assertRegex(html, 'class="down">down<')
            self.assertNotIn(SECRET, exporter.log() + html + page.text)
            return said[0]

    def test_redis_wrong_port(self):
        self.down(target("redis", "t", 'uri = "redis://127.0.0.1:%d";' % rig.free_port()), "refused")

    def test_redis_wrong_password(self):
        with rig.Redis({"requirepass": "right"}) as redis:
            self.down(target("redis", "t", 'uri = "redis://127.0.0.1:%d"; password = "%s";'
                             % (redis.port, SECRET)), "(?i)password|WRONGPASS")

    def test_redis_no_password(self):
        with rig.Redis({"requirepass": "right"}) as redis:
            self.down(target("redis", "t", 'uri = "redis://127.0.0.1:%d";' % redis.port), "(?i)NOAUTH|password")

    def test_redis_tls_to_a_plain_port(self):
        with rig.Redis() as redis:
            self.down(target("redis", "t", 'uri = "rediss://127.0.0.1:%d";' % redis.port), "(?i)TLS|SSL")

    def test_redis_plain_to_a_tls_port(self):
        with rig.Redis(tls=True) as redis:
            self.down(target("redis", "t", 'uri = "redis://127.0.0.1:%d";' % redis.port), "(?i)TLS|closed|reset")

    def test_redis_certificate_of_somebody_else(self):
        with rig.Redis(tls=True) as redis:
            self.down(target("redis", "t", 'uri = "rediss://127.0.0.1:%d";' % redis.port), "(?i)certificate")

    def test_redis_mute(self):
        with rig.Redis() as redis, rig.DelayProxy(redis.port) as proxy:
            proxy.stall()
            self.down(target("redis", "t", 'uri = "redis://127.0.0.1:%d";' % proxy.port),
                      "(?i)time|deadline|answer", seconds=2)

    def test_postgresql_wrong_port(self):
        self.down(target("postgresql", "t", 'uri = "postgresql://u@127.0.0.1:%d/postgres";' % rig.free_port()),
                  "refused")

    def test_postgresql_wrong_password(self):
        with rig.Postgres(hba=["host all monitor 127.0.0.1/32 scram-sha-256"]) as pg:
            pg.psql("CREATE ROLE monitor LOGIN PASSWORD 'right'")
            said = self.down(target("postgresql", "t", 'uri = "%s";' % pg.uri("monitor", password=SECRET)),
                             "password authentication failed")
            self.assertIn("monitor", said)

    def test_postgresql_no_such_database(self):
        with rig.Postgres() as pg:
            self.down(target("postgresql", "t", 'uri = "%s";' % pg.uri(db="nothing")), "nothing.*does not exist")

    def test_postgresql_tls_to_a_plain_port(self):
        with rig.Postgres() as pg:
            self.down(target("postgresql", "t", 'uri = "%s?sslmode=require";' % pg.uri()), "(?i)SSL|TLS")

    def test_postgresql_another_protocol(self):
        with rig.Redis() as redis:
            self.down(target("postgresql", "t", 'uri = "postgresql://u@127.0.0.1:%d/postgres";' % redis.port),
                      "(?i)closed|protocol|unexpected|expected|time|answer")

    def test_pgbouncer_wrong_port_and_password(self):
        with rig.Postgres() as pg, rig.PgBouncer(pg, conf={"auth_type": "plain"},
                                                 users={"monitor": "right"}) as pool:
            self.down(target("postgresql", "t", 'uri = "%s";' % pool.uri("monitor", "pgbouncer", SECRET)),
                      "(?i)password")

    def test_kafka_wrong_port(self):
        self.down(target("kafka", "t", 'brokers = "127.0.0.1:%d";' % rig.free_port()), "(?i)refused|broker")

    def test_kafka_another_protocol(self):
        with rig.Redis() as redis:
            self.down(target("kafka", "t", 'brokers = "127.0.0.1:%d";' % redis.port), "(?i)broker")


class Comes(unittest.TestCase):
    """Each recovers by itself, with one line in the log."""

    def recovers(self, exporter, started):
        self.assertEqual(exporter.scrape(timeout=5).value("datatier_target_up", target="t"), 0)
        server = started()
        page = rig.wait_for(lambda: self.up(exporter), "the target is up", 20, 0.3)
        self.assertEqual(len(re.findall("up again", exporter.log())), 1, exporter.log())
        self.assertNotIn("down", rig.fetch(exporter.port, "/").text.split("</style>")[1])
        return server, page

    @staticmethod
    def up(exporter):
        page = exporter.scrape(timeout=5)
        return page if page.value("datatier_target_up", target="t") == 1 else None

    def test_redis_starts_later(self):
        redis = rig.Redis()
        redis.stop()
        with rig.Exporter(target("redis", "t", 'uri = "%s";' % redis.url)) as exporter:
            self.recovers(exporter, redis.start)
        redis.stop()

    def test_postgresql_starts_later(self):
        with rig.Postgres() as pg:
            pg.stop()
            with rig.Exporter(target("postgresql", "t", 'uri = "%s";' % pg.uri())) as exporter:
                self.recovers(exporter, pg.start)

    @tap.limit(120)
    def test_kafka_starts_later(self):
        with rig.Kafka() as kafka:
            kafka.stop()
            with rig.Exporter(target("kafka", "t", 'brokers = "%s";' % kafka.bootstrap)) as exporter:
                self.recovers(exporter, kafka.start)

    def restarted(self, server, config_text):
        """Between two scrapes: the second one does not even notice."""
        with rig.Exporter(config_text) as exporter:
            self.assertEqual(exporter.scrape().value("datatier_target_up", target="t"), 1)
            before = len(exporter.log().splitlines())
            server.restart()
            page = exporter.scrape()
            self.assertEqual(page.value("datatier_target_up", target="t"), 1, exporter.log())
            self.assertEqual(len(exporter.log().splitlines()), before, exporter.log())

    def test_redis_restarted_between_scrapes(self):
        with rig.Redis() as redis:
            self.restarted(redis, target("redis", "t", 'uri = "%s";' % redis.url))

    def test_postgresql_restarted_between_scrapes(self):
        with rig.Postgres() as pg:
            pg.psql("CREATE EXTENSION pg_stat_statements")
            # The timed connection runs beside the scrape: the restart may hit it.
            self.restarted(pg, target("postgresql", "t",
                                      'uri = "%s"; acquire = false;' % pg.uri()))

    def test_pgbouncer_restarted_between_scrapes(self):
        with rig.Postgres() as pg, rig.PgBouncer(pg) as pool:
            self.restarted(pool, target("postgresql", "t", 'uri = "%s";' % pool.admin_uri))

    @tap.limit(120)
    def test_kafka_restarted_between_scrapes(self):
        """Its client reconnects on its own account, so a scrape or two may be lost."""
        with rig.Kafka() as kafka, rig.Exporter(target(
                "kafka", "t", 'brokers = "%s";' % kafka.bootstrap)) as exporter:
            self.assertEqual(exporter.scrape().value("datatier_target_up", target="t"), 1)
            kafka.restart()
            page = rig.wait_for(lambda: self.up(exporter), "the target is up", 10, 0.3)
            self.assertEqual(page.value("datatier_worker_restarts_total", collector="kafka"), 0)


class Secrets(unittest.TestCase):
    def test_a_password_is_nowhere(self):
        """Wherever it was given: in an address, an option, a variable, a file."""
        directory = rig.subdirectory("secrets")
        with open(directory + "/password", "w") as out:
            out.write(SECRET + "-file\n")
        os.chmod(directory + "/password", 0o600)
        config = """targets = (
            { collector = "postgresql"; name = "pg"; uri = "postgresql://u:%(s)s-uri@127.0.0.1:%(p)d/x?password=%(s)s-query"; },
            { collector = "postgresql"; name = "words"; uri = "host=127.0.0.1 port=%(p)d user=u password=%(s)s-words"; },
            { collector = "redis"; name = "cache"; uri = "redis://u:%(s)s-redis@127.0.0.1:%(p)d"; },
            { collector = "redis"; name = "filed"; uri = "redis://127.0.0.1:%(p)d"; password = "${CACHE_PASSWORD}"; },
            { collector = "kafka"; name = "events"; brokers = "127.0.0.1:%(p)d";
              kafka = { security_protocol = "sasl_plaintext"; sasl_mechanism = "PLAIN"; sasl_username = "u"; sasl_password = "%(s)s-kafka"; }; } );
        """ % {"s": SECRET, "p": rig.free_port()}
        env = {"CACHE_PASSWORD_FILE": directory + "/password"}
        with rig.Exporter(config, env=env, args=["--log.level", "debug"]) as exporter:
            page = exporter.scrape(timeout=3)
            self.assertEqual(set(page.series("datatier_target_up").values()), {0})
            html = rig.fetch(exporter.port, "/").text
            commands = ""
            for pid in exporter.processes():
                with open("/proc/%d/cmdline" % pid, errors="replace") as line:
                    commands += line.read()
            for shown in (exporter.log(), page.text, html, commands):
                self.assertNotIn(SECRET, shown)

    def test_the_parent_passes_no_secret_of_one_worker_to_another(self):
        """The environment of the worker processes is cleared of DATATIER_*."""
        with rig.Redis({"requirepass": SECRET}) as redis, \
                rig.Exporter(env={"DATATIER_REDIS_URI": redis.url,
                                  "DATATIER_POSTGRESQL_URI": "postgresql://u:%s@127.0.0.1:1/x" % SECRET}) as exporter:
            exporter.scrape()
            workers = exporter.workers()
            self.assertEqual(set(workers), {"redis", "postgresql"})
            for pid in workers.values():
                with open("/proc/%d/environ" % pid, errors="replace") as values:
                    self.assertNotIn(SECRET, values.read())

    def test_a_fault_in_a_line_with_a_password_does_not_show_it(self):
        for more in ('uri = "redis://u:%s@h:port";', 'uri = "postgres://u:%s@h";', 'password = ( "%s" ); uri = "redis://h";'):
            exporter = rig.Exporter(target("redis", "t", more % SECRET), wait=False)
            try:
                self.assertEqual(exporter.wait_exit(5), 1, more)
            finally:
                exporter.stop()
            self.assertNotIn(SECRET, exporter.log())


if __name__ == "__main__":
    tap.main()
