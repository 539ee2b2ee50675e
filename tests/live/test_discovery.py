"""What the shipped scrape.yml makes of the exporter: both forms, checked by
promtool and run by Prometheus, and /sd and /probe for whoever else asks."""
import concurrent.futures
import json
import os
import re
import shutil
import socket
import subprocess
import time
import unittest

import rig
import scratch
import tap
from prometheus_server import Prometheus
from service import Service

SCRAPE_YML = os.path.join(scratch.TOP, "config", "prometheus", "scrape.yml")
OPENMETRICS = "application/openmetrics-text; version=1.0.0"
# Every character that a target's name may have.
ODD = "A.b_c:d-9"
TARGETS = """
targets = ( { collector = "redis"; name = "cache"; uri = "redis://127.0.0.1:%d"; },
            { collector = "redis"; name = "%s"; uri = "redis://127.0.0.1:%d"; },
            { collector = "redis"; name = "down"; uri = "redis://127.0.0.1:%d"; },
            { collector = "application"; name = "chat-api"; url = "%s"; } );
"""
NAMES = {"cache": "redis", ODD: "redis", "down": "redis", "chat-api": "application"}
# What Prometheus adds to every scrape, and what the rules make of it.
ADDED = re.compile(r"up|scrape_.*|ALERTS.*|.*:.*")


def form(number):
    """The text of scrape.yml with that form of scrape_configs alone."""
    with open(SCRAPE_YML) as text:
        before, first, second = re.split(r"(?m)^(?=  # Form 1:|# Form 2:)", text.read())
    return before + (first if number == 1 else re.sub(r"(?m)^#(  |$)", r"\1", second))


def without(labels, *names):
    return frozenset(pair for pair in labels if pair[0] not in names)


def seen(labels):
    """The labels of a series in Prometheus as the exporter's page has them."""
    of_page = dict(labels)
    del of_page["__name__"], of_page["job"], of_page["instance"]
    if "exported_instance" in of_page:
        of_page["instance"] = of_page.pop("exported_instance")
    return labels["__name__"], frozenset(of_page.items())


class Shipped(Prometheus):
    """With the shipped rules and one form of scrape.yml, where only addresses
    and times are others."""

    def __init__(self, number, exporter_port):
        self.number = number
        super().__init__(exporter_port)

    def config(self, exporter_port, alertmanager, interval):
        text = form(self.number)
        for old, new in (("localhost:10071", "127.0.0.1:%d" % exporter_port), ("15s", interval),
                         ("10s", interval), ("localhost:9093", "127.0.0.1:%d" % scratch.free_port())):
            if old not in text:
                raise scratch.RigError("scrape.yml has no %s" % old)
            text = text.replace(old, new)
        return text

    def all(self):
        """[labels] of everything of the job."""
        return [labels for labels, _ in self.query('{job="datatier"}')]


