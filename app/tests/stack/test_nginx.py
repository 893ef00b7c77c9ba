"""What nginx answers: pages, assets, the application's replies, and its own failures."""

import base64
import hashlib
import re

import pytest
from front import RELEASES, ROOT, SCRIPT

POLICY = (
    "default-src 'none'; script-src 'self'; style-src {style}; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
SECURITY_HEADERS = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}
STATIC = f"/static/{RELEASES[0]}"
PAGE, PROBLEM, REDIRECT, OWN = "page", "problem", "redirect", "own"

# Every location, and every status that it can give: (method, path, headers, status, kind of failure).
ANSWERS = [
    ("GET", "/", {}, 200, None),
    ("HEAD", "/", {}, 200, None),
    ("GET", "/sign-in", {}, 200, None),
    ("GET", "/sign-in", {"Range": "bytes=9999-"}, 200, None),
    ("GET", "/nothing", {}, 404, PAGE),
    ("GET", "/no/thing", {}, 404, PAGE),
    ("POST", "/sign-in", {}, 405, PAGE),
    ("TRACE", "/", {}, 405, PAGE),
    ("GET", "/", {"If-Match": '"other"'}, 412, PROBLEM),
    ("GET", f"{STATIC}/js/app.js", {}, 200, None),
    ("GET", f"{STATIC}/js/app.js", {"Range": "bytes=9999999-"}, 200, None),
    ("GET", f"{STATIC}/js/none.js", {}, 404, PAGE),
    ("POST", f"{STATIC}/js/app.js", {}, 405, PAGE),
    ("GET", "/static/0000000000000000/js/app.js", {}, 404, PAGE),
    ("GET", "/favicon.ico", {}, 404, PAGE),
    ("GET", "/errors/page.html", {}, 404, PAGE),
    ("GET", "/api", {}, 404, PAGE),
    ("GET", "/api/v1/me", {}, 200, None),
    ("TRACE", "/api/v1/me", {}, 405, PROBLEM),
    ("POST", "/api/v1/break", {}, 502, PROBLEM),
    *(("GET", f"/api/v1/status/{status}", {}, status, OWN) for status in (400, 401, 403, 404, 409, 413, 429, 500, 503)),
    ("DELETE", "/api/v1/status/204", {}, 204, None),
    ("POST", "/api/v1/auth/token", {}, 200, None),
    ("POST", "/api/v1/auth/session/refresh", {}, 200, None),
    ("GET", "/health/live", {}, 200, None),
    ("GET", "/.well-known/jwks.json", {}, 200, None),
    ("GET", "/.well-known/other", {}, 404, PROBLEM),
]


def assert_security_headers(reply, style="'self'", hsts=None):
    for name, value in {**SECURITY_HEADERS, "content-security-policy": POLICY.format(style=style)}.items():
        assert reply.headers.get_list(name) == [value], name
    assert "camera=()" in reply.headers["permissions-policy"]
    assert reply.headers.get("strict-transport-security") == hsts
    assert re.fullmatch("[0-9a-f]{32}", reply.headers["x-request-id"])
    assert reply.headers["server"] == "nginx"
    names = [name for name, _ in reply.headers.multi_items()]
    assert len(names) == len(set(names)), "a header came twice"


def style_of(text):
    style = re.search("<style>(.*?)</style>", text, re.DOTALL)[1]
    return "'sha256-" + base64.b64encode(hashlib.sha256(style.encode()).digest()).decode() + "'"


def assert_failure(reply, kind, code=None):
    """nginx's own answer: in the shape for its readers, never remembered, found again by its id."""
    assert reply.headers["cache-control"] == "no-store"
    if kind == PAGE:
        assert reply.headers["content-type"] == "text/html; charset=utf-8"
        assert f">{reply.status_code}<" in reply.text
        assert reply.headers["x-request-id"] in reply.text
        assert "<script" not in reply.text and "style=" not in reply.text and "<!--#" not in reply.text
        # The policy lets in exactly this style.
        assert_security_headers(reply, style=style_of(reply.text))
    else:
        assert reply.headers["content-type"] == "application/problem+json"
        problem = reply.json()
        assert problem["status"] == reply.status_code
        assert problem["request_id"] == reply.headers["x-request-id"]
        assert problem["title"] and problem["code"]
        assert code is None or problem["code"] == code
        assert_security_headers(reply)


@pytest.mark.parametrize("http2", [True, False], ids=["http2", "http1"])
@pytest.mark.parametrize(("method", "path", "headers", "status", "kind"), ANSWERS)
def test_every_answer_has_the_headers_and_the_shape(front, method, path, headers, status, kind, http2):
    reply = front.request(method, path, headers=headers, http2=http2)
    assert reply.status_code == status
    if kind in (PAGE, PROBLEM):
        assert_failure(reply, kind)
    else:
        assert_security_headers(reply)
    if status == 405:
        assert reply.headers["allow"].startswith("GET, HEAD")


