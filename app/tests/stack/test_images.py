"""The app's image: small, closed, and with one release of the pages in it."""

import gzip
import io
import json
import re
import subprocess
import tarfile

import pytest
from docker import ROOT, Project, run


@pytest.fixture(scope="module")
def image():
    project = Project("images")
    try:
        project.compose("build", "init", timeout=1800)
        yield f"{project.name}-app"
    finally:
        project.down("--rmi", "all")


@pytest.fixture(scope="module")
def files(image):
    """All that is in the image: name to its entry and content."""
    container = run("docker", "create", image).stdout.strip()
    try:
        export = subprocess.run(["docker", "export", container], check=True, capture_output=True).stdout
    finally:
        run("docker", "rm", container)
    with tarfile.open(fileobj=io.BytesIO(export)) as tar:
        return {entry.name: (entry, entry.isfile() and tar.extractfile(entry).read()) for entry in tar}


def test_it_is_under_30_mb_and_says_what_it_is(image):
    shape = json.loads(run("docker", "image", "inspect", image).stdout)[0]
    assert shape["Size"] < 30_000_000
    assert shape["Config"]["User"] == "10001:10001"
    version = re.search(r'^version = "(.+)"', (ROOT / "Cargo.toml").read_text(), re.MULTILINE)[1]
    assert shape["Config"]["Labels"]["org.opencontainers.image.version"] == version
    flags = ("--rm", "--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges", "--network=none")
    assert run("docker", "run", *flags, image, "--version").stdout.strip() == f"roadstead {version}"


def test_nothing_else_can_be_run_in_it(files):
    # The empty ones are the engine's, to mount its own over.
    executable = {name for name, (entry, content) in files.items() if content and entry.mode & 0o111}
    assert {name for name in executable if not re.match(r"lib(64)?/.*\.so", name)} == {"roadstead"}
    assert not [name for name, (entry, _) in files.items() if entry.mode & 0o6000]


def test_a_fresh_volume_gets_its_owner_from_it(files):
    owners = {name: (entry.uid, entry.gid, entry.mode & 0o777) for name, (entry, _) in files.items()}
    expected = {
        "srv/site": (10001, 10001, 0o755),
        "run/roadstead": (10001, 10001, 0o750),
        "secrets/init": (10001, 10001, 0o750),
        "secrets/owner": (10001, 10001, 0o750),
        "secrets/app": (10001, 10001, 0o750),
        "secrets/nginx": (10001, 10002, 0o750),
        "secrets/postgres": (10001, 10003, 0o750),
    }
    assert {name: owners[name] for name in expected} == expected


def test_it_holds_one_release_whose_pages_name_its_digest(files):
    release = {name: content for name, (entry, content) in files.items() if name.startswith("release/") and entry.isfile()}
    [digest] = {name.split("/")[1] for name in release}
    assert re.fullmatch("[0-9a-f]{16}", digest)
    sources = {str(path.relative_to(ROOT / "static")): path for path in (ROOT / "static").rglob("*") if path.is_file()}
    assert {name.removeprefix(f"release/{digest}/") for name in release} >= set(sources)
    for name, path in sources.items():
        content = path.read_bytes()
        if name.endswith(".html"):
            content = content.replace(b'"/static/', f'"/static/{digest}/'.encode())
        assert release[f"release/{digest}/{name}"] == content, name
    packed = [name for name in release if name.endswith((".gz", ".br"))]
    assert {name[-2:] for name in packed} == {"gz", "br"}
    for name in packed:
        original = name.rsplit(".", 1)[0]
        assert len(release[name]) < len(release[original])
        assert files[name][0].mtime == files[original][0].mtime
        if name.endswith(".gz"):
            assert gzip.decompress(release[name]) == release[original]
