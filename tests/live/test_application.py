"""The application collector against a service with a metrics page, and against
servers that want TLS, a user or a token, compress, or send nonsense."""
import base64
import glob
import gzip
import http.server
import os
import shutil
import signal
import ssl
import subprocess
import threading
import unittest

import rig
import scratch
import tap
from redis_server import make_certificates
from service import Service

TIME_LIMIT = 300
VECTORS = os.path.join(scratch.TOP, "tests", "fuzz", "corpus", "application_page")
SECRET = "Sw0rdfish-Tr0mbone"
FAMILIES = (
    "message_total_delivery_latency_seconds", "ws_connections_total", "ws_messages_sent_total",
    "ws_messages_received_total", "ws_errors_total", "ws_reconnections_total",
    "ws_active_connections", "ws_message_latency_seconds", "messages_sent_total",
    "messages_received_total", "message_delivery_failures_total", "conversations_created_total",
    "message_searches_total", "active_conversations", "message_queue_depth",
    "message_api_latency_seconds", "message_search_latency_seconds", "message_delivery_latency_seconds")


class Pages:
    """An HTTP server of this program: {path: bytes, or (status, headers, bytes)}."""

    def __init__(self, pages, context=None, address="127.0.0.1"):
        self.requests = []
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                outer.requests.append(dict(self.headers))
                found = pages(self) if callable(pages) else pages.get(self.path, (404, {}, b"no\n"))
                status, headers, body = found if isinstance(found, tuple) else (200, {}, found)
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *unused):
                pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *unused):
                pass

        self.server = Server((address, 0), Handler)
        if context:
            # In the connection's own thread, or one bad handshake would stop all.
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True,
                                                     do_handshake_on_connect=False)
        self.port = self.server.server_address[1]
        self.url = "http%s://127.0.0.1:%d" % ("s" if context else "", self.port)
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.server.shutdown()
        self.server.server_close()


def target(url, name="chat", more=""):
    return '{ collector = "application"; name = "%s"; url = "%s"; %s }' % (name, url, more)


def config(*targets):
    return "targets = ( %s );\n" % ", ".join(targets)


def series(page):
    """How many samples are of the target, instances' own included."""
    return sum(1 for name in page.names() for labels in page.series(name)
               if not name.startswith(("datatier_", "process_")) or "application" in name)



