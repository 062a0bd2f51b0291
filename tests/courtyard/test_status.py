"""The screen that says how all is."""

from collections.abc import Mapping
from typing import Any

import pytest
from rich.console import Console

from courtyard.status import screen
from devices.errors import StoreUnavailableError

KIND = {"received": 10, "written": 7, "duplicate": 2, "dead_lettered": {"json": 1}}
LEDGER = {
    "kinds": [KIND, KIND], "pending": 3, "missing": 5, "balanced": True, "faults": [],
    "spools": [{"oldest_pending_s": 7.4}],
}  # fmt: skip


def compound(name: str, offline: int = 0, age: float | None = 5.0) -> dict[str, Any]:
    return {
        "id": name, "name": {"zh": "小区", "en": name}, "people_inside": 1234.0, "last_reading_age_s": age,
        "states": {"online": 9, "offline": offline, "maintenance": 0, "unknown": 0},
    }  # fmt: skip


def alarm(severity: str, where: str, acknowledged: str | None = None) -> dict[str, Any]:
    return {"severity": severity, "compound": where, "acknowledged": acknowledged}


class Api:
    """Answers as it is told to."""

    def __init__(self, **answers: object) -> None:
        """All is well but for what is said."""
        self.answers: dict[str, Any] = {
            "/v1/overview": {"compounds": [compound("quiet"), compound("away", offline=2), compound("burning")]},
            "/ready": {"status": "ready"},
            "/v1/ledger": LEDGER,
            "/v1/alarms": {"alarms": []},
            **{f"/{name}" if name == "ready" else f"/v1/{name}": each for name, each in answers.items()},
        }

    def get(self, path: str, **_: str) -> Mapping[str, Any]:
        """See `courtyard.status.Api`."""
        found = self.answers[path]
        if isinstance(found, Exception):
            raise found
        return dict(found)


def shown(api: Api) -> tuple[str, bool]:
    console = Console(width=200, record=True, file=open("/dev/null", "w"))  # noqa: SIM115, PTH123
    what, well = screen(api, "http://here")
    console.print(what)
    console.file.close()
    return console.export_text(), well


def test_all_is_well() -> None:
    text, well = shown(Api())
    assert well
    assert "http://here  ready" in text
    assert "20 received = 14 written + 4 twice + 2 refused; 3 wait, the oldest for 7 s; 5 never came  balanced" in text
    assert "alarms     none" in text
    assert "1,234" in text


def test_what_needs_hands_is_on_top() -> None:
    alarms = [alarm("critical", "burning"), alarm("minor", "burning", "now"), alarm("major", "quiet")]
    text, well = shown(Api(alarms={"alarms": alarms}))
    assert not well
    assert "1 critical, 1 major, 1 minor; 2 of them nobody has taken on" in text
    order = [text.index(f"小区 {name}") for name in ("burning", "quiet", "away")]
    assert order == sorted(order)


@pytest.mark.parametrize(
    ("answers", "said", "well"),
    [
        ({"ready": StoreUnavailableError("the broker is away")}, "not ready: the broker is away", False),
        ({"ledger": {**LEDGER, "balanced": False, "faults": ["one too many"]}}, "NOT BALANCED: one too many", False),
        ({"ledger": StoreUnavailableError("elsewhere")}, "the ledger is kept where", True),
        ({"alarms": StoreUnavailableError("elsewhere")}, "kept where this API cannot reach them", True),
        ({"overview": {"compounds": [compound("silent", age=None)]}}, "never", True),
        ({"overview": {"compounds": [compound("late", age=7300)]}}, "2 h ago", True),
    ],
)
def test_what_is_wrong_is_said(answers: dict[str, object], said: str, *, well: bool) -> None:
    text, found = shown(Api(**answers))
    assert said in text
    assert found is well


def test_an_api_that_is_away_is_an_error() -> None:
    with pytest.raises(StoreUnavailableError, match="nobody"):
        screen(Api(overview=StoreUnavailableError("nobody there")), "http://here")
