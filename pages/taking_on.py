"""The form under an alarm: somebody takes it on, or has nobody told of it for a while."""

from collections.abc import Callable
from functools import partial

from nicegui import ui
from pydantic import ValidationError

from api.alarms import Acknowledgement, Snooze
from api.service import Service
from pages.assembly import Visit
from pages.forms import BUTTON, OTHER_BUTTON, attempted

_HOURS = (1, 8)


def alarm_form(mine: Service, alarm: int, visit: Visit, *, taken: bool) -> None:
    """Put the form where it is called.

    Args:
        mine: does what is asked, as whoever asks may.
        alarm: which.
        visit: who is there.
        taken: whether somebody has taken it on already.
    """
    alarms, tongue, person = mine.alarms, visit.tongue, mine.context.caller.name
    with ui.element("section").classes("card narrow noprint").style("margin-top: 1rem"):
        name = ui.input(tongue.word("your_name"), value=person).props("maxlength=64 autocomplete=name")
        note = ui.textarea(tongue.word("note")).props("maxlength=2000 autogrow")

        async def acknowledge() -> None:
            said = partial(Acknowledgement, by=name.value or "", note=note.value or "")
            await _done(lambda: alarms.acknowledge(alarm, said()), visit, "acknowledged")

        async def snooze(hours: int) -> None:
            said = partial(Snooze, by=name.value or "", minutes=60 * hours)
            await _done(lambda: alarms.snooze(alarm, said()), visit, "snoozed")

        with ui.element("div").classes("actions").style("margin-top: .8rem"):
            if not taken:
                ui.button(tongue.word("acknowledge"), on_click=acknowledge).props(BUTTON)
            for hours in _HOURS:
                ui.button(tongue.word(f"snooze_{hours}h"), on_click=partial(snooze, hours)).props(OTHER_BUTTON)


async def _done(act: Callable[[], object], visit: Visit, word: str) -> None:
    """Do something, and say whether it was done."""
    tongue = visit.tongue
    try:
        done = await attempted(visit, act)
    except ValidationError:
        ui.notify(tongue.word("name_needed"), type="warning")
        return
    if done:
        ui.notify(tongue.word(word), type="positive")
        ui.navigate.reload()
