"""How a fleet tells people how it goes: a progress bar on a terminal, plain lines elsewhere."""

import datetime as dt
import time
from collections import deque
from types import TracebackType
from typing import Self
from zoneinfo import ZoneInfo

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

_LINE_S = 5.0
_RATE_WINDOW_S = 10.0


class ConsoleReport:
    """Shows a fleet's progress; a context manager, since the progress bar has to be cleared away."""

    def __init__(self, console: Console, *, start_ms: int, stop_ms: int | None, timezone: ZoneInfo) -> None:
        """Prepare to report on a run.

        Args:
            console: where to write.
            start_ms: where simulated time begins, ms since the epoch.
            stop_ms: where the long part of the work ends (`to`, or the present), or None where there is no such end.
            timezone: in which time is shown.
        """
        self._console = console
        self._start_ms = start_ms
        self._stop_ms = stop_ms
        self._timezone = timezone
        self._rates: deque[tuple[float, int]] = deque([(time.monotonic(), 0)])
        self._line_at = time.monotonic() + _LINE_S
        self._bar: Progress | None = None
        if console.is_terminal:
            columns: list[ProgressColumn] = [TextColumn("{task.description}")]
            if stop_ms is not None:
                columns += [BarColumn(), _Percentage(), TimeRemainingColumn()]
            self._bar = Progress(*columns, console=console, transient=True, auto_refresh=False)
            self._bar.add_task("connecting", total=None if stop_ms is None else max(stop_ms - start_ms, 1))

    def __enter__(self) -> Self:
        """Show the bar, on a terminal."""
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Clear the bar away."""
        if self._bar is not None:
            self._bar.stop()

    def say(self, line: str) -> None:
        """Write one line, above the bar where there is one."""
        stamp = dt.datetime.now(self._timezone).strftime("%H:%M:%S")
        self._console.print(f"{stamp} {line}", highlight=False, soft_wrap=True, markup=False)

    def progress(self, *, now_ms: int, readings: int, waiting: int) -> None:
        """Move the bar, or write a line every few seconds."""
        now = time.monotonic()
        self._rates.append((now, readings))
        while len(self._rates) > 2 and now - self._rates[0][0] > _RATE_WINDOW_S:
            self._rates.popleft()
        then, before = self._rates[0]
        rate = (readings - before) / max(now - then, 1e-9)
        clock = dt.datetime.fromtimestamp(now_ms / 1000, self._timezone).strftime("%Y-%m-%d %H:%M:%S")
        text = f"{clock}  {readings:,} readings acknowledged, {rate:,.0f}/s, {waiting:,} messages waiting"
        if self._bar is not None:
            done = now_ms - self._start_ms
            self._bar.update(self._bar.task_ids[0], description=text, completed=self._capped(done))
            self._bar.refresh()
        elif now >= self._line_at:
            self._line_at = now + _LINE_S
            self.say(f"{text}{self._left(now_ms)}")

    def _capped(self, done_ms: int) -> int:
        return done_ms if self._stop_ms is None else min(done_ms, max(self._stop_ms - self._start_ms, 1))

    def _left(self, now_ms: int) -> str:
        """How far, in words, where there is an end."""
        if self._stop_ms is None or now_ms >= self._stop_ms:
            return ""
        return f", {(now_ms - self._start_ms) / (self._stop_ms - self._start_ms):.0%} of the time span"


class _Percentage(ProgressColumn):
    """The share that is done."""

    def render(self, task: Task) -> Text:
        """Show it."""
        return Text(f"{task.percentage:>3.0f} %")
