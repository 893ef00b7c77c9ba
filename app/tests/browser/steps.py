"""What people do on the pages, by the names they see."""

import json
from dataclasses import dataclass

from playwright.sync_api import Locator, Page, Route, expect


@dataclass
class Account:
    email: str
    password: str = "lantern gravel opera tin"


def accept(page: Page, link: str, account: Account):
    page.goto(link)
    expect(page.get_by_label("E-mail address")).to_have_value(account.email)
    page.get_by_label("New password").fill(account.password)
    page.get_by_role("button", name="Make my account").click()
    page.wait_for_url("**/account")
    expect(page.get_by_role("heading", name=account.email)).to_be_visible()


def sign_in(page: Page, account: Account, password: str | None = None):
    page.get_by_label("E-mail address").fill(account.email)
    page.get_by_label("Password", exact=True).fill(password or account.password)
    page.get_by_role("button", name="Sign in").click()


def open_notes(page: Page):
    page.goto("/notes")
    expect(page.get_by_role("form", name="New note")).to_be_visible()


def write(page: Page, title: str, text: str = ""):
    form = page.get_by_role("form", name="New note")
    form.get_by_label("Title").fill(title)
    form.get_by_label("Text").fill(text)
    form.get_by_role("button", name="Save the note").click()
    expect(note(page, title)).to_be_visible()


def note(page: Page, title: str) -> Locator:
    heading = page.get_by_role("heading", name=title, exact=True)
    return page.get_by_role("listitem").filter(has=heading)


def problem(route: Route, status: int, code: str, headers: dict | None = None, **members):
    """A failure as the stack would answer it."""
    body = {"title": "As told", "status": status, "code": code, "request_id": "0" * 32, **members}
    headers = {"content-type": "application/problem+json", "cache-control": "no-store", **(headers or {})}
    route.fulfill(status=status, headers=headers, body=json.dumps(body))
