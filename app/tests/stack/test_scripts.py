"""The scripts: each failure of a first run is told with its cause and its cure, and nothing was changed."""

import os
import re
import signal
import socket
import time

import pytest
from workbench import ROOT, Workbench

SCRIPTS = ("up.sh", "deploy.sh", "rollback.sh", "maintenance.sh", "rotate.sh", "status.sh", "down.sh", "trust.sh", "check.sh", "test.sh", "fuzz.sh", "contrast.sh", "bench.sh")
NOBODY = 65534


@pytest.fixture
def bench():
    bench = Workbench()
    yield bench
    bench.close()


def assert_refused(bench, done, status, cause, cure):
    """With its cause, its cure, its exit status, and everything as it was."""
    assert done.returncode == status, done.stdout_text
    told, _, cures = done.stdout_text.partition("\nCause: ")[2].partition("\nCure:  ")
    assert cause in told, done.stdout_text
    for words in [cure] if isinstance(cure, str) else cure:
        assert words in cures, done.stdout_text
    bench.assert_unchanged()


# ---- usage


@pytest.mark.parametrize("script", SCRIPTS)
def test_help_tells_usage_and_exit_codes(bench, script):
    done = bench.run(script, "--help")
    assert done.returncode == 0
    assert f"Usage: scripts/{script}" in done.stdout_text
    assert "Exit: 0 " in done.stdout_text and "64 wrong usage" in done.stdout_text
    bench.assert_unchanged()


@pytest.mark.parametrize("script", SCRIPTS)
@pytest.mark.parametrize("nonsense", ["--nonsense", "nonsense"])
def test_nonsense_is_a_usage_error(bench, script, nonsense):
    # To these a word is a version.
    versions = ["--wait"] if script in ("deploy.sh", "rollback.sh") and nonsense == "nonsense" else []
    done = bench.run(script, *versions, *["one"] * len(versions), nonsense)
    assert done.returncode == 64
    assert nonsense in done.stdout_text and "--help" in done.stdout_text
    bench.assert_unchanged()


# ---- the engine


@pytest.mark.parametrize(
    ("system", "cure"),
    [
        ("Ubuntu", "apt-get install docker.io docker-compose-v2 docker-buildx"),
        ("Fedora", "dnf install moby-engine docker-cli docker-compose docker-buildx"),
        ("Arch", "pacman -S --needed docker docker-compose docker-buildx"),
        ("another", "docs.docker.com"),
    ],
)
def test_no_engine_on_a_system_that_we_do_not_install_on(bench, system, cure):
    bench.system(system)
    done = bench.run("up.sh", path=bench.without_docker())
    assert_refused(bench, done, 69, "missing: engine compose buildx", cure)


@pytest.mark.parametrize(("system", "extra"), [("Debian 12", ""), ("Debian 13", " docker-cli")])
def test_no_engine_on_debian_without_the_right_to_install(bench, system, extra):
    bench.system(system)
    bench.program("id", "#!/bin/sh\ncase $1 in -un) echo user ;; *) echo 1000 ;; esac\n")
    done = bench.run("up.sh", path=bench.without_docker())
    assert_refused(bench, done, 77, "only root", f"apt-get install -y --no-install-recommends ca-certificates docker.io{extra}")


def test_no_engine_on_debian_is_going_to_be_installed(bench):
    done = bench.run("up.sh", "--dry-run", path=bench.without_docker())
    assert done.returncode == 0
    assert "install: engine compose buildx" in done.stdout_text
    bench.assert_unchanged()


def test_engine_that_does_not_start(bench):
    bench.engine(**{"version*": "echo 'Cannot connect to the Docker daemon'; exit 1"})
    done = bench.run("up.sh")
    assert done.returncode == 70
    assert "Cause: the engine does not start" in done.stdout_text and "try it by hand" in done.stdout_text
    assert not any(call.startswith("compose") for call in bench.changes())


def test_engine_that_does_not_run_and_may_not_be_started(bench):
    bench.engine(**{"version*": "echo 'Cannot connect to the Docker daemon'; exit 1"})
    bench.program("id", "#!/bin/sh\necho 1000\n")
    assert_refused(bench, bench.run("up.sh"), 77, "engine is not running", "as root: ")


def test_engine_elsewhere_that_does_not_answer(bench):
    (bench.bin / "docker").unlink()
    done = bench.run("up.sh", DOCKER_HOST=f"unix://{bench.folder}/nowhere.sock")
    assert_refused(bench, done, 69, "nowhere.sock does not answer", ["DOCKER_HOST", "docker context ls"])


