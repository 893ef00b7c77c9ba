"""scripts/status.sh, and `roadstead check` on the stack as it runs."""

import json

import pytest
from docker import ROOT, run, wait_until
from stack import Stack


def test_all_is_well_and_on_one_screen(stack):
    said = stack.script("status.sh").stdout
    lines = said.splitlines()
    assert len(lines) <= 24 and max(map(len, lines)) <= 80, said
    for words in ("app-blue     healthy", "app-green    healthy", "postgres     healthy", "nginx        healthy",
                  "certificate  ends in 39", "maintenance  off", "at work      nobody", "backups      none", " up "):  # fmt: skip
        assert words in said, said


def test_what_is_not_well_is_named_with_what_to_do(stack):
    slot = stack.container("app-green")
    run("docker", "stop", slot)
    try:
        done = stack.script("status.sh", check=False)
        assert done.returncode == 1
        assert "app-green    has ended with 0" in done.stdout and "docker compose logs --tail 20 app-green" in done.stdout
    finally:
        run("docker", "start", slot)
    wait_until(lambda: stack.inspect("app-green")["State"]["Health"]["Status"] == "healthy", 60, "green is back")


def test_where_there_is_no_stack(stack):
    nowhere = Stack(COMPOSE_PROJECT_NAME=f"{stack.project}-nowhere")
    done = nowhere.script("status.sh", check=False)
    assert done.returncode == 69 and "there is no stack" in done.stdout
    done = nowhere.script("maintenance.sh", "on", check=False)
    assert done.returncode == 69 and "there is no stack" in done.stdout
    done = nowhere.script("rollback.sh", check=False)
    assert done.returncode == 69 and "no release" in done.stdout


# ---- roadstead check


def check(stack, *options, facts="", expected=0):
    command = ("docker", "compose", "run", "--rm", "--no-deps", "-T", "check", "check", *options)
    done = run(*command, env=stack.environment, cwd=ROOT, input=facts, check=False)
    assert done.returncode == expected, done.stdout
    return done.stdout


def test_a_stack_as_it_comes_has_no_error_and_no_warning(stack):
    said = stack.script("status.sh", "--check").stdout
    assert "note     settings.domain" in said and "note     ports.firewall" in said
    assert "error " not in said and "warning " not in said, said


def test_findings_are_data_too_and_their_level_decides(stack):
    findings = json.loads(check(stack, "--deploy", "--json"))
    assert {"facts.missing", "settings.domain"} == {finding["id"] for finding in findings}
    assert all(set(finding) == {"id", "level", "what", "cure"} for finding in findings)
    check(stack, "--deploy", "--fail-level", "note", expected=1)
    assert "facts, engine:" in check(stack, "--facts", "-", facts="\n== engine\n{", expected=1)


@pytest.mark.parametrize(
    ("wrong", "right", "finding"),
    [
        ("chmod 644 app/pepper", "chmod 640 app/pepper", "error    secrets.mode: /secrets/app/pepper has the mode 644"),
        ("cp app/pepper app/kept; echo aaa >app/pepper", "cp app/kept app/pepper; rm app/kept", "error    secrets.weak: app-secrets/pepper"),
        ("mv nginx/site.crt nginx/kept", "mv nginx/kept nginx/site.crt", "error    certificate.missing: nginx-secrets/site.crt"),
    ],
)
def test_what_is_wrong_is_found_for_real(stack, wrong, right, finding):
    def change(script):
        volumes = [word for name in ("app", "nginx") for word in ("-v", f"{stack.project}_{name}-secrets:/secrets/{name}")]
        image = f"{stack.project}-nginx"
        run("docker", "run", "--rm", "--user=10001", *volumes, "--entrypoint=sh", image, "-ec", f"cd /secrets; {script}")

    change(wrong)
    try:
        said = check(stack, expected=1)
    finally:
        change(right)
    assert finding in said and "         cure: " in said
    assert "error " not in check(stack)
