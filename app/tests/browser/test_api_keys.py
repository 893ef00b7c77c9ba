"""API keys: made, shown once, revoked."""

import pytest
from playwright.sync_api import Locator, Page, expect

import steps
from access import examine

ASK = "async key => (await fetch('/api/v1/notes', { headers: { Authorization: `Bearer ${key}` } })).status"
# Requests go to the two slots in turn.
REFUSED_BY_ALL = f"""async key => {{
    for (let n = 0; n < 8; n += 1) if (await ({ASK})(key) !== 401) return false;
    return true;
}}"""


@pytest.fixture
def page(tab) -> Page:
    tab.goto("/api-keys")
    expect(tab.get_by_role("form", name="New key")).to_be_visible()
    return tab


def make(page: Page, name: str) -> str:
    form = page.get_by_role("form", name="New key")
    form.get_by_label("Name").fill(name)
    form.get_by_label("your notes").check()
    form.get_by_role("button", name="Make the key").click()
    expect(page.get_by_role("heading", name="Copy your new key now")).to_be_focused()
    return shown(page, name).input_value()


def shown(page: Page, name: str) -> Locator:
    return page.get_by_label(f"Key for “{name}”")


def card(page: Page, name: str) -> Locator:
    heading = page.get_by_role("heading", name=name, exact=True)
    return page.get_by_role("region", name="Your keys").get_by_role("listitem").filter(has=heading)


def test_a_key_is_shown_once_and_can_be_copied(stack, page):
    key = make(page, "Ferry")
    assert page.evaluate(ASK, key) == 200
    expect(page.get_by_text("It will not be shown again")).to_be_visible()
    expect(card(page, "Ferry")).to_contain_text("Never used")
    expect(card(page, "Ferry").get_by_role("list", name="May do")).to_have_text("notes")

    page.context.grant_permissions(["clipboard-read", "clipboard-write"], origin=stack.url)
    page.get_by_role("button", name="Copy the key").click()
    expect(page.get_by_role("status")).to_have_text("The key is copied.")
    assert page.evaluate("navigator.clipboard.readText()") == key
    examine(page, "API keys, one shown")

    page.get_by_role("button", name="I have it").click()
    expect(shown(page, "Ferry")).to_be_hidden()
    assert page.locator("#key").input_value() == ""
    page.reload()
    expect(card(page, "Ferry")).to_be_visible()
    assert key not in page.content()


def test_where_pages_may_not_copy_the_key_is_selected(page):
    page.evaluate("() => { navigator.clipboard.writeText = () => Promise.reject(new Error('no')) }")
    key = make(page, "By hand")
    page.get_by_role("button", name="Copy the key").click()
    expect(page.get_by_role("alert")).to_contain_text("copy it by hand")
    expect(shown(page, "By hand")).to_be_focused()
    assert page.evaluate("String(getSelection())") == key


def test_a_revoked_key_is_refused(page, watch):
    watch.allow("status of 401")
    key = make(page, "Lost")
    assert page.evaluate(ASK, key) == 200
    page.get_by_role("button", name="Revoke “Lost”").click()
    expect(page.get_by_role("button", name="Keep it")).to_be_focused()
    examine(page, "API keys, asking")
    page.keyboard.press("Escape")
    expect(page.get_by_role("button", name="Revoke “Lost”")).to_be_focused()
    assert page.evaluate(ASK, key) == 200

    page.get_by_role("button", name="Revoke “Lost”").click()
    page.get_by_role("button", name="Revoke it").click()
    expect(page.get_by_role("status")).to_have_text("“Lost” is revoked.")
    expect(page.get_by_role("heading", name="Your keys")).to_be_focused()
    page.wait_for_function(REFUSED_BY_ALL, arg=key)
    page.reload()
    expect(page.get_by_role("form", name="New key")).to_be_visible()
    expect(card(page, "Lost")).to_have_count(0)


def test_what_is_missing_is_said_in_its_place(page, watch):
    form = page.get_by_role("form", name="New key")
    button = form.get_by_role("button", name="Make the key")
    button.click()
    expect(form.get_by_label("Name")).to_be_focused()
    form.get_by_label("Name").fill("Incomplete")
    form.get_by_label("Days").fill("366")
    button.click()
    expect(form.get_by_label("Days")).to_have_accessible_description("Choose 1 to 365 days.")
    form.get_by_label("Days").fill("365")
    button.click()
    group = form.get_by_role("group", name="What it may do")
    expect(group).to_have_accessible_description("Choose at least one.")
    expect(form.get_by_role("checkbox").first).to_be_focused()
    examine(page, "API keys, incomplete")
    form.get_by_label("your notes").check()
    expect(page.get_by_text("Choose at least one.")).to_have_count(0)
    assert "POST" not in [one.method for one in watch.requests if one.url.endswith("/api-keys")]

    watch.allow("status of 4..")
    words = "must be one or more of these, with a space between: notes"
    refusals = [
        lambda route: steps.problem(route, 400, "invalid_fields", errors=[{"field": "scope", "message": words}]),
        lambda route: steps.problem(route, 409, "too_many_api_keys", detail="Revoke one first."),
    ]
    page.route("**/api/v1/api-keys", lambda route: refusals.pop(0)(route))
    button.click()
    expect(group).to_have_accessible_description(f"What it may do {words}.")
    button.click()
    expect(page.get_by_role("alert")).to_have_text("Revoke one first.")
    expect(form.get_by_label("Name")).to_have_value("Incomplete")


def test_a_key_can_have_no_more_than_oneself(page):
    boxes = page.get_by_role("group", name="What it may do").get_by_role("checkbox")
    expect(boxes).to_have_count(1)  # neither `account`, which no key can have, nor `users`
    expect(boxes).to_have_accessible_name("notes your notes: read and write")
