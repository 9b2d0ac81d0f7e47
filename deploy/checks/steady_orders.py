#!/usr/bin/env python3
"""Customers who order steadily through a load balancer, and an honest count of what failed. Standard library only.

  prepare  makes staff, goods and customers, and writes who they are to a file
  run      customers put goods into their carts, order under an Idempotency-Key and read the order, at a steady rate,
           until SIGTERM; every single attempt is a line of the log. What fails is sent again, under the same key
  report   counts the attempts of a span of time
  verify   that each acknowledged order is there once, no other is, and the stock agrees

An attempt has failed if the connection broke, nothing came in time, or the answer was 5xx or 429.
"""

import argparse
import collections
import http.client
import json
import os
import random
import select
import signal
import ssl
import sys
import threading
import time
import urllib.parse

PASSWORD = "steady-orders-2041"
STORES = ["s-steady-1", "s-steady-2"]
SKUS = [f"p-steady-{number}" for number in range(8)]
PRICE_MINOR = 5500
SUPPLY = 1_000_000
PATIENCE_SECONDS = 90
ATTEMPT_SECONDS_MAX = 20
PAUSE_SECONDS = 0.25


class Api:
    """One client with one connection that is kept, as a phone has it."""

    def __init__(self, url, ca=None, token=None, source=None):
        parts = urllib.parse.urlsplit(url)
        self.host, self.port, self.tls = parts.hostname, parts.port, parts.scheme == "https"
        self.context = ssl.create_default_context(cafile=ca) if self.tls else None
        self.token, self.source, self.connection = token, source, None

    def connect(self):
        options = {"timeout": ATTEMPT_SECONDS_MAX, "source_address": (self.source, 0) if self.source else None}
        if self.tls:
            return http.client.HTTPSConnection(self.host, self.port or 443, context=self.context, **options)
        return http.client.HTTPConnection(self.host, self.port or 80, **options)

    def is_closed(self):
        """Whether the other side has closed the connection that was kept: every client looks before it uses it again."""
        return self.connection.sock is None or bool(select.select([self.connection.sock], [], [], 0)[0])

    def ask(self, method, path, body=None, headers=None):
        """Status and body; status 0 and the reason when there was no answer. Never sends anything twice."""
        headers = dict(headers or {})
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        if body is not None:
            headers["Content-Type"] = "application/json"
        try:
            if self.connection is not None and self.is_closed():
                self.connection.close()
                self.connection = None
            if self.connection is None:
                self.connection = self.connect()
            self.connection.request(method, path, json.dumps(body) if body is not None else None, headers)
            answer = self.connection.getresponse()
            text = answer.read()
            if answer.will_close:
                self.connection.close()
                self.connection = None
        except (OSError, http.client.HTTPException) as error:
            if self.connection is not None:
                self.connection.close()
            self.connection = None
            return 0, {"detail": f"{type(error).__name__}: {error}"}
        try:
            return answer.status, json.loads(text) if text else {}
        except ValueError:
            return answer.status, {"detail": text[:200].decode("utf-8", "replace")}

    def must(self, method, path, body=None, wanted=(200, 201)):
        """The body of an answer that has to come, however often it has to be asked for."""
        deadline = time.time() + PATIENCE_SECONDS
        while True:
            status, answer = self.ask(method, path, body)
            if status in wanted:
                return answer
            if time.time() > deadline or (status and status < 500 and status != 429):
                sys.exit(f"{method} {path}: {status} {answer}")
            time.sleep(1)


def ean_13(number):
    digits = f"891{number:09}"
    weighted = sum(int(digit) * (1, 3)[place % 2] for place, digit in enumerate(digits))
    return f"{digits}{(10 - weighted % 10) % 10}"


