"""What is said of a device and what is heard from it, as one line of time.

What was said last, by its status, holds until something else is said, however long; unless that was "online": then what
was heard last counts, for as long as it holds. Else nothing is known.
"""

from typing import NamedTuple

import numpy as np

from aggregate import state
from aggregate.holds import Holds, gaps
from aggregate.segments import Indices
from aggregate.view import Mask
from devices.columns import Coded, Codes, Floats, Times
from devices.kind import STATUS_FIELDS

STATE = STATUS_FIELDS[0]
OFFLINE, ONLINE, MAINTENANCE = (STATE.labels.index(label) for label in ("offline", "online", "maintenance"))


class Marks(NamedTuple):
    """Instants on lines of time.

    Attributes:
        time: int64[n], ns.
        line: intp[n], which line.
        code: int32[n], what holds from there on.
    """

    time: Times
    line: Indices
    code: Codes


def seconds_by_code(  # noqa: PLR0913  (what is said, what is heard, and over what)
    said: Marks, heard: Marks, lines: int, edges: Times, *, max_hold_ns: int, codes: int
) -> Floats:
    """Sum the seconds of each code over each bucket.

    Args:
        said: statuses, in codes of `STATE`.
        heard: signs of life, in any codes from 0 to before `codes`.
        lines: l, the number of lines.
        edges: int64[m + 1], ns, increasing.
        max_hold_ns: how long a sign of life holds.
        codes: c, the number of codes.

    Returns:
        float64[l, m, c].
    """
    time, line = np.concatenate([said.time, heard.time]), np.concatenate([said.line, heard.line])
    code = np.concatenate([said.code, heard.code])
    order = np.lexsort((time, line))
    time, line, code, is_said = time[order], line[order], code[order], order < len(said.time)
    offsets = np.searchsorted(line, np.arange(lines + 1))
    begin = offsets[line]
    last_said, last_heard = _latest(is_said), _latest(~is_said)
    spoken = np.where(last_said >= begin, code[last_said], ONLINE)
    sounded = last_heard >= begin
    online = spoken == ONLINE
    code = np.where(online, np.where(sounded, code[last_heard], ONLINE), spoken).astype(np.int32)
    after = time + gaps(time, offsets, edges)
    lives = np.where(sounded, time[last_heard] + max_hold_ns, 0)
    until = np.where(online, np.clip(lives, time, after), after)
    return state.seconds(Holds.until(time, until, offsets, edges), code, codes)


def declared(column: Coded) -> Codes:
    """The codes of `STATE`, whatever the order of a column's own labels."""
    return np.array([*(STATE.labels.index(label) for label in column.labels)], np.int32)[column.codes]


def _latest(mask: Mask) -> Indices:
    """intp[n]: the last row up to each row where `mask` is true; -1 before the first."""
    return np.maximum.accumulate(np.where(mask, np.arange(len(mask)), -1))
