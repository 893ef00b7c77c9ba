"""Tokens renewed unseen, many tabs, many browsers."""

from playwright.sync_api import expect

import steps

EVERYWHERE = """async () => JSON.stringify([
    {...localStorage}, {...sessionStorage}, document.cookie, location.href, history.state, document.title,
    await indexedDB.databases(), await caches.keys(), document.documentElement.outerHTML, Object.values(window).map(String),
])"""
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
CLICK_AT = "(button, time) => setTimeout(() => button.click(), time - performance.timeOrigin - performance.now())"


def test_the_token_is_in_memory_only(stack, tab, watch):
    with tab.expect_response("**/session/refresh") as renewal:
        tab.goto("/account")
    token = renewal.value.json()["access_token"]
    expect(tab.get_by_text("this browser")).to_be_visible()
    assert token not in tab.evaluate(EVERYWHERE)
    assert tab.evaluate("({...localStorage})") == {"roadstead-signed-in": "1"}
    assert not [one for one in watch.urls if token in one]
    # The refresh token is out of any script's reach.
    [cookie] = [one for one in tab.context.cookies() if one["name"] == "__Host-refresh"]
    assert (cookie["httpOnly"], cookie["secure"], cookie["sameSite"], cookie["path"]) == (True, True, "Strict", "/")
    assert cookie["value"] not in tab.evaluate(EVERYWHERE)


def test_a_token_near_its_end_is_renewed_before_it_is_used(stack, tab, watch):
    steps.open_notes(tab)
    watch.forget()
    tab.evaluate("() => { const now = Date.now; Date.now = () => now() + 290_000 }")
    steps.write(tab, "Five minutes later")
    asked = [one.split("/api/v1/")[1] for one in watch.urls]
    assert asked == ["auth/session/refresh", "notes"]


def test_a_refused_token_is_renewed_once_and_the_request_sent_again(stack, tab, watch):
    steps.open_notes(tab)
    watch.forget()
    watch.allow("status of 401")
    tab.route("**/api/v1/notes", lambda route: steps.problem(route, 401, "token_revoked"), times=1)
    steps.write(tab, "Not lost")
    assert len(watch.renewals) == 1
    tab.reload()
    expect(steps.note(tab, "Not lost")).to_have_count(1)


def test_several_tabs_renew_once(stack, new_tab, watch):
    tabs = [new_tab() for _ in range(4)]
    for tab in tabs:  # at once: none is waited for
        tab.evaluate("url => { location.href = url }", f"{stack.url}/notes")
    for tab in tabs:
        expect(tab.get_by_role("form", name="New note")).to_be_visible()
    assert len(watch.renewals) == 1


def test_tabs_whose_tokens_have_all_run_out_do_not_race(new_tab, watch):
    tabs = [new_tab() for _ in range(4)]
    for number, tab in enumerate(tabs):
        steps.open_notes(tab)
        # Clocks apart, so that what one tab got is no good to the next.
        tab.evaluate("hours => { const now = Date.now; Date.now = () => now() + hours * 3_600_000 }", number + 1)
        tab.get_by_label("Title").fill(f"From tab {number}")
    watch.forget()
    together = tabs[0].evaluate("performance.timeOrigin + performance.now()") + 1000
    for tab in tabs:
        tab.get_by_role("button", name="Save the note").evaluate(CLICK_AT, together)
    for number, tab in enumerate(tabs):
        expect(steps.note(tab, f"From tab {number}")).to_be_visible()
    spent = [one.all_headers()["cookie"] for one in watch.renewals]
    assert len(spent) == len(set(spent)) > 0, "one refresh token was spent twice"


def test_other_browsers_are_seen_and_signed_out_one_by_one(stack, tab, another_browser, sailor, watch):
    tab.goto("/account")
    sessions = tab.get_by_role("listitem").filter(has_text="signed in")
    expect(sessions.first).to_contain_text("this browser")
    before = sessions.count()

    other = another_browser(user_agent=FIREFOX).new_page()
    other.goto("/sign-in")
    steps.sign_in(other, sailor)
    other.wait_for_url("**/notes")
    expect(other.get_by_role("form", name="New note")).to_be_visible()
    other.get_by_label("Title").fill("Half a tho")

    tab.reload()
    expect(sessions).to_have_count(before + 1)
    expect(sessions.first).to_contain_text("this browser")
    expect(sessions.first.get_by_role("button")).to_have_count(0)
    tab.get_by_role("button", name="Sign out Firefox on Linux").click()
    expect(sessions).to_have_count(before)
    expect(tab.get_by_role("status")).to_have_text("Firefox on Linux is signed out.")
    expect(tab.get_by_role("heading", name="Where you are signed in")).to_be_focused()

    # Over there the access token may live on for a while, the session does not; and nothing written is lost.
    watch.allow(r"status of 40[01]")
    other.evaluate("() => { const now = Date.now; Date.now = () => now() + 290_000 }")
    other.get_by_role("button", name="Save the note").click()
    expect(other.get_by_role("alert")).to_contain_text("still here")
    expect(other.get_by_label("Title")).to_have_value("Half a tho")
    with other.context.expect_page() as opened:
        other.get_by_role("link", name="Sign in in a new tab").click()
    steps.sign_in(opened.value, sailor)
    opened.value.wait_for_url("**/notes")

    # The first tab goes on with what the second got.
    expect(other.locator("#alarm")).to_be_empty()
    other.get_by_role("button", name="Save the note").click()
    expect(steps.note(other, "Half a tho")).to_be_visible()

    # Signed out in one tab is signed out in all.
    other.get_by_role("button", name="Sign out").click()
    other.wait_for_url("**/sign-in*")
    opened.value.wait_for_url("**/sign-in*")
    expect(opened.value.get_by_role("heading", level=3)).to_have_count(0)
    opened.value.goto("/account")
    opened.value.wait_for_url("**/sign-in?next=/account")
