"""What is measured, one class each: `values` names what `take` gives, in units; `seconds` is about how long it takes."""

import time
from dataclasses import dataclass

from . import client, engine
from .load import Load, right, without_failure

ENDPOINTS = {
    "constant": ("/health/live", '{"state":"live"}'),
    "whoami": ("/api/v1/drill/whoami", '"id"'),
}
POST = 'POST /api/v1/notes {"title":"{n}","body":"Two anchors hold better than one."}'


def endpoint(system, name):
    """Request and a part of the right answer."""
    own = {"static": (system.static, "{"), "me": (system.me, '"email"')}
    path, part = (own | ENDPOINTS)[name]
    return f"GET {path}", part


def quantiles(report, prefix):
    """None where there were not answers enough: a thousandth of two hundred is nobody."""
    enough = {"p50": 1, "p99": 100, "p999": 1000}
    return {f"{prefix}.{name}": report["latency_ms"][name] if report["ok"] >= least else None for name, least in enough.items()}


class Measure:
    def applies(self, system):
        return True


@dataclass
class Closed(Measure):
    """Closed loop: each connection asks again as soon as it is answered. For the throughput."""

    endpoint: str
    connections: int
    seconds: float
    # Where connections pile up, Django's development servers answer the last after seconds: its queue holds ten (socketserver.py).
    of_all: bool = True

    def applies(self, system):
        return self.of_all or not system.short_queue

    @property
    def values(self):
        name = f"closed.{self.endpoint}"
        return {f"{name}.rate": "requests/s"} | {f"{name}.{q}": "ms" for q in ("p50", "p99", "p999")}

    def take(self, system):
        request, part = endpoint(system, self.endpoint)
        report = right(system.target, request, connections=self.connections, seconds=self.seconds, expect_body=part)
        return {f"closed.{self.endpoint}.rate": report["rate"]} | quantiles(report, f"closed.{self.endpoint}")


@dataclass
class Open(Measure):
    """Open loop: `rate` requests a second are due, whether or not the answers keep up. For the latency."""

    endpoint: str
    rate: int
    seconds: float

    @property
    def values(self):
        return {f"open.{self.endpoint}.{q}": "ms" for q in ("p50", "p99", "p999")}

    def take(self, system):
        request, part = endpoint(system, self.endpoint)
        report = right(system.target, request, rate=self.rate, connections=64, seconds=self.seconds, expect_body=part)
        return quantiles(report, f"open.{self.endpoint}")


@dataclass
class SignIn(Measure):
    """Password hashes, as many at once as there are `connections`; and one alone."""

    connections: int
    count: int
    values = {"sign-in.rate": "sign-ins/s", "sign-in.p50": "ms"}

    @property
    def seconds(self):
        return 0.3 + self.count / 20

    def take(self, system):
        alone = right(system.target, sign_in(system), connections=1, count=2, expect_body=TOKEN)
        many = right(system.target, sign_in(system), connections=self.connections, count=self.count, expect_body=TOKEN)
        return {"sign-in.rate": many["ok"] / many["seconds"], "sign-in.p50": alone["latency_ms"]["p50"]}


TOKEN = '"access'


def sign_in(system):
    fields = ",".join(f'"{name}":"{value}"' for name, value in system.credentials().items())
    return f"POST {system.sign_in_path} {{{fields}}}"


@dataclass
class Slow(Measure):
    """Others wait: the constant answer, open loop, while `connections` others sleep 200 ms again and again."""

    connections: int
    seconds: float
    # As in Closed.
    of_all: bool = True
    values = {f"slow.constant.{name}": "ms" for name in ("quiet.p99", "p50", "p99", "p999", "max")}

    def applies(self, system):
        return self.of_all or not system.short_queue

    def take(self, system):
        request, part = endpoint(system, "constant")
        quick = {"rate": 200, "connections": 64, "expect_body": part, "timeout": 30}
        quiet = right(system.target, request, seconds=0.5, **quick)
        sleepers = Load(
            system.target, "GET /api/v1/drill/sleep?ms=200", expect="204", connections=self.connections, seconds=self.seconds + 0.3
        )
        time.sleep(0.2)
        report = right(system.target, request, seconds=self.seconds, **quick)
        without_failure(sleepers.report())
        values = quantiles(report, "slow.constant") | {"slow.constant.max": report["latency_ms"]["max"]}
        return values | {"slow.constant.quiet.p99": quiet["latency_ms"]["p99"]}


@dataclass
class Storm(Measure):
    """Others compute: the signed-in answer, open loop, while `connections` others sign in all the time."""

    connections: int
    seconds: float
    values = {f"storm.whoami.{q}": "ms" for q in ("p50", "p99", "p999")} | {"storm.sign-in.rate": "sign-ins/s"}

    def take(self, system):
        request, part = endpoint(system, "whoami")
        many = {"connections": self.connections, "seconds": self.seconds + 0.3, "expect_body": TOKEN}
        storm = Load(system.target, sign_in(system), **many)
        time.sleep(0.2)
        report = right(system.target, request, rate=200, connections=64, seconds=self.seconds, expect_body=part, timeout=30)
        stormed = without_failure(storm.report())
        return quantiles(report, "storm.whoami") | {"storm.sign-in.rate": stormed["ok"] / stormed["seconds"]}


