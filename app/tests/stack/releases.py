"""Releases for the tests of deploys: the stack's own images once more, with a label or with a fault."""

import itertools
import re
import subprocess
import tempfile
from pathlib import Path

from docker import ROOT, run
from stack import Load

NOTE = 'POST /api/v1/notes {"title":"{n}","body":"under load"}'
NUMBERS = itertools.count(1)


class Releases:
    def __init__(self, stack):
        self.stack = stack
        self.app = f"{stack.project}-app"
        # A good image under a name that no deploy takes away.
        self.good = f"{stack.project}-good"
        run("docker", "tag", self.app, self.good)

    # ---- what there is

    def record(self, *files):
        """What the host keeps, as text."""
        mount = f"{self.stack.project}_releases:/releases:ro"
        command = ("--entrypoint=sh", f"{self.stack.project}-nginx", "-c", f"cd /releases; {' '.join(files)}")
        options = ("--rm", "--network=none", "--user=0", "-v", mount)
        return run("docker", "run", *options, *command, env=self.stack.environment).stdout.strip()

    def current(self):
        return self.record("cat current")

    def previous(self):
        return self.record("cat previous")

    def kept(self):
        return set(self.record("ls -d */ | tr -d /").split())

    def acts(self):
        """Of the log: act, from, to, how it ended."""
        lines = (line.split("\t") for line in self.record("cat audit.log").splitlines())
        return [(line[1], line[2], line[3], line[6]) for line in lines]

    # ---- new ones

    def new(self, fault=None):
        """Makes the next release's image, and lets the script take it for its own build."""
        lines = [f"FROM {self.good} AS good", f"FROM {self.good}", f"LABEL number={next(NUMBERS)}"]
        with tempfile.TemporaryDirectory() as folder:
            if fault:
                run("strip", "-o", Path(folder, "faulty"), ROOT / "target/debug/examples/faulty")
                lines += ["COPY --from=good /roadstead /roadstead-real", "COPY faulty /roadstead", f"ENV FAULT={fault}"]
            Path(folder, "Dockerfile").write_text("\n".join(lines) + "\n")
            run("docker", "build", "--quiet", "--tag", self.app, folder)
        # A roll-back may have named other images since the last one.
        for image in ("app", "postgres", "nginx"):
            built = ROOT / "target/up" / self.stack.project / image
            built.write_text(f"{built.read_text().rsplit(' ', 1)[0]} {self.image(f'{self.stack.project}-{image}')}\n")

    @staticmethod
    def image(name):
        return run("docker", "image", "inspect", "--format", "{{.Id}}", name).stdout.strip()

    def deploy(self, *arguments, fault=None, **options):
        self.new(fault)
        return self.stack.script("deploy.sh", *arguments, **options)

    def runs(self, version):
        """Both slots are this version's, and healthy."""
        image = self.image(f"{self.app}:{version}")
        slots = [self.stack.inspect(slot) for slot in ("app-blue", "app-green")]
        return all((slot["Image"], slot["State"]["Health"]["Status"]) == (image, "healthy") for slot in slots)

    # ---- load

    def fire(self, token, rate=100, *more):
        """Writes over HTTP/1.1 with keep-alive and over HTTP/2, and reads over both."""
        write = ("--request", NOTE, "--expect", "201", "--rate", str(rate), "--seconds", "280", *more)
        read = ("--request", "GET /api/v1/me", "--expect", "200", "--request", "GET /", "--expect", "200", "--rate", str(rate), "--seconds", "280", *more)
        http1, http2 = ("--connections", "16"), ("--http2", "--connections", "2", "--streams", "8")
        return [Load(self.stack, token, *kind, *connections) for kind in (write, read) for connections in (http1, http2)]

    def cease(self, loads):
        """Ends it; what the end itself cut off has not failed."""
        for load in loads:
            load.process.send_signal(2)
        reports = [load.report() for load in loads]
        for report in reports:
            report["failed_total"] -= report["failed"].pop("interrupted", 0)
        return reports

    def check_writes(self, loads):
        """Every acknowledged write is there, once."""
        rows = self.stack.sql("SELECT title FROM notes")
        for load in loads[:2]:
            compared = load.compare(rows)
            assert compared.returncode == 0, compared.stdout


def failed(reports):
    return sum(report["failed_total"] for report in reports)


def failures(reports):
    """For people."""
    return [(report["failed"], report["first_failures"]) for report in reports if report["failed_total"]]


def sent(reports):
    return sum(report["sent"] for report in reports)


def slowest(reports):
    """p99.9 of each load, the worst of them, in ms."""
    return max(report["latency_ms"]["p999"] for report in reports)


def error_lines(stack):
    """What nginx itself found wrong."""
    return [line for line in stack.logs("nginx").splitlines() if re.search(r"\[(error|crit|alert|emerg)\]", line)]


def start(stack, *command):
    """A script in the background, its output line by line."""
    return subprocess.Popen(
        [str(ROOT / "scripts" / command[0]), *command[1:]], env=stack.environment, text=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
