"""What all tests share: the whole stack, and what drives browsers, once each."""

import sys
from pathlib import Path

import pytest
from playwright.sync_api import sync_playwright

sys.path.insert(0, str(Path(__file__).parent / "stack"))

from stack import Stack  # noqa: E402


@pytest.fixture(scope="session")
def playwright():
    """One for all: a second one in the same process refuses to start."""
    with sync_playwright() as playwright:
        yield playwright


@pytest.fixture(scope="session")
def started():
    stack = Stack()
    try:
        yield stack, stack.up()
    finally:
        stack.erase()


@pytest.fixture(scope="session")
def stack(started):
    return started[0]


@pytest.fixture(scope="session")
def up_said(started):
    """What `scripts/up.sh` said at the first start."""
    return started[1]