def test_no_location_forgets_the_security_headers():
    """An add_header in a location drops the inherited ones: it must include them again."""
    for file in (ROOT / "nginx").glob("s*/*.conf"):
        for name, block in re.findall(r"location ([^{\n]*?) \{\n(.*?)\n    ?\}", file.read_text(), re.DOTALL):
            if "add_header" in block:
                included = re.search(r"include snippets/(security-headers|error-answer)\.conf;", block)
                assert included, f"{file.name}: {name}"


def test_the_applications_failure_passes_untouched(front):
    reply = front.get("/api/v1/status/503")
    assert reply.json() == {"status": 503, "code": "its_own"}
    assert reply.headers["content-type"] == "application/problem+json"
    assert reply.headers["x-request-id"] in [seen["X-Request-Id"] for _, _, seen, _ in front.requests()]


# Pages and assets


def test_pages_are_asked_for_again_and_answered_unchanged(front):
    first = front.get("/sign-in")
    assert first.headers["content-type"] == "text/html; charset=utf-8"
    assert first.headers["cache-control"] == "no-cache"
    again = front.get("/sign-in", headers={"If-None-Match": first.headers["etag"]})
    assert again.status_code == 304
    assert_security_headers(again)


def test_a_new_release_is_served_at_once_and_the_old_assets_stay(front):
    current = front.folder / "site/current"

    def point_to(release):
        fresh = current.with_name("fresh")
        fresh.symlink_to(f"releases/{release}")
        fresh.rename(current)

    assert RELEASES[0] in front.get("/").text
    point_to(RELEASES[1])
    try:
        assert RELEASES[1] in front.get("/").text
        assert front.get(f"{STATIC}/js/app.js").status_code == 200
    finally:
        point_to(RELEASES[0])


@pytest.mark.parametrize(("accepted", "text"), [("gzip, br", "as brotli"), ("gzip", "as gzip"), ("identity", SCRIPT)])
def test_assets_come_compressed_as_they_were_built(front, accepted, text):
    reply = front.get(f"{STATIC}/js/app.js", headers={"Accept-Encoding": accepted})
    encoding = reply.headers.get("content-encoding")
    assert encoding == {"as brotli": "br", "as gzip": "gzip"}.get(text)
    assert reply.text == text
    assert reply.headers["vary"] == "Accept-Encoding"
    assert reply.headers["content-type"].endswith("javascript; charset=utf-8")
    assert reply.headers["cache-control"] == "public, max-age=31536000, immutable"


@pytest.mark.parametrize(
    "path",
    ["", "/", "/js", "/js/", "/.hidden", "/js/../.hidden", "/%2e%2e/%2e%2e/secrets/site.key", "/../current/index.html"],
)
def test_only_files_of_a_release_are_assets(front, path):
    reply = front.raw(f"GET {STATIC}{path} HTTP/1.1\r\nHost: {front.authority}\r\nConnection: close\r\n\r\n".encode())
    assert reply.status_code == 404
    assert reply.headers["cache-control"] == "no-store"


# The way to the application


def test_what_a_client_says_about_itself_is_overwritten(front):
    claims = {
        "Forwarded": "for=7.7.7.7;host=evil;proto=http",
        "X-Forwarded-For": "7.7.7.7",
        "X-Forwarded-Host": "evil",
        "X-Forwarded-Proto": "http",
        "X-Forwarded-Port": "1",
        "X-Real-IP": "7.7.7.7",
        "X-Request-Id": "mine",
        "Proxy": "evil",
        "X_Forwarded_For": "7.7.7.7",
    }
    reply = front.get("/api/v1/me", headers={**claims, "Authorization": "Bearer good", "Cookie": "__Host-refresh=x"})
    seen = {name.lower(): value for name, value in reply.json()["headers"]}
    client = front.access_log(reply.headers["x-request-id"])["client"]
    assert seen["x-forwarded-for"] == client != "7.7.7.7"
    assert seen["x-forwarded-proto"] == "https"
    assert seen["host"] == front.authority
    assert seen["x-request-id"] == reply.headers["x-request-id"] != "mine"
    overwritten = {"x-forwarded-for", "x-forwarded-proto", "x-request-id"}
    assert seen.keys() & {name.lower() for name in claims} == overwritten
    assert seen["authorization"] == "Bearer good"
    assert seen["cookie"] == "__Host-refresh=x"


