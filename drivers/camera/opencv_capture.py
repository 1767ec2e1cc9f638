"""OpenCV's captures: how each kind of camera is opened, and what its pictures become.

`cv2` is imported when a camera is opened, in the camera's thread: it takes its time, and a machine
without cameras does not have it.

OpenCV hands out the pictures of an MJPEG stream as they were sent when it is asked to: then one
that nobody wants is never decoded, one that is wanted at half its size is decoded at half its
cost, and one that is damaged is known. Any other codec builds each picture on the one before and
must decode them all; a picture that nobody wants is at least not converted.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote, urlsplit

from drivers.camera.opencv_reader import Capture, Picture
from drivers.camera.opencv_settings import (
    CameraPort,
    FilePort,
    Login,
    NetworkPort,
    V4l2Port,
)

_JPEG_BEGIN, _JPEG_END = b"\xff\xd8", b"\xff\xd9"
_SAMPLED = 32
"""A picture is judged by so many lines and columns at most."""
_SWITCHES: Mapping[str, str] = {
    # FFmpeg's AV_LOG_QUIET: its lines name the address, and with it the password.
    "OPENCV_FFMPEG_LOGLEVEL": "-8",
    # UDP loses packets without a word. Without a guess at the rate a stream opens in a tenth of
    # the time.
    "OPENCV_FFMPEG_CAPTURE_OPTIONS": "rtsp_transport;tcp|fpsprobesize;0",
}


def opener(
    port: CameraPort,
    login: Login | None,
    *,
    open_timeout_s: float,
    stall_timeout_s: float,
    width: int | None,
) -> Callable[[], Capture | None]:
    """What opens this camera; it gives None where it does not open.

    It raises `ImportError` on a machine without OpenCV.
    """
    for name, value in _SWITCHES.items():
        # They are read when a stream is opened: here no thread is in it. Who set one had a reason.
        os.environ.setdefault(name, value)

    def opens() -> Capture | None:
        cv2 = _library()
        capture = cv2.VideoCapture()
        timeouts = [
            cv2.CAP_PROP_OPEN_TIMEOUT_MSEC,
            round(open_timeout_s * 1000),
            cv2.CAP_PROP_READ_TIMEOUT_MSEC,
            round(stall_timeout_s * 1000),
            # More threads give a picture later, by one each, and take turns from other cameras.
            cv2.CAP_PROP_N_THREADS,
            1,
        ]
        try:
            if isinstance(port, V4l2Port):
                opened = capture.open(port.path, cv2.CAP_V4L2)
                if opened:
                    _set_up(cv2, capture, port, stall_timeout_s)
            else:
                opened = capture.open(address(port, login), cv2.CAP_FFMPEG, timeouts)
        except cv2.error:
            opened = False
        if not opened:
            capture.release()
            return None
        return _OpenCvCapture(cv2, capture, width)

    return opens


def address(port: NetworkPort | FilePort, login: Login | None) -> str:
    """What FFmpeg opens, name and password in it: for nobody's eyes."""
    if isinstance(port, FilePort):
        return f"file:{port.path}"
    if login is None:
        return port.uri
    parts = urlsplit(port.uri)
    who = f"{quote(login.user, safe='')}:{quote(login.password, safe='')}"
    return parts._replace(netloc=f"{who}@{parts.netloc}").geturl()


def _library() -> Any:
    is_first = "cv2" not in sys.modules
    import cv2  # noqa: PLC0415  # see above

    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    if is_first:
        # Each camera has a thread of its own already. Who imported it before has said how many.
        cv2.setNumThreads(1)
    return cv2


def _set_up(cv2: Any, capture: Any, port: V4l2Port, stall_timeout_s: float) -> None:
    """What a camera does not know it leaves; what it took instead the diagnostics show."""
    # The format first: sizes and rates belong to it.
    capture.set(cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*port.format))
    for setting, value in (
        (cv2.CAP_PROP_FRAME_WIDTH, port.width),
        (cv2.CAP_PROP_FRAME_HEIGHT, port.height),
        (cv2.CAP_PROP_FPS, port.fps),
        (cv2.CAP_PROP_READ_TIMEOUT_MSEC, round(stall_timeout_s * 1000)),
        # One picture in the kernel's queue, not four.
        (cv2.CAP_PROP_BUFFERSIZE, 1),
    ):
        if value is not None:
            capture.set(setting, value)


class _OpenCvCapture:
    """A `Capture` of OpenCV."""

    def __init__(self, cv2: Any, capture: Any, width: int | None) -> None:
        self._cv2 = cv2
        self._capture = capture
        self._width = width
        self._sent_width = int(capture.get(cv2.CAP_PROP_FRAME_WIDTH))
        codec = int(capture.get(cv2.CAP_PROP_FOURCC))
        is_mjpeg = codec == cv2.VideoWriter.fourcc(*"MJPG")
        # OpenCV's own V4L2 gives the picture before for one that it cannot decode.
        as_sent = {"FFMPEG": (cv2.CAP_PROP_FORMAT, -1), "V4L2": (cv2.CAP_PROP_CONVERT_RGB, 0)}
        switch = as_sent.get(capture.getBackendName())
        self._packets = is_mjpeg and switch is not None and capture.set(*switch)

    def grab(self) -> bool:
        return bool(self._capture.grab())

    def position_s(self) -> float:
        return max(float(self._capture.get(self._cv2.CAP_PROP_POS_MSEC)), 0.0) / 1000

    def take(self) -> Picture | None:
        cv2 = self._cv2
        try:
            held, image = self._capture.retrieve()
            if held and self._packets:
                image = self._decoded(image)
            if not held or image is None:
                return None
            return _picture(cv2, image, self._width)
        except cv2.error:
            return None

    def close(self) -> None:
        self._capture.release()

    def _decoded(self, packet: Any) -> Any:
        data = packet.ravel()
        # Some cameras fill up the packet behind the picture.
        whole = data[:2].tobytes() == _JPEG_BEGIN and _JPEG_END in data[-64:].tobytes()
        if not whole:
            return None
        cv2 = self._cv2
        half, quarter, eighth = (
            cv2.IMREAD_REDUCED_COLOR_2,
            cv2.IMREAD_REDUCED_COLOR_4,
            cv2.IMREAD_REDUCED_COLOR_8,
        )
        if self._width is None:
            return cv2.imdecode(data, cv2.IMREAD_COLOR)
        times = self._sent_width // self._width
        flag = next(
            (flag for least, flag in ((8, eighth), (4, quarter), (2, half)) if times >= least),
            cv2.IMREAD_COLOR,
        )
        return cv2.imdecode(data, flag)


def _picture(cv2: Any, image: Any, width: int | None) -> Picture:
    """The image at the size that is wanted, in memory of its own that nobody can write to."""
    rows, columns = image.shape[:2]
    if width is not None and columns > width:
        size = (width, max(1, round(rows * width / columns)))
        image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
        rows, columns = image.shape[:2]
    sample = image[:: max(1, rows // _SAMPLED), :: max(1, columns // _SAMPLED)]
    data = memoryview(image).cast("B").toreadonly()
    return Picture(columns, rows, data, deviation=float(sample.std()))
