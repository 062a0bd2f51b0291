"""The page about who may see and do what: people in and out, keys, and an administrator of one compound."""

from collections.abc import Iterator
from contextlib import closing

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from access.audit import Audit
from access.callers import Grant, Scope
from access.people import People
from records.database import Database
from tests.pages.conftest import Open, Served

PASSWORD = "correct horse battery"
NAME = 'hall <b>screen</b>" onclick="alert(1)'
MINE, FOREIGN = "jingyuan", "xinyuan"


@pytest.fixture
def database(served: Served) -> Iterator[Database]:
    with closing(Database(f"sqlite:///{served.folder / 'records.db'}")) as made:
        yield made


def sign_in(served: Served, login: str, password: str) -> httpx.Response:
    return httpx.post(f"{served.url}/sign-in", data={"name": login, "key": password})


def test_somebody_is_let_in_given_another_password_and_shut_out(
    opened: Open, served: Served, database: Database
) -> None:
    page = opened("/access")
    page.get_by_role("button", name="Add a person").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Login").fill("Wang Fang")
    dialog.get_by_label("Name").fill("Wang Fang")
    dialog.get_by_label("Password").fill("short")
    dialog.get_by_role("button", name="Add a person").click()
    expect(
        dialog.get_by_role("alert").filter(has_text="At least 12 characters")
    ).to_be_visible()  # and nothing was sent
    assert [each.login for each in People(database).list()] == []
    dialog.get_by_label("Login").fill("wang")
    dialog.get_by_label("Password").fill(PASSWORD)
    dialog.locator("label", has_text="Compounds").click()
    page.get_by_role("option").first.click()
    page.keyboard.press("Escape")
    dialog.get_by_role("button", name="Add a person").click()
    found = page.locator("tr", has_text="Wang Fang")
    expect(found).to_contain_text("see, take alarms on")
    expect(found).to_contain_text("let in")
    (person,) = People(database).list()
    assert person.grant.scopes == {Scope.READ, Scope.ACKNOWLEDGE}
    assert person.grant.compounds is not None
    assert len(person.grant.compounds) == 1
    answer = sign_in(served, "wang", PASSWORD)
    assert answer.status_code == 303

    page.get_by_role("button", name="New password: Wang Fang").click()
    page.get_by_role("dialog").get_by_label("Password").fill("another long password")
    page.get_by_role("dialog").get_by_role("button", name="New password").click()
    expect(page.get_by_role("dialog")).to_have_count(0)
    assert sign_in(served, "wang", PASSWORD).status_code == 401
    assert httpx.get(f"{served.url}/", cookies=answer.cookies).status_code == 303  # signed out everywhere
    assert sign_in(served, "wang", "another long password").status_code == 303

    page.get_by_role("button", name="Shut out: Wang Fang").click()
    page.get_by_role("dialog").get_by_role("button", name="Shut out").click()
    expect(page.locator("tr", has_text="Wang Fang")).to_contain_text("shut out")
    expect(page.get_by_role("button", name="Shut out: Wang Fang")).to_have_count(0)
    assert sign_in(served, "wang", "another long password").status_code == 401
    lines = [each for each in Audit(database).newest(50) if each.about == "wang" and each.what.startswith("person.")]
    assert [each.what for each in lines] == ["person.disable", "person.password", "person.add"]
    assert {each.who for each in lines} == {"key:installation"}


def test_a_key_is_shown_once_and_revoked(opened: Open, served: Served) -> None:
    page = opened("/access")
    page.get_by_role("button", name="Make a key").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name="Make a key").click()
    expect(dialog.get_by_role("alert").filter(has_text="1 to 64 characters")).to_be_visible()
    dialog.get_by_label("Used for").fill(NAME)
    dialog.get_by_role("button", name="Make a key").click()
    shown = page.locator("code.key")
    expect(shown).to_be_visible()
    key = shown.inner_text()
    page.get_by_role("button", name="Done").click()
    found = page.locator("tr", has_text=NAME)
    expect(found).to_contain_text("accepted")
    assert key not in page.content()
    headers = {"X-API-Key": key}
    me = httpx.get(f"{served.url}/v1/me", headers=headers).json()
    assert (me["scopes"], me["compounds"]) == (["read"], None)
    page.get_by_role("button", name=f"Revoke: {NAME}").click()
    page.get_by_role("dialog").get_by_role("button", name="Revoke").click()
    expect(found).to_contain_text("revoked")
    assert httpx.get(f"{served.url}/v1/me", headers=headers).status_code == 401


