"""Another service behind nginx, and who is let through to it: by the example of nginx/services/, as an operator would take it."""

import json
import re

import pytest
from front import ROOT
from standin import CHALLENGES, USER
from test_nginx import PAGE, PROBLEM, assert_failure, assert_security_headers

HTTP = pytest.mark.parametrize("http2", [True, False], ids=["http2", "http1"])
SERVICE = "http://unix:/run/roadstead/service.sock"
GOOD = {"Authorization": "Bearer 204"}


def example():
    """What is below the line, without its comment signs."""
    text = (ROOT / "nginx/services/example.conf").read_text().split("# ----", 1)[1].split("\n", 1)[1]
    return re.sub("^# ?", "", text, flags=re.MULTILINE).replace("http://reports:8000", SERVICE)


@pytest.fixture(scope="module")
def gate(make_front):
    taken = f"""
        location ^~ /forgotten/ {{ include snippets/require-sign-in.conf; proxy_pass {SERVICE}; }}
        location ^~ /trusted/ {{
            set $permission users;
            include snippets/require-sign-in.conf;
            proxy_set_header Authorization $http_authorization;
            proxy_pass {SERVICE};
        }}"""
    return make_front(https_port=18443, services={"example.conf": example(), "more.conf": taken})


class Questions:
    """What the application is asked from now on."""

    def __init__(self, gate):
        self.slots = [(slot, len(slot.requests)) for slot in gate.slots]

    def all(self):
        return [request for slot, known in self.slots for request in slot.requests[known:]]

    def paths(self):
        return [path for _, path, _, _ in self.all()]


def got(gate, method, path, headers, **options):
    """A reply, and the head and body that the service saw."""
    before = len(gate.service.requests)
    reply = gate.request(method, path, headers=headers, **options)
    assert reply.status_code == 200, reply.text
    (seen,) = gate.service.requests[before:]
    return reply, seen


# Who has a good token


@HTTP
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_a_request_comes_through_as_it_is(gate, method, http2):
    body = b"%PDF" * 100_000 if method in ("POST", "PUT", "PATCH") else b""
    questions = Questions(gate)
    options = {"content": body} if body else {}
    reply, (seen, path, headers, arrived) = got(gate, method, "/reports/2026/a%2Fb?x=1&y", GOOD, http2=http2, **options)
    assert (seen, path, arrived) == (method, "/reports/2026/a%2Fb?x=1&y", body)
    assert_security_headers(reply)
    assert headers["Host"] == gate.authority and headers["X-Forwarded-Proto"] == "https"
    assert headers["X-Request-Id"] == reply.headers["x-request-id"]

    # One question, in a head alone, whatever was asked.
    ((question, address, head, nothing),) = questions.all()
    assert (question, address, nothing) == ("GET", "/internal/authorize?permission=notes", b"")
    assert head["Authorization"] == "Bearer 204" and head["X-Request-Id"] == reply.headers["x-request-id"]


def test_a_body_without_a_length_comes_through(gate):
    _, (_, _, _, arrived) = got(gate, "POST", "/reports/", GOOD, content=iter([b"a" * 70_000, b"b"]), http2=False)
    assert arrived == b"a" * 70_000 + b"b"


@HTTP
@pytest.mark.parametrize("name", ["X-User-Id", "x-user-id", "X-USER-ID", "X_User_Id", "X-User_Id", "X-User-Scope", "x_user_scope"])
def test_nobody_says_themselves_who_they_are(gate, name, http2):
    forged = [*GOOD.items(), (name, "root"), (name, "root2"), ("X-Other", "kept")]
    _, (_, _, headers, _) = got(gate, "GET", "/reports/", forged, http2=http2)
    assert headers.get_all("X-User-Id") == [USER]
    assert headers.get_all("X-User-Scope") == ["account notes"]
    assert headers["X-Other"] == "kept"
    assert "root" not in str(headers)
    assert [key for key in headers if "_" in key] == []


@HTTP
def test_the_service_gets_nothing_that_it_could_act_with(gate, http2):
    headers = [*GOOD.items(), ("Cookie", "__Host-refresh=secret"), ("Cookie", "a=b")]
    _, (_, _, seen, _) = got(gate, "GET", "/reports/", headers, http2=http2)
    assert "Authorization" not in seen and "Cookie" not in seen
    assert "secret" not in str(seen)


def test_it_gets_the_token_where_the_operator_says_so(gate):
    questions = Questions(gate)
    _, (_, _, seen, _) = got(gate, "GET", "/trusted/", GOOD)
    assert seen.get_all("Authorization") == ["Bearer 204"] and "Cookie" not in seen
    assert questions.paths() == ["/internal/authorize?permission=users"]


# Who has not


