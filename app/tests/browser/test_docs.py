"""The page that shows the API: Swagger UI under the site's own Content-Security-Policy, and nothing from elsewhere."""

import re

from playwright.sync_api import expect

SIGN_IN = """async (account) => {
  const headers = { "Content-Type": "application/json" };
  const reply = await fetch("/api/v1/auth/token", { method: "POST", headers, body: JSON.stringify(account) });
  return (await reply.json()).access_token;
}"""


def test_the_api_is_read_and_tried(stranger, sailor):
    stranger.goto("/api/docs/")
    expect(stranger.get_by_role("heading", name="Roadstead")).to_be_visible()
    document = stranger.evaluate("async () => (await fetch('/api/openapi.json')).json()")
    operations = sum(len(methods) for methods in document["paths"].values())
    expect(stranger.locator(".opblock")).to_have_count(operations)

    token = stranger.evaluate(SIGN_IN, {"email": sailor.email, "password": sailor.password})
    stranger.get_by_role("button", name="Authorize").click()
    stranger.get_by_label("auth-bearer-value").fill(token)
    stranger.get_by_role("button", name="Apply credentials").first.click()
    stranger.get_by_role("button", name="Close").first.click()

    me = stranger.locator(".opblock", has=stranger.get_by_text("/api/v1/me", exact=True))
    me.get_by_role("button").first.click()
    me.get_by_role("button", name="Try it out").click()
    me.get_by_role("button", name="Execute").click()
    expect(me.locator(".live-responses-table")).to_contain_text(sailor.email)


def test_without_scripts_the_page_says_so(another_browser):
    page = another_browser(java_script_enabled=False).new_page()
    page.goto("/api/docs/")
    expect(page.locator("noscript p")).to_contain_text("/api/openapi.json")


def test_it_is_dark_where_people_want_it_so(another_browser):
    page = another_browser(color_scheme="dark").new_page()
    page.goto("/api/docs/")
    expect(page.get_by_role("heading", name="Roadstead")).to_be_visible()
    style = "element => [getComputedStyle(element).color, getComputedStyle(element).backgroundColor]"
    text, ground = page.locator(".swagger-ui").first.evaluate(style)
    assert light(text) - light(ground) > 400, (text, ground)
    page.emulate_media(color_scheme="light")
    expect(page.locator("html")).not_to_have_class("dark-mode")


def light(color):
    """0 for black, 765 for white; `rgb(…)` as browsers write it."""
    return sum(map(int, re.findall(r"\d+", color)[:3]))