@pytest.fixture
def as_admin_of_one(browser: Browser, served: Served, database: Database) -> Iterator[Page]:
    people = People(database)
    one = Grant(scopes=frozenset({Scope.READ, Scope.ADMIN}), compounds=frozenset({MINE}))
    theirs = Grant(scopes=frozenset({Scope.READ}), compounds=frozenset({FOREIGN}))
    people.add("chief", "Chief", one, now_ns=1, password=PASSWORD)
    people.add("other", "Somebody else", theirs, now_ns=1, password=PASSWORD)
    people.add("above", "Head office", Grant(), now_ns=1, password=PASSWORD)
    context = browser.new_context(base_url=served.url, locale="en-GB")
    cookies = sign_in(served, "chief", PASSWORD).cookies
    context.add_cookies([{"name": name, "value": value, "url": served.url} for name, value in cookies.items()])
    page = context.new_page()
    page.goto("/access")
    page.wait_for_selector("h1")
    yield page
    context.close()


def test_an_administrator_of_one_compound_sees_and_gives_just_that(as_admin_of_one: Page, database: Database) -> None:
    page = as_admin_of_one
    for text in (FOREIGN, "Somebody else", "Head office"):
        assert text not in page.content()
    expect(page.get_by_role("button", name="Shut out: Chief")).to_have_count(0)  # nobody shuts themselves out
    page.get_by_role("button", name="Make a key").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Used for").fill("mine")
    dialog.locator("label", has_text="Compounds").click()
    expect(page.get_by_role("option")).to_have_count(1)
    page.keyboard.press("Escape")
    dialog.locator("label", has_text="May").click()
    expect(page.get_by_role("option")).to_have_count(2)
    page.keyboard.press("Escape")
    dialog.get_by_role("button", name="Make a key").click()
    expect(page.locator("code.key")).to_be_visible()
    line = next(each for each in Audit(database).newest(5) if each.what == "key.create")
    assert line.who == "person:chief"
    page.get_by_role("button", name="Done").click()
    expect(page.locator("tr", has_text="mine")).to_contain_text("accepted")


def test_somebody_changes_their_own_password(
    browser: Browser, opened: Open, served: Served, database: Database
) -> None:
    grant = Grant(scopes=frozenset({Scope.READ}), compounds=frozenset({MINE}))
    People(database).add("zhao", "Zhao Min", grant, now_ns=1, password=PASSWORD)
    context = browser.new_context(base_url=served.url, locale="en-GB")
    cookies = sign_in(served, "zhao", PASSWORD).cookies
    context.add_cookies([{"name": name, "value": value, "url": served.url} for name, value in cookies.items()])
    page = context.new_page()
    page.goto("/")
    page.get_by_role("link", name="Zhao Min").click()
    expect(page.get_by_text("Jingyuan")).to_be_visible()
    change = page.get_by_role("button", name="Change the password")
    page.get_by_label("Current password").fill("not the password")
    page.get_by_label("New password").fill("short")
    change.click()
    expect(page.get_by_role("alert").filter(has_text="At least 12 characters")).to_be_visible()
    page.get_by_label("New password").fill("another long password")
    change.click()
    expect(page.get_by_role("alert").filter(has_text="This is not your password.")).to_be_visible()
    assert sign_in(served, "zhao", PASSWORD).status_code == 303
    page.get_by_label("Current password").fill(PASSWORD)
    change.click()
    page.wait_for_url("**/sign-in*")
    assert sign_in(served, "zhao", PASSWORD).status_code == 401
    assert sign_in(served, "zhao", "another long password").status_code == 303
    assert httpx.get(f"{served.url}/", cookies=cookies).status_code == 303
    lines = [each.what for each in Audit(database).newest(50) if each.who == "person:zhao"]
    assert [each for each in lines if "password" in each] == ["person.password", "person.password.refused"]
    context.close()

    page = opened("/account")  # with a key there is none to change
    expect(page.locator("h1")).to_have_text("Li Wei")
    expect(page.get_by_text("let others in")).to_be_visible()
    expect(page.get_by_role("button", name="Change the password")).to_have_count(0)


def test_whoever_lets_nobody_in_does_not_see_it(served: Served, database: Database) -> None:
    grant = Grant(scopes=frozenset({Scope.READ, Scope.ACKNOWLEDGE, Scope.MANAGE}))
    People(database).add("reader", "Reader", grant, now_ns=1, password=PASSWORD)
    cookies = sign_in(served, "reader", PASSWORD).cookies
    assert httpx.get(f"{served.url}/access", cookies=cookies).status_code == 404
    assert "/access" not in httpx.get(f"{served.url}/", cookies=cookies).text
    assert httpx.get(f"{served.url}/access").status_code == 303
