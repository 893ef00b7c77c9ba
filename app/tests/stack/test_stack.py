"""The stack as it ships: from one command to a signed-in user, replaced under load, and hardened."""

import json
import os
import re
import subprocess
import time

import pytest
from docker import ROOT, run, wait_until
from stack import Load, memory

SERVICES = ("postgres", "app-blue", "app-green", "nginx")
ONE_SHOTS = ("init", "migrate", "publish")
NOTE = 'POST /api/v1/notes {"title":"{n}","body":"under load"}'
SOCKETS = "/run/roadstead"
# `scripts/test.sh --full` replaces slots for longer.
ROUNDS = 10 if os.environ.get("TEST_FULL") else 2


@pytest.fixture(scope="module")
def admin(stack):
    """An access token, newly made for each module: it lives for five minutes."""
    return stack.accept(stack.invite("captain@example.org", "--admin"))


def post_notes(stack, admin, *arguments):
    """Load over HTTP/1.1 with keep-alive and over HTTP/2 at once."""
    token = stack.token(admin)
    notes = ("--request", NOTE, "--expect", "201")
    return [
        Load(stack, token, *notes, "--connections", "24", *arguments),
        Load(stack, token, *notes, "--http2", "--connections", "4", "--streams", "8", *arguments),
    ]


def check_ledgers(stack, loads, reports):
    """Every reply was right, and every acknowledged note is there exactly once."""
    for load, report in zip(loads, reports):
        assert report["ok"] == report["sent"] and not report["failed"], report
        rows = stack.sql("SELECT title FROM notes")
        compared = load.compare(rows)
        assert compared.returncode == 0, compared.stdout


def error_lines(stack):
    """What nginx itself found wrong."""
    return [line for line in stack.logs("nginx").splitlines() if re.search(r"\[(error|crit|alert|emerg)\]", line)]


def replace(stack, slot):
    stack.compose("up", "--detach", "--no-deps", "--no-build", "--force-recreate", slot)
    wait_until(lambda: stack.inspect(slot)["State"]["Health"]["Status"] == "healthy", 60, f"{slot} is healthy")


# ---- one command


def test_the_first_page_comes_over_http_2_from_a_certificate_that_is_trusted(stack):
    got = run("curl", "--silent", "--show-error", "--cacert", stack.ca, "--output", os.devnull,
              "--write-out", "%{http_version} %{http_code}", stack.url + "/")
    assert got.stdout == "2 200"


def test_the_invitation_makes_an_account_and_its_token_is_accepted(stack, up_said):
    link = re.search(r"https://\S+/invitation#\S+", up_said).group()
    email = stack.accept(link)
    token = stack.token(email)
    status, headers, body = stack.request("GET", "/api/v1/me", token=token)
    assert (status, json.loads(body)["admin"]) == (200, True)
    assert "no-store" in headers["Cache-Control"]
    position = len(token) // 2
    spoilt = token[:position] + chr(ord(token[position]) ^ 1) + token[position + 1 :]
    assert stack.request("GET", "/api/v1/me", token=spoilt)[0] == 401
    again = stack.request("POST", "/api/v1/auth/invitation", {"token": "x", "email": email, "password": "y" * 12})
    assert again[0] == 400


def test_a_second_run_changes_nothing_in_under_ten_seconds(stack):
    before = {service: stack.container(service) for service in SERVICES}
    began = time.monotonic()
    said = stack.script("up.sh").stdout
    seconds = time.monotonic() - began
    assert "nothing was changed" in said, said
    assert before == {service: stack.container(service) for service in SERVICES}
    assert seconds < 10 or os.getloadavg()[0] > 4, f"{seconds:.1f} s"


# ---- the hand-over, under load


def test_slots_replaced_by_compose_lose_nothing(stack, admin):
    known = len(error_lines(stack))
    loads = post_notes(stack, admin, "--count", str(12_500 * ROUNDS), "--rate", "500")
    for slot in ("app-blue", "app-green") * ROUNDS:
        replace(stack, slot)
    assert any(load.process.poll() is None for load in loads), "the load ended before the replacing"
    reports = [load.report(timeout=900) for load in loads]
    assert sum(report["ok"] for report in reports) == 25_000 * ROUNDS
    check_ledgers(stack, loads, reports)
    assert error_lines(stack)[known:] == []


