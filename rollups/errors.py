"""What can go wrong with rollups, beside what can go wrong with a store."""

from devices.errors import CourtyardError


class WriteLogError(CourtyardError):
    """The write log cannot be opened, read or written."""

    code = "write_log"
