"""The run: every system in every round, in another order each time, one at a time."""

import os
import platform
import secrets
import shutil
import sys
import tempfile
import time
from pathlib import Path

from . import ROOT, Trouble, engine
from .client import BROKEN
from .load import Fault, Load
from .measures import Closed, Event, Expired, Headers, Kill, Memory, Open, SignIn, Slow, Start, Storm, Tls, Tokens
from .rounds import Table
from .systems import ALL, Stack

ROUNDS = 5
COMPOSE = ("deploy/contrast/stack.yml", "deploy/contrast/compose.yml")

QUICK = [
    Closed("me", 64, 0.4),
    *(Closed(endpoint, 64, 0.4, of_all=False) for endpoint in ("constant", "whoami", "static")),
    Open("me", 200, 0.6),
    SignIn(8, 8),
    Slow(8, 0.6),
    Storm(8, 0.6),
]
QUICK_ONCE = [Memory(), Start(), Kill(1.5), Event("restart", 5)]
FULL = [
    *(Closed(endpoint, 64, 1.0) for endpoint in ("constant", "whoami", "static")),
    *(Closed("me", connections, 1.0) for connections in (1, 16, 64)),
    Closed("me", 256, 1.0, of_all=False),
    *(Open(endpoint, 200, 2.0) for endpoint in ("constant", "whoami", "me")),
    SignIn(8, 48),
    Slow(16, 2.0),
    Slow(64, 2.0, of_all=False),
    Storm(8, 3.0),
    Memory(),
]
# Each needs a start; three rounds give a spread, too.
FULL_EVENTS = [Start(), Kill(3.0), Event("restart", 5), Event("replace", 8)]
EVENTS_EVERY = 2
LOOKED_AT_ONCE = [Headers(), Tls(), Tokens()]


class Progress:
    """One line, written anew on a terminal; else a line for each turn."""

    def __init__(self, seconds):
        self.began, self.planned, self.done = time.monotonic(), seconds, 0.0

    def tell(self, words, new_turn=False):
        left = self.left()
        words = f"{words}; about {left // 60:.0f} min {left % 60:.0f} s left"
        if sys.stdout.isatty():
            width = shutil.get_terminal_size().columns - 1
            print(f"\r\033[K{words[:width]}", end="", flush=True)
        elif new_turn:
            print(words, flush=True)

    def left(self):
        """As planned, corrected by how the planned and the real time compare so far."""
        spent = time.monotonic() - self.began
        pace = spent / self.done if self.done > 10 else 1.0
        return max(0.0, (self.planned - self.done) * pace)

    def end(self):
        if sys.stdout.isatty():
            print("\r\033[K", end="")


def clear_up(project, folder, systems=()):
    engine.uninterruptible()
    Load.kill_all()
    try:
        for system in systems:
            system.stop()
    finally:
        left = project.down()
        shutil.rmtree(folder, ignore_errors=True)
    for one in left:
        print(f"Warning: could not be removed: {one} (docker compose --project-name {project.name} down --volumes)", file=sys.stderr)


