"""What the tests of the stack share."""

import os
import socket

import pytest
import trustme
from front import ROOT, Front, docker

# Never the name of a stack that the person has up.
PROJECT = os.environ.get("TEST_PROJECT", f"roadstead-test-{os.getpid()}")


@pytest.fixture(scope="session")
def free_port():
    """Gives a port of 127.0.0.1 that nobody listens on."""

    def give():
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            return listener.getsockname()[1]

    return give


@pytest.fixture(scope="session")
def throwaway_ca():
    """A certificate authority that ends with the tests."""
    return trustme.CA()


@pytest.fixture(scope="session")
def nginx_image():
    image = f"{PROJECT}-nginx"
    docker("build", "--quiet", "--tag", image, ROOT / "nginx")
    return image


@pytest.fixture(scope="session")
def make_front(nginx_image, throwaway_ca):
    """Starts nginx before a stand-in for the application, with these settings."""
    fronts = []

    def make(**settings):
        fronts.append(Front(nginx_image, throwaway_ca, **settings))
        return fronts[-1]

    yield make
    for front in fronts:
        front.close()


@pytest.fixture(scope="session")
def front(make_front):
    """The one for all tests that do not need another; its rates are out of the way."""
    rates = {f"ROADSTEAD_RATE_{what}": "10000r/s" for what in ("SIGN_IN", "REFRESH")}
    return make_front(https_port=18443, **rates)
