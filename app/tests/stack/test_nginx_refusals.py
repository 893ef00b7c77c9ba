"""What nginx refuses: malformed and oversized requests, too many of them, slow clients."""

import re
import ssl
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from front import FLAGS, NGINX, ROOT, answers, docker, published_port, wait_until
from test_nginx import PAGE, PROBLEM, assert_failure

LONG = "0123456789{}[]<>~" * 600  # no shorter in HTTP/2's encoding


# Before a location is chosen


@pytest.mark.parametrize(
    ("lines", "status", "code"),
    [
        ("Authorization: Bearer one\r\nAuthorization: Bearer two", 400, "bad_request"),
        ("X-Bad: a\0b", 400, "bad_request"),
        ("X-Bad: a\rb", 400, "bad_request"),
        ("Bad Header: a", 400, "bad_request"),
        ("Content-Length: 1\r\nContent-Length: 2", 400, "bad_request"),
        ("Content-Length: 1\r\nTransfer-Encoding: chunked", 400, "bad_request"),
        ("Transfer-Encoding: chunked, identity", 501, "not_implemented"),
        ("Host: localhost", 400, "bad_request"),
        (f"X-Long: {LONG}", 431, "header_too_large"),
        (f"Cookie: {LONG}", 431, "header_too_large"),
    ],
    ids=lambda value: value[:30] if isinstance(value, str) else None,
)
@pytest.mark.parametrize(("path", "kind"), [("/api/v1/me", PROBLEM), ("/sign-in", PAGE)])
def test_a_malformed_head_is_refused_in_the_readers_shape(front, lines, status, code, path, kind):
    before = len(front.requests())
    reply = front.raw(f"POST {path} HTTP/1.1\r\nHost: {front.authority}\r\n{lines}\r\n\r\n".encode())
    assert reply.status_code == status
    assert_failure(reply, kind, code if kind == PROBLEM else None)
    assert len(front.requests()) == before


@pytest.mark.parametrize(
    ("line", "status", "kind"),
    [
        (f"GET /api/v1/{LONG[:9000]} HTTP/1.1", 414, PROBLEM),
        (f"GET /{'a' * 9000} HTTP/1.1", 414, PAGE),
        ("GET /api/v1/me HTTP/3.1", 505, PROBLEM),
        ("GET /api/v1/me HTTP/1.1 x", 400, PROBLEM),
        ("CONNECT /api/v1/me HTTP/1.1", 405, PROBLEM),
        ("GET /api/v1/notes?after=<x> HTTP/1.1", 400, PROBLEM),
        ("GET /api/v1/auth/token?`x HTTP/1.1", 400, PROBLEM),
        ("GET /health/live?\xff HTTP/1.1", 400, PROBLEM),
        ("\x16\x03\x01", 400, PAGE),
    ],
    ids=lambda value: value[:30] if isinstance(value, str) else None,
)
def test_a_malformed_request_line_is_refused(front, line, status, kind):
    reply = front.raw(f"{line}\r\nHost: {front.authority}\r\n\r\n".encode("latin-1"))
    assert reply.status_code == status
    assert_failure(reply, kind)


def test_http2_heads_are_refused_alike(front):
    before = len(front.requests())
    reply = front.get("/api/v1/me", headers=[("Authorization", "a"), ("Authorization", "b")])
    assert reply.status_code == 400
    assert_failure(reply, PROBLEM, "bad_request")
    # nginx ends the connection: what it did not unpack it cannot pass over.
    with pytest.raises(httpx.RemoteProtocolError, match="error_code:11"):
        front.get("/api/v1/me", headers={"X-Long": LONG})
    assert len(front.requests()) == before


def test_no_token_of_a_refused_request_is_in_any_log(front):
    token = "eyJhbGciOiJub25lIn0"
    bearer = f"Authorization: Bearer {token}"
    for lines in (f"{bearer}\r\n{bearer}", f"{bearer}\0"):
        front.raw(f"GET /api/v1/me?token={token} HTTP/1.1\r\nHost: {front.authority}\r\n{lines}\r\n\r\n".encode())
    headers = {"Referer": f"https://localhost/?token={token}", "Cookie": token}
    reply = front.get(f"/nothing?token={token}", headers=headers)
    assert front.access_log(reply.headers["x-request-id"])["referer"] == "https://localhost/"
    assert token not in front.logs()


# Bodies


