"""Everything a live test needs: private servers on free loopback ports, the
exporter, and a proxy that delays.  Each runs from construction to the end of
its `with`, or of the program; nothing is left behind however that ends.

    with rig.Redis() as redis, rig.Exporter(CONFIG % redis.port) as exporter:
        page = exporter.scrape()
        self.assertEqual(page.value("redis_connected_clients", target="cache"), 1)
"""
import os
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from delay_proxy import DelayProxy					# noqa: E402,F401
from exporter_process import BINARY, BUILD, Exporter, fetch		# noqa: E402,F401
from page import Page, PageError					# noqa: E402,F401
from postgres_server import PgBouncer, Postgres, Session, bindirs	# noqa: E402,F401
from redis_server import Redis						# noqa: E402,F401
from scratch import (RigError, Server, children, directory, free_port,	# noqa: E402,F401
                     subdirectory, unprivileged_user, wait_for)


def Kafka(*args, **named):
    """A real Apache Kafka; only loaded by the tests that use it."""
    import kafka_server
    try:
        return kafka_server.Kafka(*args, **named)
    except kafka_server.Unavailable as why:
        raise unittest.SkipTest(str(why)) from None
