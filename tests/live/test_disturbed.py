"""Scrapes that others disturb: by another scrape with little time, by a reload,
by a log that nobody reads."""
import os
import signal
import subprocess
import threading
import time
import unittest

import rig
import scratch
import tap

ONE = 'targets = ( { collector = "redis"; name = "one"; uri = "redis://127.0.0.1:%d"; } );\n'


def up(page):
    return page.value("datatier_target_up", target="one")


class AnotherScrape(unittest.TestCase):
    def at_once(self, exporter, *timeouts):
        """The pages of scrapes that begin one shortly after the other."""
        pages = {}

        def scrape(timeout):
            pages[timeout] = exporter.scrape(timeout=timeout)
        threads = [threading.Thread(target=scrape, args=(timeout,)) for timeout in timeouts]
        for thread in threads:
            thread.start()
            time.sleep(0.1)
        for thread in threads:
            thread.join()
        return [pages[timeout] for timeout in timeouts]

    def test_one_with_little_time_takes_none_from_another(self):
        for delay in (250, 700):	# ms, and 1 s is what a collection has at least
            with self.subTest(delay=delay), rig.Redis() as redis, \
                    rig.DelayProxy(redis.port, delay) as proxy, \
                    rig.Exporter(ONE % proxy.port) as exporter:
                short, long = self.at_once(exporter, 0.4, 10)
                self.assertEqual(up(short), 0)
                self.assertLess(short.seconds, 2)
                self.assertEqual(up(long), 1)
                self.assertIsNotNone(long.value("redis_connected_clients", target="one"))

    def test_a_client_that_gives_up_does_not_make_a_target_down(self):
        with rig.Redis() as redis, rig.DelayProxy(redis.port, 50) as proxy, \
                rig.Exporter(ONE % proxy.port) as exporter:
            self.assertEqual(up(exporter.scrape()), 1)
            for _ in range(10):
                self.assertEqual(up(exporter.scrape(timeout=0.02)), 0)
                time.sleep(0.3)
            self.assertEqual(up(exporter.scrape()), 1)
            self.assertNotIn("down", exporter.log())


class Reload(unittest.TestCase):
    def test_no_scrape_waits_past_its_deadline_for_a_reload(self):
        with rig.Redis() as redis, rig.Exporter(ONE % redis.port) as exporter:
            self.assertEqual(up(exporter.scrape()), 1)
            redis.signal(signal.SIGSTOP)
            hung = threading.Thread(target=exporter.scrape, kwargs={"timeout": 8})
            hung.start()
            time.sleep(0.3)
            os.kill(exporter.pid, signal.SIGHUP)
            time.sleep(0.3)
            page = exporter.scrape(timeout=2)
            self.assertEqual(page.status, 503)
            self.assertLess(page.seconds, 3)
            self.assertIn("being read again", page.text)
            page = exporter.scrape("/")
            self.assertIn("being read again", page.text)
            self.assertLess(page.seconds, 3)
            redis.signal(signal.SIGCONT)
            hung.join()
            rig.wait_for(lambda: "reload: 1 targets" in exporter.log(), "the reload")
            self.assertEqual(up(exporter.scrape()), 1)


class Log(unittest.TestCase):
    def full_pipe(self):
        """Both ends of a pipe without room."""
        reader, writer = os.pipe()
        os.set_blocking(writer, False)
        try:
            while True:
                os.write(writer, b"x" * 4096)
        except BlockingIOError:
            os.set_blocking(writer, True)
        return reader, writer

    def test_nobody_reads_it(self):
        reader, writer = self.full_pipe()
        port = rig.free_port()
        path = os.path.join(scratch.subdirectory("log"), "datatier.conf")
        with rig.Redis() as redis:
            with open(path, "w") as out:
                out.write(ONE % redis.port)
            process = subprocess.Popen(
                [rig.BINARY, "--config.file", path, "--web.listen-address",
                 "127.0.0.1:%d" % port], stderr=writer, cwd=os.path.dirname(path))
            try:
                self.check(process, port, redis)
            finally:
                process.kill()
                process.wait()
                os.close(reader)
                os.close(writer)

    def check(self, process, port, redis):
        def scraped():
            try:
                return rig.fetch(port, timeout=5)
            except ConnectionRefusedError:
                return None
        self.assertEqual(up(rig.wait_for(scraped, "it serves", 10)), 1)
        redis.stop()
        for _ in range(3):
            page = rig.fetch(port, timeout=5)
            self.assertEqual(up(page), 0)
            self.assertLess(page.seconds, 3)
        redis.start()
        rig.wait_for(lambda: up(rig.fetch(port, timeout=5)) == 1, "it is up again", 10)
        process.terminate()
        self.assertEqual(process.wait(10), 0)


if __name__ == "__main__":
    tap.main()
