"""Releases that are bad on purpose: the one before goes on serving or comes back by itself, and the screen says why."""

import pytest
from docker import ROOT, wait_until
from releases import Releases, failed, failures, sent


@pytest.fixture(scope="module")
def releases(stack):
    return Releases(stack)


@pytest.fixture(scope="module")
def admin(stack):
    return stack.accept(stack.invite("pessimist@example.org", "--admin"))


def deploy_under_load(stack, releases, admin, fault, *reasons):
    """The reports of the load; all else is as it was before."""
    before = releases.current()
    loads = releases.fire(stack.token(admin), 50)
    done = releases.deploy(fault=fault, check=False, timeout=300)
    reports = releases.cease(loads)
    assert done.returncode == 70, done.stdout
    told = done.stdout.partition("\nCause: ")[2]
    assert f"{before} serves again" in told, done.stdout
    for reason in reasons:
        assert reason in done.stdout, done.stdout
    assert releases.current() == before
    wait_until(lambda: releases.runs(before), 60, "both slots are the release before")
    assert stack.request("GET", "/health/ready")[0] == 200
    act, source, target, ending = releases.acts()[-1]
    assert (act, source) == ("deploy", before) and target != before and ending.startswith("failed: ")
    releases.check_writes(loads)
    return reports


def test_one_that_never_gets_ready(stack, releases, admin):
    reports = deploy_under_load(
        stack, releases, admin, "never-ready", "waiting for what never comes", "app-blue is unhealthy", "health check: "
    )
    assert failed(reports) == 0, failures(reports)


@pytest.fixture
def hook(tmp_path):
    """The operator's hook on-failure; and what it was told."""
    path, told = ROOT / "deploy/hooks/on-failure", tmp_path / "told"
    path.write_text(f'#!/bin/sh\necho "$DEPLOY_ACT $DEPLOY_FROM $DEPLOY_TO: $DEPLOY_REASON" >{told}\n')
    path.chmod(0o755)
    yield told
    path.unlink()


def test_one_whose_migration_fails(stack, releases, admin, hook):
    reports = deploy_under_load(
        stack, releases, admin, "migrate", "0099_boats.sql, line 3: a fault on purpose", "migrate has ended with 1"
    )
    assert failed(reports) == 0, failures(reports)
    _, source, target, _ = releases.acts()[-1]
    assert hook.read_text() == f"deploy {source} {target}: migrate has ended with 1\n"


def test_one_that_crashes_after_some_seconds(stack, releases, admin):
    reports = deploy_under_load(stack, releases, admin, "crash:4", "a crash on purpose", "Cause: app-blue ")
    # Each crash takes no more with it than the slot held: 2 times 16 connections, and 2 times 2 with 8 streams.
    assert failed(reports) <= 64 * 5, reports
    print(f"\n{failed(reports)} of {sent(reports)} failed")


def test_one_half_of_whose_answers_are_errors(stack, releases, admin):
    reports = deploy_under_load(stack, releases, admin, "errors:50", "requests with an error")
    classes = {name for report in reports for name in report["failed"]}
    assert classes <= {"status_500", "status_501"} and failed(reports) > 0, reports
    print(f"\n{failed(reports)} of {sent(reports)} failed")


def test_one_that_is_slow(stack, releases, admin):
    reports = deploy_under_load(stack, releases, admin, "slow:700", "takes 7", "times as long is allowed")
    assert failed(reports) == 0, failures(reports)
