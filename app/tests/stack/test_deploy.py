"""scripts/deploy.sh and rollback.sh while traffic flows: nothing is lost, and the host knows what runs."""

import os
import time

import pytest
from docker import run, wait_until
from releases import Releases, error_lines, failed, failures, sent, slowest, start

ROUNDS = 5 if os.environ.get("TEST_FULL") else 1


@pytest.fixture(scope="module")
def releases(stack):
    return Releases(stack)


@pytest.fixture(scope="module")
def admin(stack):
    return stack.accept(stack.invite("deployer@example.org", "--admin"))


def test_deploys_and_roll_backs_under_fire_lose_nothing(stack, releases, admin):
    loads = releases.fire(stack.token(admin))
    time.sleep(15)
    quiet = releases.cease(loads)
    assert failed(quiet) == 0, failures(quiet)
    known, requests, worst = len(error_lines(stack)), 0, 0

    def there_and_back(there):
        """Two acts, as long as an access token lives at the most."""
        nonlocal requests, worst
        loads = releases.fire(stack.token(admin))
        first = releases.current()
        there()
        second = releases.current()
        assert second != first and releases.previous() == first and releases.runs(second)
        stack.script("rollback.sh")
        assert releases.current() == first and releases.runs(first)
        assert all(load.process.poll() is None for load in loads), "the load ended before the deploys"
        reports = releases.cease(loads)
        assert failed(reports) == 0, failures(reports)
        releases.check_writes(loads)
        requests, worst = requests + sent(reports), max(worst, slowest(reports))
        return second

    for _ in range(ROUNDS):
        version = there_and_back(releases.deploy)
        there_and_back(lambda: stack.script("deploy.sh", version))
    assert error_lines(stack)[known:] == []
    endings = [act[3] for act in releases.acts()[-4 * ROUNDS :]]
    assert endings == ["ok"] * 4 * ROUNDS
    print(f"\n{len(endings)} acts, {requests} requests, 0 failed; p99.9 {worst:.0f} ms, quiet {slowest(quiet):.0f} ms")


def test_what_runs_already_is_left_alone(stack, releases):
    before = {slot: stack.container(slot) for slot in ("app-blue", "app-green", "nginx")}
    acts = releases.acts()
    said = stack.script("deploy.sh", releases.current()).stdout
    assert "runs already" in said and "nothing was changed" in said
    assert "runs already" in stack.script("rollback.sh", "current").stdout
    assert before == {slot: stack.container(slot) for slot in before} and acts == releases.acts()


def test_a_dry_run_tells_the_plan_and_changes_nothing(stack, releases):
    current, acts = releases.current(), releases.acts()
    releases.new()
    said = stack.script("deploy.sh", "--dry-run").stdout
    assert "app-blue app-green" in said and "A dry run: nothing was changed." in said and f"go back to {current}" in said
    said = stack.script("rollback.sh", "--dry-run").stdout
    assert f"back to      {releases.previous()}" in said and "A dry run" in said
    assert releases.current() == current and releases.runs(current) and releases.acts() == acts


def test_an_unknown_version_is_refused_with_those_that_there_are(stack, releases):
    for script in ("deploy.sh", "rollback.sh"):
        done = stack.script(script, "v9.9.9", check=False)
        assert done.returncode == 69 and "has no release v9.9.9" in done.stdout and releases.current() in done.stdout


def test_the_last_five_stay_and_what_is_in_use_whatever_its_age(stack, releases):
    oldest = releases.current()
    # Many that are newer, and run nowhere.
    script = f"for n in 1 2 3 4 5 6 7; do cp -r {oldest} newer-$n; echo 2099-01-0${{n}}T00:00:00Z >newer-$n/created; done"
    mount = f"{stack.project}_releases:/releases"
    run("docker", "run", "--rm", "--user=0", "-v", mount, "--entrypoint=sh", f"{stack.project}-nginx", "-c", f"cd /releases; {script}")
    releases.deploy()
    newest = {f"newer-{n}" for n in (3, 4, 5, 6, 7)}
    assert releases.kept() == newest | {releases.current(), oldest}
    assert releases.previous() == oldest
    stack.script("rollback.sh")
    assert releases.runs(oldest)
    run("docker", "run", "--rm", "--user=0", "-v", mount, "--entrypoint=sh", f"{stack.project}-nginx", "-c", "rm -r /releases/newer-*")


def test_without_postgresql_nothing_is_deployed_and_the_current_release_brings_it_back(stack, releases):
    current = releases.current()
    run("docker", "stop", stack.container("postgres"))
    try:
        done = releases.deploy(check=False)
        assert done.returncode == 70, done.stdout
        assert "Cause: postgres has ended with 0, so that the schema cannot be looked at. Nothing was changed" in done.stdout
    finally:
        stack.script("rollback.sh", "current")
    assert releases.current() == current and releases.runs(current)
    assert stack.inspect("postgres")["State"]["Health"]["Status"] == "healthy"


# ---- the lock


def test_a_second_deploy_waits_or_is_refused_and_names_the_first(stack, releases):
    current = releases.current()
    releases.new()
    first = start(stack, "deploy.sh")
    lock = f"{stack.project}-lock"
    wait_until(lambda: run("docker", "ps", "--quiet", "--filter", f"name=^{lock}$").stdout, 60, "the first has the lock")
    done = stack.script("rollback.sh", check=False)
    assert done.returncode == 75, done.stdout
    assert f"Cause: deploy of root@{os.uname().nodename} (process {first.pid}, for " in done.stdout and "--wait" in done.stdout
    said = stack.script("rollback.sh", "--wait").stdout
    assert f"Waiting: deploy of root@{os.uname().nodename} (process {first.pid}" in said
    out, _ = first.communicate(timeout=120)
    assert first.returncode == 0, out
    # It looked again when it had the lock, and went back from what the first had brought.
    assert releases.current() == current and releases.runs(current)


def test_a_lock_that_nobody_holds_is_no_lock(stack, releases):
    lock = f"{stack.project}-lock"
    # As a host that lost its power leaves it.
    labels = [f"--label=roadstead.{name}={value}" for name, value in (("act", "deploy"), ("owner", "gone@elsewhere"), ("pid", "1"))]
    run("docker", "run", "--name", lock, *labels, "--entrypoint=true", f"{stack.project}-nginx")
    said = releases.deploy().stdout
    assert releases.current() in said
    assert not run("docker", "ps", "--all", "--quiet", "--filter", f"name=^{lock}$").stdout


def test_a_lock_that_lives_is_not_broken(stack):
    lock = f"{stack.project}-lock"
    labels = [f"--label=roadstead.{name}={value}" for name, value in (("act", "deploy"), ("owner", "ada@elsewhere"), ("pid", "7"))]
    run("docker", "run", "--detach", "--name", lock, *labels, "--entrypoint=sleep", f"{stack.project}-nginx", "600")
    try:
        done = stack.script("rollback.sh", check=False)
        assert done.returncode == 75 and "deploy of ada@elsewhere (process 7" in done.stdout
        assert f"docker rm --force {lock}" in done.stdout
    finally:
        run("docker", "rm", "--force", lock)
