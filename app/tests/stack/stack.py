"""The whole stack as `scripts/up.sh` brings it up, under a project name and on ports of the tests' own."""

import json
import os
import re
import shutil
import socket
import ssl
import subprocess
import tempfile
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

from docker import ROOT, run

PASSWORD = "ride safely at anchor"


def free_port():
    with socket.socket() as listener:
        listener.bind(("0.0.0.0", 0))
        return listener.getsockname()[1]


class Stack:
    def __init__(self, **settings):
        self.folder = tempfile.TemporaryDirectory()
        self.project = os.environ.get("TEST_PROJECT", f"roadstead-test-{os.getpid()}") + "-stack"
        self.http, self.https = free_port(), free_port()
        own = {key: value for key, value in os.environ.items() if not key.startswith(("ROADSTEAD_", "COMPOSE_"))}
        self.environment = own | {
            "COMPOSE_PROJECT_NAME": self.project,
            "COMPOSE_DISABLE_ENV_FILE": "1",
            "ROADSTEAD_HTTP_PORT": str(self.http),
            "ROADSTEAD_HTTPS_PORT": str(self.https),
            # The tests come from one address, and sign in more often than a person.
            **{f"ROADSTEAD_RATE_{what}": "6000r/m" for what in ("SIGN_IN", "REFRESH")},
            **{f"ROADSTEAD_BURST_{what}": "10000" for what in ("SIGN_IN", "REFRESH")},
            "ROADSTEAD_AUTH__SIGN_IN_LIMIT": "1000000",
            "ROADSTEAD_WATCH_SECONDS": "2",
            **settings,
        }
        self.url = f"https://localhost:{self.https}"
        self.ca = Path(self.folder.name, "ca.crt")

    # ---- scripts and Compose

    def script(self, name, *arguments, check=True, timeout=1800):
        return run(ROOT / "scripts" / name, *arguments, env=self.environment, check=check, timeout=timeout)

    def up(self):
        said = self.script("up.sh").stdout
        self.ca.write_text(self.exec("nginx", "cat", "/secrets/nginx/site-ca.crt"))
        return said

    def erase(self):
        self.script("down.sh", "--erase", "--yes")
        shutil.rmtree(ROOT / "target/up" / self.project, ignore_errors=True)

    def compose(self, *arguments, timeout=120, **options):
        command = ("docker", "compose", *arguments)
        return run(*command, env=self.environment, cwd=ROOT, timeout=timeout, **options).stdout

    def exec(self, service, *command, **options):
        return self.compose("exec", "-T", service, *command, **options)

    def container(self, service):
        return self.compose("ps", "--all", "--quiet", service).strip()

    def inspect(self, service):
        return json.loads(run("docker", "inspect", self.container(service), env=self.environment).stdout)[0]

    def pid(self, service):
        return self.inspect(service)["State"]["Pid"]

    def logs(self, service):
        return self.compose("logs", "--no-log-prefix", service)

    def sql(self, query):
        """Rows as text, a line each; as the superuser over the socket in the container."""
        return self.exec("postgres", "psql", "-XAt", "-d", "roadstead", "-c", query).strip()

    # ---- as a client

    def request(self, method, path, body=None, token=None, **headers):
        """Status, headers and body; a failure is an answer, too."""
        data = None if body is None else json.dumps(body).encode()
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        if data is not None:
            headers["Content-Type"] = "application/json"
        if token:
            headers["Authorization"] = f"Bearer {token}"
        asked = urllib.request.Request(self.url + path, data, headers, method=method)
        trust = ssl.create_default_context(cafile=self.ca)
        try:
            with urllib.request.urlopen(asked, context=trust, timeout=60) as answer:
                return answer.status, answer.headers, answer.read()
        except urllib.error.HTTPError as answer:
            return answer.code, answer.headers, answer.read()

    def invite(self, email, *options):
        return self.exec("app-blue", "roadstead", "user", "invite", email, *options).strip()

    def invite_command(self):
        """What prints an invitation link when an address is put behind it."""
        compose = f"docker compose -f {ROOT / 'docker-compose.yml'} exec -T"
        return f"{compose} app-blue roadstead user invite"

    def accept(self, link, password=PASSWORD):
        """The account's address."""
        token, email = re.search(r"#token=([^&]+)&email=(.+)$", link).groups()
        email = urllib.parse.unquote(email)
        body = {"token": token, "email": email, "password": password}
        status, _, answer = self.request("POST", "/api/v1/auth/invitation", body)
        assert status == 201, answer
        return email

    def token(self, email, password=PASSWORD):
        status, _, answer = self.request("POST", "/api/v1/auth/token", {"email": email, "password": password})
        assert status == 200, answer
        return json.loads(answer)["access_token"]


class Load:
    """Our load client, at work in the background."""

    def __init__(self, stack, token, *arguments):
        self.folder = Path(tempfile.mkdtemp(dir=stack.folder.name))
        self.ledger = self.folder / "ledger.tsv"
        bearer = self.folder / "token"
        bearer.write_text(token)
        command = [client(), "--cacert", stack.ca, "--bearer-file", bearer, "--ledger", self.ledger, *arguments, stack.url]
        self.errors = open(self.folder / "stderr", "w+")
        self.process = subprocess.Popen(
            [str(word) for word in command], stdout=subprocess.PIPE, stderr=self.errors, text=True
        )

    def report(self, timeout=300):
        out, _ = self.process.communicate(timeout=timeout)
        self.errors.seek(0)
        assert out, self.errors.read()
        return json.loads(out)

    def stop(self):
        """Ends it as Ctrl-C does."""
        self.process.send_signal(2)
        return self.report()

    def sent(self):
        """So far; the ledger is written in blocks."""
        return self.ledger.read_bytes().count(b"\n") if self.ledger.exists() else 0

    def compare(self, rows):
        """The ledger against rows: what was acknowledged is there once."""
        file = self.folder / "rows"
        file.write_text(rows)
        return run(client(), "compare", self.ledger, file, check=False)


def client():
    return ROOT / "target/debug/examples/load"


def memory(pid):
    """Proportional set size of a process and its descendants, in bytes: what is shared counts once in all."""
    total = 0
    for one in descendants(pid):
        try:
            rollup = Path(f"/proc/{one}/smaps_rollup").read_text()
        except (FileNotFoundError, ProcessLookupError):
            continue
        total += int(re.search(r"^Pss: +(\d+) kB", rollup, re.MULTILINE).group(1)) * 1024
    return total


def descendants(pid):
    children = {}
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = status.read_text().rsplit(") ", 1)[1].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        children.setdefault(int(fields[1]), []).append(int(status.parent.name))
    found, queue = [], [pid]
    while queue:
        one = queue.pop()
        found.append(one)
        queue += children.get(one, [])
    return found