def prepare(arguments):
    with open(arguments.token_file, encoding="ascii") as file:
        admin = Api(arguments.admin, token=file.readline().strip())
    email = "staff@steady.test"
    admin.must("POST", "/admin/v1/users", {"email": email, "name": "Staff", "password": PASSWORD, "roles": ["admin"]},
               wanted=(200, 201, 409))
    api = Api(arguments.api, arguments.ca)
    api.token = api.must("POST", "/api/v1/auth/login", {"email": email, "password": PASSWORD})["access_token"]
    staff_token = api.token
    for number, sku in enumerate(SKUS):
        api.must("POST", "/api/v1/products", {
            "sku": sku, "name": f"Butter of batch {number}", "brand": "Steady", "barcode": ean_13(number),
            "unit": "500 g", "category": "dairy", "mrp_minor": PRICE_MINOR, "price_minor": PRICE_MINOR,
            "tax_basis_points": 500}, wanted=(201, 409))
        for store in STORES:
            api.must("POST", f"/api/v1/stores/{store}/stock",
                     {"receipt": f"{sku}-first", "lines": [{"sku": sku, "quantity": SUPPLY}]})
    customers = []
    for number in range(arguments.customers):
        anybody = Api(arguments.api, arguments.ca)
        who = {"email": f"customer-{number}@steady.test", "password": PASSWORD}
        session = anybody.must("POST", "/api/v1/auth/register", {**who, "name": "A Customer"}, wanted=(201, 409))
        # Registered by a request that was not answered.
        if "access_token" not in session:
            session = anybody.must("POST", "/api/v1/auth/login", who)
        customers.append({"id": session["user"]["id"], "token": session["access_token"]})
    with open(arguments.state, "w", encoding="utf-8") as file:
        json.dump({"staff": staff_token, "customers": customers}, file)
    print(f"{len(customers)} customers, {len(SKUS)} products in {len(STORES)} stores")


class Log:
    def __init__(self, path):
        self.file = open(path, "a", encoding="utf-8", buffering=1)
        self.lock = threading.Lock()

    def write(self, entry):
        with self.lock:
            self.file.write(json.dumps(entry) + "\n")


def is_failure(status):
    return status == 0 or status >= 500 or status == 429


class Customer(threading.Thread):
    def __init__(self, arguments, who, number, pause, log, stop):
        super().__init__(daemon=True)
        self.api = Api(arguments.api, arguments.ca, who["token"])
        self.name, self.number, self.pause, self.log, self.stop = arguments.name, number, pause, log, stop
        self.random = random.Random(f"{arguments.seed}-{arguments.name}-{number}")

    def run(self):
        time.sleep(self.random.uniform(0, self.pause))
        order = 0
        while not self.stop.is_set():
            begun = time.time()
            order += 1
            self.order(f"{self.name}-{self.number}-{order}-{self.random.getrandbits(32):08x}")
            self.stop.wait(max(0.0, self.pause * self.random.uniform(0.8, 1.2) - (time.time() - begun)))

    def order(self, key):
        quantity, sku = self.random.randint(1, 3), self.random.choice(SKUS)
        store = STORES[self.number % len(STORES)]
        answer = self.until("cart", key, "PUT", f"/api/v1/cart/items/{sku}", {"quantity": quantity, "store": store})
        if answer is None:
            return
        payment = {"method": "card", "token": "card_approve"} if self.random.random() < 0.7 else {"method": "cash"}
        body = {"payment": payment, "address": "12 Residency Road, Bengaluru 560025"}
        answer = self.until("order", key, "POST", "/api/v1/orders", body, {"Idempotency-Key": key})
        if answer is not None:
            self.until("read", key, "GET", f"/api/v1/orders/{answer['id']}")

    def until(self, what, key, method, path, body=None, headers=None):
        """Sends until there is an answer that counts; what is sent again is the same."""
        deadline, attempt = time.time() + PATIENCE_SECONDS, 0
        while True:
            attempt += 1
            request_id = f"{key}.{what}.{attempt}"
            begun = time.time()
            status, answer = self.api.ask(method, path, body, {**(headers or {}), "X-Request-Id": request_id})
            code = answer.get("code") if status >= 400 else None
            busy = code == "cart_sealed"
            done = status in (200, 201)
            self.log.write({
                "at": round(begun, 3), "seconds": round(time.time() - begun, 3), "what": what, "key": key,
                "attempt": attempt, "request": request_id, "status": status, "code": code,
                "detail": None if done else answer.get("detail"), "failed": is_failure(status),
                "order": answer.get("id") if what == "order" and status in (201, 202) else None,
                "quantity": body.get("quantity") if what == "cart" else None})
            if done:
                return answer
            if not (busy or status == 202 or is_failure(status)) or time.time() > deadline:
                return None
            time.sleep(0.05 if busy or status == 202 else PAUSE_SECONDS)


