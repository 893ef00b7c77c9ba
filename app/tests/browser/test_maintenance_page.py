"""What people see while scripts/maintenance.sh keeps the site closed, and what an administrator sees."""

import re
import subprocess
from pathlib import Path

import pytest
from playwright.sync_api import expect

import steps
from access import examine

SCRIPT = Path(__file__).parents[3] / "scripts/maintenance.sh"


@pytest.fixture
def link(stack):
    """Closed, and the administrators' way in."""
    if stack.environment is None:
        pytest.skip("the stack is your own: it is not for us to close it")

    def turn(word):
        return subprocess.run([SCRIPT, word], env=stack.environment, capture_output=True, text=True, check=True).stdout

    try:
        yield re.search(r"https://\S+/maintenance/pass\?\S+", turn("on"))[0]
    finally:
        turn("off")


def test_people_see_when_to_come_back_and_an_administrator_sees_the_site(stack, link, stranger, another_browser, watch):
    watch.allow("status of 503")
    stranger.goto("/sign-in")
    expect(stranger.get_by_role("heading", name="Back soon")).to_be_visible()
    examine(stranger, "maintenance")

    administrator = another_browser().new_page()
    administrator.goto(link)
    expect(administrator).to_have_url(f"{stack.url}/")
    administrator.goto("/sign-in")
    expect(administrator.get_by_role("button", name="Sign in")).to_be_visible()
    assert not administrator.evaluate("document.cookie")

    stranger.get_by_role("link", name="Try again").click()
    expect(stranger).to_have_url(f"{stack.url}/sign-in")
    expect(stranger.get_by_role("heading", name="Back soon")).to_be_visible()


def test_a_page_that_was_open_before_says_so_at_its_next_request(link, stranger, watch):
    watch.allow("status of 503")
    stranger.goto(link)
    stranger.goto("/sign-in")
    stranger.context.clear_cookies()
    steps.sign_in(stranger, steps.Account("nobody@example.org"))
    expect(stranger.get_by_role("alert")).to_contain_text("will be back soon")
