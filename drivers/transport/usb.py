"""Bytes over the bulk endpoints of a USB device, by libusb.

libusb's calls block, so each device has a thread for opening, writing and closing, and one for
each endpoint that it reads. Those read all the time and hand over what they get: a deadline or a
cancellation ends the waiting, never a transfer, and no byte is lost to a reader that has given up.
"""

from __future__ import annotations

import asyncio
import errno
import os
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import usb.backend.libusb1
import usb.core
import usb.util
from pydantic import BaseModel, ConfigDict, Field

from drivers.transport.udev import Udev
from hallkit.errors import DeviceTimeout, DeviceUnavailable, Reason

SLICE_S = 0.05
"""How long one call of libusb waits. A thread that shall end does so within it."""
CLOSE_LIMIT_S = 2.0
CHUNK_BYTES = 4096
HELD_LIMIT_BYTES = 1 << 16
"""So much is kept for a driver that does not read; the rest waits in the device."""
LEFT_OVER_S = 0.02
"""So long an endpoint must be silent after opening, to hold nothing of an earlier dialogue."""
LEFT_OVER_LIMIT = 256
STALLS_LIMIT = 3
"""Of one pipe, one after the other."""
LIST_PATIENCE = 20
LIST_PAUSE_S = 0.01

PORT_PATTERN = r"^(\d+-\d+(\.\d+)*)?$"
ID_PATTERN = r"^[0-9a-f]{4}$"

_REASON_OF_ERRNO = {
    errno.EACCES: Reason.REFUSED,
    errno.EPERM: Reason.REFUSED,
    errno.EBUSY: Reason.OCCUPIED,
    # It is plugged in, and its program has gone wrong: no cable mends that.
    errno.EPIPE: Reason.UNRECOVERABLE,
    errno.EOVERFLOW: Reason.GARBLED,
}
_BACKEND_LOCK = threading.Lock()
_RULE = "no rights: see systemd/60-hall-devices.rules"


