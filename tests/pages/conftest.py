"""The pages, served by a process of their own, and a real browser to look at them."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from tests.pages.served import KEY
from tests.services import ServiceError, free_port

ROOT = Path(__file__).resolve().parent.parent.parent
ARGUMENTS = ["--no-sandbox", "--disable-dev-shm-usage"]


@dataclass
class Served:
    """A process that serves pages; it may be killed and started anew on the same port."""

    folder: Path
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        with (self.folder / "served.log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tests.pages.served", str(self.port), str(self.folder)],
                cwd=ROOT, stdout=log, stderr=log, env={**os.environ, "PYTHONPATH": str(ROOT)},
            )  # fmt: skip
        end = time.monotonic() + 60
        while True:
            try:
                httpx.get(f"{self.url}/health", timeout=1)
            except httpx.HTTPError:
                if self.process.poll() is not None or time.monotonic() > end:
                    raise ServiceError((self.folder / "served.log").read_text()) from None
                time.sleep(0.1)
            else:
                return

    def stop(self) -> None:
        if self.process is not None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()

    def later(self, seconds: int) -> None:
        """Put its clock ahead."""
        (self.folder / "later_s").write_text(str(seconds))


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Debian's Chromium."""
    with sync_playwright() as playwright:
        made = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=ARGUMENTS)
        yield made
        made.close()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Pages that all tests of a file share."""
    made = Served(tmp_path_factory.mktemp("pages"))
    made.start()
    yield made
    made.stop()


Open = Callable[..., Page]


@pytest.fixture
def opened(browser: Browser, served: Served) -> Iterator[Open]:
    """Opens a page, signed in unless told otherwise; whatever goes wrong in it fails the test."""
    contexts: list[BrowserContext] = []
    faults: list[str] = []

    def make(path: str, language: str = "en", *, signed_in: bool = True, width: int = 1440, height: int = 900) -> Page:
        context = browser.new_context(
            locale={"zh": "zh-CN", "en": "en-GB"}[language], viewport={"width": width, "height": height},
            base_url=served.url, timezone_id="Asia/Shanghai", accept_downloads=True,
        )  # fmt: skip
        contexts.append(context)
        if signed_in:
            answer = httpx.post(f"{served.url}/sign-in", data={"key": KEY, "name": "Li Wei"})
            context.add_cookies(
                [{"name": name, "value": value, "url": served.url} for name, value in answer.cookies.items()]
            )
        page = context.new_page()
        page.on("pageerror", lambda error: faults.append(f"{path}: {error}"))
        page.on(
            "console",
            lambda said: (
                faults.append(f"{path}: {said.text}")
                if said.type == "error" and "status of 40" not in said.text and "ERR_" not in said.text
                else None
            ),
        )
        page.goto(path)
        if signed_in:
            page.wait_for_selector("h1")
        return page

    yield make
    for each in contexts:
        each.close()
    assert faults == []
