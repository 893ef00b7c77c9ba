"""scripts/rotate.sh on a stack that is in use: each kind of key is replaced, nobody is refused, and what is old stays good."""

import base64
import json
import re
import time
from datetime import datetime

import pytest
from docker import ROOT, run, wait_until
from stack import PASSWORD, Load

EMAIL = "keymaster@example.org"
FILES = {"refresh": "refresh_key", "pepper": "pepper", "master": "master_key"}


@pytest.fixture(scope="module")
def account(stack):
    # This one does not sign in: its password keeps an old pepper.
    stack.accept(stack.invite("stowaway@example.org"))
    return stack.accept(stack.invite(EMAIL))


def sign_in(stack):
    status, _, answer = stack.request("POST", "/api/v1/auth/token", {"email": EMAIL, "password": PASSWORD})
    assert status == 200, answer
    return json.loads(answer)


def refresh(stack, tokens):
    status, _, answer = stack.request("POST", "/api/v1/auth/token/refresh", {"refresh_token": tokens["refresh_token"]})
    assert status == 200, answer
    return json.loads(answer)


def kid(tokens):
    header = tokens["access_token"].split(".")[0]
    return json.loads(base64.urlsafe_b64decode(header + "=" * (-len(header) % 4)))["kid"]


def is_let_in(stack, tokens):
    return stack.request("GET", "/api/v1/me", token=tokens["access_token"])[0] == 200


def published(stack):
    return {key["kid"] for key in json.loads(stack.request("GET", "/.well-known/jwks.json")[2])["keys"]}


def lines(stack, kind):
    mount = f"{stack.project}_app-secrets:/s:ro"
    command = ("--entrypoint=cat", f"{stack.project}-nginx", f"/s/{FILES[kind]}")
    return run("docker", "run", "--rm", "--network=none", "--user=0", "-v", mount, *command).stdout.splitlines()


def keys(stack, *words):
    return stack.exec("app-blue", "roadstead", "keys", *words).strip()


def processes(stack):
    return [stack.pid(service) for service in ("nginx", "app-blue", "app-green")]


def test_h2_the_next_signing_key_signs_under_load_and_the_old_one_verifies(stack, account):
    old, before = sign_in(stack), processes(stack)
    load = Load(stack, old["access_token"], "--request", "GET /api/v1/me", "--rate", "100", "--connections", "8", "--seconds", "240")
    wait_until(lambda: load.sent() >= 100, 30, "the load is answered")
    said = stack.script("rotate.sh", "signing").stdout
    next_kid = wait_until(lambda: published(stack) - {kid(old)}, 10, "the next key is published")
    assert any(name in said for name in next_kid), said
    wait_until(lambda: "next, signs from" not in keys(stack, "list"), 60, "its time has come")
    new = sign_in(stack)
    assert kid(new) in next_kid and is_let_in(stack, old) and is_let_in(stack, new)
    report = load.stop()
    report["failed"].pop("interrupted", None)
    assert not report["failed"], report
    assert processes(stack) == before


def replace(stack, kind):
    """The id of the new key, once it is used."""
    known = lines(stack, kind)
    said = stack.script("rotate.sh", kind).stdout
    name, since = re.search(rf"added (\S+) to app-secrets/{FILES[kind]}: it is used from (\S+) on", said).groups()
    after = lines(stack, kind)
    assert after[:-1] == known and not any(line.split()[-1] in said for line in after), "no key on the screen"
    used = datetime.fromisoformat(since.replace("Z", "+00:00")).timestamp()
    wait_until(lambda: time.time() > used + 2, 60, "its time has come")
    return name


def test_a_new_refresh_key_carries_sessions_on(stack, account):
    tokens, before = sign_in(stack), processes(stack)
    name = replace(stack, "refresh")
    assert tokens["refresh_token"].split(".")[2] != name
    for _ in range(2):
        tokens = refresh(stack, tokens)
        assert tokens["refresh_token"].split(".")[2] == name and is_let_in(stack, tokens)
    assert processes(stack) == before


def test_a_new_pepper_follows_whoever_signs_in_and_the_old_one_stays_for_the_others(stack, account):
    before = processes(stack)
    name = replace(stack, "pepper").translate(str.maketrans("-_", "+/"))
    for _ in range(2):
        assert is_let_in(stack, sign_in(stack))
        assert f",keyid={name}$" in stack.sql(f"SELECT password_hash FROM users WHERE email = '{EMAIL}'")
    known = lines(stack, "pepper")
    done = stack.script("rotate.sh", "pepper", "--prune", check=False)
    assert done.returncode == 70 and "accounts have a password hash of an older pepper" in done.stdout
    assert lines(stack, "pepper") == known and processes(stack) == before


def test_signing_keys_follow_a_new_master_key(stack, account):
    old = sign_in(stack)
    name = replace(stack, "master")
    sealed = "SELECT DISTINCT master_kid FROM signing_keys WHERE retired_at IS NULL AND revoked_at IS NULL"
    wait_until(lambda: stack.sql(sealed) == name, 180, "they are sealed anew")
    assert keys(stack, "outdated", "master") == "0" and is_let_in(stack, old)
    known = lines(stack, "master")
    assert "over an hour ago" in stack.script("rotate.sh", "master", "--prune").stdout
    assert lines(stack, "master") == known, "the old one has been replaced for minutes only"
    # What the files hold is enough for a new start, too.
    run("docker", "restart", stack.container("app-green"), timeout=120)
    wait_until(lambda: stack.inspect("app-green")["State"]["Health"]["Status"] == "healthy", 60, "green is healthy")
    assert is_let_in(stack, old) and is_let_in(stack, sign_in(stack))


def test_a_dry_run_changes_nothing(stack, account):
    known = {kind: lines(stack, kind) for kind in FILES}
    signing = keys(stack, "list")
    for words in ("signing",), ("refresh",), ("pepper", "--prune"), ("master",):
        assert "nothing was changed" in stack.script("rotate.sh", *words, "--dry-run").stdout
    assert {kind: lines(stack, kind) for kind in FILES} == known and keys(stack, "list") == signing


def test_without_a_stack_it_says_what_brings_one(stack):
    environment = stack.environment | {"COMPOSE_PROJECT_NAME": f"{stack.project}-none"}
    done = run(ROOT / "scripts/rotate.sh", "refresh", env=environment, check=False)
    assert done.returncode == 69 and "no slot of" in done.stdout and "scripts/up.sh" in done.stdout