def test_up_with_a_changed_image_loses_nothing(stack, admin):
    loads = post_notes(stack, admin, "--rate", "300", "--seconds", "300")
    image = f"{stack.project}-app"
    image_id = lambda: run("docker", "image", "inspect", "--format", "{{.Id}}", image).stdout.strip()
    before = image_id()
    # A release like the one before, with another label: another image; and up.sh takes it for its own build.
    run("docker", "build", "--tag", image, "--label", "org.opencontainers.image.revision=next", "-",
        input=f"FROM {image}\n")
    built = ROOT / "target/up" / stack.project / "app"
    built.write_text(built.read_text().replace(before, image_id()))
    stack.script("up.sh")
    assert image_id() != before
    assert {stack.inspect(slot)["Image"] for slot in ("app-blue", "app-green")} == {image_id()}
    reports = [load.stop() for load in loads]
    for report in reports:
        report["failed"].pop("interrupted", None)
        assert not report["failed"], report
    for load in loads:
        compared = load.compare(stack.sql("SELECT title FROM notes"))
        assert compared.returncode == 0, compared.stdout


def test_a_slot_that_is_killed_costs_no_more_than_it_held(stack, admin):
    loads = post_notes(stack, admin, "--rate", "300", "--count", "4500")
    time.sleep(4)
    run("kill", "-KILL", stack.pid("app-blue"))
    began = time.monotonic()
    wait_until(lambda: stack.pid("app-blue") and "is ready" in health(stack, "app-blue"), 5, "blue answers again")
    assert time.monotonic() - began < 5
    reports = [load.report() for load in loads]
    # All requests that can be under way at once, on both slots: 24 connections, and 4 times 8 streams.
    assert sum(report["failed_total"] for report in reports) <= 24 + 32, reports
    for load in loads:
        compared = load.compare(stack.sql("SELECT title FROM notes"))
        assert compared.returncode == 0, compared.stdout


def answers(stack):
    try:
        return stack.request("GET", "/health/ready")[0] == 200
    except OSError:
        return False


def health(stack, slot):
    return stack.exec(slot, "roadstead", "healthcheck", check=False)


