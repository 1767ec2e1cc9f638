"""Time is asked for, so that tests own it."""

from __future__ import annotations

import asyncio
import datetime as dt
import time
from typing import Protocol


class Clock(Protocol):
    def wall_ms(self) -> int:
        """Wall time in milliseconds since 1970; may jump."""
        ...

    def mono_s(self) -> float:
        """Seconds that only go forward; for intervals and deadlines."""
        ...

    async def sleep(self, seconds: float) -> None: ...


class SystemClock:
    """The machine's own clocks."""

    def wall_ms(self) -> int:
        return time.time_ns() // 1_000_000

    def mono_s(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


async def sleep_until_woken(clock: Clock, seconds: float, woken: asyncio.Event) -> None:
    """Sleep, unless and until the event is set."""
    sleeping = asyncio.ensure_future(clock.sleep(seconds))
    waking = asyncio.ensure_future(woken.wait())
    try:
        await asyncio.wait({sleeping, waking}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        sleeping.cancel()
        waking.cancel()


def utc(wall_ms: int) -> dt.datetime:
    """The instant as an aware datetime in UTC."""
    return dt.datetime.fromtimestamp(wall_ms / 1000, tz=dt.UTC)


HALL_ZONE = dt.timezone(dt.timedelta(hours=8), "CST")
"""China has one time zone, without summer time."""


def local(wall_ms: int) -> dt.datetime:
    """The instant on the hall's wall clock."""
    return dt.datetime.fromtimestamp(wall_ms / 1000, tz=HALL_ZONE)


def local_date(wall_ms: int) -> dt.date:
    """The hall's date."""
    return local(wall_ms).date()
