#!/usr/bin/env python3
"""Two kinds of load for deploy/check kubernetes. Standard library only.

  back   customers ask for their own account, each ten times a second, while a command takes an owner away: how long
         until every one of them has been answered again
  rush   people register from many addresses at once, which is the dearest thing that a gateway does, until SIGTERM
"""

import argparse
import itertools
import json
import random
import signal
import subprocess
import sys
import threading
import time

from steady_orders import PASSWORD, Api, is_failure

ASK_EVERY_SECONDS = 0.1
BEFORE_SECONDS = 3.0
AFTER_SECONDS_MAX = 60.0


class Asker(threading.Thread):
    def __init__(self, arguments, who, stop):
        super().__init__(daemon=True)
        self.api, self.stop, self.answers = Api(arguments.api, arguments.ca, who["token"]), stop, []

    def run(self):
        while not self.stop.is_set():
            begun = time.time()
            status, answer = self.api.ask("GET", "/api/v1/users/me")
            self.answers.append((begun, time.time(), status, answer.get("code") or answer.get("detail")))
            self.stop.wait(max(0.0, ASK_EVERY_SECONDS - (time.time() - begun)))


def back(arguments):
    with open(arguments.state, encoding="utf-8") as file:
        customers = json.load(file)["customers"]
    stop = threading.Event()
    askers = [Asker(arguments, who, stop) for who in customers]
    for asker in askers:
        asker.start()
    time.sleep(BEFORE_SECONDS)
    if any(is_failure(answer[2]) or answer[2] != 200 for asker in askers for answer in asker.answers):
        sys.exit("requests failed before anything was taken away")
    away = time.time()
    subprocess.run(arguments.command, check=True, stdout=subprocess.DEVNULL)

    # The command may take a while to have its effect: whoever is not answered for more than a second is affected.
    time.sleep(arguments.watch)
    stop.set()
    for asker in askers:
        asker.join(AFTER_SECONDS_MAX)
    longest, failed, affected = 0.0, 0, 0
    reasons = {}
    for asker in askers:
        good = [end for _, end, status, _ in asker.answers if status == 200]
        gap = max((later - sooner for sooner, later in itertools.pairwise(good)), default=AFTER_SECONDS_MAX)
        gap = max(gap, time.time() - good[-1] - 1 if good else AFTER_SECONDS_MAX)
        affected += gap > 1.0
        longest = max(longest, gap)
        for begun, _, status, why in asker.answers:
            if begun >= away and is_failure(status):
                failed += 1
                reasons[f"{status} {why}"] = reasons.get(f"{status} {why}", 0) + 1
    count = sum(len(asker.answers) for asker in askers)
    print(f"{affected} of {len(askers)} customers waited more than 1 s, the longest {longest:.1f} s; "
          f"{failed} of {count} requests failed")
    for reason, times in sorted(reasons.items()):
        print(f"{times} × {reason}"[:160])
    sys.exit(0 if longest <= arguments.seconds else 1)


def rush(arguments):
    stop, answers, lock = threading.Event(), {}, threading.Lock()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())

    def register(number):
        source = arguments.sources[number % len(arguments.sources)] if arguments.sources else None
        api = Api(arguments.api, arguments.ca, source=source)
        while not stop.is_set():
            name = f"{arguments.name}-{number}-{random.getrandbits(48):012x}"
            status, _ = api.ask("POST", "/api/v1/auth/register", {
                "email": f"{name}@rush.test", "password": PASSWORD, "name": "In A Hurry"})
            with lock:
                answers[status] = answers.get(status, 0) + 1
            if status != 201:
                stop.wait(0.2)

    threads = [threading.Thread(target=register, args=(number,), daemon=True) for number in range(arguments.people)]
    begun = time.time()
    for thread in threads:
        thread.start()
    while not stop.wait(0.5):
        pass
    for thread in threads:
        thread.join(AFTER_SECONDS_MAX)
    counts = ", ".join(f"{count} × {status}" for status, count in sorted(answers.items()))
    print(f"{counts} in {time.time() - begun:.0f} s")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    one = commands.add_parser("back")
    one.set_defaults(function=back)
    one.add_argument("--state", required=True)
    one.add_argument("--seconds", type=float, required=True, help="as long as it may take")
    one.add_argument("--watch", type=float, default=15.0, help="seconds to go on asking")
    two = commands.add_parser("rush")
    two.set_defaults(function=rush)
    two.add_argument("--name", required=True)
    two.add_argument("--people", type=int, default=16)
    two.add_argument("--sources", nargs="*", help="addresses of this machine to come from")
    for sub in (one, two):
        sub.add_argument("--api", required=True)
        sub.add_argument("--ca")
    one.add_argument("command", nargs="+")
    arguments = parser.parse_args()
    arguments.function(arguments)


if __name__ == "__main__":
    main()
