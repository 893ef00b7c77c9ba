"""The stack alone against its limits, side by side: what stands behind scripts/bench.sh.

Both shapes of the same number of workers are measured: two slots that share the cores, as they stand, and one slot that has
them all, its sibling stopped, as during a replacement.
"""

import contextlib
import http.client
import json
import os
import re
import resource
import secrets
import socket
import ssl
import statistics
import tempfile
import time
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from urllib.parse import urlsplit

from . import Trouble, client, engine
from .contrast import Progress, clear_up
from .load import right
from .rounds import Table
from .systems import ACCOUNT, Stack

ROUNDS, CONNECTIONS = 5, 64
# A round is three turns for each, one after the other: so that what else the machine does meanwhile falls on all alike.
TURNS, SECONDS = 3, 0.5
IDLE = 10_000
# Refused sign-ins of each kind in a round.
PAIRS = 10
CORES = os.cpu_count() or 1
COMPOSE = ("deploy/contrast/stack.yml", "deploy/contrast/bench.yml")
LIVE = '{"state":"live"}'
# A release beside the real one: 16 digits, as nginx wants them.
FILES = "00000000000000be"

# name: (path, a part of the right answer, connections)
PROXIED = {
    "limit": ("/limit/socket", LIVE, CONNECTIONS),
    "constant": ("/health/live", LIVE, CONNECTIONS),
    "whoami": ("/api/v1/drill/whoami", '"id"', CONNECTIONS),
    "me": ("/api/v1/me", '"email"', CONNECTIONS),
    "read": ("/api/v1/drill/account", '"email"', CONNECTIONS),
}
OF_NGINX = {
    "return": ("/limit/return", LIVE, CONNECTIONS),
    "static-4k": (f"/static/{FILES}/4k.txt", "aaaa", CONNECTIONS),
    "static-1m": (f"/static/{FILES}/1m.txt", "aaaa", 16),
}
WORDS = {
    "return": "nginx's own `return 200`",
    "limit": "the limit: an nginx behind a socket",
    "constant": "a constant answer",
    "whoami": "signed in, no read",
    "me": "signed in, account read once a token",
    "read": "signed in, one indexed read",
    "static-4k": "a file of 4 KiB",
    "static-1m": "a file of 1 MiB",
}