def mixed(system, seconds, timeout):
    """Reads and writes of eight clients, which wait 20 ms after a failure and then go on."""
    request, part = endpoint(system, "me")
    options = {"connections": 8, "seconds": seconds, "pause": 20, "timeout": timeout}
    return Load(system.target, request, POST, expect=["200", "201"], expect_body=[part, '"id"'], **options)


@dataclass
class Kill(Measure):
    """One process that answers is killed, as for want of memory."""

    seconds: float
    values = {"kill.lost": "requests", "kill.gap": "ms"}
    connections = 8

    def take(self, system):
        load = mixed(system, self.seconds, timeout=1)
        time.sleep(0.4)
        system.kill_worker()
        report = load.report()
        system.revive()
        return {"kill.lost": report["failed_total"], "kill.gap": report["max_gap_ms"]}


@dataclass
class Event(Measure):
    """`restart` as the system's documentation does it, or `replace` as with a new image, under load."""

    verb: str
    seconds: float
    connections = 8

    @property
    def name(self):
        return {"restart": "reload", "replace": "replace"}[self.verb]

    @property
    def values(self):
        return {f"{self.name}.lost": "requests", f"{self.name}.gap": "ms"}

    def applies(self, system):
        return getattr(system, self.verb) is not None

    def take(self, system):
        # Long: who only waits has lost nothing.
        load = mixed(system, 120, timeout=10)
        time.sleep(0.3)
        getattr(system, self.verb)()
        time.sleep(0.5)
        load.stop()
        report = load.report()
        return {f"{self.name}.lost": report["failed_total"], f"{self.name}.gap": report["max_gap_ms"]}


@dataclass
class Start(Measure):
    """From the command that starts it to the first right answer; database and nginx are there already."""

    seconds: float = 2
    values = {"start.first-answer": "ms"}

    def take(self, system):
        return {"start.first-answer": system.start_anew()}


@dataclass
class Memory(Measure):
    seconds: float = 2
    values = {"memory.pss": "MiB", "memory.database.pss": "MiB"}

    def take(self, system):
        own = engine.pss_mib(system.pids(), system.image)
        return {"memory.pss": own, "memory.database.pss": engine.pss_mib(system.database_pids(), system.image)}


# ---- looked at once: what is offered and what is refused

SECURITY_HEADERS = """Strict-Transport-Security Content-Security-Policy X-Content-Type-Options X-Frame-Options Referrer-Policy
Permissions-Policy Cross-Origin-Opener-Policy Cross-Origin-Resource-Policy""".split()
PROTOCOLS = {"1.0": "-tls1", "1.1": "-tls1_1", "1.2": "-tls1_2", "1.3": "-tls1_3"}
GROUPS = "X25519MLKEM768 SecP256r1MLKEM768 X25519 X448 P-256 P-384 P-521 ffdhe2048".split()


@dataclass
class Headers(Measure):
    seconds: float = 0.1
    values = {"headers.security": ""}

    def take(self, system):
        _, headers, _ = client.ask(system.target, "GET", "/api/v1/me", token=system.access)
        return {"headers.security": ", ".join(name for name in SECURITY_HEADERS if name in headers) or "none"}


@dataclass
class Tls(Measure):
    seconds: float = 2
    values = {"tls.versions": "", "tls.groups": ""}

    def take(self, system):
        if not system.tls:
            return {"tls.versions": "none", "tls.groups": "none"}
        # At security level 0 the client would take whatever is offered.
        connect = f"openssl s_client -connect {system.target.connect} -servername localhost -cipher ALL:@SECLEVEL=0"
        offers = [f"{connect} {option}" for option in PROTOCOLS.values()] + [f"{connect} -groups {group}" for group in GROUPS]
        script = "\n".join(f"if {offer} </dev/null >/dev/null 2>&1; then echo yes; else echo no; fi" for offer in offers)
        said = engine.in_image(system.image, script, network=f"{system.project.name}_{system.network}").split()
        offered = [name for name, answer in zip([*PROTOCOLS, *GROUPS], said, strict=True) if answer == "yes"]
        versions = [name for name in offered if name in PROTOCOLS]
        return {"tls.versions": ", ".join(versions), "tls.groups": ", ".join(name for name in offered if name in GROUPS)}


def status_of(system, token):
    return client.ask(system.target, "GET", "/api/v1/me", token=token)[0]


@dataclass
class Tokens(Measure):
    seconds: float = 0.3
    values = {f"token.{name}": "HTTP status" for name in ("good", "bad-signature", "none")}

    def take(self, system):
        token = system.access
        tried = {"good": token, "bad-signature": client.spoilt(token), "none": client.unsigned(token)}
        return {f"token.{name}": status_of(system, token) for name, token in tried.items()}


@dataclass
class Expired(Measure):
    """Of the tokens that were made at the start: all live for 300 s."""

    seconds: float = 1
    values = {"token.expired": "HTTP status"}

    def take(self, system):
        left = system.first_token_at + 301 - time.monotonic()
        if left > 60:
            # Only where few systems are measured; nobody waits minutes for one number.
            return {}
        time.sleep(max(left, 0))
        return {"token.expired": status_of(system, system.first_token)}
