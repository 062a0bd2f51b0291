"""What can go wrong with alarms; see `devices.errors` for the tree."""

from devices.errors import CourtyardError, NotFoundError


class UnknownAlarmError(NotFoundError):
    """There is no such alarm."""

    code = "unknown_alarm"


class UnknownWindowError(NotFoundError):
    """There is no such maintenance window."""

    code = "unknown_window"


class AcknowledgedError(CourtyardError):
    """Somebody has taken the alarm on already."""

    code = "acknowledged"