class Bench:
    def __init__(self, options):
        self.folder = Path(tempfile.mkdtemp(prefix="roadstead-bench-"))
        self.half = max(1, CORES // 2)
        self.project = engine.Project(options.project, *COMPOSE, ROADSTEAD_WORKERS=str(self.half))
        self.stack = Stack(self.project, self.folder, secrets.token_urlsafe(18))
        self.table = Table()
        requests = len(PROXIED) * 2 + len(OF_NGINX)
        self.progress = Progress(25 + ROUNDS * (requests * TURNS * (SECONDS + 0.1) + 2 * TURNS * SECONDS + 2 * PAIRS * 0.1 + 9) + 35)

    def all(self):
        try:
            self.project.down()
            self.step("starts", 25, self.start)
            for number in range(ROUNDS):
                self.round(number, "two-slots", PROXIED | OF_NGINX)
                self.handshakes(number)
                self.refusals(number)
            self.step("one slot takes over", 10, self.one_slot)
            for number in range(ROUNDS):
                self.round(number, "one-slot", PROXIED)
            for number in range(ROUNDS):
                self.step(f"a slot starts, {number + 1} of {ROUNDS}", 7, lambda number=number: self.slot_starts(number))
            self.step(f"{IDLE:,} idle connections", 30, self.idle)
        finally:
            self.progress.end()
            clear_up(self.project, self.folder)
        return self.table.rows()

    def step(self, words, seconds, work):
        self.progress.tell(words, new_turn=True)
        work()
        self.progress.done += seconds

    # ---- how it stands

    def start(self):
        self.project.up(*Stack.services, "limit")
        self.stack.start()
        self.target = self.stack.target
        # Without a token: it would make a constant request three times as long.
        self.open_to_all = replace(self.target, bearer=None)
        self.tls = client.trust(self.target)
        files = f"cd /srv/site/releases && mkdir {FILES} && cd {FILES} && head -c 1048576 /dev/zero | tr '\\0' a >1m.txt && head -c 4096 1m.txt >4k.txt"
        engine.in_image(self.stack.image, files, "--user", "10001", "--volume", f"{self.project.name}_site:/srv/site")

    def one_slot(self):
        self.project.environment["ROADSTEAD_WORKERS"] = str(2 * self.half)
        self.project.replace("app-blue")
        engine.run("docker", "stop", self.project.container("app-green"))
        client.first_answer(self.target)

    # ---- what is measured

    def round(self, number, shape, requests):
        self.stack.renew()
        self.progress.tell(f"{shape}, round {number + 1} of {ROUNDS}", new_turn=True)
        reports = {name: [] for name in requests}
        for turn in range(TURNS):
            # Forwards and backwards, so that none always comes after the same neighbour.
            for name in reports if turn % 2 else reversed(reports):
                self.progress.tell(f"{shape}, round {number + 1} of {ROUNDS}: {name}")
                path, part, connections = requests[name]
                target = self.target if name in ("whoami", "me", "read") else self.open_to_all
                reports[name].append(right(target, f"GET {path}", connections=connections, seconds=SECONDS, expect_body=part))
                self.progress.done += SECONDS + 0.1
        rates = {name: statistics.mean(report["rate"] for report in of_it) for name, of_it in reports.items()}
        for name, of_it in reports.items():
            connections = requests[name][2]
            late = statistics.median(report["latency_ms"]["p99"] for report in of_it)
            self.table.add(number, shape, f"closed.{name}.rate", rates[name], "requests/s", connections)
            self.table.add(number, shape, f"closed.{name}.p99", late, "ms", connections)
        for name in PROXIED:
            if name != "limit":
                self.table.add(number, shape, f"ratio.{name}", rates[name] / rates["limit"], "×", CONNECTIONS)
        self.table.add(number, shape, "ratio.me-to-constant", rates["me"] / rates["constant"], "×", CONNECTIONS)
        if "return" in rates:
            self.table.add(number, shape, "ratio.limit-to-return", rates["limit"] / rates["return"], "×", CONNECTIONS)

    def handshakes(self, number):
        """New connections a second, each with one request."""
        for name, options in (("full", {"full_handshakes": True}), ("resumed", {})):
            self.progress.tell(f"TLS handshakes, {name}")
            report = right(
                self.open_to_all, "GET /limit/return", new_connections=True, connections=8, seconds=TURNS * SECONDS, expect_body=LIVE, **options
            )
            self.table.add(number, "nginx", f"tls.{name}.rate", report["rate"], "connections/s", 8)
            self.progress.done += TURNS * SECONDS

    def refusals(self, number):
        """A wrong password, and an address without an account, by turns: whether the time tells who has one."""
        self.progress.tell("refused sign-ins")
        pairs = []
        connection = http.client.HTTPSConnection(*self.target.address, timeout=30, context=self.tls)
        with contextlib.closing(connection):
            connection.connect()
            for turn in range(PAIRS):
                emails = [ACCOUNT, f"{turn}@nowhere.example"]
                took = {email: self.refusal(connection, email) for email in (emails if turn % 2 else reversed(emails))}
                pairs.append([took[email] for email in emails])
                self.progress.done += 0.2
        wrong, unknown = (statistics.median(column) for column in zip(*pairs, strict=True))
        difference = statistics.median(one - other for one, other in pairs)
        self.table.add(number, "sign-in", "refused.wrong-password", wrong, "ms", 1)
        self.table.add(number, "sign-in", "refused.unknown-address", unknown, "ms", 1)
        self.table.add(number, "sign-in", "refused.difference", difference, "ms", 1)

    def refusal(self, connection, email):
        """How many ms it takes."""
        headers = {"Host": urlsplit(self.target.url).netloc, "Content-Type": "application/json"}
        body = json.dumps({"email": email, "password": "not the right one"})
        began = time.perf_counter()
        connection.request("POST", self.stack.sign_in_path, body, headers)
        answer = connection.getresponse()
        text = answer.read()
        took = (time.perf_counter() - began) * 1e3
        if answer.status != 401:
            raise Trouble(f"a sign-in with a wrong password: {answer.status} {text[:200]}")
        return took

    def connect(self):
        return self.tls.wrap_socket(socket.create_connection(self.target.address, 10))

    def slot_starts(self, number):
        """From the engine's start of the process to the line that says that it is ready."""
        green = self.project.container("app-green")
        engine.run("docker", "start", green)
        engine.wait_until(lambda: self.project.is_well("app-green"), 90, "app-green is well")
        began = moment(self.project.inspect("app-green", anew=True)["State"]["StartedAt"])
        lines = engine.run("docker", "logs", "--tail", "20", green).splitlines()
        ready = [line for line in lines if '"message":"ready"' in line][-1]
        ready = moment(re.search(r'"timestamp":"([^"]+)"', ready).group(1))
        self.table.add(number, "slot", "start.ready", (ready - began) * 1e3, "ms")
        engine.run("docker", "stop", green)

    def idle(self):
        """Connections that have asked once and then say nothing: what they take of nginx, and what others notice."""
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, IDLE + 4096), hard))
        before = self.nginx_pss()
        with contextlib.ExitStack() as stack:
            streams = []
            for _ in range(IDLE):
                try:
                    stream = stack.enter_context(self.connect())
                    ask(stream)
                except OSError as error:
                    raise Trouble(f"after {len(streams):,} idle connections: {error}") from error
                streams.append(stream)
            after = self.nginx_pss()
            report = right(self.open_to_all, "GET /health/live", connections=CONNECTIONS, seconds=TURNS * SECONDS, expect_body=LIVE)
            held = sum(map(is_open, streams))
        for measure, value, unit in (
            ("idle.held", held, "connections"),
            ("idle.memory.pss", after, "MiB"),
            ("idle.memory.each", (after - before) * 1024 / max(held, 1), "KiB"),
            ("idle.constant.rate", report["rate"], "requests/s"),
            ("idle.constant.p99", report["latency_ms"]["p99"], "ms"),
        ):
            self.table.add(0, "nginx", measure, value, unit, IDLE)

    def nginx_pss(self):
        return engine.pss_mib([pid for pid, _, _ in self.project.processes("nginx")], self.stack.image)


