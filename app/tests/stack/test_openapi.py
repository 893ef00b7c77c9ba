"""The served document against what the stack really answers.

Schemathesis makes requests from the document, the same ones each time, good and bad, and holds the replies against it: no
5xx, no status, media type or body that is not told, no way in without a token.
"""

import json
import os
import ssl
import sys
from pathlib import Path

import httpx
import pytest
import schemathesis
from docker import run, wait_until
from stack import PASSWORD

ADMIN, VICTIM, SAILOR = (f"openapi-{name}@example.org" for name in ("admin", "victim", "sailor"))
EXAMPLES = 300 if os.environ.get("TEST_FULL") else 25
# A rule can be more than a schema says, and `errors` tells it: what fits the schema may still be refused.
TOO_STRICT = "positive_data_acceptance"
OWN_PAGE = {"X-Requested-With": "roadstead"}


@pytest.fixture(scope="module", autouse=True)
def accounts(stack):
    """Of its own: one that asks, one that bears it, one that signs in and out."""
    for email, *options in ((ADMIN, "--admin"), (VICTIM,), (SAILOR,)):
        command = ("roadstead", "user", "create", email, *options, "--password-stdin")
        stack.exec("app-blue", *command, input=PASSWORD)


@pytest.fixture(scope="module")
def known(stack):
    """What an id is half of the time, so that something is there, and is nobody else's."""

    def ask(token, method, path, body=None):
        status, _, answer = stack.request(method, path, body, token)
        assert status in (200, 201), answer
        return json.loads(answer)

    admin, spare, victim = (stack.token(email) for email in (ADMIN, ADMIN, VICTIM))
    own = next(one["id"] for one in ask(spare, "GET", "/api/v1/sessions")["items"] if one["current"])
    user = ask(victim, "GET", "/api/v1/me")["id"]
    theirs = ask(victim, "GET", "/api/v1/sessions")["items"][0]["id"]
    note, other = (ask(admin, "POST", "/api/v1/notes", {"title": title})["id"] for title in ("Soundings", "Tides"))
    key = {"name": "pilot", "scope": "notes", "expires_in_days": 1}
    return {
        "POST /api/v1/api-keys": {"body.scope": "notes"},
        "DELETE /api/v1/api-keys/{id}": {"path.id": ask(admin, "POST", "/api/v1/api-keys", key)["id"]},
        "DELETE /api/v1/sessions/{id}": {"path.id": own},
        "GET /api/v1/notes/{id}": {"path.id": note},
        "PATCH /api/v1/notes/{id}": {"path.id": note},
        "DELETE /api/v1/notes/{id}": {"path.id": other},
        "GET /api/v1/users/{id}": {"path.id": user},
        "PATCH /api/v1/users/{id}": {"path.id": user},
        "DELETE /api/v1/users/{id}/sessions": {"path.id": user},
        "DELETE /api/v1/users/{id}/sessions/{session}": {"path.id": user, "path.session": theirs},
    }


def table(name, **values):
    """A table of TOML, of which JSON's texts and numbers are a part."""

    def inline(value):
        if isinstance(value, dict):
            return "{" + ", ".join(f"{json.dumps(key)} = {inline(one)}" for key, one in value.items()) + "}"
        return json.dumps(value)

    return "\n".join([name, *(f"{key} = {inline(value)}" for key, value in values.items())])


def operation(name, **settings):
    return table("[[operations]]", **{"include-name": name}, **settings)


def explore(stack, tmp_path, *tables, but=TOO_STRICT):
    """Every operation of the document."""
    config = tmp_path / "schemathesis.toml"
    # Ids out of replies would be those of other tests' accounts.
    alone = [table(f"[phases.{phase}.extra-data-sources]", responses=False) for phase in ("coverage", "fuzzing")]
    browsers = [operation(f"POST /api/v1/auth/session{more}", headers=OWN_PAGE) for more in ("", "/refresh")]
    config.write_text("\n".join([*alone, *browsers, *tables]))
    program = Path(sys.executable).with_name("schemathesis")
    options = ["--config-file", config, "run", f"{stack.url}/api/openapi.json", "--tls-verify", stack.ca]
    options += ["--phases", "coverage,fuzzing", "--generation-deterministic", "--max-examples", EXAMPLES]
    options += ["--checks", "all", "--exclude-checks", but, "--continue-on-failure", "--no-color", "--warnings", "off"]
    # The machine may be busy with other things.
    options += ["--request-timeout", 60, "--suppress-health-check", "all"]
    done = run(program, *options, cwd=tmp_path, check=False, timeout=1800)
    assert done.returncode == 0, done.stdout
    assert "Coverage" in done.stdout and "Fuzzing" in done.stdout, done.stdout


