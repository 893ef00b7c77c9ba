"""Accounts as the whole stack keeps them, through nginx."""

import base64
import hashlib

FORGED = {
    "X_Forwarded_For": "203.0.113.{n}, 198.51.100.{n}",
    "X_Real_IP": "203.0.113.{n}",
    "Forwarded": "for=203.0.113.{n};host=evil.example;proto=http",
    "True_Client_IP": "203.0.113.{n}",
    "X_Client_IP": "203.0.113.{n}",
}


def account(email):
    """As the limits name it: nobody's address is in that table."""
    return base64.urlsafe_b64encode(hashlib.sha256(email.encode()).digest()[:16]).decode().rstrip("=")


def test_c7_a_client_s_own_words_change_neither_its_bucket_nor_the_audit_log(stack):
    email = "forger@accounts.example"
    stack.accept(stack.invite(email))

    def guess(**headers):
        body = {"email": email, "password": "not the right one"}
        return stack.request("POST", "/api/v1/auth/token", body, **headers)[0]

    assert guess() == 401
    for n in range(1, 6):
        assert guess(**{name: value.format(n=n) for name, value in FORGED.items()}) == 401
    counted = stack.sql(f"SELECT attempts FROM sign_in_limits WHERE bucket LIKE 'pair:{account(email)}:%'")
    assert counted == "6", "one bucket, with all of them"
    seen = stack.sql(
        "SELECT DISTINCT host(ip) FROM audit_events JOIN users ON users.id = user_id"
        f" WHERE event = 'authn_login_fail' AND email = '{email}'"
    )
    assert seen and "\n" not in seen and not seen.startswith(("203.0.113.", "198.51.100.")), seen
