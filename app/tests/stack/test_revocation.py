"""Sessions and what ends them, through nginx and both slots: the lines of the security requirements by their numbers."""

import json
import re

import pytest
from docker import run, wait_until
from stack import PASSWORD

OTHER = "made fast with a bowline"
CHALLENGE = 'Bearer realm="api", error="invalid_token"'


class Person:
    """Somebody with an account of their own, and a session."""

    def __init__(self, stack, email, *options):
        self.stack, self.email = stack, stack.accept(stack.invite(email, *options))
        self.sign_in()

    def sign_in(self, password=PASSWORD):
        body = {"email": self.email, "password": password}
        status, _, answer = self.stack.request("POST", "/api/v1/auth/token", body)
        assert status == 200, answer
        self.take(answer)
        return self

    def take(self, answer):
        tokens = json.loads(answer)
        self.access, self.refresh_token = tokens["access_token"], tokens["refresh_token"]

    def ask(self, method, path, body=None, **headers):
        return self.stack.request(method, path, body, token=self.access, **headers)

    def refresh(self):
        return self.stack.request("POST", "/api/v1/auth/token/refresh", {"refresh_token": self.refresh_token})

    def another(self):
        """Another session of the same person."""
        other = object.__new__(Person)
        other.stack, other.email = self.stack, self.email
        return other.sign_in()

    def is_out(self):
        """On both slots: nginx asks them in turn, a new connection for each request."""
        answers = [self.ask("GET", "/api/v1/me") for _ in range(6)]
        return all(status == 401 and json.loads(body)["code"] == "token_revoked" for status, _, body in answers)

    def assert_out(self):
        wait_until(self.is_out, 5, f"a session of {self.email} has ended on both slots")
        status, headers, body = self.ask("GET", "/api/v1/me")
        assert (status, headers["WWW-Authenticate"], headers["Cache-Control"]) == (401, CHALLENGE, "no-store")
        assert headers["Content-Type"] == "application/problem+json"
        status, _, body = self.refresh()
        assert (status, json.loads(body)["code"]) == (400, "invalid_grant")

    def assert_in(self):
        assert [self.ask("GET", "/api/v1/me")[0] for _ in range(6)] == [200] * 6


@pytest.fixture(scope="module")
def ada(stack):
    return Person(stack, "ada@sessions.example.org")


@pytest.fixture(scope="module")
def admin(stack):
    return Person(stack, "admin@sessions.example.org", "--admin")


def test_e1_a_sign_out_ends_the_access_token_on_both_slots(ada):
    for _ in range(3):
        here = ada.another()
        here.assert_in()
        assert here.ask("DELETE", "/api/v1/auth/session", Sec_Fetch_Site="same-origin")[0] == 204
        here.assert_out()
    ada.assert_in()


def test_e2_all_other_sessions_end(ada):
    here, others = ada.another(), [ada.another(), ada.another()]
    assert here.ask("DELETE", "/api/v1/sessions")[0] == 204
    for other in others:
        other.assert_out()
    here.assert_in()
    ada.sign_in()


def test_e3_a_revocation_says_200_to_garbage_and_ends_what_is_the_caller_s(ada, stack):
    def revoke(form):
        asked = ("curl", "--silent", "--cacert", stack.ca, "--output", "/dev/null", "--write-out", "%{http_code}",
                 "--data", form, f"{stack.url}/api/v1/auth/token/revoke")
        return run(*asked).stdout

    here = ada.another()
    for form in ("token=garbage", "token=", f"token={here.refresh_token[:-1]}"):
        assert revoke(form) == "200"
    assert revoke("nothing=here") == "400"
    here.assert_in()
    assert revoke(f"token={here.refresh_token}") == "200"
    here.assert_out()


def test_e5_another_one_s_session_is_not_there(ada, admin):
    sessions = json.loads(admin.ask("GET", "/api/v1/sessions")[2])["items"]
    assert [session["current"] for session in sessions].count(True) == 1
    assert re.fullmatch(r"[0-9a-f.:]+", sessions[0]["ip"]), sessions
    status, _, body = ada.ask("DELETE", f"/api/v1/sessions/{sessions[0]['id']}")
    assert (status, json.loads(body)["code"]) == (404, "not_found")


