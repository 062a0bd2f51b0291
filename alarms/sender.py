"""Sends a target what it is to be told: gathered, not too often, not at night, again where it fails."""

import time
from collections.abc import Callable, Sequence

import structlog

from alarms.messages import Composer
from alarms.outbox import Notice, Outbox
from alarms.standing import What
from alarms.targets import Target
from devices.alarms import Severity
from records.errors import RecordsError

_LOOK_S = 1.0
_HOUR_NS = 3600 * 1_000_000_000
_FIRST_RETRY_S, _LAST_RETRY_S = 10.0, 900.0
_GIVE_UP_TRIES = 100
"""About a day of tries."""

Post = Callable[[str, str], bool]
"""Sends title and body; whether it arrived. It never raises, and comes to an end by itself."""

log = structlog.get_logger("courtyard.alarms")


class Sender:
    """Sends to one target. A target that hangs keeps nobody else waiting: each has a thread of its own."""

    def __init__(
        self, target: Target, outbox: Outbox, composer: Composer, post: Post, *, clock: Callable[[], int] = time.time_ns
    ) -> None:
        """Prepare to send."""
        self._target = target
        self._outbox = outbox
        self._composer = composer
        self._post = post
        self._clock = clock

    def run(self, stopped: Callable[[float], bool]) -> None:
        """Send until the end is asked for."""
        while not stopped(_LOOK_S):
            try:
                self.turn()
            except RecordsError as exc:
                log.warning("notices wait", target=self._target.name, code=exc.code, error=exc.message)

    def turn(self) -> bool:
        """Send what is due.

        Returns:
            Whether a message was sent.

        Raises:
            RecordsError: the outbox cannot be read or written. What was sent by then may be sent once more.
        """
        target, now_ns = self._target, self._clock()
        waiting = self._outbox.waiting(target.name, now_ns)
        needless = [each for each in waiting if self._is_needless(each)]
        if needless:
            self._outbox.give_up(needless, now_ns)
        news = [each for each in waiting if not self._is_needless(each) and not _snoozed(each, now_ns)]
        notices = self._due(news, now_ns)
        if not notices or self._outbox.messages_since(target.name, now_ns - _HOUR_NS) >= target.most_per_hour:
            return False
        title, body = self._composer.compose(target, notices)
        if self._post(title, body):
            self._outbox.sent(notices, self._clock())
            open_ = [each for each in notices if each.what is What.RAISED and not each.alarm.is_taken]
            if target.repeat_s is not None and open_:
                self._outbox.again(target.name, open_, now_ns + round(target.repeat_s * 1e9))
            return True
        hopeless = [each for each in notices if each.tries >= _GIVE_UP_TRIES]
        if hopeless:
            log.error("notices are given up", target=target.name, number=len(hopeless))
            self._outbox.give_up(hopeless, now_ns)
        wait_s = min(_FIRST_RETRY_S * 2 ** min(max(each.tries for each in notices), 10), _LAST_RETRY_S)
        log.warning("a target cannot be told", target=target.name, number=len(notices), again_in_s=wait_s)
        self._outbox.later(notices, now_ns + round(wait_s * 1e9))
        return False

    def _is_needless(self, notice: Notice) -> bool:
        """Whether what it tells is no news any more, to one who is told late or again."""
        told_late = self._target.after_s > 0 or self._target.repeat_s is not None
        return told_late and notice.what is What.RAISED and notice.alarm.is_taken

    def _due(self, waiting: Sequence[Notice], now_ns: int) -> Sequence[Notice]:
        """What to send now: all that waits, once the oldest has for long enough or something critical is raised."""
        urgent = [each for each in waiting if each.what is What.RAISED and each.alarm.severity is Severity.CRITICAL]
        if self._target.is_quiet(now_ns):
            return urgent
        ready = waiting and waiting[0].created_ns + self._target.digest_s * 1e9 <= now_ns
        return waiting if ready or urgent else []


def _snoozed(notice: Notice, now_ns: int) -> bool:
    until_ns = notice.alarm.snoozed_until_ns
    return notice.what is What.RAISED and until_ns is not None and until_ns > now_ns