def ask(stream):
    """The shortest way: one request, and its answer."""
    stream.sendall(b"GET /limit/return HTTP/1.1\r\nHost: localhost\r\n\r\n")
    answer = b""
    while LIVE.encode() not in answer:
        part = stream.recv(16384)
        if not part:
            raise Trouble(f"the connection ended after {answer[:80]}")
        answer += part


def is_open(stream):
    stream.setblocking(False)
    try:
        return bool(stream.recv(1))
    except ssl.SSLWantReadError:
        return True
    except OSError:
        return False


def moment(text):
    """RFC 3339 with any number of digits, in seconds since 1970."""
    whole, _, fraction = text.rstrip("Z").partition(".")
    return datetime.fromisoformat(f"{whole}+00:00").timestamp() + float(f"0.{fraction or 0}")


def table(rows):
    """For people, on the screen."""
    found = {(row["system"], row["measure"]): row for row in rows}
    lines = [f"{'requests a second':38}{'median':>10}{'lowest':>10}{'highest':>10}{'to the limit':>15}"]
    for shape, words in (("two-slots", "two slots share the cores"), ("one-slot", "one slot has all cores")):
        lines.append(f"{words}:")
        for name in WORDS:
            row, ratio = found.get((shape, f"closed.{name}.rate")), found.get((shape, f"ratio.{name}"))
            if row:
                numbers = "".join(f"{row[key]:>10,.0f}" for key in ("value", "low", "high"))
                lines.append(f"  {WORDS[name]:36}{numbers}" + (f"{ratio['value']:>14.2f}×" if ratio else ""))
        ratio = found.get((shape, "ratio.me-to-constant"))
        if ratio:
            lines.append(f"  {'me to the constant answer':36}{'':30}{ratio['value']:>14.2f}×")
    lines.append("")
    for row in rows:
        if row["system"] in ("nginx", "slot", "sign-in"):
            spread = f" ({row['low']:,.4g} to {row['high']:,.4g})" if row["low"] != row["high"] else ""
            lines.append(f"  {row['measure']:36}{row['value']:>10,.4g} {row['unit']}{spread}")
    return "\n".join(lines)