def test_a_second_process_on_a_live_slot_does_no_harm(stack, admin):
    loads = post_notes(stack, admin, "--rate", "300", "--count", "4500")
    for _ in range(2):
        said = stack.exec("app-blue", "roadstead", "serve", check=False)
        assert "another process serves slot blue already" in said
    # TERM to the one that serves, with another just starting; the engine brings it back.
    second = subprocess.Popen(
        ["docker", "exec", stack.container("app-blue"), "/roadstead", "serve"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    run("kill", "-TERM", stack.pid("app-blue"))
    second.wait(60)
    wait_until(lambda: stack.pid("app-blue") and "is ready" in health(stack, "app-blue"), 30, "blue is back")
    reports = [load.report() for load in loads]
    check_ledgers(stack, loads, reports)


# ---- hardened


@pytest.mark.parametrize("service", SERVICES + ONE_SHOTS)
def test_a_container_has_no_more_rights_than_it_needs(stack, service):
    container = stack.inspect(service)
    host = container["HostConfig"]
    assert container["Config"]["User"].split(":")[0] in {"10001", "10002", "10003"}
    assert host["ReadonlyRootfs"] and not host["Privileged"]
    assert host["CapDrop"] == ["ALL"] and not host["CapAdd"]
    assert "no-new-privileges:true" in host["SecurityOpt"]
    assert host["Memory"] > 0 and host["PidsLimit"] > 0
    assert host["LogConfig"] == {"Type": "json-file", "Config": {"max-size": "10m", "max-file": "5"}}
    assert all(mount["Type"] == "volume" for mount in container["Mounts"]), "nothing is bind-mounted"
    assert not re.search(r"(?i)(password|key|secret|pepper)=(?!/)", "\n".join(container["Config"]["Env"])), "no secret in the environment"
    if service in SERVICES:
        assert container["State"]["Health"]["Status"] == "healthy"


def test_only_nginx_is_reached_from_outside(stack):
    published = {service: stack.inspect(service)["HostConfig"]["PortBindings"] for service in SERVICES}
    assert [service for service, ports in published.items() if ports] == ["nginx"]
    ports = {binding["HostPort"] for bindings in published["nginx"].values() for binding in bindings}
    assert ports == {str(stack.http), str(stack.https)}
    listening = run("ss", "--listening", "--tcp", "--numeric", "--no-header").stdout
    assert f":{stack.https} " in listening and f":{stack.http} " in listening
    networks = {service: set(stack.inspect(service)["NetworkSettings"]["Networks"]) for service in SERVICES}
    database = f"{stack.project}_database"
    assert networks["app-blue"] == networks["postgres"] == {database} and database not in networks["nginx"]
    assert json.loads(run("docker", "network", "inspect", database).stdout)[0]["Internal"]


def test_the_app_s_image_is_small_and_has_no_shell(stack):
    image = json.loads(run("docker", "image", "inspect", f"{stack.project}-app").stdout)[0]
    assert image["Size"] < 30_000_000, image["Size"]
    for shell in ("/bin/sh", "/bin/bash", "/usr/bin/env"):
        assert stack.exec("app-blue", shell, "-c", "true", check=False).strip(), f"{shell} runs"
    history = run("docker", "history", "--no-trunc", f"{stack.project}-app").stdout
    assert "BEGIN" not in history


def test_secrets_are_in_no_log_and_each_consumer_sees_its_own(stack):
    secrets = stack.exec("postgres", "sh", "-c", "cat /secrets/postgres/*_password").split()
    logs = stack.compose("logs", "--no-log-prefix")
    assert secrets and not any(secret in logs for secret in secrets)
    for service, volume in (("nginx", "nginx"), ("postgres", "postgres")):
        assert stack.exec(service, "ls", "/secrets").split() == [volume]
    mounts = {mount["Destination"] for mount in stack.inspect("app-blue")["Mounts"]}
    assert mounts == {"/secrets/app", SOCKETS}


# ---- things go wrong


def test_a_body_that_the_app_refuses_unread_is_never_a_bad_gateway(stack, admin):
    token = stack.token(admin)
    for _ in range(20):
        status, _, body = stack.request("POST", "/api/v1/notes", {"title": "x", "body": "y" * 400_000}, token)
        assert (status, json.loads(body)["code"]) == (413, "body_too_large")


def test_without_its_database_the_site_says_so_and_recovers(stack, admin):
    token = stack.token(admin)
    stack.compose("stop", "postgres")
    status, headers, body = stack.request("GET", "/api/v1/notes", token=token)
    assert (status, json.loads(body)["code"], headers["Retry-After"]) == (503, "unavailable", "1")
    assert stack.request("GET", "/")[0] == 200, "pages do not need it"
    stack.compose("start", "postgres")
    wait_until(lambda: stack.request("GET", "/api/v1/notes", token=token)[0] == 200, 20, "the app has its database back")


def test_down_keeps_the_data_and_up_brings_it_back(stack, admin):
    notes = stack.sql("SELECT count(*) FROM notes")
    stack.script("down.sh")
    assert not stack.container("nginx")
    # A bare Compose is as good.
    stack.compose("up", "--detach", timeout=300)
    wait_until(lambda: answers(stack), 60, "the site answers")
    assert stack.sql("SELECT count(*) FROM notes") == notes
    assert stack.token(admin)


# Last: after a start without load.
def test_the_stack_is_modest_when_idle(stack):
    for slot in ("app-blue", "app-green"):
        wait_until(lambda: stack.request("GET", "/health/live")[0] == 200, 10, "it answers")
    ready = max(
        subprocess.run(
            ["docker", "inspect", "--format", "{{.State.StartedAt}}", stack.container(slot)], capture_output=True, text=True
        ).stdout
        for slot in ("app-blue", "app-green")
    )
    started = time.mktime(time.strptime(ready[:19], "%Y-%m-%dT%H:%M:%S")) - time.timezone
    time.sleep(max(0, 62 - (time.time() - started)))
    parts = {service: memory(stack.pid(service)) / 2**20 for service in SERVICES}
    print("\nPSS, MiB: " + ", ".join(f"{service} {size:.1f}" for service, size in parts.items()) + f", sum {sum(parts.values()):.1f}")
    assert parts["app-blue"] < 20 and parts["app-green"] < 20, parts
    assert sum(parts.values()) < 120, parts
