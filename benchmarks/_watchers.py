"""Those who watch: streams that read along, and viewers of pages as browsers connect them, in a process of their own.

`python -m benchmarks._watchers URL KEY STREAMS VIEWERS` prints a JSON object a line: what streams saw of the probe, and
at the end, on SIGTERM, how many still watch.
"""

import asyncio
import json
import re
import signal
import sys
import time
import uuid
from dataclasses import dataclass, field
from urllib.parse import urlencode, urlsplit

import httpx
import socketio

from courtyard import wiring
from courtyard.settings import BUILT_IN_INVENTORY

PROBE = "jingyuan"
_PAGES = (
    "/",
    "/compounds/{compound}",
    "/wall",
    "/wall/{compound}",
    "/alarms",
    "/pipeline",
    "/compounds/{compound}",
    "/",
)
_CLIENT = re.compile(r"client_id[\"']?\s*:\s*[\"']([0-9a-f-]{36})")
_SEQ = re.compile(rb'"device":"jingyuan-bin-01".*?"seq":(\d+)')
_STEP_S = 0.02


@dataclass
class Seen:
    """What came."""

    streams: int = 0
    viewers: int = 0
    updates: int = 0
    bytes: int = 0
    faults: list[str] = field(default_factory=list)


async def stream(url: str, key: str, compound: str, seen: Seen) -> None:
    """Read a stream until it ends."""
    at = urlsplit(url)
    reader, writer = await asyncio.open_connection(at.hostname, at.port)
    writer.write(f"GET /v1/stream?compound={compound} HTTP/1.1\r\nHost: x\r\nX-API-Key: {key}\r\n\r\n".encode())
    seen.streams += 1
    rest = b""
    while piece := await reader.read(256 * 1024):
        seen.bytes += len(piece)
        if compound == PROBE:
            *whole, rest = (rest + piece).split(b"\n\n")
            for each in whole:
                if found := _SEQ.search(each):
                    print(json.dumps({"seq": int(found[1]), "at": time.time()}), flush=True)
    seen.streams -= 1


async def viewer(url: str, cookies: httpx.Cookies, path: str, seen: Seen) -> None:
    """Look at a page until it ends, as a browser does: its HTML, then its socket."""
    async with httpx.AsyncClient(timeout=60, cookies=cookies) as http:
        page = await http.get(f"{url}{path}")
    found = _CLIENT.search(page.text)
    if found is None:
        seen.faults.append(f"{path}: HTTP {page.status_code}")
        return
    client = socketio.AsyncClient(reconnection=False)

    def updated(_: object) -> None:
        seen.updates += 1

    client.on("update", updated)

    query = {
        "client_id": found[1], "next_message_id": 0, "document_id": str(uuid.uuid4()), "tab_id": str(uuid.uuid4()),
        "old_tab_id": "", "implicit_handshake": "true",
    }  # fmt: skip
    signed_in = {"Cookie": "; ".join(f"{name}={value}" for name, value in cookies.items())}
    address = f"{url}/?{urlencode(query)}"
    await client.connect(address, signed_in, socketio_path="/_nicegui_ws/socket.io", transports=["websocket"])
    seen.viewers += 1
    await client.wait()
    seen.viewers -= 1


async def main(url: str, key: str, streams: int, viewers: int) -> None:
    """Watch until SIGTERM."""
    compounds = list(wiring.load_inventory(BUILT_IN_INVENTORY, wiring.kinds()).compounds)
    seen, ended = Seen(), asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    async with httpx.AsyncClient() as http:
        answer = await http.post(f"{url}/sign-in", data={"key": key, "name": "Benchmark"})
    tasks = []
    for number in range(streams):
        tasks.append(asyncio.create_task(stream(url, key, compounds[number % len(compounds)], seen)))
        await asyncio.sleep(_STEP_S)
    for number in range(viewers):
        path = _PAGES[number % len(_PAGES)].format(compound=compounds[number % len(compounds)])
        tasks.append(asyncio.create_task(viewer(url, answer.cookies, path, seen)))
        await asyncio.sleep(5 * _STEP_S)
    print(json.dumps({"ready": True, **vars(seen)}), flush=True)
    await ended.wait()
    print(json.dumps({"ended": True, **vars(seen)}), flush=True)
    for task in tasks:
        task.cancel()
    for result in await asyncio.gather(*tasks, return_exceptions=True):
        if isinstance(result, Exception):
            print(json.dumps({"fault": repr(result)}), flush=True)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])))