class UsbPort(BaseModel):
    """A USB device: `transport = { kind = "usb", vendor = "0400", product = "c35a" }`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["usb"]
    vendor: str = Field(pattern=ID_PATTERN, examples=["0400"])
    """Four hexadecimal digits, as `lsusb` and `./hall driver find` print them."""
    product: str = Field(pattern=ID_PATTERN, examples=["c35a"])
    serial: str = ""
    """Its serial number, where two alike have different ones."""
    port: str = Field(default="", pattern=PORT_PATTERN, examples=["1-1.2"])
    """Where it is plugged in, as the kernel names it, to tell two alike apart."""

    def __str__(self) -> str:
        return ":".join(filter(None, ("usb", self.vendor, self.product, self.serial, self.port)))


@dataclass(frozen=True, slots=True)
class TwoParts:
    """Frames that go head and rest on two pairs of endpoints, where the device has two."""

    head_bytes: int
    rest_bytes: Callable[[bytes], int]
    """How many bytes follow a head; 0 for what is no head."""


class Joiner:
    """Puts heads and rests in order: what came on two endpoints as one stream."""

    def __init__(self, parts: TwoParts) -> None:
        self._parts = parts
        self._waiting = (bytearray(), bytearray())
        self._head = b""
        self._missing = 0

    def feed(self, pipe: int, data: bytes) -> bytes:
        """What can be handed on after a transfer of the first (0) or second (1) endpoint."""
        self._waiting[pipe].extend(data)
        out = b""
        while some := self._next():
            out += some
        return out

    def _next(self) -> bytes:
        if self._missing:
            some = self._take(1, self._missing)
            self._missing -= len(some)
            return some
        some = self._take(0, self._parts.head_bytes - len(self._head))
        self._head += some
        if len(self._head) == self._parts.head_bytes:
            self._missing = self._parts.rest_bytes(self._head)
            self._head = b""
        return some

    def _take(self, pipe: int, count: int) -> bytes:
        some = bytes(self._waiting[pipe][:count])
        del self._waiting[pipe][:count]
        return some

    def clear(self) -> int:
        """Throw away what waits for its other part; the number of bytes."""
        thrown = sum(map(len, self._waiting))
        for waiting in self._waiting:
            waiting.clear()
        self._head = b""
        self._missing = 0
        return thrown


class Unusable(Exception):
    """A device that cannot be opened; no fault yet, the transport makes one of it."""

    def __init__(self, reason: Reason, detail: str) -> None:
        self.reason = reason
        self.detail = detail
        super().__init__(detail)


class _Sink(Protocol):
    """Who takes what the reading threads get; called on the loop."""

    def arrived(self, link: Link, pipe: int, data: bytes) -> None: ...
    def broke(self, link: Link, why: OSError) -> None: ...


class UsbTransport:
    """A `Transport` over one interface of one device, claimed for us alone.

    The interface is the first that has bulk endpoints both ways, of `interface_class` if given.
    """

    def __init__(
        self,
        device_id: str,
        port: UsbPort,
        *,
        interface_class: int | None = None,
        parts: TwoParts | None = None,
    ) -> None:
        self._device_id = device_id
        self._config = port
        self._interface_class = interface_class
        self._parts = parts
        self._udev = Udev()
        self._link: Link | None = None
        self._closing: Future[None] | None = None
        """Of the last link; while it lasts the device is not free for the next."""
        self._joiner: Joiner | None = None
        self._held = bytearray()
        self._broken: OSError | None = None
        self._waiter: asyncio.Future[None] | None = None

    @property
    def is_open(self) -> bool:
        return self._link is not None

    @property
    def device_name(self) -> str:
        """The model that a printer tells by IEEE 1284; empty where it tells none, or is closed."""
        return self._link.device_name if self._link is not None else ""

    async def open(self, *, timeout_s: float) -> None:
        """Find and claim the device; does nothing if it is open."""
        if self._link is not None:
            return
        thread = ThreadPoolExecutor(1, thread_name_prefix=f"usb[{self._device_id}]")
        link = Link(self._config, self._interface_class, self._parts, thread, self._udev)
        opened = False
        try:
            async with asyncio.timeout(timeout_s):
                if self._closing is not None:
                    await asyncio.wait({asyncio.wrap_future(self._closing)})
                await asyncio.wrap_future(thread.submit(link.open))
            opened = True
        except TimeoutError as exc:
            raise DeviceTimeout(self._device_id, Reason.SILENT, "the device does not open") from exc
        except Unusable as exc:
            raise DeviceUnavailable(self._device_id, exc.reason, exc.detail) from exc
        finally:
            if not opened:
                # Whoever opened too late, or for a caller who has gone, closes again.
                self._closing = link.close()
        self._link = link
        self._broken = None
        self._held.clear()
        self._joiner = Joiner(self._parts) if self._parts and link.has_two_pipes else None
        link.listen(self, asyncio.get_running_loop())

    async def write(self, data: bytes, *, timeout_s: float) -> None:
        """Hand all bytes to the device."""
        link = await self._working_link()
        given_up = threading.Event()
        job = link.submit_write(data, time.monotonic() + timeout_s, given_up)
        writing = asyncio.wrap_future(job)
        try:
            await asyncio.wait({writing}, timeout=timeout_s)
            given_up.set()
            # A transfer under way ends within a slice: nothing goes out behind a deadline.
            await asyncio.wait({writing}, timeout=CLOSE_LIMIT_S)
            writing.result()
        except (TimeoutError, asyncio.InvalidStateError) as exc:
            detail = "the device takes no more bytes"
            raise DeviceTimeout(self._device_id, Reason.SILENT, detail) from exc
        except OSError as exc:
            raise await self._lost(exc) from exc
        finally:
            given_up.set()
            writing.cancel()

    async def read(self, *, timeout_s: float, limit: int = 4096) -> bytes:
        """At least one and at most `limit` bytes, as soon as there are any."""
        try:
            async with asyncio.timeout(timeout_s):
                while not self._held:
                    await self._working_link()
                    await self._news()
        except TimeoutError as exc:
            raise DeviceTimeout(self._device_id, Reason.SILENT, "nothing received") from exc
        data = bytes(self._held[:limit])
        del self._held[:limit]
        self._make_room()
        return data

    async def drain_input(self) -> int:
        """Throw away what was received and not read; the number of bytes."""
        await self._working_link()
        thrown = len(self._held) + (self._joiner.clear() if self._joiner else 0)
        self._held.clear()
        self._make_room()
        return thrown

    async def ask(self, request: int, length: int, *, timeout_s: float) -> bytes:
        """The answer of a class request whose index is the interface (control, device to host)."""
        link = await self._working_link()
        try:
            async with asyncio.timeout(timeout_s):
                return await asyncio.wrap_future(link.submit_ask(request, length))
        except TimeoutError as exc:
            raise DeviceTimeout(self._device_id, Reason.SILENT, "no answer to a request") from exc
        except OSError as exc:
            raise DeviceTimeout(self._device_id, Reason.SILENT, _words(exc)) from exc

    async def close(self) -> None:
        """Release the device; never raises."""
        link, self._link = self._link, None
        if link is None:
            return
        self._held.clear()
        self._wake()
        self._closing = link.close()
        await asyncio.wait({asyncio.wrap_future(self._closing)}, timeout=CLOSE_LIMIT_S)

    # --- what the reading threads tell ---

    def arrived(self, link: Link, pipe: int, data: bytes) -> None:
        if link is self._link:
            self._held += self._joiner.feed(pipe, data) if self._joiner else data
            if len(self._held) >= HELD_LIMIT_BYTES:
                link.has_room.clear()
            self._wake()

    def broke(self, link: Link, why: OSError) -> None:
        if link is self._link:
            self._broken = why
            self._wake()

    async def _working_link(self) -> Link:
        if self._link is None:
            raise DeviceUnavailable(self._device_id, Reason.PORT_GONE, "the device is not open")
        if self._broken is not None:
            raise await self._lost(self._broken)
        return self._link

    async def _news(self) -> None:
        self._waiter = asyncio.get_running_loop().create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _make_room(self) -> None:
        if self._link is not None and len(self._held) < HELD_LIMIT_BYTES:
            self._link.has_room.set()

    async def _lost(self, cause: OSError) -> DeviceUnavailable:
        await self.close()
        return DeviceUnavailable(self._device_id, _reason_of(cause), _words(cause))


class Link:
    """The blocking side: one claimed interface and its threads."""

    def __init__(
        self,
        config: UsbPort,
        interface_class: int | None,
        parts: TwoParts | None,
        thread: ThreadPoolExecutor,
        udev: Udev,
    ) -> None:
        self._config = config
        self._interface_class = interface_class
        self._parts = parts
        self._thread = thread
        self._udev = udev
        self._device: Any = None
        self._interface = 0
        self._alternate = 0
        self._outs: list[Any] = []
        self._ins: list[Any] = []
        self._readers: list[threading.Thread] = []
        self._ends = threading.Event()
        self.has_room = threading.Event()
        self.has_room.set()
        self.device_name = ""

    @property
    def has_two_pipes(self) -> bool:
        return len(self._outs) > 1 and len(self._ins) > 1

    def open(self) -> None:
        """Find, claim and empty it; `Unusable` if that is not to be."""
        try:
            self._device = _find(self._config, self._udev)
            self._take()
        except usb.core.USBError as exc:
            raise _unusable(exc) from exc
        except (usb.core.NoBackendError, NotImplementedError, ValueError, OSError) as exc:
            raise Unusable(Reason.REFUSED, "libusb or libudev cannot use it") from exc

    def _take(self) -> None:
        device = self._device
        try:
            configuration = device.get_active_configuration()
        except usb.core.USBError as exc:
            if exc.errno is not None:
                raise
            device.set_configuration()
            configuration = device.get_active_configuration()
        chosen = _interface_of(configuration, self._interface_class)
        number = self._interface = chosen.bInterfaceNumber
        self._alternate = chosen.bAlternateSetting
        # A program that holds it has no kernel driver's name: it is not pushed off.
        if device.is_kernel_driver_active(number):
            device.detach_kernel_driver(number)
        usb.util.claim_interface(device, number)
        if self._alternate:
            device.set_interface_altsetting(number, self._alternate)
        self._outs = _bulk(chosen, usb.util.ENDPOINT_OUT)
        self._ins = _bulk(chosen, usb.util.ENDPOINT_IN)
        if not (self._parts and self.has_two_pipes):
            del self._outs[1:], self._ins[1:]
        if chosen.bInterfaceClass == PRINTER_CLASS:
            self.device_name = self._model()
        for endpoint in self._ins:
            self._empty(endpoint)

    def _model(self) -> str:
        try:
            # Of this request alone the interface is the high byte and the setting the low one.
            index = self._interface << 8 | self._alternate
            return model_of(self._ask(GET_DEVICE_ID, index, DEVICE_ID_BYTES))
        except OSError:
            return ""  # not every printer has one

    def _empty(self, endpoint: Any) -> None:
        """What an earlier dialogue left in the device is nobody's answer."""
        stalls = 0
        with suppress(usb.core.USBTimeoutError):
            for _ in range(LEFT_OVER_LIMIT):
                try:
                    endpoint.read(endpoint.wMaxPacketSize, _ms(LEFT_OVER_S))
                except usb.core.USBError as exc:
                    stalls = self._clear_halt(endpoint, exc, stalls)

    def _clear_halt(self, endpoint: Any, fault: usb.core.USBError, stalls: int) -> int:
        """Let a halted pipe go on and count it; another fault, or one halt too many, is raised."""
        if fault.errno != errno.EPIPE or stalls == STALLS_LIMIT:
            raise fault
        with _libusb():
            self._device.clear_halt(endpoint.bEndpointAddress)
        return stalls + 1

    def listen(self, sink: _Sink, loop: asyncio.AbstractEventLoop) -> None:
        """Read from now on, on threads of their own."""
        for pipe, endpoint in enumerate(self._ins):
            reader = threading.Thread(
                target=self._read_on,
                args=(pipe, endpoint, sink, loop),
                name=f"usb-in[{self._config}]",
                daemon=True,
            )
            self._readers.append(reader)
            reader.start()

    def _read_on(
        self, pipe: int, endpoint: Any, sink: _Sink, loop: asyncio.AbstractEventLoop
    ) -> None:
        # One packet at a time: a longer transfer would wait for a short packet, and an answer
        # that fills its last packet has none.
        size = endpoint.wMaxPacketSize
        stalls = 0
        try:
            while not self._ends.is_set():
                if not self.has_room.wait(SLICE_S):
                    continue
                try:
                    with _libusb():
                        data = bytes(endpoint.read(size, _ms(SLICE_S)))
                except usb.core.USBTimeoutError:
                    continue
                except usb.core.USBError as exc:
                    stalls = self._clear_halt(endpoint, exc, stalls)
                    continue
                stalls = 0
                if data:
                    _call(loop, sink.arrived, self, pipe, data)
        except OSError as exc:
            _call(loop, sink.broke, self, exc)

    def submit_write(self, data: bytes, end_s: float, given_up: threading.Event) -> Future[None]:
        return self._thread.submit(self._write, data, end_s, given_up)

    def submit_ask(self, request: int, length: int) -> Future[bytes]:
        return self._thread.submit(self._ask, request, self._interface, length)

    def _write(self, data: bytes, end_s: float, given_up: threading.Event) -> None:
        pieces = [data]
        if self.has_two_pipes and self._parts is not None:
            pieces = [data[: self._parts.head_bytes], data[self._parts.head_bytes :]]
        for endpoint, piece in zip(self._outs, pieces, strict=False):
            self._write_to(endpoint, piece, end_s, given_up)

    def _write_to(
        self, endpoint: Any, data: bytes, end_s: float, given_up: threading.Event
    ) -> None:
        left = memoryview(data)
        stalls = 0
        while left:
            wait_s = min(SLICE_S, end_s - time.monotonic())
            if wait_s <= 0 or given_up.is_set() or self._ends.is_set():
                raise TimeoutError
            try:
                with _libusb():
                    left = left[endpoint.write(bytes(left[:CHUNK_BYTES]), _ms(wait_s)) :]
            except usb.core.USBTimeoutError:
                continue
            except usb.core.USBError as exc:
                stalls = self._clear_halt(endpoint, exc, stalls)

    def _ask(self, request: int, index: int, length: int) -> bytes:
        kind = usb.util.build_request_type(
            usb.util.CTRL_IN, usb.util.CTRL_TYPE_CLASS, usb.util.CTRL_RECIPIENT_INTERFACE
        )
        with _libusb():
            wait_ms = _ms(ASK_LIMIT_S)
            return bytes(self._device.ctrl_transfer(kind, request, 0, index, length, wait_ms))

    def close(self) -> Future[None]:
        """Have it released once its threads have ended; returns at once."""
        self._ends.set()
        self.has_room.set()
        closing = self._thread.submit(self._close)
        self._thread.shutdown(wait=False)
        return closing

    def _close(self) -> None:
        for reader in self._readers:
            reader.join()
        if self._device is not None:
            with suppress(usb.core.USBError, NotImplementedError):
                usb.util.dispose_resources(self._device)


