"""One screen that says how all is: whether it works, what became of the readings, what needs hands, and where."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from devices.alarms import Severity
from devices.errors import StoreUnavailableError

COLOURS: Mapping[str, str] = {
    Severity.CRITICAL: "bold red",
    Severity.MAJOR: "red",
    Severity.MINOR: "yellow",
    Severity.WARNING: "cyan",
}
_STATES = {"online": "green", "offline": "red", "maintenance": "cyan", "unknown": "yellow"}
_OLD_S = 900
"""A compound that has said nothing for so long is shown in red."""


class Api(Protocol):
    """Answers questions."""

    def get(self, path: str, **params: str) -> Mapping[str, Any]:
        """The JSON object at an address; raises `StoreUnavailableError`."""
        ...


def screen(api: Api, url: str) -> tuple[RenderableType, bool]:
    """Ask an API for everything, and lay it out.

    Args:
        api: the API.
        url: its address, to be shown.

    Returns:
        The screen, and whether all is well: the service is ready, the ledger balances, nothing critical is open.

    Raises:
        StoreUnavailableError: the API cannot be asked at all.
    """
    overview = api.get("/v1/overview")["compounds"]
    ready, ready_line = _ready(api, url)
    balanced, ledger_line = _ledger(api)
    alarms, alarm_line = _alarms(api)
    critical = any(each["severity"] == Severity.CRITICAL for each in alarms or ())
    parts: list[RenderableType] = [ready_line, ledger_line, alarm_line, Text(), _table(overview, alarms or ())]
    return Group(*parts), ready and balanced and not critical


def _ready(api: Api, url: str) -> tuple[bool, Text]:
    try:
        api.get("/ready")
    except StoreUnavailableError as exc:
        return False, Text(f"Courtyard  {url}  not ready: {exc.message}", "red")
    return True, Text.assemble(("Courtyard", "bold"), f"  {url}  ", ("ready", "green"))


def _ledger(api: Api) -> tuple[bool, Text]:
    try:
        said = api.get("/v1/ledger", limit="1")
    except StoreUnavailableError:
        return True, Text("readings   the ledger is kept where this API cannot read it", "dim")
    kinds = said["kinds"]
    total = {name: sum(each[name] for each in kinds) for name in ("received", "written", "duplicate")}
    refused = sum(sum(each["dead_lettered"].values()) for each in kinds)
    oldest = max((each["oldest_pending_s"] for each in said["spools"]), default=0.0)
    waiting = f"{said['pending']:,} wait" + (f", the oldest for {oldest:,.0f} s" if said["pending"] else "")
    text = Text.assemble(
        f"readings   {total['received']:,} received = {total['written']:,} written + {total['duplicate']:,} twice + "
        f"{refused:,} refused; {waiting}; {said['missing']:,} never came  ",
        ("balanced", "green") if said["balanced"] else ("NOT BALANCED: " + "; ".join(said["faults"]), "bold red"),
    )
    return bool(said["balanced"]), text


def _alarms(api: Api) -> tuple[Sequence[Mapping[str, Any]] | None, Text]:
    try:
        said = api.get("/v1/alarms", limit="1000")
    except StoreUnavailableError:
        return None, Text("alarms     they are kept where this API cannot reach them", "dim")
    found = said["alarms"]
    if not found:
        return found, Text("alarms     none", "green")
    untaken = sum(each["acknowledged"] is None for each in found)
    return found, Text.assemble("alarms     ", *_counts(found), f"; {untaken} of them nobody has taken on")


def _counts(alarms: Sequence[Mapping[str, Any]]) -> list[tuple[str, str] | str]:
    """How many there are of each severity, the worst first."""
    number = Counter(each["severity"] for each in alarms)
    shown: list[tuple[str, str] | str] = []
    for each in Severity:
        if number[each]:
            shown += [", " if shown else "", (f"{number[each]} {each}", COLOURS[each])]
    return shown


def _table(compounds: Sequence[Mapping[str, Any]], alarms: Sequence[Mapping[str, Any]]) -> Table:
    """A line for each compound; those that need hands are on top."""
    table = Table("compound", "people", *_STATES, "last reading", "alarms", box=None, pad_edge=False)
    for column in table.columns[1:7]:
        column.justify = "right"
    mine: dict[str, list[Mapping[str, Any]]] = {}
    for each in alarms:
        mine.setdefault(each["compound"], []).append(each)
    severities = list(Severity)

    def need(compound: Mapping[str, Any]) -> tuple[int, int]:
        worst = [severities.index(each["severity"]) for each in mine.get(compound["id"], ())]
        return min(worst, default=len(severities)), -compound["states"]["offline"]

    for each in sorted(compounds, key=need):
        age = each["last_reading_age_s"]
        people, states = each["people_inside"], each["states"]
        table.add_row(
            Text(f"{each['name']['zh']} {each['name']['en']}"),
            "–" if people is None else f"{people:,.0f}",
            *(Text(f"{states[name]}", style if states[name] else "dim") for name, style in _STATES.items()),
            Text("never", "red") if age is None else Text(_ago(age), "red" if age > _OLD_S else ""),
            Text.assemble(*_counts(mine.get(each["id"], ()))),
        )
    return table


def _ago(seconds: float) -> str:
    for unit, length in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit} ago"
    return f"{seconds:.0f} s ago"
