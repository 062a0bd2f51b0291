"""A language: its words, and how it writes numbers, times and units."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from types import MappingProxyType

from babel import Locale
from babel.dates import format_date, format_skeleton, format_timedelta
from babel.numbers import format_decimal, format_percent
from babel.units import format_unit

from api.models import Title
from devices.names import Text
from pages.words import UNITS, WORDS

NOTHING = "–"
"""Stands where nothing is known. It is no zero."""

_UNITS_OF_TIME = (("day", 86_400), ("hour", 3600), ("minute", 60), ("second", 1))


class Language(StrEnum):
    """The languages of the pages."""

    ZH = "zh"
    EN = "en"

    @classmethod
    def of(cls, header: str) -> "Language":
        """The one that a browser's Accept-Language asks for; Chinese where it names neither first.

        Args:
            header: as sent; anything.
        """
        for each in header.lower().split(","):
            if each.strip().startswith("en"):
                return cls.EN
            if each.strip().startswith("zh"):
                return cls.ZH
        return cls.ZH


_LOCALES: Mapping[Language, Locale] = MappingProxyType(
    {Language.ZH: Locale("zh", "CN", script="Hans"), Language.EN: Locale("en", "GB")}
)


class Tongue:
    """Writes in one language.

    Attributes:
        language: which.
    """

    def __init__(self, language: Language) -> None:
        """Write in `language`."""
        self.language = language
        self._locale = _LOCALES[language]

    def text(self, both: Text | Title | None) -> str:
        """A name that has both."""
        if both is None:
            return ""
        return both.zh if self.language is Language.ZH else both.en

    def word(self, name: str) -> str:
        """A word or sentence of the pages' own."""
        return self.text(WORDS[name])

    def number(self, value: float | None) -> str:
        """A number, with as many digits as help."""
        if value is None:
            return NOTHING
        pattern = "#,##0" if abs(value) >= 100 else "#,##0.#" if abs(value) >= 1 else "0.##"
        return format_decimal(value, pattern, self._locale)

    def percent(self, value: float | None) -> str:
        """A share."""
        if value is None:
            return NOTHING
        return format_percent(value, "#,##0%" if abs(value) >= 0.1 or value == 0 else "0.0%", self._locale)

    def change(self, value: float | None) -> str:
        """By how much something has grown."""
        return "" if value is None else format_percent(value, "+#,##0%;-#,##0%", self._locale)

    def value(self, value: float | None, unit: str) -> str:
        """A figure with its unit."""
        if value is None:
            return NOTHING
        if unit == "1":
            return self.percent(value)
        if unit == "s":
            return self.duration(value)
        if unit == "hour of day":
            return f"{round(value):02d}:00"
        if unit == "Wh":
            value, unit = value / 1000, "kWh"
        if unit == "1/h":
            return f"{self.percent(value)}{self.text(UNITS[unit])}"
        return f"{self.number(value)} {self.text(UNITS.get(unit, Text(unit, unit)))}"

    def duration(self, seconds: float | None) -> str:
        """A length of time, in two units at most."""
        if seconds is None:
            return NOTHING
        left, shown = round(seconds), []
        for unit, length in _UNITS_OF_TIME:
            number, left = divmod(left, length)
            if number:
                shown.append(format_unit(number, f"duration-{unit}", "short", locale=self._locale))
            elif shown:
                break
        gap = "" if self.language is Language.ZH else " "
        return gap.join(shown[:2]) or format_unit(round(seconds, 1), "duration-second", "short", locale=self._locale)

    def ago(self, seconds: float | None) -> str:
        """How long ago something was, in one unit."""
        if seconds is None:
            return self.word("never")
        if seconds < 1:
            return self.word("just_now")
        span = timedelta(seconds=-max(round(seconds), 0))
        return format_timedelta(span, add_direction=True, threshold=1.5, format="short", locale=self._locale)

    def age(self, seconds: float | None) -> str:
        """How old something is."""
        if seconds is None:
            return self.word("never")
        return self.word("just_now") if seconds < 1 else self.duration(round(seconds))

    def moment(self, time: str | None) -> str:
        """A time of day with its date; the year is left out where it is this one's."""
        if time is None:
            return NOTHING
        when = datetime.fromisoformat(time)
        this_year = when.year == datetime.now(when.tzinfo).year
        day = format_skeleton("MMMd" if this_year else "yMMMd", when, tzinfo=when.tzinfo, locale=self._locale)
        return f"{day} {when:%H:%M}"

    def clock(self, time: str) -> str:
        """A time of day."""
        return f"{datetime.fromisoformat(time):%H:%M:%S}"

    def day(self, time: str) -> str:
        """A date."""
        return format_date(datetime.fromisoformat(time), "full", locale=self._locale)

    def month(self, time: str) -> str:
        """A month."""
        when = datetime.fromisoformat(time)
        return format_skeleton("yMMMM", when, tzinfo=when.tzinfo, locale=self._locale)