PRINTER_CLASS = 7
GET_DEVICE_ID = 0
DEVICE_ID_BYTES = 1024
ASK_LIMIT_S = 0.5
GET_PORT_STATUS = 1


def model_of(device_id: bytes) -> str:
    """The model of an IEEE 1284 device id: two bytes of length, then `MFG:…;MDL:…;`."""
    for entry in device_id[2:].decode("utf-8", errors="replace").split(";"):
        key, _, value = entry.partition(":")
        if key.strip().upper() in {"MDL", "MODEL"}:
            return value.strip()
    return ""


def _find(config: UsbPort, udev: Udev) -> Any:
    """The one device that is meant.

    libusb's list follows udev on a thread of its own, so that what is plugged in later is found
    too; that thread may be a moment behind whoever else has heard of it.
    """
    for _ in range(LIST_PATIENCE):
        if (device := _listed(config)) is not None:
            return device
        if not is_plugged_in(config, udev):
            break
        time.sleep(LIST_PAUSE_S)
    raise Unusable(Reason.PORT_GONE, "not plugged in")


def is_plugged_in(config: UsbPort, udev: Udev) -> bool:
    """What /sys says, without libusb."""
    ids = (config.vendor.encode(), config.product.encode())
    with udev.held() as context:
        return any(
            (device.attributes.get("idVendor"), device.attributes.get("idProduct")) == ids
            and config.port in {"", device.sys_name}
            and config.serial.encode() in {b"", device.attributes.get("serial")}
            for device in context.list_devices(subsystem="usb", DEVTYPE="usb_device")
        )


