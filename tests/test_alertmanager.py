"""Who is told of which alert: the shipped routing, its inhibitions and its
messages, against every alert of the shipped rules."""
import glob
import json
import os
import re
import shutil
import subprocess
import sys
import time
import unittest

import yaml

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(HERE)
sys.path.insert(0, os.path.join(HERE, "live"))
sys.path.insert(0, os.path.join(HERE, "alerts"))

import cases			# noqa: E402
import pager			# noqa: E402
import prometheus_server	# noqa: E402
import scale			# noqa: E402
import scratch			# noqa: E402
import tap			# noqa: E402

CONFIG = os.path.join(TOP, "config", "alertmanager", "alertmanager.yml")
FACTOR = 60	# group_wait is 30 s
RECEIVERS = {"critical": ["pagerduty", "chat-%s"], "warning": ["chat-%s"], "info": ["log"]}


def receivers(labels):
    return [name % labels["component"] if "%" in name else name for name in RECEIVERS[labels["severity"]]]


def amtool(*args):
    if not shutil.which("amtool"):
        raise unittest.SkipTest("amtool is not installed")
    return subprocess.run(["amtool", *args], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


class Routing(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.rules = cases.rules("alert")

    def test_configuration_is_good(self):
        done = amtool("check-config", CONFIG)
        self.assertEqual(done.returncode, 0, done.stdout)
        self.assertIn("1 templates", done.stdout)

    def test_every_alert_goes_where_it_should(self):
        self.assertGreater(len(self.rules), 30)
        for name, rule in self.rules.items():
            labels = dict(rule["labels"], alertname=name, target="chat")
            with self.subTest(name):
                done = amtool("config", "routes", "test", "--config.file=" + CONFIG,
                              "--verify.receivers=" + ",".join(receivers(labels)),
                              *("%s=%s" % pair for pair in labels.items()))
                self.assertEqual(done.returncode, 0, done.stdout)

    def test_every_component_has_a_route_of_its_own(self):
        with open(CONFIG) as text:
            routed = set(re.findall(r'component="(\w+)"', text.read()))
        used = {rule["labels"]["component"] for rule in self.rules.values()}
        self.assertEqual(routed, used)

    def test_what_has_no_severity_is_not_lost(self):
        done = amtool("config", "routes", "test", "--config.file=" + CONFIG,
                      "--verify.receivers=chat-exporter", "alertname=Foreign")
        self.assertEqual(done.returncode, 0, done.stdout)

    def test_no_secret_stands_in_it(self):
        with open(CONFIG) as text:
            config = yaml.safe_load(text)
        for receiver in config["receivers"]:
            for one in receiver.get("pagerduty_configs", []) + receiver.get("slack_configs", []):
                self.assertEqual({"routing_key", "service_key", "api_url"} & set(one), set())
                file = one.get("routing_key_file") or one.get("api_url_file")
                self.assertEqual(file, "/etc/alertmanager/secrets/" + receiver["name"])


class StandIn(unittest.TestCase):
    """What it would not take shows that it looks."""

    def setUp(self):
        self.pager = pager.Pager()
        self.addCleanup(self.pager.close)

    def refuses(self, path, good, *changes):
        self.assertTrue(self.pager.take(path, json.dumps(good)), self.pager.faults)
        for change in changes:
            with self.subTest(change):
                self.assertFalse(self.pager.take(path, json.dumps(dict(good, **change))))
        self.assertEqual(len(self.pager.notices), 1)
        self.assertEqual(len(self.pager.faults), len(changes))

    def test_pagerduty(self):
        payload = {"summary": "CRITICAL A on t: s", "source": "t", "severity": "critical",
                   "custom_details": {"target": "t", "description": "d"}}
        good = {"routing_key": self.pager.secret("pagerduty"), "event_action": "trigger", "dedup_key": "k",
                "payload": payload, "links": [{"href": "https://r/A.md", "text": "Runbook"}]}
        self.refuses("/v2/enqueue", good, {"routing_key": "other"}, {"event_action": "resolve"},
                     {"event_action": "acknowledge"}, {"dedup_key": ""}, {"payload": {}},
                     {"payload": {**payload, "severity": "high"}}, {"payload": {**payload, "source": ""}},
                     {"payload": {**payload, "summary": "s" * 1025}})

    def test_chat(self):
        attachment = {"title": "WARNING A on t", "title_link": "https://r/A.md", "color": "warning",
                      "fallback": "f", "text": "d\n<https://r/A.md|Runbook>"}
        self.refuses("/chat-redis", {"attachments": [attachment]}, {"attachments": []},
                     *({"attachments": [{**attachment, **wrong}]} for wrong in (
                         {"title": "A"}, {"color": "good"}, {"text": ""}, {"title_link": "https://r/B.md"})))

    def test_unknown_address(self):
        self.assertFalse(self.pager.take("/elsewhere", "{}"))
        self.assertFalse(self.pager.take("/alerts", "no JSON"))


def alert(name, rule=None, **labels):
    """As Prometheus posts it; a label that is empty is none."""
    rule = rule or {"labels": {}, "annotations": {}}
    labels = {"alertname": name, **rule["labels"], **labels}
    return {"labels": {name: value for name, value in labels.items() if value},
            "annotations": {"summary": "s", "description": "d", **rule["annotations"]},
            "generatorURL": "http://127.0.0.1/"}


class Alertmanager(unittest.TestCase):
    """A real one, quicker by the factor."""

    @classmethod
    def setUpClass(cls):
        cls.rules = cases.rules("alert")

    def setUp(self):
        self.pager = pager.Pager()
        self.addCleanup(self.pager.close)
        self.server = prometheus_server.Alertmanager(self.pager, lambda text: scale.routing(text, FACTOR))
        self.addCleanup(self.server.stop)

    def of(self, name, **labels):
        return alert(name, self.rules[name], **{"job": "datatier", "instance": "one:10071", **labels})

    def test_it_reaches_nobody_outside(self):
        with open(self.server.config) as text:
            urls = re.findall(r"https?://[^\s'\"]+", text.read())
        for path in glob.glob(self.server.dir + "/*-*") + [self.server.dir + "/pagerduty"]:
            with open(path) as text:
                urls.append(text.read().strip())
        self.assertGreater(len(urls), 8)
        self.assertEqual([url for url in urls if not url.startswith(self.pager.url + "/")], [])

    def test_every_alert_arrives_with_its_links(self):
        """And ends with the same key.  Each is of an exporter and a target of its
        own, so that none inhibits another."""
        posted = [self.of(name, target="t-" + name, instance="i-" + name) for name in self.rules]
        self.assertGreater(len(posted), 30)
        for state, ends in (("firing", {}), ("resolved", {"endsAt": "2020-01-01T00:00:00Z"})):
            self.server.post([{**one, **ends} for one in posted])
            for one in posted:
                for receiver in receivers(one["labels"]):
                    self.arrives(one, receiver, state)
        self.assertEqual(self.pager.faults, [])
        for one in posted:
            keys = {n.key for n in self.pager.found(receiver="pagerduty", alert=one["labels"]["alertname"])}
            self.assertLessEqual(len(keys), 1)
        firing = self.pager.found(state="firing")
        self.assertEqual(len(firing), sum(len(receivers(one["labels"])) for one in posted))

    def arrives(self, one, receiver, state):
        name = one["labels"]["alertname"]
        found = scratch.wait_for(lambda: self.pager.found(receiver=receiver, alert=name, state=state) or
                                 self.pager.faults, "%s %s at %s" % (name, state, receiver), 20)
        self.assertEqual(self.pager.faults, [])
        notice = found[0]
        self.assertEqual(notice.target, "t-" + name)
        self.assertEqual(notice.runbook, one["annotations"]["runbook_url"])
        self.assertEqual(notice.dashboard, one["annotations"]["dashboard"])
        self.assertIn(one["annotations"]["summary"], notice.text)
        if receiver == "pagerduty":
            payload = notice.body["payload"]
            self.assertEqual((payload["class"], payload["component"]), (name, one["labels"]["component"]))

    def told(self, name, count=1):
        """All that PagerDuty and the chat of the queue were told of it, that many times each."""
        scratch.wait_for(lambda: self.pager.faults or all(
            len(self.pager.found(receiver=one, alert=name)) >= count for one in ("pagerduty", "chat-queue")),
            "%s is told" % name, 20)
        self.assertEqual(self.pager.faults, [])
        return self.pager.found(alert=name)

    def test_what_a_server_names_is_no_markup(self):
        """A group may have any name: <!channel> would call everybody."""
        group = "<!channel>\n<http://evil|here>"
        self.server.post([alert("ConsumerGroupStalled", {**self.rules["ConsumerGroupStalled"], "annotations": {
            "summary": "Group %s has stopped" % group, "description": "Group %s has." % group,
            "runbook_url": "https://r/A.md", "dashboard": "https://d/a"}}, target="events", instance="one:10071")])
        for notice in self.told("ConsumerGroupStalled"):
            self.assertIn("Group \u2039!channel\u203a \u2039http://evil|here\u203a has stopped: Group ", notice.text)
            told = json.dumps(notice.body)
            self.assertEqual([word for word in ("<!", "<http://evil", "\\\\n<") if word in told], [])
        self.assertNotIn("\n", self.pager.found(receiver="pagerduty")[0].body["payload"]["summary"])

    def test_a_thousand_at_once_are_a_short_message(self):
        """A chat refuses a long one, PagerDuty leaves out all details."""
        self.server.post([self.of("ConsumerGroupStalled", target="events", group="g-%d" % n, topic="t" * 200)
                          for n in range(1000)])
        for notice in self.told("ConsumerGroupStalled"):
            self.assertLess(len(json.dumps(notice.body)), 20000)
            self.assertIn("\n10 of 1000 alerts", notice.text)

    def test_a_message_is_about_one_alert_and_target(self):
        self.server.post([self.of("ConsumerGroupStalled", target=target, group=group)
                          for target in ("a", "b") for group in ("g", "h")])
        notices = self.told("ConsumerGroupStalled", 2)
        self.assertEqual(sorted((n.receiver, n.target) for n in notices),
                         [(name, target) for name in ("chat-queue", "pagerduty") for target in "ab"])

    def test_the_message_names_one_that_still_fires(self):
        of = {group: dict(self.of("ConsumerGroupStalled", target="a", group=group), annotations={
            "summary": "Group %s" % group, "description": "d", "runbook_url": "https://r/A.md"}) for group in "gh"}
        self.server.post(list(of.values()))
        self.told("ConsumerGroupStalled")
        self.server.post([{**of["g"], "endsAt": "2020-01-01T00:00:00Z"}, of["h"]])
        last = [n for n in self.told("ConsumerGroupStalled", 2) if n.receiver == "pagerduty"][-1]
        self.assertEqual((last.state, last.text), ("firing", "Group h: d"))
        self.assertTrue(last.body["payload"]["summary"].endswith(": Group h"))

    def test_what_says_nothing_of_itself_is_told(self):
        """An alert of somebody else's, without links and texts."""
        self.server.post([alert("Foreign", target="", severity="critical")])
        scratch.wait_for(lambda: self.pager.found(receiver="pagerduty", alert="Foreign"), "it is told", 20)
        self.assertEqual(self.pager.faults, [])

    def inhibited(self):
        """{(name, target)}"""
        return {(one["labels"]["alertname"], one["labels"].get("target"))
                for one in self.server.alerts() if one["status"]["inhibitedBy"]}

    def check(self, expected, *alerts):
        """These are inhibited, and of the others none in a second."""
        self.server.post(list(alerts))
        scratch.wait_for(lambda: all(one["status"]["state"] != "unprocessed" for one in self.server.alerts())
                         and self.inhibited() >= expected, "they are inhibited: %s" % sorted(expected), 20)
        time.sleep(1)
        self.assertEqual(self.inhibited(), expected)

    def test_critical_inhibits_the_warning_of_its_component_and_target(self):
        self.check(
            {("GlobalMessageRateBurst", "a")},
            self.of("QueueLagIncreasing", target="a", group="g"),
            self.of("ConsumerGroupStalled", target="a", group="g"),
            self.of("GlobalMessageRateBurst", target="a"),
            self.of("GlobalMessageRateBurst", target="b"),
            self.of("ExcessivePerUserRateLimit", target="a", instance="two:10071"),
            self.of("RedisHighEvictionRate", target="a"))

    def test_target_that_is_down_inhibits_all_about_it(self):
        self.check(
            {("ConsumerGroupStalled", "a"), ("RedisHighEvictionRate", "a"), ("IdleConversationsTooHigh", "b")},
            self.of("DatatierTargetDown", target="a"), self.of("DatatierTargetDown", target="b"),
            self.of("ConsumerGroupStalled", target="a"), self.of("RedisHighEvictionRate", target="a"),
            self.of("IdleConversationsTooHigh", target="b"), self.of("ConsumerGroupStalled", target="c"),
            self.of("QueueLagIncreasing", target="a", instance="two:10071"))

    def test_exporter_that_is_down_inhibits_all_it_said(self):
        self.check(
            {("DatatierTargetDown", "a"), ("RedisHighEvictionRate", "b")},
            self.of("DatatierExporterDown"), self.of("DatatierTargetDown", target="a"),
            self.of("RedisHighEvictionRate", target="b"),
            self.of("RedisHighEvictionRate", target="c", instance="two:10071"),
            alert("Foreign", job="another", instance="one:10071"))

    def test_labels_that_both_lack_inhibit_nothing(self):
        """They are equal to Alertmanager."""
        self.check(
            set(), alert("Foreign", severity="critical"), alert("Other", severity="warning"),
            self.of("DatatierTargetDown", target="", instance=""),
            self.of("DatatierExporterDown", instance="", job=""))


if __name__ == "__main__":
    tap.main()
