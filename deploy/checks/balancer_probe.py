#!/usr/bin/env python3
"""What the two balancers do with requests, seen from both ends. Standard library only.

  balancer_probe.py CONFIGURATIONS WORK     starts NGINX and HAProxy from deploy/balanced in front of three gateways
                                            that are not real ones and note what arrives; prints a row for each
                                            property: title, expected, seen, ok or FAILED, with tabs between
  balancer_probe.py --follow BALANCER WORK  follows an order of a real customer through a balancer, live
"""

import base64
import collections
import http.client
import http.server
import json
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time

FRONTS = {"nginx": "127.0.5.1", "haproxy": "127.0.5.2"}
GATEWAYS = ["127.0.4.1", "127.0.4.2", "127.0.4.3"]
START_SECONDS_MAX = 20
# Two checks and a reload take a second; five times that, on a busy machine more.
NOTICED_SECONDS_MAX = 60


class Seen:
    """What has arrived at the gateways, by path."""

    def __init__(self):
        self.hits, self.unready, self.lock = collections.defaultdict(list), set(), threading.Lock()

    def note(self, path, gateway):
        with self.lock:
            self.hits[path].append(gateway)


class Gateway(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    seen = Seen()

    def log_message(self, format, *arguments):
        pass

    def answer(self, status, body, kind="application/json"):
        body = body.encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def handle_any(self):
        gateway = self.server.server_address[0]
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.path == "/ready":
            ready = gateway not in self.seen.unready
            return self.answer(200 if ready else 503, json.dumps({"ready": ready}))
        self.seen.note(f"{self.command} {self.path}", gateway)
        if "break" in self.path or self.headers.get("X-Break"):
            # Read in whole, and the connection goes without an answer: a gateway that was killed.
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
        elif self.path.startswith("/api/v1/live/events"):
            self.send_response(200)
            self.send_header("Content-Type", "text/event-stream")
            self.send_header("Connection", "close")
            self.end_headers()
            for number in range(2):
                self.wfile.write(f"event: number\ndata: {number}\n\n".encode())
                self.wfile.flush()
                time.sleep(2)
            self.close_connection = True
        else:
            headers = {}
            for name, value in self.headers.items():
                headers.setdefault(name.lower(), []).append(value)
            self.answer(200, json.dumps({"gateway": gateway, "path": self.path, "headers": headers}))

    do_GET = do_POST = do_PUT = do_PATCH = do_HEAD = handle_any


class Server(http.server.ThreadingHTTPServer):
    def handle_error(self, request, client_address):
        """Checks end their connections as soon as they know."""


class Rows:
    def add(self, title, expected, seen, fine):
        print(f"{title}\t{expected}\t{str(seen)[:150] or 'nothing'}\t{'ok' if fine else 'FAILED'}", flush=True)


def ask(front, method, path, body=None, headers=None, context=None):
    connection = http.client.HTTPSConnection(front, 443, context=context, timeout=20)
    if body is None:
        connection.request(method, path, headers=headers or {})
    else:
        # The body comes a moment behind its headers, as over a network it may.
        connection.request(method, path, headers={**(headers or {}), "Content-Length": str(len(body))})
        time.sleep(0.05)
        connection.send(body.encode())
    answer = connection.getresponse()
    text = answer.read()
    connection.close()
    return answer.status, dict((name.lower(), value) for name, value in answer.getheaders()), text


def start_fronts(configurations, work):
    """Both balancers, with the addresses of this probe in place of the names."""
    folder, processes = tempfile.mkdtemp(dir=work), []
    for name, file in (("nginx", "nginx.conf"), ("haproxy", "haproxy.cfg")):
        with open(os.path.join(configurations, file), encoding="utf-8") as source:
            text = source.read()
        for number, gateway in enumerate(GATEWAYS, 1):
            text = text.replace(f"gateway-{number}:8080", f"{gateway}:8080")
        text = text.replace("/run/nakku", folder)
        text = re.sub(r"(listen |bind :)(80|443)", lambda found: f"{found[1].rstrip(':')}{FRONTS[name]}:{found[2]}"
                      if name == "nginx" else f"bind {FRONTS[name]}:{found[2]}", text)
        with open(os.path.join(folder, file), "w", encoding="utf-8") as target:
            target.write(text)
        # The copy that nginx-with-checks runs must not be the file that it reads.
        command = (["haproxy", "-f", os.path.join(folder, file)] if name == "haproxy" else
                   ["bash", os.path.join(configurations, "nginx-with-checks"), os.path.join(folder, file)])
        log = open(os.path.join(work, f"probe-{name}.log"), "w", encoding="utf-8")
        environment = {**os.environ, "NGINX_RUN": os.path.join(folder, "run")}
        os.makedirs(environment["NGINX_RUN"], exist_ok=True)
        processes.append(subprocess.Popen(command, stdout=log, stderr=log, env=environment, start_new_session=True))
    return processes


def await_fronts(context):
    deadline = time.time() + START_SECONDS_MAX
    for front in FRONTS.values():
        while True:
            try:
                if ask(front, "GET", "/ready", context=context)[0] == 200:
                    break
            except OSError:
                pass
            if time.time() > deadline:
                sys.exit(f"the balancer at {front} did not start")
            time.sleep(0.2)


def probe_headers(rows, name, front, context):
    spoofed = {"X-Forwarded-For": "203.0.113.9", "Forwarded": "for=203.0.113.9", "X-Real-IP": "203.0.113.9",
               "X-Forwarded-Proto": "http", "X-Request-Id": "mine-7"}
    seen = json.loads(ask(front, "GET", "/api/v1/echo", headers=spoofed, context=context)[2])["headers"]
    found = {header: seen.get(header) for header in ("x-forwarded-for", "x-forwarded-proto", "forwarded", "x-real-ip")}
    right = {"x-forwarded-for": ["127.0.0.1"], "x-forwarded-proto": ["https"], "forwarded": None, "x-real-ip": None}
    rows.add(f"{name}: a client that writes forwarded headers itself", json.dumps(right), json.dumps(found), found == right)
    rows.add(f"{name}: a request id is kept", "mine-7", seen.get("x-request-id"), seen.get("x-request-id") == ["mine-7"])
    for text, given in (("none is made", {}), ("a harmful one is replaced", {"X-Request-Id": 'a"b c'})):
        seen = json.loads(ask(front, "GET", "/api/v1/echo", headers=given, context=context)[2])["headers"]
        made = (seen.get("x-request-id") or [""])[0]
        rows.add(f"{name}: a request id where {text}", "32 or more hex digits", made,
                 re.fullmatch(r"[0-9a-f-]{32,36}", made) is not None)


def await_gateways(front, context, wanted):
    """Who was asked by the last of several rounds of 20 requests, as soon as it is just these; and after how long."""
    begun = time.time()
    while True:
        Gateway.seen.hits.clear()
        for _ in range(20):
            ask(front, "GET", "/api/v1/echo", context=context)
        hits, elapsed = collections.Counter(Gateway.seen.hits["GET /api/v1/echo"]), time.time() - begun
        if set(hits) == wanted or elapsed > NOTICED_SECONDS_MAX:
            return hits, elapsed
        time.sleep(0.2)


def probe_repetition(rows, name, front, context):
    """A gateway that takes a request and breaks off: who else is sent it?"""
    cases = [("GET", "/api/v1/break", {}, "several"), ("POST", "/api/v1/break", {}, "one"),
             ("PATCH", "/api/v1/break", {}, "one"), ("POST", "/api/v1/auth/refresh/break", {"Idempotency-Key": "k"}, "one"),
             ("POST", "/api/v1/orders", {"Idempotency-Key": "k", "X-Break": "1"}, "several"),
             ("PUT", "/api/v1/break", {}, "several" if name == "nginx" else "one")]
    for method, path, headers, expected in cases:
        # What the case before has taught the balancer about its gateways is to be forgotten.
        await_gateways(front, context, set(GATEWAYS))
        Gateway.seen.hits.clear()
        body = None if method == "GET" else "{}"
        try:
            status, answered, text = ask(front, method, path, body, headers, context)
            kind = answered.get("content-type", "")
        except (OSError, http.client.HTTPException) as error:
            status, kind, text = 0, type(error).__name__, b""
        hits = Gateway.seen.hits[f"{method} {path}"]
        different = len(set(hits))
        fine = different == len(hits) and (different > 1 if expected == "several" else different == 1)
        rows.add(f"{name}: {method} {path}{' under a key' if 'Idempotency-Key' in headers else ''}, broken off by the gateway",
                 f"{expected} gateway{'s' if expected == 'several' else ''} asked; a problem document",
                 f"{different} asked; {status} {kind}", fine and kind.startswith("application/problem+json") and b"timed_out" in text)
    Gateway.seen.hits.clear()


def probe_stream(rows, name, front, context):
    await_gateways(front, context, set(GATEWAYS))
    connection = context.wrap_socket(socket.create_connection((front, 443), 10), server_hostname=None)
    begun = time.time()
    connection.sendall(b"GET /api/v1/live/events HTTP/1.1\r\nHost: shop\r\nConnection: close\r\n\r\n")
    times, text = {}, b""
    while chunk := connection.recv(4096):
        text += chunk
        for number in (0, 1):
            if f"data: {number}".encode() in text:
                times.setdefault(number, time.time() - begun)
    seen = ", ".join(f"{after:.1f} s" for after in times.values())
    rows.add(f"{name}: Server-Sent Events 2 s apart", "the first at once, the second 2 s later", seen,
             len(times) == 2 and times[0] < 1 and times[1] - times[0] > 1)


def probe_readiness(rows, name, front, context):
    """A gateway that says that it is not ready, and goes on answering, is left alone; one that is again is asked again."""
    for unready, text in ((GATEWAYS[:1], "one gateway is not ready"), ([], "it is ready again")):
        Gateway.seen.unready, wanted = set(unready), set(GATEWAYS) - set(unready)
        hits, elapsed = await_gateways(front, context, wanted)
        rows.add(f"{name}: {text}; who is asked by 20 requests", f"{len(wanted)} gateways, soon",
                 f"{', '.join(f'{gateway} {count}' for gateway, count in sorted(hits.items()))} after {elapsed:.1f} s",
                 set(hits) == wanted)


def probe(configurations, work):
    for gateway in GATEWAYS:
        server = Server((gateway, 8080), Gateway)
        threading.Thread(target=server.serve_forever, daemon=True).start()
    # The certificate is for other names; who is asked is certain here.
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    processes = start_fronts(configurations, work)
    rows = Rows()
    try:
        await_fronts(context)
        for name, front in FRONTS.items():
            probe_headers(rows, name, front, context)
            probe_repetition(rows, name, front, context)
            probe_stream(rows, name, front, context)
            probe_readiness(rows, name, front, context)
    finally:
        for process in processes:
            os.killpg(process.pid, signal.SIGTERM)


class Follower:
    """One customer with one order, and what can be heard of it."""

    def __init__(self, balancer, work):
        self.balancer = balancer
        self.context = ssl.create_default_context(cafile=os.path.join(work, "tls/ca.pem"))
        with open(os.path.join(work, "state.json"), encoding="utf-8") as file:
            self.tokens = [who["token"] for who in json.load(file)["customers"]]
        for self.token in self.tokens:
            page = json.loads(self.get("/api/v1/orders?limit=1"))
            if page["items"]:
                self.order = page["items"][0]["id"]
                return
        sys.exit("no customer has an order yet")

    def get(self, path):
        status, _, text = ask(self.balancer, "GET", path, headers={"Authorization": f"Bearer {self.token}"},
                              context=self.context)
        if status != 200:
            sys.exit(f"{path}: {status} {text}")
        return text

    def connect(self, head):
        plain = socket.create_connection((self.balancer, 443), 10)
        connection = self.context.wrap_socket(plain, server_hostname=self.balancer)
        connection.sendall(head.replace("\n", "\r\n").encode())
        return connection

    def until(self, connection, wanted):
        text = b""
        while wanted not in text:
            chunk = connection.recv(65536)
            if not chunk:
                sys.exit(f"ended without {wanted!r}: {text[:300]!r}")
            text += chunk
        return text

    def websocket(self):
        key = base64.b64encode(os.urandom(16)).decode()
        connection = self.connect(
            f"GET /api/v1/live HTTP/1.1\nHost: {self.balancer}\nUpgrade: websocket\nConnection: Upgrade\n"
            f"Sec-WebSocket-Key: {key}\nSec-WebSocket-Version: 13\n"
            f"Sec-WebSocket-Protocol: nakku.live.v1, bearer.{self.token}\n\n")
        answer = self.until(connection, b"\r\n\r\n")
        if b" 101 " not in answer.split(b"\r\n")[0]:
            sys.exit(f"no upgrade: {answer[:200]!r}")
        text = json.dumps({"subscribe": {"order": self.order}}).encode()
        mask = os.urandom(4)
        length = bytes([0x80 | len(text)]) if len(text) < 126 else bytes([0xFE]) + len(text).to_bytes(2, "big")
        connection.sendall(b"\x81" + length + mask + bytes(byte ^ mask[at % 4] for at, byte in enumerate(text)))
        self.until(connection, b'"snapshot"')
        return "websocket snapshot"

    def events(self):
        connection = self.connect(
            f"GET /api/v1/live/events?order={self.order} HTTP/1.1\nHost: {self.balancer}\n"
            f"Authorization: Bearer {self.token}\nAccept: text/event-stream\n\n")
        self.until(connection, b"event: snapshot")
        return "events snapshot"


def main():
    if sys.argv[1:2] == ["--follow"]:
        follower = Follower(sys.argv[2], sys.argv[3])
        print(f"{follower.websocket()}, {follower.events()}")
    else:
        probe(sys.argv[1], sys.argv[2])


if __name__ == "__main__":
    main()
