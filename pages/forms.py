"""What forms are made of: text, tables, fields, and doing what was asked for."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from html import escape

from nicegui import ui

from devices.errors import CourtyardError
from pages.assembly import Visit, in_thread

BUTTON = "no-caps unelevated"
OTHER_BUTTON = "no-caps outline"
FIELD = "outlined dense"


def text(said: str, tag: str, classes: str = "") -> None:
    """Put text where this is called."""
    ui.html(escape(said), sanitize=False, tag=tag).classes(classes)


@contextmanager
def table(heads: Sequence[str]) -> Iterator[None]:
    """Rows that are put into it stand under heads; "" is none."""
    with ui.element("div").classes("scroll"), ui.element("table"):
        with ui.element("thead"), ui.element("tr"):
            for each in heads:
                text(each, "th" if each else "td")
        with ui.element("tbody"):
            yield


def field(label: str, props: str, hint: str = "") -> ui.input:
    """A field for text."""
    made = ui.input(label).props(f"{FIELD} {props}")
    made.props["hint"] = hint
    return made


def secret(label: str, *, known_as: str, hint: str = "") -> ui.input:
    """A field for a password.

    Args:
        label: what stands in it.
        known_as: what browsers call it: "new-password" or "current-password".
        hint: what stands below it.
    """
    made = ui.input(label, password=True, password_toggle_button=True)
    made.props(f"{FIELD} maxlength=256 autocomplete={known_as}").props["hint"] = hint
    return made


async def attempted(visit: Visit, act: Callable[[], object]) -> bool:
    """Do something, for whoever is still let in; where it cannot be done, say so.

    Args:
        visit: who is there.
        act: what is done, in a thread.

    Returns:
        Whether it was done.
    """
    try:
        if not await in_thread(visit.still):
            ui.navigate.to("/sign-in")
            return False
        await in_thread(act)
    except CourtyardError as exc:
        ui.notify(exc.message, type="negative", multi_line=True)
        return False
    return True