class OneService(unittest.TestCase):
    def test_every_family_is_the_page_s_own_sum(self):
        with Service(1000) as service, rig.Exporter(config(target(service.url))) as exporter:
            first = service.page()
            exporter.scrape()	# from here on it counts
            second = service.page()
            rig.wait_for(lambda: service.page().total("messages_sent_total") > second.total("messages_sent_total") + 50,
                         "some messages")
            moves = "ws_active_connections"	# once a second, in any direction
            for _ in range(10):
                before, ours, after = service.page(), exporter.scrape(), service.page()
                if before.total(moves) == after.total(moves):
                    break
            for name in FAMILIES:
                old = {"message_delivery_failures_total": "message_delivery_failures"}.get(name, name)
                if before.types[old] == "histogram":
                    old, name = old + "_count", name + "_count"
                with self.subTest(name):
                    if name in ("active_conversations", "message_queue_depth"):	# up and down
                        self.assertEqual(len(ours.series(name)), len(before.series(name)))
                        continue
                    counted = ours.types.get(name) != "gauge"
                    self.assertLessEqual(before.total(old) - counted * second.total(old), ours.total(name))
                    self.assertLessEqual(ours.total(name), after.total(old) - counted * first.total(old))
            self.assertEqual(ours.value("ws_errors_total", error_type="other"),
                             ours.total("ws_errors_total") - ours.value("ws_errors_total", error_type="timeout")
                             - ours.value("ws_errors_total", error_type="decode"))
            bounds = {dict(labels)["le"] for labels in ours.series("message_api_latency_seconds_bucket")}
            self.assertEqual(bounds, {"0.005", "0.01", "0.05", "0.1", "0.5", "1.0", "5.0", "10.0", "+Inf"})
            self.assertEqual(ours.value("datatier_application_page_samples"),
                             sum(len(before.series(name)) for name in before.names()))
            self.assertNotIn("conversation_id", ours.text)
            self.assertNotIn("http_requests_total", ours.text)

    def test_the_number_of_series_does_not_depend_on_the_page_s(self):
        counts = []
        for conversations in (10, 10000):
            with Service(conversations) as service, rig.Exporter(config(target(service.url))) as exporter:
                page = exporter.scrape()
                counts.append(series(page))
                self.assertGreaterEqual(page.value("datatier_application_page_samples"), conversations)
        self.assertEqual(counts[0], counts[1])

    def test_both_formats_pass_the_checkers(self):
        with Service(10) as service, \
                rig.Exporter(config(target(service.url, more='families = "http_requests_total";'))) as exporter:
            text = exporter.scrape().text
            page = exporter.scrape(headers={"Accept": "application/openmetrics-text"})
            self.assertEqual(len(page.series("http_requests_total")), 1)
            self.assertEqual(page.types["http_requests"], "counter")
            if shutil.which("promtool") is None:
                self.skipTest("promtool is not installed")
            done = subprocess.run(["promtool", "check", "metrics"], input=text, stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT, text=True)
            self.assertEqual((done.returncode, done.stdout), (0, ""))

    def test_a_restart_of_the_service_is_no_fall(self):
        with Service(10) as service, rig.Exporter(config(target(service.url))) as exporter:
            rig.wait_for(lambda: service.page().total("messages_sent_total") > 50, "some messages")
            names = [n for n in exporter.scrape().names() if n.endswith(("_total", "_count", "_bucket"))]
            before = exporter.scrape()
            service.restart()
            rig.wait_for(lambda: service.page().total("messages_sent_total") > 5, "some messages")
            after = exporter.scrape()
            for name in names:
                for labels, value in before.series(name).items():
                    if "application" not in dict(labels).get("collector", "application"):
                        continue
                    self.assertGreaterEqual(after.series(name).get(labels, -1), value, (name, labels))
            self.assertGreater(after.total("messages_sent_total"), before.total("messages_sent_total"))

    def test_a_worker_that_is_killed_loses_nothing(self):
        """Not even what a former process of the service had counted."""
        with Service(10) as service, rig.Exporter(config(target(service.url))) as exporter:
            exporter.scrape()
            rig.wait_for(lambda: service.page().total("messages_sent_total") > 80, "some messages")
            exporter.scrape()
            service.restart()
            before = exporter.scrape()
            self.assertGreater(before.total("messages_sent_total"), 50)
            for _ in range(2):
                os.kill(exporter.workers()["application"], signal.SIGKILL)
                rig.wait_for(lambda: exporter.scrape().value("datatier_target_up", target="chat") == 1, "up again")
                after = exporter.scrape()
                for name in FAMILIES:
                    for suffix in ("", "_bucket", "_count", "_sum"):
                        if before.types.get(name) == "gauge":
                            continue
                        for labels, value in before.series(name + suffix).items():
                            self.assertGreaterEqual(after.series(name + suffix).get(labels, -1), value, (name, labels))
                before = after


