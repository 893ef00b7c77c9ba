"""One's own sessions and password."""

import re

import pytest
from playwright.sync_api import Page, expect

import steps
from access import examine

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
NEW = "granite swallow thursday hinge"


@pytest.fixture
def mate(stack, stranger, another_browser, watch):
    """An account of one's own, and two browsers that are signed in to it: one on its page, one at its notes."""
    watch.allow(r"status of 40[01]")  # what a session hears that has ended
    account = steps.Account(stack.email("mate"))
    steps.accept(stranger, stack.invite(account.email), account)
    other = another_browser(user_agent=FIREFOX).new_page()
    other.goto("/sign-in")
    steps.sign_in(other, account)
    other.wait_for_url("**/notes")
    stranger.reload()
    expect(sessions(stranger)).to_have_count(2)
    return account, stranger, other


def sessions(page: Page):
    return page.get_by_role("region", name="Where you are signed in").get_by_role("listitem")


def change(page: Page, current: str, new: str):
    page.get_by_label("Current password").fill(current)
    page.get_by_label("New password").fill(new)
    page.get_by_role("button", name="Change the password").click()


def test_all_others_are_signed_out_at_once(mate):
    _, page, other = mate
    expect(sessions(page).nth(1)).to_contain_text("Firefox on Linux")
    page.get_by_role("button", name="Sign out all others").click()
    expect(page.get_by_role("status")).to_have_text("All others are signed out.")
    expect(sessions(page)).to_have_count(1)
    expect(sessions(page)).to_contain_text("this browser")
    expect(page.get_by_role("heading", name="Where you are signed in")).to_be_focused()
    expect(page.get_by_role("button", name="Sign out all others")).to_have_count(0)
    other.reload()
    other.wait_for_url("**/sign-in?next=/notes")
    page.reload()
    expect(sessions(page)).to_have_count(1)


def test_a_new_password_ends_the_other_sessions(mate):
    account, page, other = mate
    page.get_by_text("Change your password").click()

    change(page, "not the right one", NEW)
    current = page.get_by_label("Current password")
    expect(current).to_be_focused()
    expect(current).to_have_accessible_description("Current password is not right.")
    expect(page.get_by_role("alert")).to_be_empty()
    expect(sessions(page)).to_have_count(2)

    change(page, account.password, NEW)
    said = "Your password is changed. All your other sessions have ended."
    expect(page.get_by_role("status")).to_have_text(said)
    expect(page.get_by_label("Current password")).to_be_hidden()
    expect(page.locator("summary")).to_be_focused()
    expect(sessions(page)).to_have_count(1)
    for field in ("#current", "#new"):
        expect(page.locator(field)).to_have_value("")

    # This session goes on, with its new cookie too; the other is over.
    steps.open_notes(page)
    other.reload()
    other.wait_for_url("**/sign-in?next=/notes")
    steps.sign_in(other, account)
    expect(other.get_by_role("alert")).to_contain_text("not right")
    steps.sign_in(other, account, password=NEW)
    other.wait_for_url("**/notes")


def test_a_new_password_is_judged_before_it_is_sent(tab, sailor, watch):
    tab.goto("/account")
    tab.get_by_text("Change your password").click()
    tab.get_by_role("button", name="Change the password").click()
    expect(tab.get_by_label("Current password")).to_be_focused()
    expect(tab.get_by_label("Current password")).to_have_accessible_description("Enter the password that you have now.")
    change(tab, sailor.password, "short")
    new = tab.get_by_label("New password")
    expect(new).to_be_focused()
    expect(new).to_have_accessible_description(re.compile("too easy to guess.*At least 12"))
    new.fill(f"{sailor.email.split('@')[0]} again")
    expect(tab.get_by_role("listitem").filter(has_text="Not your own name")).not_to_have_attribute("data-met", "true")
    assert not [one for one in watch.urls if one.endswith("/password")], "sent all the same"
    for field, kind in (("Current password", "current-password"), ("New password", "new-password")):
        expect(tab.get_by_label(field)).to_have_attribute("autocomplete", kind)
    expect(tab.locator("[autocomplete=username]")).to_have_value(sailor.email)
    examine(tab, "account, a new password")


def test_what_the_account_leads_to(tab):
    tab.goto("/account")
    expect(tab.get_by_role("link", name="API keys")).to_be_visible()
    expect(tab.get_by_role("link", name="All accounts")).to_be_hidden()  # for administrators
    tab.get_by_role("link", name="API keys").click()
    tab.wait_for_url("**/api-keys")
    tab.get_by_role("link", name="Your account").click()
    tab.wait_for_url("**/account")
