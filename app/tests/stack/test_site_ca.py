"""Trusting the site's CA is safe: with its key in hand nobody can speak for another site.

A real Chromium, no check switched off, and OpenSSL look at certificates that the CA's key has
signed. So that a refusal is known to come from the name constraints and nothing else, each of them
is also shown to a browser that trusts the CA's unconstrained twin (same key, same name), and is
accepted there.
"""

import contextlib
import http.server
import os
import re
import socket
import ssl
import subprocess
import threading
from pathlib import Path

import pytest
from playwright.sync_api import Error

ROOT = Path(__file__).resolve().parents[3]
VOLUMES = ("init", "postgres", "owner", "app", "nginx")
SITES = ("localhost", "example.org")
# Both to this machine; no name server is asked.
RESOLVER = "--host-resolver-rules=MAP *.org 127.0.0.1, MAP *.com 127.0.0.1"


def run(*command, **options):
    return subprocess.run(command, check=True, capture_output=True, text=True, **options).stdout


def init(root, domain):
    command = ("cargo", "run", "--quiet", "--", "init", "--root", root)
    return run(*command, cwd=ROOT, env={**os.environ, "ROADSTEAD_DOMAIN": domain})


class Site:
    """What `roadstead init` made for one domain, and what a thief of its CA's key could make."""

    def __init__(self, domain, work):
        self.work = work
        self.root = work / "secrets"
        for volume in VOLUMES:
            (self.root / volume).mkdir(parents=True)
        self.output = init(self.root, domain)
        self.ca = self.root / "nginx/site-ca.crt"
        self.ca_key = self.root / "init/site-ca.key"
        self.certificate = self.root / "nginx/site.crt"
        self.key = self.root / "nginx/site.key"
        # `x509 -x509toreq` keeps the name and leaves the extensions behind.
        self.twin = work / "twin.crt"
        request = run("openssl", "x509", "-x509toreq", "-in", self.ca, "-signkey", self.ca_key)
        show = ("openssl", "x509", "-in", self.ca, "-noout", "-ext", "subjectKeyIdentifier")
        key_id = run(*show).split()[-1]
        twin = f"basicConstraints=critical,CA:TRUE\nsubjectKeyIdentifier={key_id}"
        extensions = self.write("twin.ext", twin)
        sign = ("openssl", "x509", "-req", "-days", "30", "-extfile", extensions)
        run(*sign, "-signkey", self.ca_key, "-out", self.twin, input=request)

    def write(self, name, text):
        path = self.work / name
        path.write_text(text)
        return path

    def forge(self, names):
        """A certificate for `names` (`DNS:…`, `IP:…`) by the CA's key, and its own key."""
        stem = re.sub(r"\W", "-", names)
        certificate, key = self.work / f"{stem}.crt", self.work / f"{stem}.key"
        request = run(
            *("openssl", "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"),
            *("-nodes", "-keyout", key, "-subj", "/O=Thief"),
        )
        leaf = f"subjectAltName={names}\nextendedKeyUsage=serverAuth"
        extensions = self.write(f"{stem}.ext", leaf)
        sign = ("openssl", "x509", "-req", "-days", "30", "-extfile", extensions)
        run(*sign, "-CA", self.ca, "-CAkey", self.ca_key, "-out", certificate, input=request)
        return certificate, key


@pytest.fixture(scope="module")
def sites(tmp_path_factory):
    return {domain: Site(domain, tmp_path_factory.mktemp("site")) for domain in SITES}


@pytest.fixture(scope="module")
def browsers(sites, playwright, tmp_path_factory):
    """Two: one that trusts the CAs, one that trusts their unconstrained twins."""
    with contextlib.ExitStack() as stack:
        browsers = {}
        for trusted in ("ca", "twin"):
            home = tmp_path_factory.mktemp("home")
            database = home / ".pki/nssdb"
            database.mkdir(parents=True)
            run("certutil", "-d", f"sql:{database}", "-N", "--empty-password")
            for domain, site in sites.items():
                add = ("certutil", "-d", f"sql:{database}", "-A", "-t", "C,,", "-n", domain)
                run(*add, "-i", getattr(site, trusted))
            browser = playwright.chromium.launch(
                executable_path="/usr/bin/chromium",
                args=[RESOLVER, *(["--no-sandbox"] if os.getuid() == 0 else [])],
                env={**os.environ, "HOME": str(home)},
            )
            stack.callback(browser.close)
            browsers[trusted] = browser
        yield browsers


