"""The whole stack, once for all tests that use it."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent / "stack"))

from stack import Stack  # noqa: E402


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
