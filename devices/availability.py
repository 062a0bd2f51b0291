"""What is served about every kind alike: whether its devices are there."""

from devices.kind import STATUS, Kind
from devices.names import Text
from devices.statistics import Group, Reducer, Statistic

COMMON_STATISTICS = (
    Statistic(
        name="online",
        title=Text("Online", "在线率"),
        group=Group.AVAILABILITY,
        unit="1",
        reducer=Reducer.ONLINE,
        definition="Share of device time known to be online or offline in which the device was online.",
        table=STATUS,
        field="state",
    ),
    Statistic(
        name="offline_seconds",
        title=Text("Offline", "离线时间"),
        group=Group.AVAILABILITY,
        unit="s",
        reducer=Reducer.OFFLINE_SECONDS,
        definition="Seconds known to be offline, summed over devices.",
        table=STATUS,
        field="state",
    ),
    Statistic(
        name="outages",
        title=Text("Outages", "离线次数"),
        group=Group.AVAILABILITY,
        unit="outages",
        reducer=Reducer.OUTAGES,
        definition="Times a device went offline, summed over devices.",
        table=STATUS,
        field="state",
    ),
    Statistic(
        name="repair_time",
        title=Text("Mean time to repair", "平均修复时间"),
        group=Group.AVAILABILITY,
        unit="s",
        reducer=Reducer.REPAIR_TIME,
        definition="Mean length of the outages that ended within the bucket: from the first status that said offline "
        "to the first after it that did not.",
        table=STATUS,
        field="state",
    ),
)
"""Every kind has these without declaring them."""


def statistics_of(kind: Kind, group: Group | None = None) -> tuple[Statistic, ...]:
    """Every statistic that is served about a kind.

    Args:
        kind: the kind.
        group: only those of one address of the API; None for all.

    Returns:
        The common ones, then the kind's own in declared order. A kind's own replaces a common one of its name.
    """
    own = {each.name for each in kind.statistics}
    every = (*(each for each in COMMON_STATISTICS if each.name not in own), *kind.statistics)
    return tuple(each for each in every if group is None or each.group is group)
