"""Why a camera does not open: OpenCV says only that it does not, so the camera is asked itself.

One request on a connection of its own: `DESCRIBE` (RFC 2326) or `GET`, once more with the
password if the camera wants one (RFC 7617, RFC 7616 with MD5 as RTSP cameras use it).
"""

from __future__ import annotations

import asyncio
import base64
import errno
import fcntl
import hashlib
import os
import re
import secrets
import stat
import struct
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from pathlib import Path
from threading import Thread
from urllib.parse import urlsplit

from drivers.camera.opencv_settings import CameraPort, FilePort, Login, NetworkPort, V4l2Port
from hallkit.errors import (
    DeviceBusy,
    DeviceError,
    DeviceTimeout,
    DeviceUnavailable,
    NotSupported,
    ProtocolError,
    Reason,
)

_LONGEST_ANSWER_BYTES = 1 << 14
_STATUS = re.compile(rb"(?:RTSP|HTTP)/1\.[01] (\d{3})\b")
_CHALLENGE = re.compile(r"^www-authenticate:\s*(basic|digest)\b(.*)$", re.IGNORECASE | re.MULTILINE)
_PARAMETER = re.compile(r'(\w+)="?([^",]*)"?')
_UNAUTHORISED = 401
_TURNED_DOWN: dict[int, tuple[type[DeviceError], Reason, str]] = {
    _UNAUTHORISED: (DeviceUnavailable, Reason.REFUSED, "user or password"),
    403: (DeviceUnavailable, Reason.REFUSED, "not allowed"),
    400: (DeviceUnavailable, Reason.CONFIGURATION, "no such stream"),
    404: (DeviceUnavailable, Reason.CONFIGURATION, "no such stream"),
    # All the viewers that it can serve are there already.
    453: (DeviceBusy, Reason.OCCUPIED, "no place for another viewer"),
    503: (DeviceBusy, Reason.OCCUPIED, "no place for another viewer"),
}

_OF_ERRNO: dict[int, tuple[type[DeviceError], Reason]] = {
    errno.EACCES: (DeviceUnavailable, Reason.REFUSED),
    errno.EPERM: (DeviceUnavailable, Reason.REFUSED),
    errno.EBUSY: (DeviceBusy, Reason.OCCUPIED),
}

# linux/videodev2.h
_QUERYCAP = 0x80685600
_CAPABILITY = struct.Struct("=84xII12x")
_HAS_DEVICE_CAPS = 0x80000000
_VIDEO_CAPTURE = 0x1 | 0x1000
"""One plane, or several."""