def test_with_a_token_all_is_as_the_document_says(stack, known, tmp_path):
    tables = [
        table(
            "[auth.dynamic.openapi.bearer]",
            path="/api/v1/auth/token",
            method="post",
            payload={"email": ADMIN, "password": PASSWORD},
            extract_selector="/access_token",
        ),
        # They would end the very session that asks.
        operation("DELETE /api/v1/auth/session", enabled=False),
        operation("DELETE /api/v1/sessions", enabled=False),
    ]
    for name, values in known.items():
        bound = {place: {"dictionary": f"{name} {place}", "probability": 0.5} for place in values}
        tables.append(operation(name, parameters=bound))
        for place, value in values.items():
            tables.append(table(f'[dictionaries."{name} {place}"]', values=[value]))
    explore(stack, tmp_path, *tables)


def test_without_a_token_all_is_as_the_document_says(stack, tmp_path):
    # A method that is not there is then 401, too.
    but = f"{TOO_STRICT},unsupported_method"
    explore(stack, tmp_path, operation("DELETE /api/v1/auth/session", headers=OWN_PAGE), but=but)


def test_sessions_of_every_kind_are_as_the_document_says(stack):
    with httpx.Client(base_url=stack.url, verify=ssl.create_default_context(cafile=stack.ca)) as client:
        document = schemathesis.openapi.from_dict(client.get("/api/openapi.json").json())

        def ask(expected, method, path, token=None, **options):
            headers = {"Authorization": f"Bearer {token}"} if token else OWN_PAGE
            reply = client.request(method, path, headers=headers, **options)
            assert reply.status_code == expected, reply.text
            document[path][method].validate_response(reply)
            return reply.json() if reply.content else None

        account = {"email": SAILOR, "password": PASSWORD}
        tokens = ask(200, "POST", "/api/v1/auth/token", json=account)
        tokens = ask(200, "POST", "/api/v1/auth/token/refresh", json={"refresh_token": tokens["refresh_token"]})
        passwords = {"current_password": PASSWORD, "new_password": "nine fathoms of chain"}
        tokens = ask(200, "POST", "/api/v1/auth/password", tokens["access_token"], json=passwords)
        ask(200, "GET", "/api/v1/me", tokens["access_token"])
        ask(400, "DELETE", "/api/v1/sessions", tokens["access_token"], params={"current": "perhaps"})
        ask(204, "DELETE", "/api/v1/sessions", tokens["access_token"])
        ask(200, "POST", "/api/v1/auth/token/revoke", data={"token": tokens["refresh_token"]})
        bearer = {"Authorization": f"Bearer {tokens['access_token']}"}
        # nginx asks both slots in turn.
        answers = lambda: {client.get("/api/v1/me", headers=bearer).status_code for _ in range(6)}  # noqa: E731
        wait_until(lambda: answers() == {401}, 10, "its session is over")
        ask(401, "GET", "/api/v1/me", tokens["access_token"])

        account["password"] = passwords["new_password"]
        ask(200, "POST", "/api/v1/auth/session", json=account)
        ask(200, "POST", "/api/v1/auth/session/refresh")
        ask(204, "DELETE", "/api/v1/auth/session")
        ask(400, "POST", "/api/v1/auth/session/refresh")

        pair = ask(200, "POST", "/api/token/", json=account)
        pair = ask(200, "POST", "/api/token/refresh/", data={"refresh": pair["refresh"]})
        ask(200, "POST", "/api/token/verify/", json={"token": pair["access"]})
        ask(200, "POST", "/api/token/blacklist/", json={"refresh": pair["refresh"]})
        ask(401, "POST", "/api/token/refresh/", json={"refresh": pair["refresh"]})


def test_the_document_is_answered_by_its_tag(stack):
    status, headers, _ = stack.request("GET", "/api/openapi.json")
    assert status == 200
    for tag in (headers["ETag"], f"W/{headers['ETag'].removeprefix('W/')}"):
        status, _, body = stack.request("GET", "/api/openapi.json", If_None_Match=tag)
        assert (status, body) == (304, b"")


def test_swagger_ui_is_packed_for_whoever_takes_that(stack):
    for coding, packed in (("gzip", "gzip"), ("identity", None)):
        status, headers, body = stack.request("GET", "/api/docs/swagger-ui.css", Accept_Encoding=coding)
        assert (status, headers["Content-Encoding"], headers["Vary"]) == (200, packed, "Accept-Encoding")
        assert (b".swagger-ui" in body) == (packed is None)