def run(arguments):
    with open(arguments.state, encoding="utf-8") as file:
        customers = json.load(file)["customers"]
    mine = [who for number, who in enumerate(customers) if number % arguments.of == arguments.part]
    stop, log = threading.Event(), Log(arguments.log)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    threads = [Customer(arguments, who, number, len(mine) / arguments.rate, log, stop)
               for number, who in enumerate(mine)]
    for thread in threads:
        thread.start()
    while not stop.wait(0.5):
        pass
    for thread in threads:
        thread.join(PATIENCE_SECONDS + ATTEMPT_SECONDS_MAX)


def entries(paths):
    for path in paths:
        with open(path, encoding="utf-8") as file:
            yield from (json.loads(line) for line in file if line.endswith("\n"))


def passed_to(path):
    """By request id: the gateways that the balancer has tried."""
    tried = collections.defaultdict(str)
    if path and os.path.exists(path):
        with open(path, encoding="utf-8", errors="replace") as file:
            for line in file:
                start = line.find("{")
                try:
                    entry = json.loads(line[start:]) if start >= 0 else {}
                except ValueError:
                    continue
                if "request_id" in entry:
                    tried[entry["request_id"]] += f" {entry.get('gateways', entry.get('gateway', ''))}"
    return tried


def report(arguments):
    counts, reasons, slowest, gap = collections.Counter(), collections.Counter(), 0.0, 0.0
    tried = passed_to(arguments.balancer_log)
    keys, answered, elsewhere = set(), set(), 0
    ends = []
    for entry in entries(arguments.log):
        end = entry["at"] + entry["seconds"]
        if end < arguments.begin or entry["at"] > arguments.end:
            continue
        counts["attempts"] += 1
        slowest = max(slowest, entry["seconds"])
        if entry["what"] == "order" and entry["status"] == 201 and arguments.begin <= end <= arguments.end:
            counts["orders"] += 1
            answered.add(entry["key"])
            ends.append(end)
        if entry["failed"]:
            counts["failed"] += 1
            keys.add(entry["key"])
            reasons[f"{entry['what']} {entry['status']} {entry['code'] or entry['detail'] or ''}"[:90]] += 1
            if arguments.killed and (arguments.killed not in tried[entry["request"]] or entry["at"] > arguments.killed_at):
                elsewhere += 1
        elif entry["status"] >= 400 and entry["code"] != "cart_sealed":
            counts["refused"] += 1
            reasons[f"{entry['what']} {entry['status']} {entry['code']}"[:90]] += 1
    ends.sort()
    gap = max((later - sooner for sooner, later in zip(ends, ends[1:])), default=0.0)
    line = (f"failed {counts['failed']} of {counts['attempts']} attempts, refused {counts['refused']}, "
            f"orders {counts['orders']}, slowest {slowest:.1f} s, longest without an order {gap:.1f} s")
    if arguments.killed:
        line += f", failed and not under way at {arguments.killed} when it was killed: {elsewhere}"
    print(line)
    for reason, count in reasons.most_common(5):
        print(f"{count} × {reason}")


