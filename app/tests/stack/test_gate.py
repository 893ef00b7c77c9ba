"""A service behind the whole stack's tokens: only whoever may come in does, and it knows who that is."""

import json

import pytest
from docker import wait_until

EMAIL = "gate@example.org"
# It says what it got. nginx plays it: only what comes in before it is of interest here.
SERVICE = """
server {
    listen unix:/run/nginx/service.sock;
    access_log off;
    location / {
        default_type application/json;
        return 200 '{"user":"$http_x_user_id","scope":"$http_x_user_scope","token":"$http_authorization","cookie":"$http_cookie"}';
    }
}
"""
GATE = """
location ^~ /gate/%(permission)s/ {
    set $permission %(permission)s;
    include snippets/require-sign-in.conf;
    proxy_pass http://unix:/run/nginx/service.sock;
}
"""
FILES = {"sites/service.conf": SERVICE, "services/gate.conf": GATE % {"permission": "notes"} + GATE % {"permission": "users"}}


def workers(stack):
    """nginx's processes that take new connections."""
    script = "for one in /proc/[0-9]*; do grep -qa 'worker process' $one/cmdline && ! grep -qa shutting $one/cmdline && echo $one; done; true"
    return set(stack.exec("nginx", "sh", "-c", f"({script}) 2>/dev/null").split())


@pytest.fixture(scope="module")
def gate(stack):
    """As if the image had these files: its entry script rendered it into a tmpfs."""

    def reload(status):
        old = workers(stack)
        assert old
        stack.compose("kill", "--signal", "HUP", "nginx")
        # Until then some connections are still the old ones'.
        wait_until(lambda: not workers(stack) & old, 30, "nginx has read its configuration")
        assert stack.request("GET", "/gate/notes/")[0] == status

    for file, text in FILES.items():
        stack.exec("nginx", "sh", "-c", f"cat >/run/nginx/{file}", input=text)
    stack.exec("nginx", "nginx", "-t", "-q", "-c", "/run/nginx/nginx.conf")
    reload(401)
    yield stack
    stack.exec("nginx", "rm", *(f"/run/nginx/{file}" for file in FILES))
    reload(404)


@pytest.fixture(scope="module")
def token(stack):
    return stack.token(stack.accept(stack.invite(EMAIL)))


def refused(stack, path, token=None):
    """Status, challenges and problem of a refusal; the shape is that of every other."""
    status, headers, body = stack.request("GET", path, token=token)
    problem = json.loads(body)
    assert headers["Content-Type"] == "application/problem+json" and headers["Cache-Control"] == "no-store"
    assert problem.pop("request_id") == headers["X-Request-Id"] and problem["status"] == status
    return status, headers.get_all("WWW-Authenticate"), problem


def test_whoever_may_come_in_is_named_and_nobody_else(gate, token):
    forged = {"X_User_Id": "root", "X_User_Scope": "users", "Cookie": "__Host-refresh=x"}
    status, _, body = gate.request("GET", "/gate/notes/", token=token, **forged)
    assert status == 200, body
    me = json.loads(gate.request("GET", "/api/v1/me", token=token)[2])
    assert json.loads(body) == {"user": me["id"], "scope": "account notes", "token": "", "cookie": ""}
    assert gate.request("POST", "/gate/notes/", {"a": "b"}, token=token)[0] == 200


def test_a_refusal_is_the_one_of_every_other_route(gate, token):
    assert refused(gate, "/gate/notes/") == refused(gate, "/api/v1/me")
    assert refused(gate, "/gate/notes/", token[:-1]) == refused(gate, "/api/v1/me", token[:-1])
    assert refused(gate, "/gate/users/", token) == refused(gate, "/api/v1/users", token)
    assert refused(gate, "/gate/users/", token)[2]["code"] == "insufficient_scope"


def test_a_token_that_has_ended_opens_nothing_more(gate):
    """An own session: its end is in both slots within a second."""
    token = gate.token(EMAIL)
    assert gate.request("GET", "/gate/notes/", token=token)[0] == 200
    gate.sql(f"UPDATE users SET version = version + 1 WHERE email = '{EMAIL}'")

    def answers():
        """Of both slots, which nginx asks in turn."""
        return {gate.request("GET", "/gate/notes/", token=token)[0] for _ in range(6)}

    wait_until(lambda: answers() == {401}, 30, "it has ended")
    assert refused(gate, "/gate/notes/", token)[2]["code"] == "token_revoked"


def test_nothing_internal_is_reached_from_outside(gate, token):
    for path in ("/internal/authorize?permission=notes", "/internal/metrics"):
        assert gate.request("GET", path, token=token)[0] == 404