class Instances(unittest.TestCase):
    def test_one_that_is_down_stays_in_the_sums(self):
        with Service(100) as one, Service(50) as two, \
                rig.Exporter(config(target(one.url + "," + two.url))) as exporter:
            rig.wait_for(lambda: two.page().total("messages_sent_total") > 50, "some messages")
            before = exporter.scrape()
            self.assertEqual(before.value("datatier_application_instance_up", instance=two.instance), 1)
            low = one.page().total("messages_sent_total") + two.page().total("messages_sent_total")
            self.assertLessEqual(before.total("messages_sent_total"), low)
            two.stop()
            down = exporter.scrape()
            self.assertEqual(down.value("datatier_application_instance_up", instance=one.instance), 1)
            self.assertEqual(down.value("datatier_application_instance_up", instance=two.instance), 0)
            self.assertEqual(down.value("datatier_target_up", target="chat"), 1)
            self.assertGreaterEqual(down.total("messages_sent_total"), before.total("messages_sent_total"))
            self.assertLess(down.total("ws_active_connections"), before.total("ws_active_connections"))
            self.assertEqual(down.value("datatier_group_success", group="instances"), 0)
            status = rig.fetch(exporter.port, "/").text
            self.assertIn("1 of 2 instances are down", status)
            self.assertIn("Connection refused", status)
            two.start()
            again = exporter.scrape()
            self.assertEqual(again.value("datatier_application_instance_up", instance=two.instance), 1)
            self.assertGreaterEqual(again.total("messages_sent_total"), down.total("messages_sent_total"))
            one.stop()
            two.stop()
            none = exporter.scrape()
            self.assertEqual(none.value("datatier_target_up", target="chat"), 0)
            self.assertEqual(none.value("datatier_application_instance_up", instance=one.instance), 0)
            self.assertEqual(none.series("messages_sent_total"), {})

    def test_one_that_hangs_does_not_hold_up_the_scrape(self):
        with Service(10) as one, Service(10) as two, \
                rig.Exporter(config(target(one.url + "," + two.url))) as exporter:
            exporter.scrape()
            two.signal(signal.SIGSTOP)
            page = exporter.scrape(timeout=3)
            self.assertLess(page.seconds, 3)
            self.assertEqual(page.value("datatier_application_instance_up", instance=one.instance), 1)
            self.assertEqual(page.value("datatier_application_instance_up", instance=two.instance), 0)
            two.signal(signal.SIGCONT)
            page = exporter.scrape()
            self.assertEqual(page.value("datatier_application_instance_up", instance=two.instance), 1)


PAGE = b"ws_active_connections{a=\"1\"} 3\nws_active_connections 4\n"


class Servers(unittest.TestCase):
    def value(self, url, more=""):
        """ws_active_connections, or what the log says of the target."""
        with rig.Exporter(config(target(url, more=more))) as exporter:
            page = exporter.scrape()
            said = exporter.log() + rig.fetch(exporter.port, "/").text
            self.assertNotIn(SECRET, said)
            if page.value("datatier_target_up", target="chat") == 1:
                return page.value("ws_active_connections")
            self.assertIn("down: ", said)
            return said

    def test_gzip(self):
        def pages(request):
            if "gzip" not in request.headers.get("Accept-Encoding", ""):
                return PAGE
            return 200, {"Content-Encoding": "gzip"}, gzip.compress(PAGE * 1000)
        with Pages(pages) as server:
            self.assertEqual(self.value(server.url), 7000)
            self.assertEqual(self.value(server.url, "compression = false;"), 7)

    def test_a_bomb_ends_at_max_bytes(self):
        bomb = gzip.compress(PAGE * 100000)
        with Pages(lambda request: (200, {"Content-Encoding": "gzip"}, bomb)) as server:
            self.assertIn("longer than max_bytes, 1000000", self.value(server.url, "max_bytes = 1000000;"))

    def test_user_and_token(self):
        basic = "Basic " + base64.b64encode(("monitor:" + SECRET).encode()).decode()

        def pages(request):
            given = request.headers.get("Authorization")
            if given in (basic, "Bearer " + SECRET):
                return PAGE
            return 401, {"WWW-Authenticate": "Basic"}, b"go away\n"
        with Pages(pages) as server:
            self.assertEqual(self.value(server.url, 'username = "monitor"; password = "%s";' % SECRET), 7)
            self.assertEqual(self.value(server.url, 'bearer_token = "%s";' % SECRET), 7)
            self.assertIn("answers 401", self.value(server.url, 'username = "a"; password = "%s";' % (SECRET * 2)))
            self.assertIn("wants bearer_token, or username", self.value(server.url))

    def test_redirects_are_not_followed(self):
        with Pages({"/real": PAGE}) as other, \
                Pages(lambda request: (302, {"Location": other.url + "/real"}, b"there\n")) as server:
            said = self.value(server.url, 'bearer_token = "%s";' % SECRET)
            self.assertIn("answers 302: redirects are not followed", said)
            self.assertEqual(other.requests, [])

    def test_nonsense_is_quoted(self):
        with Pages({"/html": b"<!DOCTYPE html>\n<html>\x1b[2J\n" * 100}) as server:
            said = self.value(server.url + "/html")
            self.assertIn("this is no metrics page, it begins: <!DOCTYPE html>", said.replace("&lt;", "<").replace("&gt;", ">"))
            self.assertNotIn("\x1b", said)

    def test_no_proxy_is_asked(self):
        with Pages({"/": PAGE}) as server:
            with rig.Exporter(config(target(server.url)), env={"http_proxy": "http://127.0.0.1:1"}) as exporter:
                self.assertEqual(exporter.scrape().value("ws_active_connections"), 7)