def test_a_foreign_host_beside_an_absolute_address_goes_no_further(front):
    reply = front.raw(
        f"GET https://{front.authority}/api/v1/me HTTP/1.1\r\nHost: evil\r\nConnection: close\r\n\r\n".encode()
    )
    assert ["Host", front.authority] in reply.json()["headers"]


def test_json_is_compressed_but_no_reply_with_a_token(front):
    accept = {"Accept-Encoding": "gzip, br"}
    assert front.get("/api/v1/long/400", headers=accept).headers["content-encoding"] == "gzip"
    for path in ("/api/v1/auth/token", "/api/v1/auth/session/refresh", "/api/token/", "/api/token/refresh/"):
        reply = front.post(path, headers=accept)
        assert len(reply.json()["access_token"]) == 4000
        assert "content-encoding" not in reply.headers, path


def test_connections_to_the_application_are_kept(front):
    before = sum(len(slot.connections) for slot in front.slots)
    with front.client(http2=False) as client:
        for _ in range(100):
            assert client.get(f"https://localhost:{front.https_port}/api/v1/me").status_code == 200
    # One for each of nginx's workers and slots, where there is none yet.
    assert sum(len(slot.connections) for slot in front.slots) - before < 20


def test_a_reply_with_a_long_head_passes(front):
    assert front.get("/api/v1/head/12000").status_code == 200


def test_a_broken_reply_costs_only_itself(front):
    """A GET is tried on the other slot, a POST is not sent twice; no slot is taken out for either."""
    before = len(front.requests())
    assert front.get("/api/v1/break").status_code == 502
    assert len(front.requests()) - before == 2
    assert front.post("/api/v1/break").status_code == 502
    assert len(front.requests()) - before == 3
    assert [front.get("/api/v1/me").status_code for _ in range(10)] == [200] * 10


@pytest.mark.parametrize("path", ["/internal/authorize", "/metrics", "/internal/", "/nginx_status"])
def test_what_is_internal_is_not_reached(front, path):
    before = len(front.requests())
    assert front.get(path).status_code == 404
    assert len(front.requests()) == before


# Without TLS, and under other names


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
def test_pages_over_http_are_sent_to_https(front, method):
    reply = front.plain(method, "/sign-in?next=%2Fnotes")
    assert reply.status_code == 308
    assert reply.headers["location"] == f"https://{front.authority}/sign-in?next=%2Fnotes"
    assert reply.headers["cache-control"] == "no-store"
    assert_security_headers(reply)


@pytest.mark.parametrize("port", ["http_port", "https_port"])
def test_the_api_over_http_is_refused_and_goes_no_further(front, port):
    before = len(front.requests())
    reply = front.plain("POST", "/api/v1/auth/token", port=getattr(front, port), json={"password": "x"})
    assert reply.status_code == 403
    assert_failure(reply, PROBLEM, "https_required")
    assert len(front.requests()) == before


def test_http_on_the_https_port_is_led_on(front):
    reply = front.plain("GET", "/notes", port=front.https_port)
    assert reply.status_code == 308
    assert reply.headers["location"] == f"https://{front.authority}/notes"
    assert_security_headers(reply)


def test_acme_challenges_are_answered_over_http(front):
    challenges = front.folder / "acme/.well-known/acme-challenge"
    reply = front.plain("GET", "/.well-known/acme-challenge/token")
    assert reply.status_code == 404
    assert_failure(reply, PROBLEM, "not_found")
    challenges.mkdir(parents=True)
    (challenges / "token").write_text("token.thumbprint")
    reply = front.plain("GET", "/.well-known/acme-challenge/token")
    assert (reply.status_code, reply.text) == (200, "token.thumbprint")
    assert reply.headers["content-type"].startswith("text/plain")
    assert_security_headers(reply)


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1", "localhost.evil.example", "notlocalhost"])
def test_an_unknown_name_gets_no_answer(front, host):
    assert front.raw(f"GET / HTTP/1.1\r\nHost: {host}\r\n\r\n".encode(), tls=False) is None
    for path, kind in (("/", PAGE), ("/api/v1/me", PROBLEM)):
        reply = front.get(path, host=host)
        assert reply.status_code == 421
        assert_failure(reply, kind)


def test_a_real_domain_is_remembered_as_https(make_front):
    front = make_front(domain="ships.example", https_port=443)
    hsts = "max-age=63072000; includeSubDomains"
    for path in ("/", "/nothing", "/api/v1/me", "/api/v1/status/500", f"{STATIC}/js/app.js"):
        assert front.get(path).headers.get_list("strict-transport-security") == [hsts], path
    reply = front.plain("GET", "/notes")
    assert reply.headers["location"] == "https://ships.example/notes"
    assert "strict-transport-security" not in reply.headers
    assert "cache-control" not in reply.headers