def test_no_right_to_the_socket(bench):
    (bench.bin / "docker").unlink()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"{bench.folder}/engine.sock")
        listener.listen()
        os.chmod(f"{bench.folder}/engine.sock", 0)
        user = NOBODY if os.geteuid() == 0 else None
        done = bench.run("up.sh", user=user, DOCKER_HOST=f"unix://{bench.folder}/engine.sock")
    assert_refused(bench, done, 77, "may not use the engine's socket", ["usermod -aG docker", "newgrp"][:1])


def test_compose_version_1_only(bench):
    bench.system("Fedora")
    bench.engine(**{"'compose version'*": "exit 1"})
    bench.program("docker-compose", "#!/bin/sh\necho 1.29.2\n")
    done = bench.run("up.sh")
    assert "only version 1 (1.29.2)" in done.stdout_text
    assert_refused(bench, done, 69, "missing: compose", "dnf install docker-compose")


# ---- the machine


def test_too_little_disk(bench):
    bench.program("df", bench.prints_disk(300))
    assert_refused(bench, bench.run("up.sh"), 69, "too little disk: 300 MB free", "docker builder prune")


@pytest.mark.parametrize("variable", ["ROADSTEAD_HTTP_PORT", "ROADSTEAD_HTTPS_PORT"])
def test_port_taken_by_a_process(bench, variable):
    (bench.bin / "ss").unlink()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        done = bench.run("up.sh", **{variable: str(port)})
    assert_refused(bench, done, 69, f"port {port} is taken, by ", f"{variable}=")
    if os.geteuid() == 0:
        assert f"(process {os.getpid()})" in done.stdout_text


def test_port_taken_by_another_stack(bench):
    bench.engine(**{"'ps --filter publish=443 '*": "echo other other-web-1"})
    done = bench.run("up.sh")
    assert_refused(bench, done, 69, "port 443 is taken, by the container other-web-1", "ROADSTEAD_HTTPS_PORT=8443")


def test_port_held_by_this_stack_is_no_obstacle(bench):
    bench.engine(**{"'ps --filter publish='*": "echo roadstead roadstead-nginx-1"})
    done = bench.run("up.sh", "--dry-run")
    assert done.returncode == 0
    assert "held by this stack's own roadstead-nginx-1" in done.stdout_text


# ---- settings


@pytest.mark.parametrize(
    ("name", "value", "cause"),
    [
        ("ROADSTEAD_HTTP_PORT", "http", "not a port"),
        ("ROADSTEAD_HTTPS_PORT", "65536", "not a port"),
        ("ROADSTEAD_HTTPS_PORT", "80", "same port"),
        ("ROADSTEAD_DOMAIN", "https://example.org", "more than a name"),
        ("ROADSTEAD_DOMAIN", "192.0.2.1", "an address"),
        ("ROADSTEAD_DOMAIN", "Example_org", "not a host name"),
        ("ROADSTEAD_DOMIAN", "example.org", "no setting"),
        ("COMPOSE_PROJECT_NAME", "Big Name", "not a project name"),
        ("CA_BUNDLE", "/nowhere.pem", "not a readable file"),
    ],
)
@pytest.mark.parametrize("place", ["the environment", ".env"])
def test_wrong_setting(bench, name, value, cause, place):
    settings = {name: value}
    if place == ".env":
        (bench.tree / ".env").write_text(f'# settings\n{name}="{value}"\n')
        bench.files, settings = bench.listing(), {}
    done = bench.run("up.sh", **settings)
    assert_refused(bench, done, 78, cause, "")
    assert name in done.stdout_text and place in done.stdout_text


def test_setting_that_compose_does_not_accept(bench):
    bench.engine(**{"'compose config --quiet'": "echo 'invalid memory: lots' >&2; exit 15"})
    assert_refused(bench, bench.run("up.sh"), 78, "invalid memory: lots", "in the environment or in .env")


def test_domain_that_does_not_resolve(bench):
    done = bench.run("up.sh", ROADSTEAD_DOMAIN="nowhere.example.org")
    assert_refused(bench, done, 78, "nowhere.example.org does not resolve", ["A or AAAA record", "/etc/hosts", "--unresolved"])
    assert bench.run("up.sh", "--unresolved", "--dry-run", ROADSTEAD_DOMAIN="nowhere.example.org").returncode == 0


# ---- earlier runs


def test_leftovers_of_a_half_finished_run_are_told_and_taken_up(bench):
    bench.write("version", "1")
    (bench.folder / "built").touch()
    rows = "migrate migrate exited - 1", "app-blue app-blue created - 0"
    now = time.strftime("%FT%TZ", time.gmtime())
    bench.write("containers", "".join(f"{row} sha256:app-1 hash 0 {now} {bench.tree}\n" for row in rows))
    done = bench.run("up.sh", "--dry-run")
    assert "migrate has ended with 1" in done.stdout_text and "app-blue is created" in done.stdout_text
    assert "start the stack" in done.stdout_text
    bench.assert_unchanged()
    assert bench.run("up.sh").returncode == 0


