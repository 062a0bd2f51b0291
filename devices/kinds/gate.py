"""Face-recognition gates: doors, and passes through them. No field says who passed."""

from devices.alarms import Burst, Labels, Match, Rule, Severity
from devices.fields import category, flag, gauge, state, value
from devices.kind import Event, Kind
from devices.names import Text
from devices.statistics import Group, Reducer, Statistic

_IN = {"direction": ("in",), "result": ("granted",)}
_OUT = {"direction": ("out",), "result": ("granted",)}
_UNKNOWN = {"direction": ("unknown",), "result": ("granted",)}

KIND = Kind(
    name="gate",
    title=Text("Gate", "门禁"),
    interval_s=60,
    telemetry=(
        state("door", Text("Door", "门状态"), ("closed", "open", "held", "forced")),
        flag("tamper", Text("Tamper contact", "防拆")),
        gauge("uptime_s", Text("Uptime", "运行时间"), "s", 0, 1e9),
    ),
    events=(
        Event(
            name="pass",
            title=Text("Pass", "通行"),
            fields=(
                category("direction", Text("Direction", "方向"), ("in", "out", "unknown")),
                category("method", Text("Method", "方式"), ("face", "card", "qr", "pin", "remote")),
                category("result", Text("Result", "结果"), ("granted", "denied")),
                category(
                    "reason",
                    Text("Reason", "原因"),
                    ("no_match", "expired", "schedule", "blocked", "liveness", "timeout"),
                    required=False,
                ),
                category(
                    "category", Text("Who", "人员类别"), ("resident", "visitor", "staff", "delivery"), required=False
                ),
                value("match_ms", Text("Time to decide", "识别用时"), "ms", 0, 120_000, required=False),
            ),
        ),
    ),
    statistics=(
        Statistic(
            name="people_inside",
            title=Text("People inside", "在内人数"),
            group=Group.OCCUPANCY,
            unit="people",
            reducer=Reducer.BALANCE,
            definition="Residents, all taken to be at home at 04:00, plus granted passes in, minus granted passes out "
            "since then, at the bucket's end.",
            table="pass",
            where=_IN,
            minus=_OUT,
            base="residents",
        ),
        Statistic(
            name="people_inside_low",
            title=Text("People inside, at least", "在内人数下限"),
            group=Group.OCCUPANCY,
            unit="people",
            reducer=Reducer.BOUND,
            definition="People inside, if all granted passes of unknown direction and all passes that are missing by "
            "their sequence numbers since 04:00 went out.",
            table="pass",
            where=_UNKNOWN,
            operands=("people_inside",),
            bound=-1,
        ),
        Statistic(
            name="people_inside_high",
            title=Text("People inside, at most", "在内人数上限"),
            group=Group.OCCUPANCY,
            unit="people",
            reducer=Reducer.BOUND,
            definition="People inside, if all granted passes of unknown direction and all passes that are missing by "
            "their sequence numbers since 04:00 came in.",
            table="pass",
            where=_UNKNOWN,
            operands=("people_inside",),
            bound=1,
        ),
        Statistic(
            name="passes",
            title=Text("Passes", "通行次数"),
            group=Group.USAGE,
            unit="passes",
            reducer=Reducer.COUNT,
            definition="Granted passes within the bucket.",
            table="pass",
            where={"result": ("granted",)},
        ),
        Statistic(
            name="passes_by_direction",
            title=Text("Passes by direction", "按方向通行次数"),
            group=Group.USAGE,
            unit="passes",
            reducer=Reducer.COUNT,
            definition="Granted passes within the bucket, by direction.",
            table="pass",
            where={"result": ("granted",)},
            by="direction",
        ),
        Statistic(
            name="passes_by_method",
            title=Text("Passes by method", "按方式通行次数"),
            group=Group.USAGE,
            unit="passes",
            reducer=Reducer.COUNT,
            definition="Granted passes within the bucket, by what opened the gate.",
            table="pass",
            where={"result": ("granted",)},
            by="method",
        ),
        Statistic(
            name="passes_by_category",
            title=Text("Passes by category", "按人员类别通行次数"),
            group=Group.USAGE,
            unit="passes",
            reducer=Reducer.COUNT,
            definition="Granted passes within the bucket, by who passed: resident, visitor, staff, delivery.",
            table="pass",
            where={"result": ("granted",)},
            by="category",
        ),
        Statistic(
            name="passes_peak",
            title=Text("Passes in the busiest hour", "高峰小时通行次数"),
            group=Group.USAGE,
            unit="passes",
            reducer=Reducer.PEAK,
            definition="Granted passes in the busiest hour of the clock within the bucket.",
            table="pass",
            operands=("passes",),
        ),
        Statistic(
            name="passes_peak_hour",
            title=Text("Busiest hour", "高峰时段"),
            group=Group.USAGE,
            unit="hour of day",
            reducer=Reducer.PEAK_HOUR,
            definition="The hour of the local day, 0 to 23, in which most passes of the bucket were granted; the "
            "earliest of several.",
            table="pass",
            operands=("passes",),
        ),
        Statistic(
            name="attempts",
            title=Text("Attempts", "尝试次数"),
            group=Group.USAGE,
            unit="passes",
            reducer=Reducer.COUNT,
            definition="Granted and denied passes within the bucket.",
            table="pass",
        ),
        Statistic(
            name="denials",
            title=Text("Denials", "拒绝次数"),
            group=Group.USAGE,
            unit="passes",
            reducer=Reducer.COUNT,
            definition="Denied passes within the bucket.",
            table="pass",
            where={"result": ("denied",)},
        ),
        Statistic(
            name="denial_rate",
            title=Text("Denial rate", "拒绝率"),
            group=Group.USAGE,
            unit="1",
            reducer=Reducer.RATIO,
            definition="Denials divided by attempts.",
            table="pass",
            operands=("denials", "attempts"),
        ),
        Statistic(
            name="open_seconds",
            title=Text("Open, held or forced", "开启、滞留或强开时间"),
            group=Group.USAGE,
            unit="s",
            reducer=Reducer.SECONDS,
            definition="Seconds in which a door was open, held or forced, summed over gates.",
            field="door",
            labels=("open", "held", "forced"),
        ),
        Statistic(
            name="forced_entries",
            title=Text("Forced openings", "强行开启次数"),
            group=Group.USAGE,
            unit="entries",
            reducer=Reducer.ENTRIES,
            definition="Times a door was found forced.",
            field="door",
            labels=("forced",),
        ),
    ),
    alarms=(
        Rule(
            name="forced",
            title=Text("Forced open", "强行开门"),
            severity=Severity.CRITICAL,
            condition=Labels(field="door", labels=("forced",)),
            advice=Text("Send somebody to the gate at once.", "立即派人到现场。"),
        ),
        Rule(
            name="held",
            title=Text("Held open", "门未关闭"),
            severity=Severity.MINOR,
            condition=Labels(field="door", labels=("held",)),
            advice=Text("Close the gate, or see what keeps it open.", "关好门，或查明原因。"),
            for_s=120,
            clear_s=10,
        ),
        Rule(
            name="tamper",
            title=Text("Tampered with", "设备被拆"),
            severity=Severity.MAJOR,
            condition=Labels(field="tamper", labels=("true",)),
            advice=Text("Check the case of the gate.", "检查门禁外壳。"),
        ),
        Rule(
            name="denial_burst",
            title=Text("Many denials", "频繁拒绝通行"),
            severity=Severity.WARNING,
            condition=Burst(of=Match(event="pass", where={"result": "denied"}), count=10, within_s=600),
            advice=Text("See who is turned away, and offer another way in.", "查看被拒原因，并提供其他通行方式。"),
        ),
    ),
)