class Run:
    def __init__(self, options):
        self.options = options
        self.folder = Path(tempfile.mkdtemp(prefix="roadstead-contrast-"))
        password = secrets.token_urlsafe(18)
        self.project = engine.Project(options.project, *COMPOSE, CONTRAST_PASSWORD=password)
        wanted = options.only or [kind.id for kind in ALL if options.full or not kind.full_only]
        self.systems = [kind(self.project, self.folder, password) for kind in ALL if kind.id in wanted]
        self.table = Table()
        self.broken = {}
        if options.full:
            self.rounds = [FULL + FULL_EVENTS * (number % EVENTS_EVERY == 0) for number in range(ROUNDS)]
        else:
            self.rounds = [QUICK] * (ROUNDS - 1) + [QUICK + QUICK_ONCE]

    # ---- the whole

    def all(self):
        began = time.monotonic()
        planned = len(self.systems) * (8 + sum(measure.seconds + 0.3 for measures in self.rounds for measure in measures))
        self.progress = Progress(planned)
        try:
            self.project.down()
            self.start()
            versions = self.versions()
            for number, measures in enumerate(self.rounds):
                # Another one is first each time, so that none always comes after the same neighbour.
                shift = number % len(self.systems)
                for system in self.systems[shift:] + self.systems[:shift]:
                    self.turn(number, system, measures)
            for system in self.systems:
                self.turn(ROUNDS, system, [Expired()])
        finally:
            self.progress.end()
            clear_up(self.project, self.folder, self.systems)
        rows = self.table.rows() + self.table.ratios(Stack.id)
        return rows, self.conditions(versions, time.monotonic() - began)

    def start(self):
        services = sorted({service for system in self.systems for service in system.services})
        if services:
            self.progress.tell(f"starts {', '.join(services)}", new_turn=True)
            self.project.up(*services)
        for system in self.systems:
            self.progress.tell(f"{system.name}: starts", new_turn=True)
            try:
                system.start()
                system.renew()
                system.first_token, system.first_token_at = system.access, system.signed_in
            except (Fault, Trouble, *BROKEN) as error:
                self.broken[system.id] = f"it does not start: {error}"
            for measure in LOOKED_AT_ONCE:
                self.take(0, system, measure)
            self.progress.done += 8
        # Not before: they share a database, and Compose starts nothing whose database is frozen.
        for system in self.systems:
            self.rest(system)

    def turn(self, number, system, measures):
        """One system runs, all others are frozen."""
        name = f"round {number + 1} of {ROUNDS}, {system.name}" if number < ROUNDS else f"at the end, {system.name}"
        self.progress.tell(name, new_turn=True)
        if system.id not in self.broken:
            try:
                system.thaw()
            except (Trouble, Fault, *BROKEN) as error:
                self.broken[system.id] = f"it does not answer any more: {error}"
        for measure in measures:
            self.progress.tell(f"{name}: {next(iter(measure.values))}")
            self.take(number, system, measure)
            self.progress.done += measure.seconds + 0.3
        self.rest(system)

    def rest(self, system):
        if system.id not in self.broken:
            try:
                system.freeze()
            except Trouble as error:
                self.broken[system.id] = f"not measured any more: {error}"

    def take(self, number, system, measure):
        if not measure.applies(system):
            return
        fault, connections = self.broken.get(system.id), getattr(measure, "connections", None)
        try:
            if not fault:
                for name, value in measure.take(system).items():
                    self.table.add(number, system.id, name, value, measure.values[name], connections)
        except Fault as error:
            fault = str(error)
        except (LookupError, ValueError, ProcessLookupError) as error:
            fault = f"not measured: {error!r}"
        except BROKEN as error:
            fault = f"no answer: {error}"
        except Trouble as error:
            # Four rounds of the others are not thrown away for it.
            fault = f"not measured: {error}"
        finally:
            Load.kill_all()
        if fault:
            for name, unit in measure.values.items():
                self.table.fault(system.id, name, connections, unit, fault)

    # ---- the conditions

    def versions(self):
        versions = {"Roadstead": engine.run("git", "-C", ROOT, "describe", "--always", "--dirty", check=False).strip() or "?"}
        versions["PostgreSQL"] = engine.in_image(f"{self.project.name}-postgres", "postgres --version | cut -d ' ' -f 3").strip()
        services = {service for system in self.systems for service in system.services}
        if "nginx" in services:
            versions["nginx"] = engine.in_image(f"{self.project.name}-nginx", "nginx -v 2>&1 | cut -d / -f 2").strip()
        if "peer-postgres" in services:
            for line in engine.in_image(f"{self.project.name}-peer", PEER_VERSIONS).splitlines():
                name, version = line.split()
                versions[name] = version
        return versions

    def conditions(self, versions, seconds):
        return {
            "date": time.strftime("%Y-%m-%d", time.gmtime()),
            "mode": "full" if self.options.full else "quick",
            "rounds": ROUNDS,
            "cores": os.cpu_count(),
            "cpu": cpu(),
            "memory_gib": round(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30),
            "kernel": platform.release(),
            "load_client": f"app/tests/load ({self.options.programs.name} build), one thread",
            "versions": versions,
            "seconds": round(seconds),
            "notes": NOTES,
            "systems": [{"id": system.id, "name": system.name, "note": system.note} for system in self.systems],
        }


NOTES = [
    "Roadstead dev runs on the host and not in a container; its start includes making a database.",
    "When a process is killed or replaced, eight clients read and write; after a failure each waits 20 ms.",
    "On localhost Roadstead sends no Strict-Transport-Security on purpose: it would bind all other projects on that name.",
    "In a quick run, what happens once (kill, restart, start, memory) is measured once, and so has no spread; and of Django's"
    " development servers only the signed-in user is measured with 64 connections.",
    "Django's development server lets ten connections wait (socketserver.py); the kernel makes whoever comes on top try again"
    " after one second, then two. So its longest times come in steps of seconds.",
    "How many may sleep before others wait is a setting of Gunicorn and uWSGI: workers times threads, see their notes.",
    "Roadstead dev's throwaway PostgreSQL runs without fsync, which spares it waiting for the disk at a sign-in and a note.",
]


# As Debian names and counts them.
PEER_VERSIONS = """dpkg-query --show --showformat '${Package} ${Version}\\n' python3 python3-django python3-djangorestframework \\
  python3-djangorestframework-simplejwt python3-psycopg gunicorn uwsgi-core"""


def cpu():
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())
