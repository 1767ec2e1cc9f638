"""What transports over a file descriptor share: serial ports, HID devices, input devices.

Opening and closing may block in the kernel, so they run on one thread that belongs to the
transport. Reading never blocks: the event loop says when the port is ready, so a deadline or a
cancellation ends it at once and no byte is lost to a reader that has given up. So it is with
writing, but where the kernel waits for the device whatever it is told (`_hand_over`).
"""

from __future__ import annotations

import asyncio
import errno
import os
import select
import termios
from abc import ABC, abstractmethod
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Generic, TypeVar

from hallkit.errors import DeviceTimeout, DeviceUnavailable, Reason

CLOSE_LIMIT_S = 1.0
PENDING_LIMIT_BYTES = 1 << 16
"""A device that never stops talking must not hold whoever throws its bytes away for ever."""

_REASON_OF_ERRNO = {
    errno.EACCES: Reason.REFUSED,
    errno.EPERM: Reason.REFUSED,
    errno.EISDIR: Reason.REFUSED,
    errno.EINVAL: Reason.REFUSED,
    errno.ENOTTY: Reason.REFUSED,
    errno.EAGAIN: Reason.OCCUPIED,
    errno.EBUSY: Reason.OCCUPIED,
}

Opened = TypeVar("Opened")
Found = TypeVar("Found")


class DescriptorTransport(ABC, Generic[Opened]):
    """One port, held while open. `Opened` is what its library calls an open port."""

    _reads_at_most = 4096
    """Bytes of one read."""

    def __init__(self, device_id: str, kind: str) -> None:
        self._device_id = device_id
        self._kind = kind
        self._port: Opened | None = None
        self._thread: ThreadPoolExecutor | None = None
        self._closing: Future[None] | None = None
        """Of the last port; while it lasts the port is not free for the next."""
        self._waiter: asyncio.Future[None] | None = None

    @abstractmethod
    def _open_port(self) -> Opened:
        """Open it; may block, and is called on the transport's thread."""

    @abstractmethod
    def _close_port(self, port: Opened) -> None:
        """Close it; may block, never raises."""

    @abstractmethod
    def _number_of(self, port: Opened) -> int:
        """Its file descriptor."""

    @property
    def is_open(self) -> bool:
        return self._port is not None

    async def open(self, *, timeout_s: float) -> None:
        """Open the port for us alone; does nothing if it is open."""
        if self._port is not None:
            return
        thread = ThreadPoolExecutor(1, thread_name_prefix=f"{self._kind}[{self._device_id}]")
        opening: Future[Opened] | None = None
        try:
            async with asyncio.timeout(timeout_s):
                if self._closing is not None:
                    await asyncio.wait({asyncio.wrap_future(self._closing)})
                opening = thread.submit(self._open_port)
                self._port = await asyncio.wrap_future(opening)
        except TimeoutError as exc:
            raise DeviceTimeout(self._device_id, Reason.SILENT, "the port does not open") from exc
        except (OSError, termios.error, ValueError) as exc:
            raise DeviceUnavailable(self._device_id, *_why(exc, self._kind)) from exc
        finally:
            if self._port is None:
                if opening is not None:
                    # Whoever opened too late, or for a caller who has gone, closes again.
                    opening.add_done_callback(self._close_late)
                thread.shutdown(wait=False)
            else:
                self._thread = thread

    async def read(self, *, timeout_s: float, limit: int = 4096) -> bytes:
        """At least one and at most `limit` bytes, as soon as there are any."""
        try:
            async with asyncio.timeout(timeout_s):
                return await self._read_some(limit)
        except TimeoutError as exc:
            raise DeviceTimeout(self._device_id, Reason.SILENT, "nothing received") from exc

    async def close(self) -> None:
        """Close the port; never raises."""
        port, self._port = self._port, None
        thread, self._thread = self._thread, None
        if port is None or thread is None:
            return
        self._stop_waiting(self._number_of(port))
        self._closing = thread.submit(self._close_port, port)
        thread.shutdown(wait=False)
        await asyncio.wait({asyncio.wrap_future(self._closing)}, timeout=CLOSE_LIMIT_S)

    async def _on_thread(self, ask: Callable[[], Found], *, timeout_s: float) -> Found:
        """Ask the open port something that may block."""
        try:
            async with asyncio.timeout(timeout_s):
                return await self._aside(ask)
        except TimeoutError as exc:
            raise DeviceTimeout(self._device_id, Reason.SILENT, "the port does not answer") from exc
        except OSError as exc:
            raise await self._lost(exc) from exc

    async def _aside(self, ask: Callable[[], Found]) -> Found:
        """The same, as long as it takes. Closing stands behind it on the same thread."""
        if self._thread is None:
            raise DeviceUnavailable(self._device_id, Reason.PORT_GONE, "the port is not open")
        return await asyncio.wrap_future(self._thread.submit(ask))

    async def _received_so_far(self) -> list[bytes]:
        """What was received and not read, without waiting: read by read."""
        descriptor = self._descriptor()
        reads: list[bytes] = []
        size = 0
        try:
            # With VMIN 0, as pyserial sets it, an idle port reads as empty.
            while size < PENDING_LIMIT_BYTES and (some := os.read(descriptor, self._reads_at_most)):
                reads.append(some)
                size += len(some)
        except BlockingIOError:
            pass
        except OSError as exc:
            raise await self._lost(exc) from exc
        if _hung_up(descriptor):
            # A port that is gone reads as empty too, and nobody may be waiting for it to speak.
            raise await self._lost(None)
        return reads

    async def _read_some(self, limit: int) -> bytes:
        loop = asyncio.get_running_loop()
        while True:
            descriptor = self._descriptor()
            await self._ready(descriptor, loop.add_reader, loop.remove_reader)
            try:
                data = os.read(self._descriptor(), limit)
            except BlockingIOError:
                continue
            except OSError as exc:
                raise await self._lost(exc) from exc
            if not data:
                # Ready, yet nothing there: that is how a hang-up reads.
                raise await self._lost(None)
            return data

    async def _ready(
        self, descriptor: int, add: Callable[..., Any], remove: Callable[[int], Any]
    ) -> None:
        waiter = asyncio.get_running_loop().create_future()
        self._waiter = waiter
        add(descriptor, _wake, waiter)
        try:
            await waiter
        finally:
            # Closed meanwhile: the number may already belong to another file.
            if self._waiter is waiter:
                remove(descriptor)
                self._waiter = None

    def _stop_waiting(self, descriptor: int) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter is None:
            return
        loop = asyncio.get_running_loop()
        loop.remove_reader(descriptor)
        loop.remove_writer(descriptor)
        _wake(waiter)

    def _descriptor(self) -> int:
        if self._port is None:
            raise DeviceUnavailable(self._device_id, Reason.PORT_GONE, "the port is not open")
        return self._number_of(self._port)

    async def _lost(self, cause: OSError | None) -> DeviceUnavailable:
        await self.close()
        detail = os.strerror(cause.errno) if cause is not None and cause.errno else "hang-up"
        return DeviceUnavailable(self._device_id, Reason.PORT_GONE, detail)

    def _close_late(self, opening: Future[Opened]) -> None:
        if not opening.cancelled() and opening.exception() is None:
            self._close_port(opening.result())