def is_address(host):
    return re.fullmatch(r"[\d.]+|\[.*\]", host) is not None


@contextlib.contextmanager
def serving(certificate, key, host):
    """A TLS server where the browser will look for `host`; gives its port."""

    class Page(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"<title>reached</title>")

        def log_message(self, *_):
            pass

    class Server(http.server.ThreadingHTTPServer):
        address_family = socket.AF_INET6 if ":" in host else socket.AF_INET

        def handle_error(self, *_):
            pass  # a browser that refuses hangs up

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    address = host.strip("[]") if is_address(host) else "127.0.0.1"
    with Server((address, 0), Page) as server:
        server.socket = context.wrap_socket(
            server.socket, server_side=True, do_handshake_on_connect=False
        )
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


def visit(browser, url):
    """`reached`, or the name of Chromium's error."""
    # A page of its own: one that has met two errors waits 3 s before it goes on.
    with contextlib.closing(browser.new_page()) as page:
        try:
            page.goto(url)
        except Error as error:
            return re.search(r"net::(\w+)", error.message).group(1)
        return page.title()


def openssl_verdict(ca, certificate):
    verify = ("openssl", "verify", "-purpose", "sslserver", "-CAfile", ca, certificate)
    result = subprocess.run(verify, capture_output=True, text=True)
    return "OK" if result.returncode == 0 else result.stderr


@pytest.mark.parametrize(
    ("domain", "host"),
    [
        ("localhost", "localhost"),
        ("localhost", "127.0.0.1"),
        ("localhost", "[::1]"),
        ("example.org", "example.org"),
    ],
)
def test_the_sites_own_certificate_is_accepted(sites, browsers, domain, host):
    site = sites[domain]
    with serving(site.certificate, site.key, host) as port:
        assert visit(browsers["ca"], f"https://{host}:{port}/") == "reached"
    verify = ("openssl", "verify", "-x509_strict", "-purpose", "sslserver", "-CAfile", site.ca)
    by_name = "-verify_ip" if is_address(host) else "-verify_hostname"
    assert run(*verify, by_name, host.strip("[]"), site.certificate).endswith(": OK\n")


@pytest.mark.parametrize(
    ("domain", "names", "host"),
    [
        ("localhost", "DNS:example.com", "example.com"),
        ("localhost", "DNS:localhost,DNS:example.com", "localhost"),
        ("localhost", "DNS:localhost,DNS:example.com", "example.com"),
        ("localhost", "IP:127.0.0.2", "127.0.0.2"),
        ("localhost", "DNS:localhost,IP:127.0.0.2", "localhost"),
        ("example.org", "DNS:example.com", "example.com"),
        ("example.org", "DNS:notexample.org", "notexample.org"),
        ("example.org", "DNS:localhost", "localhost"),
        ("example.org", "DNS:example.org,DNS:example.com", "example.org"),
        ("example.org", "IP:127.0.0.1", "127.0.0.1"),
        ("example.org", "IP:::1", "[::1]"),
        ("example.org", "DNS:example.org,IP:127.0.0.1", "example.org"),
    ],
)
def test_the_cas_key_cannot_speak_for_another_site(sites, browsers, domain, names, host):
    site = sites[domain]
    certificate, key = site.forge(names)
    with serving(certificate, key, host) as port:
        url = f"https://{host}:{port}/"
        assert visit(browsers["ca"], url) == "ERR_CERT_INVALID"
        assert visit(browsers["twin"], url) == "reached"
    refusal = openssl_verdict(site.ca, certificate)
    assert re.search("(permitted|excluded) subtree violation", refusal)
    assert openssl_verdict(site.twin, certificate) == "OK"


def test_init_run_again_keeps_everything_and_never_shows_a_secret(sites):
    site = sites["localhost"]
    files = [path for path in site.root.glob("*/*") if path.name != "lock"]
    before = {path: path.read_bytes() for path in files}
    again = init(site.root, "localhost")
    assert {path: path.read_bytes() for path in files} == before
    assert len(site.output.splitlines()) == len(again.splitlines()) == len(files)
    assert all(line.startswith("made ") for line in site.output.splitlines())
    assert all(line.startswith("kept ") for line in again.splitlines())
    for path, text in before.items():
        secret = text.decode().splitlines()[-2 if path.suffix else 0]
        assert secret not in site.output + again, path.name
