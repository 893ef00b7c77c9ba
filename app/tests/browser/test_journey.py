"""From the invitation to the last note, as a person goes."""

import re

from playwright.sync_api import expect

import steps


def test_an_invitation_becomes_an_account_with_notes(stack, watch, stranger):
    page, account = stranger, steps.Account(stack.email("pilot"))
    link = stack.invite(account.email)

    steps.accept(page, link, account)
    expect(page.get_by_role("status")).to_contain_text("Welcome aboard")
    expect(page.get_by_role("listitem").filter(has_text="this browser")).to_have_count(1)
    assert page.url == f"{stack.url}/account"

    page.get_by_role("button", name="Sign out").click()
    page.wait_for_url("**/sign-in*")
    expect(page.get_by_role("status")).to_have_text("You are signed out.")

    # What needs an account sends away, and back afterwards. The console tells of the 4xx that was the answer.
    watch.allow(r"status of 40[01]")
    page.goto("/notes")
    page.wait_for_url("**/sign-in?next=/notes")

    steps.sign_in(page, account, password="not the right one")
    expect(page.get_by_role("alert")).to_contain_text("not right")
    expect(page.get_by_label("E-mail address")).to_have_value(account.email)
    steps.sign_in(page, account)
    page.wait_for_url("**/notes")
    expect(page.get_by_text("No notes yet")).to_be_visible()

    steps.write(page, "Lamp oil", "two cans\n<b>not bold</b>")
    expect(page.get_by_text("No notes yet")).to_be_hidden()
    steps.write(page, "Rope")
    expect(page.get_by_role("heading", level=3)).to_have_text(["Rope", "Lamp oil"])
    expect(steps.note(page, "Lamp oil")).to_contain_text("<b>not bold</b>")

    page.get_by_role("button", name="Edit “Lamp oil”").click()
    editor = page.get_by_role("form", name="Edit the note")
    editor.get_by_label("Title").fill("Lamp oil, much")
    editor.get_by_role("button", name="Save").click()
    expect(steps.note(page, "Lamp oil, much")).to_contain_text("changed since")

    page.get_by_role("button", name="Delete “Rope”").click()
    page.get_by_role("button", name="Keep it").click()
    expect(steps.note(page, "Rope")).to_be_visible()
    page.get_by_role("button", name="Delete “Rope”").click()
    page.get_by_role("button", name="Delete it").click()
    expect(steps.note(page, "Rope")).to_have_count(0)

    page.reload()
    expect(page.get_by_role("heading", level=3)).to_have_text(["Lamp oil, much"])

    # The link works once.
    page.goto(link)
    page.get_by_label("New password").fill(account.password)
    page.get_by_role("button", name="Make my account").click()
    expect(page.get_by_role("alert")).to_contain_text("cannot be used")


def test_the_invitation_leaves_the_address_bar_at_once(stack, watch, stranger):
    link = stack.invite(stack.email("unseen"))
    token = re.search("#token=([^&]+)", link)[1]
    stranger.goto(link)
    expect(stranger.get_by_label("New password")).to_be_visible()
    assert stranger.url == f"{stack.url}/invitation"
    # After `#`, so that no server, log or Referer has it.
    assert not [one for one in watch.urls if token in one.split("#")[0]]
    stranger.reload()
    expect(stranger.get_by_text("There is no invitation in this address")).to_be_visible()


def test_the_password_is_judged_while_it_is_typed(stack, stranger):
    stranger.goto(f"{stack.url}/invitation#token=none")
    email, password = stranger.get_by_label("E-mail address"), stranger.get_by_label("New password")
    hints = stranger.get_by_role("listitem")
    email.fill("harbour.master@example.org")

    def met() -> list[bool]:
        return [hint.get_attribute("data-met") == "true" for hint in hints.all()]

    for typed, expected in {
        "short": [False, True, True],
        "harbour.master 1": [True, False, True],
        "aaaaaaaaaaaaaaaa": [True, True, False],
        "1234567890123456": [True, True, False],
        "qwertyuiopasdfgh": [True, True, False],
        "lantern gravel opera": [True, True, True],
    }.items():
        password.fill(typed)
        assert met() == expected, typed

    password.fill("short")
    stranger.get_by_role("button", name="Make my account").click()
    expect(password).to_be_focused()
    expect(password).to_have_attribute("aria-invalid", "true")
    expect(password).to_have_accessible_description(re.compile("too easy to guess.*At least 12"))

    stranger.get_by_role("button", name="Show password").click()
    expect(password).to_have_attribute("type", "text")
    stranger.get_by_role("button", name="Hide password").click()
    expect(password).to_have_attribute("type", "password")


def test_password_managers_are_told_what_is_what(stack, stranger):
    for path, password in (("/sign-in", "current-password"), ("/invitation#token=none", "new-password")):
        stranger.goto(stack.url + path)
        assert stranger.locator("#email").get_attribute("autocomplete") == "username"
        assert stranger.locator("#password").get_attribute("autocomplete") == password


def test_notes_come_page_by_page(tab, watch):
    steps.open_notes(tab)
    for number in range(1, 24):
        steps.write(tab, f"Sounding {number}")
    tab.reload()
    sounding = tab.get_by_role("heading", level=3).filter(has_text="Sounding")
    expect(sounding).to_have_count(20)

    # One that is written between two pages is not shown twice, and none is left out.
    steps.write(tab, "Sounding 24")
    tab.get_by_role("button", name="Show older notes").click()
    expect(sounding).to_have_text([f"Sounding {number}" for number in range(24, 0, -1)])
    expect(tab.get_by_role("heading", name="Sounding 3", exact=True)).to_be_focused()
    expect(tab.get_by_role("button", name="Show older notes")).to_be_hidden()
