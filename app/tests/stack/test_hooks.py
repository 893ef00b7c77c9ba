"""The operator's own steps around a deploy."""

import pytest
from workbench import Workbench


@pytest.fixture
def bench():
    bench = Workbench()
    bench.built_and_up()
    bench.write("next-version", "2\n")
    (bench.tree / "app/Dockerfile").write_text("FROM debian:trixie-slim\n# new\n")
    yield bench
    bench.close()


def hook(bench, name, script):
    path = bench.tree / "deploy/hooks" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def deploy(bench):
    return bench.run("deploy.sh", ROADSTEAD_WATCH_SECONDS="0")


def replaced(bench):
    return [call.split()[-1] for call in bench.changes() if call.startswith("compose create")]


def test_a_hook_that_fails_before_a_deploy_refuses_it(bench):
    hook(bench, "pre-deploy", "echo not on a Friday; exit 3")
    hook(bench, "on-failure", "touch $BENCH/was-here")
    done = deploy(bench)
    assert done.returncode == 70, done.stdout_text
    assert "| not on a Friday" in done.stdout_text
    assert "Cause: the hook pre-deploy ended with 3. Nothing was changed" in done.stdout_text
    assert replaced(bench) == [] and not (bench.folder / "was-here").exists()
    acts = (bench.folder / "releases/audit.log").read_text().splitlines()
    assert acts[-1].split("\t")[6] == "refused: the hook pre-deploy ended with 3. Nothing was changed"


def test_hooks_know_what_it_is_about(bench):
    for name in ("pre-deploy", "post-deploy"):
        hook(bench, name, f'echo "$DEPLOY_ACT $DEPLOY_FROM $DEPLOY_TO" >$BENCH/{name}')
    before = (bench.folder / "releases/current").read_text().strip()
    done = deploy(bench)
    assert done.returncode == 0, done.stdout_text
    after = (bench.folder / "releases/current").read_text().strip()
    assert before != after
    for name in ("pre-deploy", "post-deploy"):
        assert (bench.folder / name).read_text() == f"deploy {before} {after}\n"
    assert "app-blue" in replaced(bench)


def test_one_that_fails_afterwards_is_a_warning(bench):
    hook(bench, "post-deploy", "exit 1")
    done = deploy(bench)
    assert done.returncode == 0 and "Warning: the hook post-deploy ended with 1" in done.stdout_text


def test_the_examples_are_not_active(bench):
    hook(bench, "pre-deploy.example", "exit 1")
    assert deploy(bench).returncode == 0
