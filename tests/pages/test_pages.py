"""The pages in a real browser: what a manager does in the morning, in both languages."""

import re
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from tests.pages.conftest import Open, Served
from tests.pages.served import KEY

PAGES = (
    "/", "/compounds/jingyuan", "/devices/jingyuan-bin-01", "/devices/xinyuan-gate-01", "/devices/jingyuan-charger-01",
    "/alarms", "/alarms?state=all&compound=xinyuan&severity=critical", "/alarms/2", "/reports",
    "/reports?length=day&compound=jingyuan&date=2025-05-31", "/pipeline", "/access", "/account",
    "/wall", "/wall/jingyuan",
)  # fmt: skip
HEADERS = {"X-API-Key": KEY}


@pytest.mark.parametrize("language", ["zh", "en"])
@pytest.mark.parametrize("path", PAGES)
def test_every_page_is_whole_in_either_language(opened: Open, path: str, language: str) -> None:
    wall = path.startswith("/wall")
    page = opened(path, language, width=1920 if wall else 1440, height=1080 if wall else 900)
    assert page.evaluate("document.documentElement.lang") == {"zh": "zh-CN", "en": "en"}[language]
    assert page.title().endswith("· Courtyard")
    text = page.inner_text("body")
    assert "undefined" not in text
    assert "NaN" not in text
    assert "no such page" not in text
    assert "页面不存在" not in text
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), "wider than the screen"
    if wall:
        assert page.evaluate("document.documentElement.scrollHeight <= window.innerHeight"), "a wall does not scroll"
    chinese = re.findall(r"[\u4e00-\u9fff]{2,}", text.replace("中文", ""))
    assert bool(chinese) is (language == "zh"), chinese


@pytest.mark.parametrize("language", ["zh", "en"])
@pytest.mark.parametrize("path", ["/", "/compounds/jingyuan", "/devices/jingyuan-bin-01", "/alarms", "/alarms/2",
                                  "/reports", "/pipeline", "/access", "/account", "/wall",
                                  "/wall/jingyuan", "/sign-in"])  # fmt: skip
