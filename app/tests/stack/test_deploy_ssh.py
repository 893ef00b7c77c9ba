"""A deploy to another host, over SSH, with nothing there but Docker."""

import os
import re
import shutil

import pytest
from docker import ROOT, run
from releases import Releases, start
from server import Server
from stack import Stack, free_port


@pytest.fixture(scope="module")
def server():
    server = Server()
    try:
        server.start()
        yield server
    finally:
        server.close()


@pytest.fixture(scope="module")
def there(server):
    """The stack on that host, as its first deploy leaves it."""
    project = f"{os.environ.get('TEST_PROJECT', f'roadstead-test-{os.getpid()}')}-there"
    there = Stack(**server.environment, COMPOSE_PROJECT_NAME=project)
    there.project = project
    try:
        there.said = there.script("deploy.sh").stdout
        there.ca.write_text(there.exec("nginx", "cat", "/secrets/nginx/site-ca.crt"))
        yield there
    finally:
        there.erase()
        # There it ends with the host; here they were only built.
        built = run("docker", "image", "ls", "--quiet", "--filter", f"reference={project}-*").stdout.split()
        run("docker", "image", "rm", "--force", *set(built), check=False)


@pytest.fixture(scope="module")
def releases(there):
    return Releases(there)


def ask(there, server, path):
    """HTTP's version and status, through the host's own address."""
    name = f"localhost:{there.https}"
    options = ("--silent", "--show-error", "--cacert", there.ca, "--connect-to", f"{name}:{server.address}:{there.https}")
    return run("curl", *options, "--output", os.devnull, "--write-out", "%{http_version} %{http_code}", f"https://{name}{path}").stdout


def test_another_engine_gets_the_stack_and_compiles_nothing(there, server):
    engine = ("docker", "info", "--format", "{{.ID}}")
    assert run(*engine).stdout != run(*engine, env=there.environment).stdout
    assert "/invitation#token=" in there.said
    assert "ship to the host what it lacks" in there.said
    assert ask(there, server, "/") == "2 200" and ask(there, server, "/health/ready") == "2 200"
    # Neither a base image nor a stage of a build: they were made elsewhere.
    images = run("docker", "image", "ls", "--all", "--format", "{{.Repository}}", env=there.environment).stdout.split()
    assert set(images) == {f"{there.project}-{image}" for image in ("app", "postgres", "nginx")}


def test_then_only_what_changed_is_shipped(there, server, releases):
    first = releases.current()
    said = releases.deploy().stdout
    assert "ship to the host what it lacks: app \n" in said
    second = releases.current()
    assert second != first and f"{second} runs: " in said
    log = (ROOT / f"target/log/deploy-{there.project}.log").read_text()
    assert re.findall(r"^Loaded image: (.+)$", log, re.MULTILINE) == [f"{releases.app}:{second}"]
    assert releases.runs(second) and ask(there, server, "/health/ready") == "2 200"


def test_through_a_registry_it_is_pulled_by_its_digest(there, server, releases):
    registry = server.serve_registry(free_port()) + "/ships"
    there.environment["ROADSTEAD_REGISTRY"] = registry
    try:
        releases.deploy()
    finally:
        del there.environment["ROADSTEAD_REGISTRY"]
    log = (ROOT / f"target/log/deploy-{there.project}.log").read_text()
    pulled = re.findall(rf"{registry}/{there.project}-(\w+)@sha256:[0-9a-f]{{64}}: Pulling from", log)
    assert pulled == ["app"] and "Loaded image" not in log, log
    current = releases.current()
    assert releases.runs(current) and ask(there, server, "/health/ready") == "2 200"
    there.script("rollback.sh")


def test_all_else_works_from_here_too(there, server, releases):
    first, second = releases.previous(), releases.current()
    # As from a machine that has never seen this host.
    shutil.rmtree(ROOT / "target/up" / there.project)
    there.script("rollback.sh")
    assert releases.current() == first and releases.runs(first)
    said = there.script("status.sh").stdout
    assert f"release      {first}" in said and f"previous     {second}" in said and server.url in said
    there.script("maintenance.sh", "on")
    assert ask(there, server, "/") == "2 503"
    there.script("maintenance.sh", "off")
    assert ask(there, server, "/") == "2 200"
    acts = ["deploy", "deploy", "deploy", "rollback", "rollback", "maintenance", "maintenance"]
    assert [act[0] for act in releases.acts()] == acts


def test_cut_off_in_its_middle_it_serves_and_the_next_one_goes_on(there, server, releases):
    first, second = releases.current(), releases.previous()
    process = start(there, "deploy.sh", second)
    assert any("Replace app-blue" in line for line in process.stdout)
    process.kill()
    process.communicate(timeout=120)
    assert ask(there, server, "/health/ready") == "2 200"
    # What the killed one had begun holds the lock until it is done.
    said = there.script("deploy.sh", "--wait", second).stdout
    assert f"did not finish: deploy, from {first} to {second}" in said
    assert releases.current() == second and releases.runs(second)
    assert [act[3] for act in releases.acts()[-2:]] == ["killed", "ok"]
    assert ask(there, server, "/health/ready") == "2 200"
