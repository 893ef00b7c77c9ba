"""Stands in for the application on its two sockets, so that nginx can be tested alone.

It answers what a path asks for, and keeps what it got.
"""

import contextlib
import json
import re
import socket
import socketserver
import threading
import time
from http.server import BaseHTTPRequestHandler

# As an application might send them; nginx must replace them.
OWN_HEADERS = {
    "X-Content-Type-Options": "sniff",
    "Content-Security-Policy": "default-src *",
    "Strict-Transport-Security": "max-age=1",
    "Referrer-Policy": "unsafe-url",
    "Permissions-Policy": "camera=*",
    "Cross-Origin-Opener-Policy": "unsafe-none",
    "Cross-Origin-Resource-Policy": "cross-origin",
}
# Whom a good token is of, and what the application asks of others for.
USER = "01890000-0000-7000-8000-000000000001"
CHALLENGES = {
    "400": 'Bearer realm="api", error="invalid_request"',
    "401": 'Bearer realm="api", error="invalid_token"',
    "403": 'Bearer realm="api", error="insufficient_scope"',
}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self):
        length = int(self.headers.get("Content-Length", 0))
        body = self.rfile.read(length)
        slot = self.server.slot
        slot.requests.append((self.command, self.path, self.headers, body))
        path, _, query = self.path.partition("?")
        word, _, value = re.sub("^/(api/v1|reports)/", "", path).partition("/")
        if path == "/internal/authorize":
            self.authorize()
        elif word == "break":
            self.close_connection = True
        elif word == "slow":
            time.sleep(float(value))
            self.reply(200, {"slot": slot.name})
        elif word == "status":
            self.reply(int(value), {"status": int(value), "code": "its_own"}, kind="application/problem+json")
        elif word == "long":
            self.reply(200, {"text": "roadstead " * int(value)})
        elif word == "head":
            self.reply(200, {}, {"X-Long": "a" * int(value)})
        elif word == "redirect":
            self.reply(200, {}, {"X-Accel-Redirect": f"/{value}", "Set-Cookie": "__Host-refresh=evil; Path=/; Secure"})
        elif path.startswith("/api/v1/auth/") or path.startswith("/api/token"):
            self.reply(200, {"access_token": "a" * 4000})
        else:
            self.reply(200, {"slot": slot.name, "path": self.path, "headers": self.headers.items()})

    def authorize(self):
        """As authorize.rs; the token says what."""
        word = (self.headers["Authorization"] or "Bearer 401").split()[-1]
        if word == "break":
            self.close_connection = True
        elif word == "204":
            self.reply(204, None, {"X-User-Id": USER, "X-User-Scope": "account notes"})
        else:
            problem = {"title": "Its own", "status": int(word), "code": f"its_own_{word}", "detail": "In its words."}
            headers = {"X-Problem": json.dumps(problem, separators=(",", ":"))}
            if word in CHALLENGES:
                headers["WWW-Authenticate"] = CHALLENGES[word]
            self.reply(int(word), problem, headers, kind="application/problem+json")

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = answer

    def reply(self, status, content, headers=None, kind="application/json"):
        data = b"" if status in (204, 304) else json.dumps(content).encode()
        self.send_response_only(status)
        for name, value in {**OWN_HEADERS, **(headers or {})}.items():
            self.send_header(name, value)
        self.send_header("X-Request-Id", self.headers["X-Request-Id"])
        self.send_header("Cache-Control", "no-store")
        if data:
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def address_string(self):
        return "nginx"

    def log_message(self, *_):
        pass


class Slot(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True
    request_queue_size = 512

    def __init__(self, folder, name, group):
        self.name, self.slot, self.requests = name, self, []
        self.connections = []
        path = folder / f"{name}.sock"
        super().__init__(str(path), Handler)
        if group:
            path.chmod(0o660)
            group(path)
        else:
            path.chmod(0o666)
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()

    def process_request(self, request, client_address):
        self.connections.append(request)
        super().process_request(request, client_address)

    def stop(self):
        self.shutdown()
        self.server_close()
        for connection in self.connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request, client_address):
        pass  # clients that hang up are part of the tests
