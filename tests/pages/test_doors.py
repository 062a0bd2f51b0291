"""Who may see which page: people with their compounds and scopes, sockets, other sites; an open page ends in time."""

import time
from collections.abc import Iterator
from contextlib import closing

import httpx
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from access.callers import Grant, Scope
from access.people import People
from records.database import Database
from tests.pages.conftest import Open, Served

PASSWORD = "correct horse battery"
MINE, FOREIGN = "jingyuan", "xinyuan"


@pytest.fixture(scope="module")
def people(served: Served) -> None:
    """One who reads of one compound, and one who also takes alarms on."""
    with closing(Database(f"sqlite:///{served.folder / 'records.db'}")) as database:
        known = People(database)
        for login, scopes in (("reads", {Scope.READ}), ("takes", {Scope.READ, Scope.ACKNOWLEDGE})):
            grant = Grant(scopes=frozenset(scopes), compounds=frozenset({MINE}))
            known.add(login, f"Li {login}", grant, now_ns=1, password=PASSWORD)


def cookies(served: Served, login: str) -> httpx.Cookies:
    answer = httpx.post(f"{served.url}/sign-in", data={"name": login, "key": PASSWORD})
    assert answer.status_code == 303
    assert {"httponly", "samesite=lax"} <= set(answer.headers["set-cookie"].lower().replace(" ", "").split(";"))
    return answer.cookies


@pytest.fixture
def seen(browser: Browser, served: Served, people: None) -> Iterator[Open]:
    """Opens a page as somebody."""
    del people
    contexts: list[BrowserContext] = []

    def make(path: str, login: str) -> Page:
        context = browser.new_context(base_url=served.url, locale="en-GB")
        contexts.append(context)
        found = cookies(served, login)
        context.add_cookies([{"name": name, "value": value, "url": served.url} for name, value in found.items()])
        page = context.new_page()
        page.goto(path)
        page.wait_for_selector("h1")
        return page

    yield make
    for each in contexts:
        each.close()


@pytest.mark.parametrize("path", ["/", "/alarms", "/reports", f"/compounds/{MINE}", "/wall", f"/wall/{MINE}"])
def test_nothing_of_another_compound_is_on_any_page(seen: Open, path: str) -> None:
    page = seen(path, "reads")
    expect(page.locator("h1").first).to_be_visible()
    assert FOREIGN not in page.content()
    if "wall" not in path:
        expect(page.get_by_text("Li reads")).to_be_visible()
        expect(page.get_by_role("link", name="Data pipeline")).to_have_count(0)


@pytest.mark.parametrize(
    "path", [f"/compounds/{FOREIGN}", f"/devices/{FOREIGN}-gate-01", "/alarms/3", f"/wall/{FOREIGN}", "/pipeline",
             f"/alarms?compound={FOREIGN}", f"/reports?compound={FOREIGN}"],
)  # fmt: skip
def test_pages_of_another_compound_are_gone(seen: Open, path: str) -> None:
    page = seen(path, "reads")
    expect(page.locator("h1")).to_have_text("There is no such page")


def test_files_of_another_compound_are_not_there(served: Served, people: None) -> None:
    del people
    asked = {"length": "day", "format": "csv", "compound": FOREIGN}
    answer = httpx.get(f"{served.url}/reports/file", params=asked, cookies=cookies(served, "reads"))
    assert answer.status_code == 404


def test_who_may_not_take_alarms_on_is_not_asked_to(seen: Open) -> None:
    page = seen("/alarms/2", "reads")
    expect(page.get_by_role("button", name="Acknowledge")).to_have_count(0)
    page = seen("/alarms/2", "takes")
    expect(page.get_by_role("button", name="Acknowledge")).to_be_visible()
    expect(page.get_by_label("Your name")).to_have_value("Li takes")


def test_a_page_that_is_open_ends_within_a_second_when_its_person_is_let_in_no_more(
    seen: Open, served: Served, people: None
) -> None:
    del people
    with closing(Database(f"sqlite:///{served.folder / 'records.db'}")) as database:
        known = People(database)
        known.add("goes", "Li goes", Grant(scopes=frozenset({Scope.READ})), now_ns=1, password=PASSWORD)
        page = seen("/", "goes")
        begun = time.monotonic()
        known.disable("goes", now_ns=2)
        page.wait_for_url("**/sign-in*", timeout=10_000)
        # A page looks every 0.2 s here; what it may see is known half a second later at most.
        assert time.monotonic() - begun < 3


@pytest.mark.parametrize(
    "headers",
    [{}, {"Cookie": "courtyard_session=made-up"}, {"Origin": "https://elsewhere.example"}],
    ids=["nobody", "a made-up cookie", "another site"],
)
def test_sockets_are_for_who_is_signed_in_and_from_here(served: Served, people: None, headers: dict[str, str]) -> None:
    del people
    path = f"{served.url}/_nicegui_ws/socket.io/?EIO=4&transport=polling"
    more = {} if "Cookie" in headers or not headers else {"cookies": cookies(served, "reads")}
    assert httpx.get(path, headers=headers, **more).status_code == 403  # type: ignore[arg-type]  # cookies, or none
    good = httpx.get(path, cookies=cookies(served, "reads"))
    assert good.status_code != 403


@pytest.mark.parametrize(
    "headers",
    [{"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}, {"Origin": "https://elsewhere.example"}],
)
def test_another_site_can_sign_nobody_in_or_out(served: Served, people: None, headers: dict[str, str]) -> None:
    del people
    form = {"name": "reads", "key": PASSWORD}
    assert httpx.post(f"{served.url}/sign-in", data=form, headers=headers).status_code == 403
    mine = cookies(served, "reads")
    assert httpx.post(f"{served.url}/sign-out", headers=headers, cookies=mine).status_code == 403
    assert httpx.get(f"{served.url}/", cookies=mine).status_code == 200
    assert httpx.post(f"{served.url}/sign-out", cookies=mine).status_code == 303
    assert httpx.get(f"{served.url}/", cookies=mine).status_code == 303


def test_behind_tls_cookies_are_secure(served: Served, people: None) -> None:
    del people
    form = {"name": "reads", "key": PASSWORD}
    answer = httpx.post(f"{served.url}/sign-in", data=form, headers={"X-Forwarded-Proto": "https"})
    assert "secure" in answer.headers["set-cookie"].lower()
