"""Maintenance, as nginx does it: by files in the site's volume that scripts/maintenance.sh makes."""

import shutil

import pytest
from front import RELEASES, wait_until
from test_nginx import PAGE, PROBLEM, assert_failure, assert_security_headers

KEY, ANOTHER = "5" * 64, "a" * 64
COOKIE = {"Cookie": f"theme=dark; __Host-maintenance={KEY}"}
ASSET = f"/static/{RELEASES[0]}/js/app.js"
METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
HTTP = pytest.mark.parametrize("http2", [True, False], ids=["http2", "http1"])


@pytest.fixture
def closed(front):
    """In maintenance, with one administrator's key; as others write these files, and nginx may only look."""
    folder = front.folder / "site/maintenance"
    (folder / "pass").mkdir(parents=True)
    (folder / "pass" / KEY).touch()
    (folder / "on").write_text("2026-11-29T05:30:00Z\tada@example\n")
    yield front
    shutil.rmtree(folder, ignore_errors=True)


def assert_closed(reply, kind, method="GET"):
    assert reply.status_code == 503
    assert reply.headers["retry-after"] == "120" and "allow" not in reply.headers and "set-cookie" not in reply.headers
    if method != "HEAD":
        assert_failure(reply, kind, "maintenance" if kind == PROBLEM else None)
    else:
        assert reply.content == b"" and reply.headers["cache-control"] == "no-store"


def shown(reply):
    """What an answer says, but what is another's each time."""
    return reply.status_code, [(n, v) for n, v in reply.headers.multi_items() if n not in ("date", "x-request-id")], reply.content


@HTTP
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("path", ["/", "/sign-in", "/nothing/here", "/favicon.ico", ASSET, "/maintenance/pass/", "/maintenance"])
def test_people_get_a_page_that_says_so(closed, path, method, http2):
    reply = closed.request(method, path, http2=http2)
    assert_closed(reply, PAGE, method)
    if method != "HEAD":
        assert "Back soon" in reply.text and 'class="maintenance"' in reply.text
        # The same address again, wherever that was.
        assert '<a href="">Try again</a>' in reply.text
    if path == ASSET:
        assert "immutable" not in reply.headers["cache-control"]


@HTTP
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("path", ["/api/v1/notes", "/api/v1/auth/token", "/api/token/", "/.well-known/jwks.json"])
def test_programs_get_a_problem_and_the_application_is_not_asked(closed, path, method, http2):
    known = len(closed.requests())
    reply = closed.request(method, path, http2=http2)
    assert_closed(reply, PROBLEM, method)
    if method != "HEAD":
        assert reply.json()["title"] == "Service Unavailable" and "back soon" in reply.json()["detail"]
    assert len(closed.requests()) == known


def test_a_body_is_not_read_and_its_sender_is_answered_alike(closed):
    known = len(closed.requests())
    for size in (10, 900_000, 3_000_000):
        assert_closed(closed.post("/api/v1/notes", content=b"a" * size, http2=False), PROBLEM)
    # httpx would wait for room to send, so it only says how much it has.
    assert_closed(closed.post("/api/v1/notes", content=b"a", headers={"Content-Length": "3000000"}), PROBLEM)
    assert len(closed.requests()) == known


def test_what_is_refused_for_itself_still_is(closed):
    reply = closed.raw(f"GET /sign-in HTTP/1.1\r\nHost: {closed.authority}\r\nX-Bad: a\0b\r\n\r\n".encode())
    assert reply.status_code == 400
    assert_failure(reply, PAGE)
    assert 'class="failure"' in reply.text and "Go to the first page" in reply.text
    assert closed.get("/", host="evil.example").status_code == 421
    assert closed.plain("GET", "/sign-in").status_code == 308
    assert closed.plain("GET", "/api/v1/me").status_code == 403
    for path in ("/errors/page.html", "/errors/problem"):
        assert closed.get(path).status_code == 404


@HTTP
def test_health_is_let_through(closed, http2):
    known = len(closed.requests())
    for path in ("/health/live", "/health/ready"):
        reply = closed.get(path, http2=http2)
        assert reply.status_code == 200
        assert_security_headers(reply)
    assert len(closed.requests()) == known + 2


def test_nginxs_own_failure_on_that_way_keeps_its_status(closed):
    reply = closed.raw(f"GET /health/< HTTP/1.1\r\nHost: {closed.authority}\r\n\r\n".encode())
    assert reply.status_code == 400
    assert_failure(reply, PROBLEM, "bad_request")


# Administrators


@HTTP
def test_the_link_gives_a_cookie(closed, http2):
    reply = closed.get(f"/maintenance/pass?{KEY}", http2=http2)
    assert reply.status_code == 303 and reply.headers["location"] == "/"
    assert reply.headers["set-cookie"] == f"__Host-maintenance={KEY}; Path=/; Secure; HttpOnly; SameSite=Lax"
    assert reply.headers["cache-control"] == "no-store"
    assert_security_headers(reply)


