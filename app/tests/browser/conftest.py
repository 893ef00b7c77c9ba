"""Real Chromium against a real stack, over HTTPS, its CA trusted as a person would trust it: no check is switched off.

The stack is the one that all tests share, or one of your own:

ROADSTEAD_TEST_URL      where the stack is, such as https://localhost:8443
ROADSTEAD_TEST_CA       its site CA certificate (PEM)
ROADSTEAD_TEST_INVITE   a command that takes an e-mail address, and perhaps --admin, and prints an invitation link
"""

import itertools
import os
import re
import shlex
import subprocess
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import BrowserContext, Page, Request, expect

import calm
import steps

CHROMIUM = "/usr/bin/chromium"
PATIENCE = 10_000  # ms; the machine may be busy with other tests


@dataclass
class Stack:
    url: str
    ca: str
    invite_command: str
    environment: dict | None = None
    numbers: itertools.count = field(default_factory=itertools.count)

    def email(self, name: str) -> str:
        return f"{name}+{os.getpid()}-{next(self.numbers)}@example.org"

    def invite(self, email: str, *options: str) -> str:
        command = [*shlex.split(self.invite_command), email, *options]
        # The program refuses to start with ROADSTEAD_… variables that it does not know.
        env = self.environment
        if env is None:
            env = {name: value for name, value in os.environ.items() if not name.startswith("ROADSTEAD_TEST_")}
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=env)
        link = re.search(r"https://\S+#token=\S+", done.stdout)
        assert link, f"{shlex.join(command)} printed no link: {done.stdout}{done.stderr}"
        return link[0]


@pytest.fixture(scope="session")
def stack(request) -> Stack:
    names = ["ROADSTEAD_TEST_URL", "ROADSTEAD_TEST_CA", "ROADSTEAD_TEST_INVITE"]
    if not any(os.environ.get(name) for name in names):
        ours, _ = request.getfixturevalue("started")
        return Stack(ours.url, str(ours.ca), ours.invite_command(), ours.environment)
    missing = [name for name in names if not os.environ.get(name)]
    if missing:
        pytest.fail(f"For a stack of your own set {', '.join(missing)}, too (see {__file__}).", pytrace=False)
    url, ca, invite = (os.environ[name] for name in names)
    return Stack(url.rstrip("/"), ca, invite)


@pytest.fixture(scope="session")
def browser(stack, playwright, tmp_path_factory):
    home = tmp_path_factory.mktemp("home")
    store = home / ".pki" / "nssdb"
    store.mkdir(parents=True)
    for arguments in (["-N", "--empty-password"], ["-A", "-t", "C,,", "-n", "site-ca", "-i", stack.ca]):
        subprocess.run(["certutil", "-d", f"sql:{store}", *arguments], check=True)

    program = home / "chromium"
    inside = ""
    at = urlsplit(stack.url)
    if os.geteuid() == 0 and at.hostname in ("localhost", "127.0.0.1"):
        inside = f"nsenter --net={calm.shelter(at.port or 443)} "
    program.write_text(f'#!/bin/sh\nexec {inside}{CHROMIUM} "$@"\n')
    program.chmod(0o755)

    expect.set_options(timeout=PATIENCE)
    chromium = playwright.chromium.launch(
        executable_path=program,
        env={**os.environ, "HOME": str(home)},
        chromium_sandbox=os.geteuid() != 0,  # it refuses to work for root
    )
    yield chromium
    chromium.close()


class Watch:
    """All that a browser complains of, and all that it asks for."""

    def __init__(self, url: str):
        self.url = url
        self.troubles: list[str] = []
        self.requests: list[Request] = []
        self.allowed: list[str] = []

    def over(self, context: BrowserContext):
        context.on("console", lambda said: said.type in ("error", "warning") and self.troubles.append(said.text))
        context.on("weberror", lambda error: self.troubles.append(str(error.error)))
        context.on("request", lambda request: self.requests.append(request))

    def allow(self, pattern: str):
        self.allowed.append(pattern)

    @property
    def urls(self) -> list[str]:
        return [one.url for one in self.requests]

    @property
    def renewals(self) -> list[Request]:
        return [one for one in self.requests if one.url == f"{self.url}/api/v1/auth/session/refresh"]

    def forget(self):
        for one in (self.troubles, self.requests, self.allowed):
            one.clear()

    def verdict(self):
        bad = [one for one in self.troubles if not any(re.search(pattern, one) for pattern in self.allowed)]
        assert not bad, f"the browser complained: {bad}"
        foreign = [one for one in self.urls if not one.startswith((f"{self.url}/", "data:"))]
        assert not foreign, f"asked for from elsewhere: {foreign}"


@pytest.fixture(scope="session")
def watch_all(stack) -> Watch:
    return Watch(stack.url)


@pytest.fixture
def watch(watch_all):
    watch_all.forget()
    yield watch_all
    watch_all.verdict()


def opened(browser, stack, watch, **options) -> BrowserContext:
    context = browser.new_context(base_url=stack.url, viewport={"width": 1280, "height": 800}, **options)
    context.set_default_timeout(PATIENCE)
    watch.over(context)
    return context


@pytest.fixture
def another_browser(browser, stack, watch):
    """Makes browsers that know nothing yet: no cookie, no storage."""
    made: list[BrowserContext] = []

    def make(**options) -> BrowserContext:
        made.append(opened(browser, stack, watch, **options))
        return made[-1]

    yield make
    for context in made:
        context.close()


@pytest.fixture
def stranger(another_browser) -> Page:
    return another_browser().new_page()


@pytest.fixture(scope="session")
def settled(browser, stack, watch_all):
    """An account, and a browser that is signed in to it, for all tests: signing in is rationed."""
    account = steps.Account(stack.email("sailor"))
    context = opened(browser, stack, watch_all)
    page = context.new_page()
    steps.accept(page, stack.invite(account.email), account)
    page.close()
    yield account, context
    context.close()


@pytest.fixture
def sailor(settled) -> steps.Account:
    return settled[0]


@pytest.fixture
def new_tab(settled, watch):
    context = settled[1]
    yield context.new_page
    for page in context.pages:
        page.close()


@pytest.fixture
def tab(new_tab) -> Page:
    return new_tab()