class Aside:
    """Asks the kernel on a thread of its own, one at a time: a driver may never come back."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._thread: Thread | None = None

    @property
    def alive(self) -> bool:
        return self._thread is not None and self._thread.is_alive()

    async def ask(self, question: Callable[[], DeviceError]) -> DeviceError:
        """Its answer; `TimeoutError` while the question before has none."""
        if self.alive:
            raise TimeoutError
        answer: Future[DeviceError] = Future()
        answer.set_running_or_notify_cancel()  # so that whoever gives up does not cancel it
        # No executor's: nothing waits for it when the process ends.
        self._thread = Thread(target=_answer, args=(answer, question), name=self._name, daemon=True)
        self._thread.start()
        return await asyncio.wrap_future(answer)


def _answer(answer: Future[DeviceError], question: Callable[[], DeviceError]) -> None:
    try:
        told = question()
    except BaseException as exc:  # noqa: BLE001  # it belongs to whoever asked
        answer.set_exception(exc)
    else:
        answer.set_result(told)


async def why_not(
    device_id: str, port: CameraPort, login: Login | None, *, aside: Aside, timeout_s: float
) -> DeviceError:
    """The fault for a camera that does not open."""
    if isinstance(port, FilePort):
        return _why_not_file(device_id, port.path)
    try:
        async with asyncio.timeout(timeout_s):
            if isinstance(port, V4l2Port):
                return await aside.ask(partial(_why_not_device, device_id, port.path))
            return await _why_not_network(device_id, port, login)
    except (OSError, UnicodeError) as exc:
        return _fault_of(device_id, exc)


def _fault_of(device_id: str, exc: OSError | UnicodeError) -> DeviceError:
    match exc:
        case TimeoutError():
            return DeviceTimeout(device_id, Reason.SILENT, "no answer")
        case ConnectionRefusedError():
            return DeviceUnavailable(device_id, Reason.REFUSED, "nobody listens there")
        case UnicodeError():
            return DeviceUnavailable(device_id, Reason.CONFIGURATION, "no name of a host")
        case _:
            return DeviceUnavailable(device_id, Reason.PORT_GONE, type(exc).__name__)


async def _why_not_network(device_id: str, port: NetworkPort, login: Login | None) -> DeviceError:
    method = "DESCRIBE" if port.uri.startswith("rtsp:") else "GET"
    answer = await _ask(port, method, "")
    status = status_of_answer(answer)
    if status == _UNAUTHORISED and login is not None:
        given = authorisation(answer, method, _target(port), login)
        if given:
            status = status_of_answer(await _ask(port, method, given))
    if not status:
        if answer:
            return ProtocolError(device_id, Reason.GARBLED, "no answer of HTTP or RTSP")
        return DeviceUnavailable(device_id, Reason.PORT_GONE, "it hangs up")
    if turned_down := _TURNED_DOWN.get(status):
        kind, reason, detail = turned_down
        return kind(device_id, reason, detail)
    if status >= 300:
        return DeviceUnavailable(device_id, Reason.OFFLINE, f"status {status}")
    return ProtocolError(device_id, Reason.GARBLED, "no pictures in what it sends")


def _target(port: NetworkPort) -> str:
    """What a request names: all of it in RTSP, the path in HTTP."""
    if port.uri.startswith("rtsp:"):
        return port.uri
    parts = urlsplit(port.uri)
    return (parts.path or "/") + (f"?{parts.query}" if parts.query else "")


async def _ask(port: NetworkPort, method: str, authorization: str) -> bytes:
    """The head of the answer, as far as it comes."""
    protocol = "RTSP/1.0" if method == "DESCRIBE" else "HTTP/1.0"
    own = "CSeq: 1\r\nAccept: application/sdp" if method == "DESCRIBE" else f"Host: {port.host}"
    given = f"Authorization: {authorization}\r\n" if authorization else ""
    request = f"{method} {_target(port)} {protocol}\r\n{own}\r\n{given}\r\n"
    reader, writer = await asyncio.open_connection(port.host, port.port)
    try:
        writer.write(request.encode())
        await writer.drain()
        received = b""
        while b"\r\n\r\n" not in received and len(received) < _LONGEST_ANSWER_BYTES:
            some = await reader.read(_LONGEST_ANSWER_BYTES)
            if not some:
                break
            received += some
        return received
    finally:
        writer.close()


def status_of_answer(answer: bytes) -> int:
    """0 where it is none."""
    found = _STATUS.match(answer)
    return int(found[1]) if found else 0


def authorisation(answer: bytes, method: str, target: str, login: Login, *, once: str = "") -> str:
    """What answers the challenge; empty where it asks for what we do not know.

    `once` stands for the random word of a digest in tests.
    """
    told = answer.decode("latin-1").replace("\r\n", "\n")
    asked = {found[1].lower(): found[2] for found in _CHALLENGE.finditer(told)}
    if "digest" in asked:
        of = {name.lower(): value for name, value in _PARAMETER.findall(asked["digest"])}
        if of.get("algorithm", "MD5").upper() != "MD5":
            return ""
        realm, nonce = of.get("realm", ""), of.get("nonce", "")
        ours = _md5(f"{login.user}:{realm}:{login.password}")
        theirs = _md5(f"{method}:{target}")
        more = ""
        if "qop" in of:
            once = once or secrets.token_hex(8)
            response = _md5(f"{ours}:{nonce}:00000001:{once}:auth:{theirs}")
            more = f', qop=auth, nc=00000001, cnonce="{once}"'
        else:
            response = _md5(f"{ours}:{nonce}:{theirs}")
        opaque = f', opaque="{of["opaque"]}"' if "opaque" in of else ""
        return (
            f'Digest username="{login.user}", realm="{realm}", nonce="{nonce}", '
            f'uri="{target}", response="{response}"{more}{opaque}'
        )
    if "basic" in asked:
        who = base64.b64encode(f"{login.user}:{login.password}".encode())
        return f"Basic {who.decode('ascii')}"
    return ""


def _md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def _why_not_file(device_id: str, path: str) -> DeviceError:
    if not Path(path).is_file():
        return DeviceUnavailable(device_id, Reason.CONFIGURATION, "no such clip")
    return NotSupported(device_id, Reason.UNSUPPORTED, "no clip that can be played")


def _why_not_device(device_id: str, path: str) -> DeviceError:
    try:
        if not stat.S_ISCHR(os.stat(path).st_mode):  # noqa: PTH116  # follows links as the kernel
            return DeviceUnavailable(device_id, Reason.CONFIGURATION, "not a device")
        descriptor = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as exc:
        number = exc.errno or 0
        kind, reason = _OF_ERRNO.get(number, (DeviceUnavailable, Reason.PORT_GONE))
        return kind(device_id, reason, os.strerror(number))
    try:
        answer = bytearray(_CAPABILITY.size)
        fcntl.ioctl(descriptor, _QUERYCAP, answer)
    except OSError:
        return NotSupported(device_id, Reason.UNSUPPORTED, "no camera")
    finally:
        os.close(descriptor)
    if not gives_pictures(bytes(answer)):
        # A USB camera has a second node, for what describes its pictures.
        return NotSupported(device_id, Reason.UNSUPPORTED, "this node gives no pictures")
    # A camera may be opened by many, and streams to one.
    return DeviceBusy(device_id, Reason.OCCUPIED, "it streams to somebody else")


def gives_pictures(capability: bytes) -> bool:
    """Whether this node of a camera is the one that streams (struct v4l2_capability)."""
    of_all, of_node = _CAPABILITY.unpack(capability)
    return bool((of_node if of_all & _HAS_DEVICE_CAPS else of_all) & _VIDEO_CAPTURE)
