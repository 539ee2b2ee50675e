"""A private Prometheus and Alertmanager that watch one exporter."""
import glob
import http.client
import json
import os
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


class Alertmanager(scratch.Server):
    """With the shipped routing where there is one."""

    name = "alertmanager"

    def __init__(self):
        self.binary = shutil.which("prometheus-alertmanager") or shutil.which("alertmanager")
        if not self.binary:
            raise unittest.SkipTest("no Alertmanager is installed")
        super().__init__()
        self.port = scratch.free_port()
        self.config = SHIPPED + "/alertmanager/alertmanager.yml"
        if not os.path.exists(self.config):
            self.config = self.dir + "/alertmanager.yml"
            with open(self.config, "w") as out:
                out.write("route: {receiver: nobody}\nreceivers: [{name: nobody}]\n")
        self.start()

    def command(self):
        return [self.binary, "--config.file=" + self.config, "--storage.path=" + self.dir,
                "--web.listen-address=127.0.0.1:%d" % self.port, "--cluster.listen-address="]

    def ready(self):
        return answers(self.port, "/-/ready")


class Prometheus(scratch.Server):
    """Scrapes the exporter at that port every few seconds; takes the shipped
    rules where there are any."""

    name = "prometheus"

    def __init__(self, exporter_port, alertmanager=None, interval="2s"):
        self.binary = shutil.which("prometheus")
        if not self.binary:
            raise unittest.SkipTest("Prometheus is not installed")
        super().__init__()
        self.port = scratch.free_port()
        config = {
            "global": {"scrape_interval": interval, "evaluation_interval": interval},
            "rule_files": sorted(glob.glob(SHIPPED + "/prometheus/rules/*.yml")),
            "scrape_configs": [{"job_name": "datatier", "scrape_timeout": interval,
                                "static_configs": [{"targets": ["127.0.0.1:%d" % exporter_port]}]}],
        }
        if alertmanager:
            config["alerting"] = {"alertmanagers": [
                {"static_configs": [{"targets": ["127.0.0.1:%d" % alertmanager.port]}]}]}
        with open(self.dir + "/prometheus.yml", "w") as out:
            json.dump(config, out)		# which is YAML, too
        self.start()

    def command(self):
        return [self.binary, "--config.file=" + self.dir + "/prometheus.yml",
                "--storage.tsdb.path=" + self.dir + "/data",
                "--web.listen-address=127.0.0.1:%d" % self.port]

    def ready(self):
        return answers(self.port, "/-/ready")

    def query(self, expression):
        """[(labels, value)] of an instant query."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request("GET", "/api/v1/query?" + urlencode({"query": expression}))
            answer = json.load(connection.getresponse())
        finally:
            connection.close()
        if answer["status"] != "success":
            raise scratch.RigError(answer["error"])
        return [(one["metric"], float(one["value"][1])) for one in answer["data"]["result"]]
