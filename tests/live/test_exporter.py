"""What a scraper sees: formats, compression, parameters, one collection for
two scrapes; the rest of HTTP; the flags that only print."""
import concurrent.futures
import gzip
import os
import re
import shutil
import subprocess
import time
import unittest

import rig
import tap

TWO = """
targets = ( { collector = "redis"; name = "one"; uri = "redis://127.0.0.1:%d"; },
            { collector = "redis"; name = "two"; uri = "redis://127.0.0.1:%d"; } );
"""
OPENMETRICS = "application/openmetrics-text; version=1.0.0"
# They tell of the exporter and the time, not of the targets.
OWN = ("datatier_", "process_")


def steady(page):
    """{(name, labels): value} of what the targets gave."""
    return {(name, labels): value for name in page.names() if not name.startswith(OWN)
            for labels, value in page.series(name).items()}


def with_times(text):
    """OpenMetrics with a time stamp on every sample, as promtool's importer wants it."""
    return "".join(line if line.startswith("#") else line.rstrip("\n") + " 1700000000\n"
                   for line in text.splitlines(keepends=True))


class Scrapes(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.redis = rig.Redis()
        cls.redis.cli("SET", "a", "b")
        cls.redis.cli("GET", "a")
        cls.exporter = rig.Exporter(TWO % (cls.redis.port, cls.redis.port))

    @classmethod
    def tearDownClass(cls):
        cls.exporter.stop()
        cls.redis.stop()

    def test_values_of_every_target(self):
        page = self.exporter.scrape()
        self.assertEqual(page.status, 200)
        for target in ("one", "two"):
            self.assertEqual(page.value("datatier_target_up", target=target), 1)
            self.assertEqual(page.value("redis_cache_hits_total", target=target), 1)

    def test_the_process_as_the_kernel_sees_it(self):
        page = self.exporter.scrape()
        with open("/proc/%d/status" % self.exporter.pid) as text:
            status = dict(line.split(":", 1) for line in text)
        for name, field in (("process_resident_memory_bytes", "VmRSS"), ("process_virtual_memory_bytes", "VmSize")):
            real = int(status[field].split()[0]) * 1024
            self.assertLess(abs(page.value(name) - real), real / 4, name)
        self.assertGreater(page.value("process_cpu_seconds_total"), 0)
        self.assertLess(abs(page.value("process_start_time_seconds") - time.time()), 600)

    def test_target_is_the_first_label(self):
        for line in self.exporter.scrape().text.splitlines():
            if line.startswith("redis_"):
                self.assertRegex(line, r'^[a-z_]+\{target="(one|two)"[,}]')

    def test_the_shipped_peer_finds_no_fault_in_the_text(self):
        if not shutil.which("promtool"):
            self.skipTest("promtool is not installed")
        for accept in (None, OPENMETRICS):
            page = self.exporter.scrape(headers={"Accept": accept})
            text = page.text
            if accept:	# promtool reads the text format only: the types of OpenMetrics are new to it
                text = re.sub(r"^(# TYPE \S+) info$", r"\1 gauge", text, flags=re.M)
                text = re.sub(r"^(# (?:TYPE|HELP) \S+)( .*)$", lambda m: self.total(m, page), text, flags=re.M)
            done = subprocess.run(["promtool", "check", "metrics"], input=text, text=True,
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
            self.assertEqual((done.returncode, done.stdout), (0, ""), accept)

    @staticmethod
    def total(match, page):
        """OpenMetrics names a counter's family without the _total of its samples."""
        family = match.group(1).split()[2]
        suffix = {"counter": "_total", "info": "_info"}.get(page.types[family], "")
        return match.group(1) + suffix + match.group(2)

    def test_prometheus_parses_the_openmetrics(self):
        if not shutil.which("promtool"):
            self.skipTest("promtool is not installed")
        page = self.exporter.scrape(headers={"Accept": OPENMETRICS})
        directory = rig.subdirectory("openmetrics")
        with open(directory + "/page", "w") as out:
            out.write(with_times(page.text))
        done = subprocess.run(["promtool", "tsdb", "create-blocks-from", "openmetrics", "page", "blocks"],
                              cwd=directory, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.assertEqual(done.returncode, 0, done.stdout)

    def test_both_formats_say_the_same(self):
        text = self.exporter.scrape()
        open_ = self.exporter.scrape(headers={"Accept": OPENMETRICS})
        self.assertRegex(text.headers["content-type"], r"^text/plain; version=0\.0\.4")
        self.assertRegex(open_.headers["content-type"], r"^application/openmetrics-text; version=1\.0\.0")
        self.assertTrue(open_.text.endswith("# EOF\n"))
        self.assertNotIn("# EOF", text.text)
        mine, other = steady(text), steady(open_)
        self.assertEqual(set(mine), set(other))
        self.assertEqual(set(text.names()), set(open_.names()))
        same = [key for key in mine if mine[key] == other[key]]
        self.assertGreater(len(same), len(mine) / 2)	# the rest moves from scrape to scrape

    def test_prometheus_own_accept_header_gets_openmetrics(self):
        page = self.exporter.scrape(headers={"Accept": (
            "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;"
            "q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1")})
        self.assertIn("openmetrics", page.headers["content-type"])

    def test_gzip_only_where_it_is_accepted(self):
        plain = self.exporter.scrape()
        packed = self.exporter.scrape(headers={"Accept-Encoding": "gzip"})
        self.assertNotIn("content-encoding", plain.headers)
        self.assertEqual(packed.headers["content-encoding"], "gzip")
        self.assertLess(len(packed.raw), len(plain.raw) / 3)
        self.assertEqual(set(steady(plain)), set(steady(packed)))
        self.assertEqual(gzip.decompress(packed.raw).decode(), packed.text)
        refused = self.exporter.scrape(headers={"Accept-Encoding": "gzip;q=0"})
        self.assertNotIn("content-encoding", refused.headers)

    def test_head_has_the_headers_and_no_body(self):
        page = self.exporter.scrape(method="HEAD")
        self.assertEqual((page.status, page.raw), (200, b""))
        self.assertIn("text/plain", page.headers["content-type"])
        self.assertGreater(int(page.headers["content-length"]), 100)

    def test_target_narrows(self):
        page = self.exporter.scrape(target="two")
        self.assertEqual(page.value("redis_cache_hits_total", target="two"), 1)
        self.assertEqual({dict(labels)["target"] for labels in page.series("redis_cache_hits_total")}, {"two"})
        both = self.exporter.scrape(target=["one", "two"])
        self.assertEqual(len(both.series("redis_cache_hits_total")), 2)

    def test_collect_narrows(self):
        whole = self.exporter.scrape()
        groups = sorted({dict(labels)["group"] for labels in whole.series("datatier_group_success")})
        self.assertGreater(len(groups), 1)
        counts = [len(steady(self.exporter.scrape(collect=group))) for group in groups]
        self.assertEqual(sum(counts), len(steady(whole)), dict(zip(groups, counts)))
        self.assertTrue(all(count < len(steady(whole)) for count in counts))

    def test_unknown_target_and_group_are_refused(self):
        for query in ({"target": "three"}, {"target": ["one", "three"]}, {"collect": "nothing"},
                      {"target": "127.0.0.1:6379"}, {"target": ""}):
            page = self.exporter.scrape(**query)
            self.assertEqual(page.status, 400, query)
            self.assertRegex(page.text, r"^[A-Z].*\.\n$")
            self.assertNotIn("three", page.text)

    def test_a_target_named_twice_comes_once(self):
        page = self.exporter.scrape(target=["one", "one"])
        self.assertEqual(len(page.series("datatier_target_up")), 1)

    def test_bad_timeout_header_is_refused(self):
        for value in ("soon", "-1", "nan", "1e400", ""):
            page = self.exporter.scrape(headers={"X-Prometheus-Scrape-Timeout-Seconds": value})
            self.assertEqual(page.status, 400, value)

    def test_other_paths_and_methods(self):
        for path, status in (("/", 200), ("/-/healthy", 200), ("/-/ready", 200), ("/nothing", 404),
                             ("/metrics/", 404), ("/-/reload", 404), ("/%2e%2e/etc/passwd", 404)):
            self.assertEqual(rig.fetch(self.exporter.port, path).status, status, path)
        for method in ("POST", "PUT", "DELETE"):
            self.assertEqual(rig.fetch(self.exporter.port, "/metrics", method=method).status, 405, method)

    def test_the_page_for_people(self):
        self.exporter.scrape()
        page = rig.fetch(self.exporter.port, "/")
        self.assertIn("text/html", page.headers["content-type"])
        self.assertEqual(len(re.findall(r'class="up">up<', page.text)), 2)
        self.assertIn('href="/metrics"', page.text)


class Sharing(unittest.TestCase):
    def test_two_scrapes_at_once_share_one_collection(self):
        with rig.Redis() as redis, rig.DelayProxy(redis.port, 150) as slow, \
                rig.Exporter(TWO % (slow.port, redis.port)) as exporter:
            exporter.scrape()
            with concurrent.futures.ThreadPoolExecutor(4) as pool:
                slow.reset()
                first = pool.submit(exporter.scrape)
                time.sleep(0.1)		# the first is at work: it takes 300 ms
                others = [pool.submit(exporter.scrape) for _ in range(3)]
                pages = [f.result() for f in [first] + others]
            together = slow.round_trips
            self.assertTrue(all(page.value("datatier_target_up", target="one") == 1 for page in pages))
            slow.reset()
            exporter.scrape()
            self.assertEqual(together, slow.round_trips)
            self.assertEqual(slow.connections, 0)	# it was kept
            hits = {page.value("redis_commands_total", target="one", command="info") for page in pages}
            self.assertEqual(len(hits), 1)

    def test_more_scrapes_than_allowed_at_once_are_refused_and_health_still_answers(self):
        with rig.Redis() as redis, rig.DelayProxy(redis.port, 700) as slow, \
                rig.Exporter(TWO % (slow.port, redis.port)) as exporter:
            exporter.scrape()
            with concurrent.futures.ThreadPoolExecutor(14) as pool:
                scrapes = [pool.submit(exporter.scrape) for _ in range(12)]
                time.sleep(0.4)
                began = time.monotonic()
                self.assertEqual(rig.fetch(exporter.port, "/-/healthy").status, 200)
                self.assertLess(time.monotonic() - began, 0.5)
                codes = sorted(f.result().status for f in scrapes)
            self.assertEqual(set(codes), {200, 503})
            self.assertEqual(codes.count(200), 8)


class Printing(unittest.TestCase):
    def run_flags(self, *flags, env=None):
        done = subprocess.run([rig.BINARY] + list(flags), stdout=subprocess.PIPE, timeout=20,
                              stderr=subprocess.PIPE, text=True, env=dict(os.environ, **(env or {})))
        return done.returncode, done.stdout, done.stderr

    def test_references(self):
        for flag, words in (("--metrics", ["redis_cache_hits_total", "datatier_target_up"]),
                            ("--options", ["password", "--config.file"]),
                            ("--help", ["--config.file", "DATATIER_LOG_LEVEL"]),
                            ("--version", ["datatier_exporter "])):
            status, out, err = self.run_flags(flag)
            self.assertEqual((status, err), (0, ""), flag)
            for word in words:
                self.assertIn(word, out)

    def test_unknown_flags_and_values(self):
        for flags in (("--no.such.flag",), ("--config.file",), ("--log.level=loud",), ("stray",),
                      ("--check=yes",)):
            status, out, err = self.run_flags(*flags)
            self.assertEqual((status, out), (1, ""), flags)
            self.assertEqual(len(err.splitlines()), 1, flags)
            self.assertIn("loud" if "loud" in flags[0] else flags[0].split("=")[0], err)

    def test_check_connects_to_nothing(self):
        with rig.DelayProxy(1) as proxy:
            path = rig.subdirectory("check") + "/c.conf"
            with open(path, "w") as out:
                out.write(TWO % (proxy.port, proxy.port))
            status, out, err = self.run_flags("--config.file", path, "--check")
            self.assertEqual((status, err), (0, ""))
            self.assertIn("good, 2 targets", out)
            self.assertEqual(proxy.connections, 0)

    def test_check_looks_at_the_flags_too(self):
        path = rig.subdirectory("check-flags") + "/c.conf"
        with open(path, "w") as out:
            out.write("targets = ( );\n")
        for flags, word in ((("--web.listen-address", "127.0.0.1"), "listen-address"),
                            (("--web.telemetry-path", "metrics"), "telemetry-path")):
            status, out, err = self.run_flags("--config.file", path, "--check", *flags)
            self.assertEqual((status, out), (1, ""), flags)
            self.assertEqual(len(err.splitlines()), 1, err)
            self.assertIn(word, err)

    def test_probe_of_no_target_at_all_has_failed(self):
        path = rig.subdirectory("probe-none") + "/c.conf"
        with open(path, "w") as out:
            out.write("targets = ( );\n")
        status, out, err = self.run_flags("--config.file", path, "--probe")
        self.assertEqual((status, out), (1, ""))
        self.assertIn("no target to watch", err)

    def test_probe_prints_one_collection_and_says_what_failed(self):
        path = rig.subdirectory("probe") + "/c.conf"
        with rig.Redis() as redis:
            with open(path, "w") as out:
                out.write(TWO % (redis.port, rig.free_port()))
            status, out, err = self.run_flags("--config.file", path, "--probe", "one")
            self.assertEqual(status, 0, err)
            self.assertEqual(rig.Page(out).value("datatier_target_up", target="one"), 1)
            status, out, err = self.run_flags("--config.file", path, "--probe")
            self.assertEqual(status, 1)
            self.assertEqual(rig.Page(out).value("datatier_target_up", target="two"), 0)
            self.assertRegex(err, r"(?m)^two: .*refused")
            status, out, err = self.run_flags("--config.file", path, "--probe", "three")
            self.assertEqual((status, out), (1, ""))


class Stopping(unittest.TestCase):
    def test_sigterm_ends_it_and_its_workers_with_status_0(self):
        with rig.Redis() as redis:
            exporter = rig.Exporter(TWO % (redis.port, redis.port))
            exporter.scrape()
            pids = exporter.processes()
            self.assertEqual(set(exporter.workers()), {"redis"})
            exporter.process.terminate()
            self.assertEqual(exporter.wait_exit(10), 0)
            rig.wait_for(lambda: not any(os.path.exists("/proc/%d" % pid) for pid in pids[1:]),
                         "the workers have ended", 5)

    def test_workers_do_not_outlive_a_killed_exporter(self):
        with rig.Redis() as redis:
            exporter = rig.Exporter(TWO % (redis.port, redis.port))
            exporter.scrape()
            pids = list(exporter.workers().values())
            exporter.process.kill()
            exporter.process.wait()
            rig.wait_for(lambda: not any(os.path.exists("/proc/%d" % pid) for pid in pids),
                         "the workers have ended", 5)


if __name__ == "__main__":
    tap.main()