def test_a_body_too_large_is_answered_and_not_reset(front):
    before = len(front.requests())
    for size in [1048577] + [10_000_000] * 5:
        reply = front.post("/api/v1/notes", content=b"a" * size, http2=False)
        assert reply.status_code == 413
        assert_failure(reply, PROBLEM, "body_too_large")
    # httpx would wait for room to send, so it only says how much it has.
    reply = front.post("/api/v1/notes", content=b"a", headers={"Content-Length": "1048577"})
    assert reply.status_code == 413
    assert_failure(reply, PROBLEM, "body_too_large")
    assert len(front.requests()) == before
    assert front.post("/api/v1/notes", content=b"a" * 1048576).status_code == 200


# Rates


@pytest.fixture(scope="module")
def strict(make_front):
    """A front whose rates and timeouts are small enough to run into."""
    return make_front(
        https_port=18443,
        ROADSTEAD_RATE_SIGN_IN="10r/m",
        ROADSTEAD_BURST_SIGN_IN="3",
        ROADSTEAD_RATE_REFRESH="20r/m",
        ROADSTEAD_BURST_REFRESH="5",
        tmpfs={"/tmp": "size=64k"},
        edits={
            "snippets/client.conf": {
                "client_header_timeout 10s": "client_header_timeout 1s",
                "client_body_timeout   15s": "client_body_timeout 1s",
                "send_timeout          15s": "send_timeout 1s",
            },
            "snippets/limits.conf": {"limit_conn per_client 512": "limit_conn per_client 12"},
            "snippets/proxy.conf": {"proxy_read_timeout 35s": "proxy_read_timeout 2s"},
        },
    )


def test_sign_in_and_invitation_share_a_rate_and_refresh_has_its_own(strict):
    doors = ["auth/token", "auth/session", "auth/invitation", "auth/token/", "auth//session", "auth/%73ession"]
    replies = [strict.post(f"/api/v1/{door}", http2=number % 2 == 0) for number, door in enumerate(doors)]
    assert [reply.status_code for reply in replies] == [200] * 4 + [429] * 2
    for reply in replies[4:]:
        assert_failure(reply, PROBLEM, "rate_limited")
        assert reply.headers["retry-after"] == "6"
    assert strict.post("/api/token/").status_code == 429

    refreshes = [strict.post(f"/api/v1/auth/{word}/refresh") for word in ["token", "session"] * 4]
    assert [reply.status_code for reply in refreshes] == [200] * 6 + [429] * 2
    assert refreshes[-1].headers["retry-after"] == "3"
    assert strict.post("/api/token/refresh/").status_code == 429

    # The rest is free: signing out above all.
    assert strict.request("DELETE", "/api/v1/auth/session").status_code == 200
    assert strict.post("/api/v1/auth/token/revoke").status_code == 200
    assert strict.get("/api/v1/me").status_code == 200
    assert "limiting requests" not in strict.logs()


