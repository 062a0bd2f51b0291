"""Smart waste bins, one series per stream of GB/T 19095-2019. Fields follow FIWARE WasteContainer and LwM2M 3435."""

from devices.fields import flag, gauge, state, value
from devices.kind import Event, Kind, Part
from devices.names import Text
from devices.statistics import Across, Group, Reducer, Statistic

KIND = Kind(
    name="bin",
    title=Text("Waste bin", "智能垃圾箱"),
    interval_s=600,
    part=Part(
        name="stream",
        title=Text("Waste stream", "垃圾类别"),
        values=("recyclable", "kitchen", "hazardous", "residual"),
    ),
    telemetry=(
        gauge("fill", Text("Fill level", "满溢度"), "1", 0, 1),
        gauge("weight_kg", Text("Weight", "重量"), "kg", 0, 5000),
        gauge("temp_c", Text("Temperature", "温度"), "°C", -60, 300),
        gauge("battery", Text("Battery", "电池"), "1", 0, 1),
        flag("smoke", Text("Smoke", "烟雾")),
        flag("tilt", Text("Tilt", "倾倒")),
        state("lid", Text("Lid", "箱盖"), ("closed", "open", "jammed")),
    ),
    events=(
        Event(
            name="deposit",
            title=Text("Deposit", "投放"),
            has_part=True,
            fields=(value("weight_kg", Text("Weight", "重量"), "kg", 0, 500),),
        ),
        Event(
            name="collected",
            title=Text("Collected", "清运"),
            has_part=True,
            fields=(value("weight_kg", Text("Weight", "重量"), "kg", 0, 5000, required=False),),
        ),
    ),
    statistics=(
        Statistic(
            name="fill",
            title=Text("Fill level", "满溢度"),
            group=Group.OCCUPANCY,
            unit="1",
            reducer=Reducer.LEVEL,
            definition="Time-weighted mean fill level, by stream, averaged over bins.",
            field="fill",
            across=Across.MEAN,
            by="part",
        ),
        Statistic(
            name="fill_fullest",
            title=Text("Fullest bin", "最满垃圾箱"),
            group=Group.OCCUPANCY,
            unit="1",
            reducer=Reducer.LEVEL,
            definition="Time-weighted mean fill level of the fullest compartment.",
            field="fill",
            across=Across.MAX,
        ),
        Statistic(
            name="deposits",
            title=Text("Deposits", "投放次数"),
            group=Group.USAGE,
            unit="deposits",
            reducer=Reducer.COUNT,
            definition="Deposits within the bucket, by stream.",
            table="deposit",
            by="part",
        ),
        Statistic(
            name="deposited",
            title=Text("Deposited", "投放重量"),
            group=Group.USAGE,
            unit="kg",
            reducer=Reducer.TOTAL,
            definition="Weight deposited within the bucket, by stream.",
            table="deposit",
            field="weight_kg",
            by="part",
        ),
        Statistic(
            name="collections",
            title=Text("Collections", "清运次数"),
            group=Group.USAGE,
            unit="collections",
            reducer=Reducer.COUNT,
            definition="Times a compartment was emptied within the bucket.",
            table="collected",
        ),
        Statistic(
            name="jammed_seconds",
            title=Text("Lid jammed", "箱盖卡住时间"),
            group=Group.AVAILABILITY,
            unit="s",
            reducer=Reducer.SECONDS,
            definition="Seconds in which a lid was jammed, summed over compartments.",
            field="lid",
            labels=("jammed",),
        ),
    ),
)
