"""A stand-in for PagerDuty, the chat and the log receiver: takes what
Alertmanager sends, holds it against what the real ones accept, and keeps it."""
import collections
import http.server
import json
import re
import threading
import time

import scratch

# when: time.monotonic(); receiver as in alertmanager.yml; state: firing or
# resolved; key: PagerDuty's dedup_key; body: all of it.
Notice = collections.namedtuple("Notice", "when receiver state alert target key runbook dashboard text body")
TITLE = re.compile(r"(CRITICAL|WARNING|INFO|RESOLVED) (\w+)(?: on (\S+))?")
LINK = re.compile(r"<([^|>]+)\|(\w+)>")
COLORS = {"CRITICAL": "danger", "WARNING": "warning", "INFO": "warning", "RESOLVED": "good"}


def need(condition, what):
    if not condition:
        raise ValueError(what)


def state_of(word):
    return "resolved" if word == "RESOLVED" else "firing"


def pagerduty(when, receiver, body, key):
    """Events API v2."""
    need(body.get("routing_key") == key, "no routing key")
    need(body.get("event_action") in ("trigger", "resolve"), "event_action")
    need(body.get("dedup_key"), "no dedup_key")
    payload = body.get("payload") or {}
    need(0 < len(payload.get("summary", "")) <= 1024, "payload.summary")
    need(payload.get("source"), "payload.source")
    need(payload.get("severity") in ("critical", "error", "warning", "info"), "payload.severity")
    links = {link["text"]: link["href"] for link in body.get("links", [])}
    found = TITLE.match(payload["summary"])
    need(found, "summary: " + payload["summary"])
    need(state_of(found.group(1)) == {"trigger": "firing", "resolve": "resolved"}[body["event_action"]],
         "summary and event_action differ")
    details = payload["custom_details"]
    return Notice(when, receiver, state_of(found.group(1)), found.group(2), details["target"] or None,
                  body["dedup_key"], links.get("Runbook"), links.get("Dashboard"), details["description"], body)


def chat(when, receiver, body, key):
    """Slack's incoming webhook."""
    need(len(body.get("attachments", [])) == 1, "not one attachment")
    attachment = body["attachments"][0]
    need(attachment.get("text") and attachment.get("fallback"), "no text or no fallback")
    found = TITLE.fullmatch(attachment.get("title", ""))
    need(found, "title: %s" % attachment.get("title"))
    need(attachment.get("color") == COLORS[found.group(1)], "color: %s" % attachment.get("color"))
    links = {name: href for href, name in LINK.findall(attachment["text"])}
    need(attachment.get("title_link") == links.get("Runbook"), "title_link")
    return Notice(when, receiver, state_of(found.group(1)), found.group(2), found.group(3), None,
                  links.get("Runbook"), links.get("Dashboard"), attachment["text"], body)


def log(when, receiver, body, key):
    """Alertmanager's own webhook."""
    need(body.get("version") == "4" and body.get("alerts"), "no version or no alerts")
    labels, notes = body["commonLabels"], body["commonAnnotations"]
    return Notice(when, receiver, body["status"], labels["alertname"], labels.get("target"), None,
                  notes.get("runbook_url"), notes.get("dashboard"), body["alerts"][0]["annotations"]["summary"],
                  body)


def kind(path):
    """(who reads it, the receiver's name) of a request."""
    if path == "/v2/enqueue":
        return pagerduty, "pagerduty"
    if path == "/alerts":
        return log, "log"
    need(path.startswith("/chat-"), "nobody has the path " + path)
    return chat, path[1:]


class Pager:
    """notices: all that came, in order; faults: what was wrong with the rest.
    Serves from construction to close(), or the end of the program."""

    def __init__(self):
        self.port = scratch.free_port()
        self.url = "http://127.0.0.1:%d" % self.port
        self.notices, self.faults = [], []
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", self.port), self._handler())
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def secret(self, name):
        """What the file of that secret holds."""
        return self.url + "/" + name

    def take(self, path, data):
        when = time.monotonic()
        try:
            read, receiver = kind(path)
            self.notices.append(read(when, receiver, json.loads(data), self.secret(receiver)))
            return True
        except (ValueError, KeyError, TypeError) as error:
            self.faults.append("%s: %r: %s" % (path, error, data[:2000]))
            return False

    def _handler(pager):
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                data = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                good = pager.take(self.path, data.decode("utf-8", "replace"))
                # PagerDuty says 202 where it takes the event, Slack 200 and just these letters.
                self._answer((202 if self.path.startswith("/v2/") else 200) if good else 400, "ok")

            def do_GET(self):
                """For people: what came, the last first."""
                self._answer(200, "".join("%-13s %-8s %s\n%s\n\n" % (n.receiver, n.state, n.alert, n.text)
                                          for n in reversed(pager.notices)) or "nothing yet\n")

            def _answer(self, status, text):
                self.send_response(status)
                self.send_header("Content-Type", "text/plain; charset=utf-8")
                self.end_headers()
                self.wfile.write(text.encode())

            def log_message(self, *unused):
                pass
        return Handler

    def found(self, **wanted):
        """The notices whose fields are these."""
        return [n for n in list(self.notices)
                if all(getattr(n, field) == value for field, value in wanted.items())]

    def close(self):
        self._server.shutdown()
        self._server.server_close()