def verify(arguments):
    with open(arguments.state, encoding="utf-8") as file:
        state = json.load(file)
    acknowledged, sent = collections.defaultdict(set), set()
    for entry in entries(arguments.log):
        if entry["what"] == "order":
            sent.add(entry["key"])
            if entry["status"] == 201:
                acknowledged[entry["key"]].add(entry["order"])
    wanted = {order for orders in acknowledged.values() for order in orders}
    twice = sum(len(orders) > 1 for orders in acknowledged.values())
    found, cancelled = collections.Counter(), 0
    for who in state["customers"]:
        api, after = Api(arguments.api, arguments.ca, who["token"]), ""
        while True:
            page = api.must("GET", f"/api/v1/orders?limit=200{after}")
            for order in page["items"]:
                found[order["id"]] += 1
                cancelled += order["status"] == "cancelled" and order["id"] in wanted
            if "next" not in page:
                break
            after = f"&after={urllib.parse.quote(page['next'])}"
    lost = [order for order in wanted if found[order] != 1]
    unanswered = len(sent) - len(acknowledged)
    surplus = len(found) - len(wanted)
    fine = not lost and not twice and 0 <= surplus <= unanswered + arguments.under_way and not cancelled
    print(f"{'fine' if fine else 'WRONG'}: {len(wanted)} orders acknowledged, {len(lost)} of them not there once, "
          f"{twice} keys with two orders, {cancelled} cancelled behind their customer's back, "
          f"{surplus} more, of {unanswered} keys without an answer and up to {arguments.under_way} under way")
    for order in lost[:5]:
        print(f"lost: {order}")
    sys.exit(0 if fine else 1)


def stock(arguments):
    """Of every product in every store, once nothing is under way: on hand and sold make what was supplied."""
    with open(arguments.state, encoding="utf-8") as file:
        api = Api(arguments.api, arguments.ca, json.load(file)["staff"])
    deadline = time.time() + PATIENCE_SECONDS
    while True:
        levels = [api.must("GET", f"/api/v1/stores/{store}/stock/{sku}") for store in STORES for sku in SKUS]
        wrong = [level for level in levels
                 if level["on_hand"] + level["sold"] != level["supplied"]
                 or level["available"] + level["reserved"] != level["on_hand"]]
        reserved = sum(level["reserved"] for level in levels)
        if wrong or not reserved or time.time() > deadline:
            break
        time.sleep(1)
    fine = not wrong and not reserved
    print(f"{'fine' if fine else 'WRONG'}: {len(levels)} stocks, {sum(level['sold'] for level in levels)} sold, "
          f"{reserved} still reserved, {len(wrong)} do not add up")
    sys.exit(0 if fine else 1)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)

    def command(name, function, *flags):
        sub = commands.add_parser(name)
        sub.set_defaults(function=function)
        for flag, options in flags:
            sub.add_argument(flag, **options)

    api, ca = ("--api", {"required": True}), ("--ca", {})
    state, log = ("--state", {"required": True}), ("--log", {"required": True, "nargs": "+"})
    command("prepare", prepare, api, ca, state, ("--admin", {"required": True}), ("--token-file", {"required": True}),
            ("--customers", {"type": int, "default": 24}))
    command("run", run, api, ca, state, ("--log", {"required": True}), ("--name", {"required": True}),
            ("--rate", {"type": float, "default": 6.0}), ("--seed", {"default": "1"}),
            ("--part", {"type": int, "default": 0}), ("--of", {"type": int, "default": 1}))
    command("report", report, log, ("--begin", {"type": float, "default": 0.0}),
            ("--end", {"type": float, "default": float("inf")}), ("--balancer-log", {}), ("--killed", {}),
            ("--killed-at", {"type": float, "default": 0.0}))
    command("verify", verify, api, ca, state, log, ("--under-way", {"type": int, "default": 0}))
    command("stock", stock, api, ca, state)
    arguments = parser.parse_args()
    arguments.function(arguments)


if __name__ == "__main__":
    main()