class Checked(unittest.TestCase):
    @unittest.skipUnless(shutil.which("promtool"), "promtool is not installed")
    def test_both_forms_pass_promtool(self):
        directory = rig.subdirectory("scrape")
        os.symlink(os.path.join(os.path.dirname(SCRAPE_YML), "rules"), directory + "/rules")
        jobs = {}
        for number in (1, 2):
            with open(directory + "/scrape.yml", "w") as out:
                out.write(form(number))
            done = subprocess.run(["promtool", "check", "config", directory + "/scrape.yml"], text=True,
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
            self.assertEqual(done.returncode, 0, done.stdout)
            jobs[number] = re.findall(r"(?m)^  - job_name: (.*)$", form(number))
        self.assertEqual(jobs, {1: ["datatier"], 2: ["datatier", "datatier-exporter"]})

    @unittest.skipUnless(shutil.which("promtool"), "promtool is not installed")
    def test_the_file_as_it_is_passes(self):
        done = subprocess.run(["promtool", "check", "config", SCRAPE_YML], stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True)
        self.assertEqual(done.returncode, 0, done.stdout)


class Discovery(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.redis = rig.Redis()
        cls.service = Service()
        cls.exporter = rig.Exporter(TARGETS % (cls.redis.port, ODD, cls.redis.port, rig.free_port(),
                                               cls.service.url))
        cls.exporter.scrape()		# the first one's own commands are on the second page

    @classmethod
    def tearDownClass(cls):
        cls.exporter.stop()
        cls.service.stop()
        cls.redis.stop()

    def fetch(self, path, **named):
        return rig.fetch(self.exporter.port, path, **named)

    def test_sd_names_every_target_once(self):
        page = self.fetch("/sd")
        self.assertEqual((page.status, page.headers["content-type"]), (200, "application/json"))
        here = "127.0.0.1:%d" % self.exporter.port
        self.assertEqual(json.loads(page.text), [
            {"targets": [here],
             "labels": {"__metrics_path__": "/probe", "__param_target": name, "target": name,
                        "__meta_datatier_collector": collector}} for name, collector in NAMES.items()])

    def test_sd_is_about_the_host_that_was_asked_or_refused(self):
        for host in ("exporter.example:10071", "exporter", "[2001:db8::1]:10071"):
            page = self.fetch("/sd", headers={"Host": host})
            self.assertEqual({tuple(entry["targets"]) for entry in json.loads(page.text)}, {(host,)})
        for host in ('"],"labels":{}},{"targets":["evil:1', "a\\", "a b", "a:0", "a:99999", "[::1", "h\xf6re:1",
                     "a/b", "user@a:1"):
            page = self.fetch("/sd", headers={"Host": host})
            self.assertEqual(page.status, 400, host)
            self.assertRegex(page.text, r"^The Host header [^\n]*\.\n$")

    def test_odd_names_never_get_that_far(self):
        """What would need an escape in JSON, HTML or an address is no name."""
        path = rig.subdirectory("names") + "/c.conf"
        for name in ('a\\"b', "a\\\\b", "a\\x01b", "a\\nb", "a b", "h\u00f6r", "a/b", "a&b", "a<b", "a%b", ""):
            with open(path, "w") as out:
                out.write(TARGETS % (1, name, 1, 1, "http://127.0.0.1:1/"))
            done = subprocess.run([rig.BINARY, "--config.file", path, "--check"], stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT, text=True)
            self.assertEqual(done.returncode, 1, name)
            self.assertIn("the name of a target is", done.stdout)

    def test_a_probe_is_its_target_without_the_label(self):
        whole = self.exporter.scrape()
        for name in NAMES:
            probe = self.exporter.scrape("/probe", target=name)
            self.assertEqual(probe.status, 200)
            self.assertNotIn("target=", probe.text)
            self.assertEqual(probe.value("datatier_target_up"), name != "down", name)
            expected = {(family, without(labels, "target")) for family in whole.names()
                        for labels in whole.series(family) if ("target", name) in labels}
            self.assertEqual({(family, labels) for family in probe.names()
                              for labels in probe.series(family)}, expected)

    def test_a_probe_can_be_narrowed_to_groups(self):
        whole = self.exporter.scrape("/probe", target="cache")
        groups = sorted({dict(labels)["group"] for labels in whole.series("datatier_group_success")})
        counts = [sum(len(page.series(name)) for name in page.names() if name.startswith("redis_"))
                  for page in (self.exporter.scrape("/probe", target="cache", collect=group) for group in groups)]
        self.assertGreater(len(counts), 1)
        self.assertEqual(sum(counts), sum(len(whole.series(name)) for name in whole.names()
                                          if name.startswith("redis_")))
        self.assertEqual(self.exporter.scrape("/probe", target="cache", collect="nothing").status, 400)

    def test_probes_of_nothing_many_and_strangers_are_refused(self):
        for targets in ([], ["cache", ODD], ["cache", "cache"], ["nobody"], [""], ["127.0.0.1:6379"]):
            page = self.exporter.scrape("/probe", target=targets)
            self.assertEqual(page.status, 400, targets)
            self.assertRegex(page.text, r"^[A-Z][^\n]*\.\n$")

    def test_head_and_other_methods(self):
        for path in ("/sd", "/probe?target=cache"):
            get, head = self.fetch(path), self.fetch(path, method="HEAD")
            self.assertEqual((head.status, head.raw), (200, b""))
            self.assertEqual(head.headers["content-type"], get.headers["content-type"])
            self.assertEqual(self.fetch(path, method="POST").status, 405)
        for path in ("/sd/", "/probe/", "/sd/cache"):
            self.assertEqual(self.fetch(path).status, 404)

    def test_the_page_for_people_links_it(self):
        self.assertIn('href="/sd"', self.fetch("/").text)

    def watch(self, number, scrapes):
        """The series of a Prometheus with that form, once each of its scrapes
        has been; none was refused as a duplicate, none had to be renamed."""
        with Shipped(number, self.exporter.port) as prometheus:
            # The second time the exporter's own scrapes are all in its counters.
            rig.wait_for(lambda: len([1 for _, value in prometheus.query(
                'sum_over_time(up{job="datatier"}[1m]) >= 2')]) == scrapes, "%d scrapes, twice" % scrapes, 40)
            own = rig.fetch(prometheus.port)
            for kind in ("duplicate_timestamp", "out_of_order", "out_of_bounds"):
                self.assertEqual(own.value("prometheus_target_scrapes_sample_%s_total" % kind), 0, kind)
            self.assertGreater(own.total("prometheus_rule_evaluations_total"), 0)
            self.assertEqual(own.total("prometheus_rule_evaluation_failures_total"), 0)
            self.assertNotRegex(prometheus.log(), "(?i)duplicate|out-of-order|out of order")
            up = prometheus.query('up{job="datatier"}')
            found = prometheus.all()
        instance = "127.0.0.1:%d" % self.exporter.port
        self.assertEqual({labels["instance"] for labels in found}, {instance})
        self.assertEqual({value for _, value in up}, {1.0})
        self.assertFalse([labels for labels in found if "exported_target" in labels])
        return up, {seen(labels) for labels in found if not ADDED.fullmatch(labels["__name__"])}

    def on_the_page(self):
        page = self.exporter.scrape(headers={"Accept": OPENMETRICS})
        return {(name, labels) for name in page.names() for labels in page.series(name)}

    def test_form_1_has_everything(self):
        up, series = self.watch(1, 1)
        self.assertEqual([labels.get("target") for labels, _ in up], [None])
        self.assertEqual(series, self.on_the_page())

    def test_form_2_has_the_same_and_tells_of_each_target(self):
        up, series = self.watch(2, len(NAMES) + 1)
        self.assertEqual({labels.get("target") for labels, _ in up}, set(NAMES) | {None})
        self.assertEqual(series, self.on_the_page())


class Silence(unittest.TestCase):
    def test_probes_that_wait_keep_nobody_out(self):
        silent = 40
        with socket.create_server(("127.0.0.1", 0), backlog=2 * silent) as mute, rig.Redis() as redis:
            row = '{ collector = "redis"; name = "%s"; uri = "redis://127.0.0.1:%d"; },'
            rows = [row % ("mute-%d" % i, mute.getsockname()[1]) for i in range(silent)]
            rows.append(row % ("cache", redis.port))
            with rig.Exporter("targets = ( %s );" % "".join(rows).rstrip(",")) as exporter, \
                    concurrent.futures.ThreadPoolExecutor(silent) as pool:
                waiting = [pool.submit(exporter.scrape, "/probe", timeout=5, target="mute-%d" % i)
                           for i in range(silent)]
                time.sleep(1)
                page = exporter.scrape("/probe", timeout=5, target="cache")
                self.assertFalse(any(one.done() for one in waiting))
                self.assertEqual((page.status, page.value("datatier_target_up")), (200, 1))
                told = [one.result() for one in waiting]
        self.assertEqual({(page.status, page.value("datatier_target_up")) for page in told}, {(200, 0)})


if __name__ == "__main__":
    tap.main()
