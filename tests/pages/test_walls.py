"""Walls: what is stale is never shown as fresh, and they come back by themselves."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import CDPSession, Page, expect

from tests.pages.conftest import Open, Served

OLD = ":root { --old: 2s !important; }"


@pytest.fixture(autouse=True)
def now(served: Served) -> Iterator[None]:
    served.later(0)
    yield
    served.later(0)


def wall(opened: Open, path: str, language: str = "en") -> Page:
    return opened(path, language, width=1920, height=1080)


def test_every_panel_says_how_old_it_is(opened: Open) -> None:
    for path, number in (("/wall", 4), ("/wall/jingyuan", 5)):
        page = wall(opened, path)
        expect(page.locator(".panel")).to_have_count(number)
        ages = page.locator(".panel .age").all_inner_texts()
        assert all(each.strip() for each in ages)
        expect(page.locator(".grey")).to_have_count(0)


@pytest.mark.parametrize(("language", "says"), [("en", "no reading for"), ("zh", "无读数已")])
def test_what_is_stale_turns_grey_with_the_reason(opened: Open, served: Served, language: str, says: str) -> None:
    page = wall(opened, "/wall/jingyuan", language)
    expect(page.locator(".panel.grey")).to_have_count(0)
    served.later(3600)
    expect(page.locator(".panel.grey")).to_have_count(5)
    for text in page.locator(".panel.grey .age").all_inner_texts():
        assert says in text
    served.later(0)
    expect(page.locator(".panel.grey")).to_have_count(0)


def test_the_wall_of_all_greys_each_compound(opened: Open, served: Served) -> None:
    page = wall(opened, "/wall")
    served.later(3600)
    expect(page.locator(".tile.grey")).to_have_count(2)
    expect(page.locator(".panel.grey").first).to_contain_text("no reading for")


def test_without_the_server_it_says_that_it_is_old_and_comes_back_by_itself(opened: Open, served: Served) -> None:
    page = wall(opened, "/wall/jingyuan")
    page.add_style_tag(content=OLD)
    for second in range(4):
        served.later(second)  # as time goes by
        page.wait_for_timeout(1000)
    expect(page.locator(".wall .old")).not_to_be_visible()  # it is drawn anew all the time
    served.stop()
    expect(page.locator(".wall .old")).to_be_visible()
    expect(page.locator(".wall .old")).to_contain_text("No contact with the server")
    assert "grayscale(1)" in page.locator(".wall .fresh").evaluate("each => getComputedStyle(each).filter")
    served.start()
    before = page.locator("time").inner_text()
    served.later(65)
    expect(page.locator("time")).not_to_have_text(before, timeout=60_000)
    expect(page.locator(".wall .old")).not_to_be_visible()


def test_memory_stays_flat_over_days(opened: Open, served: Served) -> None:
    """400 times drawn anew, as in half an hour on a wall: as many nodes as before, and no more memory."""
    page = wall(opened, "/wall/jingyuan")
    session = page.context.new_cdp_session(page)
    page.evaluate(
        "() => { window.drawn = 0; new MutationObserver(() => { window.drawn += 1 })"
        ".observe(document.querySelector('.wall').parentElement, {childList: true, subtree: true}) }"
    )

    def drawn(number: int) -> None:
        for second in range(number // 4):
            served.later(second % 7)  # what is shown changes each time
            page.wait_for_timeout(1000)
        page.wait_for_function(f"window.drawn >= {number // 8}", timeout=30_000)

    drawn(40)
    nodes, heap = _held(page, session)
    page.evaluate("window.drawn = 0")
    drawn(160)
    later_nodes, later_heap = _held(page, session)
    assert later_nodes == nodes
    assert later_heap - heap < 1_000_000, f"{heap:,} bytes have become {later_heap:,}"


def _held(page: Page, session: CDPSession) -> tuple[int, int]:
    session.send("HeapProfiler.collectGarbage")
    heap = session.send("Runtime.getHeapUsage")["usedSize"]
    return page.evaluate("document.querySelectorAll('*').length"), int(heap)