class Tls(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.dir, cls.other = rig.subdirectory("certificates"), rig.subdirectory("other")
        make_certificates(cls.dir)
        make_certificates(cls.other)

    def server(self, client=False):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.dir + "/server.crt", self.dir + "/server.key")
        if client:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(self.dir + "/ca.crt")
        return Pages({"/": PAGE}, context, "")

    value = Servers.value

    def ca(self, directory=None):
        return 'tls_ca = "%s/ca.crt";' % (directory or self.dir)

    def test_authorities_are_checked(self):
        with self.server() as server:
            self.assertEqual(self.value(server.url, self.ca()), 7)
            self.assertIn("certificate is not trusted", self.value(server.url, self.ca(self.other)))
            self.assertIn("certificate is not trusted", self.value(server.url))
            said = self.value(server.url.replace("127.0.0.1", "127.0.0.2"), self.ca())
            self.assertIn("certificate is not trusted", said)	# of another name

    def test_client_certificate(self):
        own = 'tls_certificate = "%s/client.crt"; tls_key = "%s/client.key";' % (self.dir, self.dir)
        with self.server(client=True) as server:
            self.assertEqual(self.value(server.url, self.ca() + own), 7)
            self.assertIn("down: ", self.value(server.url, self.ca()))

    def test_files_that_are_not_there(self):
        with self.server() as server:
            self.assertIn("tls_ca cannot be read: /nowhere", self.value(server.url, 'tls_ca = "/nowhere";'))

    def test_tls_to_a_plain_port(self):
        with Pages({"/": PAGE}) as server:
            said = self.value(server.url.replace("http:", "https:"), self.ca())
            self.assertIn("TLS", said)


class Promtool(unittest.TestCase):
    def test_it_agrees_on_what_is_well_formed(self):
        """Every vector is a page of its own: bad lines, or none, as promtool says."""
        if shutil.which("promtool") is None:
            self.skipTest("promtool is not installed")
        pages = {}
        for path in glob.glob(VECTORS + "/text-*"):
            with open(path, "rb") as vector:
                pages["/" + os.path.basename(path)] = vector.read()
        self.assertGreater(len(pages), 80)
        del pages["/text-ok-nothing"]	# no lines: nothing to be well formed
        with Pages(pages) as server:
            targets = [target(server.url + path, path[1:]) for path in pages]
            with rig.Exporter(config(*targets)) as exporter:
                ours = exporter.scrape(timeout=30)
        for path, body in pages.items():
            done = subprocess.run(["promtool", "check", "metrics"], input=body, stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT)
            bad = ours.value("datatier_application_bad_lines_total", target=path[1:])
            with self.subTest(path):
                self.assertEqual(bad == 0, done.returncode != 1, done.stdout)


if __name__ == "__main__":
    tap.main()
