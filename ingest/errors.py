"""What can go wrong with the spool. Both are `CourtyardError`s, with stable codes.

CourtyardError
└── SpoolError           the spool cannot be opened, read or written
    └── SpoolFullError   it has reached its limit, or the disk is full: try again when there is space
"""

from devices.errors import CourtyardError


class SpoolError(CourtyardError):
    """The spool cannot be opened, read or written."""

    code = "spool"


class SpoolFullError(SpoolError):
    """The spool has reached its size limit, or the disk is full. Nothing was kept; the same call may succeed later."""

    code = "spool_full"
