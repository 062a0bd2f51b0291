"""Messages on their way to people, by Apprise: the one place that knows it."""

import logging

import apprise

from alarms.sender import Post
from alarms.targets import Target
from devices.errors import SettingsError

_TIMEOUTS = "cto=5&rto=10"
"""Seconds that a connection and an answer may take."""


def post_to(target: Target) -> Post:
    """What sends to a target.

    Raises:
        SettingsError: its URL is none that Apprise knows. The message does not hold it.
    """
    url = target.url.get_secret_value()
    logging.getLogger("apprise").setLevel(logging.CRITICAL)  # its lines hold addresses, and we tell by name
    found = apprise.Apprise()
    if not found.add(f"{url}{'&' if '?' in url else '?'}{_TIMEOUTS}"):
        raise SettingsError(
            f"notification target {target.name!r}: its url is none that Apprise knows; see its list of services"
        )

    def post(title: str, body: str) -> bool:
        return bool(found.notify(title=title, body=body, body_format=apprise.NotifyFormat.TEXT))

    return post
