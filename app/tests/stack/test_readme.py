"""The README's commands as they are written, in a copy of the tree."""

import os
import re
import shutil
import socket
import subprocess
import tempfile
import urllib.request
from pathlib import Path

import pytest
from docker import ROOT, run, wait_until
from stack import Stack

BLOCKS = re.findall(r"^```sh\n(.*?)^```", (ROOT / "README.md").read_text(), re.MULTILINE | re.DOTALL)
TESTS = "scripts/test.sh\n"
DEV = "cargo run -- dev\n"
# Minutes of measuring: no test.
CONTRAST = "scripts/contrast.sh\n"


@pytest.fixture(scope="module")
def copy():
    with tempfile.TemporaryDirectory() as folder:
        files = run("git", "-C", ROOT, "ls-files", "--cached", "--others", "--exclude-standard").stdout.split()
        for file in files:
            target = Path(folder, file)
            target.parent.mkdir(parents=True, exist_ok=True)
            if Path(ROOT, file).exists():
                shutil.copy2(Path(ROOT, file), target)
        yield Path(folder)


def test_the_tour(copy):
    assert {TESTS, DEV, CONTRAST, "scripts/up.sh\n"} <= set(BLOCKS)
    stack = Stack()
    environment = stack.environment | {"COMPOSE_PROJECT_NAME": f"{stack.project}-readme"}
    script = "set -euo pipefail\n" + "".join(block for block in BLOCKS if block not in (TESTS, DEV, CONTRAST))
    try:
        said = run("bash", "-c", script, cwd=copy, env=environment, timeout=1800).stdout
    finally:
        run(copy / "scripts/down.sh", "--erase", "--yes", env=environment, timeout=300)
    assert "/invitation#token=" in said
    assert '"email":"ada@example.org"' in said and '"title":"Harbour dues"' in said
    assert '"code":"insufficient_scope"' in said and '"kty":"OKP"' in said


def change():
    """What open pages learn of: the server's instance, and how often its pages changed. Empty while it starts."""
    try:
        with urllib.request.urlopen("http://127.0.0.1:8000/dev/reload", timeout=20) as events:
            return events.readline().decode().strip().removeprefix("data: ")
    except OSError:
        return ""


def test_the_development_server(copy):
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ROADSTEAD_")}
    with socket.socket() as taken:
        assert taken.connect_ex(("127.0.0.1", 8000)) != 0, "port 8000 is taken: is a development server up?"
    environment["CARGO_TARGET_DIR"] = str(ROOT / "target")
    dev = subprocess.Popen(
        DEV.split(), cwd=copy, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    try:
        banner = ""
        while "Ctrl-C" not in banner:
            line = dev.stdout.readline()
            assert line, banner
            banner += line
        page = run("curl", "--silent", "--fail", "--retry", "20", "--retry-connrefused", "http://127.0.0.1:8000/")
        assert "<html" in page.stdout

        first = change()
        (copy / "static/css/site.css").open("a").write("\n")
        wait_until(lambda: change() not in ("", first), 10, "a changed page reloads")
        (copy / "app/src/lib.rs").open("a").write("// changed\n")
        instance = first.split("-")[0]
        wait_until(lambda: change().split("-")[0] not in ("", instance), 120, "a changed source is built and started")
    finally:
        dev.send_signal(2)
        dev.wait(30)