class StreamTransport(DescriptorTransport[Opened]):
    """One port that takes bytes, too."""

    async def write(self, data: bytes, *, timeout_s: float) -> None:
        """Hand all bytes to the wire."""
        left = memoryview(data)
        try:
            async with asyncio.timeout(timeout_s):
                while left:
                    left = left[await self._write_some(left) :]
        except TimeoutError as exc:
            raise DeviceTimeout(
                self._device_id, Reason.SILENT, "the port takes no more bytes"
            ) from exc

    async def drain_input(self) -> int:
        """Throw away what was received and not read; the number of bytes."""
        return sum(map(len, await self._received_so_far()))

    async def _write_some(self, data: memoryview) -> int:
        while True:
            descriptor = self._descriptor()
            try:
                return await self._hand_over(descriptor, data)
            except BlockingIOError:
                loop = asyncio.get_running_loop()
                await self._ready(descriptor, loop.add_writer, loop.remove_writer)
            except TimeoutError:
                raise  # the kernel's own: the device did not take it
            except OSError as exc:
                raise await self._lost(exc) from exc

    async def _hand_over(self, descriptor: int, data: memoryview) -> int:
        """How many bytes the kernel has taken; `BlockingIOError` where it has no room."""
        return os.write(descriptor, data)


def _hung_up(descriptor: int) -> bool:
    poll = select.poll()
    poll.register(descriptor, 0)  # a hang-up and an error are told without being asked for
    return bool(poll.poll(0))


def _wake(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)


def _why(exc: BaseException, kind: str) -> tuple[Reason, str]:
    """Reason and words for a port that does not open.

    pyserial hides the number of some errors in the exception that caused its own.
    """
    link: BaseException | None = exc
    while link is not None:
        number = getattr(link, "errno", None)
        if number is None and isinstance(link, termios.error) and link.args:
            number = link.args[0]
        if isinstance(number, int):
            return _REASON_OF_ERRNO.get(number, Reason.PORT_GONE), os.strerror(number)
        link = link.__cause__ or link.__context__
    return Reason.REFUSED, f"not usable as {kind} port"
