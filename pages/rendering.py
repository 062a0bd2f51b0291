"""HTML from templates, in a language. Whatever is put into one is escaped."""

from collections.abc import Iterator, Mapping
from itertools import groupby
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from api.report import Report, ReportFigure
from devices.inventory import Inventory
from devices.kind import Kind
from devices.names import Text
from devices.statistics import Group
from pages import views
from pages.tongue import Tongue
from pages.words import UNITS

_FOLDER = Path(__file__).parent
STATIC = _FOLDER / "static"
"""The style sheet."""


class Renderer:
    """Fills templates."""

    def __init__(self, inventory: Inventory, kinds: Mapping[str, Kind]) -> None:
        """Name compounds, kinds and labels as `inventory` and `kinds` do."""
        self._inventory = inventory
        self._kinds = kinds
        self._templates = Environment(
            loader=FileSystemLoader(_FOLDER / "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            auto_reload=False,
        )

    def render(self, template: str, tongue: Tongue, **values: Any) -> str:  # noqa: ANN401  (whatever it shows)
        """Fill a template.

        Args:
            template: its name, without the ending.
            tongue: the language.
            values: what it shows.
        """

        def word(kind: str | None, label: str | None) -> str:
            if label is None or kind is None or kind not in self._kinds:
                return label or ""
            return tongue.text(self._kinds[kind].word(label))

        def age(seconds: float | None, grey: bool) -> str:  # noqa: FBT001  (called by templates)
            if seconds is None:
                return tongue.word("no_reading_ever")
            return f"{tongue.word('no_reading_for')} {tongue.duration(seconds)}" if grey else tongue.ago(seconds)

        def big(value: float | None, unit: str) -> Markup:
            text = tongue.value(value, unit)
            number, _, rest = text.partition(" ")
            return Markup("{}<small> {}</small>").format(number, rest) if rest else Markup("{}").format(text)

        return self._templates.get_template(f"{template}.html").render(
            t=tongue,
            word=word,
            age=age,
            big=big,
            unit=lambda name: tongue.text(UNITS.get(name, Text(name, name))),
            names={each.id: tongue.text(each.name) for each in self._inventory.compounds.values()},
            titles=views.titles(self._kinds),
            severities=[str(each) for each in views.SEVERITIES],
            total=views.total,
            highest=views.highest,
            figures_of=_figures_of,
            **values,
        )


def _figures_of(report: Report, group: str) -> Iterator[tuple[str, list[ReportFigure]]]:
    mine = [each for each in report.figures if each.group == Group(group)]
    for kind, figures in groupby(mine, lambda each: each.kind):
        yield kind, list(figures)