def _backend() -> Any:
    """Pyusb's own, of which there is to be one: it is made at the first call, from any thread."""
    with _BACKEND_LOCK:
        return usb.backend.libusb1.get_backend()


def _listed(config: UsbPort) -> Any | None:
    unreadable: usb.core.USBError | None = None
    found = usb.core.find(
        find_all=True,
        backend=_backend(),
        idVendor=int(config.vendor, 16),
        idProduct=int(config.product, 16),
    )
    for device in found:
        if config.port and port_of(device) != config.port:
            continue
        if config.serial:
            try:
                if device.serial_number != config.serial:
                    continue
            except (usb.core.USBError, ValueError, NotImplementedError) as exc:
                if isinstance(exc, usb.core.USBError):
                    unreadable = exc
                continue
            finally:
                usb.util.dispose_resources(device)
        return device
    if unreadable is not None:
        raise unreadable
    return None


def port_of(device: Any) -> str:
    """Where a device is plugged in, as the kernel names it."""
    return f"{device.bus}-{'.'.join(map(str, device.port_numbers or ()))}"


def _interface_of(configuration: Any, interface_class: int | None) -> Any:
    for interface in configuration:
        if interface_class is not None and interface.bInterfaceClass != interface_class:
            continue
        ways = (usb.util.ENDPOINT_OUT, usb.util.ENDPOINT_IN)
        if all(_bulk(interface, way) for way in ways):
            return interface
    raise Unusable(Reason.REFUSED, "no interface with bulk endpoints both ways")


