"""EV charging piles, one series per connector. States and error codes are those of OCPP 1.6 (sections 7.6 and 7.7)."""

from devices.alarms import Labels, Level, Match, Rule, Severity
from devices.fields import category, counter, gauge, identity, state, value
from devices.kind import Event, Kind, Pair, Part
from devices.names import Text
from devices.statistics import Across, Group, Reducer, Statistic

_STATUS = (
    "Available", "Preparing", "Charging", "SuspendedEVSE", "SuspendedEV", "Finishing", "Reserved", "Unavailable",
    "Faulted",
)  # fmt: skip
_ERRORS = (
    "NoError", "ConnectorLockFailure", "EVCommunicationError", "GroundFailure", "HighTemperature", "InternalError",
    "LocalListConflict", "OtherError", "OverCurrentFailure", "OverVoltage", "PowerMeterFailure", "PowerSwitchFailure",
    "ReaderFailure", "ResetFailure", "UnderVoltage", "WeakSignal",
)  # fmt: skip
_OCCUPIED = ("Preparing", "Charging", "SuspendedEVSE", "SuspendedEV", "Finishing")

KIND = Kind(
    name="charger",
    title=Text("EV charger", "充电桩"),
    interval_s=60,
    part=Part(name="connector", title=Text("Connector", "充电枪")),
    telemetry=(
        state("status", Text("Status", "状态"), _STATUS),
        state("error", Text("Error code", "故障码"), _ERRORS),
        counter("energy_wh", Text("Energy register", "电能表读数"), "Wh", 1e12),
        gauge("power_w", Text("Power", "功率"), "W", 0, 1e6),
        gauge("current_a", Text("Current", "电流"), "A", 0, 2000),
        gauge("voltage_v", Text("Voltage", "电压"), "V", 0, 2000),
        gauge("temp_c", Text("Temperature", "温度"), "°C", -60, 200),
        gauge("soc", Text("State of charge", "电池电量"), "1", 0, 1, required=False),
    ),
    events=(
        Event(
            name="session",
            title=Text("Session", "充电会话"),
            has_part=True,
            fields=(
                category("phase", Text("Phase", "阶段"), ("begin", "end")),
                identity("id", Text("Session", "会话编号")),
                value("energy_wh", Text("Energy", "电量"), "Wh", 0, 1e7, required=False),
            ),
        ),
    ),
    pairs=(
        Pair(
            name="session",
            title=Text("Session", "充电会话"),
            key="id",
            opens=Match(event="session", where={"phase": "begin"}),
            closes=(Match(event="session", where={"phase": "end"}),),
        ),
    ),
    statistics=(
        Statistic(
            name="occupied",
            title=Text("Connectors occupied", "占用充电枪"),
            group=Group.OCCUPANCY,
            unit="connectors",
            reducer=Reducer.IN_STATE,
            definition="Mean number of connectors with a car plugged in.",
            field="status",
            labels=_OCCUPIED,
        ),
        Statistic(
            name="charging",
            title=Text("Connectors charging", "充电中"),
            group=Group.OCCUPANCY,
            unit="connectors",
            reducer=Reducer.IN_STATE,
            definition="Mean number of connectors that were charging.",
            field="status",
            labels=("Charging",),
        ),
        Statistic(
            name="plugged_idle",
            title=Text("Plugged in, not charging", "占位未充"),
            group=Group.OCCUPANCY,
            unit="connectors",
            reducer=Reducer.IN_STATE,
            definition="Mean number of connectors with a car plugged in that was not charging.",
            field="status",
            labels=("Preparing", "SuspendedEVSE", "SuspendedEV", "Finishing"),
        ),
        Statistic(
            name="energy",
            title=Text("Energy", "充电量"),
            group=Group.USAGE,
            unit="Wh",
            reducer=Reducer.INCREASE,
            definition="Increase of the energy registers within the bucket.",
            field="energy_wh",
        ),
        Statistic(
            name="sessions",
            title=Text("Sessions", "充电次数"),
            group=Group.USAGE,
            unit="sessions",
            reducer=Reducer.COUNT,
            definition="Sessions ended within the bucket.",
            table="session",
            where={"phase": ("end",)},
        ),
        Statistic(
            name="session_energy",
            title=Text("Energy of sessions", "会话电量"),
            group=Group.USAGE,
            unit="Wh",
            reducer=Reducer.TOTAL,
            definition="Energy of the sessions ended within the bucket.",
            table="session",
            field="energy_wh",
            where={"phase": ("end",)},
        ),
        Statistic(
            name="session_mean_energy",
            title=Text("Mean energy of a session", "平均会话电量"),
            group=Group.USAGE,
            unit="Wh",
            reducer=Reducer.RATIO,
            definition="Energy of sessions divided by sessions.",
            table="session",
            operands=("session_energy", "sessions"),
        ),
        Statistic(
            name="session_mean_duration",
            title=Text("Mean length of a session", "平均会话时长"),
            group=Group.USAGE,
            unit="s",
            reducer=Reducer.MEAN_DURATION,
            definition="Mean time from begin to end of sessions ended within the bucket.",
            table="session",
            pair="session",
        ),
        Statistic(
            name="utilisation",
            title=Text("Utilisation", "利用率"),
            group=Group.USAGE,
            unit="1",
            reducer=Reducer.IN_STATE,
            definition="Share of observed connector time in which a car was plugged in.",
            field="status",
            labels=_OCCUPIED,
            across=Across.MEAN,
        ),
        Statistic(
            name="uptime",
            title=Text("Uptime", "可用率"),
            group=Group.AVAILABILITY,
            unit="1",
            reducer=Reducer.UPTIME,
            definition="(T - (outage - excluded)) / T over the known connector time T, after 23 CFR 680.116(b). "
            "Outage: faulted, unavailable, or the charger offline. Excluded: maintenance; other causes that may be "
            "excluded are not known here, and count as outage.",
            field="status",
            labels=("Faulted", "Unavailable"),
        ),
        Statistic(
            name="faulted_seconds",
            title=Text("Faulted", "故障时间"),
            group=Group.AVAILABILITY,
            unit="s",
            reducer=Reducer.SECONDS,
            definition="Seconds in which a connector was faulted or unavailable, summed over connectors.",
            field="status",
            labels=("Faulted", "Unavailable"),
        ),
    ),
    alarms=(
        Rule(
            name="faulted",
            title=Text("Connector faulted", "充电枪故障"),
            severity=Severity.MAJOR,
            condition=Labels(field="status", labels=("Faulted",)),
            advice=Text("See its error code, and call its maker.", "查看故障码并联系厂家。"),
            for_s=60,
            clear_s=60,
        ),
        Rule(
            name="overheating",
            title=Text("Overheating", "温度过高"),
            severity=Severity.CRITICAL,
            condition=Level(field="temp_c", at=80, clear=65),
            advice=Text("Stop the session, and keep people away.", "停止充电并疏散人员。"),
        ),
    ),
)
