"""Bytes over a descriptor that the event loop can wait for: a serial port, a HID device's node.

Opening and closing may block in the kernel, so they run on one thread that belongs to the
transport. Reading and writing never block: the event loop says when the port is ready, so a
deadline or a cancellation ends them at once and no byte is lost to a reader that has given up.
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
from contextlib import suppress
from typing import Any, Protocol

from hallkit.errors import DeviceTimeout, DeviceUnavailable, Reason

CLOSE_LIMIT_S = 1.0
DRAIN_LIMIT_BYTES = 1 << 16
"""A device that never stops talking must not hold `drain_input` for ever."""

_REASON_OF_ERRNO = {
    errno.EACCES: Reason.REFUSED,
    errno.EPERM: Reason.REFUSED,
    errno.EISDIR: Reason.REFUSED,
    errno.EINVAL: Reason.REFUSED,
    errno.ENOTTY: Reason.REFUSED,
    errno.EAGAIN: Reason.OCCUPIED,
    errno.EBUSY: Reason.OCCUPIED,
}


class OpenPort(Protocol):
    """What was opened, without blocking reads and writes."""

    def fileno(self) -> int: ...
    def close(self) -> None: ...


class DescriptorTransport(ABC):
    """One port, held exclusively while open. How it is opened is a subclass's affair."""

    def __init__(self, device_id: str) -> None:
        self._device_id = device_id
        self._port: OpenPort | None = None
        self._thread: ThreadPoolExecutor | None = None
        self._waiter: asyncio.Future[None] | None = None

    @abstractmethod
    def _open_port(self) -> OpenPort:
        """Open it for us alone, on the transport's thread.

        `OSError`, `termios.error` or `ValueError` where it cannot be.
        """

    def _close_port(self, port: OpenPort) -> None:
        """Close it, on the transport's thread."""
        with suppress(OSError, termios.error):
            port.close()

    @property
    def is_open(self) -> bool:
        return self._port is not None

    async def open(self, *, timeout_s: float) -> None:
        """Open the port for us alone; does nothing if it is open."""
        if self._port is not None:
            return
        thread = ThreadPoolExecutor(1, thread_name_prefix=f"port[{self._device_id}]")
        opening = thread.submit(self._open_port)
        try:
            async with asyncio.timeout(timeout_s):
                self._port = await asyncio.wrap_future(opening)
        except TimeoutError as exc:
            raise DeviceTimeout(self._device_id, Reason.SILENT, "the port does not open") from exc
        except (OSError, termios.error, ValueError) as exc:
            raise DeviceUnavailable(self._device_id, *_why(exc)) from exc
        finally:
            if self._port is None:
                # Whoever opened too late, or for a caller who has gone, closes again.
                opening.add_done_callback(self._close_late)
                thread.shutdown(wait=False)
            else:
                self._thread = thread

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

    async def read(self, *, timeout_s: float, limit: int = 4096) -> bytes:
        """At least one and at most `limit` bytes, as soon as there are any."""
        try:
            async with asyncio.timeout(timeout_s):
                return await self._read_some(limit)
        except TimeoutError as exc:
            raise DeviceTimeout(self._device_id, Reason.SILENT, "nothing received") from exc

    async def drain_input(self) -> int:
        """Throw away what was received and not read; the number of bytes."""
        descriptor = self._descriptor()
        thrown = 0
        try:
            # With VMIN 0, as pyserial sets it, an idle port reads as empty.
            while thrown < DRAIN_LIMIT_BYTES and (some := os.read(descriptor, 4096)):
                thrown += len(some)
        except BlockingIOError:
            pass
        except OSError as exc:
            raise await self._lost(exc) from exc
        if _hung_up(descriptor):
            # A port that is gone reads as empty too, and nobody may be waiting for it to speak.
            raise await self._lost(None)
        return thrown

    async def close(self) -> None:
        """Close the port; never raises."""
        port, self._port = self._port, None
        thread, self._thread = self._thread, None
        if port is None or thread is None:
            return
        self._stop_waiting(port.fileno())
        closing = thread.submit(self._close_port, port)
        thread.shutdown(wait=False)
        await asyncio.wait({asyncio.wrap_future(closing)}, timeout=CLOSE_LIMIT_S)

    async def _write_some(self, data: memoryview) -> int:
        while True:
            descriptor = self._descriptor()
            try:
                return os.write(descriptor, data)
            except BlockingIOError:
                loop = asyncio.get_running_loop()
                await self._ready(descriptor, loop.add_writer, loop.remove_writer)
            except OSError as exc:
                raise await self._lost(exc) from exc

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
        return self._port.fileno()

    async def _lost(self, cause: OSError | None) -> DeviceUnavailable:
        await self.close()
        detail = os.strerror(cause.errno) if cause is not None and cause.errno else "hang-up"
        return DeviceUnavailable(self._device_id, Reason.PORT_GONE, detail)

    def _close_late(self, opening: Future[OpenPort]) -> None:
        if not opening.cancelled() and opening.exception() is None:
            self._close_port(opening.result())


def _hung_up(descriptor: int) -> bool:
    poll = select.poll()
    poll.register(descriptor, 0)  # a hang-up and an error are told without being asked for
    return bool(poll.poll(0))


def _wake(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)


def _why(exc: BaseException) -> tuple[Reason, str]:
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
    return Reason.REFUSED, "not usable as a port"