def _bulk(interface: Any, way: int) -> list[Any]:
    """Bulk endpoints of one direction, by their address."""
    found = [
        endpoint
        for endpoint in interface
        if usb.util.endpoint_type(endpoint.bmAttributes) == usb.util.ENDPOINT_TYPE_BULK
        and usb.util.endpoint_direction(endpoint.bEndpointAddress) == way
    ]
    return sorted(found, key=lambda endpoint: int(endpoint.bEndpointAddress))


def _unusable(exc: usb.core.USBError) -> Unusable:
    reason = _reason_of(exc)
    return Unusable(reason, _RULE if reason is Reason.REFUSED else _words(exc))


def _reason_of(exc: OSError) -> Reason:
    """What is not told apart is a device that is gone: that is how a pull begins (EIO)."""
    return _REASON_OF_ERRNO.get(exc.errno or 0, Reason.PORT_GONE)


def _words(exc: OSError) -> str:
    return os.strerror(exc.errno) if exc.errno else "lost"


def _ms(seconds: float) -> int:
    """For libusb, to which 0 means for ever."""
    return max(1, round(seconds * 1000))


@contextmanager
def _libusb() -> Iterator[None]:
    """Every fault of a transfer is an `OSError`."""
    try:
        yield
    except NotImplementedError as exc:  # how pyusb says that libusb does not support it
        raise OSError(errno.ENOTSUP, os.strerror(errno.ENOTSUP)) from exc


def _call(loop: asyncio.AbstractEventLoop, function: Callable[..., None], *arguments: Any) -> None:
    with suppress(RuntimeError):  # the loop has been closed: nobody is left to tell
        loop.call_soon_threadsafe(function, *arguments)