def test_an_ipv6_client_is_its_network(nginx_image, tmp_path):
    """Addresses of our choice by realip, in a server of the test's around the true snippet."""
    limits = (ROOT / "nginx/snippets/limits.conf").read_text()
    limits = re.sub("@RATE_.*@", "1r/m", re.sub("@PAUSE_.*@", "1", limits))
    paths = "".join(f"{name}_temp_path /tmp/{name}; " for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    (tmp_path / "test.conf").write_text(f"""
        daemon off; pid /tmp/pid; events {{ }}
        http {{
            {paths} access_log off; {limits}
            server {{
                listen 8080; set_real_ip_from 0.0.0.0/0; real_ip_header X-Address;
                location / {{ limit_req zone=sign_in; proxy_pass http://127.0.0.1:8081; }}
            }}
            server {{ listen 127.0.0.1:8081; location / {{ return 204; }} }}
        }}""")
    tmp_path.chmod(0o755)
    mounts = (f"--tmpfs=/tmp:uid={NGINX}", f"--volume={tmp_path}:/test:ro", "--publish=127.0.0.1::8080")
    command = ("--entrypoint=nginx", nginx_image, "-c", "/test/test.conf")
    container = docker("run", "--detach", *FLAGS, *mounts, *command).stdout.strip()
    try:
        url = f"http://127.0.0.1:{published_port(container, 8080)}"

        def status(address, path="/api/v1/auth/token"):
            return httpx.post(url + path, headers={"X-Address": address}, trust_env=False).status_code

        wait_until(lambda: answers(lambda: status("192.0.2.9", "/")), 5, "nginx answers")
        assert status("2001:db8:0:a::1") == 204
        assert status("2001:db8:0:a:ffff::2") == 429
        assert status("2001:db8:0:b::1") == 204
        assert status("192.0.2.1") == 204
        assert status("192.0.2.2") == 204
        assert status("192.0.2.1") == 429
    finally:
        docker("rm", "--force", container)


def test_one_address_has_so_many_requests_at_once(strict):
    with ThreadPoolExecutor(20) as pool:
        replies = list(pool.map(lambda n: strict.get("/api/v1/slow/0.7", http2=n % 2 == 0), range(20)))
    refused = [reply for reply in replies if reply.status_code == 429]
    assert len(refused) == 8
    assert {reply.status_code for reply in replies} == {200, 429}
    for reply in refused:
        assert_failure(reply, PROBLEM, "rate_limited")
        assert reply.headers["retry-after"] == "1"
    assert "limit_conn per_client 512;" in (ROOT / "nginx/snippets/limits.conf").read_text()


# Time


def test_slow_clients_are_let_go(strict):
    """A head, a body and a reader that stall: each connection ends, and the application saw only the third."""
    host = f"Host: {strict.authority}\r\n"

    def seconds_until_closed(text, reads=True):
        started = time.monotonic()
        with strict.connect() as connection:
            connection.settimeout(8)
            connection.sendall(text.encode())
            try:
                while reads and connection.recv(65536):
                    pass
            except (ConnectionResetError, ssl.SSLEOFError):
                pass
        return time.monotonic() - started

    before = len(strict.requests())
    stalls = [
        f"GET /api/v1/me HTTP/1.1\r\n{host}X-Slow: ",
        # A second head on a connection that has proven itself.
        f"GET /api/v1/me HTTP/1.1\r\n{host}\r\nGET /api/v1/me HTTP/1.1\r\n{host}X-Slow: ",
        f"POST /api/v1/notes HTTP/1.1\r\n{host}Content-Length: 1000\r\n\r\nabc",
    ]
    with ThreadPoolExecutor(4) as pool:
        taken = list(pool.map(seconds_until_closed, stalls))
    assert all(0.9 < seconds < 3 for seconds in taken), taken
    assert len(strict.requests()) - before == 1


def test_a_reader_that_stalls_is_let_go(strict):
    with strict.connect() as connection:
        # 60 MB: 20 find room in the buffers of the kernel and the port's proxy, and then nothing stalls.
        connection.sendall(f"GET /api/v1/long/6000000 HTTP/1.1\r\nHost: {strict.authority}\r\n\r\n".encode())
        # It has begun: on a busy machine that takes its time, and so does the end.
        connection.settimeout(60)
        got = len(connection.recv(1))
        time.sleep(3)
        with pytest.raises((ConnectionResetError, ssl.SSLError)):
            while part := connection.recv(1 << 20):
                got += len(part)
            raise ssl.SSLError("closed")
    assert got < 60_000_000


def test_a_long_reply_needs_no_room_on_disk(strict):
    """/tmp has 64 KiB here: what a slow reader has not taken yet must stay with the application."""
    with strict.connect() as connection:
        request = f"GET /api/v1/long/1000000 HTTP/1.1\r\nHost: {strict.authority}\r\nConnection: close\r\n\r\n"
        connection.sendall(request.encode())
        time.sleep(0.5)
        got = 0
        while part := connection.recv(1 << 20):
            got += len(part)
    assert got > 10_000_000


def test_an_application_that_is_too_slow_is_a_timeout(strict):
    reply = strict.get("/api/v1/slow/4")
    assert reply.status_code == 504
    assert_failure(reply, PROBLEM, "timeout")


def test_no_room_for_a_body_is_a_failure_in_the_same_shape(strict):
    reply = strict.post("/api/v1/notes", content=b"a" * 900_000)
    assert reply.status_code == 500
    assert_failure(reply, PROBLEM, "internal")
    assert strict.post("/api/v1/notes", content=b"a" * 60_000).status_code == 200


def test_without_an_application_the_pages_stand_and_the_api_says_so(make_front):
    front = make_front(https_port=18443)
    for slot in front.slots:
        slot.stop()
        (front.folder / "sockets" / f"{slot.name}.sock").unlink()
    assert front.get("/").status_code == 200
    reply = front.post("/api/v1/notes")
    assert reply.status_code == 502
    assert_failure(reply, PROBLEM, "bad_gateway")
