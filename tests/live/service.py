"""A sample service with a legacy metrics page."""
import os

import scratch
from exporter_process import BUILD, fetch
from page import Page

BINARY = os.path.join(BUILD, "tests", "service")


class Service(scratch.Server):
    """tests/demo/service.c: so many series of ws_active_connections."""

    name = "service"

    def __init__(self, conversations=10):
        super().__init__()
        self.port, self.conversations = scratch.free_port(), conversations
        self.instance = "127.0.0.1:%d" % self.port
        self.url = "http://%s/metrics" % self.instance
        self.start()

    def command(self):
        return [BINARY, "--port", str(self.port), "--conversations", str(self.conversations)]

    def ready(self):
        """It says so once for every start."""
        return self.log().count("service: port") > self.starts

    def launch(self):
        self.starts = self.log().count("service: port")
        super().launch()

    def page(self):
        return Page(fetch(self.port).text)
