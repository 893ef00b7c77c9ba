"""What nginx offers in the handshake, and what it refuses there."""

import hashlib
import socket
import ssl
import struct

import pytest

MLKEM, X25519, P256, P384, P521 = 0x11EC, 29, 23, 24, 25
ALERT, PROTOCOL_VERSION, HANDSHAKE_FAILURE, UNRECOGNIZED_NAME = 0x15, 70, 40, 112
HELLO_RETRY = hashlib.sha256(b"HelloRetryRequest").digest()


def hello(version, groups, name="localhost", ciphers=(0x1301, 0x1302, 0x1303, 0xC02B, 0xC02C, 0xCCA9, 0xC009, 0x002F)):
    """A ClientHello with these groups and no key for any, so that the server names the one that it wants."""

    def vector(size, data):
        return len(data).to_bytes(size, "big") + data

    def extension(number, data):
        return struct.pack(">H", number) + vector(2, data)

    pairs = b"".join(struct.pack(">H", group) for group in groups)
    extensions = extension(0, vector(2, b"\0" + vector(2, name.encode()))) if name else b""
    extensions += extension(10, vector(2, pairs)) + extension(11, vector(1, b"\0"))
    extensions += extension(13, vector(2, bytes.fromhex("040305030804080504010501")))
    if version == 0x0304:
        extensions += extension(43, vector(1, struct.pack(">H", version))) + extension(51, vector(2, b""))
    suites = b"".join(struct.pack(">H", cipher) for cipher in ciphers)
    body = struct.pack(">H", min(version, 0x0303)) + bytes(range(32)) + vector(1, bytes(32))
    body += vector(2, suites) + vector(1, b"\0") + vector(2, extensions)
    return b"\x16\x03\x01" + vector(2, b"\x01" + vector(3, body))


def greet(front, *arguments, **options):
    """The first record of the server's answer."""
    with socket.create_connection(("127.0.0.1", front.https_port), timeout=10) as connection:
        connection.sendall(hello(*arguments, **options))
        return connection.recv(16384)


def assert_alert(answer, reason):
    assert (answer[0], answer[6]) == (ALERT, reason)


@pytest.mark.parametrize(
    ("offered", "chosen"),
    [((MLKEM, X25519, P256), MLKEM), ((X25519, P256), X25519), ((P521, P256), P256), ((P521, P384), P384)],
)
def test_the_key_exchange_is_post_quantum_where_it_can_be(front, offered, chosen):
    answer = greet(front, 0x0304, offered)
    assert HELLO_RETRY in answer
    assert struct.pack(">HHH", 51, 2, chosen) in answer


def test_other_groups_are_refused(front):
    assert_alert(greet(front, 0x0304, [P521]), HANDSHAKE_FAILURE)


@pytest.mark.parametrize("version", [0x0301, 0x0302])
def test_old_protocols_are_refused(front, version):
    assert_alert(greet(front, version, [X25519, P256]), PROTOCOL_VERSION)


@pytest.mark.parametrize(
    ("cipher", "accepted"),
    [(0xC02B, True), (0xC02C, True), (0xCCA9, True), (0xC009, False), (0xC023, False), (0x002F, False)],
)
def test_tls_1_2_has_only_suites_with_forward_secrecy_and_aead(front, cipher, accepted):
    answer = greet(front, 0x0303, [X25519, P256], ciphers=[cipher])
    if accepted:
        assert struct.pack(">H", cipher) in answer
    else:
        assert_alert(answer, HANDSHAKE_FAILURE)


@pytest.mark.parametrize("name", ["evil.example", "www.localhost", "127.0.0.1", None])
def test_an_unknown_name_gets_no_certificate(front, name):
    assert_alert(greet(front, 0x0304, [X25519], name=name), UNRECOGNIZED_NAME)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_sessions_are_resumed(front, version):
    context = front.trust()
    context.minimum_version = context.maximum_version = version
    session = None
    for resumed in (False, True):
        connection = socket.create_connection(("127.0.0.1", front.https_port), timeout=10)
        with context.wrap_socket(connection, server_hostname="localhost", session=session) as connection:
            connection.sendall(f"GET / HTTP/1.1\r\nHost: {front.authority}\r\nConnection: close\r\n\r\n".encode())
            while connection.recv(65536):
                pass
            assert connection.session_reused == resumed
            session = connection.session


def test_http2_is_chosen_where_the_client_knows_it(front):
    for offered, chosen in ((["h2", "http/1.1"], "h2"), (["http/1.1"], "http/1.1"), ([], None)):
        context = front.trust()
        if offered:
            context.set_alpn_protocols(offered)
        connection = socket.create_connection(("127.0.0.1", front.https_port), timeout=10)
        with context.wrap_socket(connection, server_hostname="localhost") as connection:
            assert connection.selected_alpn_protocol() == chosen
