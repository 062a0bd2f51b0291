"""HTML without a browser: whatever is named or sent is text, kinds are known by declaration only, words are whole."""

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

import pages
from api.options import ApiOptions
from api.service import Service
from devices.inventory import Inventory
from devices.kind import Kind
from devices.names import Text
from devices.registry import Registry
from pages import views
from pages.rendering import Renderer
from pages.tongue import Language, Tongue
from pages.words import UNITS, WORDS
from tests.api.client import KEY
from tests.api.conftest import Clock
from tests.api.memory_store import MemoryStore
from tests.api.world import batches, inventory_of

TEMPLATES = Path(pages.__file__).parent / "templates"
EN, ZH = Tongue(Language.EN), Tongue(Language.ZH)


def fleet_page(inventory: Inventory, kinds: Mapping[str, Kind], tongue: Tongue, clock: Clock | None = None) -> str:
    store = MemoryStore()
    store.write(list(batches(inventory, kinds)))
    service = Service(ApiOptions(keys=(KEY,)), inventory, kinds, store, clock=clock or Clock())
    return Renderer(inventory, kinds).render(
        "fleet", tongue, fleet=views.fleet(service, kinds), name=inventory.name
    )  # fmt: skip


@pytest.mark.parametrize("tongue", [EN, ZH], ids=["en", "zh"])
def test_the_overview_shows_how_compounds_are(registry: Registry, tongue: Tongue) -> None:
    inventory, clock = inventory_of(registry), Clock()
    page = fleet_page(inventory, registry, tongue, clock)
    assert {"en": "Jingyuan", "zh": "警苑小区"}[tongue.language] in page
    assert tongue.word("people_inside") in page
    assert 'class="stale"' not in page
    assert tongue.word("alarms_away") in page
    clock.now_ns += 3600 * 10**9
    assert 'class="stale"' in fleet_page(inventory, registry, tongue, clock)


def test_names_are_escaped(registry: Registry) -> None:
    text = (
        "name: {en: x, zh: x}\ncompounds:\n  - {id: a, name: {en: '<script>alert(1)</script>', zh: '&'}, buildings: 1, "
        "residents: 1, parking_spaces: 0, devices: {}}"
    )
    page = fleet_page(Inventory.parse(text, registry), registry, EN)
    assert "<script" not in page
    assert "&lt;script&gt;" in page


def test_a_new_kind_is_on_the_overview_without_an_edit(registry: Registry) -> None:
    bin_ = registry["bin"]
    titled = tuple(replace(each, title=Text("Level", "水位")) for each in bin_.statistics)
    pump = replace(bin_, name="pump", title=Text("Pump", "水泵"), statistics=titled)
    kinds = {"pump": pump}
    assert "水位" in fleet_page(inventory_of(kinds), kinds, ZH)


def test_every_word_of_the_templates_is_there_in_both_languages_and_none_is_idle() -> None:
    used = set()
    for path in (*TEMPLATES.glob("*.html"), *TEMPLATES.parent.glob("*.py")):
        text = path.read_text()
        used |= set(re.findall(r"""(?:word|_word)\(\s*["']([a-z_0-9]+)["']""", text))
    indirect = {"open", "cleared", "all", "month", "day", "critical", "major", "minor", "warning", "online", "offline",
                "maintenance", "unknown", "overview", "alarms", "reports", "pipeline", "wall", "how_used", "how_full",
                "how_available", "acknowledged", "snoozed", "snooze_1h", "snooze_8h", "access",
                "may_read", "may_acknowledge", "may_manage", "may_admin", "login", "name", "may", "where", "comes_by",
                "used_for", "made_at", "by", "good_until", "accepted", "expired", "revoked", "revoke", "new_password",
                "shut_out_now", "shut_out_hint", "revoke_hint", "make_key", "add_person", "key_made"}  # fmt: skip
    assert used <= set(WORDS), used - set(WORDS)
    assert set(WORDS) <= used | indirect, set(WORDS) - used - indirect
    assert all(each.en.strip() and each.zh.strip() for each in (*WORDS.values(), *UNITS.values()))


def test_every_unit_of_a_statistic_that_is_a_word_is_translated(registry: Registry) -> None:
    units = {each.unit for kind in registry.values() for each in kind.statistics}
    words = {unit for unit in units if re.fullmatch(r"[a-z]{4,}", unit)}
    assert words <= set(UNITS), words - set(UNITS)


@pytest.mark.parametrize(
    ("header", "language"),
    [("zh-CN,zh;q=0.9,en;q=0.8", "zh"), ("en-GB,en;q=0.9,zh;q=0.1", "en"), ("de,en;q=0.5", "en"), ("de", "zh"),
     ("", "zh"), ("\x00;;;,,,", "zh")],
)  # fmt: skip
def test_the_language_is_the_first_that_we_speak(header: str, language: str) -> None:
    assert Language.of(header) == language


@pytest.mark.parametrize(
    ("value", "unit", "en", "zh"),
    [
        (None, "1", "–", "–"),
        (0.5, "1", "50%", "50%"),
        (0.012, "1", "1.2%", "1.2%"),
        (1234.5, "people", "1,234 people", "1,234 人"),
        (12345.0, "Wh", "12.3 kWh", "12.3 千瓦时"),
        (5400.0, "s", "1 hr 30 mins", "1小时30分钟"),
        (0.0, "s", "0 secs", "0秒"),
        (18.0, "hour of day", "18:00", "18:00"),
        (21.5, "°C", "21.5 °C", "21.5 °C"),
    ],
)
def test_figures_are_written_as_each_language_does(value: float | None, unit: str, en: str, zh: str) -> None:
    assert (EN.value(value, unit), ZH.value(value, unit)) == (en, zh)


def test_ages_are_told_in_one_unit() -> None:
    assert [EN.ago(each) for each in (None, 0.2, 30.0, 7200.0)] == ["never", "just now", "30 sec ago", "2 hr ago"]
    assert [ZH.ago(each) for each in (None, 0.2, 30.0, 7200.0)] == ["从未", "刚刚", "30秒前", "2小时前"]
    assert ZH.age(None) == "从未"