def test_container_of_our_name_that_is_not_ours(bench):
    bench.engine(**{"'ps --all --filter name='*nginx*": "echo other."})
    cure = ["docker rm --force roadstead-nginx-1", "COMPOSE_PROJECT_NAME="]
    assert_refused(bench, bench.run("up.sh"), 69, "roadstead-nginx-1 already", cure)


def test_interrupted_build_leaves_nothing_running_and_is_taken_up(bench):
    bench.engine(**{"'compose build'*": "echo $$ >builder; exec sleep 60"})
    process = bench.start("up.sh")
    builder = bench.folder / "builder"
    for _ in range(200):
        if builder.exists() and builder.read_text():
            break
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    output = process.communicate(timeout=20)[0]
    assert process.returncode == 130
    assert "Interrupted while it was at: Build the images" in output and "Run scripts/up.sh again" in output
    with pytest.raises(ProcessLookupError):
        os.kill(int(builder.read_text()), 0)
    assert not any(call.startswith("compose up") for call in bench.calls())

    bench.engine()
    done = bench.run("up.sh", "--dry-run")
    assert "did not finish, it was at: Build the images" in done.stdout_text
    done = bench.run("up.sh")
    assert done.returncode == 0
    assert "did not finish" not in bench.run("up.sh").stdout_text


def test_two_at_once(bench):
    bench.engine(**{"'compose build'*": "touch building; sleep 60"})
    first = bench.start("up.sh")
    while not (bench.folder / "building").exists():
        time.sleep(0.05)
    second = bench.run("up.sh")
    first.send_signal(signal.SIGTERM)
    first.communicate()
    assert first.returncode == 143
    assert second.returncode == 75 and "another scripts/up.sh is at work" in second.stdout_text


def test_certificates_are_looked_after_a_month_later(bench):
    assert bench.run("up.sh").returncode == 0
    assert "nothing was changed" in bench.run("up.sh").stdout_text
    month_ago = time.strftime("%FT%TZ", time.gmtime(time.time() - 31 * 24 * 3600))
    containers = (bench.folder / "containers").read_text()
    now = time.strftime("%FT", time.gmtime())
    bench.write("containers", "".join(
        re.sub(rf" {now}\S+ ", f" {month_ago} ", line) if line.startswith("init ") else line
        for line in containers.splitlines(keepends=True)
    ))
    done = bench.run("up.sh")
    assert "Make secrets and certificates that are missing" in done.stdout_text, done.stdout_text
    assert "Replace" not in done.stdout_text
    assert "nothing was changed" in bench.run("up.sh").stdout_text


# ---- steps that fail


def test_no_registry_and_no_archive_either(bench):
    no_base = {"*debian:trixie-slim": "exit 1", "'pull '*": "echo 'Error: lookup registry: no such host' >&2; exit 1"}
    bench.engine(**dict(reversed(no_base.items())))
    done = bench.run("up.sh")
    assert done.returncode == 70
    assert "no registry gives debian:trixie-slim" in done.stdout_text and "no such host" in done.stdout_text
    assert "mmdebstrap failed" in done.stdout_text and "docker load" in done.stdout_text
    assert not any(call.startswith(("import", "compose build", "compose up")) for call in bench.calls())


@pytest.mark.parametrize(
    ("says", "cause", "cure"),
    [
        ("curl failed: [60] SSL certificate problem: unable to get local issuer certificate", "TLS is inspected", "CA_BUNDLE=/network.pem"),
        ("write /var/lib/docker: no space left on device", "the disk is full", "docker builder prune"),
        ("Temporary failure resolving 'deb.debian.org'", "could not be reached", "mend the network"),
        ("rustc: (signal: 9, SIGKILL: kill)", "want of memory", "swap"),
        ("error[E0308]: mismatched types", "the step above failed", "target/log/up-roadstead.log"),
    ],
)
def test_failed_build(bench, says, cause, cure):
    bench.engine(**{"'compose build'*": f'echo "{says}"; exit 17'})
    done = bench.run("up.sh", SSL_CERT_FILE="/network.pem")
    assert done.returncode == 70
    told = done.stdout_text.partition("\nCause: ")[2]
    assert cause in told and cure in told and says in done.stdout_text
    assert not any(call.startswith("compose up") for call in bench.calls())
    assert "earlier run  did not finish" in bench.run("up.sh", "--dry-run").stdout_text


