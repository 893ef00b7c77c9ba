"""All accounts: what administrators do with them, and what becomes of those."""

import pytest
from playwright.sync_api import Locator, Page, expect

import steps
from access import examine


@pytest.fixture
def chief(stack, stranger, watch) -> tuple[steps.Account, Page]:
    watch.allow(r"status of 40[013]")  # what somebody hears who may no longer come in
    account = steps.Account(stack.email("chief"))
    steps.accept(stranger, stack.invite(account.email, "--admin"), account)
    stranger.get_by_role("link", name="All accounts").click()
    stranger.wait_for_url("**/users")
    expect(card(stranger, account)).to_be_visible()
    return account, stranger


@pytest.fixture
def hand(stack, another_browser, chief) -> tuple[steps.Account, Page]:
    """A member, seen by the administrator."""
    account = steps.Account(stack.email("hand"))
    page = another_browser().new_page()
    steps.accept(page, stack.invite(account.email), account)
    chief[1].reload()
    expect(card(chief[1], account)).to_be_visible()
    return account, page


def card(page: Page, account: steps.Account) -> Locator:
    return page.get_by_role("listitem").filter(has=page.get_by_role("heading", name=account.email))


def act(page: Page, account: steps.Account, what: str, answer: str | None = None):
    page.get_by_role("button", name=f"{what} {account.email}").click()
    if answer:
        question = page.get_by_role("dialog")
        expect(question.get_by_role("button", name="Leave it as it is")).to_be_focused()
        question.get_by_role("button", name=answer).click()
    expect(page.get_by_role("status")).to_contain_text(account.email)
    expect(page.get_by_role("heading", name=account.email)).to_be_focused()


def test_a_disabled_account_is_out_until_it_is_enabled(chief, hand):
    page, (account, theirs) = chief[1], hand
    page.get_by_role("button", name=f"Disable {account.email}").click()
    examine(page, "accounts, asking")
    page.keyboard.press("Escape")
    expect(card(page, account).get_by_text("disabled")).to_be_hidden()
    act(page, account, "Disable", "Disable it")
    expect(card(page, account).get_by_text("disabled")).to_be_visible()
    examine(page, "accounts")

    theirs.reload()
    theirs.wait_for_url("**/sign-in?next=/account")
    steps.sign_in(theirs, account)
    expect(theirs.get_by_role("alert")).to_contain_text("not right")

    act(page, account, "Enable")
    expect(card(page, account).get_by_text("disabled")).to_be_hidden()
    steps.sign_in(theirs, account)
    theirs.wait_for_url("**/account")


def test_the_right_to_administer_comes_and_goes(chief, hand):
    page, (account, theirs) = chief[1], hand
    expect(theirs.get_by_role("link", name="All accounts")).to_be_hidden()
    act(page, account, "Make administrator", "Make administrator")
    expect(card(page, account).get_by_text("administrator", exact=True)).to_be_visible()
    theirs.reload()
    expect(theirs.get_by_text("Administrator", exact=True)).to_be_visible()
    theirs.get_by_role("link", name="All accounts").click()
    expect(card(theirs, chief[0])).to_be_visible()

    act(page, account, "Make a member")
    expect(card(page, account).get_by_text("administrator", exact=True)).to_be_hidden()
    # The page is still there, and what it asks for is refused: with the token of before, and with the next one.
    theirs.reload()
    expect(theirs.get_by_role("alert")).to_contain_text("for administrators only")
    expect(theirs.get_by_role("listitem")).to_have_count(0)


def test_somebody_is_signed_out_everywhere(chief, hand):
    page, (account, theirs) = chief[1], hand
    act(page, account, "Sign out everywhere", "Sign out")
    theirs.reload()
    theirs.wait_for_url("**/sign-in?next=/account")
    steps.sign_in(theirs, account)
    theirs.wait_for_url("**/account")


def test_nobody_changes_their_own_rights(chief):
    account, page = chief
    own = card(page, account)
    expect(own.get_by_text("you", exact=True)).to_be_visible()
    expect(own.get_by_role("button")).to_have_count(0)
    expect(own.get_by_role("link", name="your account")).to_have_attribute("href", "/account")


def test_a_refusal_leaves_the_account_as_it_was(chief, hand, watch):
    page, (account, _) = chief[1], hand
    watch.allow("status of 409")
    words = "Nobody changes their own rights; another administrator can."
    page.route("**/api/v1/users/*", lambda route: steps.problem(route, 409, "own_account", detail=words), times=1)
    page.get_by_role("button", name=f"Make administrator {account.email}").click()
    page.get_by_role("dialog").get_by_role("button", name="Make administrator").click()
    expect(page.get_by_role("alert")).to_have_text(words)
    expect(card(page, account).get_by_text("administrator", exact=True)).to_be_hidden()
    expect(page.get_by_role("button", name=f"Make administrator {account.email}")).to_be_enabled()


def test_a_member_is_told_that_it_is_not_for_them(tab, watch):
    watch.allow("status of 403")
    tab.goto("/users")
    expect(tab.get_by_role("alert")).to_contain_text("for administrators only")
    expect(tab.get_by_role("listitem")).to_have_count(0)
