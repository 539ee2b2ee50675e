"""What telling key prefixes apart costs a Redis server: its processor time for
a read while a sampling window is open, beside that while none is, and what the
windows of a scrape come to."""
import os
import subprocess
import time
import unittest

import rig
from exporter_process import BUILD
from measure import cpu_seconds, median

PHASE = 6		# seconds
ROUNDS = 4		# of each; with and without windows in turn
EVERY = 2		# seconds between scrapes; the windows of the last end with the phase
READS = 2000		# prefix_reads, as it is by default
SCRAPED = 15		# seconds between scrapes, as it is by default
RATES = ("user=95", "conversation=70", "message=20")
TARGET = 'targets = ( { collector = "redis"; name = "cache"; uri = "%s"; %s } );\n'
# Open all the time that can be had, or the difference drowns in what else the
# machine does.
WITH = 'key_prefixes = ( "user", "conversation", "message" ); prefix_share = 0.5; prefix_reads = 1000000;'
LOADS = (	# title, reads a second (0: all that go), pipeline
    ("20,000 reads/s, pipelines of 50", 20000, 50),
    ("500 reads/s, one by one", 500, 1),
    ("as many as go, pipelines of 16", 0, 16),
)


def seen(exporter):
    """Asking for this group alone does not open windows."""
    return exporter.scrape(collect="prefixes").value("redis_prefix_sample_reads_total") or 0


def reads(redis):
    stats = redis.info("stats")
    return int(stats["keyspace_hits"]) + int(stats["keyspace_misses"])


def phase(redis, exporter):
    """(seconds of processor time for a read, part of the reads that was seen)"""
    begin = time.monotonic()
    cpu, count, sampled = cpu_seconds([redis.pid]), reads(redis), seen(exporter)
    for number in range(PHASE // EVERY):
        exporter.scrape()
        time.sleep(max(0, begin + (number + 1) * EVERY - time.monotonic()))
    count = reads(redis) - count
    return (cpu_seconds([redis.pid]) - cpu) / count, (seen(exporter) - sampled) / count


def compare(rate, batch):
    """Seconds of the server for a read: (unwatched, watched)"""
    with rig.Redis({"notify-keyspace-events": "Em"}) as redis:
        words = [os.path.join(BUILD, "tests", "redis_load"), str(redis.port), str(rate), str(batch)]
        load = subprocess.Popen(words + list(RATES), stdout=subprocess.PIPE)
        try:
            load.stdout.readline()
            with rig.Exporter(TARGET % (redis.url, "")) as off, rig.Exporter(TARGET % (redis.url, WITH)) as on:
                phase(redis, on)
                unwatched, watched = [], []
                for number in range(ROUNDS):
                    without = phase(redis, off)[0]
                    cost, part = phase(redis, on)
                    unwatched.append(without)
                    watched.append(without + (cost - without) / part)
                return median(unwatched), median(watched)
        finally:
            load.kill()
            load.communicate()


def microseconds(seconds):
    return "%.2f us" % (seconds * 1e6)


def cost(report):
    if not os.path.exists(os.path.join(BUILD, "tests", "redis_load")):
        raise unittest.SkipTest("build/tests/redis_load is not built")
    report.head("Redis: processor time for a read", "watched", "unwatched", "ratio")
    for title, rate, batch in LOADS:
        unwatched, watched = compare(rate, batch)
        report.row(title, watched, unwatched, microseconds)
        more = READS * (watched - unwatched)
        print("  %-44s %9.2f ms for the windows of a scrape, %.3f %% of a processor" % (
            "", more * 1000, 100 * more / SCRAPED))
