"""SIGHUP: a whole new configuration or the old one."""
import os
import signal
import unittest

import rig
import tap

ONE = '{ collector = "redis"; name = "%s"; uri = "redis://127.0.0.1:%d"; }'


def config(*targets):
    return "targets = ( %s );\n" % ", ".join(ONE % target for target in targets)


class Reload(unittest.TestCase):
    def write(self, exporter, text):
        with open(exporter.config_path, "w") as out:
            out.write(text)
        os.kill(exporter.pid, signal.SIGHUP)

    def ups(self, exporter):
        series = exporter.scrape().series("datatier_target_up")
        return {dict(labels)["target"]: value for labels, value in series.items()}

    def test_new_targets_come_and_old_ones_go(self):
        with rig.Redis() as redis, rig.Exporter(config(("a", redis.port))) as exporter:
            self.assertEqual(self.ups(exporter), {"a": 1})
            self.write(exporter, config(("b", redis.port), ("c", redis.port)))
            rig.wait_for(lambda: self.ups(exporter) == {"b": 1, "c": 1}, "b and c instead of a")
            self.assertEqual(exporter.scrape(target="a").status, 400)
            self.assertEqual(list(exporter.workers()), ["redis"])

    def test_a_fault_keeps_the_old_configuration(self):
        with rig.Redis() as redis, rig.Exporter(config(("a", redis.port))) as exporter:
            self.write(exporter, config(("b", redis.port)) + 'colour = "blue";\n')
            rig.wait_for(lambda: "the old one stays" in exporter.log(), "the fault in the log")
            self.assertIn("colour", exporter.log())
            self.assertEqual(self.ups(exporter), {"a": 1})
            self.write(exporter, config(("b", redis.port)))
            rig.wait_for(lambda: self.ups(exporter) == {"b": 1}, "b instead of a")

    def test_no_counter_falls(self):
        def counters(page):
            return {(name, labels): value for name in page.names()
                    if page.types.get(page.family(name)) == "counter"
                    for labels, value in page.series(name).items()}
        with rig.Redis() as redis, rig.Exporter(config(("a", redis.port))) as exporter:
            os.kill(exporter.workers()["redis"], signal.SIGKILL)
            rig.wait_for(lambda: exporter.scrape().value("datatier_worker_restarts_total") == 1,
                         "a restart is counted")
            for _ in range(200):	# so that a new process has used less CPU time
                page = exporter.scrape()
            before = counters(page)
            os.kill(exporter.pid, signal.SIGHUP)
            rig.wait_for(lambda: "reload: 1 targets" in exporter.log(), "the reload")
            after = counters(exporter.scrape())
            self.assertGreater(before[("datatier_worker_cpu_seconds_total",
                                       frozenset([("collector", "redis")]))], 0)
            self.assertEqual([key for key in before if after[key] < before[key]], [])

    def test_scrapes_go_on_through_reloads(self):
        with rig.Redis() as redis, rig.Exporter(config(("a", redis.port))) as exporter:
            for _ in range(20):
                os.kill(exporter.pid, signal.SIGHUP)
                self.assertEqual(self.ups(exporter), {"a": 1})


if __name__ == "__main__":
    tap.main()
