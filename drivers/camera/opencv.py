"""Driver `opencv`: cameras on USB and on the network, and clips (docs/drivers/opencv.md).

A thread reads the camera and keeps its newest picture (`opencv_reader.py`); OpenCV opens and
decodes (`opencv_capture.py`), and what it cannot say of a camera that does not open is asked of
the camera itself (`opencv_why.py`).
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from types import TracebackType
from typing import Literal

from drivers.camera.opencv_capture import opener
from drivers.camera.opencv_reader import Arrival, Capture, Ending, Pace, Reader
from drivers.camera.opencv_settings import (
    FilePort,
    Login,
    NetworkPort,
    OpenCvSettings,
    RtspPort,
)
from drivers.camera.opencv_why import Aside, why_not
from drivers.driver import Driver
from drivers.registry import DriverSpec
from hallkit.errors import (
    DeviceError,
    DeviceTimeout,
    DeviceUnavailable,
    NeedsAttention,
    NotSupported,
    ProtocolError,
    Reason,
)
from hallkit.model.device import DeviceReport, DeviceStatus
from hallkit.ports.camera import Frame
from hallkit.runtime.backoff import Backoff
from hallkit.runtime.clock import Clock

KEY = "opencv"
_LOOK_AGAIN_S = 0.25
"""Whoever waits sees so soon that a thread is stuck."""
_CLOSE_LIMIT_S, _CLOSE_STEP_S = 0.5, 0.01
"""Threads are given so long to end; they look whether to after each picture."""
_MOST_STUCK = 2
"""Threads of one camera that may hang in a call; no further one is started beside them."""
_COUNTED = ("connections", "resyncs", "decoded", "damaged")

_FAULT_OF_ENDING: Mapping[Ending, tuple[type[DeviceError], Reason, str]] = {
    Ending.STOPPED: (DeviceUnavailable, Reason.OFFLINE, "stopped"),
    Ending.NO_LIBRARY: (
        NotSupported,
        Reason.UNSUPPORTED,
        "OpenCV is not installed: it is in the extra `camera`",
    ),
    Ending.HUNG_UP: (DeviceUnavailable, Reason.PORT_GONE, "the stream has ended"),
    Ending.STALLED: (DeviceTimeout, Reason.SILENT, "pictures have stopped"),
    Ending.BEHIND: (DeviceTimeout, Reason.SILENT, "pictures come too late"),
    Ending.DAMAGED: (ProtocolError, Reason.GARBLED, "damaged pictures"),
    Ending.CLIP_OVER: (DeviceUnavailable, Reason.OFFLINE, "the clip is over"),
    Ending.CRASHED: (ProtocolError, Reason.INTERNAL, "see device.crashed"),
}

Opens = Callable[[], Capture | None]


class OpenCvConfig(OpenCvSettings):
    """`[[peripherals]]` entry of a camera."""

    driver: Literal["opencv"]


class OpenCvCamera(Driver):
    """One camera. Many may ask for pictures at once."""

    def __init__(
        self,
        config: OpenCvSettings,
        clock: Clock,
        *,
        opens: Opens | None = None,
        port: str = "camera",
        key: str = KEY,
    ) -> None:
        """`opens` stands for OpenCV in tests; `port` and `key` for what a camera is besides."""
        super().__init__(config.id, port=port, key=key, clock=clock)
        self._config = config
        self._opens = opens
        self._pace = Pace(
            open_timeout_s=config.open_timeout_s,
            stall_timeout_s=config.stall_timeout_s,
            rate_fps=config.rate_fps,
            glance_s=config.glance_s,
            stuck_after_s=config.stuck_after_s,
            max_lag_s=config.max_lag_s,
            timed=isinstance(config.transport, RtspPort),
            clip=isinstance(config.transport, FilePort),
            loop=isinstance(config.transport, FilePort) and config.transport.loop,
        )
        self._reader: Reader | None = None
        self._left: list[Reader] = []
        """Told to stop, and still in a call."""
        self._why_aside = Aside(f"camera-why[{config.id}]")
        self._minding = asyncio.Lock()
        self._backoff = Backoff(config.retry_s, config.retry_max_s)
        self._lost: DeviceError | None = None
        """Why it was lost; stands until it is opened again."""
        self._retry_at_s = 0.0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._watchers: set[asyncio.Future[None]] = set()
        self._counts: Counter[str] = Counter()
        self._sequence = 0

    async def probe(self) -> DeviceReport:
        """Whether pictures come. None of them is decoded for it."""
        return await self._guard(self._look)

    async def latest_frame(self, *, newer_than: int | None = None) -> Frame:
        """See `hallkit.ports.camera.Camera.latest_frame`."""
        than = -1 if newer_than is None else newer_than
        asked_s = self._clock.mono_s()
        end_s = asked_s + self._config.frame_timeout_s
        try:
            while True:
                with self._watching() as news:
                    reader = await self._running()
                    newest = reader.newest
                    newer = newest is not None and newest.frame.sequence > than
                    if newest is not None and newer and self._fresh(reader, newest, asked_s):
                        self._counts["given"] += 1
                        if self._report.reason is not Reason.COVERED:
                            self._works()
                        return newest.frame
                    reader.want()
                    now_s = self._clock.mono_s()
                    if now_s >= end_s:
                        raise self._silent("no picture before the deadline")
                    await asyncio.wait({news}, timeout=min(_LOOK_AGAIN_S, end_s - now_s))
        except DeviceError as fault:
            self._fault(fault)
            raise

    def _fresh(self, reader: Reader, newest: Arrival, asked_s: float) -> bool:
        """It came since, or nothing newer has come but for what the rate leaves out."""
        if newest.at_s >= asked_s:
            return True
        age_s = self._clock.mono_s() - newest.at_s
        is_last = newest.frame.sequence == reader.sequence or age_s <= 1 / self._config.rate_fps
        return is_last and age_s <= self._config.fresh_s

    def diagnostics(self) -> Mapping[str, str | int | float]:
        """Counters since start, and how the stream runs now."""
        reader = self._reader
        counts = self._counts + Counter(_counts_of(reader) if reader is not None else {})
        frames = self._sequence if reader is None else reader.sequence
        facts: dict[str, str | int | float] = {
            "wire": str(self._config.transport),
            "frames": frames,
            "dropped": frames - counts["decoded"] - counts["damaged"],
            **{name: counts[name] for name in (*_COUNTED, "given", "given_up")},
            "stuck_threads": self._stuck_threads,
        }
        if reader is not None and reader.live:
            facts |= {
                "fps": round(reader.fps, 1),
                "silent_ms": round((self._clock.mono_s() - reader.beat_s) * 1000),
                "lag_ms": round(reader.lag_s * 1000),
            }
            if (newest := reader.newest) is not None:
                facts |= {"width": newest.frame.width, "height": newest.frame.height}
        return facts

    @property
    def _stuck_threads(self) -> int:
        return sum(one.alive for one in self._left) + self._why_aside.alive

    async def _look(self) -> DeviceReport:
        config = self._config
        end_s = self._clock.mono_s() + config.open_timeout_s + config.stall_timeout_s
        while True:
            with self._watching() as news:
                reader = await self._running()
                if reader.live:
                    break
                left_s = end_s - self._clock.mono_s()
                if left_s <= 0:
                    raise self._given_up("no picture")
                await asyncio.wait({news}, timeout=min(_LOOK_AGAIN_S, left_s))
        flat_s = reader.flat_since_s
        after_s = config.covered_after_s
        if after_s and flat_s is not None and self._clock.mono_s() - flat_s >= after_s:
            raise NeedsAttention(config.id, Reason.COVERED, "nothing to be seen")
        return self._works()

    def _works(self) -> DeviceReport:
        self._backoff.reset()
        return self._update(status=DeviceStatus.ONLINE, reason=None, action=None)

    async def _running(self) -> Reader:
        """The thread that reads, started where there is none; the fault where it cannot be."""
        async with self._minding:
            reader = self._reader
            if reader is not None and reader.ending is None:
                if not reader.stuck:
                    return reader
                raise self._given_up("a call does not come back")
            if reader is not None and reader.ending is not None:
                # Who is cancelled here leaves it to whoever asks next.
                raise self._lose(await self._why(reader.ending))
            if self._lost is not None and self._clock.mono_s() < self._retry_at_s:
                raise type(self._lost)(self._config.id, self._lost.reason, self._lost.detail)
            return self._start()

    def _start(self) -> Reader:
        self._left = [reader for reader in self._left if reader.alive]
        if self._stuck_threads >= _MOST_STUCK:
            raise self._lose(self._silent("calls of before do not come back"))
        self._loop = asyncio.get_running_loop()
        reader = self._reader = Reader(
            self._opens or self._opener(),
            self._pace,
            self._clock,
            tell=self._tell,
            name=self._config.id,
            first=self._sequence,
        )
        reader.start()
        return reader

    def _opener(self) -> Opens:
        config = self._config
        return opener(
            config.transport,
            self._login(),
            open_timeout_s=config.open_timeout_s,
            stall_timeout_s=config.stall_timeout_s,
            width=config.width,
        )

    def _login(self) -> Login | None:
        port = self._config.transport
        if not isinstance(port, NetworkPort) or port.credentials is None:
            return None
        try:
            return Login.read(port.credentials)
        except (OSError, ValueError) as exc:
            # The cause may quote the file, so it goes no further than its kind.
            what = f"its file of user and password: {type(exc).__name__}"
            raise self._lose(
                DeviceUnavailable(self._config.id, Reason.CONFIGURATION, what)
            ) from None

    async def _why(self, ending: Ending) -> DeviceError:
        """The fault that an ending stands for."""
        config = self._config
        if ending not in {Ending.NOT_OPENED, Ending.OPENED_SLOWLY}:
            fault, reason, detail = _FAULT_OF_ENDING[ending]
            return fault(config.id, reason, detail)
        told = await why_not(
            config.id,
            config.transport,
            self._login(),
            aside=self._why_aside,
            timeout_s=config.open_timeout_s,
        )
        if ending is Ending.OPENED_SLOWLY and told.reason is Reason.GARBLED:
            return self._silent("it answers, and sends no pictures")
        return told

    def _lose(self, fault: DeviceError) -> DeviceError:
        """Let go of the thread; the camera is opened again after a pause."""
        self._stop()
        self._lost = fault
        self._retry_at_s = self._clock.mono_s() + self._backoff.next_s()
        return fault

    def _given_up(self, detail: str) -> DeviceError:
        """Let go of a thread that is still in a call."""
        self._counts["given_up"] += 1
        return self._lose(self._silent(detail))

    def _silent(self, detail: str) -> DeviceError:
        return DeviceTimeout(self._config.id, Reason.SILENT, detail)

    def _stop(self) -> None:
        reader, self._reader = self._reader, None
        if reader is None:
            return
        reader.stop()
        self._sequence = reader.sequence
        self._counts.update(_counts_of(reader))
        if reader.alive:
            self._left.append(reader)

    async def _drop(self) -> None:
        self._stop()

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await super().__aexit__(exc_type, exc, traceback)
        end_s = self._clock.mono_s() + _CLOSE_LIMIT_S
        while any(reader.alive for reader in self._left) and self._clock.mono_s() < end_s:  # noqa: ASYNC110  # a thread that ends sets no event
            await asyncio.sleep(_CLOSE_STEP_S)

    @contextlib.contextmanager
    def _watching(self) -> Iterator[asyncio.Future[None]]:
        """What a thread's next news sets. Made before one looks, so that none is missed."""
        news = asyncio.get_running_loop().create_future()
        self._watchers.add(news)
        try:
            yield news
        finally:
            self._watchers.discard(news)
            news.cancel()

    def _tell(self) -> None:
        """Called in a camera's thread."""
        if self._watchers and self._loop is not None:
            # The loop may have ended before a thread that hung.
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._wake)

    def _wake(self) -> None:
        for news in self._watchers:
            if not news.done():
                news.set_result(None)


def _counts_of(reader: Reader) -> dict[str, int]:
    return {
        "connections": reader.connections,
        "resyncs": reader.resyncs,
        "decoded": reader.decoded,
        "damaged": reader.damaged,
    }


SPEC = DriverSpec(
    key=KEY,
    port="camera",
    config=OpenCvConfig,
    open=OpenCvCamera,
    simulator="drivers.sim.camera",
    family="cameras by USB (V4L2), RTSP, MJPEG over HTTP; clips",
    transports=("v4l2", "rtsp", "http", "file"),
    quality="silver",
    rules={
        "contract": "done",
        "config": "done",
        "simulator": "done",
        "log_once": "done",
        "reconnect": "done",
        "timeouts": "done",
        "attention": "done",
        "diagnostics": "done",
        "hardware": "exempt: not yet run against a camera; USB by emulated ioctls",
        "guidance": "done",
    },
)