@HTTP
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
@pytest.mark.parametrize("status", [400, 401, 403, 500, 503])
def test_a_refusal_is_in_the_applications_words(gate, status, method, http2):
    before = len(gate.service.requests)
    # httpx over HTTP/2 would wait for room to send what nobody reads.
    options = {"content": b"a" * (10_000 if http2 else 900_000)} if method == "POST" else {}
    reply = gate.request(method, "/reports/", headers={"Authorization": f"Bearer {status}"}, http2=http2, **options)
    assert reply.status_code == status
    challenge = CHALLENGES.get(str(status))
    assert reply.headers.get_list("www-authenticate") == ([challenge] if challenge else [])
    assert reply.headers.get("retry-after") == ("1" if status == 503 else None)
    assert reply.headers["content-type"] == "application/problem+json"
    assert reply.headers["cache-control"] == "no-store"
    assert "x-problem" not in reply.headers and "x-user-id" not in reply.headers
    assert_security_headers(reply)
    if method == "HEAD":
        assert reply.content == b""
    else:
        assert reply.json() == {"title": "Its own", "status": status, "code": f"its_own_{status}", "detail": "In its words."}
    assert len(gate.service.requests) == before


def test_nobody_comes_in_without_a_token(gate):
    before = len(gate.service.requests)
    for path in ("/reports/", "/reports/deeper", "/trusted/", "//reports/", "/reports//", "/x/../reports/", "/%72eports/"):
        assert gate.get(path).status_code == 401, path
    reply = gate.get("/reports")
    assert (reply.status_code, reply.headers["location"]) == (301, "/reports/")
    assert len(gate.service.requests) == before


def test_a_forgotten_permission_is_asked_for_as_none(gate):
    """Which the application gives to nobody."""
    questions = Questions(gate)
    gate.get("/forgotten/", headers=GOOD)
    assert questions.paths() == ["/internal/authorize?permission="]


@HTTP
def test_without_an_answer_of_the_application_it_is_503(gate, http2):
    before = len(gate.service.requests)
    reply = gate.get("/reports/", headers={"Authorization": "Bearer break"}, http2=http2)
    assert reply.status_code == 503 and reply.headers["retry-after"] == "1"
    assert_failure(reply, PROBLEM, "unavailable")
    assert len(gate.service.requests) == before


def test_what_nginx_refuses_itself_is_a_problem_too(gate):
    reply = gate.post("/reports/", headers=GOOD, content=b"a" * 1_048_577, http2=False)
    assert reply.status_code == 413
    assert_failure(reply, PROBLEM, "body_too_large")
    reply = gate.raw(f"GET /reports/< HTTP/1.1\r\nHost: {gate.authority}\r\nAuthorization: Bearer 204\r\n\r\n".encode())
    assert reply.status_code == 400
    assert_failure(reply, PROBLEM, "bad_request")


# What the service answers


def test_its_failures_are_its_own_but_without_an_answer(gate):
    for status in (401, 403, 404, 500, 503):
        reply = gate.get(f"/reports/status/{status}", headers=GOOD)
        assert reply.status_code == status and reply.json()["code"] == "its_own"
    reply = gate.post("/reports/break", headers=GOOD)
    assert reply.status_code == 502
    assert_failure(reply, PROBLEM, "bad_gateway")


def test_it_sets_no_cookie_of_ours_and_fetches_nothing_internal(gate):
    questions = Questions(gate)
    for target in ("internal/authorize", "internal/metrics", "errors/problem", "api/v1/me"):
        reply = gate.get(f"/reports/redirect/{target}", headers=GOOD)
        assert (reply.status_code, reply.json()) == (200, {})
        assert "set-cookie" not in reply.headers
    assert set(questions.paths()) == {"/internal/authorize?permission=notes"}


# What is internal


@HTTP
@pytest.mark.parametrize(
    "path",
    ["/internal/authorize", "/internal/authorize?permission=notes", "/internal/metrics", "/internal/", "//internal/metrics",
     "/%69nternal/authorize", "/internal/authorize/", "/api/../internal/authorize", "/api/%2e%2e/internal/metrics",
     "/api/..%2finternal/metrics", "/reports/../internal/metrics"],
)  # fmt: skip
def test_nothing_internal_is_reached_from_outside(gate, path, http2):
    questions, before = Questions(gate), len(gate.service.requests)
    # httpx would resolve the dots itself.
    if http2:
        reply = gate.get(path, headers=GOOD)
    else:
        head = f"GET {path} HTTP/1.1\r\nHost: {gate.authority}\r\nAuthorization: Bearer 204\r\n\r\n"
        reply = gate.raw(head.encode())
    assert reply.status_code == 404
    assert_failure(reply, PAGE)
    assert questions.all() == [] and len(gate.service.requests) == before
    assert gate.plain("GET", "/internal/metrics").status_code == 308


def test_a_question_leaves_no_line_and_no_complaint(gate):
    gate.get("/reports/", headers=GOOD)
    entries = [json.loads(line) for line in gate.logs().splitlines() if line.startswith("{")]
    assert {entry["status"] for entry in entries if entry["path"].startswith("/internal/authorize")} <= {404}
    assert "[emerg]" not in gate.logs() and "[alert]" not in gate.logs()
