"""The served document against what the stack really answers, by Schemathesis: no 5xx, no status, media type or body
that is not told, no way in without a token; the inputs are made from the document, the same ones each time."""

import json
import os
import sys
from pathlib import Path

import pytest
from docker import run
from stack import PASSWORD

SCHEMATHESIS = Path(sys.executable).with_name("schemathesis")
ADMIN, VICTIM = "openapi-admin@example.org", "openapi-victim@example.org"
EXAMPLES = 300 if os.environ.get("TEST_FULL") else 10
# A rule can be more than a schema says, and `errors` tells it: what fits the schema may still be refused.
TOO_STRICT = "positive_data_acceptance"


@pytest.fixture(scope="module")
def accounts(stack):
    """Two of its own: the one that asks, and the one that bears it."""
    for email, *options in ((ADMIN, "--admin"), (VICTIM,)):
        command = ("roadstead", "user", "create", email, *options, "--password-stdin")
        stack.exec("app-blue", *command, input=PASSWORD)
    return ADMIN, VICTIM


def ask(stack, token, method, path, body=None):
    status, _, answer = stack.request(method, path, body, token)
    assert status in (200, 201), answer
    return json.loads(answer)


@pytest.fixture(scope="module")
def pins(stack, accounts):
    """What an id is in an operation, so that it finds something, and nobody else's account is changed."""
    admin, spare, victim = (stack.token(email) for email in (ADMIN, ADMIN, VICTIM))
    own = ask(stack, spare, "GET", "/api/v1/sessions")["items"]
    user = ask(stack, victim, "GET", "/api/v1/me")["id"]
    theirs = ask(stack, victim, "GET", "/api/v1/sessions")["items"][0]["id"]
    note = ask(stack, admin, "POST", "/api/v1/notes", {"title": "Soundings"})["id"]
    key = ask(stack, admin, "POST", "/api/v1/api-keys", {"name": "pilot", "scope": "notes", "expires_in_days": 1})["id"]
    return {
        "DELETE /api/v1/sessions/{id}": {"id": next(one["id"] for one in own if one["current"])},
        "DELETE /api/v1/api-keys/{id}": {"id": key},
        "GET /api/v1/notes/{id}": {"id": note},
        "PATCH /api/v1/notes/{id}": {"id": note},
        "GET /api/v1/users/{id}": {"id": user},
        "PATCH /api/v1/users/{id}": {"id": user},
        "DELETE /api/v1/users/{id}/sessions": {"id": user},
        "DELETE /api/v1/users/{id}/sessions/{session}": {"id": user, "session": theirs},
    }


def explore(stack, tmp_path, settings, but=TOO_STRICT):
    """All operations of the document, with a configuration (TOML, of which JSON's values are a part)."""
    nothing_learnt = [
        line for phase in ("coverage", "fuzzing")
        for line in (f"[phases.{phase}.extra-data-sources]", "responses = false")
    ]  # fmt: skip
    config = tmp_path / "schemathesis.toml"
    config.write_text("\n".join([*nothing_learnt, *settings]))
    said = run(
        *(SCHEMATHESIS, "--config-file", config, "run", f"{stack.url}/api/openapi.json", "--tls-verify", stack.ca),
        *("--phases", "coverage,fuzzing", "--generation-deterministic", "--max-examples", EXAMPLES),
        *("--checks", "all", "--exclude-checks", but, "--continue-on-failure", "--no-color", "--warnings", "off"),
        cwd=tmp_path, check=False, timeout=1800,
    )  # fmt: skip
    assert said.returncode == 0, said.stdout
    assert " passed" in said.stdout, said.stdout


def operation(name, **settings):
    def inline(value):
        if isinstance(value, dict):
            return "{" + ", ".join(f"{json.dumps(name)} = {inline(one)}" for name, one in value.items()) + "}"
        return json.dumps(value)

    return ["[[operations]]", f'include-name = "{name}"', *(f"{key} = {inline(one)}" for key, one in settings.items())]


OWN_PAGE = {"X-Requested-With": "roadstead"}
BROWSERS = [
    line
    for name in ("POST /api/v1/auth/session", "POST /api/v1/auth/session/refresh")
    for line in operation(name, headers=OWN_PAGE)
]


def test_with_a_token_all_is_as_the_document_says(stack, pins, tmp_path):
    signs_in = [
        "[auth.dynamic.openapi.bearer]",
        'path = "/api/v1/auth/token"',
        'method = "post"',
        f'payload = {{ email = "{ADMIN}", password = "{PASSWORD}" }}',
        'extract_selector = "/access_token"',
    ]
    # It would end the very session that asks.
    signs_out = operation("DELETE /api/v1/auth/session", enabled=False)
    pinned = [line for name, ids in pins.items() for line in operation(name, parameters=ids)]
    explore(stack, tmp_path, [*signs_in, *BROWSERS, *signs_out, *pinned])


def test_without_a_token_all_is_as_the_document_says(stack, tmp_path):
    # Without one, a method that is not there is 401, too.
    but = f"{TOO_STRICT},unsupported_method"
    explore(stack, tmp_path, [*BROWSERS, *operation("DELETE /api/v1/auth/session", headers=OWN_PAGE)], but)


def test_the_document_is_answered_by_its_tag(stack):
    status, headers, _ = stack.request("GET", "/api/openapi.json")
    assert status == 200
    for tag in (headers["ETag"], f'W/{headers["ETag"].removeprefix("W/")}'):
        status, _, body = stack.request("GET", "/api/openapi.json", If_None_Match=tag)
        assert (status, body) == (304, b"")
