"""A client that was written for Django REST framework with SimpleJWT, and knows nothing of us."""

import ssl

import httpx
import pytest
from docker import wait_until
from stack import PASSWORD

EMAIL = "simplejwt@example.org"


class Client:
    """The usual one: a pair of tokens in hand, and after a 401 one refresh and one more try."""

    def __init__(self, url, **options):
        self.http = httpx.Client(base_url=url, timeout=60, trust_env=False, **options)
        self.access = self.refresh = None
        self.refreshes = 0

    def login(self, **credentials):
        self.take(self.http.post("/api/token/", json=credentials))

    def take(self, reply):
        reply.raise_for_status()
        tokens = reply.json()
        self.access, self.refresh = tokens["access"], tokens.get("refresh", self.refresh)

    def request(self, method, path, **options):
        reply = self.send(method, path, **options)
        if reply.status_code == 401 and self.refresh:
            self.take(self.http.post("/api/token/refresh/", json={"refresh": self.refresh}))
            self.refreshes += 1
            reply = self.send(method, path, **options)
        return reply

    def send(self, method, path, **options):
        return self.http.request(method, path, headers={"Authorization": f"Bearer {self.access}"}, **options)

    def verifies(self, token):
        return self.http.post("/api/token/verify/", json={"token": token}).status_code == 200

    def logout(self):
        self.http.post("/api/token/blacklist/", json={"refresh": self.refresh}).raise_for_status()


def journey(client, email, end_access_token):
    """All that such a client does, from the sign-in to the sign-out."""
    with pytest.raises(httpx.HTTPStatusError) as refused:
        client.login(email=email, password="wrong")
    assert refused.value.response.json() == {"detail": "No active account found with the given credentials"}
    missing = client.http.post("/api/token/", data={"email": email})
    assert (missing.status_code, missing.json()) == (400, {"password": ["This field is required."]})

    client.login(email=email, password=PASSWORD)
    assert client.request("GET", "/api/v1/me").json()["email"] == email
    assert client.verifies(client.access) and client.verifies(client.refresh) and not client.verifies("none")
    assert client.refreshes == 0

    used = client.refresh
    end_access_token()

    def refreshed():
        assert client.request("GET", "/api/v1/me").json()["email"] == email
        return client.refreshes

    wait_until(refreshed, 30, "the access token ends, and the client gets another")
    assert client.refreshes == 1 and client.refresh != used

    client.logout()
    gone = client.http.post("/api/token/refresh/", json={"refresh": client.refresh})
    assert (gone.status_code, gone.json()) == (401, {"detail": "Token is blacklisted", "code": "token_not_valid"})
    assert gone.headers["www-authenticate"] == 'Bearer realm="api"'
    with pytest.raises(httpx.HTTPStatusError):
        client.logout()


def test_a_simplejwt_client_needs_no_change(stack):
    stack.accept(stack.invite(EMAIL))
    # As a change of rights does; the other slot hears of it within a second.
    end = f"UPDATE users SET version = version + 1 WHERE email = '{EMAIL}'"
    journey(Client(stack.url, verify=ssl.create_default_context(cafile=stack.ca)), EMAIL, lambda: stack.sql(end))
