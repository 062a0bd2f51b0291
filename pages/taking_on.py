"""The form under an alarm: somebody takes it on, or has nobody told of it for a while."""

from collections.abc import Callable
from functools import partial

from nicegui import ui
from pydantic import ValidationError

from api.alarms import Acknowledgement, Alarms, Snooze
from devices.errors import CourtyardError
from pages.assembly import in_thread
from pages.tongue import Tongue

_HOURS = (1, 8)
_LOOK = "no-caps unelevated"
_SECOND = "no-caps outline"


def alarm_form(alarms: Alarms, alarm: int, person: str, tongue: Tongue, *, taken: bool) -> None:
    """Put the form where it is called.

    Args:
        alarms: does what is asked.
        alarm: which.
        person: who is there, as far as that is known.
        tongue: the language.
        taken: whether somebody has taken it on already.
    """
    with ui.element("section").classes("card narrow noprint").style("margin-top: 1rem"):
        name = ui.input(tongue.word("your_name"), value=person).props("maxlength=64 autocomplete=name")
        note = ui.textarea(tongue.word("note")).props("maxlength=2000 autogrow")

        async def acknowledge() -> None:
            said = partial(Acknowledgement, by=name.value or "", note=note.value or "")
            await _done(lambda: alarms.acknowledge(alarm, said()), tongue, "acknowledged")

        async def snooze(hours: int) -> None:
            said = partial(Snooze, by=name.value or "", minutes=60 * hours)
            await _done(lambda: alarms.snooze(alarm, said()), tongue, "snoozed")

        with ui.element("div").classes("actions").style("margin-top: .8rem"):
            if not taken:
                ui.button(tongue.word("acknowledge"), on_click=acknowledge).props(_LOOK)
            for hours in _HOURS:
                ui.button(tongue.word(f"snooze_{hours}h"), on_click=partial(snooze, hours)).props(_SECOND)


async def _done(act: Callable[[], object], tongue: Tongue, word: str) -> None:
    """Do something, and say whether it was done."""
    try:
        await in_thread(act)
    except ValidationError:
        ui.notify(tongue.word("name_needed"), type="warning")
    except CourtyardError as exc:
        ui.notify(exc.message, type="negative")
    else:
        ui.notify(tongue.word(word), type="positive")
        ui.navigate.reload()