@pytest.mark.parametrize("place", ["the environment", ".env"])
def test_certificates_for_the_build_are_handed_on(bench, place):
    bench.write("ca.pem", "certificates")
    bench.engine(**{"'compose build'*": "echo [${CA_BUNDLE-unset}] >given; echo x509: unknown; exit 1"})
    settings = {"CA_BUNDLE": f"{bench.folder}/ca.pem"}
    if place == ".env":
        (bench.tree / ".env").write_text(f"CA_BUNDLE={bench.folder}/ca.pem\n")
        settings = {}
    done = bench.run("up.sh", **settings)
    assert (bench.folder / "given").read_text() == f"[{bench.folder}/ca.pem]\n"
    assert f"{bench.folder}/ca.pem (CA_BUNDLE) does not hold" in done.stdout_text


def test_start_that_fails_shows_what_the_container_said(bench):
    bench.engine(**{"'compose up'*": "put init exited - 1; exit 1", "'logs --tail 12 init'": "echo 'init: no space for keys'"})
    done = bench.run("up.sh")
    assert done.returncode == 70
    assert "Cause: init has ended with 1" in done.stdout_text and "init: no space for keys" in done.stdout_text


# ---- a stack that runs


def test_first_run_ends_with_the_link_and_the_second_changes_nothing(bench):
    bench.write("administrators", "0\n")
    done = bench.run("up.sh", ROADSTEAD_ADMIN_EMAIL="a@example.org")
    assert done.returncode == 0, done.stdout_text
    assert [call.split()[1] for call in bench.changes()] == ["build", "up", "exec"]
    assert bench.changes()[-1].endswith("user invite a@example.org --admin")
    assert "https://localhost/invitation#token=once" in done.stdout_text
    bench.write("administrators", "1\n")
    bench.write("calls", "")
    done = bench.run("up.sh")
    assert done.returncode == 0 and "nothing was changed" in done.stdout_text
    assert "invitation" not in done.stdout_text
    assert bench.changes() == []


def replaced(bench):
    """The services in the order in which they were replaced, and what else was done."""
    changes = [call for call in bench.changes() if not call.startswith(("start", "compose exec"))]
    return [call.split()[-1] if call.startswith("compose create") else " ".join(call.split()[:2]) for call in changes]


def test_new_images_replace_part_by_part(bench):
    bench.built_and_up()
    bench.write("next-version", "2\n")
    for file in ("app/Dockerfile", "nginx/Dockerfile", "deploy/postgres/Dockerfile"):
        (bench.tree / file).write_text("FROM debian:trixie-slim\n# new\n")
    done = bench.run("up.sh")
    assert done.returncode == 0, done.stdout_text
    order = ["compose build", "init", "postgres", "migrate", "compose run", "app-blue", "app-green", "publish", "nginx"]
    assert replaced(bench) == order
    assert "about a second" in done.stdout_text


def test_a_slot_that_is_not_well_is_healed_first(bench):
    bench.built_and_up()
    text = (bench.folder / "containers").read_text()
    bench.write("containers", text.replace("app-green running healthy", "app-green running unhealthy"))
    bench.write("next-version", "2\n")
    (bench.tree / "app/Dockerfile").write_text("FROM debian:trixie-slim\n# new\n")
    done = bench.run("up.sh")
    assert done.returncode == 0, done.stdout_text
    slots = [service for service in replaced(bench) if service.startswith("app-")]
    assert slots == ["app-green", "app-blue"]


def test_a_new_slot_that_does_not_get_well_ends_it_before_the_other_is_touched(bench):
    bench.built_and_up()
    bench.write("next-version", "2\n")
    (bench.folder / "broken-app-blue").touch()
    (bench.tree / "app/Dockerfile").write_text("FROM debian:trixie-slim\n# new\n")
    done = bench.run("up.sh")
    assert done.returncode == 70
    assert "Cause: app-blue is unhealthy; the rest goes on serving" in done.stdout_text
    assert "app-green" not in replaced(bench) and "publish" not in replaced(bench)


def test_dry_run_of_an_update_changes_nothing(bench):
    bench.built_and_up()
    (bench.tree / "app/Dockerfile").write_text("FROM debian:trixie-slim\n# new\n")
    done = bench.run("up.sh", "--dry-run")
    assert "the slots one after the other" in done.stdout_text
    assert bench.changes() == []


@pytest.mark.parametrize("kind", ["signing", "refresh", "pepper", "master"])
def test_a_rotation_without_a_slot_is_refused(bench, kind):
    assert_refused(bench, bench.run("rotate.sh", kind), 69, "no slot of roadstead runs", "scripts/up.sh")


@pytest.mark.parametrize("words", [[], ["signing", "pepper"], ["signing", "--prune"], ["refresh", "--prune"]])
def test_a_wrong_rotation_is_a_usage_error(bench, words):
    done = bench.run("rotate.sh", *words)
    assert done.returncode == 64 and "--help" in done.stdout_text
    bench.assert_unchanged()
