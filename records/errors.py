"""What can go wrong with records; see `devices.errors` for the tree."""

from devices.errors import CourtyardError


class RecordsError(CourtyardError):
    """The database of records is away, locked, or not what it should be."""

    code = "records"
