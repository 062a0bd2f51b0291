"""Cameras: the health of the stream, and what its analytics report. Health is named as Frigate names it."""

from devices.fields import category, flag, gauge, identity, state
from devices.kind import Event, Kind, Match, Pair
from devices.names import Text
from devices.statistics import Across, Group, Reducer, Statistic

KIND = Kind(
    name="camera",
    title=Text("Camera", "摄像机"),
    interval_s=60,
    telemetry=(
        state("stream", Text("Stream", "视频流"), ("live", "frozen", "down")),
        gauge("fps", Text("Frame rate", "帧率"), "fps", 0, 240),
        gauge("bitrate_kbps", Text("Bit rate", "码率"), "kbit/s", 0, 200_000),
        flag("recording", Text("Recording", "录像中")),
        gauge("frame_age_s", Text("Age of the last frame", "画面延迟"), "s", 0, 1e7),
        gauge("storage_used", Text("Storage used", "存储占用"), "1", 0, 1),
        gauge("people", Text("People in view", "画面人数"), "people", 0, 10_000, integer=True, required=False),
    ),
    events=(
        Event(
            name="analytic",
            title=Text("Analytic", "智能分析"),
            fields=(
                category(
                    "type",
                    Text("Type", "类型"),
                    ("fire_lane_blocked", "intrusion", "littering", "crowd", "ev_in_lift"),
                ),
                category("phase", Text("Phase", "阶段"), ("begin", "end")),
                identity("id", Text("Incident", "事件编号")),
            ),
        ),
    ),
    pairs=(
        Pair(
            name="incident",
            title=Text("Incident", "事件"),
            key="id",
            opens=Match(event="analytic", where={"phase": "begin"}),
            closes=(Match(event="analytic", where={"phase": "end"}),),
        ),
    ),
    statistics=(
        Statistic(
            name="people_in_view",
            title=Text("People in view", "画面人数"),
            group=Group.OCCUPANCY,
            unit="people",
            reducer=Reducer.LEVEL,
            definition="Time-weighted mean number of people in view, summed over cameras.",
            field="people",
        ),
        Statistic(
            name="storage_used",
            title=Text("Storage used", "存储占用"),
            group=Group.OCCUPANCY,
            unit="1",
            reducer=Reducer.LEVEL,
            definition="Time-weighted mean fraction of recording storage in use, of the fullest camera.",
            field="storage_used",
            across=Across.MAX,
        ),
        Statistic(
            name="analytics_by_type",
            title=Text("Incidents by type", "按类型事件数"),
            group=Group.USAGE,
            unit="incidents",
            reducer=Reducer.COUNT,
            definition="Incidents begun within the bucket, by type.",
            table="analytic",
            where={"phase": ("begin",)},
            by="type",
        ),
        Statistic(
            name="incident_mean_duration",
            title=Text("Mean length of incidents", "事件平均时长"),
            group=Group.USAGE,
            unit="s",
            reducer=Reducer.MEAN_DURATION,
            definition="Mean time from begin to end of incidents ended within the bucket.",
            table="analytic",
            pair="incident",
        ),
        Statistic(
            name="cameras_live",
            title=Text("Cameras live", "正常摄像机"),
            group=Group.AVAILABILITY,
            unit="cameras",
            reducer=Reducer.IN_STATE,
            definition="Mean number of cameras whose stream was live.",
            field="stream",
            labels=("live",),
        ),
        Statistic(
            name="frozen_seconds",
            title=Text("Frozen", "画面冻结时间"),
            group=Group.AVAILABILITY,
            unit="s",
            reducer=Reducer.SECONDS,
            definition="Seconds in which a stream was frozen, summed over cameras.",
            field="stream",
            labels=("frozen",),
        ),
        Statistic(
            name="not_recording_seconds",
            title=Text("Not recording", "未录像时间"),
            group=Group.AVAILABILITY,
            unit="s",
            reducer=Reducer.SECONDS,
            definition="Seconds in which a camera did not record, summed over cameras.",
            field="recording",
            labels=("false",),
        ),
    ),
)