@HTTP
def test_the_cookie_opens_all_and_every_answer_is_the_usual_one(front, closed, http2):
    asked = [("GET", "/"), ("HEAD", "/sign-in"), ("GET", ASSET), ("GET", "/nothing/here"), ("POST", "/sign-in"),
             ("GET", "/api/v1/status/503"), ("DELETE", "/api/v1/status/204"), ("POST", "/api/v1/break")]  # fmt: skip
    within = [closed.request(method, path, headers=COOKIE, http2=http2) for method, path in asked]
    shutil.rmtree(front.folder / "site/maintenance")
    for (method, path), reply in zip(asked, within):
        usual = front.request(method, path, headers=COOKIE, http2=http2)
        told = reply.headers["x-request-id"].encode(), usual.headers["x-request-id"].encode()
        one, other = shown(reply), shown(usual)
        assert (*one[:2], one[2].replace(*told)) == other, path


def test_the_cookie_may_come_in_any_company(closed):
    for cookie in (f"__Host-maintenance={KEY}", f"a=b;__Host-maintenance={KEY};c=d", f"__Host-maintenance=x; __Host-maintenance={KEY}"):
        assert closed.get("/", headers={"Cookie": cookie}).status_code == 200, cookie
    # Two headers, as a browser may send over HTTP/2.
    split = [("cookie", "theme=dark"), ("cookie", f"__Host-maintenance={KEY}")]
    for http2 in (True, False):
        assert closed.get("/", headers=split, http2=http2).status_code == 200


@pytest.mark.parametrize(
    "key",
    [ANOTHER, "", ".", "..", "../on", "none", "%2e%2e", "..%2fon", KEY[:-1], KEY + "0", KEY + "/", "A" * 64, KEY + "&a=b", f"key={KEY}"],
)
def test_no_other_key_opens_anything(closed, key):
    reply = closed.get(f"/maintenance/pass?{key}")
    assert reply.status_code == 404 and "set-cookie" not in reply.headers
    assert_failure(reply, PAGE)
    assert "Back soon" not in reply.text
    assert closed.get("/", headers={"Cookie": f"__Host-maintenance={key}"}).status_code == 503


@pytest.mark.parametrize(
    "cookie", [f"x__Host-maintenance={KEY}", f"a=__Host-maintenance={KEY}", f"maintenance={KEY}", f"__host-maintenance={KEY}", KEY]
)
def test_no_other_cookie_opens_anything(closed, cookie):
    assert closed.get("/", headers={"Cookie": cookie}).status_code == 503


def test_the_key_is_in_no_log(closed):
    closed.get(f"/maintenance/pass?{KEY}")
    reply = closed.get("/", headers={**COOKIE, "Referer": f"https://localhost/maintenance/pass?{KEY}"})
    assert closed.access_log(reply.headers["x-request-id"])["referer"] == "https://localhost/maintenance/pass"
    assert KEY not in closed.logs()


# Coming and going


def test_it_comes_and_goes_with_the_file_and_leaves_no_trace(front):
    """No reload: one connection sees it, and answers afterwards are as before to the last header."""
    before = [shown(front.get(path)) for path in ("/", ASSET, "/nothing/here", "/maintenance/pass", "/maintenance")]
    folder = front.folder / "site/maintenance"
    url = f"https://localhost:{front.https_port}/api/v1/me"
    with front.client(http2=False) as client:
        assert client.get(url).status_code == 200
        folder.mkdir()
        (folder / "on").touch()
        assert client.get(url).status_code == 503
        shutil.rmtree(folder)
        assert client.get(url).status_code == 200
    after = [shown(front.get(path)) for path in ("/", ASSET, "/nothing/here", "/maintenance/pass", "/maintenance")]
    assert [reply[:2] for reply in before] == [reply[:2] for reply in after]


def test_a_request_under_way_is_answered(front):
    folder = front.folder / "site/maintenance"
    known = len(front.requests())
    with front.connect() as connection:
        connection.sendall(f"GET /api/v1/slow/1 HTTP/1.1\r\nHost: {front.authority}\r\nConnection: close\r\n\r\n".encode())
        wait_until(lambda: len(front.requests()) > known, 5, "the application has the request")
        folder.mkdir()
        (folder / "on").touch()
        try:
            assert front.get("/api/v1/me").status_code == 503
            assert connection.recv(4096).startswith(b"HTTP/1.1 200 ")
        finally:
            shutil.rmtree(folder)


def test_nginx_has_nothing_to_complain_of(front):
    complaints = [line for line in front.logs().splitlines() if "maintenance" in line and not line.startswith("{")]
    assert complaints == []
