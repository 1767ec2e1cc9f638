"""A thread that reads one camera and keeps its newest picture; all others are dropped.

Nothing here knows OpenCV: a `Capture` is what a thread may block in. Such a call cannot be broken
off from outside, so a thread that hangs in one is left behind, and ends when the call does.
"""

from __future__ import annotations

import threading
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple, Protocol

from hallkit.ports.camera import Frame
from hallkit.runtime.clock import Clock
from hallkit.runtime.log import get_logger

_FLAT = 4.0
"""Deviation, in grey levels of 256, below which a picture shows nothing."""
_CATCH_UP_S = 2.0
"""A stream that never lets anybody wait is taken as it is after so long."""
_EARLY = 0.25
"""Of the rate's interval: cameras are not so even that theirs would fit in."""
_SHORTEST_WAIT_S = 0.005
_DRIFT = 0.001
"""How much slower a camera's clock may run than ours before it counts as being behind."""
_FPS_WINDOW_S, _FIRST_FPS_WINDOW_S = 2.0, 0.5
_NEARLY = 0.9
"""Of a time-out: a call that took so much of it has ended by it."""


class Ending(StrEnum):
    """Why a reader has stopped."""

    STOPPED = "stopped"
    NO_LIBRARY = "no_library"
    NOT_OPENED = "not_opened"
    OPENED_SLOWLY = "opened_slowly"
    """Not opened either, and it took the whole time that there was."""
    HUNG_UP = "hung_up"
    STALLED = "stalled"
    BEHIND = "behind"
    """Its pictures come later and later."""
    DAMAGED = "damaged"
    CLIP_OVER = "clip_over"
    CRASHED = "crashed"


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture in 8-bit BGR."""

    width: int
    height: int
    data: memoryview = field(repr=False)
    deviation: float
    """Of its grey levels."""


class Arrival(NamedTuple):
    """A picture and when it came: one value, for a thread may publish between two looks."""

    frame: Frame
    at_s: float


class Capture(Protocol):
    """An opened stream, for one thread. Each call ends by itself sooner or later."""

    def grab(self) -> bool:
        """Wait for the next picture and hold it; False where the stream ends or times out."""
        ...

    def position_s(self) -> float:
        """The stream's own time of what is held; 0 where it has none."""
        ...

    def take(self) -> Picture | None:
        """Decode what is held; None where it is no whole picture."""
        ...

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Pace:
    """How a stream is read."""

    open_timeout_s: float
    stall_timeout_s: float
    rate_fps: float
    """At most so many pictures a second are decoded."""
    glance_s: float
    """So often a picture is looked at that nobody asked for: is the lens covered, is it whole?"""
    stuck_after_s: float
    """How far over its time-out a call may be before its thread is given up."""
    max_lag_s: float
    timed: bool = False
    """The stream's times are the camera's own: what lies in queues shows in them."""
    clip: bool = False
    """A file: it is read at the pace of its times."""
    loop: bool = False


@dataclass(slots=True)
class _Stream:
    """One stream from its opening on."""

    opened_s: float
    behind: bool
    position_s: float = 0.0
    due_s: float = 0.0
    """When the next picture may be decoded."""
    glance_at_s: float = 0.0
    damaged_since_s: float | None = None

    def moved_to(self, position_s: float) -> float:
        """How far that is from the picture before."""
        step_s, self.position_s = position_s - self.position_s, position_s
        return step_s

    def damaged_for(self, now_s: float, *, whole: bool) -> float:
        """How long no picture has been whole."""
        if whole:
            self.damaged_since_s = None
            return 0.0
        if self.damaged_since_s is None:
            self.damaged_since_s = now_s
        return now_s - self.damaged_since_s