def test_e6_a_new_password_ends_the_other_sessions_and_gives_a_new_pair(stack):
    grace = Person(stack, "grace@sessions.example.org")
    other = grace.another()
    path, body = "/api/v1/auth/password", {"current_password": "not her password", "new_password": OTHER}
    status, _, answer = grace.ask("POST", path, body)
    assert (status, json.loads(answer)["errors"][0]["field"]) == (400, "current_password")
    status, headers, answer = grace.ask("POST", path, body | {"current_password": PASSWORD})
    assert status == 200, answer
    assert "no-store" in headers["Cache-Control"] and "Content-Encoding" not in headers
    other.assert_out()
    grace.take(answer)
    grace.assert_in()
    assert grace.refresh()[0] == 200


def test_e7_d8_what_an_administrator_decides_holds_on_both_slots(stack, admin):
    bob = Person(stack, "bob@sessions.example.org")
    users = json.loads(admin.ask("GET", "/api/v1/users")[2])["items"]
    path = "/api/v1/users/" + next(user["id"] for user in users if user["email"] == bob.email)

    # A right comes and goes by a refresh; nobody signs in again.
    for granted, status in ((True, 200), (False, 403)):
        assert admin.ask("PATCH", path, {"admin": granted})[0] == 200
        wait_until(bob.is_out, 5, "the token with the old rights has ended")
        bob.take(bob.refresh()[2])
        assert {bob.ask("GET", "/api/v1/users")[0] for _ in range(4)} == {status}
    assert admin.ask("PATCH", path, {"disabled": True})[0] == 200
    bob.assert_out()
    refused = stack.request("POST", "/api/v1/auth/token", {"email": bob.email, "password": PASSWORD})
    assert refused[0] == 401
    assert admin.ask("PATCH", path, {"disabled": False})[0] == 200
    bob.sign_in().assert_in()


def test_h1_the_public_keys_are_public_halves_and_not_kept_for_long(stack):
    status, headers, body = stack.request("GET", "/.well-known/jwks.json")
    assert status == 200
    kept = int(re.search(r"max-age=(\d+)", headers["Cache-Control"]).group(1))
    assert 0 < kept <= 900
    for key in json.loads(body)["keys"]:
        assert {name: key[name] for name in ("kty", "crv", "alg", "use")} == {
            "kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig"}
        assert set(key) == {"kty", "crv", "alg", "use", "kid", "x"}


def test_d9_k_no_token_or_password_is_in_a_log_or_a_dump_and_each_refusal_is_one_event(stack, ada):
    here = ada.another()
    forged = f"nobody@sessions.example.org\r\n{{\"level\":\"ERROR\"}}"
    stack.request("POST", "/api/v1/auth/token", {"email": forged, "password": PASSWORD})
    refused = here.ask("GET", "/api/v1/users")
    assert refused[0] == 403
    request_id = json.loads(refused[2])["request_id"]
    assert here.refresh()[0] == 200

    logs = {service: run("docker", "logs", stack.container(service), env=stack.environment) for service in
            ("app-blue", "app-green", "nginx", "postgres")}
    text = "".join(log.stdout for log in logs.values())
    dump = stack.exec("postgres", "pg_dump", "-d", "roadstead")
    secrets = (PASSWORD, OTHER, here.access, here.refresh_token, here.refresh_token.rsplit(".", 1)[1])
    for secret in secrets:
        assert secret not in text and secret not in dump
    apps = logs["app-blue"].stdout + logs["app-green"].stdout
    lines = [json.loads(line) for line in apps.splitlines()]
    events = [line for line in lines if line.get("request_id") == request_id]
    assert [(line["event"], line["code"], line["status"]) for line in events] == [("authz_fail", "insufficient_scope", 403)]
    assert re.fullmatch(r"[0-9a-f-]{36}", events[0]["user.id"])
    # The audit log and the answer tell of the same request.
    rows = stack.sql("SELECT count(*) FROM audit_events WHERE event = 'authn_login_success' AND request_id IS NOT NULL")
    assert int(rows) > 0


def test_the_metrics_are_for_the_inside_only(stack):
    for path in ("/internal/metrics", "/internal/../internal/metrics", "//internal/metrics"):
        assert stack.request("GET", path)[0] == 404
