"""Access tokens of the tests' own making, signed with the key that the stack itself signs with."""

import base64
import copy
import json
import time
import uuid

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from docker import run

# What stands before the 32 bytes of the private key in PKCS #8 (RFC 8410 section 7).
SEED_FOLLOWS = bytes.fromhex("04220420")


def encode(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def decode(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def text_of(part):
    """Bytes as they are, anything else as compact JSON."""
    return part if isinstance(part, bytes) else json.dumps(part, separators=(",", ":")).encode()


def changed(part, changes):
    """A copy with members set; those that are to be `...` are left out."""
    both = copy.deepcopy(part) | changes
    return {name: value for name, value in both.items() if value is not ...}


def master_key(stack):
    volume = f"{stack.project}_app-secrets:/secrets:ro"
    cat = ("--entrypoint", "cat", f"{stack.project}-nginx", "/secrets/master_key")
    done = run("docker", "run", "--rm", "--network", "none", "--user", "10001", "--volume", volume, *cat, env=stack.environment)
    return decode(done.stdout.strip())


def open_key(master, kid, nonce, ciphertext):
    """As `auth/secret.rs` seals it: AES-256-GCM, bound to its kid."""
    pkcs8 = AESGCM(master).decrypt(nonce, ciphertext, kid.encode())
    seed = pkcs8.index(SEED_FOLLOWS) + len(SEED_FOLLOWS)
    return Ed25519PrivateKey.from_private_bytes(pkcs8[seed : seed + 32])


class Signer:
    """Makes tokens like a good one, but for what a test wants otherwise."""

    def __init__(self, good, private):
        head, body, _ = good.split(".")
        self.private = private
        self.header, self.claims = json.loads(decode(head)), json.loads(decode(body))

    @classmethod
    def of(cls, stack, good):
        kid = json.loads(decode(good.split(".")[0]))["kid"]
        row = stack.sql(f"SELECT encode(nonce, 'hex'), encode(ciphertext, 'hex') FROM signing_keys WHERE kid = '{kid}'")
        nonce, ciphertext = (bytes.fromhex(column) for column in row.split("|"))
        return cls(good, open_key(master_key(stack), kid, nonce, ciphertext))

    def public(self):
        """The raw bytes, DER and PEM."""
        key = self.private.public_key()
        spki = PublicFormat.SubjectPublicKeyInfo
        return (
            key.public_bytes(Encoding.Raw, PublicFormat.Raw),
            key.public_bytes(Encoding.DER, spki),
            key.public_bytes(Encoding.PEM, spki),
        )

    def fresh(self):
        """The claims of a token that is issued now."""
        now = int(time.time())
        times = {"iat": now, "nbf": now, "exp": now + 300, "auth_time": min(now, self.claims["auth_time"])}
        return self.claims | times | {"jti": str(uuid.uuid4())}

    def token(self, header=None, **claims):
        """A good one, with members of its header and claims changed; `...` leaves one out."""
        return self.sign(changed(self.header, header or {}), changed(self.fresh(), claims))

    def sign(self, header, claims):
        return self.sign_text(f"{encode(text_of(header))}.{encode(text_of(claims))}")

    def sign_text(self, text):
        return f"{text}.{encode(self.private.sign(text.encode()))}"

    def stranger(self):
        """Somebody with a key of their own who says what we say."""
        other = copy.copy(self)
        other.private = Ed25519PrivateKey.generate()
        return other