class Reader:
    """Reads from `start` to `stop`, or until the stream ends; then `ending` says why."""

    def __init__(
        self,
        opens: Callable[[], Capture | None],
        pace: Pace,
        clock: Clock,
        *,
        tell: Callable[[], None],
        name: str,
        first: int = 0,
    ) -> None:
        """`tell` is called in the thread, at each news; pictures are numbered after `first`."""
        self._opens = opens
        self._pace = pace
        self._clock = clock
        self._tell = tell
        self._name = name
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"camera[{name}]", daemon=True)
        self._wanted = False
        self._opening = True
        self._best_offset_s: float | None = None
        self._window = (clock.mono_s(), 0)
        self.ending: Ending | None = None
        self.newest: Arrival | None = None
        self.live = False
        """Pictures come, and none of them lay in a queue."""
        self.beat_s = clock.mono_s()
        """When a call last came back."""
        self.flat_since_s: float | None = None
        self.sequence = first
        self.decoded = 0
        self.damaged = 0
        self.resyncs = 0
        self.connections = 0
        self.fps = 0.0
        self.lag_s = 0.0

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Publish nothing more, and end as soon as the call that it is in does."""
        self._stopping.set()

    @property
    def alive(self) -> bool:
        return self._thread.is_alive()

    @property
    def stuck(self) -> bool:
        """A call is far over its time-out."""
        pace = self._pace
        timeout_s = pace.open_timeout_s if self._opening else pace.stall_timeout_s
        return self._clock.mono_s() - self.beat_s > timeout_s + pace.stuck_after_s

    def want(self) -> None:
        """Decode the next picture. Whoever still waits after it asks again."""
        self._wanted = True

    def _run(self) -> None:
        ending = Ending.CRASHED
        try:
            again = True
            while again and not self._stopping.is_set():
                ending, again = self._session()
        except ImportError:
            ending = Ending.NO_LIBRARY
        except Exception as exc:  # noqa: BLE001  # boundary: a dead thread looks like a dead camera
            # Its own words may hold the camera's address, and that its password.
            place = traceback.extract_tb(exc.__traceback__)[-1]
            where = f"{Path(place.filename).name}:{place.lineno}"
            get_logger().error(
                "device.crashed", device=self._name, error=type(exc).__name__, where=where
            )
        finally:
            self.ending = Ending.STOPPED if self._stopping.is_set() else ending
            self._tell()

    def _session(self) -> tuple[Ending, bool]:
        """From opening to the end of one stream; whether to open it again at once."""
        began_s = self.beat_s = self._clock.mono_s()
        self._opening = True
        capture = self._opens()
        self.beat_s = self._clock.mono_s()
        took_s = self.beat_s - began_s
        if capture is None:
            slow = took_s >= _NEARLY * self._pace.open_timeout_s
            return (Ending.OPENED_SLOWLY if slow else Ending.NOT_OPENED), False
        try:
            self._opening = False
            self.connections += 1
            return self._look(capture)
        finally:
            capture.close()

    def _look(self, capture: Capture) -> tuple[Ending, bool]:
        stream = _Stream(self._clock.mono_s(), behind=not self._pace.clip)
        self._best_offset_s = None
        ending: Ending | None = None
        while ending is None and not self._stopping.is_set():
            ending = self._receive(capture, stream) or self._use(capture, stream)
        if ending is Ending.BEHIND:
            self.resyncs += 1
            self.newest = None
        clip_again = ending is Ending.CLIP_OVER and self._pace.loop and stream.position_s > 0
        return ending or Ending.STOPPED, ending is Ending.BEHIND or clip_again

    def _receive(self, capture: Capture, stream: _Stream) -> Ending | None:
        """Wait for a picture; how the stream has ended where none comes."""
        pace = self._pace
        began_s = self._clock.mono_s()
        held = capture.grab()
        now_s = self._clock.mono_s()
        waited_s = now_s - began_s
        if pace.clip:
            if not held:
                return Ending.CLIP_OVER
            stream.moved_to(capture.position_s())
            self._stopping.wait(max(stream.opened_s + stream.position_s - now_s, 0.0))
        # A decoder hands out what it kept when the stream stops: that picture is old.
        elif waited_s >= _NEARLY * pace.stall_timeout_s:
            return Ending.STALLED
        elif not held:
            return Ending.HUNG_UP
        else:
            step_s = stream.moved_to(capture.position_s())
            # Pictures that came while the stream was being opened lie in a queue.
            lay_there = waited_s < max(step_s / 2, _SHORTEST_WAIT_S)
            in_time = now_s - stream.opened_s < _CATCH_UP_S
            stream.behind = stream.behind and lay_there and in_time
        self._count(self._clock.mono_s(), stream.position_s)
        return None

    def _use(self, capture: Capture, stream: _Stream) -> Ending | None:
        """Decode the picture that is held, if it is wanted; whether the stream is of no use."""
        pace, now_s = self._pace, self.beat_s
        if self.lag_s > pace.max_lag_s:
            return Ending.BEHIND
        if stream.behind:
            return None
        if not self.live:
            self.live = True
            self._window = (now_s, 0)
            self._tell()
        early_s = _EARLY / pace.rate_fps
        wanted = self._wanted and now_s >= stream.due_s - early_s
        if wanted or stream.damaged_since_s is not None or now_s >= stream.glance_at_s:
            # Whoever asks while this one is decoded means the next.
            self._wanted = False
            stream.due_s = max(stream.due_s + 1 / pace.rate_fps, now_s)
            stream.glance_at_s = now_s + pace.glance_s
            whole = self._publish(capture.take(), now_s)
            if stream.damaged_for(now_s, whole=whole) >= pace.stall_timeout_s:
                return Ending.DAMAGED
        return None

    def _count(self, now_s: float, position_s: float) -> None:
        self.sequence += 1
        since_s, frames = self._window
        if not self.live:
            pass  # what lay in a queue tells nothing of the pace
        elif now_s - since_s >= (_FPS_WINDOW_S if self.fps else _FIRST_FPS_WINDOW_S):
            self.fps = (frames + 1) / (now_s - since_s)
            self._window = (now_s, 0)
        else:
            self._window = (since_s, frames + 1)
        if self._pace.timed:
            offset_s = now_s - position_s
            if self._best_offset_s is not None:
                crept_s = _DRIFT * (now_s - self.beat_s)
                offset_s = min(offset_s, self._best_offset_s + crept_s)
            self._best_offset_s = offset_s
            self.lag_s = now_s - position_s - offset_s
        self.beat_s = now_s

    def _publish(self, picture: Picture | None, now_s: float) -> bool:
        """Whether it is a whole picture."""
        if picture is None:
            self.damaged += 1
            return False
        if self._stopping.is_set():
            return True
        self.decoded += 1
        if picture.deviation >= _FLAT:
            self.flat_since_s = None
        elif self.flat_since_s is None:
            self.flat_since_s = now_s
        frame = Frame(
            width=picture.width,
            height=picture.height,
            stride=3 * picture.width,
            data=picture.data,
            sequence=self.sequence,
            mono_s=now_s - self.lag_s,
        )
        self.newest = Arrival(frame, now_s)
        self._tell()
        return True
