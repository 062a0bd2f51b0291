"""Our unit strings as Grafana knows them."""

from types import MappingProxyType

_UNITS = MappingProxyType(
    {
        "1": "percentunit",
        "°C": "celsius",
        "A": "amp",
        "kbit/s": "Kbits",
        "kg": "masskg",
        "ms": "ms",
        "s": "s",
        "V": "volt",
        "W": "watt",
        "Wh": "watth",
    }
)


def grafana_unit(unit: str) -> str:
    """Grafana's id of a unit; a unit that it does not have, such as "cells", is written behind the number."""
    return _UNITS.get(unit, f"suffix: {unit}")
