"""When the server is busy, slow, or gone: told kindly, and nothing typed is lost."""

import re
import time

from playwright.sync_api import expect

import steps


def test_the_first_page_shows_who_answers(stack, stranger):
    stranger.goto("/")
    expect(stranger.get_by_role("heading", level=1)).to_have_text("A safe anchorage for your application")
    rows = stranger.get_by_role("table").get_by_role("row")
    expect(rows.filter(has_text="ready").first).to_be_visible()
    state = stranger.evaluate("fetch('/health/ready').then(reply => reply.json())")
    expect(rows.nth(1)).to_contain_text(state["version"])
    expect(stranger.get_by_text("HTTP/2, encrypted")).to_be_visible()
    expect(stranger.get_by_text("0 missed")).to_be_visible()
    expect(stranger.locator("#ask")).to_contain_text(stack.url)


def test_the_first_page_follows_a_hand_over(stranger, watch):
    def answer(route):
        answer.count += 1
        if answer.count > 6:
            return route.abort("connectionrefused")
        slot = "green" if answer.count % 2 else "blue"
        instance = "second" if answer.count > 4 else "first"
        state = {"slot": slot, "instance": instance, "version": "9.9.9", "workers": 2, "uptime_s": 93_784}
        route.fulfill(json={"state": "ready", **state})

    answer.count = 0
    watch.allow("ERR_CONNECTION_REFUSED")
    stranger.clock.install()
    stranger.route("**/health/ready", answer)
    stranger.goto("/")
    stranger.clock.run_for(1_000)
    headline = stranger.locator("#headline")
    expect(headline).to_have_text("Both slots answer")
    expect(stranger.get_by_role("row").nth(1)).to_have_text("blueready9.9.91 d 2 h2")
    expect(stranger.locator(".wide .lit")).to_have_count(2)
    stranger.clock.run_for(3_100)
    expect(stranger.get_by_role("row").nth(2)).to_have_text("greenready, replaced9.9.91 d 2 h2")
    for _ in range(3):
        stranger.clock.run_for(3_100)
    expect(headline).to_have_text("No answer just now")
    expect(stranger.locator(".wide .lit")).to_have_count(0)


def test_a_passing_failure_of_a_read_is_not_seen(tab, watch):
    watch.allow("status of 503")
    busy = {"retry-after": "1"}
    tab.route("**/api/v1/notes*", lambda route: steps.problem(route, 503, "overloaded", busy), times=1)
    begun = time.monotonic()
    steps.open_notes(tab)
    assert time.monotonic() - begun >= 1, "Retry-After was not waited for"
    expect(tab.locator("#alarm")).to_be_empty()


def test_a_lasting_failure_of_a_read_offers_to_try_again(tab, watch):
    watch.allow("ERR_INTERNET_DISCONNECTED")
    tab.goto("/sign-in")  # and so on to the notes, signed in as one is
    tab.wait_for_url("**/notes")
    tab.route("**/api/v1/**", lambda route: route.abort("internetdisconnected"))
    tab.reload()
    expect(tab.get_by_role("alert")).to_contain_text("cannot be reached")
    tab.unroute("**/api/v1/**")
    tab.get_by_role("button", name="Try again").click()
    expect(tab.get_by_role("form", name="New note")).to_be_visible()


def test_what_could_not_be_saved_is_still_there(tab, watch):
    watch.allow("ERR_CONNECTION_RESET|status of 500")
    tab.add_init_script("const slow = setTimeout; setTimeout = (work, wait) => slow(work, wait / 20)")
    steps.open_notes(tab)
    steps.write(tab, "Before the storm")
    tab.get_by_label("Title").fill("In a storm")
    for breakage in (
        lambda route: route.abort("connectionreset"),
        lambda route: steps.problem(route, 500, "internal"),
    ):
        tab.route("**/api/v1/notes", breakage, times=1)
        tab.get_by_role("button", name="Save the note").click()
        expect(tab.get_by_role("alert")).not_to_be_empty()
        tab.wait_for_timeout(600)  # good news goes by itself, bad news stays
        expect(tab.get_by_role("alert")).not_to_be_empty()
        expect(tab.get_by_label("Title")).to_have_value("In a storm")
    expect(tab.get_by_role("alert")).to_contain_text("0" * 32)
    tab.get_by_role("button", name="Save the note").click()
    expect(steps.note(tab, "In a storm")).to_be_visible()
    expect(tab.locator("#alarm")).to_be_empty()


def test_too_many_attempts_are_counted_down(stranger, watch):
    watch.allow("status of 429")
    wait = {"retry-after": "2"}
    stranger.route("**/auth/session", lambda route: steps.problem(route, 429, "rate_limited", wait))
    stranger.goto("/sign-in")
    steps.sign_in(stranger, steps.Account("nobody@example.org"))
    expect(stranger.get_by_role("alert")).to_contain_text("Too many attempts")
    button = stranger.locator("button[type=submit]")
    expect(button).to_have_text("Sign in (in 1 s)")
    expect(button).to_be_disabled()
    expect(button).to_have_text("Sign in")
    expect(button).to_be_enabled()
    assert [one.method for one in watch.requests].count("POST") == 1


def test_what_the_server_says_of_a_field_is_beside_it(stack, stranger, watch):
    watch.allow("status of 400|status of 409")
    stranger.goto(f"{stack.url}/invitation#token=none")
    email, password = stranger.get_by_label("E-mail address"), stranger.get_by_label("New password")
    email.fill("mate@example.org")
    password.fill("lantern gravel opera tin")
    button = stranger.get_by_role("button", name="Make my account")
    words = "This is one of the passwords that are tried first."

    def refuse(route):
        steps.problem(route, 400, "invalid_fields", errors=[{"field": "password", "message": words}])

    stranger.route("**/auth/invitation", refuse, times=1)
    button.click()
    expect(password).to_be_focused()
    expect(password).to_have_accessible_description(re.compile(f"^{words} done: At least 12 characters, 24 so far"))
    password.press_sequentially("!")
    expect(stranger.get_by_text(words)).to_have_count(0)

    words = "must have 12 to 128 characters"  # of some field, by the server's own rules
    stranger.route("**/auth/invitation", refuse, times=1)
    button.click()
    expect(stranger.get_by_text("New password must have 12 to 128 characters.")).to_be_visible()
    password.press_sequentially("!")

    taken = "There is an account with this address already."
    stranger.route("**/auth/invitation", lambda route: steps.problem(route, 409, "email_taken", detail=taken), times=1)
    button.click()
    expect(email).to_have_accessible_description(taken)
