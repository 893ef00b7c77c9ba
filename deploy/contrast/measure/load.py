"""The load client, as a child: `load --help` says what it counts and how."""

import json
import signal
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from . import ROOT, Trouble


class Fault(Exception):
    """The system answered wrongly, or not at all: there is no number then."""


@dataclass
class Target:
    """Where a system is reached, and whom it takes us for."""

    url: str
    connect: str | None = None
    ca: Path | None = None
    bearer: Path | None = None
    # Whoever serves one connection at a time would wait for ever for the requests of those that are opened ahead.
    keep_alive: bool = True

    @property
    def address(self):
        """Host and port of the connection itself."""
        url = urlsplit(self.url)
        host, port = self.connect.rsplit(":", 1) if self.connect else (url.hostname, url.port)
        return host, int(port)

    def options(self):
        named = (("--connect", self.connect), ("--cacert", self.ca), ("--bearer-file", self.bearer))
        options = [part for name, value in named if value for part in (name, str(value))]
        return options if self.keep_alive else [*options, "--new-connections"]


class Load:
    program = ROOT / "target/release/examples/load"
    running: "set[Load]" = set()

    def __init__(self, target, *requests, expect="200", **more):
        """Options as the client's: connections=64, seconds=1.5, rate=200; True is a flag."""
        self.out = tempfile.TemporaryFile("w+")
        self.said = tempfile.TemporaryFile("w+")
        words = [self.program, *target.options()]
        for request in requests:
            words += ["--request", request]
        words += ["--header", "Content-Type: application/json"]
        statuses = [expect] if isinstance(expect, str) else expect
        for status in statuses:
            words += ["--expect", status]
        for name, value in more.items():
            for one in value if isinstance(value, (list, tuple)) else [value]:
                words += [f"--{name.replace('_', '-')}"] + ([] if one is True else [str(one)])
        # A group of its own: Ctrl-C is ours to pass on.
        options = {"stdin": subprocess.DEVNULL, "stdout": self.out, "stderr": self.said, "process_group": 0}
        try:
            self.child = subprocess.Popen([*map(str, words), target.url], **options)
        except OSError as error:
            raise Trouble(f"the load client does not start: {error}") from error
        Load.running.add(self)

    def stop(self):
        """Ends the sending; what is under way is waited for."""
        self.child.send_signal(signal.SIGINT)

    def report(self, seconds=90):
        """The whole of it, whatever failed."""
        try:
            self.child.wait(seconds)
        except subprocess.TimeoutExpired as late:
            self.kill()
            raise Trouble(f"the load client did not end within {seconds} s") from late
        Load.running.discard(self)
        self.out.seek(0)
        text = self.out.read()
        if not text.strip():
            self.said.seek(0)
            raise Trouble(f"the load client: {self.said.read().strip()[-600:]}")
        return json.loads(text)

    def kill(self):
        self.child.kill()
        self.child.wait()
        Load.running.discard(self)

    @classmethod
    def kill_all(cls):
        for load in list(cls.running):
            load.kill()


def failures(report):
    """In words, as 'status_500 × 312, timeout × 4'."""
    return ", ".join(f"{name} × {count:,}" for name, count in sorted(report["failed"].items()))


def without_failure(report):
    """Every answer's status and body were looked at; one that is wrong spoils the number."""
    if report["failed_total"]:
        first = report["first_failures"][:1]
        detail = f" (the first: {first[0]['detail']})" if first and first[0].get("detail") else ""
        raise Fault(f"{report['failed_total']:,} of {report['sent']:,} requests: {failures(report)}{detail}")
    if not report["ok"]:
        raise Fault("not one answer")
    return report


def right(target, *requests, **options):
    """Runs it to its end; a report without a failure, or a Fault."""
    return without_failure(Load(target, *requests, **options).report())
