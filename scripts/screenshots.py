"""Pictures of every page and wall, in Chinese and in English, by Debian's Chromium, of the stack with its simulators.

scripts/screenshots                   writes var/screenshots/{page}-{language}.png
scripts/screenshots --folder FOLDER   writes them there
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright
from rich.console import Console
from rich.progress import track

from mqtt.connection import Connection, wait
from mqtt.options import BrokerOptions
from scripts.parts import ROOT, part
from scripts.stack import Stack, started

PAGES = {
    "overview": "/",
    "compound": "/compounds/jingyuan",
    "device": "/devices/jingyuan-charger-01",
    "alarms": "/alarms",
    "alarm": "/alarms/{alarm}",
    "month": "/reports",
    "day": "/reports?length=day&compound=jingyuan",
    "pipeline": "/pipeline",
    "wall": "/wall",
    "wall-compound": "/wall/jingyuan",
}
LANGUAGES = {"zh": "zh-CN", "en": "en-GB"}
_DAYS = 2
_SETTLE_S = 40.0
_DRAWN_MS = 2500
console = Console(stderr=True)


def main() -> int:
    """Take them; the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=ROOT / "var" / "screenshots", help="where they are written")
    folder: Path = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as context:
        place = Path(context.enter_context(tempfile.TemporaryDirectory(prefix="courtyard-screenshots-")))
        stack = context.enter_context(started(place))
        begin = datetime.now(UTC) - timedelta(days=_DAYS)
        command = ["-m", "simulators", "--from", begin.isoformat(), "--speed", "max", "--batch", "50"]
        command += ["--connections", "compound", "--summary", str(place / "summary.json")]
        context.enter_context(part("simulators", command, place, stack.environment))
        with console.status("two days of readings ..."):
            time.sleep(_SETTLE_S)
        alarm = _blocked(stack)
        playwright = context.enter_context(sync_playwright())
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        context.callback(browser.close)
        wanted = [(name, language) for name in PAGES for language in LANGUAGES]
        for name, language in track(wanted, "pictures ...", console=console):
            _take(browser, stack, PAGES[name].format(alarm=alarm), folder / f"{name}-{language}.png", language)
            stack.check()
    console.print(f"{len(wanted)} pictures in {folder}")
    return 0


def _blocked(stack: Stack) -> int:
    """Block a fire lane, as a camera would tell; the number of the alarm."""
    event = {
        "ts": time.time_ns() // 1_000_000, "seq": 0, "boot": 7, "event": "analytic", "type": "fire_lane_blocked",
        "phase": "begin", "id": "lane-1",
    }  # fmt: skip
    with Connection(BrokerOptions(port=int(stack.environment["COURTYARD_MQTT_PORT"])), client_id="camera") as camera:
        camera.publish("compounds/jingyuan/camera/jingyuan-camera-02/event", json.dumps(event).encode())
        while not camera.take_receipts():
            wait([camera], 0.5)
            camera.step()
    end = time.monotonic() + 120
    while time.monotonic() < end:
        found = subprocess.run(
            ["curl", "-s", "-H", f"X-API-Key: {stack.environment['COURTYARD_API_KEY']}",
             f"{stack.api}/v1/alarms?device=jingyuan-camera-02&rule=fire_lane_blocked"],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        if alarms := json.loads(found.stdout)["alarms"]:
            return int(alarms[0]["id"])
        time.sleep(0.5)
    raise SystemExit("the fire lane's alarm did not come")


def _take(browser: Browser, stack: Stack, path: str, file: Path, language: str) -> None:
    wall = path.startswith("/wall")
    size = {"width": 1920, "height": 1080} if wall else {"width": 1440, "height": 900}
    context = browser.new_context(
        viewport=size,  # type: ignore[arg-type]  # a mapping of this shape
        locale=LANGUAGES[language], timezone_id="Asia/Shanghai", base_url=stack.api,
    )  # fmt: skip
    page = context.new_page()
    page.goto(path)
    page.locator("input[name=name]").fill("李伟" if language == "zh" else "Li Wei")
    page.locator("input[name=key]").fill(stack.environment["COURTYARD_API_KEY"])
    page.locator("button[type=submit]").click()
    page.wait_for_selector("h1")
    page.wait_for_timeout(_DRAWN_MS)
    page.screenshot(path=file)
    context.close()


if __name__ == "__main__":
    sys.exit(main())
