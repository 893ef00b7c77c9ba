"""The nginx image in a container with production's flags, before a stand-in for the application."""

import gzip
import http.client
import json
import os
import shutil
import socket
import ssl
import subprocess
import tempfile
from pathlib import Path

import httpx
from docker import ROOT, wait_until
from standin import Slot

APP, NGINX = 10001, 10002
# As in docker-compose.yml.
FLAGS = ("--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges")
TMPFS = {"/run/nginx": "size=4m", "/tmp": "size=64m"}
RELEASES = ("0123456789abcdef", "fedcba9876543210")
SCRIPT = "export const answer = 42;\n" * 99


def docker(*arguments, check=True, **options):
    done = subprocess.run(["docker", *map(str, arguments)], capture_output=True, text=True, timeout=300, **options)
    assert not check or done.returncode == 0, f"docker {arguments}: {done.stderr or done.stdout}"
    return done


def published_port(container, port):
    return int(docker("port", container, port).stdout.split(":")[-1])


def answers(request):
    try:
        request()
    except httpx.TransportError:
        return False
    return True


def write_site(folder):
    """Two releases as `roadstead publish` lays them out, the first one current."""
    for release in RELEASES:
        home = folder / "releases" / release
        (home / "js").mkdir(parents=True)
        for page in ("index", "sign-in"):
            (home / f"{page}.html").write_text(f"<!doctype html><title>{page} of {release}</title>")
        (home / "js/app.js").write_text(SCRIPT)
        # Not what they claim to be, but what tells them apart: nginx chooses by the suffix.
        (home / "js/app.js.gz").write_bytes(gzip.compress(b"as gzip"))
        (home / "js/app.js.br").write_text("as brotli")
        (home / ".hidden").write_text("hidden")
    (folder / "current").symlink_to(f"releases/{RELEASES[0]}")


class Front:
    def __init__(self, image, ca, domain="localhost", https_port=None, edits=None, services=None, tmpfs=None, **settings):
        self.ca, self.domain = ca, domain
        self.folder = Path(tempfile.mkdtemp(prefix="roadstead-front-"))
        self.folder.chmod(0o755)
        for name in ("secrets", "sockets", "site", "acme", "edits", "services"):
            (self.folder / name).mkdir()
        self.issue_certificate()
        write_site(self.folder / "site")
        self.open_sockets()

        self.authority = domain if https_port == 443 else f"{domain}:{https_port}"
        environment = {"ROADSTEAD_DOMAIN": domain, "ROADSTEAD_HTTPS_PORT": https_port, **settings}
        mounts = {"secrets": "/secrets/nginx", "sockets": "/run/roadstead", "site": "/srv/site", "acme": "/srv/acme"}
        arguments = [*FLAGS, "--publish=127.0.0.1::8080", "--publish=127.0.0.1::8443"]
        for path, size in {**TMPFS, **(tmpfs or {})}.items():
            arguments.append(f"--tmpfs={path}:uid={NGINX},gid={NGINX},mode=0700,{size}")
        arguments += [f"--volume={self.folder / name}:{path}:ro" for name, path in mounts.items()]
        arguments += [f"--env={name}={value}" for name, value in environment.items() if value is not None]
        for file, replacements in (edits or {}).items():
            arguments.append(f"--volume={self.edit(file, replacements)}:/etc/nginx/{file}:ro")
        for name, text in (services or {}).items():
            file = self.folder / "services" / name
            file.write_text(text)
            arguments.append(f"--volume={file}:/etc/nginx/services/{name}:ro")
        self.container = docker("run", "--detach", *arguments, image).stdout.strip()
        self.http_port, self.https_port = (published_port(self.container, port) for port in (8080, 8443))
        wait_until(lambda: answers(lambda: self.get("/health/live")), 10, f"nginx answers\n{self.logs()}")

    def issue_certificate(self):
        leaf = self.ca.issue_cert(self.domain)
        secrets = self.folder / "secrets"
        leaf.private_key_pem.write_to_path(str(secrets / "site.key"))
        for number, certificate in enumerate(leaf.cert_chain_pems):
            certificate.write_to_path(str(secrets / "site.crt"), append=number > 0)

    def open_sockets(self):
        """Root gives them the rights that they have in production; anyone else opens them to all."""
        folder = self.folder / "sockets"
        group = (lambda path: os.chown(path, APP, APP)) if os.geteuid() == 0 else None
        self.slots = [Slot(folder, name, group) for name in ("blue", "green")]
        # Not the application: what an operator may put beside it.
        self.service = Slot(folder, "service", group)
        folder.chmod(0o750 if group else 0o755)
        if group:
            group(folder)

    def edit(self, file, replacements):
        """A copy of one configuration file with some values changed, so that a test need not wait for the real ones."""
        text = (ROOT / "nginx" / file).read_text()
        for old, new in replacements.items():
            assert old in text, f"{old} is not in {file}"
            text = text.replace(old, new)
        copy = self.folder / "edits" / Path(file).name
        copy.write_text(text)
        return copy

    # Clients

    def trust(self):
        """A new one for each: httpx writes its protocols into it."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self.ca.configure_trust(context)
        return context

    def client(self, http2=True, **options):
        return httpx.Client(http1=not http2, http2=http2, verify=self.trust(), timeout=10, trust_env=False, **options)

    def request(self, method, path, http2=True, host=None, **options):
        """A request under the site's own name, whatever the domain resolves to."""
        headers = httpx.Headers(options.pop("headers", None))
        headers["host"] = host or self.authority
        with self.client(http2) as client:
            url = f"https://127.0.0.1:{self.https_port}{path}"
            return client.request(method, url, headers=headers, extensions={"sni_hostname": self.domain}, **options)

    def get(self, path, **options):
        return self.request("GET", path, **options)

    def post(self, path, **options):
        return self.request("POST", path, **options)

    def plain(self, method, path, host=None, port=None, **options):
        """A request without TLS, to the HTTP port if not told otherwise."""
        url = f"http://127.0.0.1:{port or self.http_port}{path}"
        headers = {"host": host or self.domain, **options.pop("headers", {})}
        return httpx.request(method, url, headers=headers, timeout=10, trust_env=False, **options)

    def connect(self, tls=True):
        connection = socket.create_connection(("127.0.0.1", self.https_port if tls else self.http_port), timeout=10)
        return self.trust().wrap_socket(connection, server_hostname=self.domain) if tls else connection

    def raw(self, text, tls=True):
        """Sends bytes as they are; returns the reply, or None when the connection was closed without one."""
        with self.connect(tls) as connection:
            connection.sendall(text)
            reply = http.client.HTTPResponse(connection)
            try:
                reply.begin()
            except (http.client.RemoteDisconnected, ConnectionResetError):
                return None
            return httpx.Response(reply.status, headers=reply.getheaders(), content=reply.read())

    # What it did

    def requests(self):
        return [request for slot in self.slots for request in slot.requests]

    def logs(self):
        done = docker("logs", self.container)
        return done.stdout + done.stderr

    def access_log(self, request_id):
        """The line of one request; lines wait up to a second in nginx's buffer."""

        def find():
            lines = docker("logs", self.container).stdout.splitlines()
            return next((entry for entry in map(json.loads, lines) if entry["request_id"] == request_id), None)

        return wait_until(find, 5, f"request {request_id} is in the log")

    def signal(self, name):
        docker("kill", f"--signal={name}", self.container)

    def close(self):
        docker("rm", "--force", "--volumes", self.container)
        for slot in (*self.slots, self.service):
            slot.stop()
        shutil.rmtree(self.folder)
