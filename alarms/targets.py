"""Who is told of alarms, and how: targets as a file declares them.

    - name: manager
      url: mailto://user:password@example.com?to=manager@example.com
      severities: [critical, major]
      digest_s: 60
      most_per_hour: 12
      quiet: "22:00-07:00"
      language: zh

A URL is one of Apprise's: e-mail, WeCom, DingTalk, Feishu, webhooks and a hundred more. Parsing only: the file is read,
and messages are posted, elsewhere.
"""

import re
from datetime import datetime
from typing import Annotated, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import pydantic
import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, StringConstraints

from alarms.standing import What
from devices.alarms import Severity
from devices.errors import SettingsError
from devices.inventory import Inventory
from devices.names import ID_PATTERN

_QUIET = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-3]):([0-5]\d)", re.ASCII)


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError) as exc:
        msg = f"there is no time zone {name!r}; write one like Asia/Shanghai"
        raise ValueError(msg) from exc
    return name


class Target(BaseModel):
    """One who is told.

    Attributes:
        name: what it is called in logs and records.
        url: where messages go, as Apprise writes it; a secret.
        severities: of which alarms.
        compounds: of which compounds; none means all.
        cleared: whether it is told of what is cleared too.
        digest_s: for how long alarms are gathered into one message, in seconds; a critical one waits for no others.
        most_per_hour: the most messages in an hour; what is more waits, and comes in one.
        after_s: it is told of an alarm only if that is still open so long after, and nobody has acknowledged it.
        repeat_s: it is told again and again, so far apart, until the alarm is cleared or acknowledged; None for once.
        quiet: from when to when only critical ones are told, by the clock of `timezone`.
        timezone: whose clock.
        language: of the messages.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Annotated[str, StringConstraints(pattern=ID_PATTERN)]
    url: SecretStr
    severities: tuple[Severity, ...] = tuple(Severity)
    compounds: tuple[str, ...] = ()
    cleared: bool = True
    digest_s: Annotated[float, Field(ge=0, le=86_400, allow_inf_nan=False)] = 30.0
    most_per_hour: Annotated[int, Field(ge=1, le=3600)] = 30
    after_s: Annotated[float, Field(ge=0, le=604_800, allow_inf_nan=False)] = 0.0
    repeat_s: Annotated[float, Field(ge=60, le=604_800, allow_inf_nan=False)] | None = None
    quiet: Annotated[str, StringConstraints(pattern=f"^{_QUIET.pattern}$")] | None = None
    timezone: Annotated[str, AfterValidator(_zone)] = "Asia/Shanghai"
    language: Literal["zh", "en", "both"] = "both"

    def wants(self, what: What, severity: Severity, compound: str) -> bool:
        """Whether it is to be told of an alarm."""
        about = severity in self.severities and (not self.compounds or compound in self.compounds)
        return about and (self.cleared or what is What.RAISED)

    def is_quiet(self, now_ns: int) -> bool:
        """Whether only critical alarms are told at an instant."""
        found = _QUIET.fullmatch(self.quiet or "")
        if found is None:
            return False
        begin, end = int(found[1]) * 60 + int(found[2]), int(found[3]) * 60 + int(found[4])
        local = datetime.fromtimestamp(now_ns / 1e9, ZoneInfo(self.timezone))
        minute = local.hour * 60 + local.minute
        return begin <= minute < end if begin <= end else minute >= begin or minute < end


def parse(text: str, inventory: Inventory) -> tuple[Target, ...]:
    """Read a file of targets.

    Args:
        text: its content, YAML.
        inventory: which compounds there are.

    Returns:
        The targets.

    Raises:
        SettingsError: the file is wrong; the message says where. It never holds a URL.
    """
    try:
        found = pydantic.TypeAdapter(tuple[Target, ...]).validate_python(yaml.safe_load(text) or ())
    except yaml.YAMLError as exc:
        place = getattr(exc, "problem_mark", None)
        raise SettingsError(f"the notification targets are not YAML: line {place.line + 1 if place else '?'}") from exc
    except pydantic.ValidationError as exc:
        lines = [f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in exc.errors(include_url=False)]
        raise SettingsError("the notification targets are wrong (0 is the first): " + "; ".join(lines)) from None
    names = [each.name for each in found]
    if len(set(names)) != len(names):
        raise SettingsError("the notification targets are wrong: two have one name")
    for each in found:
        for name in each.compounds:
            if name not in inventory.compounds:
                raise SettingsError(f"notification target {each.name!r}: there is no compound {name!r}")
    return found