def test_every_page_keeps_to_wcag_aa(opened: Open, path: str, language: str) -> None:
    page = opened(path, language)
    found = Axe().run(page, options={"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]})
    assert found.violations_count == 0, found.generate_report()


def test_the_blocked_fire_lane_is_found_and_taken_on(opened: Open, served: Served) -> None:
    page = opened("/")
    first = page.locator(".hands li").first
    expect(first).to_contain_text("Fire lane blocked")
    first.locator("a").click()
    expect(page.locator("h1")).to_have_text("Fire lane blocked")
    expect(page.get_by_text("Critical").first).to_be_visible()
    assert page.get_by_label("Your name").input_value() == "Li Wei"
    page.get_by_label("Note").fill("towing it away")
    page.get_by_role("button", name="Acknowledge").click()
    expect(page.get_by_text("towing it away")).to_be_visible()
    expect(page.locator("dl")).to_contain_text("Li Wei")
    expect(page.get_by_role("button", name="Acknowledge")).to_have_count(0)
    page.goto("/")
    expect(page.locator(".hands li", has_text="Fire lane blocked")).to_contain_text("✓ Li Wei")
    found = httpx.get(f"{served.url}/v1/alarms/2", headers=HEADERS).json()
    assert (found["acknowledged_by"], found["note"]) == ("Li Wei", "towing it away")


def test_of_two_who_take_it_on_the_second_is_told_who_has(opened: Open, served: Served) -> None:
    page = opened("/alarms/3")
    page.wait_for_timeout(300)
    said = httpx.post(f"{served.url}/v1/alarms/3/acknowledge", headers=HEADERS, json={"by": "Wang"})
    assert said.status_code == 200
    page.get_by_role("button", name="Acknowledge").click()
    expect(page.locator(".q-notification")).to_contain_text("Wang")


def test_who_does_not_say_who_they_are_takes_nothing_on(opened: Open, served: Served) -> None:
    page = opened("/alarms/4")
    page.get_by_label("Your name").fill("")
    page.get_by_role("button", name="Acknowledge").click()
    expect(page.locator(".q-notification")).to_contain_text("Say who you are")
    assert httpx.get(f"{served.url}/v1/alarms/4", headers=HEADERS).json()["acknowledged"] is None


def test_an_alarm_is_snoozed(opened: Open, served: Served) -> None:
    page = opened("/alarms/1")
    page.get_by_role("button", name="Snooze 8 h").click()
    expect(page.locator("dl")).to_contain_text("Nobody is told until")
    assert httpx.get(f"{served.url}/v1/alarms/1", headers=HEADERS).json()["snoozed_by"] == "Li Wei"


def test_what_devices_say_is_text_and_nothing_else(opened: Open) -> None:
    page = opened("/alarms/5")
    expect(page.locator("dl")).to_contain_text("<b>s01</b>")
    assert page.locator("dl b").count() == 0


def test_the_month_is_printed_and_saved(opened: Open) -> None:
    page = opened("/reports")
    page.get_by_label("Compound").select_option("jingyuan")
    page.get_by_label("Date").fill("2025-05-20")
    page.get_by_role("button", name="Show report").click()
    expect(page.locator("h1")).to_contain_text("May 2025")
    page.evaluate("() => { window.printed = 0; window.print = () => { window.printed += 1 } }")
    page.get_by_role("button", name="Print").click()
    page.wait_for_function("window.printed === 1")
    page.emulate_media(media="print")
    for gone in (".top", ".ask", ".actions"):
        assert not page.locator(gone).first.is_visible()
    assert len(page.pdf(format="A4")) > 20_000
    page.emulate_media(media="screen")
    with page.expect_download() as saved:
        page.get_by_role("link", name="CSV").click()
    assert saved.value.suggested_filename == "jingyuan-month-2025-05.csv"
    assert saved.value.path().read_text().startswith('"start","stop","compound"')


def test_alarms_are_filtered(opened: Open) -> None:
    page = opened("/alarms")
    expect(page.locator("tbody tr")).to_have_count(5)
    page.get_by_label("Severity").select_option("minor")
    page.get_by_role("button", name="Show").click()
    expect(page.locator("tbody tr")).to_have_count(1)
    expect(page.locator("tbody tr")).to_contain_text("Held open")


def test_the_language_is_switched_and_kept(opened: Open) -> None:
    page = opened("/compounds/jingyuan")
    page.get_by_role("link", name="中文").click()
    expect(page.locator("h1")).to_have_text("警苑小区")
    assert page.url.endswith("/compounds/jingyuan")
    page.goto("/alarms")
    expect(page.locator("h1")).to_have_text("告警")
    page.get_by_role("link", name="English").click()
    expect(page.locator("h1")).to_have_text("Alarms")


def test_the_keyboard_is_enough(opened: Open) -> None:
    page = opened("/")
    page.keyboard.press("Tab")
    expect(page.locator(":focus")).to_have_text("Skip to content")
    for _ in range(30):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.closest('.hands') !== null"):
            break
    page.keyboard.press("Enter")
    page.wait_for_url("**/alarms/*")


def test_nobody_comes_in_without_a_key(opened: Open, served: Served) -> None:
    page = opened("/compounds/jingyuan?x=1", signed_in=False)
    assert "/sign-in?next=" in page.url
    page.get_by_label("Login").fill("Li Wei")
    page.get_by_label("Password or access key").fill("nonsense")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_have_text("These are not accepted.")
    page.get_by_label("Login").fill("Li Wei")
    page.get_by_label("Password or access key").fill(KEY)
    page.get_by_role("button", name="Sign in").click()
    expect(page.locator("h1")).to_have_text("Jingyuan")
    page.get_by_role("button", name="Sign out").click()
    page.goto("/alarms")
    assert "/sign-in" in page.url
    for path in (*PAGES, "/reports/file?length=day&format=csv"):
        answer = httpx.get(f"{served.url}{path}")
        assert (answer.status_code, answer.headers["location"].startswith("/sign-in")) == (303, True), path


@pytest.mark.parametrize("after", ["https://elsewhere.example", "//elsewhere.example", "/\\elsewhere.example", "x"])
def test_nobody_is_sent_elsewhere(served: Served, after: str) -> None:
    answer = httpx.post(f"{served.url}/sign-in", data={"key": KEY, "name": "Li", "next": after})
    assert answer.headers["location"] == "/"
    assert httpx.get(f"{served.url}/language/zh", params={"next": after}).headers["location"] == "/"


@pytest.mark.parametrize("cookie", ["", "x", "TGk.aaaa.bbbb", "é" * 40])
def test_a_made_up_cookie_opens_nothing(served: Served, cookie: str) -> None:
    answer = httpx.get(f"{served.url}/", headers={b"Cookie": f"courtyard_session={cookie}".encode()})
    assert answer.status_code == 303


@pytest.mark.parametrize(
    "path",
    ["/compounds/nowhere", "/devices/nothing", "/alarms/999", "/alarms/x", "/alarms/9999999999999999999999",
     "/alarms?kind=lift", "/alarms?offset=-1", "/alarms?compound=nowhere", "/alarms?state=%00", "/reports?length=week",
     "/reports?date=2026-13-45", "/reports?compound=nowhere", "/reports?date=2525-01-01", "/wall/nowhere"],
)  # fmt: skip
def test_what_is_gone_says_so_and_leads_back(opened: Open, path: str) -> None:
    page = opened(path)
    expect(page.locator("h1")).to_have_text("There is no such page")
    page.get_by_role("link", name="Back to the overview").click()
    expect(page.locator(".sums").first).to_be_visible()


@pytest.mark.parametrize("path", ["/nowhere", "/_nicegui", "/compounds/", "/compounds/a/b", "/wall/a/b", "/v1/nowhere"])
def test_whatever_else_is_asked_for_is_a_problem_as_ever(served: Served, path: str) -> None:
    answer = httpx.get(f"{served.url}{path}")
    assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")


def test_nothing_is_loaded_from_elsewhere(opened: Open, served: Served) -> None:
    page = opened("/sign-in", signed_in=False)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.get_by_label("Login").fill("Li Wei")
    page.get_by_label("Password or access key").fill(KEY)
    page.get_by_role("button", name="Sign in").click()
    page.goto("/compounds/jingyuan")
    page.wait_for_selector("canvas")
    assert asked
    assert [url for url in asked if not url.startswith((served.url, "data:", served.url.replace("http", "ws")))] == []


def test_many_look_at_once(served: Served) -> None:
    cookies = httpx.post(f"{served.url}/sign-in", data={"key": KEY, "name": "Li Wei"}).cookies

    def look(number: int) -> int:
        return httpx.get(f"{served.url}{PAGES[number % len(PAGES)]}", cookies=cookies, timeout=30).status_code

    with ThreadPoolExecutor(20) as pool:
        assert set(pool.map(look, range(100))) == {200}
