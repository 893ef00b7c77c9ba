"""For everybody: by keyboard, with a screen reader, in the dark, on a phone, without scripts."""

import pytest
from playwright.sync_api import expect

import steps
from access import examine

PAGES = ["/", "/sign-in", "/invitation", "/account", "/notes", "/api-keys", "/users"]


def test_the_first_page(stranger):
    stranger.goto("/")
    expect(stranger.get_by_role("row")).not_to_have_count(1)
    examine(stranger, "first page")


def test_sign_in_and_invitation(stack, stranger, watch):
    stranger.goto("/sign-in")
    stranger.get_by_role("button", name="Sign in").click()
    expect(stranger.get_by_text("Enter your password.")).to_be_visible()
    examine(stranger, "sign-in, incomplete")

    watch.allow("status of 503")
    stranger.route("**/auth/session", lambda route: steps.problem(route, 503, "overloaded"))
    steps.sign_in(stranger, steps.Account("nobody@example.org"))
    expect(stranger.get_by_role("alert")).to_contain_text("busy")
    examine(stranger, "sign-in, refused")

    stranger.goto("/invitation")
    examine(stranger, "invitation without a token")
    stranger.goto(f"{stack.url}/invitation#token=none")
    stranger.get_by_label("New password").fill("short")
    stranger.get_by_role("button", name="Make my account").click()
    examine(stranger, "invitation, incomplete")


def test_account_and_notes(tab):
    tab.goto("/account")
    expect(tab.get_by_text("this browser")).to_be_visible()
    examine(tab, "account")

    steps.open_notes(tab)
    steps.write(tab, "To be examined", "a\nb")
    tab.get_by_role("button", name="Edit “To be examined”").click()
    examine(tab, "notes, one being edited")
    tab.get_by_role("button", name="Cancel").click()
    tab.get_by_role("button", name="Delete “To be examined”").click()
    examine(tab, "notes, asking")


@pytest.mark.parametrize("path", ["/sign-in", "/notes"])
def test_focus_is_always_seen(path, tab, stranger):
    page = stranger if path == "/sign-in" else tab
    page.goto(path)
    if path == "/notes":
        expect(page.get_by_role("form", name="New note")).to_be_visible()
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    expect(page.get_by_role("link", name="Skip to the content")).to_be_in_viewport()
    for _ in range(6):
        page.keyboard.press("Tab")
        outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert outline == "solid", page.evaluate("document.activeElement.outerHTML")


def test_everything_by_keyboard(stack, stranger, sailor):
    page, press = stranger, stranger.keyboard.press

    def tab_to(role: str, name: str):
        for _ in range(40):
            press("Tab")
            target = page.get_by_role(role, name=name, exact=True)
            if target.count() and target.first.evaluate("one => one === document.activeElement"):
                return
        raise AssertionError(f"no Tab leads to the {role} {name!r}")

    page.goto("/")
    tab_to("link", "Sign in")
    press("Enter")
    page.wait_for_url("**/sign-in")
    press("Tab")
    press("Enter")  # the skip link
    press("Tab")
    expect(page.get_by_label("E-mail address")).to_be_focused()
    page.keyboard.type(sailor.email)
    press("Tab")
    page.keyboard.type(sailor.password)
    press("Enter")
    page.wait_for_url("**/notes")
    expect(page.get_by_role("form", name="New note")).to_be_visible()

    tab_to("textbox", "Title")
    page.keyboard.type("By hand")
    press("Enter")
    expect(steps.note(page, "By hand")).to_be_visible()
    expect(page.get_by_role("textbox", name="Title")).to_be_focused()

    tab_to("button", "Edit “By hand”")
    press("Enter")
    press("End")
    page.keyboard.type(", given up")
    press("Escape")
    expect(page.get_by_role("button", name="Edit “By hand”")).to_be_focused()
    press("Enter")
    press("End")
    page.keyboard.type(" alone")
    press("Control+Enter")
    expect(page.get_by_role("button", name="Edit “By hand alone”")).to_be_focused()

    tab_to("button", "Delete “By hand alone”")
    press("Enter")
    expect(page.get_by_role("button", name="Keep it")).to_be_focused()
    press("Escape")
    expect(page.get_by_role("button", name="Delete “By hand alone”")).to_be_focused()
    press("Enter")
    press("Tab")
    press("Enter")
    expect(steps.note(page, "By hand alone")).to_have_count(0)
    assert page.evaluate("document.activeElement !== document.body"), "the focus fell off the page"

    press("Shift+Tab")
    tab_to("button", "Sign out")
    press("Enter")
    page.wait_for_url("**/sign-in*")


def test_without_scripts_the_pages_say_so(another_browser):
    page = another_browser(java_script_enabled=False).new_page()
    for path in PAGES:
        page.goto(path)
        expect(page.locator("noscript p")).to_contain_text("switched off")


def test_each_page_has_its_name_and_its_landmarks(another_browser):
    page = another_browser(java_script_enabled=False).new_page()
    titles = set()
    for path in PAGES:
        page.goto(path)
        titles.add(page.title())
        assert page.locator("html").get_attribute("lang") == "en"
        for landmark in ("banner", "navigation", "main", "contentinfo"):
            expect(page.get_by_role(landmark)).to_have_count(1)
        expect(page.get_by_role("heading", level=1)).to_have_count(1)
        expect(page.get_by_role("link", name="Roadstead")).to_have_attribute("href", "/")
    assert len(titles) == len(PAGES)
