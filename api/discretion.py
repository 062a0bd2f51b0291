"""Rows that are the doings of single persons: who may read them, and that each look is written down."""

from access.callers import Scope
from access.errors import ForbiddenError
from api.context import Context
from devices.kind import Table


def check(context: Context, table: Table, about: str) -> None:
    """Check that the caller may read rows of a table, and write down that they do where these are about people.

    Args:
        context: the world, and who asks.
        table: whose rows.
        about: the device or compounds whose rows they are, for the log.

    Raises:
        ForbiddenError: they are about people, and the caller may not manage.
        RecordsError: it cannot be written down; then it cannot be read.
    """
    if not table.about_people:
        return
    if Scope.MANAGE not in context.caller.grant.scopes:
        raise ForbiddenError(
            f"each row of {table.measurement} is the doing of one person; that needs the scope `manage`. Statistics "
            "tell how many there were",
            code="about_people",
        )
    context.record("people.read", about, table=table.measurement)
