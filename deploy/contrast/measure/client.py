"""One request at a time, for what is no load: a sign-in, a header, a token that is refused."""

import base64
import contextlib
import http.client
import json
import ssl
import time
from urllib.parse import urlsplit

from . import Trouble
from .load import Fault


class Pinned(ssl.SSLContext):
    """Verifies the URL's name, wherever the connection goes."""

    def wrap_socket(self, sock, **options):
        options["server_hostname"] = "localhost"
        return super().wrap_socket(sock, **options)


def trust(target):
    context = Pinned(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(target.ca)
    return context


def ask(target, method, path, body=None, token=None, timeout=10):
    """(status, headers, text); a new connection each time."""
    url = urlsplit(target.url)
    if url.scheme == "https":
        connection = http.client.HTTPSConnection(*target.address, timeout=timeout, context=trust(target))
    else:
        connection = http.client.HTTPConnection(*target.address, timeout=timeout)
    headers = {"Host": url.netloc, "Content-Type": "application/json"}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    with contextlib.closing(connection):
        connection.request(method, path, body and json.dumps(body), headers)
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read().decode(errors="replace")


BROKEN = (OSError, http.client.HTTPException)


def wrong(target):
    """What is wrong with its answer to the constant request; empty if nothing is."""
    try:
        status, _, text = ask(target, "GET", "/health/live", timeout=2)
    except BROKEN as error:
        return repr(error)
    return "" if (status, text) == (200, '{"state":"live"}') else f"{status} {text[:200]}"


def first_answer(target, seconds=60):
    """Asks anew every 5 ms until it answers rightly; the time then."""
    until = time.monotonic() + seconds
    while found := wrong(target):
        if time.monotonic() > until:
            raise Fault(f"no right answer within {seconds} s; the last one: {found}")
        time.sleep(0.005)
    return time.monotonic()


def sign_in(target, path, body, key):
    status, _, text = ask(target, "POST", path, body)
    if status != 200:
        raise Trouble(f"sign-in at {target.url}{path}: {status} {text[:300]}")
    return json.loads(text)[key]


def spoilt(token):
    """One bit of the signature changed."""
    head, signature = token.rsplit(".", 1)
    middle = len(signature) // 2
    other = "A" if signature[middle] != "A" else "B"
    return f"{head}.{signature[:middle]}{other}{signature[middle + 1:]}"


def unsigned(token):
    """The same token as `alg: none`, which RFC 7519 section 6 knows, without its signature."""
    head, claims, _ = token.split(".")
    fields = json.loads(base64.urlsafe_b64decode(head + "=" * (-len(head) % 4)))
    head = base64.urlsafe_b64encode(json.dumps(fields | {"alg": "none"}).encode()).rstrip(b"=").decode()
    return f"{head}.{claims}."
