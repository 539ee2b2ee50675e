"""A private Prometheus and Alertmanager that watch one exporter."""
import glob
import http.client
import json
import os
import re
import shutil
import unittest
from urllib.parse import urlencode

import scratch

SHIPPED = os.path.join(scratch.TOP, "config")


def answers(port, path):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def ask(port, path, body=None):
    """The JSON that a GET of the path, or a POST of the body, is answered with."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        if body is None:
            connection.request("GET", path)
        else:
            connection.request("POST", path, json.dumps(body), {"Content-Type": "application/json"})
        answer = connection.getresponse()
        text = answer.read()
    finally:
        connection.close()
    if answer.status >= 300 and not text.startswith(b"{"):
        raise scratch.RigError("%s: %d: %s" % (path, answer.status, text[:300].decode("utf-8", "replace")))
    return json.loads(text) if text else None


def as_is(text):
    return text


def local_routing(text, directory, pager):
    """The shipped routing, whose secrets are files in that directory and whose
    receivers are all the stand-in."""
    def secret(found):
        path = os.path.join(directory, found.group(1))
        with open(path, "w") as out:
            out.write(pager.secret(found.group(1)) + "\n")
        return path
    text = re.sub(r"/etc/alertmanager/secrets/([\w-]+)", secret, text)
    return re.sub(r"https?://[^/\s]+", pager.url, text)


class Alertmanager(scratch.Server):
    """With the shipped routing, changed by rewrite; it sends to nobody but the
    pager."""

    name = "alertmanager"

    def __init__(self, pager, rewrite=as_is):
        self.binary = shutil.which("prometheus-alertmanager") or shutil.which("alertmanager")
        if not self.binary:
            raise unittest.SkipTest("no Alertmanager is installed")
        super().__init__()
        self.port = scratch.free_port()
        self.config = self.dir + "/alertmanager.yml"
        shutil.copytree(SHIPPED + "/alertmanager/templates", self.dir + "/templates")
        with open(SHIPPED + "/alertmanager/alertmanager.yml") as shipped, open(self.config, "w") as out:
            out.write(local_routing(rewrite(shipped.read()), self.dir, pager))
        self.start()

    def command(self):
        return [self.binary, "--config.file=" + self.config, "--storage.path=" + self.dir,
                "--web.listen-address=127.0.0.1:%d" % self.port, "--cluster.listen-address="]

    def ready(self):
        return answers(self.port, "/-/ready")

    def alerts(self):
        """What it knows, with the state that inhibitions give it."""
        return ask(self.port, "/api/v2/alerts")

    def post(self, alerts):
        ask(self.port, "/api/v2/alerts", alerts)


class Prometheus(scratch.Server):
    """Scrapes the exporter at that port every few seconds, with the shipped
    rules, changed by rewrite."""

    name = "prometheus"

    def __init__(self, exporter_port, alertmanager=None, interval="2s", rewrite=as_is):
        self.binary = shutil.which("prometheus")
        if not self.binary:
            raise unittest.SkipTest("Prometheus is not installed")
        super().__init__()
        self.port = scratch.free_port()
        os.mkdir(self.dir + "/rules")
        for path in glob.glob(SHIPPED + "/prometheus/rules/*.yml"):
            with open(path) as shipped, open(self.dir + "/rules/" + os.path.basename(path), "w") as out:
                out.write(rewrite(shipped.read()))
        with open(self.dir + "/prometheus.yml", "w") as out:
            out.write(self.config(exporter_port, alertmanager, interval))
        self.start()

    def config(self, exporter_port, alertmanager, interval):
        """The text of prometheus.yml."""
        config = {
            "global": {"scrape_interval": interval, "evaluation_interval": interval},
            "rule_files": [self.dir + "/rules/*.yml"],
            "scrape_configs": [{"job_name": "datatier", "scrape_timeout": interval,
                                "static_configs": [{"targets": ["127.0.0.1:%d" % exporter_port]}]}],
        }
        if alertmanager:
            config["alerting"] = {"alertmanagers": [
                {"static_configs": [{"targets": ["127.0.0.1:%d" % alertmanager.port]}]}]}
        return json.dumps(config)		# which is YAML, too

    def command(self):
        return [self.binary, "--config.file=" + self.dir + "/prometheus.yml",
                "--storage.tsdb.path=" + self.dir + "/data",
                "--web.listen-address=127.0.0.1:%d" % self.port]

    def ready(self):
        return answers(self.port, "/-/ready")

    def query(self, expression):
        """[(labels, value)] of an instant query."""
        answer = ask(self.port, "/api/v1/query?" + urlencode({"query": expression}))
        if answer["status"] != "success":
            raise scratch.RigError(answer["error"])
        return [(one["metric"], float(one["value"][1])) for one in answer["data"]["result"]]
